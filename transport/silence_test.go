package transport_test

import (
	"crypto"
	"crypto/tls"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// process is the hold that a process has on a socket: with the process it ends,
// and nothing that it still wants to say goes out.
type process struct {
	net.PacketConn
	killed atomic.Bool
}

func (p *process) ReadFrom(b []byte) (int, net.Addr, error) {
	n, addr, err := p.PacketConn.ReadFrom(b)
	if p.killed.Load() {
		return 0, nil, net.ErrClosed
	}
	return n, addr, err
}

func (p *process) WriteTo(b []byte, addr net.Addr) (int, error) {
	if p.killed.Load() {
		return 0, net.ErrClosed
	}
	return p.PacketConn.WriteTo(b, addr)
}

func (p *process) SetReadDeadline(t time.Time) error {
	if p.killed.Load() {
		return nil
	}
	return p.PacketConn.SetReadDeadline(t)
}

func (p *process) Close() error { return nil }

func (p *process) kill() {
	p.killed.Store(true)
	p.PacketConn.SetReadDeadline(time.Now()) // wakes its reader
	synctest.Wait()
	p.PacketConn.SetReadDeadline(time.Time{})
}

// inHardware is a private key that cannot be read.
type inHardware struct{ crypto.Signer }

// TestServerKilledAndBack kills a server and starts it anew at the same address.
// A client that only listens learns of it soon, if the server can tell.
func TestServerKilledAndBack(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config func(*tls.Config) *tls.Config
		most   time.Duration
		least  time.Duration
	}{
		{"certificate", func(c *tls.Config) *tls.Config { return c }, 5 * time.Second, 0},
		{"certificate by function", func(c *tls.Config) *tls.Config {
			return &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &c.Certificates[0], nil }}
		}, 5 * time.Second, 0},
		{"key that cannot be read", func(c *tls.Config) *tls.Config {
			cert := c.Certificates[0]
			cert.PrivateKey = inHardware{cert.PrivateKey.(crypto.Signer)}
			return &tls.Config{Certificates: []tls.Certificate{cert}}
		}, 20 * time.Second, 10 * time.Second},
	} {
		for _, scheme := range schemes {
			t.Run(tt.name+", "+scheme, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					link := netsim.New(t).Link(netsim.Delay(5 * time.Millisecond))
					serverTLS, clientTLS := transporttest.TLS(t)
					socket := link.Network().Listen()
					t.Cleanup(func() { socket.Close() })
					start := func() (*process, *transport.Listener) {
						p := &process{PacketConn: socket}
						l, err := transport.Listen(p, tt.config(serverTLS), nil)
						if err != nil {
							t.Fatal(err)
						}
						t.Cleanup(func() { l.Close() })
						return p, l
					}
					first, l := start()
					go func() {
						if conn, err := l.Accept(t.Context()); err == nil {
							transport.NewSession(t.Context(), conn, nil)
						}
					}()
					d := &transport.Dialer{TLSConfig: clientTLS, ListenPacket: transporttest.ListenPacket(link)}
					c, err := d.Dial(t.Context(), scheme+"://"+socket.LocalAddr().String()+"/")
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { c.Close() })
					time.Sleep(30 * time.Second)
					if err := c.Context().Err(); err != nil {
						t.Fatalf("an idle session ended: %v", done(c.Context()))
					}
					first.kill()
					start()
					killed := time.Now()
					why := done(c.Context())
					if took := time.Since(killed); took > tt.most || took < tt.least {
						t.Errorf("the session ended after %v (%v), want %v to %v", took, why, tt.least, tt.most)
					}
				})
			})
		}
	}
}
