package bond

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/moqt"
)

// connection is a session over a path, and what the relay says on its bond
// stream.
type connection struct {
	b      *Bond
	route  *route
	slot   int // among the connections of its path
	id     uint64
	sess   *transport.Session
	answer chan bond.Message // the relay's to our join
	heard  atomic.Bool       // the relay has opened its bond stream

	busy    atomic.Int64 // nanoseconds that writes have taken
	patient atomic.Bool  // of its socket

	// Guarded by b.mu:
	open     map[bond.Object]*chunkStream
	moved    bool // its session has left its path, which has another connection in its place
	retiring bool // it takes nothing more, and ends when all it sent has arrived
}

// dial opens a session over r. The bond streams that the relay opens on it are
// c's.
func (b *Bond) dial(ctx context.Context, r *route, c *connection) (*transport.Session, error) {
	d := *b.cfg.Dialer
	listen := r.ListenPacket
	if listen == nil {
		listen = d.ListenPacket
	}
	d.ListenPacket = patient(listen, &c.patient)
	if r.URL != "" && r.Cap > 0 {
		d.ListenPacket = capped(d.ListenPacket, r.Cap)
	}
	var cfg transport.Config
	if d.Config != nil {
		cfg = *d.Config
	}
	cfg.Extensions = append(slices.Clip(cfg.Extensions), transport.Extension{
		Option: bond.OfferOption(), Agree: bond.Offered, Streams: []uint64{bond.StreamType}, Serve: c.read,
	})
	d.Config = &cfg
	if url := b.elsewhere(r); url != "" {
		sess, err := d.Dial(ctx, url)
		if err == nil || ctx.Err() != nil {
			return sess, err
		}
		b.log.Debug("address of the bond not reached", "path", r.Name, "err", err)
	}
	url := r.URL
	if url == "" {
		url = b.cfg.URL
	}
	return d.Dial(ctx, url)
}

// elsewhere returns where the relay wants the connections of the bond, or "" if
// it has not said.
func (b *Bond) elsewhere(r *route) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.id.made || r.URL != "" {
		return ""
	}
	return b.uri
}

// joinTime is how long the relay may take to answer a join.
const joinTime = 5 * time.Second

// join makes the session one of the bond, or makes the bond. It reports false if
// the relay does not speak the extension, or not now, or is another than the bond's.
func (c *connection) join(ctx context.Context) (bool, error) {
	if c.route.URL != "" || !c.sess.Agreed(bond.Option) {
		return false, nil
	}
	id, made, err := c.b.identify(ctx)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	answer, err := c.ask(ctx, id)
	joined, is := answer.(*bond.Joined)
	if is && !id.made {
		id = identity{true, joined.Bond, joined.Secret}
	}
	if made != nil {
		made(id, joined)
	}
	var refused *bond.Refused
	switch {
	case errors.As(err, &refused) && refused.Code == moqt.RequestNotSupported:
		return false, nil
	case errors.As(err, &refused) && refused.Code == moqt.RequestUnauthorized && made == nil:
		c.b.forget(id)
	}
	return is, err
}

// ask sends the join and returns the relay's consent.
func (c *connection) ask(ctx context.Context, id identity) (bond.Message, error) {
	join := &bond.Join{Member: c.id, Path: c.route.Name, Cost: c.route.Cost}
	if id.made {
		exporter, err := c.sess.ExportKeyingMaterial(bond.ExporterLabel, nil, bond.ExporterLength)
		if err != nil {
			return nil, err
		}
		join.Bond, join.Proof = id.id, bond.Prove(id.secret, id.id, c.id, exporter)
	}
	st, err := c.sess.OpenExtensionStream(ctx, bond.StreamType)
	if err != nil {
		return nil, err
	}
	if _, err := st.Write(bond.AppendMessage(nil, join)); err != nil {
		return nil, err
	}
	select {
	case m := <-c.answer:
		if refused, ok := m.(*bond.Refused); ok {
			return nil, refused
		}
		return m, nil
	case <-c.sess.Context().Done():
		return nil, context.Cause(c.sess.Context())
	case <-ctx.Done():
		return nil, fmt.Errorf("no answer to BOND_JOIN: %w", context.Cause(ctx))
	}
}

// violation is what a relay does that breaks the rules of the extension.
func violation(format string, args ...any) error {
	return &transport.SessionError{Code: moqt.SessionProtocolViolation, Reason: fmt.Sprintf(format, args...)}
}

// read takes in what the relay says on its bond stream.
func (c *connection) read(sess *transport.Session, _ uint64, st transport.ReceiveStream) error {
	if c.heard.Swap(true) {
		return violation("the relay has opened two bond streams")
	}
	r := bufio.NewReader(st)
	for n := 0; ; n++ {
		m, err := bond.ReadMessage(r)
		if err == io.EOF {
			return violation("the relay has ended its bond stream")
		}
		if err != nil {
			if _, ok := errors.AsType[*transport.StreamError](err); ok {
				return violation("the relay has reset its bond stream")
			}
			if sess.Context().Err() != nil {
				return nil // the session's own end
			}
			return err
		}
		switch m := m.(type) {
		case *bond.Joined, *bond.Refused:
			if n > 0 {
				return violation("the relay has answered BOND_JOIN twice")
			}
			c.answer <- m
		case *bond.Ack:
			if n == 0 {
				return violation("BOND_ACK came before the answer to BOND_JOIN")
			}
			if err := c.b.acked(m); err != nil {
				return err
			}
		default:
			return violation("a relay does not send BOND_JOIN")
		}
	}
}

