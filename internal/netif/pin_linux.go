package netif

import (
	"net"
	"syscall"
)

// pinned binds sockets to the device, which any user may do once for a socket
// (Linux 5.7 and later).
func pinned(i *net.Interface) *net.ListenConfig {
	return &net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd uintptr) error { return syscall.BindToDevice(int(fd), i.Name) })
	}}
}
