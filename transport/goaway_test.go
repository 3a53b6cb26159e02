package transport_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

func TestGoaway(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		if _, ok := c.PeerGoaway(); ok {
			t.Error("PeerGoaway() before there was one")
		}
		if err := c.Goaway(t.Context(), "moqt://elsewhere", 0); err == nil {
			t.Error("Goaway() of a client with a URI succeeded")
		}
		if err := s.Goaway(t.Context(), "moqt://"+strings.Repeat("a", 9000), 0); err == nil {
			t.Error("Goaway() with a URI that is too long succeeded")
		}
		wait := async(func() (int, error) { return 0, s.Goaway(t.Context(), "moqt://elsewhere/x", 5*time.Second) })
		<-c.GoawayReceived()
		timeout := 5 * time.Second
		if !ability(c.Version()).GoawayTimeout() {
			timeout = 0 // is not told
		}
		if g, ok := c.PeerGoaway(); !ok || g.URI != "moqt://elsewhere/x" || g.Timeout != timeout {
			t.Errorf("PeerGoaway() = %+v, %v", g, ok)
		}
		if err := s.Goaway(t.Context(), "", 0); err == nil {
			t.Error("second Goaway() succeeded")
		}
		// New requests belong elsewhere, those that are open go on.
		if _, err := c.Subscribe(t.Context(), moqt.NS("x").Track("y"), nil); err != transport.ErrGoaway {
			t.Errorf("Subscribe() after GOAWAY = %v, want ErrGoaway", err)
		}
		if _, err := c.Announce(t.Context(), moqt.NS("x")); err != transport.ErrGoaway {
			t.Errorf("Announce() after GOAWAY = %v, want ErrGoaway", err)
		}
		write(t, w, 0, []string{"a"})
		w.Close()
		got, err := read(t, r)
		wantObjects(t, got, "0/0 a")
		if err != nil {
			t.Errorf("Objects ended with %v", err)
		}
		c.Close()
		if _, err := wait(); err != nil {
			t.Errorf("Goaway() = %v, want nothing once the peer has left", err)
		}
	})
}

func TestGoawayTimeout(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		start := time.Now()
		if err := c.Goaway(t.Context(), "", 3*time.Second); err != nil { // a client may, too
			t.Errorf("Goaway() = %v", err)
		}
		if d := time.Since(start); d < 3*time.Second || d > 4*time.Second {
			t.Errorf("Goaway() took %v, want 3s", d)
		}
		wantSession(t, "the peer's end", done(s.Context()), moqt.SessionGoawayTimeout, true)
		wantSession(t, "this end", done(c.Context()), moqt.SessionGoawayTimeout, false)
		if g, ok := s.PeerGoaway(); !ok || g.URI != "" {
			t.Errorf("PeerGoaway() = %+v, %v", g, ok)
		}
		if err := c.Goaway(t.Context(), "", 0); err == nil {
			t.Error("Goaway() of a session that has ended succeeded")
		}
	})
}

func TestGoawayContext(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		if err := s.Goaway(contextAfter(t, time.Second), "", time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Goaway() = %v, want the context's error", err)
		}
		time.Sleep(time.Hour)
		if c.Context().Err() != nil || s.Context().Err() != nil {
			t.Error("the session ended although the context came first")
		}
	})
}

// TestLateRequests sends requests to an end that has sent GOAWAY and is not
// heard yet.
func TestLateRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := against(t, nil, nil)
		go s.Goaway(t.Context(), "", 0)
		synctest.Wait()
		p.wantError(p.request(subscribe(0)), wire.KindSubscribe, moqt.RequestGoingAway)
		if err := s.Context().Err(); err != nil {
			t.Errorf("the session ended: %v", err)
		}
		// This end may ask on.
		wait := async(func() (*transport.TrackReader, error) { return s.Subscribe(t.Context(), clock, nil) })
		st, _ := p.accepted()
		st.Close()
		_, err := wait()
		wantRequest(t, "Subscribe()", err, moqt.RequestInternalError)
	})
}
