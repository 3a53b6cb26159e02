package bond

import (
	"slices"
	"time"
)

// Pick returns what connection id should send next, and false if it should ask
// again later: see [Scheduler.Next].
func (s *Scheduler) Pick(id uint64, now time.Time) (Assignment, bool) {
	m := s.members[id]
	if m == nil {
		return Assignment{}, false
	}
	s.update(now)
	alone := !slices.ContainsFunc(s.paths, func(p *path) bool { return p != m.path && p.state != Suspect && p.state != Fresh })
	switch {
	case m.path.spent(now):
		return Assignment{}, false
	case m.path.state == Suspect && !alone, m.path.state == Fresh && !alone:
		return s.probe(m, now)
	case m.path.state == Wary && float64(m.inFlight) > m.path.share*float64(max(m.figures.Window, minChunk)):
		return Assignment{}, false
	case m.path.cost > s.allowed && !alone, s.now == Standby && s.active != nil && s.active != m.path:
		return s.probe(m, now)
	}
	if m.inFlight >= m.room(now) {
		return Assignment{}, false
	}
	u, sp, f := s.fresh(m, now)
	if f == nil && u != nil {
		return s.give(m, u, sp, &s.stats.Copied, now), true
	}
	if f == nil {
		f = s.late(m, now)
	}
	if f != nil {
		f.copied = true
		if f.unit.overdue(f.path, now) {
			f.unit.helped(m.path)
		}
		return s.give(m, f.unit, f.span, &s.stats.Reinjected, now), true
	}
	if s.now == BestFPS && s.best != m.path {
		return s.probe(m, now)
	}
	return Assignment{}, false
}

// chunk returns how much m may be given at once.
func (m *member) chunk(now time.Time) int64 {
	return int64(min(maxChunk, max(minChunk, m.bytesPerSecond(now)*chunkTime.Seconds())))
}

// fresh returns bytes of the queue that m should send: the first that can be in time
// and would not arrive much sooner over another path. Where these are stuck on their
// way over another, it returns the chunk that is to be sent once more.
func (s *Scheduler) fresh(m *member, now time.Time) (*unit, span, *flight) {
	size := m.chunk(now)
	var ahead int64 // bytes that are sent before
	for i, u := range s.queue {
		if i == lookAhead {
			break
		}
		if slices.Contains(u.refused, m) {
			continue
		}
		if c := u.copies[m.path]; c != nil {
			if sp, ok := c.take(size, c.from); ok {
				return u, sp, nil
			}
			continue
		}
		if !u.chosen {
			continue
		}
		if f := s.rescue(u, m); f != nil && s.worthwhile(m.path, f.span.size(), ahead, now) {
			u.stuck.remove(f.span)
			return u, f.span, f
		}
		if len(u.unsent) == 0 {
			continue
		}
		if s.suits(u, m.path, size, ahead, now) {
			sp, _ := u.unsent.take(size, 0)
			return u, sp, nil
		}
		ahead += u.unsent.size()
	}
	// What is left comes too late if the paths are as slow as they are believed to
	// be, which is not found out by sending nothing: the one that needs least.
	var least *unit
	for _, u := range slices.Backward(s.queue) {
		if len(u.unsent) > 0 && u.copies[m.path] == nil && !slices.Contains(u.refused, m) && (least == nil || u.need < least.need) && s.suits(u, m.path, size, 0, now) {
			least = u
		}
	}
	if least == nil {
		return nil, span{}, nil
	}
	sp, _ := least.unsent.take(size, 0)
	return least, sp, nil
}

// suits reports whether p should send the next bytes of u, at most size, which have
// ahead bytes before them.
func (s *Scheduler) suits(u *unit, p *path, size, ahead int64, now time.Time) bool {
	if u.home != p && len(u.refused) == 0 && (s.leaves(u, p, ahead, now) || !s.worthwhile(p, min(size, u.unsent[0].size()), ahead, now)) {
		return false
	}
	u.helped(p)
	return true
}

// worthwhile reports whether n bytes that have ahead bytes before them should go
// by p rather than wait for another path. Paths are compared, not connections: of
// two paths each of which has several, neither would be worthwhile otherwise.
func (s *Scheduler) worthwhile(p *path, n, ahead int64, now time.Time) bool {
	mine := float64(p.eta(n, now))
	return !slices.ContainsFunc(s.paths, func(o *path) bool {
		return o != p && s.carries(o) && mine > patience*float64(o.eta(n+ahead, now))
	})
}

// carries reports whether p is given what is to be sent once.
func (s *Scheduler) carries(p *path) bool {
	return (p.state == Live || p.state == Wary) && p.cost <= s.allowed && (s.now != Standby || s.active == p)
}

// give notes that m sends sp of u; again counts what was sent before.
func (s *Scheduler) give(m *member, u *unit, sp span, again *int64, now time.Time) Assignment {
	fresh := u.given(sp, m.path)
	s.stats.Unique += fresh
	*again += sp.size() - fresh
	expected := now.Add(m.eta(sp.size(), now) + m.figures.MinRTT/2 + ackDelay)
	f := &flight{
		sequence: m.next, path: m.path, unit: u, span: sp, sent: now,
		silent: m.path.state == Suspect, expected: expected, due: expected.Add(m.margin.allowed()),
		mark: m.estimate.sent(sp.size(), now),
	}
	if m.figures.RTT == 0 {
		f.due = f.due.Add(firstTime)
	}
	m.next++
	m.flights = append(m.flights, f)
	m.path.pay(sp.size(), now)
	s.budget = min(reinjectBurst, s.budget+reinjectShare*float64(sp.size()))
	left := u.copies[m.path]
	return Assignment{
		Object: u.Object, Sequence: f.sequence, Offset: sp.off, Length: sp.size(),
		Copy: fresh == 0 && sp.size() > 0,
		Last: len(u.unsent) == 0 && (left == nil || len(left.spans) == 0),
	}
}

// probe returns a copy of something that is on its way elsewhere, from time to
// time, so that a path which is not used can show that it works.
func (s *Scheduler) probe(m *member, now time.Time) (Assignment, bool) {
	if now.Sub(m.path.probed) < probeGap || m.probes() >= maxProbes {
		return Assignment{}, false
	}
	for _, u := range slices.Backward(s.queue) {
		if (u.begun || len(s.paths) == 1) && !slices.Contains(u.refused, m) {
			m.path.probed = now
			n := min(minChunk, u.Size)
			a := s.give(m, u, span{0, n}, &s.stats.Copied, now)
			m.flights[len(m.flights)-1].probe = true
			return a, true
		}
	}
	return Assignment{}, false
}
