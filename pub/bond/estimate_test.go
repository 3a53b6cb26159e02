package bond

import (
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
)

// TestEmptyPathIsNotBusy books chunks at a rate that turns out to be wrong: once
// they have arrived, nothing waits.
func TestEmptyPathIsNotBusy(t *testing.T) {
	e := estimate{figures: Figures{RTT: 2 * time.Second, MinRTT: 60 * ms, Window: 16_000}} // 8 kB/s
	now := epoch
	var marks []mark
	for range 4 {
		marks = append(marks, e.sent(4000, now))
	}
	if b := e.backlog(now); b < time.Second {
		t.Errorf("16 kB at 8 kB/s wait for %v, want more than a second", b)
	}
	now = now.Add(80 * ms)
	for _, m := range marks {
		e.acked(4000, m, now)
	}
	if b := e.backlog(now); b != 0 {
		t.Errorf("%v wait with nothing on the way", b)
	}
}

// TestAbandon has a path fall silent. What others have carried meanwhile is taken
// back there, so that it can be asked anew whether it works; the question is not.
func TestAbandon(t *testing.T) {
	s := NewScheduler(Aggregate)
	now := epoch
	for id, name := range []string{"a", "b"} {
		s.AddMember(uint64(id), name, bond.Primary, now)
		s.Observe(uint64(id), Figures{RTT: 40 * ms, MinRTT: 40 * ms, Window: 50_000})
		s.paths[id].enter(Live, now)
	}
	add := func(id uint64) bond.Object {
		o := bond.Object{Alias: 1, Object: id}
		s.Add(Unit{Object: o, Size: 1000, Class: Ordinary, Made: now, Deadline: now.Add(2 * time.Second)}, now)
		return o
	}
	first := add(0)
	if _, ok := s.Pick(0, now); !ok {
		t.Fatal("nothing to send")
	}
	if s.Abandon(0, first) {
		t.Error("a chunk on a path that works was taken back")
	}
	now = now.Add(time.Second)
	if _, ok := s.Pick(1, now); !ok || s.State(0) != Suspect {
		t.Fatalf("the path that is silent is %v, and its chunk goes over no other", s.State(0))
	}
	s.Done(first)
	if !s.Abandon(0, first) || s.members[0].inFlight != 0 {
		t.Errorf("%d bytes are on their way over a path that is suspect and carries nothing that is missing", s.members[0].inFlight)
	}
	second := add(1)
	s.Pick(1, now)
	if a, ok := s.Pick(0, now); !ok || a.Object != second {
		t.Fatalf("%+v, %v for the path that is suspect, want a probe", a, ok)
	}
	s.Done(second)
	if s.Abandon(0, second) {
		t.Error("a probe was taken back")
	}
	s.Acked(0, []bond.Range{{First: 1, Last: 1}}, now)
	if s.State(0) != Wary {
		t.Errorf("the path is %v after its probe has arrived, want wary", s.State(0))
	}
}
