package relay_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// A publisher that never answers a FETCH is one all the same: the track is
// there at once, and so is its next group.
func TestTrackOfAPublisherThatAnswersNoFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		pub := connect(t, r, nil)
		if _, err := pub.Announce(t.Context(), track.Namespace); err != nil {
			t.Fatal(err)
		}
		writers := make(chan *transport.TrackWriter, 1)
		fetched := make(chan struct{}, 1)
		go func() {
			for {
				req, err := pub.Accept(t.Context())
				if err != nil {
					return
				}
				switch req := req.(type) {
				case *transport.SubscribeRequest:
					w, err := req.Accept(&transport.PublishOptions{Largest: func() (moqt.Location, bool) {
						return moqt.Location{Group: 7, Object: 3}, true
					}})
					if err != nil {
						t.Error(err)
					}
					writers <- w
				case *transport.FetchRequest:
					fetched <- struct{}{}
				}
			}
		}()
		began := time.Now()
		tr, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		<-fetched
		w := <-writers
		g, err := w.OpenGroup(t.Context(), 8)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.WriteObject(moqt.Object{Location: moqt.Location{Group: 8}, Payload: payload(8, 0)}); err != nil {
			t.Fatal(err)
		}
		sg, err := tr.AcceptSubgroup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		o, err := sg.ReadObject()
		if err != nil || o.Location != (moqt.Location{Group: 8}) || string(o.Payload) != string(payload(8, 0)) {
			t.Errorf("ReadObject() = %v %q, %v, want the first of group 8", o.Location, o.Payload, err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the object took %v, want no wait for the fetch", took)
		}
	})
}
