package bond

import (
	"slices"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
)

// Refused takes in that the relay has no room for what comes of o by connection id,
// though it may for what comes by others: they carry it from now on. If there is
// none that it may come by, it is given up. A path of which no connection is left is
// not relied on until something has arrived by it: more of what is on its way there
// may be refused, which is not told of streams that were written whole.
func (s *Scheduler) Refused(id uint64, o bond.Object, now time.Time) {
	m, u := s.members[id], s.byName[o]
	if m == nil || u == nil || slices.Contains(u.refused, m) {
		return
	}
	u.refused = append(u.refused, m)
	var back []*flight
	m.flights = slices.DeleteFunc(m.flights, func(f *flight) bool {
		if f.unit == u {
			m.lost(f.span.size())
			back = append(back, f)
		}
		return f.unit == u
	})
	if p := m.path; !slices.ContainsFunc(p.members, func(o *member) bool { return !slices.Contains(u.refused, o) }) {
		if u.copies[p] != nil {
			s.spare(u, p)
		}
		if p.state == Live || p.state == Wary {
			p.enter(Suspect, now)
			s.suspected(p)
		}
	}
	for _, f := range back {
		s.resend(f)
	}
	s.dropRefused()
	s.stale = true
}

// dropRefused gives up what is refused on all connections. Where there is none, one
// may come that it is not refused on.
func (s *Scheduler) dropRefused() {
	if len(s.members) == 0 {
		return
	}
	for _, u := range slices.Clone(s.queue) {
		taken := len(u.refused) == 0
		for _, m := range s.members {
			taken = taken || !slices.Contains(u.refused, m)
		}
		if !taken {
			s.drop(u)
		}
	}
}
