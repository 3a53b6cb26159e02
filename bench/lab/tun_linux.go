package lab

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mtu is that of the devices, bytes.
const mtu = 1500

// openTUN makes a device on the host, which goes when the file is closed. Each
// read gives, and each write takes, one packet.
func (h *Host) openTUN(name string) (*os.File, error) {
	var f *os.File
	err := h.Do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open /dev/net/tun: %w", err)
		}
		request, err := unix.NewIfreq(name)
		if err == nil {
			request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
		}
		if err == nil {
			err = unix.SetNonblock(fd, true) // so that Close ends a read
		}
		if err != nil {
			unix.Close(fd)
			return fmt.Errorf("make the device %s: %w", name, err)
		}
		f = os.NewFile(uintptr(fd), name)
		return nil
	})
	return f, err
}

// carry gives every packet that comes from f to send, until f is closed.
func carry(f *os.File, send func([]byte)) {
	buf := make([]byte, mtu)
	for {
		n, err := f.Read(buf)
		if err != nil {
			return
		}
		if n > 0 && buf[0]>>4 == 4 { // IPv6 only has its own announcements here
			send(append([]byte(nil), buf[:n]...))
		}
	}
}
