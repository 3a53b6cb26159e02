package netif

import (
	"context"
	"os"
	"sync"
	"syscall"
	"time"
)

// The kernel tells by netlink when links and addresses change. What it tells is
// not read: that something has changed is reason enough to look.
const netlinkGroups = 1<<(syscall.RTNLGRP_LINK-1) | 1<<(syscall.RTNLGRP_IPV4_IFADDR-1) | 1<<(syscall.RTNLGRP_IPV6_IFADDR-1)

// settleTime is how long to wait for more after a change: an interface that comes
// up makes several.
const settleTime = 50 * time.Millisecond

// watch calls look whenever something may have changed, and every few seconds, in
// case that the kernel had more to tell than there was room for.
func watch(ctx context.Context, look func()) {
	f, err := openNetlink()
	if err != nil {
		poll(ctx, time.Second, nil, look)
		return
	}
	early := make(chan struct{}, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer f.Close() // ends the read
	wg.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			if _, err := f.Read(buf); err != nil && !isOverrun(err) {
				return
			}
			after := time.NewTimer(settleTime)
			select {
			case <-after.C:
			case <-ctx.Done():
				after.Stop()
				return
			}
			select {
			case early <- struct{}{}:
			default:
			}
		}
	})
	poll(ctx, 5*time.Second, early, look)
}

// openNetlink returns a socket that is readable when something has changed.
func openNetlink() (*os.File, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, syscall.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK, Groups: netlinkGroups}); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

// isOverrun reports whether the kernel had more to tell than there was room for.
func isOverrun(err error) bool {
	pe, ok := err.(*os.PathError)
	return ok && pe.Err == syscall.ENOBUFS
}
