package multipath

import (
	"context"
	"io"
	"net"
	"sync"

	"github.com/tributary-live/tributary/bench/lab"
)

// tcpRival is one TCP connection of the kernel.
type tcpRival struct {
	counter
	ln   net.Listener
	conn *net.TCPConn
	stop func() bool
	wg   sync.WaitGroup
}

// newTCPRival connects over the path, with the congestion control that most of
// the world has.
func newTCPRival(ctx context.Context, l *lab.Lab, p *lab.Path) (*tcpRival, error) {
	ln, err := l.Relay.ListenTCP(ctx, net.JoinHostPort(lab.RelayAddr, "0"), false)
	if err != nil {
		return nil, err
	}
	r := &tcpRival{ln: ln}
	r.wg.Go(r.receive)
	if r.conn, err = l.Publisher.DialTCP(ctx, ln.Addr().String(), p.Name, false); err == nil {
		err = lab.SetCongestion(r.conn, "cubic")
	}
	if err != nil {
		r.close()
		return nil, err
	}
	r.wg.Go(func() { fill(r.conn) })
	r.stop = context.AfterFunc(ctx, func() { r.conn.Close() })
	return r, nil
}

func (r *tcpRival) receive() {
	conn, err := r.ln.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	io.Copy(r, conn)
}

func (r *tcpRival) received() int64 { return r.n.Load() }

func (r *tcpRival) close() {
	if r.stop != nil {
		r.stop()
	}
	r.ln.Close()
	if r.conn != nil {
		r.conn.SetLinger(0) // what is not sent yet is not to be
		r.conn.Close()
	}
	r.wg.Wait()
}
