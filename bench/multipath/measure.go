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
	// Quick leaves out what takes long.
	Quick bool
}

// wants reports whether s is to be measured.
func (c *Config) wants(s *Scenario) bool {
	if c.Only != nil {
		return c.Only.MatchString(s.Name) || c.Only.MatchString(s.Number)
	}
	return !c.Quick || s.quick()
}

// quick reports whether the quick form has the scenario: of the traces, those that
// are told apart by them best.
func (s *Scenario) quick() bool { return s.Length <= 35*time.Second }

// Bars plays the scenarios, prints a line for each run, and returns the bars.
func Bars(ctx context.Context, w io.Writer, c Config) ([]bench.Bar, error) {
	var bars []bench.Bar
	for _, s := range Scenarios() {
		if !c.wants(s) {
			continue
		}
		if err := c.Traces.there(s); err != nil {
			bars = append(bars, bench.Bar{Name: s.Name, Value: math.NaN(), Note: err.Error()})
			continue
		}
		j, err := c.measure(ctx, w, s)
		if err != nil {
			return bars, fmt.Errorf("%s: %w", s.Name, err)
		}
		if s.judge != nil && len(j.runs[Bond]) > 0 {
			bars = append(bars, s.judge(j)...)
		}
	}
	return bars, nil
}

// measure plays s with every peer, by turns, as often as c says.
func (c *Config) measure(ctx context.Context, w io.Writer, s *Scenario) (*judgement, error) {
	j := &judgement{scenario: s, traces: c.Traces, runs: make(map[Peer][]*Outcome)}
	type task struct {
		peer Peer
		run  int
	}
	var tasks []task
	for run := range c.Runs {
		for _, p := range c.Peers {
			tasks = append(tasks, task{p, run})
		}
	}
	width := 1
	if c.Backend == Virtual {
		width = runtime.NumCPU() // time is not this machine's, so others do not disturb
	}
	var mu sync.Mutex
	err := bench.InParallel(len(tasks), width, func(i int) error {
		o, err := c.play(ctx, s, tasks[i].peer, uint64(tasks[i].run))
		if err != nil {
			return fmt.Errorf("%s, run %d: %w", tasks[i].peer, tasks[i].run, err)
		}
		mu.Lock()
		defer mu.Unlock()
		o.print(w, s, tasks[i].peer, c.Backend)
		j.runs[tasks[i].peer] = append(j.runs[tasks[i].peer], o)
		return nil
	})
	return j, err
}

// play plays s once. Cuts come a little later in each run, so that they meet
// different moments of the load.
func (c *Config) play(ctx context.Context, s *Scenario, p Peer, run uint64) (*Outcome, error) {
	s = s.later(time.Duration(run%10) * 97 * time.Millisecond)
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
	}
	return nil, fmt.Errorf("%s is no peer on these links", p)
}

// print writes an outcome as a line.
func (o *Outcome) print(w io.Writer, s *Scenario, p Peer, b Backend) {
	bench.WriteLine(w, fmt.Sprintf("Multipath/scenario=%s/peer=%s/on=%s", s.Name, p, b), o.Objects,
		bench.Metric{Value: o.Efficiency, Unit: "%-of-links"},
		bench.Metric{Value: o.Goodput / 1e6, Unit: "Mbit/s"},
		bench.Metric{Value: millis(o.P50), Unit: "p50-ms"},
		bench.Metric{Value: millis(o.P99), Unit: "p99-ms"},
		bench.Metric{Value: millis(o.Max), Unit: "max-ms"},
		bench.Metric{Value: o.Late200, Unit: "%-late@200"},
		bench.Metric{Value: o.Late500, Unit: "%-late@500"},
		bench.Metric{Value: o.Late1000, Unit: "%-late@1000"},
		bench.Metric{Value: float64(o.Lost), Unit: "lost"},
		bench.Metric{Value: float64(o.VitalLost), Unit: "vital-lost"},
		bench.Metric{Value: millis(o.VitalMax), Unit: "vital-max-ms"},
		bench.Metric{Value: millis(o.Gap), Unit: "gap-ms"},
		bench.Metric{Value: o.Copies, Unit: "%-copies"},
		bench.Metric{Value: o.Wire, Unit: "%-wire"},
		bench.Metric{Value: o.Backup, Unit: "%-backup"},
		bench.Metric{Value: float64(o.Held) / (1 << 20), Unit: "held-MiB"},
		bench.Metric{Value: float64(o.CPU) / float64(time.Millisecond), Unit: "cpu-ms/Mbit"},
	)
}
