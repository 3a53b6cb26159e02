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
	s.Acked(0, []bond.Range{{First: 1, Last: 1}}, 0, now)
	if s.State(0) != Wary {
		t.Errorf("the path is %v after its probe has arrived, want wary", s.State(0))
	}
}

// TestRateOfALine sends more at once than a path carries in a moment, though far
// less than its window: what stands in line tells the rate, whatever the window
// says, and what comes after a pause does not.
func TestRateOfALine(t *testing.T) {
	const rate, delay = 250_000, 60 * ms
	e := estimate{figures: Figures{RTT: 2 * delay, MinRTT: 2 * delay, Window: 200_000}}
	if got := e.bytesPerSecond(epoch); got < 1_000_000 {
		t.Fatalf("%.0f bytes/s by the window, want more than a million", got)
	}
	for round := range 4 {
		now := epoch.Add(time.Duration(round) * 1500 * ms)
		for i := range 32 {
			arrived := now.Add(delay + time.Duration(i+1)*4*ms) // 1000 bytes
			e.passed(1000, now, arrived.Sub(epoch)+time.Hour, arrived.Add(delay))
		}
		was := e.rate
		now = now.Add(time.Second)
		arrived := now.Add(delay + 4*ms)
		e.passed(1000, now, arrived.Sub(epoch)+time.Hour, arrived.Add(delay))
		if e.rate != was {
			t.Errorf("%.0f bytes/s after one chunk alone, %.0f before", e.rate, was)
		}
	}
	if got := e.rate; got < rate || got > 1.1*rate {
		t.Errorf("%.0f bytes/s after some that stood in line, want %d", got, rate)
	}
}

// TestSteady has a link that sends in bursts, and one that has become slower: the
// first is believed to go on with the mean of what it did, the other soon as it is now.
func TestSteady(t *testing.T) {
	const fast, slow = 500_000, 100_000
	for _, c := range []struct {
		name        string
		rate        func(i int) float64 // of each 50 ms
		least, most float64
	}{
		{"bursts", func(i int) float64 { return []float64{fast, slow}[i%2] }, 0.6 * (fast + slow) / 2, 0.8 * (fast + slow) / 2},
		{"slower", func(i int) float64 { return []float64{fast, slow}[i/20] }, slow, 1.3 * slow},
	} {
		e := estimate{figures: Figures{RTT: 50 * ms, MinRTT: 50 * ms, Window: 1 << 20}}
		now := epoch
		for i := range 40 {
			now = now.Add(50 * ms)
			e.learn(c.rate(i), now)
		}
		if got := e.steady(now); got < c.least || got > c.most {
			t.Errorf("%s: %.0f bytes/s, want %.0f to %.0f; the mean is %.0f", c.name, got, c.least, c.most, e.mean)
		}
	}
}
