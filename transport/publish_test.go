package transport_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// published makes a publication of pub that sub accepts.
func published(t *testing.T, pub, sub *transport.Session, po *transport.PublishOptions, so *transport.SubscribeOptions) (*transport.TrackWriter, *transport.TrackReader) {
	t.Helper()
	wait := async(func() (*transport.TrackWriter, error) { return pub.Publish(t.Context(), clock, po) })
	r, err := accept[*transport.PublishRequest](t, sub).Accept(so)
	if err != nil {
		t.Fatalf("Accept() = %v", err)
	}
	w, err := wait()
	if err != nil {
		t.Fatalf("Publish() = %v", err)
	}
	return w, r
}

// agreed waits until the publisher knows what the subscriber has said by Accept.
// In some drafts that comes by an update.
func agreed(t *testing.T, s *transport.Session, w *transport.TrackWriter) {
	t.Helper()
	if p, _ := wire.ProfileFor(s.Version()); p.PublishParams() {
		return
	}
	select {
	case <-w.Changed():
	case <-time.After(time.Second):
		t.Fatal("the subscriber has not told what it wants")
	}
}

func TestPublish(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		props := moqt.Properties{{Type: moqt.PropDefaultGroupOrder, Value: uint64(moqt.Descending)}, {Type: moqt.PropDynamicGroups, Value: 1}}
		wait := async(func() (*transport.TrackWriter, error) {
			return c.Publish(t.Context(), clock, &transport.PublishOptions{Properties: props, Expires: time.Minute,
				Largest: func() (moqt.Location, bool) { return at(3, 3), true }})
		})
		req := accept[*transport.PublishRequest](t, s)
		if req.Track != clock || !reflect.DeepEqual(req.Properties, props) || !req.HasLargest || req.Largest != at(3, 3) || !req.Forward {
			t.Errorf("request = %+v, want what the publisher said", req)
		}
		priority := moqt.Priority(2)
		r, err := req.Accept(&transport.SubscribeOptions{Priority: &priority, Rendezvous: time.Hour, NewGroup: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := req.Accept(nil); err == nil {
			t.Error("second Accept() succeeded")
		}
		w, err := wait()
		if err != nil {
			t.Fatal(err)
		}
		agreed(t, c, w)
		if st := w.State(); !st.Forward || st.Priority != 2 || st.Order != moqt.Descending || st.Start != at(0, 0) {
			t.Errorf("State() = %+v, want forward, priority 2, descending, all objects", st)
		}
		if l, ok := r.Largest(); !ok || l != at(3, 3) || !reflect.DeepEqual(r.Properties(), props) {
			t.Errorf("Largest() = %v, %v, Properties() = %+v", l, ok, r.Properties())
		}
		write(t, w, 4, []string{"a", "b"})
		w.Close()
		got, err := read(t, r)
		wantObjects(t, got, "4/0 a", "4/1 b")
		if err != nil {
			t.Errorf("Objects ended with %v", err)
		}
		<-w.Drained()
		r.Close()
		w, r = published(t, c, s, nil, nil) // the name is free again
		w.Close()
		r.Close()
	})
}

// TestPublishPaused has a relay hold the objects back until somebody wants
// them.
func TestPublishPaused(t *testing.T) {
	for _, by := range []string{"publisher", "subscriber", "both"} {
		t.Run(by, func(t *testing.T) {
			eachDraft(t, func(t *testing.T, v moqt.Version) {
				c, s := pipeOf(t, v, nil, nil)
				wait := async(func() (*transport.TrackWriter, error) {
					return c.Publish(t.Context(), clock, &transport.PublishOptions{Paused: by != "subscriber"})
				})
				req := accept[*transport.PublishRequest](t, s)
				if req.Forward != (by == "subscriber") {
					t.Errorf("request's Forward = %v", req.Forward)
				}
				r, err := req.Accept(&transport.SubscribeOptions{Paused: by != "publisher"})
				if err != nil {
					t.Fatal(err)
				}
				w, err := wait()
				if err != nil {
					t.Fatal(err)
				}
				if by != "both" {
					agreed(t, c, w)
				}
				if got, want := w.State().Forward, by == "publisher"; got != want { // PUBLISH_OK has the last word
					t.Errorf("State().Forward = %v, want %v", got, want)
				}
				write(t, w, 0, []string{"early"})
				if by != "publisher" {
					update(t, r, w, transport.SubscribeUpdate{Forward: ptr(true)})
				}
				write(t, w, 1, []string{"a"})
				w.Close()
				got, _ := read(t, r)
				if by == "publisher" {
					wantObjects(t, got, "0/0 early", "1/0 a")
				} else {
					wantObjects(t, got, "1/0 a")
				}
			})
		})
	}
}

