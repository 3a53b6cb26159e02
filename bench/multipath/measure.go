package multipath

import (
	"context"
	"fmt"
	"io"
	"math"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tributary-live/tributary/bench"
)

// Backend is the ground that scenarios are played on.
type Backend string

// The backends.
const (
	Virtual Backend = "netsim"
	Real    Backend = "lab"
)

// Config says what is measured.
type Config struct {
	Backend Backend
	Peers   []Peer
	Runs    int
	Traces  Traces
	Relay   bench.Relay // of the lab
	// Only chooses scenarios, by name or number; nil is all.
	Only *regexp.Regexp
	// Quick leaves out what takes long. While there is time, what has missed its
	// target is played twice more.
	Quick bool
}

// quickLimit is how long the quick form may take.
const quickLimit = 50 * time.Second

// wants reports whether s is to be measured.
func (c *Config) wants(s *Scenario) bool {
	if s.Real && c.Backend == Virtual || s.Simulated && c.Backend == Real {
		return false
	}
	if c.Only != nil {
		return c.Only.MatchString(s.Name) || c.Only.MatchString(s.Number)
	}
	if c.Backend == Real {
		return s.Links[0].Trace == "" // two minutes each, and as good on simulated links
	}
	return !c.Quick || s.quick()
}

// Any reports whether there is a scenario to be measured.
func (c *Config) Any() bool { return slices.ContainsFunc(Scenarios(), c.wants) }

// quick reports whether the quick form has the scenario: of the traces, one that
// has room and one that has little.
func (s *Scenario) quick() bool {
	return s.Links[0].Trace == "" && !s.Long || s.Name == "A-cbr-4-verizon-tmobile" || s.Name == "B-cbr-2-att-verizon"
}

// own reports whether the scenario is about what the bond does to its relay, so that
// there is nothing to compare it with.
func (s *Scenario) own() bool { return s.Attack != nil || s.Settle > 0 }

// Bars plays the scenarios, prints a line for each run, and returns the bars.
func Bars(ctx context.Context, w io.Writer, c Config) ([]bench.Bar, error) {
	began := time.Now()
	if c.Backend == Real && !root() {
		return []bench.Bar{{Name: "real links", Value: math.NaN(), Note: "only root can make them"}}, nil
	}
	var judged, there []*judgement
	for _, s := range Scenarios() {
		if !c.wants(s) {
			continue
		}
		j := &judgement{scenario: s, on: c.Backend, traces: c.Traces, runs: make(map[Peer][]*Outcome)}
		judged = append(judged, j)
		if j.missing = c.Traces.there(s); j.missing == nil {
			there = append(there, j)
		}
	}
	if err := c.measure(ctx, w, there, c.Runs); err != nil {
		return nil, err
	}
	var bars []bench.Bar
	for _, j := range judged {
		met := !slices.ContainsFunc(j.bars(), func(b bench.Bar) bool { return b.Verdict() == bench.Missed || b.Verdict() == bench.Failed })
		if c.Quick && !met && time.Since(began) < quickLimit*4/5 {
			if err := c.measure(ctx, w, []*judgement{j}, 2); err != nil {
				return nil, err
			}
		}
		bars = append(bars, j.bars()...)
	}
	return bars, nil
}

// task is one run of a scenario.
type task struct {
	*judgement
	peer Peer
	run  int
}

// measure plays the scenarios with every peer, by turns, n times more.
func (c *Config) measure(ctx context.Context, w io.Writer, list []*judgement, n int) error {
	var beside, alone []task
	for _, j := range list {
		to := &alone // on the machine, which others would disturb, or all that lives there is counted
		if c.Backend == Virtual && j.scenario.Settle == 0 {
			to = &beside
		}
		for played, run := len(j.runs[c.Peers[0]]), 0; run < n; run++ {
			for _, p := range c.Peers {
				if p == Bond || !j.scenario.own() {
					*to = append(*to, task{j, p, played + run})
				}
			}
		}
	}
	if err := c.do(ctx, w, beside, runtime.NumCPU()); err != nil {
		return err
	}
	return c.do(ctx, w, alone, 1)
}

