package pub

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/pub/bond"
)

// Subscribers are told at once when a publisher with several links ends, and have
// what was published, even if one of the links is dead.
func TestBondEnds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		bonds bool // the relay knows them
		dead  bool // one of the links is
		told  time.Duration
		ended time.Duration
	}{
		{"a bond", true, false, 300 * time.Millisecond, 2 * time.Second},
		{"a bond with a dead link", true, true, 4 * time.Second, drainTime + time.Second},
		{"a relay that knows no bonds", false, false, 300 * time.Millisecond, 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBondTest(t, tt.bonds, ten(), ten())
				b.publish(bond.Hybrid)
				b.watch("video", "audio")
				time.Sleep(8 * time.Second)
				if tt.dead {
					b.links[1].Blackout(time.Hour)
				}
				time.Sleep(100 * time.Millisecond)
				last, _ := b.pub.broadcast.Track("video", 0).Largest()
				ended := time.Now()
				b.pub.End()
				if err := <-b.ended; err != nil || time.Since(ended) > tt.ended {
					t.Errorf("Run() = %v after %v, want nil after %v at most", err, time.Since(ended), tt.ended)
				}
				time.Sleep(10 * time.Second)
				b.check(1002, last.Group, "video", "audio")
				b.mu.Lock()
				defer b.mu.Unlock()
				if _, came := b.got["video"][last]; !came {
					t.Errorf("video %v, the last that was published, did not come", last)
				}
				for _, name := range []string{"video", "audio"} {
					o, told := b.over[name]
					if !told || o.err != nil || o.at.Sub(ended) > tt.told {
						t.Errorf("%s: told of the end %v: %v after %v, want nil after %v at most", name, told, o.err, o.at.Sub(ended), tt.told)
					}
					t.Logf("%s: told after %v", name, o.at.Sub(ended))
				}
			})
		})
	}
}
