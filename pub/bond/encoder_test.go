package bond

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport/bond"
)

// TestAdvice follows a capacity that falls and comes back, where the encoder makes
// what it is told.
func TestAdvice(t *testing.T) {
	e := &encoder{}
	demand := 1e6
	during := func(d time.Duration, capacity, waiting float64) int64 {
		for ; d > 0; d -= adviseEvery {
			e.advise(capacity, waiting, demand)
			demand += (float64(e.bits) - demand) * 0.05
		}
		return e.bits
	}
	within := func(what string, low, high int64) {
		t.Helper()
		if e.bits < low || e.bits > high {
			t.Errorf("%s: %d bit/s, want %d to %d", what, e.bits, low, high)
		}
	}
	during(100*ms, 10e6, 0)
	within("at first", 1_500_000, 1_500_000) // not more than half as much again as is made
	during(30*time.Second, 10e6, 0)
	within("after half a minute of 10 Mbit/s", 6_300_000, 6_500_000)
	e.told = e.bits
	if e.urgent() {
		t.Error("nothing has changed, and is urgent")
	}
	during(100*ms, 1e6, 0)
	within("when it has fallen to 1 Mbit/s", 650_000, 650_000)
	if !e.urgent() {
		t.Error("a tenth of what was told is not urgent")
	}
	during(200*ms, 10e6, 0)
	within("right after it came back", 650_000, 650_000)
	during(time.Second, 10e6, 0)
	within("a second after it came back", 2_000_000, 6_000_000)
	demand = 5e6
	during(20*time.Second, 10e6, 0)
	during(100*ms, 10e6, 1e6)
	within("with a megabit that waits", 4_000_000, 4_000_000)
	during(100*ms, 1e6, 1e7)
	within("with more than a second that waits", encoderLeast, encoderLeast)
	demand = 0
	e.advise(10e6, 0, demand)
	within("with nothing that is made", 0, 0)
}

// TestRoom counts what the paths carry, and what waits for them and on them.
func TestRoom(t *testing.T) {
	s := steady(t)
	now := epoch.Add(50 * ms)
	if rate, waiting := s.Room(now); rate < 90_000 || rate > 110_000 || waiting != 0 {
		t.Errorf("%.0f bytes/s, of which %.0f bytes wait; want 100,000 and none", rate, waiting)
	}
	s.Add(ordinary(0, 1, 40_000, 50*ms), now)
	for {
		if _, ok := s.Pick(0, now); !ok {
			break
		}
	}
	if _, waiting := s.Room(now); waiting < 34_000 || waiting > 40_000 {
		t.Errorf("%.0f bytes wait, want 40,000 less what is on its way", waiting)
	}
	s.Limit("a", 20_000)
	if rate, _ := s.Room(now); rate != 20_000 {
		t.Errorf("%.0f bytes/s of a path that may carry 20,000", rate)
	}
}

// TestSilentPathIsGivenLess has one of two paths late with an answer, not for long
// enough to be suspect: what comes next goes over the other.
func TestSilentPathIsGivenLess(t *testing.T) {
	s := NewScheduler(Aggregate)
	for id := range uint64(2) {
		s.AddMember(id, string(rune('a'+id)), bond.Primary, epoch)
		s.Observe(id, Figures{RTT: 40 * ms, MinRTT: 40 * ms, Deviation: 30 * ms, Window: 40_000})
	}
	s.Observe(1, Figures{RTT: 50 * ms, MinRTT: 50 * ms, Deviation: 30 * ms, Window: 50_000})
	for _, p := range s.paths {
		p.enter(Live, epoch)
	}
	s.Add(ordinary(0, 1, 1000, 0), epoch)
	if a, ok := s.Pick(0, epoch); !ok || a.Object.Object != 1 {
		t.Fatalf("%+v is sent, %v; want object 1", a, ok)
	}
	due := s.members[0].flights[0].due.Sub(epoch)
	for late, want := range map[time.Duration]bool{-10 * ms: true, 40 * ms: false} {
		now := epoch.Add(due + late)
		s.Add(ordinary(0, 2, 1000, due+late), now)
		if u, _, _ := s.fresh(s.members[0], now); (u != nil) != want {
			t.Errorf("%v after its answer was due a path that is %v is given something: %v, want %v", late, s.paths[0].state, u != nil, want)
		}
		s.GiveUp(bond.Object{Alias: 1, Object: 2})
	}
}

// TestEncoderHearsAtOnce slows the only link down to a tenth: the encoder does not
// hear of it with the next second, but at once.
func TestEncoderHearsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := netsim.New(t, netsim.Seed(9))
		relay := newTestRelay(t, net)
		link := net.Link(netsim.Rate(8*netsim.Mbit), netsim.Delay(20*ms))
		began := time.Now()
		var heard, slow atomic.Int64 // since then
		b := startBond(relay, Config{Mode: Aggregate, Report: func(s Status) {
			if slow.Load() > 0 && s.Encoder < 1_000_000 {
				heard.CompareAndSwap(0, int64(time.Since(began)))
			}
		}}, link)
		b.joined(1)
		b.video(2e6, 8*time.Second, func(frame int) {
			if frame == 160 {
				slow.Store(int64(time.Since(began)))
				link.Set(netsim.Rate(800 * netsim.Kbit))
			}
		})
		at, after := time.Duration(heard.Load()), time.Duration(slow.Load())
		if at < after || at > after+500*ms || at%time.Second == 0 {
			t.Errorf("the encoder hears %v after the beginning of what was so after %v", at, after)
		}
	})
}
