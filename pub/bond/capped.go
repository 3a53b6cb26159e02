package bond

import (
	"context"
	"net"
	"sync"
	"time"
)

// capped returns a function that opens a socket as listen does, by which at most so
// many bits a second are sent. What a session has of a path is bounded there, where
// no scheduler divides it: QUIC finds a slow link.
func capped(listen func(context.Context) (net.PacketConn, error), bits int64) func(context.Context) (net.PacketConn, error) {
	return func(ctx context.Context) (net.PacketConn, error) {
		pc, err := listen(ctx)
		if err != nil {
			return nil, err
		}
		return &cappedConn{PacketConn: pc, rate: float64(bits) / 8, closed: make(chan struct{})}, nil
	}
}

// cappedConn is a socket that takes a packet at a time: QUIC would give several to one
// that takes them together, which are long on their way by a slow link.
type cappedConn struct {
	net.PacketConn
	rate   float64 // bytes/s
	once   sync.Once
	closed chan struct{}

	mu  sync.Mutex // guards due
	due time.Time  // when the next packet may go
}

// capBurst is for how long nothing may have been sent that is made up for.
const capBurst = 10 * time.Millisecond

func (c *cappedConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	now := time.Now()
	c.mu.Lock()
	if least := now.Add(-capBurst); c.due.Before(least) {
		c.due = least
	}
	wait := c.due.Sub(now)
	c.due = c.due.Add(time.Duration(float64(len(b)) / c.rate * float64(time.Second)))
	c.mu.Unlock()
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-c.closed:
			return 0, net.ErrClosed
		}
	}
	return c.PacketConn.WriteTo(b, addr)
}

// Close ends writes that wait.
func (c *cappedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.PacketConn.Close()
}

// SetReadBuffer and SetWriteBuffer are for QUIC, which asks for large ones.
func (c *cappedConn) SetReadBuffer(bytes int) error  { return c.setBuffer(bytes, false) }
func (c *cappedConn) SetWriteBuffer(bytes int) error { return c.setBuffer(bytes, true) }

func (c *cappedConn) setBuffer(bytes int, write bool) error {
	s, ok := c.PacketConn.(interface {
		SetReadBuffer(bytes int) error
		SetWriteBuffer(bytes int) error
	})
	switch {
	case !ok:
		return nil
	case write:
		return s.SetWriteBuffer(bytes)
	}
	return s.SetReadBuffer(bytes)
}
