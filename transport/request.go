package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// requestStream is one request, the same for both ends: the message that opened
// it, the answer, updates and their answers, and what follows. Its context ends
// when either side cancels, when the request is finished, or with the session.
type requestStream struct {
	s      *Session
	id     uint64
	kind   wire.Kind      // of the message that opened it
	asked  moqt.TrackName // in that message, if it is the peer's
	ours   bool           // this end opened it
	lane   lane
	ctx    context.Context
	cancel context.CancelCauseFunc
	turn   chan struct{} // cap 1: who has put a token in may write

	// replied is closed when a request of the peer has its first answer.
	replied chan struct{}

	mu      sync.Mutex // guards what follows
	tokens  []Token    // the peer's
	move    move
	updates []pendingUpdate // REQUEST_UPDATEs of ours that wait for an answer
	sending int             // more of them that are about to be sent
	freed   chan struct{}   // closed and replaced when one was answered
	owed    []uint64        // ids of the peer's that have none yet
	decided bool            // replied is closed, or will be
	refused bool            // the first answer was REQUEST_ERROR
	closed  bool            // our half has ended, or is about to
	// agreed, if not nil, is told of answers to our updates before what the peer says
	// next is read.
	agreed func(id uint64, m wire.Message)
	late   *time.Timer // ends the wait for the peer's end; nil before linger
}

func (s *Session) newRequestStream(l lane, ours bool) *requestStream {
	rs := &requestStream{s: s, lane: l, ours: ours, turn: make(chan struct{}, 1), replied: make(chan struct{}), freed: make(chan struct{}), move: move{event: make(chan struct{})}}
	rs.ctx, rs.cancel = context.WithCancelCause(s.ctx)
	return rs
}

// request opens a stream, sends the message that build makes of a fresh id and
// waits for the first answer, at most Limits.ResponseTimeout and extra. A
// REQUEST_ERROR comes back as [*RequestError]. before, if not nil, is called
// with the stream before the message is sent.
func (s *Session) request(ctx context.Context, kind wire.Kind, extra time.Duration, before func(*requestStream), build func(id uint64) wire.Message) (*requestStream, wire.Message, error) {
	if err := s.mayRequest(); err != nil {
		return nil, nil, err
	}
	wait := s.cfg.Limits.ResponseTimeout + extra
	ctx, stop := context.WithTimeoutCause(ctx, wait, fmt.Errorf("moqt: no answer within %v", wait))
	defer stop()
	l, err := s.openLane(ctx, kind)
	if err != nil {
		return nil, nil, s.sessionOr(ctx, err)
	}
	rs := s.newRequestStream(l, true)
	rs.kind = kind
	quit := context.AfterFunc(ctx, func() { rs.abort(moqt.StreamCancelled, context.Cause(ctx)) })
	var m wire.Message
	// A peer that answers at once may stop our half of the stream before Write
	// has returned: then the answer is there to be read all the same.
	answered := func() {}
	ask := func(id uint64) wire.Message {
		m := build(id)
		answered = s.ourTokens.attach(paramsOf(m), tokensOf(ctx))
		return m
	}
	if err = rs.open(ctx, before, ask); err == nil || isStopped(err) {
		if m, err = rs.read(wire.On{Request: kind, Answers: kind}); err == nil {
			answered()
		}
	}
	if !quit() && !errors.Is(err, errBlocked) {
		err = context.Cause(ctx) // whatever came, the request is being cancelled
	}
	if err != nil {
		rs.abort(moqt.StreamCancelled, err)
		if err == io.EOF {
			err = &RequestError{Code: moqt.RequestInternalError, Reason: "the peer closed the request without an answer", Remote: true, RetryAfter: -1}
		}
		if errors.Is(err, errBlocked) || errors.Is(err, ErrGoaway) {
			return nil, nil, err
		}
		return nil, nil, s.sessionOr(ctx, err)
	}
	switch m := m.(type) {
	case *wire.RequestError:
		rs.finish()
		return nil, nil, s.refused(kind, m)
	case *wire.Goaway:
		if err := rs.gotGoaway(m); err != nil {
			return nil, nil, err
		}
		err := &RequestError{Code: moqt.RequestRedirect, Reason: "the peer moves this request", Remote: true, RetryAfter: -1, Redirect: &Redirect{URI: m.URI, Same: true}}
		rs.abort(moqt.StreamCancelled, err)
		return nil, nil, err
	}
	return rs, m, nil
}

// openLane returns the lane of a request that is to be made.
func (s *Session) openLane(ctx context.Context, kind wire.Kind) (lane, error) {
	if s.mux != nil && kind != wire.KindSubscribeNamespace && kind != wire.KindSubscribeTracks {
		return s.mux.newLane(kind, true), nil
	}
	st, err := s.conn.OpenStream(ctx)
	if err != nil {
		return nil, err
	}
	return s.newStreamLane(st, true), nil
}

