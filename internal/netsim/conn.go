package netsim

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// receiveBuffer is how many bytes an endpoint holds for its reader.
const receiveBuffer = 8 << 20

// maxPayload is the largest payload of UDP over IPv4.
const maxPayload = 65507

// Conn is an endpoint, a [net.PacketConn] whose addresses are [*net.UDPAddr].
// Its methods may be called concurrently.
type Conn struct {
	net   *Network
	link  *Link // nil on the backbone
	addr  netip.AddrPort
	ready chan struct{} // holds a token when inbox may have something

	closeOnce sync.Once
	closed    chan struct{}

	mu       sync.Mutex     // guards what follows
	seen     netip.AddrPort // where others see it: addr, until Link.Rebind
	inbox    []packet
	held     int // bytes in inbox
	dropped  int64
	deadline deadline
}

func newConn(n *Network, l *Link, addr netip.AddrPort) *Conn {
	return &Conn{
		net: n, link: l, addr: addr, seen: addr,
		ready:    make(chan struct{}, 1),
		closed:   make(chan struct{}),
		deadline: deadline{changed: make(chan struct{})},
	}
}

// ReadFrom waits for a datagram and copies what fits of it to b.
func (c *Conn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		c.mu.Lock()
		at, changed := c.deadline.at, c.deadline.changed
		c.mu.Unlock()
		select {
		case <-c.closed:
			return 0, nil, c.opError("read", net.ErrClosed)
		default:
		}
		if !at.IsZero() && time.Until(at) <= 0 {
			return 0, nil, c.opError("read", os.ErrDeadlineExceeded)
		}
		if p, ok := c.take(); ok {
			return copy(b, p.data), net.UDPAddrFromAddrPort(p.from), nil
		}
		c.wait(at, changed)
	}
}

// wait returns when something has happened that may end a read.
func (c *Conn) wait(deadline time.Time, changed <-chan struct{}) {
	var expired <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-c.ready:
	case <-changed:
	case <-expired:
	case <-c.closed:
	}
}

func (c *Conn) take() (packet, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inbox) == 0 {
		return packet{}, false
	}
	p := c.inbox[0]
	c.inbox = c.inbox[1:]
	c.held -= len(p.data)
	if len(c.inbox) > 0 {
		c.signalLocked() // another reader may wait
	}
	return p, true
}

// receive puts p where the reader finds it, or drops it as a full socket does.
func (c *Conn) receive(p packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held+len(p.data) > receiveBuffer {
		c.dropped++
		return
	}
	c.inbox = append(c.inbox, p)
	c.held += len(p.data)
	c.signalLocked()
}

func (c *Conn) signalLocked() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// WriteTo sends b, which it does not keep, to the endpoint at addr, a
// [*net.UDPAddr]. It never blocks, and knows nothing of the packet's fate.
func (c *Conn) WriteTo(b []byte, addr net.Addr) (int, error) {
	select {
	case <-c.closed:
		return 0, c.opError("write", net.ErrClosed)
	default:
	}
	to, ok := addr.(*net.UDPAddr)
	if !ok {
		return 0, c.opError("write", &net.AddrError{Err: "not a UDP address", Addr: addr.String()})
	}
	if len(b) > maxPayload {
		return 0, c.opError("write", &net.AddrError{Err: "message too long", Addr: addr.String()})
	}
	ap := to.AddrPort()
	c.mu.Lock()
	from := c.seen
	c.mu.Unlock()
	p := packet{from: from, to: netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), data: append([]byte(nil), b...)}
	if c.link != nil {
		c.link.up.send(p)
	} else {
		c.net.forward(p)
	}
	return len(b), nil
}

// Close frees the address and ends waiting reads with [net.ErrClosed].
func (c *Conn) Close() error {
	err := c.opError("close", net.ErrClosed)
	c.closeOnce.Do(func() {
		err = nil
		c.net.remove(c)
		close(c.closed)
	})
	return err
}

// LocalAddr returns the endpoint's address, a [*net.UDPAddr].
func (c *Conn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.addr) }

// Dropped returns how many packets found the endpoint's receive buffer full.
func (c *Conn) Dropped() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropped
}

// deadline is a point in time and a channel that is closed when it changes.
type deadline struct {
	at      time.Time
	changed chan struct{}
}

// SetReadDeadline makes reads, waiting ones too, fail with
// [os.ErrDeadlineExceeded] from t on. The zero time takes that back.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.deadline.changed)
	c.deadline = deadline{at: t, changed: make(chan struct{})}
	return nil
}

// SetDeadline is [Conn.SetReadDeadline], as writes do not block.
func (c *Conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline does nothing, as writes do not block.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }

// SetReadBuffer does nothing. QUIC asks for it.
func (c *Conn) SetReadBuffer(int) error { return nil }

// SetWriteBuffer does nothing. QUIC asks for it.
func (c *Conn) SetWriteBuffer(int) error { return nil }

func (c *Conn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "udp", Source: net.UDPAddrFromAddrPort(c.addr), Err: err}
}
