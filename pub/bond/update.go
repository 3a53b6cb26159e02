package bond

import (
	"math"
	"slices"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
)

// Demand above which a path or all of them are short, as shares of what they can
// carry.
const (
	ample  = 1.3 // capacity over demand at which copies cost nothing
	scarce = 1.1 // at which backup paths are used
	dwell  = 2 * time.Second
)

// update brings states, costs and the mode in line with the time.
func (s *Scheduler) update(now time.Time) {
	s.clock = now
	for _, p := range s.paths {
		for _, m := range p.members {
			m.forget(s, now)
		}
		switch p.state {
		case Live, Wary:
			stalled := len(p.members) > 0
			for _, m := range p.members {
				busy := len(m.flights) > 0
				stalled = stalled && (!busy || m.stalled(now, s.longestStall()))
			}
			if stalled && slices.ContainsFunc(p.members, func(m *member) bool { return len(m.flights) > 0 }) {
				p.enter(Suspect, now)
				s.suspected(p)
			} else if p.state == Wary && now.Sub(p.since) >= regain {
				p.since = now
				if p.share *= 2; p.share >= 1 {
					p.enter(Live, now)
				}
			}
		}
	}
	s.allow(now)
	s.choose(now)
	s.expire(now)
	s.plan(now)
}

// longestStall is how long a path may be silent at most.
func (s *Scheduler) longestStall() time.Duration { return time.Second }

// suspected frees what only p was to carry.
func (s *Scheduler) suspected(p *path) {
	for _, m := range p.members {
		for _, f := range m.flights {
			f.silent = true
		}
	}
	s.withdraw(p)
	if s.active == p {
		s.active = nil
	}
}

// allow decides which paths may be used for their cost.
func (s *Scheduler) allow(now time.Time) {
	demand := s.meter.rate(now)
	var capacity [bond.Backup + 1]float64
	failing := false
	for _, p := range s.paths {
		if p.state == Live || p.state == Wary {
			capacity[p.cost] += p.rate(now)
		} else if p.cost == bond.Primary && p.state == Suspect {
			failing = true
		}
	}
	s.allowed = bond.Primary
	if capacity[bond.Primary] < ample*demand {
		s.allowed = bond.Secondary
	}
	if failing || capacity[bond.Primary]+capacity[bond.Secondary] < scarce*demand {
		s.allowed = bond.Backup
	}
	if s.now == Standby && s.active == nil {
		for _, p := range s.usable() {
			if s.active == nil || p.cost < s.active.cost || p.cost == s.active.cost && p.eta(maxChunk, now) < s.active.eta(maxChunk, now) {
				s.active = p
			}
		}
	}
}

// choose picks the mode, if that is Auto: at once when capacity falls, after a
// while when it rises.
func (s *Scheduler) choose(now time.Time) {
	if s.mode != Auto {
		return
	}
	demand := s.meter.rate(now)
	var all float64
	each := true
	for _, p := range s.usable() {
		r := p.rate(now)
		all += r
		each = each && r >= ample*demand
	}
	want := Aggregate
	switch {
	case demand == 0:
		return
	case each && len(s.usable()) > 1:
		want = Redundant
	case all >= ample*demand:
		want = Hybrid
	}
	rank := map[Mode]int{Aggregate: 0, Hybrid: 1, Redundant: 2}
	switch {
	case rank[want] < rank[s.now]:
		s.now, s.rose = want, now
	case want == s.now:
		s.rose = now
	case now.Sub(s.rose) >= dwell:
		s.now, s.rose = want, now
	}
}

// forget drops chunks of objects that are finished and that will not be heard of
// any more: the transport has been told not to send them again.
func (m *member) forget(s *Scheduler, now time.Time) {
	for len(m.flights) > 0 {
		f := m.flights[0]
		if s.byName[f.unit.Object] == f.unit || now.Sub(f.due) < 2*m.stall(time.Second) {
			return
		}
		m.lost(f.span.size())
		m.flights = m.flights[1:]
	}
}

// Next returns when to ask again if nothing happens until then: after a while, or
// as soon as something on its way is late.
func (s *Scheduler) Next(now time.Time) time.Time {
	if len(s.queue) == 0 {
		return now.Add(probeGap)
	}
	next := now.Add(askAgain)
	for _, m := range s.members {
		for _, f := range m.flights {
			if !f.copied && f.due.After(now) && f.due.Before(next) {
				next = f.due
			}
		}
	}
	return next
}

// askAgain is after how long a connection asks again that got nothing, though
// something is to be sent.
const askAgain = 5 * time.Millisecond

// Capacity returns what the paths in use can carry together, bytes/s.
func (s *Scheduler) Capacity(now time.Time) (sum float64) {
	if s.now == BestFPS && s.best != nil {
		return s.best.rate(now)
	}
	for _, p := range s.usable() {
		sum += p.rate(now)
	}
	return sum
}

// Room returns what the paths in use are believed to carry together, bytes/s, and how
// many bytes wait to be sent, or wait on them.
func (s *Scheduler) Room(now time.Time) (rate, waiting float64) {
	for _, p := range s.usable() {
		var sum float64
		for _, m := range p.members {
			r := m.bytesPerSecond(now)
			sum += r
			waiting += r * m.backlog(now).Seconds()
		}
		if p.limit > 0 {
			sum = min(sum, p.limit)
		}
		rate += sum
	}
	for _, u := range s.queue {
		waiting += float64(u.unsent.size())
	}
	return rate, waiting
}

// meter measures how much there is to send.
type meter struct {
	bytes float64 // weighed by age
	at    time.Time
}

// meterTime is the age at which what was added counts by 1/e.
const meterTime = 2 * time.Second

func (m *meter) add(n int64, now time.Time) {
	m.rate(now)
	m.bytes += float64(n)
}

// rate returns bytes/s.
func (m *meter) rate(now time.Time) float64 {
	if !m.at.IsZero() {
		m.bytes *= math.Exp(-now.Sub(m.at).Seconds() / meterTime.Seconds())
	}
	m.at = now
	return m.bytes / meterTime.Seconds()
}
