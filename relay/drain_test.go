package relay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// TestDrainTellsWhereToGo tells each client the next relay as it has to dial it:
// over its own transport and with the path it came with. Relays are told none.
func TestDrainTellsWhereToGo(t *testing.T) {
	for _, tt := range []struct {
		name, to, want string
		session        transporttest.PipeOptions
		config         *transport.Config
	}{
		{"QUIC", "moqt://next.example:4443", "moqt://next.example:4443/live?a=1", transporttest.PipeOptions{Path: "/live?a=1"}, nil},
		{"QUIC, draft-16", "moqt://next.example", "moqt://next.example/x", transporttest.PipeOptions{Version: moqt.Draft16, Path: "/x"}, nil},
		{"WebTransport", "moqt://next.example:4443", "https://next.example:4443/live", transporttest.PipeOptions{WebTransport: true, Path: "/live"}, nil},
		{"with a path", "moqt://next.example/other", "moqt://next.example/other", transporttest.PipeOptions{Path: "/live"}, nil},
		{"nowhere", "", "", transporttest.PipeOptions{Path: "/live"}, nil},
		{"relay", "moqt://next.example", "", transporttest.PipeOptions{}, asNode("moqt://edge")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t, relay.Config{})
				sess := connectBy(t, r, tt.config, &tt.session)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				drained := make(chan struct{})
				go func() {
					defer close(drained)
					r.Drain(ctx, tt.to)
				}()
				<-sess.GoawayReceived()
				late := connectBy(t, r, tt.config, &tt.session)
				<-late.GoawayReceived()
				for _, s := range []*transport.Session{sess, late} {
					if g, _ := s.PeerGoaway(); g.URI != tt.want {
						t.Errorf("GOAWAY names %q, want %q", g.URI, tt.want)
					}
				}
				if _, err := sess.Announce(t.Context(), moqt.NS("late")); !errors.Is(err, transport.ErrGoaway) {
					t.Errorf("Announce() after GOAWAY = %v", err)
				}
				sess.Close()
				<-drained
			})
		})
	}
}

// connectTo opens a session with a server that is no relay of this package.
func connectTo(t *testing.T, serve func(context.Context, *transport.Session)) *transport.Session {
	t.Helper()
	client, server := transporttest.Pipe(t, nil)
	go func() {
		s, err := transport.NewSession(t.Context(), server, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer s.Close()
		serve(t.Context(), s)
	}()
	s, err := transport.NewSession(t.Context(), client, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// cluster is relays by URL.
type cluster map[string]*relay.Relay

func (c cluster) dial(t *testing.T, config *transport.Config) func(context.Context, string) (*transport.Session, error) {
	return func(_ context.Context, url string) (*transport.Session, error) {
		for prefix, r := range c {
			if len(url) >= len(prefix) && url[:len(prefix)] == prefix {
				return connect(t, r, config), nil
			}
		}
		return nil, fmt.Errorf("nobody is at %s", url)
	}
}

// TestDrainMovesWithoutLoss drains a relay while a client watches: it goes on at
// the other one and gets every object once.
func TestDrainMovesWithoutLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relays := cluster{"moqt://one": newRelay(t, relay.Config{}), "moqt://two": newRelay(t, relay.Config{})}
		twins := []*publisher{publish(t, connect(t, relays["moqt://one"], nil), track), publish(t, connect(t, relays["moqt://two"], nil), track)}
		c := &transport.Client{URL: "moqt://one", Dial: relays.dial(t, nil)}
		defer c.Close()
		sub, err := c.Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		// A viewer keeps the other relay's track running.
		other, err := connect(t, relays["moqt://two"], nil).Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		collect(other)
		synctest.Wait()
		const groups, perGroup = 6, 4
		go func() {
			for g := range uint64(groups) {
				for o := range uint64(perGroup) {
					for _, p := range twins {
						p.write(g, o)
					}
					if g == 2 && o == 1 {
						go relays["moqt://one"].Drain(t.Context(), "moqt://two")
					}
					time.Sleep(100 * time.Millisecond)
				}
			}
			for _, p := range twins {
				p.end()
			}
		}()
		times := make(map[moqt.Location]int)
		for o, err := range sub.Objects(t.Context()) {
			if err != nil {
				t.Error(err)
				break
			}
			times[o.Location]++
		}
		for g := range uint64(groups) {
			for o := range uint64(perGroup) {
				if n := times[moqt.Location{Group: g, Object: o}]; n != 1 {
					t.Errorf("object %d/%d came %d times", g, o, n)
				}
			}
		}
	})
}

