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

// places are servers by URL, and who is connected to them.
type places struct {
	t       *testing.T
	version moqt.Version
	serve   map[string]func(*transport.Session)

	mu       sync.Mutex
	sessions map[string][]*transport.Session // the servers' ends
	down     map[string]int                  // dials that fail
}

func newPlaces(t *testing.T, v moqt.Version, serve func(*transport.Session), urls ...string) (*places, *transport.Client) {
	p := &places{t: t, version: v, serve: make(map[string]func(*transport.Session)), sessions: make(map[string][]*transport.Session), down: make(map[string]int)}
	for _, url := range urls {
		p.serve[url] = serve
	}
	c := &transport.Client{URL: urls[0], Dial: p.dial}
	t.Cleanup(func() { c.Close() })
	return p, c
}

func (p *places) dial(ctx context.Context, url string) (*transport.Session, error) {
	p.mu.Lock()
	serve, failing := p.serve[url], p.down[url] > 0
	p.down[url]--
	p.mu.Unlock()
	if serve == nil || failing {
		return nil, fmt.Errorf("nobody at %s", url)
	}
	a, b := transporttest.Pipe(p.t, &transporttest.PipeOptions{Version: p.version})
	go func() {
		s, err := transport.NewSession(context.Background(), b, nil)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.sessions[url] = append(p.sessions[url], s)
		p.mu.Unlock()
		serve(s)
	}()
	return transport.NewSession(ctx, a, nil)
}

// at returns the newest session of a server.
func (p *places) at(url string) *transport.Session {
	p.t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.sessions[url]) == 0 {
		p.t.Fatalf("nobody is at %s", url)
	}
	return p.sessions[url][len(p.sessions[url])-1]
}

func (p *places) count(url string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sessions[url])
}

// A live track has an object every 100 ms and five in a group, at every server
// alike.
const (
	pace     = 100 * time.Millisecond
	perGroup = 5
)

// live serves subscriptions with a track that began at a time.
func live(began time.Time, writers func(*transport.TrackWriter)) func(*transport.Session) {
	largest := func() (moqt.Location, bool) {
		n := uint64(time.Since(began) / pace)
		return at(n/perGroup, n%perGroup), true
	}
	return func(s *transport.Session) {
		for {
			req, err := s.Accept(context.Background())
			if err != nil {
				return
			}
			sub, ok := req.(*transport.SubscribeRequest)
			if !ok {
				req.Reject(moqt.RequestNotSupported, "no")
				continue
			}
			w, err := sub.Accept(&transport.PublishOptions{Largest: largest})
			if err != nil {
				continue
			}
			if writers != nil {
				writers(w)
			}
			go func() {
				start := w.State().Start
				first := start.Object
				for g := start.Group; ; g++ {
					sg, err := w.OpenGroup(context.Background(), g)
					if err != nil {
						return
					}
					for o := first; o < perGroup; o++ {
						select {
						case <-time.After(time.Until(began.Add(time.Duration(g*perGroup+o) * pace))):
						case <-w.Context().Done():
							return
						}
						if sg.WriteObject(moqt.Object{Location: at(g, o), Payload: []byte("x")}) != nil {
							return
						}
					}
					first = 0
					sg.Close()
				}
			}()
		}
	}
}

// follow reads objects and checks that each comes once and in its time. It
// returns after n.
func follow(t *testing.T, s *transport.Subscription, began time.Time, n int) {
	t.Helper()
	var got []moqt.Location
	for o, err := range s.Objects(t.Context()) {
		if err != nil {
			t.Fatalf("after %v: %v", got, err)
		}
		got = append(got, o.Location)
		if late := time.Since(began.Add(time.Duration(o.Group*perGroup+o.Object) * pace)); late > pace/2 {
			t.Errorf("object %v came %v late", o.Location, late)
		}
		if len(got) == n {
			break
		}
	}
	sorted := slices.Clone(got)
	slices.SortFunc(sorted, moqt.Location.Compare)
	for i, at := range sorted {
		first := sorted[0]
		if want := first.Group*perGroup + first.Object + uint64(i); at.Group*perGroup+at.Object != want {
			t.Fatalf("objects %v: one is missing or came twice", got)
		}
	}
}

