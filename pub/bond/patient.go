package bond

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
)

// patient returns a function that opens a socket as listen does, and as
// [Path].ListenPacket says if that is nil. While on is set, or if it is nil, a
// packet that cannot be sent because the network has gone is lost, as it would be
// further on. Otherwise the connection ends with it, and could not move any more.
func patient(listen func(context.Context) (net.PacketConn, error), on *atomic.Bool) func(context.Context) (net.PacketConn, error) {
	if listen == nil {
		listen = func(context.Context) (net.PacketConn, error) { return net.ListenUDP("udp", nil) }
	}
	return func(ctx context.Context) (net.PacketConn, error) {
		pc, err := listen(ctx)
		if c, ok := pc.(*net.UDPConn); ok && err == nil {
			return &patientConn{c, on}, nil
		}
		return pc, err
	}
}

// patientConn is a UDP socket; QUIC finds all that it can do.
type patientConn struct {
	*net.UDPConn
	on *atomic.Bool
}

func (c *patientConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	n, err := c.UDPConn.WriteTo(b, addr)
	return c.lost(n, len(b), err)
}

func (c *patientConn) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	n, oobn, err = c.UDPConn.WriteMsgUDP(b, oob, addr)
	n, err = c.lost(n, len(b), err)
	return n, oobn, err
}

// lost returns what a write of all bytes is to return that has returned n and err.
func (c *patientConn) lost(n, all int, err error) (int, error) {
	if err == nil || c.on != nil && !c.on.Load() {
		return n, err
	}
	for _, gone := range []syscall.Errno{syscall.ENODEV, syscall.ENXIO, syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, gone) {
			return all, nil
		}
	}
	return n, err
}
