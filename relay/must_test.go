package relay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// script is a publisher that does what a test says: each subscription to it
// comes out of accepted, each fetch is refused.
type script struct {
	sess     *transport.Session
	accepted chan *transport.TrackWriter
	requests chan *transport.SubscribeRequest // as they were, accepted or not
}

// scripted announces a namespace and accepts subscriptions with o. If hold is
// not nil, each is accepted when hold gives a token.
func scripted(t *testing.T, r *relay.Relay, ns moqt.Namespace, o *transport.PublishOptions, hold <-chan struct{}) *script {
	t.Helper()
	p := &script{sess: connect(t, r, nil), accepted: make(chan *transport.TrackWriter, 8), requests: make(chan *transport.SubscribeRequest, 8)}
	if ns.Len() > 0 {
		if _, err := p.sess.Announce(t.Context(), ns); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		for {
			req, err := p.sess.Accept(context.Background())
			if err != nil {
				return
			}
			sub, ok := req.(*transport.SubscribeRequest)
			if !ok {
				req.Reject(moqt.RequestNotSupported, "no")
				continue
			}
			p.requests <- sub
			go func() {
				if hold != nil {
					<-hold
				}
				if w, err := sub.Accept(o); err == nil {
					p.accepted <- w
				}
			}()
		}
	}()
	return p
}

// group writes a whole group of objects.
func group(t *testing.T, w *transport.TrackWriter, id uint64, objects ...moqt.Object) {
	t.Helper()
	g, err := w.OpenSubgroup(t.Context(), moqt.Subgroup{Group: id, DefaultPriority: true, First: true, EndOfGroup: true})
	if err != nil {
		t.Fatal(err)
	}
	g.WithProperties()
	for _, o := range objects {
		if err := g.WriteObject(o); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
}

func at2(g, o uint64) moqt.Location { return moqt.Location{Group: g, Object: o} }

func tells(g, o uint64) func() (moqt.Location, bool) {
	return func() (moqt.Location, bool) { return at2(g, o), true }
}

func subscribe(t *testing.T, r *relay.Relay, o *transport.SubscribeOptions) *transport.TrackReader {
	t.Helper()
	tr, err := connect(t, r, nil).Subscribe(t.Context(), track, o)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestMustHaveUpstreamBeforeSubscribeOK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		hold := make(chan struct{})
		p := scripted(t, r, track.Namespace, nil, hold)
		s := connect(t, r, nil)
		answered := make(chan error, 1)
		go func() {
			_, err := s.Subscribe(t.Context(), track, nil)
			answered <- err
		}()
		<-p.requests
		time.Sleep(5 * time.Second)
		select {
		case err := <-answered:
			t.Errorf("Subscribe() = %v before the publisher has answered", err)
		default:
		}
		hold <- struct{}{}
		if err := <-answered; err != nil {
			t.Errorf("Subscribe() = %v", err)
		}
	})
}

// Publishers match by whole fields of a prefix, or by the exact track.
func TestMustSubscribeToAllMatchingPublishers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		name := moqt.NS("live", "van", "left").Track("video")
		matching := []*script{
			scripted(t, r, moqt.NS("live"), nil, nil),
			scripted(t, r, moqt.NS("live", "van"), nil, nil),
		}
		others := []*script{scripted(t, r, moqt.NS("live", "va"), nil, nil), scripted(t, r, moqt.NS("live", "van", "left", "front"), nil, nil)}
		synctest.Wait()
		if _, err := connect(t, r, nil).Subscribe(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
		// One that comes later is asked too.
		matching = append(matching, scripted(t, r, moqt.NS("live", "van", "left"), nil, nil))
		synctest.Wait()
		for i, p := range matching {
			if n := len(p.requests); n != 1 {
				t.Errorf("publisher %d has %d subscriptions, want 1", i, n)
			}
		}
		for i, p := range others {
			if n := len(p.requests); n != 0 {
				t.Errorf("publisher %d, which does not match, has %d subscriptions", i, n)
			}
		}
	})
}

