package bond

import (
	"slices"
	"time"
)

// late returns a chunk of another path that m should send as well, or nil: the
// one with the earliest deadline, vital ones first.
func (s *Scheduler) late(m *member, now time.Time) *flight {
	var best *flight
	back := s.soonest() + ackDelay
	for _, p := range s.paths {
		if p == m.path {
			continue
		}
		for _, o := range p.members {
			hushed, even := o.hushed(now), m.even(o, now)
			var ahead int64 // and what would go
			for _, f := range o.flights {
				ahead += f.span.size()
				if f.copied || s.byName[f.unit.Object] != f.unit || s.carried(f.unit, p) || slices.Contains(f.unit.refused, m) || len(f.unit.arrived.missing(f.span)) == 0 {
					continue
				}
				if !free(p, m) && !f.unit.overdue(p, now) {
					if now.Before(f.due) && !hushed || s.budget < float64(f.span.size()) {
						continue
					}
					if left := o.left(f, ahead, now) - back; even && m.eta(f.span.size(), now) > left {
						continue
					}
				}
				if best == nil || sooner(f.unit, best.unit) {
					best = f
				}
			}
		}
	}
	if best != nil && !free(best.path, m) && !best.unit.overdue(best.path, now) {
		s.budget -= float64(best.span.size())
	}
	return best
}

// Two connections are even if rates differ by less than alike, and what is given to
// the one waits for leastLine, while the other was heard of within ackGap and the
// time of a chunk.
const (
	alike     = 1.5
	leastLine = 20 * time.Millisecond
	ackGap    = 12 * time.Millisecond
)

// even reports whether m has enough to do, and o, which is about as fast, goes on:
// nothing is gained if each sends what is only late in the line of the other. A
// faster one loses little by it, and a slower one learns what it can carry.
func (m *member) even(o *member, now time.Time) bool {
	mine, other := m.bytesPerSecond(now), o.bytesPerSecond(now)
	return m.backlog(now) > leastLine && o.silence(now) <= ackGap+o.timeFor(o.chunk(now), now) && mine < alike*other && other < alike*mine
}

// left returns when the acknowledgement of f may be expected still, if nothing is
// lost: when the line up to f, which is n bytes long, has passed; or after as long
// again as f is late.
func (m *member) left(f *flight, n int64, now time.Time) time.Duration {
	since := m.flights[0].sent
	if m.heard.After(since) {
		since = m.heard
	}
	return max(since.Add(m.timeFor(n, now)).Sub(now), now.Sub(f.expected)-m.margin.bias)
}

// rescue returns a chunk of u that is stuck on another path than that of m, or nil.
// Where there is room for all, what is new goes before what is sent again.
func (s *Scheduler) rescue(u *unit, m *member) *flight {
	if !s.short || len(u.stuck) == 0 {
		return nil
	}
	for _, p := range s.paths {
		if p == m.path {
			continue
		}
		for _, o := range p.members {
			for _, f := range o.flights {
				if f.unit == u && !f.copied && f.span.size() > u.stuck.missing(f.span).size() {
					return f
				}
			}
		}
	}
	return nil
}

// free reports whether what is on its way by p may go by m as well without regard
// to the budget: if p fails and the path of m does not. Where all fail, each would
// send again what the others have.
func free(p *path, m *member) bool { return p.state == Suspect && m.path.state != Suspect }

func sooner(a, b *unit) bool {
	if a.Class != b.Class {
		return a.Class == Vital
	}
	return a.Deadline.Before(b.Deadline)
}
