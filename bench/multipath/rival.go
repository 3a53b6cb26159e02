package multipath

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/tributary-live/tributary/internal/devcert"
)

// rival is somebody else's connection, which sends as much as it can.
type rival interface {
	// received returns how many bytes its other end has.
	received() int64
	close()
}

const (
	// rivalWarm is how long a rival may take to find its rate, and rivalAlone how
	// long after that it is measured, before there is a load beside it.
	rivalWarm  = 5 * time.Second
	rivalAlone = 10 * time.Second
)

// contested measures what a rival on the first link has before the load, and
// plays that beside it.
func (st *stage) contested(ctx context.Context) (*Outcome, error) {
	var err error
	if st.rival, err = st.ground.rival(ctx, st.links[0]); err != nil {
		return nil, err
	}
	defer st.rival.close()
	if err := pause(ctx, rivalWarm); err != nil {
		return nil, err
	}
	before := st.read(ctx)
	if err := pause(ctx, rivalAlone); err != nil {
		return nil, err
	}
	alone := rate(before, st.read(ctx))
	o, err := st.play(ctx)
	if err == nil {
		o.Alone = alone
	}
	return o, err
}

// rate returns what a rival has had between two readings, bits a second.
func rate(before, after meters) float64 {
	return float64(after.rival-before.rival) * 8 / after.at.Sub(before.at).Seconds()
}

// keptShare is what a rival keeps, of half of what it had when it was alone.
func keptShare(o *Outcome) float64 {
	if o.Alone == 0 {
		return 0
	}
	return o.Kept / (o.Alone / 2)
}

// keptRow is what a rival is to keep: more than half of its half, for who fills a
// link with objects that nobody can wait for, and in any case a fifth.
func (j *judgement) keptRow(who string) row {
	r := j.row("what "+who+" keeps of its half", "", keptShare, lowest, atLeast(0.6, 0.2))
	mbit := func(f figure) string { return short(j.median(Bond, f) / 1e6) }
	r.Note += "; " + mbit(func(o *Outcome) float64 { return o.Kept }) + " of the " + mbit(func(o *Outcome) float64 { return o.Alone }) + " Mbit/s it has alone"
	return r
}

// counter counts what is written to it.
type counter struct{ n atomic.Int64 }

func (c *counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}

// fill writes to w until that fails.
func fill(w io.Writer) {
	b := make([]byte, 32<<10)
	for {
		if _, err := w.Write(b); err != nil {
			return
		}
	}
}

// quicRival is one connection of QUIC with one stream.
type quicRival struct {
	counter
	near, far *quic.Transport
	wg        sync.WaitGroup
}

// newQUICRival connects from one socket to the other, both of which it closes.
func newQUICRival(ctx context.Context, near, far net.PacketConn) (*quicRival, error) {
	r := &quicRival{near: &quic.Transport{Conn: near}, far: &quic.Transport{Conn: far}}
	if err := r.connect(ctx); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *quicRival) connect(ctx context.Context) error {
	source, err := devcert.New()
	if err != nil {
		return err
	}
	const protocol = "rival"
	ln, err := r.far.Listen(&tls.Config{GetCertificate: source.GetCertificate, NextProtos: []string{protocol}}, nil)
	if err != nil {
		return err
	}
	r.wg.Go(func() {
		conn, err := ln.Accept(ctx)
		if err != nil {
			return
		}
		if st, err := conn.AcceptUniStream(ctx); err == nil {
			io.Copy(r, st)
		}
	})
	conf := trusting()
	conf.NextProtos = []string{protocol}
	conn, err := r.near.Dial(ctx, r.far.Conn.LocalAddr(), conf, nil)
	if err != nil {
		return err
	}
	st, err := conn.OpenUniStreamSync(ctx)
	if err != nil {
		return err
	}
	r.wg.Go(func() { fill(st) })
	return nil
}

func (r *quicRival) received() int64 { return r.n.Load() }

func (r *quicRival) close() {
	r.near.Close()
	r.far.Close()
	r.near.Conn.Close()
	r.far.Conn.Close()
	r.wg.Wait()
}