func TestMustRaiseForwardAtAllPublishers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		var writers []*transport.TrackWriter
		for range 2 {
			w, err := connect(t, r, nil).Publish(t.Context(), track, nil)
			if err != nil {
				t.Fatal(err)
			}
			writers = append(writers, w)
		}
		forward := func(want bool, when string) {
			t.Helper()
			synctest.Wait()
			for i, w := range writers {
				if got := w.State().Forward; got != want {
					t.Errorf("%s: forward state of publisher %d is %v, want %v", when, i, got, want)
				}
			}
		}
		forward(false, "without subscribers")
		tr := subscribe(t, r, &transport.SubscribeOptions{Paused: true})
		forward(false, "with a paused subscriber")
		on, off := true, false
		if err := tr.Update(t.Context(), transport.SubscribeUpdate{Forward: &on}); err != nil {
			t.Fatal(err)
		}
		forward(true, "with a subscriber")
		w, err := connect(t, r, nil).Publish(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !w.State().Forward {
			t.Error("PUBLISH of a track that is wanted is answered with forward state 0")
		}
		writers = append(writers, w)
		tr.Update(t.Context(), transport.SubscribeUpdate{Forward: &off})
		time.Sleep(10 * time.Second)
		forward(false, "after it has paused")
	})
}

// published collects the tracks that are published to a session.
func published(s *transport.Session) <-chan *transport.TrackReader {
	c := make(chan *transport.TrackReader, 8)
	go func() {
		for {
			req, err := s.Accept(context.Background())
			if err != nil {
				return
			}
			if p, ok := req.(*transport.PublishRequest); ok {
				if tr, err := p.Accept(nil); err == nil {
					c <- tr
				}
				continue
			}
			req.Reject(moqt.RequestNotSupported, "no")
		}
	}()
	return c
}

func TestMustPublishToSubscribersOfTracks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		wants, others, own := connect(t, r, nil), connect(t, r, nil), connect(t, r, nil)
		got, none, mine := published(wants), published(others), published(own)
		for _, c := range []struct {
			s      *transport.Session
			prefix moqt.Namespace
		}{{wants, moqt.NS("live")}, {others, moqt.NS("liv")}, {own, moqt.NS("live")}} {
			if _, err := c.s.SubscribeTracks(t.Context(), c.prefix, nil); err != nil {
				t.Fatal(err)
			}
		}
		props := moqt.Properties{{Type: 0x3801, Bytes: []byte("private")}}
		w, err := own.Publish(t.Context(), track, &transport.PublishOptions{Largest: tells(7, 3), Properties: props})
		if err != nil {
			t.Fatal(err)
		}
		tr := <-got
		if l, ok := tr.Largest(); tr.Name() != track || !ok || l != at2(7, 3) || !reflect.DeepEqual(tr.Properties(), props) {
			t.Errorf("PUBLISH of %v, largest %v %v, properties %v, want those of %v", tr.Name(), l, ok, tr.Properties(), track)
		}
		c := collect(tr)
		synctest.Wait()
		group(t, w, 8, moqt.Object{Payload: []byte("x")})
		synctest.Wait()
		if l := c.locations(); len(l) != 1 || l[0] != at2(8, 0) {
			t.Errorf("got %v, want 8/0", l)
		}
		if len(none) != 0 || len(mine) != 0 {
			t.Errorf("%d PUBLISHes to who asked for another prefix, %d to the publisher itself", len(none), len(mine))
		}
	})
}

// A publisher that does not wait for FORWARD 1 loses nothing if somebody has
// asked for the tracks of its namespace before.
func TestPublishedAtOnce(t *testing.T) {
	for _, v := range []moqt.Version{moqt.Draft18, moqt.Draft22} { // where PUBLISH_OK tells it, and where an update does
		t.Run(v.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t, relay.Config{})
				s := connect(t, r, nil)
				got := published(s)
				if _, err := s.SubscribeTracks(t.Context(), moqt.NS("live"), nil); err != nil {
					t.Fatal(err)
				}
				w, err := connectIn(t, r, v).Publish(t.Context(), track, nil)
				if err != nil {
					t.Fatal(err)
				}
				group(t, w, 0, moqt.Object{Payload: []byte("x")})
				c := collect(<-got)
				synctest.Wait()
				group(t, w, 1, moqt.Object{Payload: []byte("y")})
				synctest.Wait()
				if l := c.locations(); len(l) != 2 {
					t.Errorf("got %v, want both groups", l)
				}
			})
		})
	}
}