// TestPublishFilter checks that the filter of PUBLISH_OK is honoured.
func TestPublishFilter(t *testing.T) {
	for _, tt := range []struct {
		filter moqt.Filter
		want   []string
	}{
		{moqt.Filter{Kind: moqt.FilterNextGroup}, []string{"4/0 d", "5/0 e"}},
		{moqt.Filter{Kind: moqt.FilterAbsoluteRange, Start: at(3, 1), EndGroup: 4}, []string{"3/1 c", "4/0 d"}},
		{moqt.Filter{Kind: moqt.FilterNone}, []string{"2/0 a", "3/0 b", "3/1 c", "4/0 d", "5/0 e"}},
	} {
		eachDraft(t, func(t *testing.T, v moqt.Version) {
			c, s := pipeOf(t, v, nil, nil)
			w, r := published(t, c, s, &transport.PublishOptions{Largest: func() (moqt.Location, bool) { return at(3, 0), true }},
				&transport.SubscribeOptions{Filter: tt.filter})
			agreed(t, c, w)
			write(t, w, 2, []string{"a"}, []string{"b", "c"}, []string{"d"}, []string{"e"})
			w.Close()
			got, _ := read(t, r)
			wantObjects(t, got, tt.want...)
		})
	}
}

func TestPublishRefused(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		for range 3 { // the name is free again at once
			wait := async(func() (*transport.TrackWriter, error) { return c.Publish(t.Context(), clock, nil) })
			req := accept[*transport.PublishRequest](t, s)
			if err := req.Reject(moqt.RequestUninterested, "no"); err != nil {
				t.Errorf("Reject() = %v", err)
			}
			if _, err := req.Accept(nil); err == nil {
				t.Error("Accept() after Reject() succeeded")
			}
			_, err := wait()
			wantRequest(t, "Publish()", err, moqt.RequestUninterested)
		}
		if !ability(c.Version()).MandatoryProperties() {
			return
		}
		// A property that has to be understood, and is not.
		must := &transport.PublishOptions{Properties: moqt.Properties{{Type: 0x4000, Value: 1}}}
		_, err := c.Publish(t.Context(), clock, must)
		wantRequest(t, "Publish() with a mandatory property", err, moqt.RequestUnsupportedExtension)
		wait := async(func() (*transport.TrackReader, error) { return c.Subscribe(t.Context(), clock, nil) })
		w, err := accept[*transport.SubscribeRequest](t, s).Accept(must)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wait(); !errors.Is(err, &transport.RequestError{Code: moqt.RequestUnsupportedExtension}) {
			t.Errorf("Subscribe() to a track with a mandatory property = %v, want UNSUPPORTED_EXTENSION", err)
		}
		wantStream(t, "the writer's end", done(w.Context()), moqt.StreamCancelled)
	})
}

// TestPublishTwice checks what a second publication of a track meets.
func TestPublishTwice(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		published(t, c, s, nil, nil)
		if _, err := c.Publish(t.Context(), clock, nil); err == nil {
			t.Error("second Publish() succeeded")
		}
		if _, err := s.Subscribe(t.Context(), clock, nil); err == nil {
			t.Error("Subscribe() to a track that the peer publishes here succeeded")
		}
		long := moqt.NS("a").Track(string(make([]byte, 4096)))
		if _, err := c.Publish(t.Context(), long, nil); err == nil {
			t.Error("Publish() of a name that is too long succeeded")
		}
		if _, err := c.Subscribe(t.Context(), long, nil); err == nil {
			t.Error("Subscribe() to a name that is too long succeeded")
		}
		if _, err := c.Fetch(t.Context(), long, transport.Range{}, nil); err == nil {
			t.Error("Fetch() of a name that is too long succeeded")
		}
		if _, err := c.Status(t.Context(), long); err == nil {
			t.Error("Status() of a name that is too long succeeded")
		}
	})
}

