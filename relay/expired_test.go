package relay_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/relay"
)

// What has expired is fetched anew from the publisher that lets caches have it for a
// while only, once for all who ask in that while.
func TestMustFetchAgainWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		a := &archive{groups: 1, perGroup: 4, cacheFor: 2 * time.Second}
		up := connect(t, r, nil)
		if _, err := up.Announce(t.Context(), track.Namespace); err != nil {
			t.Fatal(err)
		}
		go a.serve(up)
		viewer := connect(t, r, nil)
		if _, err := viewer.Subscribe(t.Context(), track, nil); err != nil { // keeps the track
			t.Fatal(err)
		}
		synctest.Wait()
		began := a.fetches.Load() // the head of the group
		for i, wait := range []time.Duration{0, time.Second, 2 * time.Second, time.Second, 3 * time.Second} {
			time.Sleep(wait)
			if n, unknown, err := fetched(t, connect(t, r, nil), groups(0, 0), nil); n != 4 || unknown != "" || err != nil {
				t.Errorf("fetch %d: %d objects, unknown %q, %v, want all 4", i, n, unknown, err)
			}
		}
		if n := a.fetches.Load() - began; n != 2 {
			t.Errorf("the publisher was asked %d times, want once after each time that all had expired", n)
		}
	})
}
