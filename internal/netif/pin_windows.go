package netif

import (
	"errors"
	"math/bits"
	"net"
	"syscall"
)

// unicastIf is IP_UNICAST_IF and IPV6_UNICAST_IF (ws2ipdef.h).
const unicastIf = 31

// pinned has sockets send by the interface, for both families where they have
// both. IPv4 wants the number in network order.
func pinned(i *net.Interface) *net.ListenConfig {
	return &net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd uintptr) error {
			v6 := syscall.SetsockoptInt(syscall.Handle(fd), syscall.IPPROTO_IPV6, unicastIf, i.Index)
			v4 := syscall.SetsockoptInt(syscall.Handle(fd), syscall.IPPROTO_IP, unicastIf, int(bits.ReverseBytes32(uint32(i.Index))))
			if v4 != nil && v6 != nil {
				return errors.Join(v4, v6)
			}
			return nil
		})
	}}
}
