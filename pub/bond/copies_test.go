package bond

import (
	"slices"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
)

// TestWhatGoesTwice adds an object of each class in each mode, with paths in each
// state and of each cost.
func TestWhatGoesTwice(t *testing.T) {
	for _, c := range []struct {
		mode Mode
		u    Unit
		want []string
	}{
		{Hybrid, Unit{Class: Vital}, []string{"fast", "middle"}},
		{Hybrid, Unit{Class: Ordinary}, nil},
		{Hybrid, Unit{Class: Ordinary, Spread: true}, []string{"fast", "middle", "slow"}},
		{Aggregate, Unit{Class: Vital}, nil},
		{Aggregate, Unit{Class: Vital, Spread: true}, []string{"fast", "middle", "slow"}},
		{Redundant, Unit{Class: Ordinary}, []string{"fast", "middle", "slow"}},
		{Standby, Unit{Class: Vital}, nil},
	} {
		s := NewScheduler(c.mode)
		for i, p := range []struct {
			name  string
			rtt   time.Duration
			cost  bond.Cost
			state State
		}{
			{"slow", 300 * ms, Primary, Live}, {"fast", 20 * ms, Primary, Live}, {"silent", 10 * ms, Primary, Suspect},
			{"new", 10 * ms, Primary, Fresh}, {"dear", 10 * ms, Backup, Live}, {"middle", 60 * ms, Primary, Wary},
		} {
			id := uint64(i)
			s.AddMember(id, p.name, p.cost, epoch)
			s.Observe(id, Figures{RTT: p.rtt, MinRTT: p.rtt, Window: 1 << 20})
			s.paths[i].enter(p.state, epoch)
		}
		c.u.Object, c.u.Size, c.u.Made, c.u.Deadline = bond.Object{Alias: 1}, 9000, epoch, epoch.Add(2*time.Second)
		s.Add(c.u, epoch)
		var got []string
		u := s.byName[c.u.Object]
		var from []int64
		for p, part := range u.copies {
			got = append(got, p.name)
			from = append(from, part.from)
			if part.size() != c.u.Size {
				t.Errorf("%v, %+v: %s is to carry %d bytes", c.mode, c.u, p.name, part.size())
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) || (len(got) > 0) != (len(u.unsent) == 0) {
			t.Errorf("%v, %+v: goes whole over %v, and %v over any; want %v", c.mode, c.u, got, u.unsent, c.want)
		}
		slices.Sort(from)
		for i := range from {
			if want := c.u.Size * int64(i) / int64(len(from)); from[i] != want {
				t.Errorf("%v, %+v: the copies begin at %v", c.mode, c.u, from)
			}
		}
	}
}

// TestReinjectionHasABudget has very much late on one of two paths that work: the
// other sends a twentieth of it again, and no more.
func TestReinjectionHasABudget(t *testing.T) {
	s := NewScheduler(Aggregate)
	for id, name := range []string{"a", "b"} {
		s.AddMember(uint64(id), name, Primary, epoch)
		s.Observe(uint64(id), Figures{RTT: 60 * ms, MinRTT: 60 * ms, Window: 4 << 20})
		s.paths[id].enter(Live, epoch)
	}
	for i := range uint64(60) {
		s.Add(Unit{Object: bond.Object{Alias: 1, Object: i}, Size: 4096, Class: Ordinary, Made: epoch, Deadline: epoch.Add(2 * time.Second)}, epoch)
	}
	var given []*unit // to a, all that there is
	for _, u := range s.queue {
		sp, _ := u.unsent.take(4096, 0)
		s.give(s.members[0], u, sp, &s.stats.Copied, epoch)
		given = append(given, u)
	}
	unique := s.stats.Unique
	if unique != 60*4096 {
		t.Fatalf("%d bytes were given", unique)
	}
	m := s.members[0]
	now := epoch.Add(m.stall(time.Second) - time.Millisecond) // silent, not for long enough to be suspect
	for range 100 {
		s.Pick(1, now)
	}
	if s.paths[0].state != Live {
		t.Fatalf("the path is %v", s.paths[0].state)
	}
	share := float64(s.stats.Reinjected) / float64(unique)
	if share < 0.03 || share > 0.07 {
		t.Errorf("%.3f of what is late was sent again, want about 0.05", share)
	}
	// When the path is suspect, all of it is.
	now = now.Add(10 * ms)
	for range 400 {
		if a, ok := s.Pick(1, now); ok {
			s.Acked(1, []bond.Range{{First: a.Sequence, Last: a.Sequence}}, 0, now)
		}
	}
	if s.paths[0].state != Suspect || s.stats.Reinjected < unique*9/10 {
		t.Errorf("%d of %d bytes were sent again over the path that works, while the other is %v", s.stats.Reinjected, unique, s.paths[0].state)
	}
}
