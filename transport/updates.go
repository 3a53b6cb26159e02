package transport

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// update sends a REQUEST_UPDATE and waits for its answer. The wait for room at
// the peer is part of that. before is as for sendUpdate.
func (rs *requestStream) update(ctx context.Context, p wire.Params, before func(id uint64)) (*wire.RequestOK, error) {
	wait := rs.s.cfg.Limits.ResponseTimeout
	ctx, stop := context.WithTimeoutCause(ctx, wait, fmt.Errorf("moqt: no answer within %v", wait))
	defer stop()
	answered := rs.s.ourTokens.attach(&p, tokensOf(ctx))
	answer, err := rs.sendUpdate(ctx, p, before)
	if err != nil {
		return nil, err
	}
	ok, err := rs.awaitAnswer(ctx, answer)
	var refused *RequestError
	if err == nil || errors.As(err, &refused) {
		answered()
	}
	return ok, err
}

// sendUpdate sends a REQUEST_UPDATE as soon as the peer has room for one, and
// returns what its answer will come by. before, if not nil, is called with its
// id before it is sent.
func (rs *requestStream) sendUpdate(ctx context.Context, p wire.Params, before func(id uint64)) (<-chan wire.Message, error) {
	if err := rs.takeCredit(ctx); err != nil {
		return nil, err
	}
	answer := make(chan wire.Message, 1)
	waits := false
	await := func(id uint64) {
		rs.mu.Lock()
		rs.sending--
		rs.updates = append(rs.updates, pendingUpdate{id, answer})
		rs.mu.Unlock()
		waits = true
	}
	var err error
	if m := rs.s.mux; m != nil {
		err = m.updateOurs(ctx, rs, p, before, await)
	} else {
		id := rs.s.newID()
		if before != nil {
			before(id)
		}
		err = rs.write(&wire.RequestUpdate{RequestID: id, Params: p}, false, func() { await(id) })
	}
	if err != nil && !waits {
		rs.mu.Lock()
		rs.sending--
		rs.freeLocked()
		rs.mu.Unlock()
	}
	return answer, err
}

// takeCredit waits until one more update may be sent. ("MAX_REQUEST_UPDATES")
func (rs *requestStream) takeCredit(ctx context.Context) error {
	limit := rs.s.peerSetup.MaxRequestUpdates.Value // 0 is none
	for {
		rs.mu.Lock()
		free := limit == 0 || uint64(len(rs.updates)+rs.sending) < limit
		if free {
			rs.sending++
		}
		freed := rs.freed
		rs.mu.Unlock()
		if free {
			return nil
		}
		select {
		case <-freed:
		case <-rs.ctx.Done():
			return rs.endOf(nil)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (rs *requestStream) freeLocked() {
	close(rs.freed)
	rs.freed = make(chan struct{})
}

// awaitAnswer waits for the answer to an update.
func (rs *requestStream) awaitAnswer(ctx context.Context, answer <-chan wire.Message) (*wire.RequestOK, error) {
	select {
	case m := <-answer:
		if e, ok := m.(*wire.RequestError); ok {
			return nil, requestError(e)
		}
		return m.(*wire.RequestOK), nil
	case <-rs.ctx.Done():
		return nil, rs.endOf(nil)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// pendingUpdate is a REQUEST_UPDATE that waits for its answer.
type pendingUpdate struct {
	id     uint64
	answer chan wire.Message // cap 1
}

// answered hands an answer to the update it is for: the one with that id, where
// answers have one, else the oldest.
func (rs *requestStream) answered(m wire.Message, id uint64) error {
	rs.mu.Lock()
	var answer chan wire.Message
	agreed := rs.agreed
	for i, u := range rs.updates {
		if rs.s.mux == nil || u.id == id {
			id = u.id
			answer, rs.updates = u.answer, slices.Delete(rs.updates, i, i+1)
			rs.freeLocked()
			break
		}
	}
	rs.mu.Unlock()
	if answer == nil {
		return rs.s.fail(moqt.SessionProtocolViolation, "an answer to nothing on request %d", rs.id)
	}
	if agreed != nil {
		agreed(id, m)
	}
	answer <- m
	return nil
}

// pendingUpdates are updates of the peer that have come and are not answered.
type pendingUpdates []*wire.RequestUpdate

// add takes note of an update, of which the peer may not have sent too many.
func (p *pendingUpdates) add(rs *requestStream, m *wire.RequestUpdate) error {
	tokens, err := rs.s.takeTokens(m)
	if err != nil {
		rs.s.end(err)
		return err
	}
	rs.setTokens(tokens)
	rs.owe(m.RequestID)
	if m := rs.s.mux; m != nil {
		m.grant(1, false)
	}
	*p = append(*p, m)
	if limit := rs.s.cfg.Limits.MaxRequestUpdates; rs.s.profile.UpdateCredit() && len(*p) > limit {
		return rs.s.fail(moqt.SessionTooManyRequestUpdates, "more than %d updates of request %d without waiting for the answers", limit, rs.id)
	}
	return nil
}

// more reports whether something has come behind the message that was read last.
func (rs *requestStream) more() bool {
	l, own := rs.lane.(*streamLane)
	return own && l.r.Buffered() > 0
}

// handle gives each update to f, but waits first until the request itself has
// been answered.
func (p *pendingUpdates) handle(rs *requestStream, f func(wire.Message) error) error {
	if len(*p) > 0 && !rs.ours {
		select {
		case <-rs.replied:
		case <-rs.ctx.Done():
			return rs.endOf(nil)
		}
	}
	for _, m := range *p {
		if err := f(m); err != nil {
			return err
		}
	}
	*p = (*p)[:0]
	return nil
}