// A SUBSCRIBE that waits for the track is answered, and there is no PUBLISH
// beside it.
func TestMustNotPublishToWhoWaitsForTheTrack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		s := connect(t, r, nil)
		got := published(s)
		tracks, err := s.SubscribeTracks(t.Context(), moqt.NS("live"), nil)
		if err != nil {
			t.Fatal(err)
		}
		answered := make(chan error, 1)
		go func() {
			_, err := s.Subscribe(t.Context(), track, &transport.SubscribeOptions{Rendezvous: 20 * time.Second})
			answered <- err
		}()
		time.Sleep(time.Second)
		if _, err := connect(t, r, nil).Publish(t.Context(), track, nil); err != nil {
			t.Fatal(err)
		}
		if err := <-answered; err != nil {
			t.Errorf("Subscribe() = %v", err)
		}
		synctest.Wait()
		if len(got) != 0 || len(tracks.Skipped()) != 0 {
			t.Errorf("%d PUBLISHes and %d PUBLISH_SKIPPED to who has subscribed", len(got), len(tracks.Skipped()))
		}
	})
}

func TestMustTellTracksThatCannotBePublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{MaxSubscriptions: 2})
		s := connect(t, r, nil)
		got := published(s)
		tracks, err := s.SubscribeTracks(t.Context(), moqt.NS("live"), nil)
		if err != nil {
			t.Fatal(err)
		}
		pub := connect(t, r, nil)
		for i := range 3 {
			if _, err := pub.Publish(t.Context(), moqt.NS("live").Track(fmt.Sprint(i)), nil); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if len(got) != 2 {
			t.Errorf("%d tracks are published, want 2", len(got))
		}
		if name := <-tracks.Skipped(); name != moqt.NS("live").Track("2") {
			t.Errorf("%v is skipped, want the third", name)
		}
	})
}

func TestMustReportTheLargestObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		p := scripted(t, r, track.Namespace, &transport.PublishOptions{Largest: tells(7, 3)}, nil)
		for _, step := range []struct {
			group uint64 // that is published before
			want  moqt.Location
		}{{0, at2(7, 3)}, {5, at2(7, 3)}, {9, at2(9, 0)}} {
			if step.group > 0 {
				w := <-p.accepted
				p.accepted <- w
				group(t, w, step.group, moqt.Object{Payload: []byte("x")})
				synctest.Wait()
			}
			tr := subscribe(t, r, nil)
			if l, ok := tr.Largest(); !ok || l != step.want {
				t.Errorf("after group %d: SUBSCRIBE_OK with %v, %v, want %v", step.group, l, ok, step.want)
			}
			i, err := connect(t, r, nil).Status(t.Context(), track)
			if err != nil || !i.HasLargest || i.Largest != step.want {
				t.Errorf("after group %d: TRACK_STATUS = %+v, %v, want %v", step.group, i, err, step.want)
			}
		}
	})
}

func TestMustPassOnPropertiesUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		// Known, unknown, private, grease, and an immutable one whose inside has
		// a longer encoding than it needs.
		props := moqt.Properties{
			{Type: moqt.PropImmutable, Bytes: []byte{0x80, 0x38, 0x01}},
			{Type: moqt.PropDefaultPriority, Value: 77},
			{Type: 0x79, Bytes: []byte{0, 1, 2}},
			{Type: 0x7f*3 + 0x9d, Value: 1 << 40},
			{Type: 0x3801, Bytes: []byte("private")},
			{Type: 0x3801, Bytes: []byte("twice")},
		}
		p := scripted(t, r, track.Namespace, &transport.PublishOptions{Properties: props, Largest: tells(7, 0)}, nil)
		tr := subscribe(t, r, nil)
		if !reflect.DeepEqual(tr.Properties(), props) {
			t.Errorf("SUBSCRIBE_OK with %v, want %v", tr.Properties(), props)
		}
		if i, err := connect(t, r, nil).Status(t.Context(), track); err != nil || !reflect.DeepEqual(i.Properties, props) {
			t.Errorf("TRACK_STATUS = %v, %v, want %v", i.Properties, err, props)
		}
		w := <-p.accepted
		sent := moqt.Object{Location: at2(8, 0), Properties: props[2:], Payload: []byte("payload")}
		group(t, w, 8, sent)
		sg, err := tr.AcceptSubgroup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		o, err := sg.ReadObject()
		if err != nil || !reflect.DeepEqual(o.Properties, sent.Properties) || string(o.Payload) != "payload" || o.Priority != 77 {
			t.Errorf("ReadObject() = %+v, %v, want %+v with priority 77", o, err, sent)
		}
		f, err := connect(t, r, nil).Fetch(t.Context(), track, transport.Range{Start: at2(8, 0), End: at2(8, 0)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if o, err = f.ReadObject(t.Context()); err != nil || !reflect.DeepEqual(o.Properties, sent.Properties) || string(o.Payload) != "payload" {
			t.Errorf("by FETCH: %+v, %v, want %+v", o, err, sent)
		}
		if !reflect.DeepEqual(f.Properties(), props) {
			t.Errorf("FETCH_OK with %v, want %v", f.Properties(), props)
		}
	})
}

func TestMustPassOnNewGroupRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		p := scripted(t, r, track.Namespace, &transport.PublishOptions{
			Properties: moqt.Properties{{Type: moqt.PropDynamicGroups, Value: 1}}}, nil)
		a := subscribe(t, r, &transport.SubscribeOptions{NewGroup: true, NewGroupValue: 3})
		if req := <-p.requests; req.NewGroup == nil || *req.NewGroup != 3 {
			t.Errorf("SUBSCRIBE upstream has NEW_GROUP_REQUEST %v, want 3", req.NewGroup)
		}
		w := <-p.accepted
		b := subscribe(t, r, nil)
		count, want := w.State().NewGroup, uint64(0)
		ask := func(tr *transport.TrackReader, value uint64, passed bool, why string) {
			t.Helper()
			if err := tr.Update(t.Context(), transport.SubscribeUpdate{NewGroup: &value}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if passed {
				want++
			}
			st := w.State()
			if got := st.NewGroup - count; got != want || passed && st.NewGroupValue != value {
				t.Errorf("%s: the publisher was asked %d times, for %d at last, want %d times", why, got, st.NewGroupValue, want)
			}
		}
		group(t, w, 5, moqt.Object{Payload: []byte("x")})
		synctest.Wait()
		ask(a, 5, false, "5, which is there")
		ask(a, 6, true, "6, which is not")
		ask(b, 6, false, "6 once more")
		ask(b, 0, false, "0 while 6 is outstanding")
		ask(b, 7, true, "7, which is more than is outstanding")
		group(t, w, 6, moqt.Object{Payload: []byte("x")})
		synctest.Wait()
		ask(a, 0, true, "0 after a new group")
	})
}

func TestMustNotAskForGroupsOfStaticTracks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		p := scripted(t, r, track.Namespace, nil, nil)
		tr := subscribe(t, r, nil)
		value := uint64(0)
		if err := tr.Update(t.Context(), transport.SubscribeUpdate{NewGroup: &value}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w := <-p.accepted
		if n := w.State().NewGroup; n != 0 {
			t.Errorf("the publisher was asked for a new group %d times", n)
		}
	})
}

// An object is not served any more when the time that its publisher allows is
// over, and the stream does not look as if it were whole.
func TestMustNotServeWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		inside := []byte{moqt.PropMaxCacheDuration, 0x87, 0xd0} // 2000
		p := scripted(t, r, track.Namespace, &transport.PublishOptions{Properties: moqt.Properties{{Type: moqt.PropImmutable, Bytes: inside}}}, nil)
		live := collect(subscribe(t, r, nil))
		w := <-p.accepted
		g, err := w.OpenGroup(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			g.Write([]byte("x"))
			time.Sleep(time.Second)
		}
		g.Close()
		synctest.Wait()
		if n := len(live.locations()); n != 4 {
			t.Errorf("the live subscriber got %d objects, want 4", n)
		}
		late := subscribe(t, r, &transport.SubscribeOptions{Filter: moqt.Filter{Kind: moqt.FilterAbsoluteStart}})
		sg, err := late.AcceptSubgroup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if sg.Header().First {
			t.Error("the stream says that it begins with the first object")
		}
		var ids []uint64
		for err == nil {
			var o moqt.Object
			if o, err = sg.ReadObject(); err == nil {
				ids = append(ids, o.Location.Object)
			}
		}
		if fmt.Sprint(ids) != "[2 3]" || err == io.EOF {
			t.Errorf("a late subscriber got %v, then %v, want [2 3] and a reset", ids, err)
		}
		n, unknown, err := fetchedAny(t, connect(t, r, nil), transport.Range{Start: at2(1, 0), End: at2(1, 3)})
		if n != 2 || unknown != "1/0–1/1 " || err != nil {
			t.Errorf("by FETCH: %d objects, unknown %q, %v, want 2 and 1/0 to 1/1", n, unknown, err)
		}
	})
}

