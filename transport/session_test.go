package transport_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

var clock = moqt.NS("clock").Track("now")

// async runs f in a goroutine and returns a function that waits for its result.
func async[T any](f func() (T, error)) func() (T, error) {
	type result struct {
		v   T
		err error
	}
	c := make(chan result, 1)
	go func() {
		v, err := f()
		c <- result{v, err}
	}()
	return func() (T, error) {
		r := <-c
		return r.v, r.err
	}
}

// setup makes a session of a pair of connections. Both ends are closed at the
// end of the test.
func setup(t *testing.T, client, server transport.Conn, cc, sc *transport.Config) (c, s *transport.Session) {
	t.Helper()
	wait := async(func() (*transport.Session, error) { return transport.NewSession(t.Context(), server, sc) })
	c, err := transport.NewSession(t.Context(), client, cc)
	if err != nil {
		t.Fatalf("client: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	if s, err = wait(); err != nil {
		t.Fatalf("server: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return c, s
}

// pipe makes a session of draft-18 in memory.
func pipe(t *testing.T, cc, sc *transport.Config) (c, s *transport.Session) {
	t.Helper()
	return pipeOf(t, moqt.Draft18, cc, sc)
}

// accept waits for the peer's next request, which must be an R.
func accept[R transport.Request](t *testing.T, s *transport.Session) R {
	t.Helper()
	req, err := s.Accept(t.Context())
	if err != nil {
		t.Fatalf("Accept() = %v", err)
	}
	r, ok := req.(R)
	if !ok {
		t.Fatalf("Accept() = %T, want %T", req, r)
	}
	return r
}

// subscribed makes a subscription of sub to a track of pub.
func subscribed(t *testing.T, sub, pub *transport.Session, so *transport.SubscribeOptions, po *transport.PublishOptions) (*transport.TrackReader, *transport.TrackWriter) {
	t.Helper()
	wait := async(func() (*transport.TrackReader, error) { return sub.Subscribe(t.Context(), clock, so) })
	w, err := accept[*transport.SubscribeRequest](t, pub).Accept(po)
	if err != nil {
		t.Fatalf("Accept() = %v", err)
	}
	r, err := wait()
	if err != nil {
		t.Fatalf("Subscribe() = %v", err)
	}
	return r, w
}

// done waits until ctx has ended, and returns why.
func done(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func wantSession(t *testing.T, what string, err error, code moqt.SessionCode, remote bool) {
	t.Helper()
	if e, ok := errors.AsType[*transport.SessionError](err); !ok || e.Code != code || e.Remote != remote {
		t.Errorf("%s = %v (%T), want session error %v, remote %v", what, err, err, code, remote)
	}
}

func wantRequest(t *testing.T, what string, err error, code moqt.RequestCode) {
	t.Helper()
	if e, ok := errors.AsType[*transport.RequestError](err); !ok || e.Code != code || !e.Remote {
		t.Errorf("%s = %v (%T), want the peer's request error %v", what, err, err, code)
	}
}

func wantStream(t *testing.T, what string, err error, code moqt.StreamCode) {
	t.Helper()
	if e, ok := errors.AsType[*transport.StreamError](err); !ok || e.Code != code || !e.Remote {
		t.Errorf("%s = %v (%T), want the peer's stream error %v", what, err, err, code)
	}
}

func TestSetup(t *testing.T) {
	grease := moqt.Properties{{Type: 0x7f*400 + 0x9d, Bytes: []byte("grease")}, {Type: 0x7f*401 + 0x9d, Value: 7}}
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, &transport.Config{Implementation: "tester/1\x1b[31m", Options: grease},
			&transport.Config{Implementation: "-"})
		if want := a.Info().Version; c.Version() != want || s.Version() != want {
			t.Errorf("Version() = %v and %v, want %v", c.Version(), s.Version(), want)
		}
		if got, want := s.PeerImplementation(), `tester/1\x1b[31m`; got != want {
			t.Errorf("server: PeerImplementation() = %q, want %q", got, want)
		}
		if got := c.PeerImplementation(); got != "" {
			t.Errorf("client: PeerImplementation() = %q, want none", got)
		}
		if s.Path() != c.Path() || s.Authority() != c.Authority() {
			t.Errorf("server: Path() = %q, Authority() = %q, want the client's %q, %q", s.Path(), s.Authority(), c.Path(), c.Authority())
		}
		if !s.Info().WebTransport && c.Info().RemoteAddr.Network() == "udp" && !strings.HasPrefix(s.Path(), "/pair?") {
			t.Errorf("Path() = %q, want that of the URL", s.Path())
		}
		if o, ok := s.PeerOption(grease[0].Type); !ok || string(o.Bytes) != "grease" {
			t.Errorf("PeerOption() = %+v, %v, want the client's", o, ok)
		}
		if o, ok := s.PeerOption(grease[1].Type); !ok || o.Value != 7 {
			t.Errorf("PeerOption() = %+v, %v, want 7", o, ok)
		}
		if _, ok := c.PeerOption(grease[0].Type); ok {
			t.Error("PeerOption() at the client, want none")
		}
		c.Close()
		wantSession(t, "server's end", done(s.Context()), moqt.SessionNoError, true)
	})
}

func TestSetupPath(t *testing.T) {
	for _, wt := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a, b := transporttest.Pipe(t, &transporttest.PipeOptions{WebTransport: wt, Path: "/live?x=1"})
			_, s := setup(t, a, b, nil, nil)
			if s.Path() != "/live?x=1" || s.Authority() != "pipe.test" {
				t.Errorf("webtransport %v: Path() = %q, Authority() = %q, want /live?x=1 and pipe.test", wt, s.Path(), s.Authority())
			}
			if s.PeerImplementation() != "tributary/0" {
				t.Errorf("PeerImplementation() = %q, want the default", s.PeerImplementation())
			}
		})
	}
}

func TestSetupFails(t *testing.T) {
	t.Run("no SETUP", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := transporttest.Pipe(t, nil)
			start := time.Now()
			_, err := transport.NewSession(t.Context(), a, nil)
			wantSession(t, "NewSession()", err, moqt.SessionControlMessageTimeout, false)
			if d := time.Since(start); d != 10*time.Second {
				t.Errorf("NewSession() took %v, want 10s", d)
			}
			wantSession(t, "the peer's end", done(b.Context()), moqt.SessionControlMessageTimeout, true)
		})
	})
	t.Run("context ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := transporttest.Pipe(t, nil)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := transport.NewSession(ctx, a, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("NewSession() = %v, want the context's error", err)
			}
			wantSession(t, "the peer's end", done(b.Context()), moqt.SessionNoError, true)
		})
	})
	t.Run("peer closes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := transporttest.Pipe(t, nil)
			wait := async(func() (*transport.Session, error) { return transport.NewSession(t.Context(), a, nil) })
			synctest.Wait()
			b.CloseWithError(moqt.SessionUnauthorized, "go away")
			_, err := wait()
			wantSession(t, "NewSession()", err, moqt.SessionUnauthorized, true)
		})
	})
	t.Run("version", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := transporttest.Pipe(t, &transporttest.PipeOptions{Version: 99})
			_, err := transport.NewSession(t.Context(), a, nil)
			wantSession(t, "NewSession()", err, moqt.SessionVersionNegotiation, false)
			wantSession(t, "the peer's end", done(b.Context()), moqt.SessionVersionNegotiation, true)
		})
	})
	t.Run("options", func(t *testing.T) { // ours, that cannot be encoded
		synctest.Test(t, func(t *testing.T) {
			a, b := transporttest.Pipe(t, nil)
			if _, err := transport.NewSession(t.Context(), a, &transport.Config{Options: moqt.Properties{{Type: 1}}}); err == nil {
				t.Error("NewSession() with PATH among the options succeeded")
			}
			done(b.Context())
		})
	})
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		err    error
		text   string
		is, no []error
	}{
		{&transport.SessionError{Code: moqt.SessionUnauthorized, Reason: "no\x07", Remote: true},
			`session closed by peer: UNAUTHORIZED: no\x07`,
			[]error{&transport.SessionError{Code: moqt.SessionUnauthorized}, &transport.SessionError{Code: moqt.SessionUnauthorized, Reason: "no\x07"}},
			[]error{&transport.SessionError{Code: moqt.SessionNoError}, &transport.SessionError{Code: moqt.SessionUnauthorized, Reason: "other"}, transport.ErrClosed}},
		{&transport.SessionError{}, "session closed: NO_ERROR", nil, nil},
		{&transport.RequestError{Code: moqt.RequestTimeout, Reason: strings.Repeat("a", 300)},
			"request refused: TIMEOUT: " + strings.Repeat("a", 256) + "...",
			[]error{&transport.RequestError{Code: moqt.RequestTimeout}}, []error{&transport.RequestError{}}},
		{&transport.RequestError{Code: 0x77}, "request refused: 0x77", nil, nil},
		{&transport.StreamError{Code: moqt.StreamGoingAway}, "stream cancelled: GOING_AWAY",
			[]error{&transport.StreamError{Code: moqt.StreamGoingAway, Remote: true}}, []error{&transport.StreamError{}}},
		{&transport.StreamError{Code: moqt.StreamGoingAway, Remote: true}, "stream cancelled by peer: GOING_AWAY", nil, nil},
		{&transport.TrackDone{Code: moqt.DoneTrackEnded, Reason: "fin"}, "track done: TRACK_ENDED: fin",
			[]error{&transport.TrackDone{Code: moqt.DoneTrackEnded}}, []error{&transport.TrackDone{}}},
		{&transport.TrackDone{Code: moqt.DoneTrackEnded}, "track done: TRACK_ENDED", nil, nil},
	} {
		if got := tt.err.Error(); got != tt.text {
			t.Errorf("Error() = %q, want %q", got, tt.text)
		}
		for _, e := range slices.Concat(tt.is, []error{tt.err}) {
			if !errors.Is(tt.err, e) {
				t.Errorf("errors.Is(%v, %v) = false", tt.err, e)
			}
		}
		for _, e := range tt.no {
			if errors.Is(tt.err, e) {
				t.Errorf("errors.Is(%v, %v) = true", tt.err, e)
			}
		}
	}
}
