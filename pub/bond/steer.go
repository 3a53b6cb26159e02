package bond

import (
	"math"
	"time"

	"github.com/tributary-live/tributary/transport"
)

// maxConnections is how many connections a path has at most.
const maxConnections = 8

// A path gets more connections while it loses packets without being full: quic-go
// has only NewReno, which takes every loss for a full link and leaves two thirds of
// one that loses 1 %. Where packets wait in a queue before they are lost, the link
// is full, and more connections would only take from others what is theirs. That
// is so as well where the queue is too short to be seen: then more connections make
// more losses, which accidents do not. See docs/adr/0006-connections.md.
const (
	steerLoss = 0.001                 // share of packets that is no accident
	steerHard = 0.005                 // share from which the number doubles
	steerFlat = 15 * time.Millisecond // of round trip above the least: nothing waits
	steerFull = 60 * time.Millisecond // above it the link is full
	steerBusy = 0.2                   // share of the time in which congestion control held something back
	steerIdle = 0.02                  // under it one connection less would do
	steerMore = 1.5                   // times what one connection may lose at most, and
	steerPlus = 0.002                 // so much more: several do not lose as one does
	steerMind = 0.9                   // what counts of what was seen a second ago

	// In seconds:
	steerGrow  = 2  // for which a path asks for more before there is a step
	steerFresh = 3  // in which connections begin: they lose more until they know the path
	steerSpare = 10 // for which it has been idle before it loses a connection
	steerRest  = 30 // after connections that were of no use; twice as long each time
	steerMost  = 600
)

// steer decides how many connections a path has.
type steer struct {
	loss        float64 // share of packets, over some seconds
	sent, lost  float64 // packets of a single connection, over some ten seconds
	grow, spare int     // seconds for which the path wants more, or has too many
	rest        int     // seconds until it may have more
	rested      int     // how long the last rest was
	fresh       int     // seconds for which what is lost is the new connections' beginning
}

// seen is what the connections of a path did in a second.
type seen struct {
	sent, lost int64         // packets
	queue      time.Duration // round trip above the least
	busy       float64       // share of the time in which writes waited
}

// next returns how many connections there should be where there are want.
func (s *steer) next(o seen, want int) int {
	if s.fresh = max(0, s.fresh-1); s.fresh == 0 && o.sent >= 20 {
		s.loss += (float64(o.lost)/float64(o.sent) - s.loss) / 3
	}
	if want == 1 {
		s.sent, s.lost = steerMind*s.sent+float64(o.sent), steerMind*s.lost+float64(o.lost)
	}
	s.rest = max(0, s.rest-1)
	switch {
	case o.queue > steerFull, o.busy < steerIdle:
		s.grow, s.spare = 0, s.spare+1
	case o.queue < steerFlat && s.loss >= steerLoss && o.busy >= steerBusy:
		s.grow, s.spare = s.grow+1, 0
	default:
		s.grow, s.spare = 0, 0
	}
	limit := steerSpare
	if o.queue > steerFull {
		limit = steerGrow
	}
	switch {
	case want > 1 && s.loss > steerMore*s.alone()+steerPlus:
		s.rested = min(max(steerRest, 2*s.rested), steerMost)
		s.rest, s.grow, s.spare = s.rested, 0, 0
		return 1
	case s.grow >= steerGrow && want < maxConnections && s.rest == 0:
		s.grow, s.fresh = 0, steerFresh
		if s.loss >= steerHard && want < maxConnections/2 {
			return 2 * want
		}
		return want + 1
	case s.spare >= limit && want > 1:
		s.spare = 0
		return want - 1
	}
	return want
}

// alone returns what a single connection loses at most, in all likelihood: few
// packets tell little.
func (s *steer) alone() float64 {
	return (s.lost + 2*math.Sqrt(s.lost) + 2) / max(1, s.sent)
}

// steerLocked sets how many connections r has, by what they did in the last second.
func (b *Bond) steerLocked(r *route, o seen) {
	if r.Connections > 0 || r.ctx == nil || r.ctx.Err() != nil {
		return
	}
	was := r.want
	r.want = r.steer.next(o, was)
	switch {
	case r.want > was:
		for r.slots < r.want {
			b.keepLocked(r.ctx, r)
		}
	case r.want < was:
		for _, c := range b.members {
			c.retiring = c.retiring || c.route == r && c.slot >= r.want
		}
		b.wakeLocked()
	}
}

// queueOf returns how far the round trip is above the least.
func queueOf(s transport.ConnStats) time.Duration { return max(0, s.RTT-s.MinRTT) }
