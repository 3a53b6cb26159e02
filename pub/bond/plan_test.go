package bond

import (
	"slices"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
)

// TestAsManyAsPossible has time for one large picture or two small ones: the small
// ones go, though they are newer, and then what is left.
func TestAsManyAsPossible(t *testing.T) {
	s := steady(t)
	now := epoch.Add(300 * ms)
	for id, size := range map[uint64]int64{1: 11_000, 2: 5000, 3: 5000} { // 115 ms, as much as 11,500 bytes, until 435 ms
		s.Add(ordinary(0, id, size, 60*ms), now)
	}
	name := func(id uint64) bond.Object { return bond.Object{Alias: 1, Object: id} }
	got := sends(s, now)
	slices.SortFunc(got[:min(2, len(got))], func(a, b bond.Object) int { return int(a.Object) - int(b.Object) })
	if want := []bond.Object{name(2), name(3), name(1)}; !slices.Equal(got, want) {
		t.Errorf("they are sent as %v, want %v", got, want)
	}
}

// TestVitalIsNotLeftForOthers has time for a key frame or two ordinary pictures.
func TestVitalIsNotLeftForOthers(t *testing.T) {
	s := steady(t)
	now := epoch.Add(300 * ms)
	for id, size := range map[uint64]int64{0: 11_000, 1: 5000, 2: 5000} {
		s.Add(ordinary(0, id, size, 60*ms), now)
	}
	if a, ok := s.Pick(0, now); !ok || a.Object.Object != 0 {
		t.Errorf("%+v is sent, %v; want the key frame", a, ok)
	}
}

// stuck is a scheduler with two paths, of which the first has fallen silent with all
// of object 1 on its way.
func stuck(t *testing.T, now time.Time) *Scheduler {
	t.Helper()
	s := NewScheduler(Aggregate)
	for id, name := range []string{"a", "b"} {
		s.AddMember(uint64(id), name, bond.Primary, epoch)
		s.Observe(uint64(id), Figures{RTT: 40 * ms, MinRTT: 40 * ms, Window: 4000})
	}
	s.paths[0].enter(Live, epoch)
	s.Add(ordinary(0, 1, 3000, 0), epoch)
	for sent := int64(0); sent < 3000; {
		a, ok := s.Pick(0, epoch)
		if !ok {
			t.Fatalf("%d of 3000 bytes are sent", sent)
		}
		sent += a.Length
	}
	s.paths[0].enter(Suspect, now)
	s.paths[1].enter(Live, now)
	s.suspected(s.paths[0])
	s.paths[1].members[0].heard = now
	return s
}

// TestStuckGoesFirst has a picture that is stuck on a silent path, and newer ones.
// Where not all can be in time, what has most of it behind itself goes first; where
// all can, what is new.
func TestStuckGoesFirst(t *testing.T) {
	now := epoch.Add(100 * ms)
	for size, want := range map[int64]uint64{5000: 2, 60_000: 1} {
		s := stuck(t, now)
		s.Add(ordinary(0, 2, 3000, 90*ms), now)
		s.Add(ordinary(0, 3, size, 95*ms), now)
		a, ok := s.Pick(1, now)
		if !ok || a.Object.Object != want || a.Copy != (want == 1) {
			t.Errorf("beside one of %d bytes %+v is sent, %v; want object %d", size, a, ok, want)
		}
		if again := s.Stats().Reinjected; again > 0 != (want == 1) {
			t.Errorf("beside one of %d bytes %d are sent again", size, again)
		}
	}
}

// TestBegunHasAllItsTime has a picture of which all is on its way. It is waited for
// until its deadline; one that nothing was sent of is given up an eighth of a second
// before.
func TestBegunHasAllItsTime(t *testing.T) {
	for _, begun := range []bool{true, false} {
		for age, want := range map[time.Duration]bool{350 * ms: false, 360 * ms: !begun, 475 * ms: !begun, 500 * ms: true} {
			s := steady(t)
			s.Add(ordinary(0, 1, 1000, 100*ms), epoch.Add(100*ms))
			if begun {
				if _, ok := s.Pick(0, epoch.Add(400*ms)); !ok {
					t.Fatal("nothing is sent")
				}
			}
			s.Observe(0, Figures{RTT: 40 * ms, MinRTT: 40 * ms}) // it has no room
			s.update(epoch.Add(100*ms + age))
			if got := len(s.Shed()) > 0; got != want {
				t.Errorf("begun %v: given up after %v: %v, want %v", begun, age, got, want)
			}
		}
	}
}

// TestBegunMayBeLater has a picture of which the rest can be there before its
// deadline, though not an eighth of a second before.
func TestBegunMayBeLater(t *testing.T) {
	for _, begun := range []bool{true, false} {
		s := steady(t)
		u := ordinary(0, 1, 3000, 100*ms)
		s.Add(u, epoch.Add(100*ms))
		if begun {
			a, ok := s.Pick(0, epoch.Add(300*ms))
			if !ok {
				t.Fatal("nothing is sent")
			}
			s.Acked(0, []bond.Range{{First: a.Sequence, Last: a.Sequence}}, 240*ms, epoch.Add(340*ms))
		}
		s.update(epoch.Add(440 * ms))
		if got := s.byName[u.Object].chosen; got != begun {
			t.Errorf("begun %v: it can be in time: %v", begun, got)
		}
	}
}

// TestPlanIsBounded has more objects wait than are planned.
func TestPlanIsBounded(t *testing.T) {
	s := steady(t)
	now := epoch.Add(100 * ms)
	for id := range uint64(planMost + 100) {
		s.Add(Unit{Object: bond.Object{Alias: 1, Object: 1 + id}, Size: 1, Class: Ordinary, Made: now, Deadline: now.Add(time.Hour)}, now)
	}
	s.update(now)
	for i, u := range s.queue {
		if want := i < planMost; u.chosen != want {
			t.Fatalf("object %d of %d is planned: %v, want %v", i, len(s.queue), u.chosen, want)
		}
	}
	if a, ok := s.Pick(0, now); !ok || a.Object != s.queue[0].Object {
		t.Errorf("%+v is sent, %v; want the first", a, ok)
	}
}