// TestClientFollowsGoaway moves a subscription to another server, or to the same
// one again, and misses nothing.
func TestClientFollowsGoaway(t *testing.T) {
	for _, to := range []string{"moqt://two", ""} {
		t.Run("to "+to, func(t *testing.T) {
			eachDraft(t, func(t *testing.T, v moqt.Version) {
				began := time.Now()
				p, c := newPlaces(t, v, live(began, nil), "moqt://one", "moqt://two")
				s, err := c.Subscribe(t.Context(), clock, nil)
				if err != nil {
					t.Fatal(err)
				}
				one := p.at("moqt://one")
				left := make(chan error, 1)
				go func() {
					time.Sleep(1234 * time.Millisecond)
					left <- one.Goaway(context.Background(), to, 8*time.Second)
				}()
				follow(t, s, began, 150)
				if err := <-left; err != nil {
					t.Errorf("Goaway() = %v", err)
				}
				wantSession(t, "the old session's end", done(one.Context()), moqt.SessionNoError, true)
				if url := or(to, "moqt://one"); p.at(url).Context().Err() != nil {
					t.Errorf("the session at %s has ended", url)
				}
				// What is asked for next goes to the new server too.
				other, err := c.Subscribe(t.Context(), moqt.NS("other").Track("x"), nil)
				if err != nil {
					t.Fatal(err)
				}
				if n := p.count("moqt://one") + p.count("moqt://two"); n != 2 {
					t.Errorf("%d sessions, want 2", n)
				}
				other.Close()
				s.Close()
			})
		})
	}
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// TestClientKeepsTheOldUntilTheNew has the new server be down for a while.
func TestClientKeepsTheOldUntilTheNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		p, c := newPlaces(t, moqt.Draft18, live(began, nil), "moqt://one", "moqt://two")
		p.down["moqt://two"] = 4
		s, err := c.Subscribe(t.Context(), clock, nil)
		if err != nil {
			t.Fatal(err)
		}
		one := p.at("moqt://one")
		go one.Goaway(context.Background(), "moqt://two", 0)
		follow(t, s, began, 150)
		if n := p.count("moqt://two"); n != 1 {
			t.Errorf("%d sessions at the new server, want 1", n)
		}
		<-one.Context().Done()
	})
}

// TestClientMovesOneRequest moves one of two subscriptions, to another server and
// within the session.
func TestClientMovesOneRequest(t *testing.T) {
	for _, to := range []string{"moqt://two", ""} {
		t.Run("to "+to, func(t *testing.T) {
			eachDraftThat(t, (*wire.Profile).RequestStreams, func(t *testing.T, v moqt.Version) {
				began := time.Now()
				writers := make(chan *transport.TrackWriter, 10)
				p, c := newPlaces(t, v, live(began, func(w *transport.TrackWriter) { writers <- w }), "moqt://one", "moqt://two")
				s, err := c.Subscribe(t.Context(), clock, nil)
				if err != nil {
					t.Fatal(err)
				}
				stays, err := c.Subscribe(t.Context(), moqt.NS("b").Track("c"), nil)
				if err != nil {
					t.Fatal(err)
				}
				w := <-writers
				go func() {
					time.Sleep(1234 * time.Millisecond)
					w.Goaway(to, 8*time.Second)
				}()
				var both sync.WaitGroup
				both.Go(func() { follow(t, stays, began, 100) })
				follow(t, s, began, 100)
				both.Wait()
				<-writers
				if again := <-writers; again.Name() != clock {
					t.Errorf("%v was subscribed to again", again.Name())
				}
				if n, want := p.count("moqt://two"), len(to)/len("moqt://two"); n != want {
					t.Errorf("%d sessions at the second server, want %d", n, want)
				}
				if p.count("moqt://one") != 1 || p.at("moqt://one").Context().Err() != nil {
					t.Error("the session with the first server was given up")
				}
			})
		})
	}
}

