package bond

import (
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
)

// TestDetour has two paths of equal rate and least round trip, of which one is asked
// first that has become longer. It gets a picture alone only where that is not sure.
func TestDetour(t *testing.T) {
	for _, tt := range []struct {
		name   string
		late   margin
		silent time.Duration
		takes  bool
	}{
		{"as ever", margin{}, 0, true},
		{"behind a queue", margin{bias: 90 * ms}, 0, true},
		{"longer", margin{bias: 350 * ms, spread: 20 * ms}, 0, false},
		{"longer, or not", margin{bias: 350 * ms, spread: 90 * ms}, 0, true},
		{"longer a second ago", margin{bias: 350 * ms, spread: 20 * ms}, time.Second, true},
	} {
		s := NewScheduler(Hybrid)
		now := epoch
		for id, name := range []string{"first", "second"} {
			s.AddMember(uint64(id), name, bond.Primary, now)
			s.Observe(uint64(id), Figures{RTT: 50 * ms, MinRTT: 50 * ms, Window: 100_000})
			m := s.members[uint64(id)]
			m.path.enter(Live, now)
			m.rate, m.learnt, m.heard = 1e6, now, now.Add(-tt.silent)
		}
		s.members[0].margin = tt.late
		s.Add(Unit{Object: bond.Object{Alias: 1}, Size: 1000, Class: Ordinary, Made: now, Deadline: now.Add(2 * time.Second)}, now)
		if _, took := s.Pick(0, now); took != tt.takes {
			t.Errorf("%s: Pick() of the first path gave something: %v, want %v", tt.name, took, tt.takes)
		}
		if _, took := s.Pick(1, now); took == tt.takes {
			t.Errorf("%s: Pick() of the second path gave something: %v, want %v", tt.name, took, !tt.takes)
		}
	}
}
