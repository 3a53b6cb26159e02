package transport_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
	"github.com/tributary-live/tributary/transport/wire"
)

// announced announces ns from one session to the other.
func announced(t *testing.T, from, to *transport.Session, ns moqt.Namespace) (*transport.Announcement, *transport.AnnounceRequest) {
	t.Helper()
	wait := async(func() (*transport.Announcement, error) { return from.Announce(t.Context(), ns) })
	req := accept[*transport.AnnounceRequest](t, to)
	if req.Namespace != ns {
		t.Errorf("request for %v, want %v", req.Namespace, ns)
	}
	if err := req.Accept(); err != nil {
		t.Fatalf("Accept() = %v", err)
	}
	a, err := wait()
	if err != nil {
		t.Fatalf("Announce() = %v", err)
	}
	return a, req
}

func TestAnnounce(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		for _, way := range [][2]*transport.Session{{c, s}, {s, c}} {
			ann, req := announced(t, way[0], way[1], moqt.NS("a", "b"))
			if ann.Namespace() != moqt.NS("a", "b") || ann.Context().Err() != nil || req.Context().Err() != nil {
				t.Errorf("Namespace() = %v, Context() = %v and %v", ann.Namespace(), ann.Context().Err(), req.Context().Err())
			}
			if req.Accept() == nil || req.Reject(0, "") == nil {
				t.Error("second answer succeeded")
			}
			// Withdrawn by its owner.
			ann.Close()
			<-req.Context().Done()
			if err := done(ann.Context()); err != transport.ErrClosed {
				t.Errorf("cause at the owner = %v, want ErrClosed", err)
			}
			// Revoked by the peer, with a code.
			ann, req = announced(t, way[0], way[1], moqt.NS("a", "b"))
			req.Revoke(moqt.StreamExpiredToken)
			wantStream(t, "the announcement's end", done(ann.Context()), moqt.StreamExpiredToken)
			// Refused.
			wait := async(func() (*transport.Announcement, error) { return way[0].Announce(t.Context(), moqt.NS("x")) })
			accept[*transport.AnnounceRequest](t, way[1]).Reject(moqt.RequestUninterested, "")
			_, err := wait()
			wantRequest(t, "Announce()", err, moqt.RequestUninterested)
		}
	})
}

// watched has one session watch a prefix at the other.
func watched(t *testing.T, sub, pub *transport.Session, prefix moqt.Namespace) (*transport.NamespaceReader, *transport.NamespaceWriter) {
	t.Helper()
	wait := async(func() (*transport.NamespaceReader, error) { return sub.WatchNamespaces(t.Context(), prefix) })
	req := accept[*transport.WatchRequest](t, pub)
	if req.Prefix != prefix {
		t.Errorf("request for %v, want %v", req.Prefix, prefix)
	}
	w, err := req.Accept()
	if err != nil {
		t.Fatalf("Accept() = %v", err)
	}
	if _, err := req.Accept(); err == nil {
		t.Error("second Accept() succeeded")
	}
	r, err := wait()
	if err != nil {
		t.Fatalf("WatchNamespaces() = %v", err)
	}
	return r, w
}

func wantEvent(t *testing.T, r *transport.NamespaceReader, ns moqt.Namespace, gone bool) {
	t.Helper()
	e, err := r.Next(t.Context())
	if want := (transport.NamespaceEvent{Namespace: ns, Gone: gone}); e != want || err != nil {
		t.Errorf("Next() = %+v, %v, want %+v", e, err, want)
	}
}

func TestWatchNamespaces(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		r, w := watched(t, c, s, moqt.NS("a"))
		ab, ac, self := moqt.NS("a", "b"), moqt.NS("a", "c", "d"), moqt.NS("a")
		for _, ns := range []moqt.Namespace{ab, ac, self, ab} { // the last is told already
			if err := w.Add(ns); err != nil {
				t.Errorf("Add(%v) = %v", ns, err)
			}
		}
		if err := w.Add(moqt.NS("ab")); err == nil {
			t.Error("Add() of what is not under the prefix succeeded")
		}
		wantEvent(t, r, ab, false)
		wantEvent(t, r, ac, false)
		wantEvent(t, r, self, false)
		w.Remove(ab)
		w.Remove(ab)
		w.Remove(moqt.NS("a", "never"))
		wantEvent(t, r, ab, true)
		w.Add(ab)
		wantEvent(t, r, ab, false)
		w.Remove(self)
		wantEvent(t, r, self, true)
		if _, err := r.Next(contextAfter(t, time.Second)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Next() = %v, want the context's error", err)
		}
		// The end of the request is the end of all.
		w.Close()
		gone := make(map[moqt.Namespace]bool)
		for range 2 {
			e, err := r.Next(t.Context())
			if err != nil || !e.Gone {
				t.Errorf("Next() = %+v, %v, want one gone", e, err)
			}
			gone[e.Namespace] = true
		}
		if !gone[ab] || !gone[ac] {
			t.Errorf("gone at the end: %v, want %v and %v", gone, ab, ac)
		}
		_, err := r.Next(t.Context())
		wantStream(t, "Next() after the end", err, moqt.StreamCancelled)
		if err := w.Add(ab); err == nil {
			t.Error("Add() after Close succeeded")
		}
		// The watcher leaves.
		r, w = watched(t, c, s, moqt.NS("a"))
		r.Close()
		<-w.Context().Done()
		if _, err := r.Next(t.Context()); err != transport.ErrClosed {
			t.Errorf("Next() after Close = %v, want ErrClosed", err)
		}
	})
}

