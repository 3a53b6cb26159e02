package multipath

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"
	"net"
	"sync"
	"time"

	"github.com/tributary-live/tributary/bench/lab"
)

// mptcp is a connection of the kernel's Multipath TCP over all links, to a
// listener that takes objects as they come. It has no relay.
type mptcp struct {
	lab    *lab.Lab
	ctx    context.Context
	cancel context.CancelFunc
	ln     net.Listener
	conn   *net.TCPConn
	queue  *queue
	begun  chan struct{} // closed when book is there
	book   *book
	wg     sync.WaitGroup
}

func newMPTCP(ctx context.Context, s *Scenario, l *lab.Lab) (*mptcp, error) {
	ctx, cancel := context.WithCancel(ctx)
	p := &mptcp{lab: l, ctx: ctx, cancel: cancel, queue: newQueue(), begun: make(chan struct{})}
	var err error
	if p.ln, err = l.Relay.ListenTCP(ctx, net.JoinHostPort(lab.RelayAddr, "0"), true); err != nil {
		cancel()
		return nil, err
	}
	p.wg.Go(p.accept)
	return p, nil
}

// collect lets wait as much as the kernel's buffers may take.
func (p *mptcp) collect(b *book) (ahead int) {
	p.book = b
	close(p.begun)
	return 4 << 20
}

// plug connects with the first link. Others are the kernel's business.
func (p *mptcp) plug(ctx context.Context, _ string, _ *Link, _ link) (err error) {
	if p.conn == nil {
		if p.conn, err = p.lab.Publisher.DialTCP(ctx, p.ln.Addr().String(), "", true); err == nil {
			p.wg.Go(p.write)
		}
	}
	return err
}

func (p *mptcp) unplug(string) {}

// ready gives the kernel time to connect over the other links, of which it tells
// nothing.
func (p *mptcp) ready(ctx context.Context) error { return pause(ctx, time.Second) }

func (p *mptcp) send(u *unit) { p.queue.put(u) }

// objectHeader is the track, the number and the size of an object.
const objectHeader = 12

func (p *mptcp) write() {
	for {
		u, err := p.queue.take(p.ctx)
		if err != nil {
			return
		}
		b := make([]byte, objectHeader, objectHeader+len(u.payload))
		binary.BigEndian.PutUint32(b, uint32(u.track))
		binary.BigEndian.PutUint32(b[4:], uint32(u.n))
		binary.BigEndian.PutUint32(b[8:], uint32(len(u.payload)))
		if _, err := p.conn.Write(append(b, u.payload...)); err != nil {
			return
		}
	}
}

func (p *mptcp) accept() {
	conn, err := p.ln.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(p.ctx, func() { conn.Close() })()
	select {
	case <-p.begun:
	case <-p.ctx.Done():
		return
	}
	b := make([]byte, objectHeader)
	for {
		if _, err := io.ReadFull(conn, b); err != nil {
			return
		}
		sum := crc32.NewIEEE()
		if _, err := io.CopyN(sum, conn, int64(binary.BigEndian.Uint32(b[8:]))); err != nil {
			return
		}
		p.book.take(int(binary.BigEndian.Uint32(b)), int(binary.BigEndian.Uint32(b[4:])), sum.Sum32())
	}
}

func (p *mptcp) advice() int64 { return 0 }

func (p *mptcp) copied() (first, again int64) { return 0, 0 }

func (p *mptcp) close() {
	p.cancel()
	p.ln.Close()
	if p.conn != nil {
		p.conn.Close()
	}
	p.wg.Wait()
}
