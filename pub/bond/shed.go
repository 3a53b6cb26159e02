package bond

import (
	"cmp"
	"slices"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
)

// What the paths cannot carry in time is given up, the least important first:
// objects go out by rank, and what would come too late makes room for what would
// not. The relay is told of each that is given up.

// rank is the place in the queue: what is vital, what can be used, and what depends
// on something that was given up, which goes with what is left.
func (u *unit) rank() int {
	switch {
	case u.Class == Vital:
		return 0
	case !u.broken:
		return 1
	}
	return 2
}

// sort puts the queue in order: by rank, and then older objects first.
func (s *Scheduler) sort() {
	slices.SortStableFunc(s.queue, func(a, b *unit) int {
		return cmp.Or(a.rank()-b.rank(), a.Made.Compare(b.Made))
	})
}

// breaks reports whether u depends on something that was given up.
func (s *Scheduler) breaks(u Unit) bool {
	first, ok := s.broken[u.Object.Alias]
	return ok && u.Class == Ordinary && first.Group == u.Object.Group && first.Object < u.Object.Object
}

// pipes are the paths that may carry something, as one.
type pipes []pipe

type pipe struct {
	first time.Duration // when what is given to it now begins to arrive
	rate  float64       // bytes/s
}

// pipes returns those in use, the soonest first.
func (s *Scheduler) pipes(now time.Time) (list pipes) {
	for _, p := range s.usable() {
		if first, rate := p.outlook(now); rate > 0 {
			list = append(list, pipe{first, rate * p.pace(now)})
		}
	}
	slices.SortFunc(list, func(a, b pipe) int { return int(a.first - b.first) })
	return list
}

// arrival returns how long n bytes take to arrive over all paths together.
func (l pipes) arrival(n int64) (at time.Duration) {
	var rate, owed float64 // owed is what all would have sent from the beginning on
	for _, p := range l {
		if rate > 0 && at <= p.first {
			break
		}
		rate += p.rate
		owed += p.rate * p.first.Seconds()
		at = time.Duration((float64(n) + owed) / rate * float64(time.Second))
	}
	return at
}

// An object should be there so long before its deadline, or a quarter of its time
// if that is less. What is taken to be faster than it is comes in time all the same;
// and what is held up by one that does not come, and is told of by then.
const reserve = 125 * time.Millisecond

// aim returns when u should be there.
func (u *Unit) aim() time.Time {
	return u.Deadline.Add(-min(reserve, u.Deadline.Sub(u.Made)/4))
}

// An ordinary object that nothing was sent of waits for this share of its time,
// and for shedLeast if that is more. Where less fits than is made for long, all
// that is sent becomes as old as that. What is short for less than surge, as paths
// are that have to take the place of another, is waited for twice as long.
const (
	shedAge   = 0.25
	shedLeast = 500 * time.Millisecond
	surge     = 3 * time.Second
)

// expire gives up objects that cannot be in time any more, and those that have
// waited for too long.
func (s *Scheduler) expire(now time.Time) {
	first := now.Add(s.soonest())
	behind := false
	for i := 0; i < len(s.queue); i++ {
		u := s.queue[i]
		wait := max(shedLeast, time.Duration(shedAge*float64(u.Deadline.Sub(u.Made))))
		waits, age := u.Class != Vital && !u.begun, now.Sub(u.Made)
		behind = behind || waits && age >= wait/2
		if s.behind.IsZero() || now.Sub(s.behind) < surge {
			wait *= 2
		}
		if waits && age >= wait || !u.Deadline.IsZero() && !first.Before(u.end()) {
			s.drop(u)
			i = -1 // they are in another order now
		}
	}
	switch {
	case !behind:
		s.behind = time.Time{}
	case s.behind.IsZero():
		s.behind = now
	}
}

// end returns when u is given up, whatever was sent of it: what can still be in time
// has all the time there is.
func (u *unit) end() time.Time {
	if u.begun && u.chosen {
		return u.Deadline
	}
	return u.aim()
}

// soonest returns how long anything takes to arrive at least.
func (s *Scheduler) soonest() (d time.Duration) {
	for i, p := range s.usable() {
		for _, m := range p.members {
			if i == 0 || m.figures.MinRTT/2 < d {
				d = m.figures.MinRTT / 2
			}
		}
	}
	return d
}

// GiveUp drops an object, whatever was sent of it.
func (s *Scheduler) GiveUp(o bond.Object) {
	if u := s.byName[o]; u != nil {
		s.drop(u)
	}
}

// drop gives up u. What depends on it goes last from now on.
func (s *Scheduler) drop(u *unit) {
	o := u.Object
	delete(s.byName, o)
	s.queue = slices.DeleteFunc(s.queue, func(v *unit) bool { return v == u })
	s.shed = append(s.shed, u.Unit)
	s.stats.Shed += u.Size
	if first, ok := s.broken[o.Alias]; ok && (first.Group > o.Group || first.Group == o.Group && first.Object <= o.Object) {
		return
	}
	s.broken[o.Alias] = o
	for _, v := range s.queue {
		v.broken = v.broken || s.breaks(v.Unit)
	}
	s.sort()
}

// Shed returns what was given up since the last call.
func (s *Scheduler) Shed() []Unit {
	shed := s.shed
	s.shed = nil
	return shed
}
