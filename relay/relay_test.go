package relay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// connect opens a session with r.
func connect(t testing.TB, r *relay.Relay, c *transport.Config) *transport.Session {
	t.Helper()
	return connectBy(t, r, c, nil)
}

// connectIn opens a session with r in a draft.
func connectIn(t *testing.T, r *relay.Relay, v moqt.Version) *transport.Session {
	t.Helper()
	return connectBy(t, r, nil, &transporttest.PipeOptions{Version: v})
}

func connectBy(t testing.TB, r *relay.Relay, c *transport.Config, o *transporttest.PipeOptions) *transport.Session {
	t.Helper()
	client, server := transporttest.Pipe(t, o)
	var wg sync.WaitGroup
	wg.Go(func() {
		s, err := transport.NewSession(t.Context(), server, nil)
		if err != nil {
			t.Error(err)
			return
		}
		r.ServeSession(t.Context(), s)
	})
	s, err := transport.NewSession(t.Context(), client, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		wg.Wait()
	})
	return s
}

func newRelay(t *testing.T, c relay.Config) *relay.Relay {
	t.Helper()
	r := relay.New(c)
	t.Cleanup(func() { r.Close() })
	return r
}

// publisher serves one track with groups that the test writes.
type publisher struct {
	t    *testing.T
	sess *transport.Session
	ann  *transport.Announcement
	name moqt.TrackName

	mu         sync.Mutex
	objects    []moqt.Object // of the running group
	writers    map[*transport.TrackWriter]*transport.SubgroupWriter
	subscribed int
	fetched    int
	noFetch    bool
	pad        int                           // bytes added to each payload
	content    func(group, id uint64) []byte // if not nil, what makes the payload
}

func publish(t *testing.T, sess *transport.Session, name moqt.TrackName) *publisher {
	t.Helper()
	ann, err := sess.Announce(t.Context(), name.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	p := &publisher{t: t, sess: sess, ann: ann, name: name, writers: make(map[*transport.TrackWriter]*transport.SubgroupWriter)}
	go p.serve()
	return p
}

func (p *publisher) largest() (moqt.Location, bool) {
	if len(p.objects) == 0 {
		return moqt.Location{}, false
	}
	return p.objects[len(p.objects)-1].Location, true
}

func (p *publisher) serve() {
	for {
		req, err := p.sess.Accept(context.Background())
		if err != nil {
			return
		}
		p.mu.Lock()
		switch req := req.(type) {
		case *transport.SubscribeRequest:
			if req.Track != p.name {
				req.Reject(moqt.RequestDoesNotExist, "no such track")
				break
			}
			p.subscribed++
			w, err := req.Accept(&transport.PublishOptions{Largest: p.largest})
			if err == nil {
				p.writers[w] = nil
			}
		case *transport.FetchRequest:
			p.fetched++
			if p.noFetch || len(p.objects) == 0 {
				req.Reject(moqt.RequestNotSupported, "no")
				break
			}
			w, err := req.Accept(transport.FetchInfo{End: req.Range.End})
			if err != nil {
				break
			}
			for _, o := range p.objects {
				if !o.Less(req.Range.Start) && !req.Range.End.Less(o.Location) {
					w.WriteObject(o)
				}
			}
			w.Close()
		default:
			req.Reject(moqt.RequestNotSupported, "no")
		}
		p.mu.Unlock()
	}
}

// write publishes the next object of a group; id 0 begins it.
func (p *publisher) write(group, id uint64) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	o := moqt.Object{Location: moqt.Location{Group: group, Object: id}, Priority: moqt.DefaultPriority, Payload: payload(group, id)}
	if p.content != nil {
		o.Payload = p.content(group, id)
	}
	o.Payload = append(o.Payload, make([]byte, p.pad)...)
	if id == 0 {
		p.objects = nil
		for w, g := range p.writers {
			if g != nil {
				g.Close()
			}
			p.writers[w] = nil
		}
	}
	p.objects = append(p.objects, o)
	for w, g := range p.writers {
		if w.Context().Err() != nil {
			delete(p.writers, w)
			continue
		}
		if g == nil {
			var err error
			g, err = w.OpenSubgroup(context.Background(), moqt.Subgroup{Group: group, DefaultPriority: true, First: id == 0, EndOfGroup: true})
			if err != nil {
				continue
			}
			p.writers[w] = g
		}
		g.WriteObject(o)
	}
}

func payload(group, id uint64) []byte { return fmt.Appendf(nil, "object %d of group %d", id, group) }

// collect reads objects into a list until the track ends.
type collector struct {
	mu   sync.Mutex
	got  []moqt.Object
	err  error
	done chan struct{}
}

