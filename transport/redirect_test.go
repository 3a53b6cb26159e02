package transport_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
	"github.com/tributary-live/tributary/transport/wire"
)

// TestRedirect sends requests of each kind elsewhere, to the same name and to
// another, and looks at what the peer makes of it.
func TestRedirect(t *testing.T) {
	eachDraftThat(t, (*wire.Profile).Redirects, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		name, other := moqt.NS("a", "b").Track("c"), moqt.NS("x").Track("y")
		type redirecter interface {
			Redirect(transport.Redirect) error
		}
		for kind, call := range map[string]func() error{
			"subscribe": func() error { return second(c.Subscribe(t.Context(), name, nil)) },
			"publish":   func() error { return second(c.Publish(t.Context(), name, nil)) },
			"fetch":     func() error { return second(c.Fetch(t.Context(), name, transport.Range{End: at(1, 0)}, nil)) },
			"status":    func() error { return second(c.Status(t.Context(), name)) },
			"announce":  func() error { return second(c.Announce(t.Context(), name.Namespace)) },
			"watch":     func() error { return second(c.WatchNamespaces(t.Context(), name.Namespace)) },
			"tracks":    func() error { return second(c.SubscribeTracks(t.Context(), name.Namespace, nil)) },
		} {
			asked, moved := name, other
			switch kind {
			case "announce", "watch", "tracks":
				asked.Name, moved.Name = "", ""
			}
			for _, tt := range []struct{ to, want transport.Redirect }{
				{transport.Redirect{URI: "moqt://elsewhere", Track: other}, transport.Redirect{URI: "moqt://elsewhere", Track: moved}},
				{transport.Redirect{Track: other}, transport.Redirect{Track: moved}},
				{transport.Redirect{URI: "moqt://elsewhere", Same: true}, transport.Redirect{URI: "moqt://elsewhere", Track: asked}},
			} {
				answer := async(func() (int, error) { return 0, call() })
				req, err := s.Accept(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := req.(redirecter).Redirect(tt.to); err != nil {
					t.Errorf("%s: Redirect(%+v) = %v", kind, tt.to, err)
				}
				_, err = answer()
				re, ok := errors.AsType[*transport.RequestError](err)
				if !ok || re.Code != moqt.RequestRedirect || re.Redirect == nil || *re.Redirect != tt.want {
					t.Errorf("%s: error = %v, redirect %+v, want %+v", kind, err, re.Redirect, tt.want)
				}
			}
		}
	})
}

func TestRedirectByAClient(t *testing.T) {
	eachDraftThat(t, (*wire.Profile).Redirects, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		wait := async(func() (*transport.TrackReader, error) { return s.Subscribe(t.Context(), clock, nil) })
		req := accept[*transport.SubscribeRequest](t, c)
		if err := req.Redirect(transport.Redirect{URI: "moqt://elsewhere", Same: true}); err == nil {
			t.Error("a client's redirect to a URI succeeded")
		}
		if err := req.Redirect(transport.Redirect{Track: moqt.NS("x").Track("y")}); err != nil {
			t.Error(err)
		}
		_, err := wait()
		wantRequest(t, "Subscribe()", err, moqt.RequestRedirect)
	})
}

// TestEmptyRedirect reads a redirect without a name: until draft-19 that is the
// track that was asked for, later a track without a name.
func TestEmptyRedirect(t *testing.T) {
	eachDraftThat(t, (*wire.Profile).Redirects, func(t *testing.T, v moqt.Version) {
		s, p := againstServer(t, nil, &transporttest.PipeOptions{Version: v})
		wait := async(func() (*transport.TrackReader, error) { return s.Subscribe(t.Context(), clock, nil) })
		st, _ := p.accepted()
		p.write(st, p.bytes(&wire.RequestError{Code: moqt.RequestRedirect, Redirect: wire.Some(wire.Redirect{})}))
		_, err := wait()
		re, ok := errors.AsType[*transport.RequestError](err)
		profile, _ := wire.ProfileFor(v)
		if !ok || re.Redirect == nil || re.Redirect.Same != profile.RedirectKeepsTrack() {
			t.Errorf("Subscribe() = %v, redirect %+v, want Same %v", err, re.Redirect, profile.RedirectKeepsTrack())
		}
	})
}

// TestNamespaceRedirectedToATrack ends the session with a peer that does so.
func TestNamespaceRedirectedToATrack(t *testing.T) {
	eachDraftThat(t, (*wire.Profile).Redirects, func(t *testing.T, v moqt.Version) {
		s, p := againstServer(t, nil, &transporttest.PipeOptions{Version: v})
		wait := async(func() (*transport.Announcement, error) { return s.Announce(t.Context(), clock.Namespace) })
		st, _ := p.accepted()
		p.write(st, p.bytes(&wire.RequestError{Code: moqt.RequestRedirect, Redirect: wire.Some(wire.Redirect{Track: clock})}))
		_, err := wait()
		wantSession(t, "Announce()", err, moqt.SessionProtocolViolation, false)
	})
}

// TestGoawayOfARequest moves one subscription, from either end.
func TestGoawayOfARequest(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		if profile, _ := wire.ProfileFor(v); !profile.RequestStreams() {
			if err := w.Goaway("", 0); err == nil {
				t.Error("Goaway() succeeded in a draft that has none for requests")
			}
			return
		}
		if _, ok := r.PeerGoaway(); ok {
			t.Error("PeerGoaway() before it came")
		}
		if err := w.Goaway("moqt://elsewhere", time.Second); err != nil {
			t.Fatal(err)
		}
		if err := w.Goaway("", 0); err == nil {
			t.Error("a second Goaway() succeeded")
		}
		<-r.GoawayReceived()
		if g, ok := r.PeerGoaway(); !ok || g.URI != "moqt://elsewhere" || profileOf(v).GoawayTimeout() && g.Timeout != time.Second {
			t.Errorf("PeerGoaway() = %+v, %v", g, ok)
		}
		if err := r.Goaway("moqt://elsewhere", 0); err == nil {
			t.Error("a client's Goaway() to a URI succeeded")
		}
		if err := r.Goaway("", 0); err != nil {
			t.Errorf("Goaway() the other way = %v", err)
		}
		<-w.GoawayReceived()
		// It goes on, but not for ever.
		start := time.Now()
		out := open(t, w, moqt.Subgroup{First: true})
		put(t, out, 0)
		if o, err := next(t, r).ReadObject(); err != nil || o.Object != 0 {
			t.Errorf("ReadObject() = %v, %v", o.Location, err)
		}
		_, err := r.AcceptSubgroup(t.Context())
		wantStream(t, "AcceptSubgroup()", err, moqt.StreamGoingAway)
		if took := time.Since(start); took != time.Second {
			t.Errorf("the request was reset after %v, want 1s", took)
		}
		if c.Context().Err() != nil {
			t.Errorf("the session ended: %v", done(c.Context()))
		}
	})
}

func profileOf(v moqt.Version) *wire.Profile {
	p, _ := wire.ProfileFor(v)
	return p
}
