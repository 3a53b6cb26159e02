// Package netsim is a packet network in memory for tests. Its endpoints are
// [net.PacketConn]s, its links have a rate, a delay, a queue and losses, and it
// needs no clock but package time's: inside a [testing/synctest] bubble a minute
// of traffic takes as long as its packets take to compute.
//
// The network is a star. Its middle, the backbone, costs nothing. An endpoint is
// on the backbone ([Network.Listen]) or behind a link ([Link.Listen]); a packet
// passes the sender's link upwards, then the receiver's downwards. So one server
// socket on the backbone can be reached over as many links as a test needs:
//
//	net := netsim.New(t, netsim.Seed(7))
//	server := net.Listen()
//	lte := net.Link(netsim.Rate(8*netsim.Mbit), netsim.Delay(45*time.Millisecond), netsim.Loss(0.01))
//	client := lte.Listen() // a socket behind lte
//
// Everything random comes from the seed and is drawn per link and direction, so
// that links do not disturb one another. QUIC above draws from elsewhere, and
// goroutines run in any order: expect runs to be alike within a percent, not equal.
package netsim

import (
	"maps"
	"net"
	"net/netip"
	"sync"
	"testing"
)

// Network is a star of links. Its methods may be called concurrently.
type Network struct {
	t    testing.TB
	seed uint64
	done chan struct{} // closed at the end of the test
	wg   sync.WaitGroup

	mu     sync.Mutex // guards what follows
	conns  map[netip.AddrPort]*Conn
	links  int
	closed bool
	stray  int64 // packets to nobody
}

// NetworkOption sets something of a whole network.
type NetworkOption func(*Network)

// Seed makes the network's randomness that of n. Without it, the seed is 1.
func Seed(n uint64) NetworkOption {
	return func(net *Network) { net.seed = n }
}

// New returns a network that lives until the end of t: then its endpoints are
// closed and its goroutines waited for. Call it inside the bubble it is used in.
func New(t testing.TB, opts ...NetworkOption) *Network {
	t.Helper()
	n := &Network{t: t, seed: 1, done: make(chan struct{}), conns: make(map[netip.AddrPort]*Conn)}
	for _, o := range opts {
		o(n)
	}
	t.Logf("netsim: seed %d", n.seed)
	t.Cleanup(n.close)
	return n
}

// Listen returns a new endpoint on the backbone, at an address of its own.
func (n *Network) Listen() *Conn { return n.listen(nil) }

// Stray returns how many packets were sent to an address where no endpoint is.
func (n *Network) Stray() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stray
}

// port is that of every endpoint; they differ by host.
const port = 4443

func (n *Network) listen(l *Link) *Conn {
	subnet, host := byte(0), byte(1)
	if l != nil {
		subnet = byte(l.id)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		n.t.Fatal("netsim: Listen after the end of the test")
	}
	for ; ; host++ {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, subnet, 0, host}), port)
		if n.conns[addr] != nil {
			if host == 254 {
				n.t.Fatalf("netsim: no address left beside %v", addr)
			}
			continue
		}
		c := newConn(n, l, addr)
		n.conns[addr] = c
		return c
	}
}

// forward brings p, which is on the backbone, to its receiver or onto the
// receiver's link.
func (n *Network) forward(p packet) {
	n.mu.Lock()
	to := n.conns[p.to]
	if to == nil {
		n.stray++
	}
	n.mu.Unlock()
	switch {
	case to == nil:
	case to.link != nil:
		to.link.down.send(p)
	default:
		to.receive(p)
	}
}

// arrive brings p, which has come down a link, to its receiver.
func (n *Network) arrive(p packet) {
	n.mu.Lock()
	to := n.conns[p.to]
	if to == nil {
		n.stray++
	}
	n.mu.Unlock()
	if to != nil {
		to.receive(p)
	}
}

func (n *Network) remove(c *Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.conns[c.seen] == c {
		delete(n.conns, c.seen)
	}
}

// rebind has others see the endpoints behind l at other ports.
func (n *Network) rebind(l *Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for at, c := range maps.Clone(n.conns) {
		if c.link != l {
			continue
		}
		delete(n.conns, at)
		next := netip.AddrPortFrom(at.Addr(), at.Port()+1)
		for n.conns[next] != nil {
			next = netip.AddrPortFrom(next.Addr(), next.Port()+1)
		}
		n.conns[next] = c
		c.mu.Lock()
		c.seen = next
		c.mu.Unlock()
	}
}

func (n *Network) close() {
	n.mu.Lock()
	n.closed = true
	conns := make([]*Conn, 0, len(n.conns))
	for _, c := range n.conns {
		conns = append(conns, c)
	}
	n.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
	close(n.done)
	n.wg.Wait()
}

// packet is one datagram on its way. Its data belongs to the network.
type packet struct {
	from, to netip.AddrPort
	data     []byte
}

var _ net.PacketConn = (*Conn)(nil)
