package forward

import (
	"time"

	"github.com/tributary-live/tributary/rtmp"
)

// timeline tells the times of frames on one connection: those of both tracks from
// a common zero, which is the first frame, and on from there where the
// broadcast's own begins anew.
type timeline struct {
	zero  time.Duration
	epoch int
	any   bool
	last  map[rtmp.Kind]time.Duration // time of the last of each kind
}

// step is between the last frame of a time line and the first of the next.
const step = 40 * time.Millisecond

// place returns the time of the next frame, or false if that cannot be shown: it
// is before the beginning, or of another time line than the pictures are.
func (l *timeline) place(f frame) (time.Duration, bool) {
	switch {
	case !l.any:
		if !f.start {
			return 0, false
		}
		l.zero, l.epoch, l.any = f.dts, f.epoch, true
		l.last = make(map[rtmp.Kind]time.Duration)
	case f.epoch > l.epoch && f.start:
		end := max(l.last[rtmp.Video], l.last[rtmp.Audio])
		l.zero, l.epoch = f.dts-end-step, f.epoch
	case f.epoch != l.epoch:
		return 0, false
	}
	at := f.dts - l.zero
	if at < 0 {
		return 0, false
	}
	at = max(at, l.last[f.kind]) // a server may end a stream whose time goes back
	l.last[f.kind] = at
	return at, true
}
