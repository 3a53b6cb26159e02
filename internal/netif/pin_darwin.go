package netif

import (
	"errors"
	"net"
	"syscall"
)

// Socket options that package syscall does not name (netinet/in.h,
// netinet6/in6.h).
const (
	ipBoundIf   = 25
	ipv6BoundIf = 125
)

// pinned binds sockets to the interface, for both families where they have both.
func pinned(i *net.Interface) *net.ListenConfig {
	return &net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd uintptr) error {
			v6 := syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, ipv6BoundIf, i.Index)
			v4 := syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, ipBoundIf, i.Index)
			if v4 != nil && v6 != nil {
				return errors.Join(v4, v6)
			}
			return nil
		})
	}}
}
