package netsim

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// Forwarder is a link between UDP sockets of this machine, in real time: for
// measurements that need processes of their own. Clients dial its address in
// place of the server's. It has one client at a time: the last to send.
type Forwarder struct {
	client, server *net.UDPConn
	up, down       *direction
	done           chan struct{}
	once           sync.Once
	wg             sync.WaitGroup

	mu   sync.Mutex // guards peer
	peer netip.AddrPort
}

// Forward puts a link before the server at addr, on loopback. It has goroutines
// until it is closed.
func Forward(addr string, opts ...Option) (*Forwarder, error) {
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, err
	}
	f := &Forwarder{done: make(chan struct{})}
	if f.server, err = net.DialUDP("udp", nil, to); err != nil {
		return nil, err
	}
	if f.client, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		f.server.Close()
		return nil, err
	}
	for _, c := range []*net.UDPConn{f.client, f.server} {
		c.SetReadBuffer(receiveBuffer)
		c.SetWriteBuffer(receiveBuffer)
	}
	f.up = newDirection(rand.New(rand.NewPCG(1, 2)), func(p packet) { f.server.Write(p.data) })
	f.down = newDirection(rand.New(rand.NewPCG(1, 3)), f.toClient)
	up, down := f.up.currentShape(), f.down.currentShape()
	for _, o := range opts {
		o(&up, &down)
	}
	f.up.setShape(up)
	f.down.setShape(down)
	f.wg.Go(func() { f.up.run(f.done) })
	f.wg.Go(func() { f.down.run(f.done) })
	f.wg.Go(f.readClient)
	f.wg.Go(f.readServer)
	return f, nil
}

// Addr returns the address for clients.
func (f *Forwarder) Addr() net.Addr { return f.client.LocalAddr() }

// Stats is as [Link.Stats].
func (f *Forwarder) Stats() (up, down Stats) { return f.up.currentStats(), f.down.currentStats() }

// Close ends the link; what is on its way is lost.
func (f *Forwarder) Close() error {
	f.once.Do(func() {
		close(f.done)
		f.client.Close()
		f.server.Close()
	})
	f.wg.Wait()
	return nil
}

func (f *Forwarder) toClient(p packet) {
	f.mu.Lock()
	peer := f.peer
	f.mu.Unlock()
	f.client.WriteToUDPAddrPort(p.data, peer)
}

func (f *Forwarder) readClient() {
	buf := make([]byte, maxPayload)
	for {
		n, from, err := f.client.ReadFromUDPAddrPort(buf)
		if err != nil {
			if gone(err) {
				continue
			}
			return
		}
		f.mu.Lock()
		f.peer = from
		f.mu.Unlock()
		f.up.send(packet{data: append([]byte(nil), buf[:n]...)})
	}
}

func (f *Forwarder) readServer() {
	buf := make([]byte, maxPayload)
	for {
		n, err := f.server.Read(buf)
		if err != nil {
			if gone(err) {
				continue
			}
			return
		}
		f.down.send(packet{data: append([]byte(nil), buf[:n]...)})
	}
}

// gone reports whether err only tells that a packet sent before has found nobody.
func gone(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