// open sends the message that build makes of a fresh request id. If not nil,
// before is called when rs.id is set.
func (rs *requestStream) open(ctx context.Context, before func(*requestStream), build func(id uint64) wire.Message) error {
	begin := func(id uint64) {
		rs.id = id
		if before != nil {
			before(rs)
		}
	}
	if m := rs.s.mux; m != nil {
		return m.open(ctx, rs, begin, build)
	}
	begin(rs.s.newID())
	return rs.send(build(rs.id))
}

// isStopped reports whether err is the peer's wish that no more be written.
func isStopped(err error) bool {
	var se *StreamError
	return errors.As(err, &se) && se.Remote
}

// mayRequest reports why no request may be sent any more.
func (s *Session) mayRequest() error {
	if s.over() {
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
	if s.over() {
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

// checkRedirect holds a client to sending no URI: servers do not dial.
func (s *Session) checkRedirect(m *wire.RequestError) error {
	if !s.info.Client && m.Redirect.Value.URI != "" {
		return s.fail(moqt.SessionProtocolViolation, "a client's redirect names a URI")
	}
	return nil
}

// read returns the next message of the peer. A violation, and a message that
// does not come to its end, end the session; a stream that ends or is reset
// does not.
func (rs *requestStream) read(on wire.On) (wire.Message, error) {
	m, err := rs.lane.read(on)
	rs.failed(err)
	return m, err
}

// failed ends the session if err, of reading a message, is a violation.
func (rs *requestStream) failed(err error) {
	var we *wire.Error
	if errors.As(err, &we) {
		rs.s.end(err)
	}
}

// send writes m, which may answer the oldest update of the peer. It may be called
// concurrently.
func (rs *requestStream) send(m wire.Message) error { return rs.write(rs.about(m), false, nil) }

// sendLast is send that ends our half of the stream.
func (rs *requestStream) sendLast(m wire.Message) error { return rs.write(rs.about(m), true, nil) }

func (rs *requestStream) about(m wire.Message) wire.Message {
	switch m.(type) {
	case *wire.RequestOK, *wire.RequestError:
		return name(m, rs.due(), wire.KindRequestUpdate)
	}
	return name(m, rs.id, rs.kind)
}

// errAnswered is the error of a second answer to one request.
var errAnswered = errors.New("moqt: the request has been answered before")

// answer writes the first answer to a request of the peer, and the last message
// on it if last.
func (rs *requestStream) answer(m wire.Message, last bool) error {
	rs.mu.Lock()
	decided := rs.decided
	if !decided {
		_, rs.refused = m.(*wire.RequestError)
	}
	rs.decided = true
	rs.mu.Unlock()
	if decided {
		return errAnswered
	}
	defer close(rs.replied)
	return rs.write(name(m, rs.id, rs.kind), last, nil)
}

// name fills in what tells, in drafts where the stream does not, which request
// of kind a message is about.
func name(m wire.Message, id uint64, kind wire.Kind) wire.Message {
	switch m := m.(type) {
	case *wire.SubscribeOK:
		m.RequestID = id
	case *wire.FetchOK:
		m.RequestID = id
	case *wire.RequestOK:
		m.RequestID, m.Publish = id, kind == wire.KindPublish
	case *wire.RequestError:
		m.RequestID = id
	case *wire.PublishDone:
		m.RequestID = id
	}
	return m
}

// owe takes note of an update of the peer, and due returns the oldest that has
// no answer yet.
func (rs *requestStream) owe(id uint64) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.owed = append(rs.owed, id)
}

func (rs *requestStream) due() (id uint64) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if len(rs.owed) > 0 {
		id, rs.owed = rs.owed[0], rs.owed[1:]
	}
	return id
}

// write writes m when it is this caller's turn, and ends our half of the stream
// if last. If not nil, before is called first, so that its calls are in the
// order of the messages.
func (rs *requestStream) write(m wire.Message, last bool, before func()) error {
	b, err := rs.s.profile.AppendMessage(nil, m)
	if err != nil {
		return err
	}
	return rs.put(m, b, last, before)
}

// put is write for a message that is encoded in b.
func (rs *requestStream) put(m wire.Message, b []byte, last bool, before func()) error {
	select {
	case rs.turn <- struct{}{}:
	case <-rs.ctx.Done():
		return rs.endOf(nil)
	}
	defer func() { <-rs.turn }()
	if rs.isClosed() {
		return rs.endOf(ErrClosed)
	}
	if before != nil {
		before()
	}
	if err := rs.lane.write(rs.ctx, m, b); err != nil {
		err = rs.endOf(err)
		if !isStream(err) {
			// Part of the message may be out, so nothing can follow, not even a FIN.
			rs.abort(moqt.StreamExcessiveLoad, err)
		}
		return err
	}
	if last {
		rs.closeWrite()
	}
	return nil
}

func (rs *requestStream) isClosed() bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return rs.closed
}

