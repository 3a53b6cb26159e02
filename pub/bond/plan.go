package bond

import "time"

// planAgain is how old a plan may become while nothing happens.
const planAgain = 5 * time.Millisecond

// planMost is how many objects are planned at most: the work grows with the square.
// Those behind them wait until it is their turn.
const planMost = 256

// plan decides which of the objects that wait can be in time, all of them together,
// so that as many as possible are: by the rule of Moore and Hodgson, the older ones
// first, and where one does not fit any more, the one that needs most is left out. An
// object of which most has arrived needs little, and is not left for one that was
// just made; what counts less gives way to what counts more.
//
// What is on its way and will not be in time, as far as that can be foreseen, has to
// go by another path, and is part of what an object needs.
func (s *Scheduler) plan(now time.Time) {
	if !s.stale && now.Sub(s.planned) < planAgain {
		return
	}
	s.stale, s.planned, s.short = false, now, false
	for _, u := range s.queue {
		u.stuck = nil
		if u.begun && u.copies == nil {
			for _, missing := range u.arrived.missing(span{0, u.Size}) {
				u.stuck = append(u.stuck, u.unsent.missing(missing)...)
			}
		}
	}
	for _, m := range s.members {
		m.foresee(now)
	}
	pipes := s.pipes(now)
	var chosen []*unit
	var need int64 // of those that are chosen
	first := 0     // of chosen that counts no more than the one that is looked at
	for i, u := range s.queue {
		if i > 0 && u.rank() != s.queue[i-1].rank() {
			first = len(chosen)
		}
		u.need = u.unsent.size() + u.stuck.size()
		if u.chosen = i < planMost; !u.chosen {
			continue
		}
		if u.Deadline.IsZero() || u.need == 0 {
			continue
		}
		chosen = append(chosen, u)
		need += u.need
		if !now.Add(pipes.arrival(need)).After(u.latest()) {
			continue
		}
		most := len(chosen) - 1
		for j := first; j < most; j++ {
			if chosen[j].need > chosen[most].need {
				most = j
			}
		}
		chosen[most].chosen, s.short = false, true
		need -= chosen[most].need
		chosen = append(chosen[:most], chosen[most+1:]...)
	}
}

// latest returns when u has to be there: an object that nothing was sent of, some
// time before its deadline.
func (u *unit) latest() time.Time {
	if u.begun {
		return u.Deadline
	}
	return u.aim()
}

// foresee takes from what is stuck that which m will have brought in time, if
// nothing changes. What a suspect path has will not come.
func (m *member) foresee(now time.Time) {
	if m.path.state == Suspect {
		return
	}
	rate := m.bytesPerSecond(now)
	begin := now.Add(m.overdue(now) - m.figures.MinRTT/2) // half a round trip is behind what is told next
	var n int64
	for _, f := range m.flights {
		n += f.span.size()
		at := begin.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		if f.unit.Deadline.IsZero() || !at.After(f.unit.Deadline) {
			f.unit.stuck.remove(f.span)
		}
	}
}
