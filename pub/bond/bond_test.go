package bond

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport/bond"
)

// links returns a network and links of so many Mbit/s with the given round trips.
func tenTen(net *netsim.Network) []*netsim.Link {
	return []*netsim.Link{
		net.Link(netsim.Rate(10*netsim.Mbit), netsim.Delay(25*ms)),
		net.Link(netsim.Rate(10*netsim.Mbit), netsim.Delay(25*ms)),
	}
}

// TestBondCarries publishes over two links in each mode.
func TestBondCarries(t *testing.T) {
	for _, c := range []struct {
		mode     Mode
		overhead float64 // per cent, at most
	}{{Hybrid, 25}, {Aggregate, 5}, {Redundant, 100}, {Standby, 5}, {BestFPS, 25}, {Auto, 100}} {
		t.Run(c.mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := netsim.New(t, netsim.Seed(3))
				relay := newTestRelay(t, net)
				b := startBond(relay, Config{Mode: c.mode}, tenTen(net)...)
				b.joined(2)
				begin := time.Now()
				b.video(4e6, 6*time.Second, nil)
				time.Sleep(2 * time.Second)
				r := b.result(begin, time.Now())
				t.Logf("%v; %+v", r, b.Status())
				if r.lost > 0 || r.late[500] > 0 || r.overhead > c.overhead {
					t.Errorf("%v", r)
				}
			})
		})
	}
}

// TestBondTellsWhatItGivesUp publishes three times what fits: of every object the
// relay has all, or was told in time not to wait for it.
func TestBondTellsWhatItGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := netsim.New(t, netsim.Seed(8))
		relay := newTestRelay(t, net)
		b := startBond(relay, Config{Mode: Aggregate, Deadline: 500 * ms}, net.Link(netsim.Rate(netsim.Mbit), netsim.Delay(25*ms)))
		b.joined(1)
		b.video(3e6, 10*time.Second, nil)
		b.EndSubgroup(1, 4, 0, 60, true)
		time.Sleep(2 * time.Second)
		relay.mu.Lock()
		defer relay.mu.Unlock()
		gone := 0
		for o := range b.made {
			got := relay.objects[o]
			switch whole := got != nil && !got.at.IsZero(); {
			case relay.gone[o]:
				gone++
			case !whole:
				t.Errorf("object %v is not whole, and nothing was told of it", o)
			}
		}
		if gone < 100 {
			t.Errorf("%d objects were given up, want at least 100", gone)
		}
		for group := range uint64(5) {
			if end := relay.objects[bond.Object{Alias: 1, Group: group, Object: 60}]; end == nil || !end.header.End || !end.header.Last {
				t.Errorf("group %d has no end: %+v", group, end)
			}
		}
	})
}
