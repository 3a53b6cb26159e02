package netsim

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// Forwarder is a link between UDP sockets of this machine, in real time: for
// measurements that need processes of their own. Clients dial its address in
// place of the server's. It has one client at a time: the last to send.
type Forwarder struct {
	*Line
	client, server *net.UDPConn
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
	f := &Forwarder{}
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
	f.Line = NewLine(1, func(b []byte) { f.server.Write(b) }, f.toClient, opts...)
	f.wg.Go(f.readClient)
	f.wg.Go(f.readServer)
	return f, nil
}

// Addr returns the address for clients.
func (f *Forwarder) Addr() net.Addr { return f.client.LocalAddr() }

// Close ends the link; what is on its way is lost.
func (f *Forwarder) Close() error {
	f.client.Close()
	f.server.Close()
	f.wg.Wait()
	f.Line.Close()
	return nil
}

func (f *Forwarder) toClient(b []byte) {
	f.mu.Lock()
	peer := f.peer
	f.mu.Unlock()
	f.client.WriteToUDPAddrPort(b, peer)
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
		f.SendUp(append([]byte(nil), buf[:n]...))
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
		f.SendDown(append([]byte(nil), buf[:n]...))
	}
}

// gone reports whether err only tells that a packet sent before has found nobody.
func gone(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
