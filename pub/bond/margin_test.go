package bond

import (
	"testing"
	"time"
)

// TestMargin has acknowledgements come as expected, or later by the same time all,
// then one very late, and then all later.
func TestMargin(t *testing.T) {
	g := newMargin()
	if got := g.allowed(); got != firstMargin {
		t.Errorf("%v is allowed when nothing is known, want %v", got, firstMargin)
	}
	for i := range 40 {
		g.learn(30*ms + time.Duration(i%3)*ms)
	}
	if got := g.allowed(); got < 32*ms || got > 37*ms {
		t.Errorf("%v is allowed where all come 30 to 32 ms later than expected, want little more than that", got)
	}
	g.learn(time.Second)
	if got := g.allowed(); got > 45*ms {
		t.Errorf("%v is allowed after one that was sent again, want not much more", got)
	}
	n := 0
	for ; g.allowed() < 130*ms; n++ {
		g.learn(130 * ms)
		if n == 20 {
			t.Fatalf("%v is allowed where all come 130 ms later", g.allowed())
		}
	}
	for range 40 {
		g.learn(-50 * ms)
	}
	if got := g.allowed(); got > -40*ms {
		t.Errorf("%v is allowed where all come 50 ms before they are expected", got)
	}
}

// TestNextIsWhenSomethingIsLate asks when to look again while a chunk is on its
// way: when it is late, if that is soon.
func TestNextIsWhenSomethingIsLate(t *testing.T) {
	s := NewScheduler(Aggregate)
	s.AddMember(0, "a", 0, epoch)
	s.Observe(0, Figures{RTT: 40 * ms, MinRTT: 40 * ms, Window: 50_000})
	s.Add(Unit{Size: 1000, Made: epoch}, epoch)
	if _, ok := s.Pick(0, epoch); !ok {
		t.Fatal("nothing to send")
	}
	due := s.members[0].flights[0].due
	for _, c := range []struct{ now, want time.Time }{
		{due.Add(-20 * ms), due.Add(-15 * ms)},
		{due.Add(-3 * ms), due},
		{due, due.Add(5 * ms)},
	} {
		if got := s.Next(c.now); !got.Equal(c.want) {
			t.Errorf("%v before a chunk is late, Next is %v after that, want %v", due.Sub(c.now), got.Sub(due), c.want.Sub(due))
		}
	}
}
