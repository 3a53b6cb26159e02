package bench

import (
	"fmt"
	"io"
	"math"
)

// Bar is a figure and what it must be.
type Bar struct {
	Name  string
	Value float64
	Unit  string
	// Bound is nil where the figure is only told.
	Bound *Bound
	// Note says why there is no figure, or what it must be read with.
	Note string
}

// Bound is what a figure should be, and where it fails.
type Bound struct {
	Target, Fail float64
	AtLeast      bool // else at most
}

// AtMost bounds a figure from above. Without a bound at which it fails, fail is
// [Never].
func AtMost(target, fail float64) *Bound { return &Bound{Target: target, Fail: fail} }

// AtLeast bounds a figure from below.
func AtLeast(target, fail float64) *Bound { return &Bound{Target: target, Fail: fail, AtLeast: true} }

// Never is a bound that nothing crosses.
var Never = math.NaN()

// Verdict is how a figure stands to its bound.
type Verdict string

// The verdicts.
const (
	Met    Verdict = "ok"
	Missed Verdict = "missed" // not the target, but not failed either
	Failed Verdict = "FAIL"
	Told   Verdict = "-" // there is no bound, or no figure
)

// Verdict compares the figure with its bound.
func (b *Bar) Verdict() Verdict {
	if b.Bound == nil || math.IsNaN(b.Value) {
		return Told
	}
	beyond := func(limit float64) bool {
		if b.Bound.AtLeast {
			return b.Value < limit
		}
		return b.Value > limit
	}
	switch {
	case beyond(b.Bound.Fail): // never with NaN
		return Failed
	case beyond(b.Bound.Target):
		return Missed
	}
	return Met
}

// Print writes the figure, its bounds and the verdict as a line.
func (b *Bar) Print(w io.Writer) {
	figure, target, fail := "-", "-", "-"
	if !math.IsNaN(b.Value) {
		figure = number(b.Value)
		if b.Unit != "" {
			figure += " " + b.Unit
		}
	}
	if b.Bound != nil {
		within, beyond := "<= ", "> "
		if b.Bound.AtLeast {
			within, beyond = ">= ", "< "
		}
		target = within + number(b.Bound.Target)
		if !math.IsNaN(b.Bound.Fail) {
			fail = beyond + number(b.Bound.Fail)
		}
	}
	note := ""
	if b.Note != "" {
		note = "  # " + b.Note
	}
	fmt.Fprintf(w, "bar  %-58s  %-14s  target %-9s  fails %-9s  %s%s\n", b.Name, figure, target, fail, b.Verdict(), note)
}

// PrintBars writes all lines and reports whether none has failed.
func PrintBars(w io.Writer, bars []Bar) bool {
	good := true
	for i := range bars {
		bars[i].Print(w)
		good = good && bars[i].Verdict() != Failed
	}
	return good
}
