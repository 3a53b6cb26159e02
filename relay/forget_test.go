package relay_test

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"weak"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// TestTrackForgetsPublishers has one session after the other publish a track that
// goes on without them: the relay keeps nothing of those that are over.
func TestTrackForgetsPublishers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		stays := publish(t, connect(t, r, nil), track)
		watch(t, r)
		synctest.Wait()
		stays.write(1, 0)
		const n = 20
		var theirs []weak.Pointer[transport.Session] // the relay's ends
		for range n {
			client, server := transporttest.Pipe(t, nil)
			var wg sync.WaitGroup
			began := make(chan weak.Pointer[transport.Session], 1)
			wg.Go(func() {
				s, err := transport.NewSession(t.Context(), server, nil)
				if err != nil {
					t.Error(err)
					return
				}
				began <- weak.Make(s)
				r.ServeSession(t.Context(), s)
			})
			sess, err := transport.NewSession(t.Context(), client, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := sess.Publish(t.Context(), track, nil); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if s := r.State().Tracks[0].Sources; s != 2 {
				t.Fatalf("the track has %d sources, want 2", s)
			}
			sess.Close()
			wg.Wait()
			theirs = append(theirs, <-began)
		}
		synctest.Wait()
		runtime.GC()
		runtime.GC()
		kept := 0
		for _, p := range theirs {
			if p.Value() != nil {
				kept++
			}
		}
		if kept > 2 { // what ran last may still be on a stack
			t.Errorf("%d sessions of %d that are over are kept", kept, n)
		}
	})
}
