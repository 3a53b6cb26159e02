package bond

import (
	"slices"
	"time"
)

// encoder is what an encoder is told. What the paths could carry is a guess where it
// has not been tried, and was true a moment ago: so the advice goes by the least of
// the last moments, leaves room, and counts what waits already. It falls at once, and
// rises slowly and in steps.
type encoder struct {
	bits   int64     // a second, that it should make at most; 0 if that is not known
	told   int64     // that it was told last
	recent []float64 // bits/s that the paths could carry, the newest last
}

const (
	adviseEvery  = 100 * time.Millisecond
	adviseRecent = 3 // times that it goes by

	encoderShare = 0.65                   // of what the paths can carry
	encoderClear = 400 * time.Millisecond // in which what waits is to be gone
	encoderRise  = 500 * time.Millisecond // in which it comes nearer by 1-1/e
	encoderStep  = 1.5                    // times what is made now, at most
	encoderLeast = 100_000                // bits/s
	encoderSoon  = 0.8                    // times what was told: so little is told at once
)

// advise follows the capacity and what waits, where demand is what is made now; in
// bits/s and bits.
func (e *encoder) advise(capacity, waiting, demand float64) {
	e.recent = append(e.recent, capacity)
	if len(e.recent) > adviseRecent {
		e.recent = slices.Delete(e.recent, 0, 1)
	}
	if demand == 0 {
		e.bits = 0
		return
	}
	room := encoderShare*slices.Min(e.recent) - waiting/encoderClear.Seconds()
	want := max(encoderLeast, int64(min(room, encoderStep*demand)))
	if e.bits == 0 || want < e.bits {
		e.bits = want
		return
	}
	e.bits += int64(adviseEvery.Seconds() / encoderRise.Seconds() * float64(want-e.bits))
}

// urgent reports whether the encoder should hear at once that it makes too much.
func (e *encoder) urgent() bool { return float64(e.bits) < encoderSoon*float64(e.told) }
