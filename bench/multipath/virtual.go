package multipath

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tributary-live/tributary/internal/devcert"
	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
)

// defineFlags defines those that bubbles ask for.
var defineFlags = sync.OnceFunc(testing.Init)

// inBubble calls f in a bubble of virtual time, and returns when all that f has
// started there is over. Bubbles are made for tests, and have to be given one.
func inBubble(f func(t *testing.T) error) (err error) {
	defineFlags()
	done := make(chan struct{})
	go func() { // a test ends its goroutine when it fails
		defer close(done)
		synctest.Test(&testing.T{}, func(t *testing.T) { err = f(t) })
	}()
	<-done
	return err
}

// headers are those of IPv4 and UDP, which links count and netsim does not.
const headers = 28

// simulated is a network in memory, with a relay of this program.
type simulated struct {
	net   *netsim.Network
	relay *relay.Relay
	srv   *transport.Server
	addr  string
	wg    sync.WaitGroup
}

// newSimulated makes a network inside a bubble.
func newSimulated(ctx context.Context, t testing.TB, seed uint64) (*simulated, error) {
	g := &simulated{net: netsim.New(t, netsim.Seed(seed)), relay: relay.New(relay.Config{})}
	source, err := devcert.New()
	if err != nil {
		return nil, err
	}
	g.srv = &transport.Server{TLSConfig: &tls.Config{GetCertificate: source.GetCertificate}, Handler: g.relay, Config: transport.Config{Extensions: g.relay.Extensions()}}
	pc := g.net.Listen()
	g.addr = pc.LocalAddr().String()
	g.wg.Go(func() { g.srv.Serve(ctx, pc) })
	return g, nil
}

func (g *simulated) plug(_ context.Context, _ string, opts []netsim.Option) (link, error) {
	return &simulatedLink{g.net.Link(append([]netsim.Option{netsim.Headers(headers)}, opts...)...)}, nil
}

func (g *simulated) url() string { return "moqt://" + g.addr + "/" }

func (g *simulated) near(ctx context.Context) (*transport.Session, error) {
	d := transport.Dialer{TLSConfig: trusting(), Config: &transport.Config{},
		ListenPacket: func(context.Context) (net.PacketConn, error) { return g.net.Listen(), nil }}
	return d.Dial(ctx, g.url())
}

func (g *simulated) used(context.Context) usage { return usage{} }

func (g *simulated) close() {
	g.srv.Close()
	g.wg.Wait()
	g.relay.Close()
}

type simulatedLink struct{ *netsim.Link }

func (l *simulatedLink) listen(context.Context) (net.PacketConn, error) { return l.Listen(), nil }
func (l *simulatedLink) sent() int64 {
	up, _ := l.Stats()
	return up.SentBytes + headers*up.SentPackets
}
func (l *simulatedLink) unplug() { l.Cut() }

// trusting is the TLS configuration of clients: they dial nobody but the relays of
// this program.
func trusting() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
}
