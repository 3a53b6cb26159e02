package transport

import (
	"context"
	"errors"
	"fmt"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// credit is how many requests each end may make. Both count ids, of which a
// request or update takes two. ("MAX_REQUEST_ID")
type credit struct {
	open    uint64 // requests of the peer that may be open at once
	granted uint64 // the peer may use ids below
	used    uint64 // requests and updates of the peer so far
	over    uint64 // of those, that have ended or are answered

	limit   uint64        // ids of this end must be below
	blocked bool          // the peer was told that limit is too small
	raised  chan struct{} // closed and replaced when limit rises
}

func newCredit(open int) credit {
	return credit{open: uint64(open), granted: 2 * uint64(open), raised: make(chan struct{})}
}

// errBlocked is why a request of ours was not sent.
var errBlocked = errors.New("moqt: the peer admits no more requests on this session")

// number calls send with the next request id, once the peer admits it. The id is
// used up unless send fails. Calls do not overlap, so what they add to what is
// to be written has its ids in order.
func (m *mux) number(ctx context.Context, send func(id uint64) error) error {
	s := m.s
	select {
	case m.order <- struct{}{}:
	case <-s.ctx.Done():
		return s.cause()
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errBlocked, context.Cause(ctx))
	}
	defer func() { <-m.order }()
	id := s.nextID.Load()
	if err := m.admitted(ctx, id); err != nil {
		return err
	}
	s.nextID.Store(id + 2)
	if err := send(id); err != nil {
		s.nextID.Store(id)
		return err
	}
	return nil
}

// admitted waits until the peer admits a request id, and tells it once for each
// limit that this end waits.
func (m *mux) admitted(ctx context.Context, id uint64) error {
	s := m.s
	for {
		m.mu.Lock()
		limit, raised := m.credit.limit, m.credit.raised
		var err error
		if id >= limit && !m.credit.blocked {
			msg := &wire.RequestsBlocked{Max: limit}
			var b []byte
			if b, err = s.profile.AppendMessage(nil, msg); err == nil {
				m.credit.blocked = true
				m.addLocked(msg, b, nil)
			}
		}
		m.mu.Unlock()
		if id < limit || err != nil {
			return err
		}
		select {
		case <-raised:
		case <-s.goawayEvent:
			return ErrGoaway
		case <-s.ctx.Done():
			return s.cause()
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", errBlocked, context.Cause(ctx))
		}
	}
}

// raised takes the peer's MAX_REQUEST_ID.
func (m *mux) raised(limit uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if limit <= m.credit.limit {
		return &SessionError{Code: moqt.SessionProtocolViolation,
			Reason: fmt.Sprintf("MAX_REQUEST_ID of %d after %d, it may only rise", limit, m.credit.limit)}
	}
	m.credit.limit, m.credit.blocked = limit, false
	close(m.credit.raised)
	m.credit.raised = make(chan struct{})
	return nil
}

// use counts a request id of the peer, and reports false if it is beyond what
// was granted.
func (m *mux) use(id uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.credit.used++
	return id < m.credit.granted
}

// grant says that so many requests or updates of the peer are over, and lets it
// make as many more. It is told some at a time, if it has enough left and does
// not ask.
func (m *mux) grant(over int, asked bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.grantLocked(over, asked)
}

func (m *mux) grantLocked(over int, asked bool) {
	c := &m.credit
	c.over += uint64(over)
	next := 2 * (c.open + c.over)
	left := c.granted/2 - min(c.used, c.granted/2)
	if next == c.granted || !asked && (next-c.granted)/2 < c.open/4 && left > c.open/4 {
		return
	}
	msg := &wire.MaxRequestID{Max: next}
	if b, err := m.s.profile.AppendMessage(nil, msg); err == nil {
		c.granted = next
		m.addLocked(msg, b, nil)
	}
}
