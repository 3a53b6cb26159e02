package app

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// ListenError turns the failure to listen on addr, which came from --flag, into
// a sentence that says what to do. It wraps err and returns nil for nil.
func ListenError(flag, addr string, err error) error {
	if err == nil {
		return nil
	}
	return &listenError{flag, addr, err}
}

type listenError struct {
	flag, addr string
	err        error
}

func (e *listenError) Unwrap() error { return e.err }

func (e *listenError) Error() string {
	var dns *net.DNSError
	switch {
	case errors.Is(e.err, syscall.EADDRINUSE):
		return fmt.Sprintf("address %s is already in use: stop the program that listens there, or choose another with --%s", e.addr, e.flag)
	case errors.Is(e.err, syscall.EACCES):
		return fmt.Sprintf("not allowed to listen on %s: ports below 1024 need the right CAP_NET_BIND_SERVICE, or choose a higher one with --%s", e.addr, e.flag)
	case errors.Is(e.err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("this machine does not have the address %s: give one of its own with --%s", e.addr, e.flag)
	case errors.As(e.err, &dns):
		return fmt.Sprintf("--%s %s: the host name is not known (%s)", e.flag, e.addr, dns.Err)
	}
	return fmt.Sprintf("--%s %s: cannot listen there: %v", e.flag, e.addr, e.err)
}

// explainNet adds the advice of [ListenError] to an error that a command
// returned bare.
func explainNet(err error) error {
	var op *net.OpError
	if errors.As(err, new(*listenError)) || !errors.Is(err, syscall.EADDRINUSE) || !errors.As(err, &op) || op.Addr == nil {
		return err
	}
	return fmt.Errorf("address %v (%s) is already in use: stop the program that listens there, or choose another", op.Addr, op.Net)
}