// TestWatcherDoesNotRead has a peer that takes no NAMESPACE: the request ends,
// and other calls do not wait for it longer than that.
func TestWatcherDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := transporttest.Pipe(t, &transporttest.PipeOptions{Window: 500})
		p := newPeer(t, b)
		s, err := transport.NewSession(t.Context(), a, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		st := p.request(subscribeNamespace(1, "a"))
		w, err := accept[*transport.WatchRequest](t, s).Accept()
		if err != nil {
			t.Fatal(err)
		}
		p.answer(st, wire.KindSubscribeNamespace) // REQUEST_OK, and no more
		start := time.Now()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				for i := 0; err == nil; i++ {
					if err := w.Add(moqt.NS("a", fmt.Sprint(i))); err != nil {
						return
					}
				}
			})
		}
		wg.Wait()
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("Add() blocked for %v, want MessageTimeout, 10s", d)
		}
		if err := s.Context().Err(); err != nil {
			t.Errorf("the session ended: %v", context.Cause(s.Context()))
		}
		p.wantReset(st, moqt.StreamExcessiveLoad)
	})
}

func TestPrefixOverlap(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		ab, w := watched(t, c, s, moqt.NS("a", "b"))
		watched(t, c, s, moqt.NS("a", "bc")) // not by whole fields
		if ability(v).RequestStreams() {     // else both kinds are one
			tracks := async(func() (*transport.TracksReader, error) { return c.SubscribeTracks(t.Context(), moqt.NS("a"), nil) })
			accept[*transport.TracksRequest](t, s).Accept()
			if _, err := tracks(); err != nil {
				t.Errorf("SubscribeTracks() = %v", err)
			}
		}
		for _, ns := range []moqt.Namespace{moqt.NS("a", "b"), moqt.NS("a"), moqt.NS("a", "b", "c"), {}} {
			_, err := c.WatchNamespaces(t.Context(), ns)
			wantRequest(t, fmt.Sprintf("WatchNamespaces(%v)", ns), err, moqt.RequestPrefixOverlap)
			_, err = c.SubscribeTracks(t.Context(), ns, nil)
			wantRequest(t, fmt.Sprintf("SubscribeTracks(%v)", ns), err, moqt.RequestPrefixOverlap)
		}
		ab.Close()
		<-w.Context().Done()
		synctest.Wait()
		watched(t, c, s, moqt.NS("a", "b")) // the place is free again
	})
}

// TestReservedNamespaces checks that requests for them come to no application.
func TestReservedNamespaces(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		ctx := t.Context()
		for _, ns := range []moqt.Namespace{moqt.NS("."), moqt.NS(".", "a"), moqt.NS(".session"), moqt.NS(".session", "x")} {
			for name, err := range map[string]error{
				"Subscribe":       second(c.Subscribe(ctx, ns.Track(""), nil)),
				"Publish":         second(c.Publish(ctx, ns.Track("t"), nil)),
				"Fetch":           second(c.Fetch(ctx, ns.Track("t"), transport.Range{}, nil)),
				"Status":          second(c.Status(ctx, ns.Track("t"))),
				"Announce":        second(c.Announce(ctx, ns)),
				"WatchNamespaces": second(c.WatchNamespaces(ctx, ns)),
				"SubscribeTracks": second(c.SubscribeTracks(ctx, ns, nil)),
			} {
				wantRequest(t, fmt.Sprintf("%s of %v", name, ns), err, moqt.RequestDoesNotExist)
			}
		}
		// Others with a period may get a meaning.
		announced(t, c, s, moqt.NS(".new"))
	})
}

