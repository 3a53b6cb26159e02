package forward

import "time"

// interleaver puts the frames of both tracks into the order of their decode
// times. It holds a frame until the other track has one, but not for long: a
// track may be silent.
type interleaver struct {
	lanes []*lane
	out   func(frame)
}

// lane holds the frames of one track.
type lane struct {
	frames []frame
	bytes  int
}

// What is waited for the other track.
const (
	spanTime   = time.Second // of media
	spanFrames = 512
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

func (l *interleaver) put(at int, f frame) {
	x := l.lanes[at]
	x.frames = append(x.frames, f)
	x.bytes += len(f.body)
	for l.ready() {
		l.pop()
	}
}

// ready reports whether the first frame need not wait for another.
func (l *interleaver) ready() bool {
	there, full := 0, false
	for _, x := range l.lanes {
		if len(x.frames) > 0 {
			there++
			full = full || x.full()
		}
	}
	return there == len(l.lanes) || full
}

func (x *lane) full() bool {
	first, last := x.frames[0], x.frames[len(x.frames)-1]
	return len(x.frames) > spanFrames || x.bytes > spanBytes || first.epoch != last.epoch || last.dts-first.dts > spanTime
}

// pop gives out the first frame of all, and reports false if there is none.
func (l *interleaver) pop() bool {
	var from *lane
	for _, x := range l.lanes {
		if len(x.frames) > 0 && (from == nil || before(x.frames[0], from.frames[0])) {
			from = x
		}
	}
	if from == nil {
		return false
	}
	f := from.frames[0]
	from.frames[0] = frame{} // its body is not to stay
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
