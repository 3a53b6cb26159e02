package forward

import "time"

// interleaver puts the frames of both tracks into the order of their decode
// times. It holds a frame until the other track has one, but not for long: a
// track may be silent. How long is by the clock and not by the frames' own times,
// for frames may come many at once, and those of one track before the other's.
type interleaver struct {
	lanes []*lane
	out   func(frame)
}

// lane holds the frames of one track.
type lane struct {
	frames []queued
	bytes  int
	begun  bool // it has had a frame
}

// What is waited for the other track.
const (
	spanTime   = time.Second
	spanFrames = 1024
	spanBytes  = 16 << 20
)

func newInterleaver(out func(frame)) *interleaver { return &interleaver{out: out} }

// reset gives out what is held, and takes frames of so many tracks from then on.
func (l *interleaver) reset(lanes int) {
	l.flush()
	l.lanes = nil
	for range lanes {
		l.lanes = append(l.lanes, &lane{})
	}
}

func (l *interleaver) put(at int, f frame, now time.Time) {
	x := l.lanes[at]
	x.frames = append(x.frames, queued{f, now})
	x.bytes += len(f.body)
	x.begun = true
	for l.ready(now) {
		l.pop()
	}
}

// ready reports whether the first frame need not wait for another.
func (l *interleaver) ready(now time.Time) bool {
	there, full, begun := 0, false, true
	var oldest time.Duration
	for _, x := range l.lanes {
		begun = begun && x.begun
		if len(x.frames) == 0 {
			continue
		}
		there++
		oldest = max(oldest, now.Sub(x.frames[0].at))
		full = full || len(x.frames) > spanFrames || x.bytes > spanBytes
	}
	// No target begins with sound if there is video: no harm in waiting for that.
	return there == len(l.lanes) || full || begun && oldest > spanTime
}

// pop gives out the first frame of all, and reports false if there is none.
func (l *interleaver) pop() bool {
	var from *lane
	for _, x := range l.lanes {
		if len(x.frames) > 0 && (from == nil || before(x.frames[0].frame, from.frames[0].frame)) {
			from = x
		}
	}
	if from == nil {
		return false
	}
	f := from.frames[0].frame
	from.frames[0] = queued{} // its body is not to stay
	from.frames = from.frames[1:]
	from.bytes -= len(f.body)
	l.out(f)
	return true
}

// before orders frames; video goes first at the same time.
func before(a, b frame) bool {
	switch {
	case a.epoch != b.epoch:
		return a.epoch < b.epoch
	case a.dts != b.dts:
		return a.dts < b.dts
	}
	return a.kind > b.kind
}

// flush gives out what is held.
func (l *interleaver) flush() {
	for l.pop() {
	}
}
