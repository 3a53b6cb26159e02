package bond

import (
	"slices"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
)

// steady is a scheduler with one connection that carries 100 kB/s with a round trip
// of 40 ms, as is known of it.
func steady(t *testing.T) *Scheduler {
	t.Helper()
	s := NewScheduler(Aggregate)
	s.AddMember(0, "a", bond.Primary, epoch)
	s.Observe(0, Figures{RTT: 40 * ms, MinRTT: 40 * ms, Window: 4000})
	s.Add(Unit{Object: bond.Object{Alias: 9}, Size: 100, Class: Vital, Made: epoch, Deadline: epoch.Add(time.Second)}, epoch)
	a, ok := s.Pick(0, epoch)
	if !ok {
		t.Fatal("nothing is sent over a path that is all there is")
	}
	s.Acked(0, []bond.Range{{First: a.Sequence, Last: a.Sequence}}, 0, epoch.Add(40*ms))
	return s
}

// ordinary is an object of group 0 that was made at a time after epoch and has half
// a second.
func ordinary(group, id uint64, size int64, made time.Duration) Unit {
	class := Ordinary
	if id == 0 {
		class = Vital
	}
	return Unit{Object: bond.Object{Alias: 1, Group: group, Object: id}, Size: size, Class: class, Made: epoch.Add(made), Deadline: epoch.Add(made + 500*ms)}
}

// sends returns the objects that s gives out at now, in the order of their first
// chunks, when each is acknowledged at once.
func sends(s *Scheduler, now time.Time) (order []bond.Object) {
	for {
		a, ok := s.Pick(0, now)
		if !ok {
			return order
		}
		if !slices.Contains(order, a.Object) {
			order = append(order, a.Object)
		}
		s.Acked(0, []bond.Range{{First: a.Sequence, Last: a.Sequence}}, 0, now)
	}
}

// TestBrokenGoesLast gives up the first of several pictures: the others, which
// cannot be decoded without it, go after all that can, and are not given up.
func TestBrokenGoesLast(t *testing.T) {
	s := steady(t)
	now := epoch.Add(100 * ms)
	for id := range uint64(4) {
		s.Add(ordinary(0, id, 1000, 50*ms), now)
	}
	s.GiveUp(bond.Object{Alias: 1, Object: 1})
	if shed := s.Shed(); len(shed) != 1 || shed[0].Object.Object != 1 {
		t.Errorf("%v were given up, want object 1 alone", shed)
	}
	s.Add(ordinary(0, 4, 1000, 90*ms), now)
	for id := range uint64(2) {
		s.Add(ordinary(1, id, 1000, 100*ms), now)
	}
	name := func(group, id uint64) bond.Object { return bond.Object{Alias: 1, Group: group, Object: id} }
	want := []bond.Object{name(0, 0), name(1, 0), name(1, 1), name(0, 2), name(0, 3), name(0, 4)}
	if got := sends(s, now); !slices.Equal(got, want) {
		t.Errorf("they are sent as %v, want %v", got, want)
	}
}

// TestTooLateIsNotBegun has more than can be there in time. The oldest, which would
// come too late if it were sent now, is left, so that the next ones are in time.
func TestTooLateIsNotBegun(t *testing.T) {
	s := steady(t)
	now := epoch.Add(500 * ms)
	s.Add(ordinary(0, 1, 12_000, 200*ms), now) // 120 ms and half a round trip: at 640 ms, too near to 700
	s.Add(ordinary(0, 2, 12_000, 300*ms), now)
	a, ok := s.Pick(0, now)
	if !ok || a.Object.Object != 2 {
		t.Errorf("%+v is sent, %v; want object 2", a, ok)
	}
}

// TestGivenUpInTime gives up what was not sent while the next picture can still be
// in time, and not before.
func TestGivenUpInTime(t *testing.T) {
	for age, want := range map[time.Duration]int{350 * ms: 0, 360 * ms: 1} {
		s := steady(t)
		s.Add(ordinary(0, 1, 1000, 100*ms), epoch.Add(100*ms))
		s.Observe(0, Figures{RTT: 40 * ms, MinRTT: 40 * ms}) // it has no room
		s.update(epoch.Add(100*ms + age))
		if got := len(s.Shed()); got != want {
			t.Errorf("after %v %d objects are given up, want %d", age, got, want)
		}
	}
}

func TestArrival(t *testing.T) {
	l := pipes{{20 * ms, 100_000}, {60 * ms, 50_000}}
	for n, want := range map[int64]time.Duration{0: 20 * ms, 1000: 30 * ms, 4000: 60 * ms, 19_000: 160 * ms} {
		if got := l.arrival(n); got.Round(time.Millisecond) != want {
			t.Errorf("%d bytes arrive after %v, want %v", n, got, want)
		}
	}
	if got := (pipes{}).arrival(1000); got != 0 {
		t.Errorf("where nothing is known, it is %v", got)
	}
}