// TestRedirectByPrefix sends clients on that ask for what another relay serves,
// whatever they ask, and nobody else.
func TestRedirectByPrefix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{Redirects: []relay.Elsewhere{{Prefix: moqt.NS("far"), URL: "moqt://two.example:4443"}}})
		sess := connectBy(t, r, nil, &transporttest.PipeOptions{Path: "/p"})
		ctx, ns := t.Context(), moqt.NS("far", "away")
		for name, ask := range map[string]func() error{
			"SUBSCRIBE":           func() error { _, err := sess.Subscribe(ctx, ns.Track("t"), nil); return err },
			"PUBLISH":             func() error { _, err := sess.Publish(ctx, ns.Track("t"), nil); return err },
			"FETCH":               func() error { _, err := sess.Fetch(ctx, ns.Track("t"), transport.Range{}, nil); return err },
			"TRACK_STATUS":        func() error { _, err := sess.Status(ctx, ns.Track("t")); return err },
			"PUBLISH_NAMESPACE":   func() error { _, err := sess.Announce(ctx, ns); return err },
			"SUBSCRIBE_NAMESPACE": func() error { _, err := sess.WatchNamespaces(ctx, ns); return err },
			"SUBSCRIBE_TRACKS":    func() error { _, err := sess.SubscribeTracks(ctx, ns, nil); return err },
		} {
			var re *transport.RequestError
			if err := ask(); !errors.As(err, &re) || re.Code != moqt.RequestRedirect || re.Redirect == nil || re.Redirect.URI != "moqt://two.example:4443/p" {
				t.Errorf("%s: %v, want a redirect to the other relay", name, err)
			}
		}
		if _, err := sess.Announce(ctx, moqt.NS("near")); err != nil {
			t.Errorf("another namespace: %v", err)
		}
		if _, err := connect(t, r, asNode("moqt://edge")).Announce(ctx, ns); err != nil {
			t.Errorf("a relay: %v", err)
		}
		if _, err := connectIn(t, r, moqt.Draft16).Announce(ctx, ns); err != nil {
			t.Errorf("draft-16, which has no redirects: %v", err)
		}
	})
}

// TestRedirectIsFollowed has a client with a redirected track end up at the other
// relay.
func TestRedirectIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relays := cluster{
			"moqt://one": newRelay(t, relay.Config{Redirects: []relay.Elsewhere{{Prefix: track.Namespace, URL: "moqt://two"}}}),
			"moqt://two": newRelay(t, relay.Config{}),
		}
		p := publish(t, connect(t, relays["moqt://two"], nil), track)
		c := &transport.Client{URL: "moqt://one", Dial: relays.dial(t, nil)}
		defer c.Close()
		sub, err := c.Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		p.write(0, 0)
		for o, err := range sub.Objects(t.Context()) {
			if err != nil || o.Location != (moqt.Location{}) {
				t.Errorf("got %v, %v, want object 0/0", o.Location, err)
			}
			break
		}
	})
}

// TestRelayFollowsRedirect has a relay that asked another one for a track go where
// that sends it, and not in circles.
func TestRelayFollowsRedirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last := newRelay(t, relay.Config{Node: "moqt://last"})
		p := publish(t, connect(t, last, nil), track)
		var asked []string
		sendTo := func(uri string) func(context.Context, *transport.Session) {
			return func(ctx context.Context, s *transport.Session) {
				for {
					req, err := s.Accept(ctx)
					if err != nil {
						return
					}
					if sub, ok := req.(*transport.SubscribeRequest); ok {
						sub.Redirect(transport.Redirect{URI: uri, Same: true})
					} else {
						req.Reject(moqt.RequestNotSupported, "no")
					}
				}
			}
		}
		goal := "moqt://last"
		near := newRelay(t, relay.Config{Node: "moqt://near", Origins: origins{"moqt://first"},
			Dial: func(_ context.Context, url string) (*transport.Session, error) {
				asked = append(asked, url)
				switch url {
				case "moqt://last":
					return connect(t, last, asNode("moqt://near")), nil
				default:
					return connectTo(t, sendTo(goal)), nil
				}
			}})
		viewer := connect(t, near, nil)
		sub, err := viewer.Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := collect(sub)
		p.write(0, 0)
		synctest.Wait()
		if n := len(got.locations()); n != 1 {
			t.Errorf("%d objects came, want 1", n)
		}
		goal = "moqt://circle"
		asked = nil
		if _, err := viewer.Subscribe(t.Context(), track.Namespace.Track("circles"), nil); err == nil {
			t.Error("a track that is in a circle of redirects was found")
		}
		near.Close()
	})
}

// TestRedirectToAnotherName passes on that a publisher has the track under another
// name, which the subscriber can ask for as well as the relay can.
func TestRedirectToAnotherName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		up := connect(t, r, nil)
		if _, err := up.Announce(t.Context(), track.Namespace); err != nil {
			t.Fatal(err)
		}
		other := track.Namespace.Track("other name")
		go func() {
			for {
				req, err := up.Accept(context.Background())
				if err != nil {
					return
				}
				switch req := req.(type) {
				case *transport.SubscribeRequest:
					req.Redirect(transport.Redirect{Track: other})
				default:
					req.Reject(moqt.RequestNotSupported, "no")
				}
			}
		}()
		_, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
		var re *transport.RequestError
		if !errors.As(err, &re) || re.Code != moqt.RequestRedirect || re.Redirect == nil || re.Redirect.Track != other || re.Redirect.URI != "" {
			t.Errorf("Subscribe() = %v, want a redirect to %v", err, other)
		}
	})
}