func TestSubscribeTracks(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		prefix := moqt.NS("live")
		wait := async(func() (*transport.TracksReader, error) { return c.SubscribeTracks(t.Context(), prefix, nil) })
		req := accept[*transport.TracksRequest](t, s)
		if req.Prefix != prefix || !req.Forward {
			t.Errorf("request = %+v, want %v and forward", req, prefix)
		}
		if err := req.Accept(); err != nil {
			t.Fatal(err)
		}
		r, err := wait()
		if err != nil {
			t.Fatal(err)
		}
		// The tracks come as PUBLISH.
		var names []string
		for _, name := range []string{"video", "audio"} {
			published := async(func() (*transport.TrackWriter, error) {
				return s.Publish(t.Context(), moqt.NS("live", "x").Track(name), nil)
			})
			pub := accept[*transport.PublishRequest](t, c)
			names = append(names, pub.Track.Name)
			tr, err := pub.Accept(nil)
			if err != nil {
				t.Fatal(err)
			}
			w, err := published()
			if err != nil {
				t.Fatal(err)
			}
			write(t, w, 0, []string{name})
			w.Close()
			got, _ := read(t, tr)
			wantObjects(t, got, "0/0 "+name)
		}
		if !slices.Equal(names, []string{"video", "audio"}) {
			t.Errorf("published %q, want video and audio", names)
		}
		// One cannot be published.
		blocked := moqt.NS("live", "y").Track("data")
		if err := req.Skip(blocked); err != nil {
			t.Errorf("Skip() = %v", err)
		}
		if err := req.Skip(moqt.NS("other").Track("x")); err == nil {
			t.Error("Skip() of a track that is not under the prefix succeeded")
		}
		if ability(c.Version()).Has(wire.KindPublishSkipped) {
			if got := <-r.Skipped(); got != blocked {
				t.Errorf("Skipped() = %v, want %v", got, blocked)
			}
		}
		r.Close()
		<-req.Context().Done()
		if err := done(r.Context()); err != transport.ErrClosed {
			t.Errorf("cause of the reader's context = %v, want ErrClosed", err)
		}
		wait = async(func() (*transport.TracksReader, error) { return c.SubscribeTracks(t.Context(), prefix, nil) })
		accept[*transport.TracksRequest](t, s).Reject(moqt.RequestNotSupported, "")
		_, err = wait()
		wantRequest(t, "SubscribeTracks()", err, moqt.RequestNotSupported)
	})
}

// TestSkippedNobodyTakes has a peer name more tracks than are taken, and the
// request end.
func TestSkippedNobodyTakes(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		wait := async(func() (*transport.TracksReader, error) { return c.SubscribeTracks(t.Context(), moqt.NS("a"), nil) })
		req := accept[*transport.TracksRequest](t, s)
		req.Accept()
		r, err := wait()
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			if err := req.Skip(moqt.NS("a").Track(fmt.Sprint(i))); err != nil {
				t.Fatalf("Skip() = %v", err)
			}
		}
		synctest.Wait()
		r.Close()
		<-req.Context().Done()
	})
}

func TestStatus(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		status := func() (transport.TrackInfo, error) { return c.Status(t.Context(), clock) }
		wait := async(status)
		req := accept[*transport.StatusRequest](t, s)
		if req.Track != clock {
			t.Errorf("request for %v, want %v", req.Track, clock)
		}
		props := moqt.Properties{{Type: moqt.PropMaxCacheDuration, Value: 1}}
		if err := req.Accept(transport.TrackInfo{Largest: at(2, 3), HasLargest: true, Properties: props}); err != nil {
			t.Errorf("Accept() = %v", err)
		}
		if err := req.Accept(transport.TrackInfo{}); err == nil {
			t.Error("second Accept() succeeded")
		}
		<-req.Context().Done()
		info, err := wait()
		if !ability(c.Version()).TrackStatusProperties() {
			props = nil
		}
		if err != nil || info.Largest != at(2, 3) || !info.HasLargest || len(info.Properties) != len(props) {
			t.Errorf("Status() = %+v, %v, want what was answered", info, err)
		}
		wait = async(status)
		accept[*transport.StatusRequest](t, s).Accept(transport.TrackInfo{})
		if info, err := wait(); err != nil || info.HasLargest {
			t.Errorf("Status() = %+v, %v, want no objects", info, err)
		}
		wait = async(status)
		accept[*transport.StatusRequest](t, s).Reject(moqt.RequestDoesNotExist, "")
		_, err = wait()
		wantRequest(t, "Status()", err, moqt.RequestDoesNotExist)
	})
}
