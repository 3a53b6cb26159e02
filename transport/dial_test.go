package transport_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// world is a listener on the backbone of a simulated network, and a dialer
// behind a link.
type world struct {
	t      *testing.T
	net    *netsim.Network
	link   *netsim.Link
	server *transport.Listener
	dialer *transport.Dialer
	socket *netsim.Conn // of the last dial
}

func newWorld(t *testing.T, c *transport.ListenConfig, versions ...moqt.Version) *world {
	t.Helper()
	w := &world{t: t, net: netsim.New(t)}
	w.link = w.net.Link(netsim.Delay(5 * time.Millisecond))
	serverTLS, clientTLS := transporttest.TLS(t)
	l, err := transport.Listen(w.net.Listen(), serverTLS, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w.server = l
	w.dialer = &transport.Dialer{
		TLSConfig: clientTLS,
		ListenPacket: func(context.Context) (net.PacketConn, error) {
			w.socket = w.link.Listen()
			return w.socket, nil
		},
		Config: &transport.Config{Versions: versions},
	}
	return w
}

func (w *world) url(scheme string) string { return scheme + "://" + w.server.Addr().String() + "/" }

// connect dials and accepts.
func (w *world) connect(scheme string) (client, server transport.Conn) {
	w.t.Helper()
	client, err := w.dialer.DialConn(w.t.Context(), w.url(scheme))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { client.CloseWithError(moqt.SessionNoError, "") })
	server, err = w.server.Accept(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return client, server
}

// socketClosed reports whether the last dial's socket is closed, or is soon.
func (w *world) socketClosed() bool {
	time.Sleep(2 * time.Second)
	_, err := w.socket.WriteTo([]byte("x"), w.socket.LocalAddr())
	return errors.Is(err, net.ErrClosed)
}

var schemes = []string{"moqt", "https"}

// unplugged is a socket of an interface that has no network any more.
type unplugged struct{ net.PacketConn }

func (unplugged) WriteTo([]byte, net.Addr) (int, error) {
	return 0, errors.New("network is unreachable")
}

func TestDialErrors(t *testing.T) {
	for _, scheme := range schemes {
		for _, tt := range []struct {
			name   string
			change func(w *world)
			url    string
			want   string
			within time.Duration
		}{
			{"no answer", func(w *world) { w.link.Cut() }, "", "no answer from 10.0.0.1:4443 (UDP)", 6 * time.Second},
			{"nobody there", func(*world) {}, scheme + "://10.0.0.77:4443/", "no answer from 10.0.0.77:4443 (UDP)", 6 * time.Second},
			{"timeout", func(w *world) { w.dialer.Timeout = time.Second; w.link.Cut() }, "", "no answer", time.Second},
			{"untrusted", func(w *world) { w.dialer.TLSConfig = nil }, "", "the certificate of 10.0.0.1:4443 is not trusted: x509:", time.Second},
			{"wrong name", func(w *world) { w.dialer.TLSConfig.ServerName = "relay.example" }, "", "is not trusted: x509: certificate is valid for transporttest, not relay.example", time.Second},
			{"own check", func(w *world) {
				w.dialer.TLSConfig.VerifyConnection = func(tls.ConnectionState) error { return errors.New("fingerprint differs") }
			}, "", "connect to 10.0.0.1:4443: fingerprint differs", time.Second},
			{"bad url", func(*world) {}, "ftp://10.0.0.1/", "must begin with moqt://", 0},
			{"no socket", func(w *world) {
				w.dialer.ListenPacket = func(context.Context) (net.PacketConn, error) { return nil, errors.New("no such interface") }
			}, "", "open a UDP socket: no such interface", 0},
			{"no network", func(w *world) {
				w.dialer.ListenPacket = func(context.Context) (net.PacketConn, error) { return unplugged{w.link.Listen()}, nil }
			}, "", "connect to 10.0.0.1:4443: network is unreachable", time.Second},
			{"server closing", func(w *world) { w.server.Close() }, "", "no answer from", 6 * time.Second},
		} {
			t.Run(scheme+"/"+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, nil)
					tt.change(w)
					url := tt.url
					if url == "" {
						url = w.url(scheme)
					}
					start := time.Now()
					conn, err := w.dialer.DialConn(t.Context(), url)
					if err == nil {
						t.Fatalf("DialConn = %v, want an error", conn.Info())
					}
					if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
						t.Errorf("DialConn = %v, want a sentence with %q", err, tt.want)
					}
					if d := time.Since(start); d > tt.within {
						t.Errorf("DialConn took %v, want at most %v", d, tt.within)
					}
					if w.socket != nil && !w.socketClosed() {
						t.Error("the socket is still open")
					}
				})
			})
		}
	}
}

func TestDialCancelled(t *testing.T) {
	for _, scheme := range schemes {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, nil)
			w.link.Cut()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			start := time.Now()
			if _, err := w.dialer.DialConn(ctx, w.url(scheme)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("DialConn = %v, want the context's deadline", err)
			}
			if d := time.Since(start); d != 300*time.Millisecond {
				t.Errorf("DialConn took %v, want 300ms", d)
			}
			if !w.socketClosed() {
				t.Error("the socket is still open")
			}
		})
	}
}

// The server answers the handshake, but not the request for a session.
func TestDialWebTransportTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.dialer.Timeout = 3 * time.Second
		// A link so slow one way that the handshake is over long before what
		// follows it has arrived.
		w.link.Set(netsim.Down(netsim.Delay(1200 * time.Millisecond)))
		start := time.Now()
		conn, err := w.dialer.DialConn(t.Context(), w.url("https"))
		if err == nil {
			t.Fatalf("DialConn = %v, want an error", conn.Info())
		}
		if want := "WebTransport: no answer in time"; !strings.Contains(err.Error(), want) {
			t.Errorf("DialConn = %v, want %q", err, want)
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("DialConn took %v, want 3s", d)
		}
		if !w.socketClosed() {
			t.Error("the socket is still open")
		}
	})
}

func TestSocketEndsWithConn(t *testing.T) {
	for _, scheme := range schemes {
		for _, who := range []string{"client", "server"} {
			t.Run(scheme+"/"+who, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, nil)
					client, server := w.connect(scheme)
					if who == "client" {
						client.CloseWithError(moqt.SessionNoError, "")
					} else {
						server.CloseWithError(moqt.SessionNoError, "")
					}
					if !w.socketClosed() {
						t.Error("the socket is still open")
					}
				})
			})
		}
	}
}

// On real sockets: a name with two addresses, of which one leads nowhere.
func TestDialLocalhost(t *testing.T) {
	serverTLS, clientTLS := transporttest.TLS(t)
	pc, err := transport.ListenUDP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := transport.Listen(pc, serverTLS, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := &transport.Dialer{TLSConfig: clientTLS}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, scheme := range schemes {
		conn, err := d.DialConn(t.Context(), scheme+"://localhost:"+port+"/")
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := l.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if i := conn.Info(); !i.Client || i.WebTransport != (scheme == "https") || i.Version != transport.Versions()[0] || i.Authority != "localhost:"+port || i.Path != "/" {
			t.Errorf("Info() = %+v", i)
		}
		conn.CloseWithError(moqt.SessionNoError, "bye")
		<-accepted.Context().Done()
		if err := context.Cause(accepted.Context()); !errors.Is(err, &transport.SessionError{Code: moqt.SessionNoError, Reason: "bye"}) {
			t.Errorf("cause = %v, want the close", err)
		}
	}
}
