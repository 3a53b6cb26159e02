package bond

import (
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
)

// carriers is a scheduler with a path of two connections and one of a single one, all
// of 100 kB/s, both of which carry a copy of the vital object that it returns.
func carriers(t *testing.T, size int64) (*Scheduler, bond.Object) {
	t.Helper()
	s := NewScheduler(Hybrid)
	for id, name := range []string{"a", "a", "b"} {
		s.AddMember(uint64(id), name, bond.Primary, epoch)
		s.Observe(uint64(id), Figures{RTT: 40 * ms, MinRTT: 40 * ms, Window: 4000})
	}
	for _, p := range s.paths {
		p.enter(Live, epoch)
	}
	o := bond.Object{Alias: 1, Group: 1}
	s.Add(Unit{Object: o, Size: size, Class: Vital, Made: epoch}, epoch)
	return s, o
}

// drain has a connection send all that it can at now, and returns what that is of o.
func drain(s *Scheduler, id uint64, o bond.Object, now time.Time) (n int, sent spans) {
	for {
		a, ok := s.Pick(id, now)
		if !ok {
			return n, sent
		}
		if a.Object == o {
			n++
			sent.add(span{a.Offset, a.Offset + a.Length})
		}
	}
}

// TestTheLastCarrierLosesAConnection takes one of two paths that carry an object, and
// then one of the two connections of the other: what that had on its way goes over
// the one that is left.
func TestTheLastCarrierLosesAConnection(t *testing.T) {
	for _, size := range []int64{3000, 0} {
		s, o := carriers(t, size)
		if n, _ := drain(s, 0, o, epoch); n == 0 {
			t.Fatal("the first connection was given nothing")
		}
		s.RemoveMember(2, epoch)
		s.RemoveMember(0, epoch)
		n, sent := drain(s, 1, o, epoch.Add(ms))
		if n == 0 || sent.size() != size {
			t.Errorf("of an object of %d bytes the last connection was given %v in %d chunks", size, sent, n)
		}
	}
}

// TestTheLastCarrierIsLate has one path carry an object after the other is gone, and
// not acknowledge it in time: a third one, which comes later, sends it as well.
func TestTheLastCarrierIsLate(t *testing.T) {
	s, o := carriers(t, 3000)
	s.members[0].margin = margin{} // it is known to do as expected
	drain(s, 0, o, epoch)
	s.RemoveMember(2, epoch)
	s.AddMember(3, "c", bond.Primary, epoch)
	s.Observe(3, Figures{RTT: 40 * ms, MinRTT: 40 * ms, Window: 4000})
	s.paths[1].enter(Live, epoch)
	s.budget = reinjectBurst
	flights := s.members[0].flights
	late := flights[len(flights)-1].due.Add(ms)
	n, sent := drain(s, 3, o, late)
	if state := s.State(0); state != Live {
		t.Errorf("the path is %v when it is late, want live", state)
	}
	if sent.size() != 3000 {
		t.Errorf("the third path was given %v in %d chunks, want all 3000 bytes", sent, n)
	}
}
