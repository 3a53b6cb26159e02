package forward

import (
	"time"

	"github.com/tributary-live/tributary/pub/fmp4"
)

// reorder lowers decode times so that no frame is shown before it is decoded.
// MP4 may leave that to the player: there the first frame has both times equal,
// and those that come out of order have negative offsets, which many servers read
// as 4.6 hours.
//
// By how much is seen in the first frames, which are held back for that. It can
// grow later; decode times stand still for a moment then.
type reorder struct {
	by    time.Duration // what decode times are lowered by
	held  []timed       // the first ones
	going bool          // they have gone
	epoch int
	last  time.Duration // decode time given out
	any   bool
}

// timed is a sample and the time line that it is on.
type timed struct {
	fmp4.Sample
	epoch int
}

// What is held to see how frames are ordered: more than any encoder reorders.
const (
	holdFrames = 16
	holdTime   = 500 * time.Millisecond
)

// put takes the next sample in decode order and returns those that may go.
func (r *reorder) put(s fmp4.Sample, epoch int) []timed {
	r.by = max(r.by, s.DTS-s.PTS)
	r.held = append(r.held, timed{s, epoch})
	if !r.going && len(r.held) < holdFrames && s.DTS-r.held[0].DTS < holdTime && epoch == r.held[0].epoch {
		return nil
	}
	return r.flush()
}

func (r *reorder) flush() []timed {
	list := r.held
	r.held, r.going = nil, true
	for i := range list {
		s := &list[i]
		if s.epoch != r.epoch {
			r.epoch, r.any = s.epoch, false
		}
		s.DTS -= r.by
		if r.any {
			s.DTS = max(s.DTS, r.last)
		}
		r.last, r.any = s.DTS, true
	}
	return list
}
