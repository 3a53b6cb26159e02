package transport_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
	"github.com/tributary-live/tributary/transport/wire"
)

// served is a server on the backbone of a network, and a dialer behind a link.
type served struct {
	*transport.Server
	t      *testing.T
	link   *netsim.Link
	dialer *transport.Dialer
	addr   string
	end    chan error // of Serve
}

// serve starts a server. It is closed at the end of the test.
func serve(t *testing.T, h transport.HandlerFunc, c *transport.Config) *served {
	t.Helper()
	link := newLink(t)
	serverTLS, clientTLS := transporttest.TLS(t)
	pc := link.Network().Listen()
	s := &served{
		Server: &transport.Server{TLSConfig: serverTLS, Handler: h},
		t:      t, link: link, addr: pc.LocalAddr().String(), end: make(chan error, 1),
		dialer: &transport.Dialer{TLSConfig: clientTLS, ListenPacket: transporttest.ListenPacket(link)},
	}
	if c != nil {
		s.Config = *c
	}
	go func() { s.end <- s.Serve(t.Context(), pc) }()
	t.Cleanup(func() { s.Close() })
	return s
}

func (s *served) dial(scheme string) *transport.Session {
	s.t.Helper()
	sess, err := s.dialer.Dial(s.t.Context(), scheme+"://"+s.addr+"/x")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { sess.Close() })
	return sess
}

// settle waits until the server has all that was sent.
func (s *served) settle() {
	time.Sleep(100 * time.Millisecond) // of the bubble
	synctest.Wait()
}

func TestServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		srv := serve(t, func(ctx context.Context, s *transport.Session) error {
			req, err := s.Accept(ctx)
			if err != nil {
				return err
			}
			req.Reject(moqt.RequestUnauthorized, s.Path())
			time.Sleep(time.Second) // the end of the session would take it back
			return errors.New("handler has failed")
		}, &transport.Config{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
		for _, scheme := range schemes {
			c := srv.dial(scheme)
			_, err := c.Status(t.Context(), clock)
			wantRequest(t, "Status()", err, moqt.RequestUnauthorized)
			if !strings.HasSuffix(err.Error(), ": /x") {
				t.Errorf("Status() = %v, want the server to know the path", err)
			}
			wantSession(t, "end", done(c.Context()), moqt.SessionNoError, true) // with the handler
		}
		start := time.Now()
		srv.Close()
		if d := time.Since(start); d > time.Second {
			t.Errorf("Close() took %v", d)
		}
		if err := <-srv.end; err != transport.ErrServerClosed {
			t.Errorf("Serve() = %v, want ErrServerClosed", err)
		}
		if n := strings.Count(logged.String(), "handler has failed"); n != 2 {
			t.Errorf("the handlers' errors were logged %d times, want 2:\n%s", n, &logged)
		}
		if err := srv.Serve(t.Context(), srv.link.Network().Listen()); err != transport.ErrServerClosed {
			t.Errorf("Serve() after Close = %v, want ErrServerClosed", err)
		}
		srv.Close()
	})
}

func TestServerContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		serverTLS, clientTLS := transporttest.TLS(t)
		link := newLink(t)
		ended := make(chan struct{})
		srv := &transport.Server{TLSConfig: serverTLS, Handler: transport.HandlerFunc(func(ctx context.Context, s *transport.Session) error {
			<-ctx.Done()
			close(ended)
			return ctx.Err()
		})}
		pc := link.Network().Listen()
		ctx, cancel := context.WithCancel(t.Context())
		serving := async(func() (int, error) { return 0, srv.Serve(ctx, pc) })
		d := &transport.Dialer{TLSConfig: clientTLS, ListenPacket: transporttest.ListenPacket(link)}
		c, err := d.Dial(t.Context(), "moqt://"+pc.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		cancel()
		if _, err := serving(); !errors.Is(err, context.Canceled) {
			t.Errorf("Serve() = %v, want the context's error", err)
		}
		<-ended
		wantSession(t, "the client's end", done(c.Context()), moqt.SessionNoError, true)
		c.Close()
		srv.Close()
	})
}

func TestServerErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pc := newLink(t).Network().Listen()
		if err := (&transport.Server{}).Serve(t.Context(), pc); err == nil {
			t.Error("Serve() without a certificate succeeded")
		}
		if _, err := pc.WriteTo(nil, pc.LocalAddr()); err == nil {
			t.Error("the socket is open after Serve")
		}
	})
	if err := (&transport.Server{Addr: "no such host:1"}).ListenAndServe(t.Context()); err == nil {
		t.Error("ListenAndServe() on a bad address succeeded")
	}
}

// TestShutdown drains a server: one session leaves by itself, one stays until
// its time is over, and a third comes too late.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, take, nil)
		polite, slow := srv.dial("moqt"), srv.dial("https")
		srv.settle()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		wait := async(func() (int, error) { return 0, srv.Shutdown(ctx) })
		for _, c := range []*transport.Session{polite, slow} {
			<-c.GoawayReceived()
			if g, _ := c.PeerGoaway(); g.Timeout <= 9*time.Second || g.Timeout > 10*time.Second {
				t.Errorf("GOAWAY gives %v, want what is left of 10s", g.Timeout)
			}
		}
		late, err := srv.dialer.Dial(t.Context(), "moqt://"+srv.addr)
		if err == nil { // it may be up before it is told
			err = done(late.Context())
		}
		wantSession(t, "a session that comes late", err, moqt.SessionNoError, true)
		polite.Close()
		wantSession(t, "the session that stays", done(slow.Context()), moqt.SessionGoawayTimeout, true)
		if _, err := wait(); err != nil {
			t.Errorf("Shutdown() = %v", err)
		}
		if d := time.Since(start); d < 10*time.Second || d > 12*time.Second {
			t.Errorf("Shutdown() took %v, want 10s", d)
		}
		if err := <-srv.end; err != transport.ErrServerClosed {
			t.Errorf("Serve() = %v, want ErrServerClosed", err)
		}
	})
}

