package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// requestStream is one request on its bidirectional stream, the same for both
// ends: the message that opened it, the answer, updates and their answers, and
// what follows. Its context ends when either side cancels, when the request is
// finished, or with the session.
type requestStream struct {
	s      *Session
	id     uint64
	kind   wire.Kind // of the message that opened it
	ours   bool      // this end opened it
	st     Stream
	r      *wire.Reader // read by one goroutine at a time
	ctx    context.Context
	cancel context.CancelCauseFunc

	finished atomic.Bool // the last message was sent whole

	mu      sync.Mutex          // guards what follows, and the order of writes
	updates []chan wire.Message // REQUEST_UPDATEs of ours that wait for an answer
	closed  bool                // nothing more may be written
}

func (s *Session) newRequestStream(st Stream, ours bool) *requestStream {
	st.SetPriority(0, true)
	rs := &requestStream{s: s, st: st, ours: ours, r: wire.NewReader(st)}
	rs.ctx, rs.cancel = context.WithCancelCause(s.ctx)
	return rs
}

// request opens a stream, sends the message that build makes of a fresh id and
// waits for the first answer. A REQUEST_ERROR comes back as [*RequestError].
// before, if not nil, is called with the stream before the message is sent.
func (s *Session) request(ctx context.Context, kind wire.Kind, before func(*requestStream), build func(id uint64) wire.Message) (*requestStream, wire.Message, error) {
	if err := s.mayRequest(); err != nil {
		return nil, nil, err
	}
	ctx, stop := context.WithTimeoutCause(ctx, s.cfg.Limits.ResponseTimeout,
		fmt.Errorf("moqt: no answer within %v", s.cfg.Limits.ResponseTimeout))
	defer stop()
	st, err := s.conn.OpenStream(ctx)
	if err != nil {
		return nil, nil, s.sessionOr(ctx, err)
	}
	rs := s.newRequestStream(st, true)
	rs.id, rs.kind = s.newID(), kind
	if before != nil {
		before(rs)
	}
	// A peer that answers at once may stop our half of the stream before Write
	// has returned: then the answer is there to be read all the same.
	if err := rs.send(build(rs.id)); err != nil && !isStopped(err) {
		rs.abort(moqt.StreamInternalError, err)
		return nil, nil, s.sessionOr(ctx, err)
	}
	quit := context.AfterFunc(ctx, func() { rs.abort(moqt.StreamCancelled, context.Cause(ctx)) })
	m, err := rs.read(wire.On{Request: kind, Answers: kind})
	if !quit() && err != nil {
		return nil, nil, s.sessionOr(ctx, err)
	}
	switch m := m.(type) {
	case nil:
		rs.abort(moqt.StreamCancelled, err)
		if err == io.EOF {
			err = &RequestError{Code: moqt.RequestInternalError, Reason: "the peer closed the request without an answer", Remote: true, RetryAfter: -1}
		}
		return nil, nil, s.sessionOr(ctx, err)
	case *wire.RequestError:
		rs.finish()
		return nil, nil, requestError(m)
	case *wire.Goaway:
		err := &RequestError{Code: moqt.RequestRedirect, Reason: "the peer moves this request", Remote: true, Redirect: &Redirect{URI: m.URI}}
		rs.abort(moqt.StreamCancelled, err)
		return nil, nil, err
	}
	return rs, m, nil
}

// isStopped reports whether err is the peer's wish that no more be written.
func isStopped(err error) bool {
	var se *StreamError
	return errors.As(err, &se) && se.Remote
}

// mayRequest reports why no request may be sent any more.
func (s *Session) mayRequest() error {
	if s.ctx.Err() != nil {
		return s.cause()
	}
	select {
	case <-s.goawayEvent:
		return ErrGoaway
	default:
		return nil
	}
}

