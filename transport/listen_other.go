//go:build !unix

package transport

import "net"

// growBuffers and socketBuffers know nothing about this system's sockets.
func growBuffers(net.PacketConn) {}

func socketBuffers(net.PacketConn) (receive, send int, ok bool) { return 0, 0, false }