// TestClientFollowsRedirects goes from server to server, to another name and
// back to the first, but not for ever.
func TestClientFollowsRedirects(t *testing.T) {
	eachDraftThat(t, (*wire.Profile).Redirects, func(t *testing.T, v moqt.Version) {
		began := time.Now()
		p, c := newPlaces(t, v, live(began, nil), "moqt://one", "moqt://two", "moqt://three")
		redirecting := func(to transport.Redirect) func(*transport.Session) {
			return func(s *transport.Session) {
				for {
					req, err := s.Accept(context.Background())
					if err != nil {
						return
					}
					req.(*transport.SubscribeRequest).Redirect(to)
				}
			}
		}
		other := moqt.NS("x").Track("y")
		p.serve["moqt://one"] = redirecting(transport.Redirect{URI: "moqt://two", Same: true})
		p.serve["moqt://two"] = redirecting(transport.Redirect{URI: "moqt://three", Track: other})
		s, err := c.Subscribe(t.Context(), clock, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Name(); got != other {
			t.Errorf("Name() = %v, want %v", got, other)
		}
		follow(t, s, began, 20)
		if err := p.at("moqt://two").Context().Err(); err == nil {
			t.Error("the session with the server in between is kept")
		}
		s.Close()
		<-p.at("moqt://three").Context().Done()
		p.serve["moqt://three"] = redirecting(transport.Redirect{URI: "moqt://one", Same: true})
		_, err = c.Subscribe(t.Context(), clock, nil)
		wantRequest(t, "Subscribe() that is sent round", err, moqt.RequestRedirect)
	})
}

// TestClientSubscriptionEnds tells how a track ends.
func TestClientSubscriptionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		writers := make(chan *transport.TrackWriter, 10)
		p, c := newPlaces(t, moqt.Draft18, live(time.Now(), func(w *transport.TrackWriter) { writers <- w }), "moqt://one")
		end := func(do func(*transport.TrackWriter)) (err error) {
			s, err := c.Subscribe(t.Context(), clock, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			do(<-writers)
			for _, err = range s.Objects(t.Context()) {
			}
			return err
		}
		if err := end(func(w *transport.TrackWriter) { w.Close() }); err != nil {
			t.Errorf("a track that ends: %v", err)
		}
		err := end(func(w *transport.TrackWriter) { w.CloseWithError(moqt.DoneInternalError, "") })
		if !errors.Is(err, &transport.TrackDone{Code: moqt.DoneInternalError}) {
			t.Errorf("a track that fails: %v", err)
		}
		wantSession(t, "a session that fails", end(func(*transport.TrackWriter) {
			p.at("moqt://one").CloseWithError(moqt.SessionInternalError, "")
		}), moqt.SessionInternalError, true)
		// The next one dials again.
		if err := end(func(w *transport.TrackWriter) { w.Close() }); err != nil || p.count("moqt://one") != 2 {
			t.Errorf("after a session that failed: %v, %d sessions", err, p.count("moqt://one"))
		}
		c.Close()
		if _, err := c.Subscribe(t.Context(), clock, nil); err == nil {
			t.Error("Subscribe() after Close succeeded")
		}
	})
}

