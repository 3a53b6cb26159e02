package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"

	"github.com/tributary-live/tributary/internal/netsim"
)

// Lab is a publisher's host and a relay's. Its methods may be called concurrently.
type Lab struct {
	Publisher, Relay *Host

	mu    sync.Mutex // guards what follows
	paths map[*Path]struct{}
	made  int
}

// RelayAddr is the address of the relay's host, whichever the path.
const RelayAddr = "10.99.0.1"

// New makes two hosts with no path between them.
func New() (*Lab, error) {
	l := &Lab{paths: make(map[*Path]struct{})}
	var err error
	if l.Publisher, err = newHost("publisher"); err != nil {
		return nil, err
	}
	if l.Relay, err = newHost("relay"); err != nil {
		l.Publisher.close()
		return nil, err
	}
	err = l.Relay.ip("address add %s/32 dev lo", RelayAddr)
	for _, h := range []*Host{l.Publisher, l.Relay} {
		if err == nil {
			err = h.ip("mptcp limits set subflows 8 add_addr_accepted 8")
		}
		if err == nil {
			err = h.set("mptcp/enabled", "1")
		}
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Path is an interface of the publisher's host, and the line from there to the
// relay's, whose rate counts whole packets. What goes up comes from the publisher.
type Path struct {
	*netsim.Line
	Name string // of the interface

	lab       *Lab
	id        int
	local     string
	near, far *os.File
	once      sync.Once
	wg        sync.WaitGroup
}

// AddPath plugs in an interface.
func (l *Lab) AddPath(name string, opts ...netsim.Option) (*Path, error) {
	l.mu.Lock()
	l.made++
	n := l.made
	l.mu.Unlock()
	if n > 254 {
		return nil, fmt.Errorf("a lab has no more than 254 paths, in all its life")
	}
	p := &Path{Name: name, lab: l, id: n, local: fmt.Sprintf("10.77.%d.1", n)}
	remote, farName := fmt.Sprintf("10.77.%d.2", n), fmt.Sprintf("far%d", n)
	var err error
	if p.near, err = l.Publisher.openTUN(name); err != nil {
		return nil, err
	}
	if p.far, err = l.Relay.openTUN(farName); err != nil {
		p.near.Close()
		return nil, err
	}
	opts = append([]netsim.Option{netsim.MTU(mtu), netsim.Headers(0)}, opts...)
	p.Line = netsim.NewLine(uint64(n), func(b []byte) { p.far.Write(b) }, func(b []byte) { p.near.Write(b) }, opts...)
	p.wg.Go(func() { carry(p.near, p.SendUp) })
	p.wg.Go(func() { carry(p.far, p.SendDown) })
	for _, c := range []struct {
		host  *Host
		words string
	}{
		{l.Publisher, fmt.Sprintf("address add %s peer %s dev %s", p.local, remote, name)},
		{l.Publisher, fmt.Sprintf("link set %s mtu %d txqueuelen 10000 up", name, mtu)},
		{l.Relay, fmt.Sprintf("address add %s peer %s dev %s", remote, p.local, farName)},
		{l.Relay, fmt.Sprintf("link set %s mtu %d txqueuelen 10000 up", farName, mtu)},
		{l.Publisher, fmt.Sprintf("route add %s dev %s src %s metric %d", RelayAddr, name, p.local, n)},
		{l.Publisher, fmt.Sprintf("mptcp endpoint add %s dev %s id %d subflow", p.local, name, n)},
	} {
		if err := c.host.ip("%s", c.words); err != nil {
			p.Close()
			return nil, err
		}
	}
	l.mu.Lock()
	l.paths[p] = struct{}{}
	l.mu.Unlock()
	return p, nil
}

// Listen opens a socket on the path.
func (p *Path) Listen(ctx context.Context) (*net.UDPConn, error) {
	return p.lab.Publisher.ListenUDP(ctx, net.JoinHostPort(p.local, "0"), p.Name)
}

// Close unplugs the interface.
func (p *Path) Close() {
	p.once.Do(func() {
		p.lab.mu.Lock()
		delete(p.lab.paths, p)
		p.lab.mu.Unlock()
		p.lab.Publisher.ip("mptcp endpoint delete id %d", p.id) // there may be none
		p.near.Close()
		p.far.Close()
		p.wg.Wait()
		p.Line.Close()
	})
}

// Close unplugs what is plugged in and gives up the hosts. Processes that were
// started on them keep them, without paths.
func (l *Lab) Close() {
	l.mu.Lock()
	paths := make([]*Path, 0, len(l.paths))
	for p := range l.paths {
		paths = append(paths, p)
	}
	l.mu.Unlock()
	for _, p := range paths {
		p.Close()
	}
	l.Publisher.close()
	l.Relay.close()
}