func collect(tr *transport.TrackReader) *collector {
	c := &collector{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		for o, err := range tr.Objects(context.Background()) {
			c.mu.Lock()
			if err != nil {
				c.err = err
			} else {
				c.got = append(c.got, o)
			}
			c.mu.Unlock()
		}
	}()
	return c
}

func (c *collector) locations() []moqt.Location {
	c.mu.Lock()
	defer c.mu.Unlock()
	var l []moqt.Location
	for _, o := range c.got {
		l = append(l, o.Location)
	}
	return l
}

var track = moqt.NS("live", "van").Track("video")

func TestOneUpstreamSubscriptionForManySubscribers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		p := publish(t, connect(t, r, nil), track)
		synctest.Wait()
		p.write(10, 0)
		p.write(10, 1)
		var readers []*collector
		for range 20 {
			tr, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
			if err != nil {
				t.Fatal(err)
			}
			readers = append(readers, collect(tr))
		}
		synctest.Wait()
		p.write(10, 2)
		synctest.Wait()
		p.write(11, 0)
		synctest.Wait()
		want := []moqt.Location{{Group: 10, Object: 2}, {Group: 11, Object: 0}}
		for i, c := range readers {
			got := c.locations()
			if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
				t.Errorf("subscriber %d got %v, want %v", i, got, want)
			}
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.subscribed != 1 {
			t.Errorf("publisher has %d subscriptions, want 1", p.subscribed)
		}
	})
}

func TestJoinServesRunningGroupFromCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		p := publish(t, connect(t, r, nil), track)
		synctest.Wait()
		for id := range uint64(5) {
			p.write(10, id)
		}
		for range 3 {
			tr, f, err := connect(t, r, nil).Join(t.Context(), track, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			if f == nil {
				t.Fatal("joining fetch refused")
			}
			for id := range uint64(5) {
				o, err := f.ReadObject(t.Context())
				if err != nil || o.Location != (moqt.Location{Group: 10, Object: id}) || string(o.Payload) != string(payload(10, id)) {
					t.Fatalf("ReadObject() = %v %q, %v, want object %d", o.Location, o.Payload, err, id)
				}
			}
			collect(tr)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.fetched != 1 {
			t.Errorf("publisher was fetched from %d times, want once", p.fetched)
		}
	})
}

// The head of the running group comes by FETCH and the rest by the
// subscription; to a subscriber that is one stream.
func TestJoinedGroupIsOneStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		p := publish(t, connect(t, r, nil), track)
		synctest.Wait()
		for id := range uint64(3) {
			p.write(10, id)
		}
		tr, err := connect(t, r, nil).Subscribe(t.Context(), track, &transport.SubscribeOptions{Filter: moqt.Filter{Kind: moqt.FilterNone}})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		p.write(10, 3)
		synctest.Wait()
		p.write(11, 0) // ends group 10
		sg, err := tr.AcceptSubgroup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if h := sg.Header(); h.Group != 10 || !h.First {
			t.Errorf("Header() = %+v, want group 10 from its first object", h)
		}
		for id := range uint64(4) {
			if o, err := sg.ReadObject(); err != nil || o.Object != id {
				t.Fatalf("ReadObject() = %v, %v, want object %d", o.Location, err, id)
			}
		}
		if o, err := sg.ReadObject(); err != io.EOF {
			t.Errorf("ReadObject() = %v, %v, want io.EOF", o.Location, err)
		}
	})
}

func TestSubscriberKeptWhilePublisherIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		s1 := connect(t, r, nil)
		p := publish(t, s1, track)
		synctest.Wait()
		p.write(10, 0)
		tr, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := collect(tr)
		synctest.Wait()
		p.write(10, 1)
		synctest.Wait()
		s1.Close()
		time.Sleep(2 * time.Second) // virtual
		p2 := publish(t, connect(t, r, nil), track)
		synctest.Wait()
		p2.write(20, 0)
		synctest.Wait()
		p2.write(20, 1)
		synctest.Wait()
		got := c.locations()
		want := []moqt.Location{{Group: 10, Object: 1}, {Group: 20, Object: 0}, {Group: 20, Object: 1}}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestSubscriptionEndsWhenNoPublisherComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{Linger: 5 * time.Second})
		s1 := connect(t, r, nil)
		p := publish(t, s1, track)
		synctest.Wait()
		p.write(10, 0)
		tr, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := collect(tr)
		s1.Close()
		start := time.Now()
		<-c.done
		if d := time.Since(start); d < 4*time.Second || d > 8*time.Second {
			t.Errorf("ended after %v, want about 5s", d)
		}
		if !errors.Is(c.err, &transport.TrackDone{Code: moqt.DoneInternalError}) {
			t.Errorf("ended with %v, want INTERNAL_ERROR", c.err)
		}
	})
}

