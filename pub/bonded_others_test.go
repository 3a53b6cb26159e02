package pub

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/pub/bond"
)

// TestBondWithoutTheExtension publishes to our relay when that does not speak the
// extension: it merges what comes whole over both paths.
func TestBondWithoutTheExtension(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBondTest(t, false, ten(), ten())
		b.publish(bond.Hybrid)
		b.watch("video", "audio")
		time.Sleep(5 * time.Second)
		b.links[0].Blackout(5 * time.Second)
		time.Sleep(12 * time.Second)
		gap := b.check(1002, 1014, "video", "audio")
		for _, p := range b.pub.Bond().Status().Paths {
			if p.State != "alone" {
				t.Errorf("path %s is %s, want alone", p.Name, p.State)
			}
		}
		if gap > 150*time.Millisecond {
			t.Errorf("nothing new was there for %v", gap)
		}
	})
}

// TestBondAtAnotherRelay publishes to a relay that is not known to merge, and does:
// once that is found out all paths publish, so that nothing is missed when one goes.
func TestBondAtAnotherRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBondTest(t, false, ten(), ten())
		b.cfg.Implementation = "other/1"
		b.publish(bond.Hybrid)
		b.watch("video", "audio")
		time.Sleep(15 * time.Second)
		for _, l := range b.links { // one of them would be the only one
			l.Blackout(4 * time.Second)
			time.Sleep(12 * time.Second)
		}
		if gap := b.check(1010, 1036, "video", "audio"); gap > 150*time.Millisecond {
			t.Errorf("nothing new was there for %v", gap)
		}
	})
}

// TestBondStripesAtAnotherRelay publishes in the mode aggregate to a relay that is
// not ours and merges, over links neither of which can carry the pictures: each
// goes over one of them. A link that is cut takes nothing with it.
func TestBondStripesAtAnotherRelay(t *testing.T) {
	for _, c := range []struct {
		name string
		rate int64 // of the links once the relay was probed
		cut  bool
		gap  time.Duration
	}{
		{"slow links", 170 * netsim.Kbit, false, 800 * time.Millisecond},
		{"a cut", 10 * netsim.Mbit, true, 700 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBondTest(t, false, ten(), ten())
				b.cfg.Implementation = "other/1"
				b.publish(bond.Aggregate)
				b.watch("video", "audio")
				time.Sleep(10 * time.Second)
				for _, l := range b.links {
					l.Set(netsim.Rate(c.rate))
				}
				time.Sleep(5 * time.Second)
				if !b.pub.Bond().Stripes() {
					t.Fatal("the relay was not found to merge")
				}
				was := b.carried()
				time.Sleep(5 * time.Second)
				now := b.carried()
				for i := range now {
					if share := float64(now[i]-was[i]) / float64(now[0]+now[1]-was[0]-was[1]); share < 0.25 {
						t.Errorf("link %d carried %.0f %% of all", i, 100*share)
					}
				}
				if c.cut {
					b.links[0].Blackout(4 * time.Second)
				}
				time.Sleep(8 * time.Second)
				gap := b.check(1013, 1024, "video", "audio")
				t.Logf("gap %v", gap)
				if gap > c.gap {
					t.Errorf("nothing new was there for %v", gap)
				}
			})
		})
	}
}

// carried returns what the links have been sent upwards, bytes.
func (b *bondTest) carried() (bytes []int64) {
	for _, l := range b.links {
		up, _ := l.Stats()
		bytes = append(bytes, up.SentBytes)
	}
	return bytes
}