// identify returns what the relay calls the bond. If it does not know the bond
// yet, the first caller makes it: that tells how it went by made, and the others
// wait until it has.
func (b *Bond) identify(ctx context.Context) (id identity, made func(identity, *bond.Joined), err error) {
	for {
		b.mu.Lock()
		if b.id.made {
			defer b.mu.Unlock()
			return b.id, nil, nil
		}
		creating := b.creating
		if creating == nil {
			b.creating = make(chan struct{})
			b.mu.Unlock()
			return identity{}, b.made, nil
		}
		b.mu.Unlock()
		select {
		case <-creating:
		case <-ctx.Done():
			return identity{}, nil, context.Cause(ctx)
		}
	}
}

// made notes how an attempt to make the bond went.
func (b *Bond) made(id identity, joined *bond.Joined) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.creating)
	b.creating = nil
	if joined != nil {
		b.anewLocked()
		b.id, b.uri = id, joined.URI
		b.largest = min(bond.MaxObject, joined.MaxObject)
	}
}

// forget takes in that the relay does not know the bond any more, which is so when
// it had no member for a while.
func (b *Bond) forget(id identity) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.id == id && len(b.members) == 0 {
		b.id, b.uri = identity{}, ""
	}
}

// run sends what is to be sent, and serves the relay's requests, until the session
// ends.
func (c *connection) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.sess.Context(), func() { cancel(context.Cause(c.sess.Context())) })()
	b := c.b
	b.enter(c)
	b.log.Info("path joined", "path", c.route.Name, "remote", c.sess.Info().RemoteAddr)
	sent := make(chan struct{})
	go func() { // ends with ctx
		defer close(sent)
		cancel(c.work(ctx))
	}()
	served := make(chan struct{})
	go func() { // ends with ctx
		defer close(served)
		if c.slot == 0 { // the path's others carry chunks and no more
			cancel(b.cfg.Serve(ctx, c.sess, true))
		}
	}()
	<-ctx.Done()
	c.sess.Close() // ends writes that wait
	b.part(c)
	<-sent
	<-served
	return context.Cause(ctx)
}

// enter makes c a member.
func (b *Bond) enter(c *connection) {
	stats := c.sess.Stats()
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.members[c.id] = c
	b.sched.AddMember(c.id, c.route.Name, c.route.Cost, now)
	b.sched.Limit(c.route.Name, float64(c.route.Cap)/8)
	b.sched.Observe(c.id, figuresOf(stats))
	b.wakeLocked()
}

// part ends c's membership. What it had not delivered goes over others.
func (b *Bond) part(c *connection) {
	b.mu.Lock()
	defer b.unlock()
	delete(b.members, c.id)
	b.sched.RemoveMember(c.id, time.Now())
	c.open = nil
	b.wakeLocked()
}

func figuresOf(s transport.ConnStats) Figures {
	return Figures{RTT: s.RTT, MinRTT: s.MinRTT, Deviation: s.Deviation, Window: s.Window}
}

// alone publishes on its session, whose relay does not know bonds, or not this one.
func (c *connection) alone(ctx context.Context) error {
	b, r, slot, sess := c.b, c.route, c.slot, c.sess
	if slot > 0 {
		select { // one connection is as good as several
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-sess.Context().Done():
			return context.Cause(sess.Context())
		}
	}
	if merges(sess) {
		if r.URL != "" && r.Cost > Primary {
			return b.standIn(ctx, c)
		}
		defer b.publishes(c)()
		return b.cfg.Serve(ctx, sess, false)
	}
	b.setAlone(c, sess)
	defer b.notAlone(c)
	done, err := b.solo.turn(ctx, r.Cost, sess, b.merging)
	if err != nil {
		return err
	}
	defer done()
	b.setAlone(c, nil)
	c.patient.Store(true)
	defer b.publishes(c)()
	return b.roam(ctx, c)
}

// publishes notes that c publishes on its own, and returns what to call when it
// does no more.
func (b *Bond) publishes(c *connection) func() {
	b.log.Info("path used", "path", c.route.Name, "remote", c.sess.Info().RemoteAddr)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.singles[c] = c.route
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.singles, c)
	}
}

// setAlone notes that c is what its path has at a relay that may not like two
// publishers, and its session if that waits.
func (b *Bond) setAlone(c *connection, waits *transport.Session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.route.alone, c.route.sess = c, waits
}

// notAlone notes that c is that no more.
func (b *Bond) notAlone(c *connection) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := c.route; r.alone == c {
		r.alone, r.sess = nil, nil
	}
}