// END_OF_TRACK ends the subscriptions also if its publisher says no more.
func TestMustEndAtEndOfTrack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		p := scripted(t, r, track.Namespace, nil, nil)
		tr := subscribe(t, r, nil)
		c := collect(tr)
		w := <-p.accepted
		group(t, w, 1, moqt.Object{Payload: []byte("x")}, moqt.Object{Location: at2(1, 1), Status: moqt.StatusEndOfTrack})
		select {
		case <-c.done:
		case <-time.After(time.Minute):
			t.Fatal("the subscription goes on")
		}
		if got := c.locations(); c.err != nil || len(got) != 2 {
			t.Errorf("got %v, then %v, want two objects and the end of the track", got, c.err)
		}
		if w.Context().Err() == nil {
			t.Error("the publisher's subscription goes on")
		}
	})
}

func TestMustRefuseMalformedTracks(t *testing.T) {
	nested := []byte{moqt.PropImmutable, 0} // IMMUTABLE_PROPERTIES inside
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name  string
			props moqt.Properties
		}{
			{"nested", moqt.Properties{{Type: moqt.PropImmutable, Bytes: nested}}},
			{"unparsable", moqt.Properties{{Type: moqt.PropImmutable, Bytes: []byte{0x80}}}},
			{"twice", moqt.Properties{{Type: moqt.PropImmutable}, {Type: moqt.PropImmutable}}},
		} {
			r := newRelay(t, relay.Config{})
			scripted(t, r, track.Namespace, &transport.PublishOptions{Properties: c.props}, nil)
			_, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
			if !errors.Is(err, &transport.RequestError{Code: moqt.RequestMalformedTrack}) {
				t.Errorf("immutable properties of a track, %s: Subscribe() = %v, want MALFORMED_TRACK", c.name, err)
			}
			r = newRelay(t, relay.Config{})
			p := scripted(t, r, track.Namespace, nil, nil)
			tr := subscribe(t, r, nil)
			w := <-p.accepted
			g, err := w.OpenSubgroup(t.Context(), moqt.Subgroup{Group: 1, DefaultPriority: true, First: true, EndOfGroup: true})
			if err != nil {
				t.Fatal(err)
			}
			g.WithProperties()
			g.WriteObject(moqt.Object{Payload: []byte("good")})
			g.WriteObject(moqt.Object{Location: at2(1, 1), Properties: c.props, Payload: []byte("bad")})
			g.Close() // the relay may have stopped the stream before
			<-tr.Context().Done()
			if cause := context.Cause(tr.Context()); !errors.Is(cause, &transport.TrackDone{Code: moqt.DoneMalformedTrack}) {
				t.Errorf("immutable properties of an object, %s: the track ended with %v, want MALFORMED_TRACK", c.name, cause)
			}
			<-w.Context().Done()
		}
	})
}

func TestMustNotForwardReservedNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		p := scripted(t, r, moqt.NS(".session2"), nil, nil)
		for _, ns := range []moqt.Namespace{moqt.NS(".session"), moqt.NS(".session", "x"), moqt.NS("."), moqt.NS(".", "x")} {
			s := connect(t, r, nil)
			name := ns.Track("t")
			_, err := s.Subscribe(t.Context(), name, &transport.SubscribeOptions{Rendezvous: time.Minute})
			_, ferr := s.Fetch(t.Context(), name, groups(0, 1), nil)
			_, serr := s.Status(t.Context(), name)
			_, perr := s.Publish(t.Context(), name, nil)
			_, aerr := s.Announce(t.Context(), ns)
			for what, err := range map[string]error{"SUBSCRIBE": err, "FETCH": ferr, "TRACK_STATUS": serr, "PUBLISH": perr, "PUBLISH_NAMESPACE": aerr} {
				if !errors.Is(err, &transport.RequestError{Code: moqt.RequestDoesNotExist}) {
					t.Errorf("%s of %v = %v, want DOES_NOT_EXIST", what, name, err)
				}
			}
		}
		// Other names with a period are names like any.
		if _, err := connect(t, r, nil).Subscribe(t.Context(), moqt.NS(".session2").Track("t"), nil); err != nil {
			t.Errorf("Subscribe() = %v", err)
		}
		if n := len(p.requests); n != 1 {
			t.Errorf("the publisher has %d subscriptions, want 1", n)
		}
	})
}