// TestRefuse has a server take no sessions beside the one that it has.
func TestRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, take, nil)
		early := srv.dial("moqt")
		srv.settle()
		srv.Refuse()
		for _, scheme := range schemes {
			_, err := srv.dialer.Dial(t.Context(), scheme+"://"+srv.addr)
			wantSession(t, "Dial() of "+scheme, err, moqt.SessionNoError, true)
		}
		if _, err := early.Announce(t.Context(), moqt.NS("a")); err != nil {
			t.Errorf("Announce() on the session that was there = %v", err)
		}
	})
}

// TestShutdownEmpties ends as soon as all have left.
func TestShutdownEmpties(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, take, nil)
		for _, scheme := range schemes {
			c := srv.dial(scheme)
			go func() {
				<-c.GoawayReceived()
				c.Close()
			}()
		}
		srv.settle()
		start := time.Now()
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown() = %v", err)
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("Shutdown() took %v although all have left", d)
		}
	})
}

// TestServerClosesSideBySide closes many sessions whose peers have fallen
// silent: each close waits a moment for its own, and not for all.
func TestServerClosesSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, take, nil)
		for range 20 {
			srv.dial("https")
		}
		// And one that has not said a word.
		if _, err := srv.dialer.DialConn(t.Context(), "moqt://"+srv.addr); err != nil {
			t.Fatal(err)
		}
		srv.settle()
		srv.link.Cut()
		start := time.Now()
		srv.Close()
		if d := time.Since(start); d > 3*time.Second {
			t.Errorf("Close() took %v", d)
		}
	})
}

// TestHostileClients does to a server what the table of hostile peers does in
// memory, over the real carriers: the client's session ends, and another one
// of the same server goes on.
func TestHostileClients(t *testing.T) {
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := serve(t, takeAndRead, nil)
				bystander := srv.dial("https")
				for _, tt := range []struct {
					name string
					do   func(p *peer)
					code moqt.SessionCode
				}{
					{"SETUP twice", func(p *peer) { p.write(p.control, p.bytes(&wire.Setup{})) }, moqt.SessionProtocolViolation},
					{"control stream closed", func(p *peer) { p.control.Close() }, moqt.SessionProtocolViolation},
					{"control stream reset", func(p *peer) { p.control.CancelWrite(moqt.StreamCancelled) }, moqt.SessionProtocolViolation},
					{"unknown message", afterSetup(unhex("bfff 0000")), moqt.SessionProtocolViolation},
					{"unknown stream type", func(p *peer) { p.uni(unhex("06")) }, moqt.SessionProtocolViolation},
					{"unknown datagram type", func(p *peer) { p.conn.SendDatagram(unhex("40 07 00 00")) }, moqt.SessionProtocolViolation},
					{"request stream begins with SUBSCRIBE_OK", onBidi("04 0003 00 00"), moqt.SessionProtocolViolation},
					{"SUBSCRIBE cut off", func(p *peer) { p.bidi(unhex("03 00")).Close() }, moqt.SessionProtocolViolation},
					{"unknown parameter", badSubscribe("01 77 00"), moqt.SessionProtocolViolation},
					{"request id of the wrong parity", func(p *peer) { p.request(subscribe(1)) }, moqt.SessionInvalidRequestID},
					{"token alias", badSubscribe("01 03 02 02 01"), moqt.SessionUnknownTokenAlias},
					{"end inside a payload", func(p *peer) {
						p.answer(p.request(publishMessage(0, 7, "a")), wire.KindPublish)
						p.uni(unhex("70 07 00 00 03 61")).Close()
					}, moqt.SessionProtocolViolation},
					{"stall inside a request", func(p *peer) { p.bidi(unhex("03 0009 00")) }, moqt.SessionControlMessageTimeout},
					{"no SETUP", nil, moqt.SessionControlMessageTimeout},
				} {
					conn, err := srv.dialer.DialConn(t.Context(), scheme+"://"+srv.addr+"/")
					if err != nil {
						t.Fatal(err)
					}
					p := rawPeer(t, conn)
					if tt.do != nil {
						p = newPeer(t, conn)
						srv.settle()
						tt.do(p)
					}
					select {
					case <-conn.Context().Done():
						wantSession(t, tt.name, done(conn.Context()), tt.code, true)
					case <-time.After(time.Minute):
						t.Errorf("%s: the session is open, want %v", tt.name, tt.code)
					}
					conn.CloseWithError(moqt.SessionNoError, "")
					ann, err := bystander.Announce(t.Context(), moqt.NS(tt.name))
					if err != nil {
						t.Fatalf("after %s: Announce() of another session = %v", tt.name, err)
					}
					ann.Close()
				}
			})
		})
	}
}