// TestClientMovesPublication publishes while the server moves the client: the
// group that is open is finished at the old one.
func TestClientMovesPublication(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		type arrival struct {
			server string
			at     moqt.Location
		}
		arrivals := make(chan arrival, 1000)
		p, c := newPlaces(t, v, nil, "moqt://one", "moqt://two")
		for _, url := range []string{"moqt://one", "moqt://two"} {
			p.serve[url] = func(s *transport.Session) {
				for {
					req, err := s.Accept(context.Background())
					if err != nil {
						return
					}
					r, err := req.(*transport.PublishRequest).Accept(nil)
					if err != nil {
						continue
					}
					go func() {
						for o, err := range r.Objects(context.Background()) {
							if err != nil {
								return
							}
							arrivals <- arrival{url, o.Location}
						}
						r.Close()
					}()
				}
			}
		}
		pub, err := c.Publish(t.Context(), clock, nil)
		if err != nil {
			t.Fatal(err)
		}
		one := p.at("moqt://one")
		left := make(chan error, 1)
		for g := range uint64(6) {
			sg, err := pub.OpenGroup(t.Context(), g)
			if err != nil {
				t.Fatal(err)
			}
			for o := range uint64(4) {
				if g == 2 && o == 1 {
					go func() { left <- one.Goaway(context.Background(), "moqt://two", 10*time.Second) }()
				}
				time.Sleep(pace)
				if err := sg.WriteObject(moqt.Object{Location: at(g, o), Payload: []byte("x")}); err != nil {
					t.Errorf("WriteObject(%d/%d) = %v", g, o, err)
				}
			}
			sg.Close()
		}
		time.Sleep(time.Second)
		if l, ok := pub.Writer().Largest(); !ok || l != at(5, 3) {
			t.Errorf("Largest() = %v, %v, want 5/3", l, ok)
		}
		if err := <-left; err != nil {
			t.Errorf("Goaway() = %v", err)
		}
		wantSession(t, "the old session's end", done(one.Context()), moqt.SessionNoError, true)
		pub.Close()
		synctest.Wait()
		for g := range uint64(6) {
			for o := range uint64(4) {
				want := arrival{"moqt://one", at(g, o)}
				if g > 2 {
					want.server = "moqt://two"
				}
				if got := <-arrivals; got != want {
					t.Errorf("object %v came, want %v", got, want)
				}
			}
		}
	})
}

// TestClientMovesAnnouncement announces at the new server before it withdraws at
// the old one, whose subscriptions go on.
func TestClientMovesAnnouncement(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		type event struct {
			server string
			gone   bool
		}
		events := make(chan event, 10)
		p, c := newPlaces(t, v, nil, "moqt://one", "moqt://two")
		for _, url := range []string{"moqt://one", "moqt://two"} {
			p.serve[url] = func(s *transport.Session) {
				for {
					req, err := s.Accept(context.Background())
					if err != nil {
						return
					}
					req.(*transport.AnnounceRequest).Accept()
					events <- event{url, false}
					go func() {
						<-req.Context().Done()
						events <- event{url, true}
					}()
				}
			}
		}
		a, err := c.Announce(t.Context(), clock.Namespace)
		if err != nil {
			t.Fatal(err)
		}
		one := p.at("moqt://one")
		sub := async(func() (*transport.TrackReader, error) { return one.Subscribe(t.Context(), clock, nil) })
		req, err := c.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w, err := req.(*transport.SubscribeRequest).Accept(nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := sub()
		if err != nil {
			t.Fatal(err)
		}
		left := async(func() (int, error) { return 0, one.Goaway(context.Background(), "moqt://two", 20*time.Second) })
		for _, want := range []event{{"moqt://one", false}, {"moqt://two", false}, {"moqt://one", true}} {
			if got := <-events; got != want {
				t.Errorf("event %v, want %v", got, want)
			}
		}
		time.Sleep(5 * time.Second)
		sg := open(t, w, moqt.Subgroup{First: true})
		put(t, sg, 0)
		if o, err := next(t, r).ReadObject(); err != nil || o.Object != 0 {
			t.Errorf("the old session's subscription: %v, %v", o.Location, err)
		}
		r.Close()
		if _, err := left(); err != nil {
			t.Errorf("Goaway() = %v", err)
		}
		wantSession(t, "the old session's end", done(one.Context()), moqt.SessionNoError, true)
		a.Close()
		if got := <-events; got != (event{"moqt://two", true}) {
			t.Errorf("event %v, want the end at the new server", got)
		}
	})
}