func TestMustBoundRendezvous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{MaxRendezvous: 7 * time.Second})
		for asked, want := range map[time.Duration]time.Duration{0: 0, 3 * time.Second: 3 * time.Second, time.Hour: 7 * time.Second} {
			code := moqt.RequestTimeout
			if asked == 0 {
				code = moqt.RequestDoesNotExist
			}
			start := time.Now()
			_, err := connect(t, r, nil).Subscribe(t.Context(), track, &transport.SubscribeOptions{Rendezvous: asked})
			if took := time.Since(start); !errors.Is(err, &transport.RequestError{Code: code}) || took != want {
				t.Errorf("RENDEZVOUS_TIMEOUT %v: %v after %v, want %v after %v", asked, err, took, code, want)
			}
		}
	})
}

// What a peer does wrong ends with its own session; see also
// TestHostilePeersEndTheirOwnSessionOnly.
func TestMustTellNamespacesToAllWatchers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		own := connect(t, r, nil)
		var watchers sync.WaitGroup
		for _, c := range []struct {
			s      *transport.Session
			prefix moqt.Namespace
			sees   bool
		}{{own, moqt.NS("live"), true}, {connect(t, r, nil), moqt.Namespace{}, true}, {connect(t, r, nil), moqt.NS("live", "van"), true},
			{connect(t, r, nil), moqt.NS("live", "va"), false}, {connect(t, r, nil), moqt.NS("live", "van", "left"), false}} {
			w, err := c.s.WatchNamespaces(t.Context(), c.prefix)
			if err != nil {
				t.Fatal(err)
			}
			watchers.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				e, err := w.Next(ctx)
				if (err == nil) != c.sees || err == nil && (e.Gone || e.Namespace != track.Namespace) {
					t.Errorf("who watches %v sees %v, %v, want it: %v", c.prefix, e, err, c.sees)
				}
			})
		}
		if _, err := own.Announce(t.Context(), track.Namespace); err != nil {
			t.Fatal(err)
		}
		watchers.Wait()
	})
}

// A fetch that is under way when its track turns out to be malformed is reset.
func TestMustResetFetchesOfMalformedTracks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		a := &archive{groups: 30, perGroup: 10, size: 100_000}
		a.forge = func(l moqt.Location) moqt.Properties {
			if l == at2(5, 0) {
				return moqt.Properties{{Type: moqt.PropMandatoryFirst, Value: 1}} // not on an object
			}
			return nil
		}
		archived(t, r, a)
		f, err := connect(t, r, nil).Fetch(t.Context(), track, groups(0, 20), nil)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; err == nil; n++ {
			_, err = f.ReadObject(t.Context())
		}
		if !errors.Is(err, &transport.StreamError{Code: moqt.StreamMalformedTrack}) || n > 51 {
			t.Errorf("the fetch ended with %v after %d objects, want MALFORMED_TRACK", err, n-1)
		}
	})
}

// A fetch to the last object of a track says that this is the end.
func TestMustTellTheEndOfTheTrackInFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		p := scripted(t, r, track.Namespace, nil, nil)
		subscribe(t, r, nil)
		group(t, <-p.accepted, 1, moqt.Object{Payload: []byte("x")}, moqt.Object{Location: at2(1, 1), Status: moqt.StatusEndOfTrack})
		synctest.Wait()
		for end, want := range map[moqt.Location]bool{at2(1, 0): false, at2(1, 1): true, at2(7, 7): true} {
			f, err := connect(t, r, nil).Fetch(t.Context(), track, transport.Range{End: end}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, ended := f.End(); ended != want {
				t.Errorf("FETCH to %v: the end of the track: %v, want %v", end, ended, want)
			}
			f.Close()
		}
	})
}

// A subscription that its publisher lets expire is renewed while it is wanted.
func TestRenewWhatExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		p := scripted(t, r, track.Namespace, &transport.PublishOptions{Expires: 20 * time.Second}, nil)
		tr := subscribe(t, r, nil)
		w := <-p.accepted
		for range 4 {
			start := time.Now()
			select {
			case <-w.Changed():
			case <-time.After(20 * time.Second):
				t.Fatal("no update within the time that was told")
			}
			if d := time.Since(start); d < 12*time.Second {
				t.Errorf("renewed after %v of 20 s", d)
			}
		}
		tr.Close()
	})
}