// do does tasks, so many at once.
func (c *Config) do(ctx context.Context, w io.Writer, tasks []task, width int) error {
	var mu sync.Mutex
	return bench.InParallel(len(tasks), width, func(i int) error {
		t := &tasks[i]
		o, err := c.play(ctx, t.scenario, t.peer, uint64(t.run))
		if err != nil {
			return fmt.Errorf("%s: %s, run %d: %w", t.scenario.Name, t.peer, t.run, err)
		}
		mu.Lock()
		defer mu.Unlock()
		o.print(w, t.scenario, t.peer, c.Backend)
		t.runs[t.peer] = append(t.runs[t.peer], o)
		return nil
	})
}

// play plays s once. Cuts come a little later in each run, so that they meet
// different moments of the load.
func (c *Config) play(ctx context.Context, s *Scenario, p Peer, run uint64) (*Outcome, error) {
	s = s.later(time.Duration(run%10) * 37 * ms)
	if c.Backend == Real {
		return c.playReal(ctx, s, p, run)
	}
	var o *Outcome
	err := inBubble(func(t *testing.T) error {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		g, err := newSimulated(ctx, t, run+1)
		if err != nil {
			return err
		}
		defer g.close()
		snd, err := newSender(p, s, g)
		if err != nil {
			return err
		}
		o, err = s.run(ctx, g, c.Traces, snd, run)
		return err
	})
	return o, err
}

// later returns s with its steps moved.
func (s *Scenario) later(d time.Duration) *Scenario {
	moved := *s
	moved.Steps = slices.Clone(s.Steps)
	for i := range moved.Steps {
		moved.Steps[i].At += d
	}
	if moved.Gap > 0 {
		moved.Gap += d
	}
	return &moved
}

// newSender returns what carries the load for p.
func newSender(p Peer, s *Scenario, g ground) (sender, error) {
	switch p {
	case Single:
		return newSingle(s, g.url()), nil
	case Bond:
		return newBonded(s, g.url()), nil
	}
	return nil, fmt.Errorf("%s is no peer on these links: bond and single are, and mptcp with --backend lab", p)
}

// print writes an outcome as a line.
func (o *Outcome) print(w io.Writer, s *Scenario, p Peer, b Backend) {
	metrics := []bench.Metric{
		{Value: o.Efficiency, Unit: "%-of-links"},
		{Value: o.Goodput / 1e6, Unit: "Mbit/s"},
		{Value: millis(o.P50), Unit: "p50-ms"},
		{Value: millis(o.P99), Unit: "p99-ms"},
		{Value: millis(o.Max), Unit: "max-ms"},
		{Value: o.Late200, Unit: "%-late@200"},
		{Value: o.Late500, Unit: "%-late@500"},
		{Value: o.Late1000, Unit: "%-late@1000"},
		{Value: float64(o.Lost), Unit: "lost"},
		{Value: float64(o.VitalLost), Unit: "vital-lost"},
		{Value: millis(o.VitalMax), Unit: "vital-max-ms"},
		{Value: millis(o.Gap), Unit: "gap-ms"},
		{Value: o.Copies, Unit: "%-copies"},
		{Value: o.Wire, Unit: "%-wire"},
		{Value: o.Backup, Unit: "%-backup"},
		{Value: mib(o.Held), Unit: "held-MiB"},
		{Value: mib(o.HeldMost), Unit: "held-most-MiB"},
		{Value: millis(o.CPU), Unit: "cpu-ms/Mbit"},
	}
	if s.Rival {
		metrics = append(metrics, bench.Metric{Value: o.Kept / 1e6, Unit: "kept-Mbit/s"}, bench.Metric{Value: o.Alone / 1e6, Unit: "alone-Mbit/s"})
	}
	if s.Settle > 0 {
		metrics = append(metrics, bench.Metric{Value: leftGoroutines(o), Unit: "goroutines-left"}, bench.Metric{Value: leftHeap(o), Unit: "heap-left-MiB"})
	}
	if s.Attack != nil {
		metrics = append(metrics, bench.Metric{Value: tried(o), Unit: "tried"}, bench.Metric{Value: joined(o), Unit: "joined"},
			bench.Metric{Value: float64(o.Harm.putOut), Unit: "cut-off"}, bench.Metric{Value: unjust(o), Unit: "others-cut-off"})
	}
	bench.WriteLine(w, fmt.Sprintf("Multipath/scenario=%s/peer=%s/on=%s", s.Name, p, b), o.Objects, metrics...)
}
