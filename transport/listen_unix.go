//go:build unix

package transport

import (
	"net"
	"runtime"
	"syscall"
)

// growBuffers asks for wantedBuffer for pc. What it gets, socketBuffers tells.
func growBuffers(pc net.PacketConn) {
	udp, ok := pc.(*net.UDPConn)
	if !ok {
		return
	}
	udp.SetReadBuffer(wantedBuffer)
	udp.SetWriteBuffer(wantedBuffer)
	if runtime.GOOS != "linux" {
		return
	}
	raw, err := udp.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		// Root may go beyond the sysctl's limits (socket(7)).
		const sndBufForce, rcvBufForce = 0x20, 0x21
		syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, rcvBufForce, wantedBuffer)
		syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, sndBufForce, wantedBuffer)
	})
}

// socketBuffers returns the sizes of pc's kernel buffers in bytes, if it has any.
func socketBuffers(pc net.PacketConn) (receive, send int, ok bool) {
	sc, ok := pc.(syscall.Conn)
	if !ok {
		return 0, 0, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, 0, false
	}
	var errReceive, errSend error
	err = raw.Control(func(fd uintptr) {
		receive, errReceive = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF)
		send, errSend = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF)
	})
	if err != nil || errReceive != nil || errSend != nil {
		return 0, 0, false
	}
	if runtime.GOOS == "linux" { // which doubles what it is asked for, for its own use
		receive, send = receive/2, send/2
	}
	return receive, send, true
}