// closeWrite ends our half well. It is for who has the turn.
func (rs *requestStream) closeWrite() {
	rs.mu.Lock()
	rs.closed = true
	rs.mu.Unlock()
	rs.lane.closeWrite()
}

// finish ends the request well: our half is closed, the peer's is no longer
// read.
func (rs *requestStream) finish() {
	rs.cancel(ErrClosed)
	rs.endWrite()
	rs.lane.cancelRead(moqt.StreamCancelled)
}

// endWrite closes our half, or resets it if a message is held up in the middle.
func (rs *requestStream) endWrite() {
	select {
	case rs.turn <- struct{}{}:
		if !rs.isClosed() {
			rs.closeWrite()
		}
		<-rs.turn
	default:
		rs.lane.cancelWrite(moqt.StreamCancelled)
	}
}

// linger ends the request after our last word, and leaves it to the peer for a
// while to end its half: stopped at once, it might take what is still on its
// way for cancelled.
func (rs *requestStream) linger() {
	rs.mu.Lock()
	rs.late = time.AfterFunc(2*rs.s.cfg.Limits.DoneWait, func() { rs.lane.cancelRead(moqt.StreamCancelled) })
	rs.mu.Unlock()
	rs.cancel(ErrClosed)
}

// abort cancels the request in both directions. What was sent before our half
// ended well still arrives.
func (rs *requestStream) abort(code moqt.StreamCode, cause error) {
	rs.mu.Lock()
	closed, late := rs.closed, rs.late
	rs.closed = true // those who are woken end our half no more, so the code is told
	rs.mu.Unlock()
	rs.cancel(cause)
	if !closed {
		rs.lane.cancelWrite(code)
	}
	rs.lane.cancelRead(code)
	if late != nil {
		late.Stop()
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
	err := rs.answer(m, true)
	if err == errAnswered {
		return err
	}
	rs.cancel(&RequestError{Code: m.Code, Reason: m.Reason})
	rs.lane.cancelRead(moqt.StreamCancelled)
	return err
}

// outlives waits a moment for another request to end, and reports whether it has.
// A peer that ends one request and makes another that does not go with it does so
// on two streams, which can be seen in either order.
func (rs *requestStream) outlives(other <-chan struct{}) bool {
	const soon = 250 * time.Millisecond
	late := time.NewTimer(soon)
	defer late.Stop()
	select {
	case <-other:
		return true
	case <-rs.ctx.Done():
	case <-late.C:
	}
	return false
}

// stopped ends the request of a peer that has stopped our half of its stream,
// which is how a subscriber cancels. It is called when that half has ended.
func (rs *requestStream) stopped() {
	if err := rs.lane.stopped(); err != nil {
		rs.cancel(err)
	}
}

// follow reads what the peer says on the request after the first answer, until
// the stream ends, and gives each message to handle. What is alike for all
// requests is dealt with before: answers to our updates and GOAWAY are taken
// out, an update of the peer is checked, and waits until the request itself has
// been answered. It returns why the stream ended: io.EOF after a FIN.
func (rs *requestStream) follow(handle func(wire.Message) error) error {
	on := wire.On{Request: rs.kind, Answers: wire.KindRequestUpdate}
	var updates pendingUpdates
	for {
		m, err := rs.read(on)
		if err != nil {
			return err
		}
		if update, is := m.(*wire.RequestUpdate); is {
			if err := updates.add(rs, update); err != nil {
				return err
			}
			if rs.s.profile.UpdateCredit() && rs.more() {
				continue // what has come with it may be more of them, and all count
			}
		}
		if err := updates.handle(rs, handle); err != nil {
			return err
		}
		switch m := m.(type) {
		case *wire.RequestOK:
			if err := rs.answered(m, m.RequestID); err != nil {
				return err
			}
			continue
		case *wire.RequestError:
			if err := rs.s.checkRedirect(m); err != nil {
				return err
			}
			if err := rs.answered(m, m.RequestID); err != nil {
				return err
			}
			if rs.kind != wire.KindSubscribe && rs.kind != wire.KindPublish { // there PUBLISH_DONE follows
				return requestError(m)
			}
			continue
		case *wire.RequestUpdate:
			continue
		case *wire.Goaway:
			if err := rs.gotGoaway(m); err != nil {
				return err
			}
			continue
		}
		if err := handle(m); err != nil {
			return err
		}
	}
}

// endOf returns why the request ended: with the session, for a cause that is
// known, or by err, which is what reading or writing returned.
func (rs *requestStream) endOf(err error) error {
	switch {
	case rs.s.over():
		return rs.s.cause()
	case rs.ctx.Err() != nil:
		return context.Cause(rs.ctx)
	case err == io.EOF:
		return &StreamError{Code: moqt.StreamCancelled, Remote: true}
	}
	return err
}

// unexpected is what handle returns for a message that has no place on the
// request.
func (rs *requestStream) unexpected(m wire.Message) error {
	return rs.s.fail(moqt.SessionProtocolViolation, "%v has no place on request %d", m.Kind(), rs.id)
}
