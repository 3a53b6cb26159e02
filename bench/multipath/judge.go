package multipath

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/tributary-live/tributary/bench"
)

// Peer is what carries the load.
type Peer string

// The peers.
const (
	Bond   Peer = "bond"
	Single Peer = "single" // a session over the first link
	MPTCP  Peer = "mptcp"  // of the kernel, on real links only
)

type row = bench.Bar

func atMost(target, fail float64) *bench.Bound  { return bench.AtMost(target, fail) }
func atLeast(target, fail float64) *bench.Bound { return bench.AtLeast(target, fail) }

// judgement is what a scenario is judged by: the outcomes of all runs, by peer.
type judgement struct {
	scenario *Scenario
	on       Backend
	traces   Traces
	missing  error // why there are no runs
	runs     map[Peer][]*Outcome
}

// bars returns those of the scenario, if the bond has played it.
func (j *judgement) bars() []row {
	if j.missing != nil {
		return []row{{Name: j.scenario.Name, Value: math.NaN(), Note: j.missing.Error()}}
	}
	if len(j.runs[Bond]) == 0 {
		return nil
	}
	return j.scenario.judge(j)
}

// figure takes one figure of an outcome.
type figure func(*Outcome) float64

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func efficiency(o *Outcome) float64 { return o.Efficiency }
func p99(o *Outcome) float64        { return millis(o.P99) }
func late200(o *Outcome) float64    { return o.Late200 }
func late500(o *Outcome) float64    { return o.Late500 }
func late1000(o *Outcome) float64   { return o.Late1000 }
func gap(o *Outcome) float64        { return millis(o.Gap) }
func lost(o *Outcome) float64       { return float64(o.Lost) }
func vitalLost(o *Outcome) float64  { return float64(o.VitalLost) }
func vitalMax(o *Outcome) float64   { return millis(o.VitalMax) }
func copies(o *Outcome) float64     { return o.Copies }
func cpu(o *Outcome) float64        { return millis(o.CPU) }
func backup(o *Outcome) float64     { return o.Backup }

// lowest and highest say which run is the worst.
var (
	lowest  = slices.Min[[]float64]
	highest = slices.Max[[]float64]
)

func (j *judgement) values(p Peer, f figure) (values []float64) {
	for _, o := range j.runs[p] {
		values = append(values, f(o))
	}
	return values
}

func (j *judgement) median(p Peer, f figure) float64 {
	return bench.Median(j.runs[p], f)
}

func (j *judgement) worst(f figure, which func([]float64) float64) float64 {
	return which(j.values(Bond, f))
}

// row is the median of the bond's runs, with the worst beside it.
func (j *judgement) row(what, unit string, f figure, worst func([]float64) float64, b *bench.Bound) row {
	r := j.told(what, unit, j.median(Bond, f), b)
	r.Note = fmt.Sprintf("worst of %d: %s", len(j.runs[Bond]), short(j.worst(f, worst)))
	for _, p := range []Peer{Single, MPTCP} {
		if len(j.runs[p]) > 0 {
			r.Note += fmt.Sprintf("; %s: %s", p, short(j.median(p, f)))
		}
	}
	return r
}

func (j *judgement) told(what, unit string, value float64, b *bench.Bound) row {
	name := j.scenario.Name
	if j.on == Real {
		name += ", real links"
	}
	return row{Name: name + ": " + what, Unit: unit, Value: value, Bound: b}
}

// against returns the medians of the bond and of another peer, if that has run.
func (j *judgement) against(p Peer, f figure) (ours, theirs float64, ok bool) {
	return j.median(Bond, f), j.median(p, f), len(j.runs[p]) > 0
}

// closure is how much of what lies between the best single link and what is
// possible the bond makes up for.
func closure(j *judgement) []row {
	best, most, err := j.scenario.bounds(j.traces, judged)
	if err != nil {
		return nil
	}
	closed := func(o *Outcome) float64 { return (best - o.Late500) / (best - most) }
	r := j.told("gap closure at 500 ms", "", j.median(Bond, closed), atLeast(0.8, 0))
	r.Note = fmt.Sprintf("worst of %d: %s; late@500 %s %%, best link alone %s %%, possible %s %%", len(j.runs[Bond]), short(j.worst(closed, lowest)), short(j.median(Bond, late500)), short(best), short(most))
	return []row{r}
}

// adapted is how many pictures are late of an encoder that makes what it is advised
// to, and how much it makes of what could be delivered.
func adapted(j *judgement) []row {
	most, err := j.scenario.deliverable(j.traces, judged)
	if err != nil {
		return nil
	}
	share := func(o *Outcome) float64 { return 100 * o.Made / (most * 1e6) }
	r := j.row("mean bitrate of the deliverable", "%", share, lowest, atLeast(60, 20))
	r.Note += fmt.Sprintf("; deliverable %s Mbit/s", short(most))
	return []row{j.row("late@500", "%", late500, highest, atMost(lateAllowed, 5)), r}
}

// lateAllowed is percent of the pictures that may be late where the encoder adapts.
const lateAllowed = 0.5

// deliverable returns the highest constant bitrate, Mbit/s, up to which no more
// pictures than are allowed take longer than limit over all links, when these are
// used as well as they can be.
func (s *Scenario) deliverable(t Traces, limit time.Duration) (mbit float64, err error) {
	all, err := s.ways(t)
	if err != nil {
		return 0, err
	}
	low, high := 0.0, 100.0
	for high-low > 0.05 {
		middle := (low + high) / 2
		if ideal(all, middle, s.Length, limit) <= lateAllowed {
			low = middle
		} else {
			high = middle
		}
	}
	return low, nil
}

// ways returns the links of s as they were measured.
func (s *Scenario) ways(t Traces) (all []way, err error) {
	for _, l := range s.Links {
		trace, err := t.load(l.Trace)
		if err != nil {
			return nil, err
		}
		all = append(all, way{trace, l.RTT / 2})
	}
	return all, nil
}

// bounds returns percent of the pictures that are late over the best of the links
// alone, and over all, when they are used as well as they can be.
func (s *Scenario) bounds(t Traces, limit time.Duration) (best, most float64, err error) {
	all, err := s.ways(t)
	if err != nil {
		return 0, 0, err
	}
	best = 100
	for _, w := range all {
		best = min(best, ideal([]way{w}, s.Load.Bitrate, s.Length, limit))
	}
	return best, ideal(all, s.Load.Bitrate, s.Length, limit), nil
}

// short prints v with three digits.
func short(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }
