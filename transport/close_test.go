package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// waits are calls that block, each on a session of its own with a peer that
// says nothing but SETUP.
var waits = []struct {
	name string
	call func(ctx context.Context, s *transport.Session) error
}{
	{"Accept", func(ctx context.Context, s *transport.Session) error { return second(s.Accept(ctx)) }},
	{"Subscribe", func(ctx context.Context, s *transport.Session) error { return second(s.Subscribe(ctx, clock, nil)) }},
	{"Publish", func(ctx context.Context, s *transport.Session) error { return second(s.Publish(ctx, clock, nil)) }},
	{"Fetch", func(ctx context.Context, s *transport.Session) error {
		return second(s.Fetch(ctx, clock, transport.Range{}, nil))
	}},
	{"Join", func(ctx context.Context, s *transport.Session) error {
		_, _, err := s.Join(ctx, clock, 0, nil)
		return err
	}},
	{"Status", func(ctx context.Context, s *transport.Session) error { return second(s.Status(ctx, clock)) }},
	{"Announce", func(ctx context.Context, s *transport.Session) error { return second(s.Announce(ctx, moqt.NS("a"))) }},
	{"WatchNamespaces", func(ctx context.Context, s *transport.Session) error {
		return second(s.WatchNamespaces(ctx, moqt.NS("a")))
	}},
	{"SubscribeTracks", func(ctx context.Context, s *transport.Session) error {
		return second(s.SubscribeTracks(ctx, moqt.NS("a"), nil))
	}},
	{"Goaway", func(ctx context.Context, s *transport.Session) error { return s.Goaway(ctx, "", 0) }},
}

// TestContexts ends every wait by its context.
func TestContexts(t *testing.T) {
	for _, tt := range waits {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := against(t, nil, nil)
				start := time.Now()
				if err := tt.call(contextAfter(t, time.Second), s); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s = %v, want the context's error", tt.name, err)
				}
				if d := time.Since(start); d != time.Second {
					t.Errorf("%s took %v, want 1s", tt.name, d)
				}
				if err := s.Context().Err(); err != nil {
					t.Errorf("the session ended: %v", context.Cause(s.Context()))
				}
			})
		})
	}
}

// TestContextsWithoutStreams does so while the peer allows no streams.
func TestContextsWithoutStreams(t *testing.T) {
	for _, tt := range waits {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := against(t, nil, &transporttest.PipeOptions{MaxStreams: 1})
				go s.Announce(t.Context(), moqt.NS("taken"))
				synctest.Wait()
				if err := tt.call(contextAfter(t, time.Second), s); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s = %v, want the context's error", tt.name, err)
				}
			})
		})
	}
}

// TestCloseEndsWaits ends every wait by closing the session, from either side.
func TestCloseEndsWaits(t *testing.T) {
	for _, tt := range waits {
		for _, by := range []string{"this end", "peer", "connection"} {
			t.Run(tt.name+"/"+by, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, p := against(t, nil, nil)
					wait := async(func() (int, error) { return 0, tt.call(t.Context(), s) })
					synctest.Wait()
					if by == "this end" {
						s.Close()
					} else {
						p.conn.CloseWithError(moqt.SessionUnauthorized, "enough")
					}
					_, err := wait()
					switch {
					case tt.name == "Goaway":
						if err != nil {
							t.Errorf("Goaway() = %v, want nothing when the session is gone", err)
						}
					case by == "this end":
						if err != transport.ErrClosed {
							t.Errorf("%s = %v, want ErrClosed", tt.name, err)
						}
					default:
						wantSession(t, tt.name, err, moqt.SessionUnauthorized, true)
					}
				})
			})
		}
	}
}

// TestCloseWaits closes a session in the middle of everything. That the bubble
// ends shows that no goroutine is left.
func TestCloseWaits(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		w2, r2 := published(t, c, s, nil, nil)
		ann, _ := announced(t, s, c, moqt.NS("x"))
		ns, nsw := watched(t, c, s, moqt.NS("y"))
		f, fw := fetched(t, c, s, transport.Range{End: at(9, 9)}, nil)
		var wg sync.WaitGroup
		ends := make(chan error, 20)
		calls := make(chan struct{})
		end := func(f func() error) {
			wg.Go(func() {
				for {
					if err := f(); err != nil {
						ends <- err
						return
					}
					select {
					case calls <- struct{}{}:
					default:
					}
				}
			})
		}
		sg, sg2 := open(t, w, moqt.Subgroup{}), open(t, w2, moqt.Subgroup{})
		end(func() error { return second(sg.Write(make([]byte, 5000))) })
		end(func() error { return second(sg2.Write(make([]byte, 5000))) })
		in, in2 := next(t, r), next(t, r2)
		end(func() error { return second(in.ReadObject()) })
		end(func() error { return second(in2.ReadObject()) })
		end(func() error { return second(r.AcceptSubgroup(t.Context())) })
		end(func() error { return second(r.ReceiveDatagram(t.Context())) })
		end(func() error { return second(ns.Next(t.Context())) })
		end(func() error {
			<-nsw.Context().Done()
			return nsw.Add(moqt.NS("y", "z"))
		})
		id := uint64(0)
		end(func() error { id++; return fw.WriteObject(moqt.Object{Location: at(0, id)}) })
		end(func() error { return second(f.ReadObject(t.Context())) })
		end(func() error { return r.Update(t.Context(), transport.SubscribeUpdate{Priority: ptr(moqt.Priority(1))}) })
		// Requests that nobody takes.
		for i := range 5 {
			end(func() error { return second(c.Status(t.Context(), moqt.NS(fmt.Sprint(i)).Track(""))) })
		}
		for range 200 {
			<-calls
		}
		var closing sync.WaitGroup
		for range 3 {
			closing.Go(func() { c.CloseWithError(moqt.SessionInternalError, "crash") })
		}
		closing.Wait()
		wg.Wait()
		close(ends)
		for err := range ends {
			if se, ok := errors.AsType[*transport.SessionError](err); !ok || se.Code != moqt.SessionInternalError || se.Reason != "crash" {
				t.Errorf("a call ended with %v (%T), want the session's end", err, err)
			}
		}
		for name, ctx := range map[string]context.Context{"session": s.Context(), "track": r.Context(), "publication": w2.Context(),
			"announcement": ann.Context(), "watch": nsw.Context()} {
			if err := done(ctx); !errors.Is(err, &transport.SessionError{Code: moqt.SessionInternalError}) {
				t.Errorf("%s ended with %v", name, err)
			}
		}
		if _, err := c.Subscribe(t.Context(), clock, nil); !errors.Is(err, &transport.SessionError{Code: moqt.SessionInternalError}) {
			t.Errorf("Subscribe() after the end = %v", err)
		}
		w.Close()
		sg.Close()
		r.Close()
		f.Close()
		ann.Close()
		ns.Close()
		nsw.Close()
		fw.Close()
	})
}

// TestClosedTwice closes a session that its peer has closed.
func TestClosedTwice(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		c.CloseWithError(moqt.SessionUnauthorized, "first")
		s.CloseWithError(moqt.SessionInternalError, "second")
		c.Close()
		wantSession(t, "server's end", context.Cause(s.Context()), moqt.SessionUnauthorized, true)
		wantSession(t, "client's end", context.Cause(c.Context()), moqt.SessionUnauthorized, false)
		if _, err := c.Accept(t.Context()); !errors.Is(err, &transport.SessionError{Code: moqt.SessionUnauthorized}) {
			t.Errorf("Accept() = %v, want why it ended", err)
		}
	})
}

// TestConnectionLost ends a session whose peer falls silent.
func TestConnectionLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := newLink(t)
		a, b := transporttest.QUICPair(t, link)
		c, s := setup(t, a, b, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		out := open(t, w, moqt.Subgroup{})
		if p, err := out.StartObject(moqt.Object{}, 10); err != nil {
			t.Fatal(err)
		} else {
			io.WriteString(p, "half")
		}
		in := next(t, r)
		link.Cut()
		_, err := in.ReadObject() // stalls, and its connection is lost first
		if err == nil || errors.Is(err, &transport.SessionError{Code: moqt.SessionDataStreamTimeout}) {
			t.Errorf("ReadObject() = %v, want the loss of the connection", err)
		}
		for name, err := range map[string]error{"client": done(c.Context()), "server": done(s.Context())} {
			if _, ok := errors.AsType[*transport.SessionError](err); ok || err == nil {
				t.Errorf("%s ended with %v, want that nothing came", name, err)
			}
		}
	})
}