// TestPublishedTrackReadLate ends a published track while its subscriber still
// reads: what has come can be read to its end at leisure.
func TestPublishedTrackReadLate(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		w, r := published(t, c, s, nil, nil)
		write(t, w, 0, []string{"a", "b"}, []string{"c"})
		in := next(t, r)
		w.Close()
		time.Sleep(time.Minute) // of the bubble
		payloads := map[uint64][]string{0: {"a", "b"}, 1: {"c"}}
		wantPayloads(t, in, payloads[in.Header().Group]...)
		in = next(t, r)
		wantPayloads(t, in, payloads[in.Header().Group]...)
		if _, err := r.AcceptSubgroup(t.Context()); !errors.Is(err, &transport.TrackDone{Code: moqt.DoneTrackEnded}) {
			t.Errorf("AcceptSubgroup() = %v, want the end of the track", err)
		}
	})
}

// TestPublishCancelled has the subscriber leave while objects are being
// written, and the publisher before it is answered.
func TestPublishCancelled(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		w, r := published(t, c, s, nil, nil)
		failed := make(chan error, 4)
		all := make(chan struct{}) // closed when each stream has come: they fill the path then
		for g := range uint64(4) {
			go func() {
				sg, err := w.OpenGroup(t.Context(), g)
				if err == nil {
					_, err = sg.Write(make([]byte, 10_000))
				}
				<-all
				for err == nil {
					_, err = sg.Write(make([]byte, 10_000))
				}
				failed <- err
			}()
		}
		for range 4 {
			in := next(t, r)
			if _, err := in.ReadObject(); err != nil {
				t.Errorf("ReadObject() = %v", err)
			}
		}
		close(all)
		synctest.Wait()
		r.CloseWith(moqt.StreamGoingAway)
		code := parted(c.Version(), moqt.StreamGoingAway)
		for range 4 {
			if err := <-failed; !isStreamError(err) || code == moqt.StreamGoingAway && !errors.Is(err, &transport.StreamError{Code: code}) {
				t.Errorf("Write() = %v, want the subscriber's code", err)
			}
		}
		wantStream(t, "the writer's end", done(w.Context()), code)

		ctx := contextAfter(t, time.Second)
		wait := async(func() (*transport.TrackWriter, error) { return c.Publish(ctx, moqt.NS("b").Track("c"), nil) })
		req := accept[*transport.PublishRequest](t, s)
		if _, err := wait(); err == nil {
			t.Error("Publish() without an answer succeeded")
		}
		<-req.Context().Done()
		if _, err := req.Accept(nil); err == nil {
			t.Error("Accept() of a request that is over succeeded")
		}
	})
}

// TestResubscribe changes over to a new subscription of the same track at once:
// the peer may see it before it sees the end of the old one.
func TestResubscribe(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		for i := range 5 {
			r.Close()
			wait := async(func() (*transport.TrackReader, error) { return c.Subscribe(t.Context(), clock, nil) })
			var err error
			if w, err = accept[*transport.SubscribeRequest](t, s).Accept(nil); err != nil {
				t.Fatal(err)
			}
			if r, err = wait(); err != nil {
				t.Fatalf("Subscribe() = %v", err)
			}
			write(t, w, uint64(i), []string{fmt.Sprint(i)})
			wantPayloads(t, next(t, r), fmt.Sprint(i))
		}
		w.Close()
		if _, err := r.AcceptSubgroup(t.Context()); !errors.Is(err, &transport.TrackDone{Code: moqt.DoneTrackEnded}) {
			t.Errorf("AcceptSubgroup() = %v, want the end of the track", err)
		}
	})
}