// sessionOr returns why the session ended if it has, the cause of ctx if that
// has ended, and else err.
func (s *Session) sessionOr(ctx context.Context, err error) error {
	if s.ctx.Err() != nil {
		return s.cause()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func requestError(m *wire.RequestError) *RequestError {
	e := &RequestError{Code: m.Code, Reason: m.Reason, Remote: true, RetryAfter: -1}
	if m.Retry.Set {
		e.RetryAfter = m.Retry.Value
	}
	if m.Redirect.Set {
		e.Redirect = &Redirect{URI: m.Redirect.Value.URI, Track: m.Redirect.Value.Track}
	}
	return e
}

// read returns the next message of the peer. A violation ends the session; a
// stream that ends or is reset does not.
func (rs *requestStream) read(on wire.On) (wire.Message, error) {
	m, err := rs.s.profile.ReadMessage(rs.r, on)
	if err == nil || err == io.EOF || isStream(err) {
		return m, err
	}
	var we *wire.Error
	if errors.As(err, &we) {
		rs.s.end(err)
	}
	return nil, err
}

// send writes m. It may be called concurrently.
func (rs *requestStream) send(m wire.Message) error { return rs.write(m, false) }

// sendLast writes m and ends our half of the stream.
func (rs *requestStream) sendLast(m wire.Message) error { return rs.write(m, true) }

func (rs *requestStream) write(m wire.Message, last bool) error {
	b, err := rs.s.profile.AppendMessage(nil, m)
	if err != nil {
		return err
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.closed {
		return ErrClosed
	}
	rs.st.SetWriteDeadline(time.Now().Add(rs.s.cfg.Limits.MessageTimeout))
	_, err = rs.st.Write(b)
	if last || err != nil {
		rs.closed = true
		rs.finished.Store(err == nil)
		rs.st.Close()
	}
	return err
}

// update sends a REQUEST_UPDATE and waits for its answer.
func (rs *requestStream) update(ctx context.Context, p wire.Params) (*wire.RequestOK, error) {
	answer := make(chan wire.Message, 1)
	b, err := rs.s.profile.AppendMessage(nil, &wire.RequestUpdate{RequestID: rs.s.newID(), Params: p})
	if err != nil {
		return nil, err
	}
	rs.mu.Lock()
	if rs.closed {
		rs.mu.Unlock()
		return nil, ErrClosed
	}
	rs.updates = append(rs.updates, answer)
	rs.st.SetWriteDeadline(time.Now().Add(rs.s.cfg.Limits.MessageTimeout))
	_, err = rs.st.Write(b)
	rs.mu.Unlock()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, rs.s.cfg.Limits.ResponseTimeout)
	defer stop()
	select {
	case m := <-answer:
		if e, ok := m.(*wire.RequestError); ok {
			return nil, requestError(e)
		}
		return m.(*wire.RequestOK), nil
	case <-rs.ctx.Done():
		return nil, context.Cause(rs.ctx)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// answered hands an answer to the oldest update that waits for one.
func (rs *requestStream) answered(m wire.Message) error {
	rs.mu.Lock()
	var answer chan wire.Message
	if len(rs.updates) > 0 {
		answer, rs.updates = rs.updates[0], rs.updates[1:]
	}
	rs.mu.Unlock()
	if answer == nil {
		return rs.s.fail(moqt.SessionProtocolViolation, "an answer to nothing on request %d", rs.id)
	}
	answer <- m
	return nil
}

// finish ends the request well: our half is closed, the peer's is no longer
// read.
func (rs *requestStream) finish() {
	rs.mu.Lock()
	if !rs.closed {
		rs.closed = true
		rs.st.Close()
	}
	rs.mu.Unlock()
	rs.cancel(ErrClosed)
	rs.st.CancelRead(moqt.StreamCancelled)
}

// abort cancels the request in both directions. A last message that was sent
// still arrives: it is on its way, and a reset would take it back.
func (rs *requestStream) abort(code moqt.StreamCode, cause error) {
	rs.cancel(cause)
	rs.st.CancelRead(code)
	if !rs.finished.Load() {
		rs.st.CancelWrite(code)
	}
}

// reject answers the request with REQUEST_ERROR and ends it. retry < 0 means
// that the request should not be repeated.
func (rs *requestStream) reject(code moqt.RequestCode, reason string, retry time.Duration) error {
	m := &wire.RequestError{Code: code, Reason: reason}
	if retry >= 0 {
		m.Retry = wire.Some(retry)
	}
	return rs.refuse(m)
}

func (rs *requestStream) refuse(m *wire.RequestError) error {
	err := rs.sendLast(m)
	rs.cancel(&RequestError{Code: m.Code, Reason: m.Reason})
	rs.st.CancelRead(moqt.StreamCancelled)
	return err
}

// follow reads what the peer says on the request after the first answer, until
// the stream ends, and gives each message to handle. Answers to our updates are
// taken out before. It returns why the stream ended: io.EOF after a FIN.
func (rs *requestStream) follow(handle func(wire.Message) error) error {
	on := wire.On{Request: rs.kind, Answers: wire.KindRequestUpdate}
	goaway := false
	for {
		m, err := rs.read(on)
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *wire.RequestOK, *wire.RequestError:
			if err := rs.answered(m); err != nil {
				return err
			}
			if _, failed := m.(*wire.RequestError); failed && rs.kind != wire.KindSubscribe && rs.kind != wire.KindPublish {
				return requestError(m.(*wire.RequestError))
			}
			continue
		case *wire.RequestUpdate:
			if err := rs.s.takeID(m.RequestID); err != nil {
				return err
			}
		case *wire.Goaway:
			if goaway || !rs.s.info.Client && m.URI != "" {
				return rs.s.fail(moqt.SessionProtocolViolation, "GOAWAY on request %d may not come", rs.id)
			}
			goaway = true
		}
		if err := handle(m); err != nil {
			return err
		}
	}
}

// unexpected is what handle returns for a message that has no place on the
// request.
func (rs *requestStream) unexpected(m wire.Message) error {
	return rs.s.fail(moqt.SessionProtocolViolation, "message kind %d has no place on request %d", m.Kind(), rs.id)
}
