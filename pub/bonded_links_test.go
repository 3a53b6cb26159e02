package pub

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/pub/bond"
)

// TestWeakUplink impairs one of two links, again and again for two seconds. A viewer
// who keeps 300 ms, as the catalog asks, never sees the picture stand still.
func TestWeakUplink(t *testing.T) {
	for name, weak := range map[string][]netsim.Option{
		"slow":  {netsim.Up(netsim.Rate(60 * netsim.Kbit))},
		"lossy": {netsim.Up(netsim.Loss(0.3))},
		"late":  {netsim.Delay(400 * time.Millisecond)},
		"mute":  {netsim.Down(netsim.Loss(1))},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBondTest(t, true, ten(), ten())
				b.publish(bond.Hybrid)
				b.watch("video", "audio")
				time.Sleep(5 * time.Second)
				for range 3 {
					b.links[0].Set(weak...)
					time.Sleep(2 * time.Second)
					b.links[0].Set(append(ten(), netsim.Loss(0))...)
					time.Sleep(2 * time.Second)
				}
				time.Sleep(2 * time.Second)
				gap := b.check(1002, 1018, "video", "audio")
				t.Logf("gap %v", gap)
				if gap > 300*time.Millisecond {
					t.Errorf("nothing new was there for %v", gap)
				}
			})
		})
	}
}

// TestNATsForget has the NATs before both links give them other ports in the middle
// of a broadcast: the sessions go on, and viewers notice next to nothing.
func TestNATsForget(t *testing.T) {
	for _, mode := range []bond.Mode{bond.Hybrid, bond.Standby} {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBondTest(t, true, ten(), ten())
				b.publish(mode)
				b.watch("video", "audio")
				time.Sleep(5 * time.Second)
				b.links[0].Rebind()
				time.Sleep(5 * time.Second)
				for _, l := range b.links {
					l.Rebind()
				}
				time.Sleep(6 * time.Second)
				if gap := b.check(1002, 1014, "video", "audio"); gap > 200*time.Millisecond {
					t.Errorf("nothing new was there for %v", gap)
				}
				var moves []int32
				for _, s := range b.relay.State().Sessions {
					moves = append(moves, s.Migrations)
				}
				if slices.Sort(moves); !slices.Equal(moves, []int32{0, 1, 2}) { // the first is the viewer's
					t.Errorf("sessions moved %v times, want the one path once and the other twice", moves)
				}
			})
		})
	}
}

// TestStandbyIsIdle looks at what the second link carries while the first does
// well, and after that is cut.
func TestStandbyIsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBondTest(t, true, ten(), append(ten(), netsim.Delay(40*time.Millisecond)))
		b.publish(bond.Standby)
		b.watch("video", "audio")
		time.Sleep(5 * time.Second)
		was := b.carried()
		time.Sleep(10 * time.Second)
		now := b.carried()
		active, idle := now[0]-was[0], now[1]-was[1]
		if active < idle {
			active, idle = idle, active
		}
		t.Logf("%d and %d bytes in ten seconds", active, idle)
		if active < 250_000 || idle > 75_000 { // a probe of 1200 bytes five times a second, and what QUIC adds
			t.Errorf("%d and %d bytes went over the links in ten seconds, want all over one and probes over the other", active, idle)
		}
		first := 0
		if now[1]-was[1] == active {
			first = 1
		}
		b.links[first].Cut()
		time.Sleep(time.Second)
		was = b.carried()
		time.Sleep(5 * time.Second)
		now = b.carried()
		if took := now[1-first] - was[1-first]; took < 125_000 {
			t.Errorf("%d bytes went over the second link in five seconds without the first", took)
		}
		if gap := b.check(1002, 1018, "video", "audio"); gap > 300*time.Millisecond {
			t.Errorf("nothing new was there for %v", gap)
		}
	})
}
