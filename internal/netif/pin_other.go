//go:build !linux && !darwin && !windows

package netif

import (
	"fmt"
	"net"
	"runtime"
	"syscall"
)

// pinned refuses: a socket that is not bound would send by the default route, as
// all others.
func pinned(i *net.Interface) *net.ListenConfig {
	return &net.ListenConfig{Control: func(string, string, syscall.RawConn) error {
		return fmt.Errorf("sockets cannot be bound to %s on %s", i.Name, runtime.GOOS)
	}}
}
