package multipath

import (
	"context"
	"crypto/tls"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/devcert"
	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/transporttest"
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
	links map[string]*netsim.Link // by name, once they were plugged in
	ear   ear
	wg    sync.WaitGroup
}

// newSimulated makes a network inside a bubble.
func newSimulated(ctx context.Context, t testing.TB, seed uint64) (*simulated, error) {
	g := &simulated{net: netsim.New(t, netsim.Seed(seed)), relay: relay.New(relay.Config{}), links: make(map[string]*netsim.Link)}
	source, err := devcert.New()
	if err != nil {
		return nil, err
	}
	g.srv = &transport.Server{TLSConfig: &tls.Config{GetCertificate: source.GetCertificate}, Handler: g.relay, Config: transport.Config{Extensions: g.ear.beside(g.relay.Extensions())}}
	pc := g.net.Listen()
	g.addr = pc.LocalAddr().String()
	g.wg.Go(func() { g.srv.Serve(ctx, pc) })
	return g, nil
}

// plug has one link for each name: links live as long as their network.
func (g *simulated) plug(_ context.Context, name string, opts []netsim.Option) (link, error) {
	opts = append([]netsim.Option{netsim.Headers(headers)}, opts...)
	l := &simulatedLink{Link: g.links[name]}
	if l.Link == nil {
		l.Link = g.net.Link(opts...)
		g.links[name] = l.Link
		return l, nil
	}
	l.Set(opts...)
	l.Restore()
	l.before = l.sent()
	return l, nil
}

func (g *simulated) url() string { return "moqt://" + g.addr + "/" }

// nearby is how far from the relay the subscriber is. Without any delay QUIC carries
// no more than 25 Mbit/s.
const nearby = time.Millisecond

func (g *simulated) near(ctx context.Context) (*transport.Session, error) {
	d := transport.Dialer{TLSConfig: trusting(), Config: &transport.Config{},
		ListenPacket: transporttest.ListenPacket(g.net.Link(netsim.Delay(nearby)))}
	return d.Dial(ctx, g.url())
}

// listen opens a socket that no link is before.
func (g *simulated) listen(context.Context) (net.PacketConn, error) { return g.net.Listen(), nil }

func (g *simulated) cpu() time.Duration { return 0 }

func (g *simulated) held(context.Context) (now, most int64, err error) {
	now, most = g.relay.BondsHold()
	return now, most, nil
}

// count counts what lives in this process, of which the bubble is all that goes on.
func (g *simulated) count(context.Context) (census, error) {
	synctest.Wait()
	return census{heap: transporttest.Heap(), goroutines: runtime.NumGoroutine()}, nil
}

func (g *simulated) rival(ctx context.Context, l link) (rival, error) {
	return newQUICRival(ctx, l.(*simulatedLink).Listen(), g.net.Listen())
}

func (g *simulated) close() {
	g.srv.Close()
	g.wg.Wait()
	g.relay.Close()
}

type simulatedLink struct {
	*netsim.Link
	before int64    // bytes that went up it before it was plugged in again
	addrs  sync.Map // of sockets on it
}

func (l *simulatedLink) listen(context.Context) (net.PacketConn, error) {
	pc := l.Listen()
	l.addrs.Store(pc.LocalAddr().String(), true)
	return pc, nil
}

// owns reports whether a socket on the link has or had this address.
func (l *simulatedLink) owns(addr string) bool {
	_, is := l.addrs.Load(addr)
	return is
}

func (l *simulatedLink) sent() int64 {
	up, _ := l.Stats()
	return up.SentBytes + headers*up.SentPackets - l.before
}
func (l *simulatedLink) unplug() { l.Cut() }

// trusting is the TLS configuration of clients: they dial nobody but the relays of
// this program.
func trusting() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
}
