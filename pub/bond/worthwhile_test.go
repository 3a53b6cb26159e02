package bond

import (
	"fmt"
	"testing"

	"github.com/tributary-live/tributary/transport/bond"
)

// TestSomebodySends has two paths, each of several connections, that are idle. One
// of all connections takes what is there to be sent.
func TestSomebodySends(t *testing.T) {
	for _, mode := range []Mode{Aggregate, Hybrid, Standby} {
		for _, n := range []uint64{1, 2, 4, 8} {
			t.Run(fmt.Sprint(mode, " ", n), func(t *testing.T) {
				s := NewScheduler(mode)
				for id := range 2 * n {
					s.AddMember(id, fmt.Sprint(id/n), bond.Primary, epoch)
					s.Observe(id, Figures{RTT: 50 * ms, MinRTT: 50 * ms, Deviation: ms, Window: 12_000})
				}
				for _, p := range s.paths {
					p.enter(Live, epoch)
				}
				if mode == Standby { // the path in use is not the best any more
					s.active = s.paths[0]
					for id := range n {
						s.Observe(id, Figures{RTT: 90 * ms, MinRTT: 90 * ms, Deviation: ms, Window: 12_000})
					}
				}
				s.Add(Unit{Object: bond.Object{Alias: 1}, Size: 1000, Class: Ordinary, Made: epoch, Deadline: epoch.Add(2000 * ms)}, epoch)
				for id := range 2 * n {
					if _, ok := s.Pick(id, epoch); ok {
						return
					}
				}
				t.Error("nobody sends")
			})
		}
	}
}
