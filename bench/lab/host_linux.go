package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Host is a network namespace. Its methods may be called concurrently.
type Host struct {
	name string
	ns   *os.File
}

// newHost makes a host that has a loopback interface and nothing else.
func newHost(name string) (*Host, error) {
	h := &Host{name: name}
	err := onOwnThread(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace, which takes root: %w", err)
		}
		h.ns, err = ownNamespace()
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := h.ip("link set lo up"); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func ownNamespace() (*os.File, error) { return os.Open("/proc/thread-self/ns/net") }

// onOwnThread calls f on a thread that nothing else runs on, and puts the thread
// back into the namespace it was in.
func onOwnThread(f func() error) error {
	runtime.LockOSThread()
	before, err := ownNamespace()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer before.Close()
	err = f()
	if back := unix.Setns(int(before.Fd()), unix.CLONE_NEWNET); back != nil {
		// The goroutine keeps the thread, and takes it along when it ends.
		return fmt.Errorf("leave a network namespace: %w", back)
	}
	runtime.UnlockOSThread()
	return err
}

// Do calls f on a thread that is on the host: sockets that f opens are the host's
// from then on, whoever uses them, and so are the processes it starts. f must not
// start a goroutine for that.
func (h *Host) Do(f func() error) error {
	return onOwnThread(func() error {
		if err := unix.Setns(int(h.ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the host %s: %w", h.name, err)
		}
		return f()
	})
}

// ip runs the command of that name with words for arguments.
func (h *Host) ip(words string, args ...any) error {
	words = fmt.Sprintf(words, args...)
	return h.Do(func() error {
		if out, err := exec.Command("ip", strings.Fields(words)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s on the host %s: %w: %s", words, h.name, err, strings.TrimSpace(string(out)))
		}
		return nil
	})
}

// set writes a setting of the host's network, a file below /proc/sys/net.
func (h *Host) set(name, value string) error {
	return h.Do(func() error { return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0) })
}

// ListenUDP opens a socket at addr, as package net understands it. If device is
// not empty, the socket uses that interface alone.
func (h *Host) ListenUDP(ctx context.Context, addr, device string) (*net.UDPConn, error) {
	var pc net.PacketConn
	c := net.ListenConfig{Control: bindTo(device)}
	err := h.Do(func() (err error) {
		pc, err = c.ListenPacket(ctx, "udp4", addr)
		return err
	})
	if err != nil {
		return nil, err
	}
	return pc.(*net.UDPConn), nil
}

// ListenTCP opens a socket at addr, for MPTCP as well if multipath.
func (h *Host) ListenTCP(ctx context.Context, addr string, multipath bool) (net.Listener, error) {
	var l net.Listener
	var c net.ListenConfig
	c.SetMultipathTCP(multipath)
	err := h.Do(func() (err error) {
		l, err = c.Listen(ctx, "tcp4", addr)
		return err
	})
	return l, err
}

// DialTCP connects to addr, by MPTCP if multipath. If device is not empty, the
// connection uses that interface alone.
func (h *Host) DialTCP(ctx context.Context, addr, device string, multipath bool) (*net.TCPConn, error) {
	var conn net.Conn
	d := net.Dialer{Control: bindTo(device)}
	d.SetMultipathTCP(multipath)
	err := h.Do(func() (err error) {
		conn, err = d.DialContext(ctx, "tcp4", addr)
		return err
	})
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// SetCongestion has conn use the kernel's congestion control of that name from now
// on.
func SetCongestion(conn *net.TCPConn, name string) error {
	c, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = c.Control(func(fd uintptr) {
		set = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, name)
	})
	if err == nil {
		err = set
	}
	if err != nil {
		return fmt.Errorf("congestion control %s: %w", name, err)
	}
	return nil
}

// bindTo returns what ties a socket to a device, or nil for no device.
func bindTo(device string) func(network, address string, c syscall.RawConn) error {
	if device == "" {
		return nil
	}
	return func(_, _ string, c syscall.RawConn) error {
		var bound error
		if err := c.Control(func(fd uintptr) { bound = unix.BindToDevice(int(fd), device) }); err != nil {
			return err
		}
		return bound
	}
}

func (h *Host) close() {
	if h.ns != nil {
		h.ns.Close()
	}
}