func TestUnknownTrackDoesNotExist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		s := connect(t, r, nil)
		_, err := s.Subscribe(t.Context(), track, nil)
		if !errors.Is(err, &transport.RequestError{Code: moqt.RequestDoesNotExist}) {
			t.Errorf("Subscribe() = %v, want DOES_NOT_EXIST", err)
		}
		start := time.Now()
		_, err = s.Subscribe(t.Context(), track, &transport.SubscribeOptions{Rendezvous: 3 * time.Second})
		if !errors.Is(err, &transport.RequestError{Code: moqt.RequestTimeout}) || time.Since(start) != 3*time.Second {
			t.Errorf("Subscribe() = %v after %v, want TIMEOUT after 3s", err, time.Since(start))
		}
	})
}

func TestRendezvousProceedsWhenPublisherComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		s := connect(t, r, nil)
		go func() {
			time.Sleep(time.Second)
			publish(t, connect(t, r, nil), track)
		}()
		tr, err := s.Subscribe(t.Context(), track, &transport.SubscribeOptions{Rendezvous: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		tr.Close()
	})
}

func TestTwinPublishersAreMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		s1, s2 := connect(t, r, nil), connect(t, r, nil)
		p1 := publish(t, s1, track)
		synctest.Wait()
		p1.write(10, 0)
		tr, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := collect(tr)
		p2 := publish(t, s2, track)
		p2.write(10, 0)
		synctest.Wait()
		var want []moqt.Location
		for g := uint64(11); g < 15; g++ {
			for id := range uint64(5) {
				if g == 13 && id == 2 {
					s1.Close() // one is killed in the middle of a group
				}
				p1.write(g, id)
				synctest.Wait()
				p2.write(g, id)
				synctest.Wait()
				want = append(want, moqt.Location{Group: g, Object: id})
			}
		}
		time.Sleep(2 * time.Second)
		if got := c.locations(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	})
}

func TestContradictingPublisherIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		p1 := publish(t, connect(t, r, nil), track)
		synctest.Wait()
		tr, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := collect(tr)
		stop := make(chan struct{})
		go func() {
			for i := uint64(0); ; i++ {
				select {
				case <-time.After(100 * time.Millisecond):
					p1.write(10+i/10, i%10)
				case <-stop:
					return
				}
			}
		}()
		time.Sleep(time.Second)
		p2 := publish(t, connect(t, r, nil), track)
		for i := range uint64(60) {
			p2.write(5000+i/10, i%10)
			time.Sleep(100 * time.Millisecond)
		}
		close(stop)
		var se *transport.StreamError
		if cause := context.Cause(p2.ann.Context()); !errors.As(cause, &se) || se.Code != moqt.StreamMalformedTrack {
			t.Errorf("newcomer's announcement ended with %v, want MALFORMED_TRACK", cause)
		}
		if p1.ann.Context().Err() != nil {
			t.Error("the first publisher was cut off")
		}
		for _, l := range c.locations() {
			if l.Group >= 5000 {
				t.Fatalf("subscriber got %v of the newcomer", l)
			}
		}
	})
}

func TestWatchSeesNamespacesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		w, err := connect(t, r, nil).WatchNamespaces(t.Context(), moqt.NS("live"))
		if err != nil {
			t.Fatal(err)
		}
		p := publish(t, connect(t, r, nil), track)
		e, err := w.Next(t.Context())
		if err != nil || e.Gone || e.Namespace != track.Namespace {
			t.Fatalf("Next() = %v, %v, want %v", e, err, track.Namespace)
		}
		p.ann.Close()
		e, err = w.Next(t.Context())
		if err != nil || !e.Gone || e.Namespace != track.Namespace {
			t.Fatalf("Next() = %v, %v, want %v gone", e, err, track.Namespace)
		}
	})
}

func TestPublishForwardsOnlyWhileWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		s := connect(t, r, nil)
		w, err := s.Publish(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		if w.State().Forward {
			t.Error("forward state is 1 without subscribers")
		}
		tr, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := collect(tr)
		synctest.Wait()
		if !w.State().Forward {
			t.Fatal("forward state is 0 with a subscriber")
		}
		g, err := w.OpenGroup(t.Context(), 7)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(g, "hello")
		g.Close()
		synctest.Wait()
		if got := c.locations(); len(got) != 1 || got[0] != (moqt.Location{Group: 7}) {
			t.Errorf("got %v, want 7/0", got)
		}
		tr.Close()
		time.Sleep(10 * time.Second)
		if w.State().Forward {
			t.Error("forward state is still 1 after the last subscriber left")
		}
		w.Close()
	})
}
