package bonds

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

const (
	// ackChunks and ackDelay are after how many chunks, or how long after the first,
	// an acknowledgement goes out.
	ackChunks = 8
	ackDelay  = 2 * time.Millisecond
	// ackGap is how far apart they are in the long run; ackBurst is how far ahead of
	// that they may be. The peer has to acknowledge them in turn, by packets that are
	// lost to what it sends where it sends all that fits.
	ackGap   = 10 * time.Millisecond
	ackBurst = 100 * time.Millisecond
	// unknownWait is how long a chunk stream may wait for its session to be a member
	// and for its track, which may be told by another connection.
	unknownWait = 2 * time.Second
	// maxUnknown is how many streams of a bond may wait so at once.
	maxUnknown = 64
	// streamLife is how long a chunk stream may take. What it carries is given up
	// long before.
	streamLife = 30 * time.Second
)

// member is one connection of a bond.
type member struct {
	b      *Bond
	number uint64
	path   string
	cost   bond.Cost
	sess   *transport.Session
	began  time.Time
	out    outbox

	chunks, fresh, duplicate atomic.Int64 // the last two in bytes
	alone                    Meter        // of objects that it had sent all of when they were whole

	mu    sync.Mutex // guards what follows
	got   bond.Tracker
	timer *time.Timer // sends an acknowledgement
	left  bool
	// spaced is when the next one would go out if they were ackGap apart.
	spaced time.Time

	observed time.Time // when the round trip was last counted; guarded by Bond.mu
}

func newMember(b *Bond, s *transport.Session, j *bond.Join) *member {
	m := &member{b: b, number: j.Member, path: j.Path, cost: j.Cost, sess: s, began: time.Now()}
	m.out.init()
	return m
}

func (m *member) took(fresh, duplicate int64) {
	m.chunks.Add(1)
	m.fresh.Add(fresh)
	m.duplicate.Add(duplicate)
}

// serveChunks reads one chunk stream of s.
func (r *Registry) serveChunks(s *transport.Session, st transport.ReceiveStream) error {
	st.SetReadDeadline(time.Now().Add(streamLife))
	in, err := bond.NewChunkReader(st)
	if err != nil {
		return chunkError(s, st, err)
	}
	h := in.Header()
	m := r.awaitMember(s)
	if m == nil {
		if s.Context().Err() != nil {
			return nil
		}
		return violation("a chunk stream before BOND_JOIN")
	}
	if known, full := m.b.awaitTrack(s.Context(), h.Alias); full {
		st.CancelRead(bond.StopHere)
		return nil
	} else if !known {
		st.CancelRead(bond.StopAll)
		return nil
	}
	for {
		c, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return chunkError(s, st, err)
		}
		now := time.Now()
		switch err := m.b.take(m, h, c, now); err {
		case nil:
		case bond.ErrOverflow:
			st.CancelRead(bond.StopHere)
			return nil
		case bond.ErrGivenUp:
			st.CancelRead(bond.StopAll)
			return nil
		default:
			return err
		}
		m.acknowledge(c.Sequence, now)
	}
}

// chunkError says what an error of a chunk stream means for its session: nothing,
// if the peer has reset the stream or takes too long.
func chunkError(s *transport.Session, st transport.ReceiveStream, err error) error {
	if errors.As(err, new(*wire.Error)) && s.Context().Err() == nil {
		return err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		st.CancelRead(moqt.StreamDeliveryTimeout)
	}
	return nil
}

// awaitMember returns the member that s is. It waits for a while: a chunk stream
// may be ahead of the bond stream.
func (r *Registry) awaitMember(s *transport.Session) *member {
	seat := r.seat(s)
	timer := time.NewTimer(unknownWait)
	defer timer.Stop()
	select {
	case <-seat.changed:
	case <-timer.C:
	case <-s.Context().Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return seat.member
}

// awaitTrack waits until the track of an alias is known, and reports whether it
// is: the message that tells it may come by another connection. full tells that it
// has not waited, since too many do.
func (b *Bond) awaitTrack(ctx context.Context, alias uint64) (known, full bool) {
	b.mu.Lock()
	known = b.tracks[alias] != nil
	if full = !known && b.waiting >= maxUnknown; known || full {
		b.mu.Unlock()
		return known, full
	}
	b.waiting++
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, unknownWait)
	defer cancel()
	for {
		b.mu.Lock()
		known, changed := b.tracks[alias] != nil, b.changed
		if known || ctx.Err() != nil {
			b.waiting--
			b.mu.Unlock()
			return known, false
		}
		b.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// acknowledge notes a chunk that is in place and sees that it is told.
func (m *member) acknowledge(sequence uint64, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.got.Got(sequence, now.Sub(m.b.r.epoch)) {
		return
	}
	switch n := m.got.Unsent(); {
	case m.left: // and the timer may never have been made
	case n >= ackChunks:
		m.timer.Stop()
		m.tellLocked(now)
	case n > 1:
	case m.timer == nil:
		m.timer = time.AfterFunc(m.waitLocked(now), m.tell)
	default:
		m.timer.Reset(m.waitLocked(now))
	}
}

// waitLocked returns how long after the first chunk an acknowledgement goes out.
func (m *member) waitLocked(now time.Time) time.Duration {
	return max(ackDelay, m.spaced.Add(-ackBurst).Sub(now))
}

func (m *member) tell() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tellLocked(time.Now())
}

// tellLocked sends an acknowledgement by the member's own bond stream and by the
// one that is fastest.
func (m *member) tellLocked(now time.Time) {
	if m.left || m.got.Unsent() == 0 {
		return
	}
	if m.spaced.Before(now) {
		m.spaced = now
	}
	if m.spaced = m.spaced.Add(ackGap); m.spaced.Sub(now) > ackBurst+ackGap {
		m.spaced = now.Add(ackBurst + ackGap)
	}
	ack := m.got.Ack()
	ack.Member, ack.Held, ack.Done = m.number, m.b.asm.Held(), m.b.asm.TakeDone()
	m.out.put(ack)
	if f := m.b.fastest(now); f != nil && f != m {
		f.out.put(ack)
	}
}

// stop ends the acknowledgements.
func (m *member) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = true
	if m.timer != nil {
		m.timer.Stop()
	}
}

// observeLocked returns the round trip of the member, and counts it now and then.
// It needs Bond.mu.
func (m *member) observeLocked(now time.Time) time.Duration {
	rtt := m.sess.Stats().RTT
	if now.Sub(m.observed) >= time.Second {
		m.observed = now
		m.b.m.rtt.WithLabelValues(m.cost.String()).Observe(rtt.Seconds())
	}
	return rtt
}
