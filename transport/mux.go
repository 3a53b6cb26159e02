package transport

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/qlog"
	"github.com/tributary-live/tributary/transport/wire"
)

// mux is the control stream of a session whose requests share it. One goroutine
// reads it and brings each message to the lane of its request, and never waits
// for a handler nor writes; another one writes what all have to say. (MOQT
// draft-16, "Session initialization", "Request ID")
type mux struct {
	s     *Session
	on    *streamLane   // the stream, once it is there
	order chan struct{} // cap 1: who has put a token in may take a request id
	wake  chan struct{} // cap 1: there is something to write

	mu      sync.Mutex             // guards what follows
	lanes   map[uint64]*sharedLane // open requests of both ends, by id
	updates map[uint64]*sharedLane // our REQUEST_UPDATEs that wait for their answers
	after   uint64                 // the last request of the peer on the stream, plus 1
	out     []outgoing             // to be written
	credit  credit
}

func (s *Session) newMux() *mux {
	return &mux{
		s: s, order: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		lanes: make(map[uint64]*sharedLane), updates: make(map[uint64]*sharedLane),
		credit: newCredit(s.cfg.Limits.MaxRequests),
	}
}

// serveShared follows the control stream of a client, which begins with setup,
// or could not be read over err.
func (s *Session) serveShared(l *streamLane, setup *wire.Setup, err error, got chan<- *wire.Setup) error {
	switch {
	case setup == nil && (isStream(err) || err == io.EOF):
		return nil // opened and given up: no harm
	case setup == nil || setup.OldVersions():
		return &SessionError{Code: moqt.SessionVersionNegotiation, Reason: "CLIENT_SETUP is not that of draft-16; older drafts are not spoken here"}
	case setup.Server || s.info.Client:
		return violation("%v on a stream of the wrong side", "SETUP")
	}
	if err := s.checkSetup(setup); err != nil {
		return err
	}
	if !s.firstSetup() {
		return violation("a second control stream")
	}
	return s.mux.start(l, setup, got)
}

// start begins to use the control stream and delivers the peer's SETUP, which
// is first if the peer is the client, to got.
func (m *mux) start(on *streamLane, first *wire.Setup, got chan<- *wire.Setup) error {
	s := m.s
	m.on = on
	if !s.wg.Go(m.writeAll) {
		return s.cause()
	}
	setup := s.ownSetup()
	setup.Server = !s.info.Client
	setup.MaxRequestID = wire.Some(m.credit.granted)
	b, err := s.profile.AppendMessage(nil, setup)
	if err != nil {
		return err
	}
	m.add(setup, b, nil)
	if first == nil {
		s.trace.stream(on.st, qlog.StreamControl)
		msg, err := m.read()
		if err != nil {
			return err
		}
		is := false
		if first, is = msg.(*wire.Setup); !is || !first.Server {
			return s.fail(moqt.SessionProtocolViolation, "the server's first message is %v, not SERVER_SETUP", msg.Kind())
		}
		if err := s.checkSetup(first); err != nil {
			return err
		}
	}
	m.mu.Lock()
	m.credit.limit = first.MaxRequestID.Value
	m.mu.Unlock()
	got <- first // has room for the one
	select {
	case <-s.begun:
		return m.readAll()
	case <-s.ctx.Done():
		return s.cause()
	}
}

// readAll handles what the peer says after SETUP.
func (m *mux) readAll() error {
	for {
		m.on.src.next(m.on.r.Buffered() > 0)
		msg, err := m.read()
		if err != nil {
			return err
		}
		if err := m.handle(msg); err != nil {
			return err
		}
	}
}

func (m *mux) read() (wire.Message, error) {
	msg, err := m.s.profile.ReadMessage(m.on.r, wire.On{Control: true})
	switch {
	case err == io.EOF:
		return nil, violation("control stream closed")
	case err != nil:
		return nil, m.s.controlError(err)
	}
	m.s.trace.read(m.on.src, m.on.r, 0, msg)
	return msg, nil
}

func (m *mux) handle(msg wire.Message) error {
	switch msg := msg.(type) {
	case *wire.Setup:
		return m.s.fail(moqt.SessionProtocolViolation, "a second SETUP")
	case *wire.Goaway:
		return m.s.gotGoaway(msg)
	case *wire.MaxRequestID:
		return m.raised(msg.Max)
	case *wire.RequestsBlocked:
		m.grant(0, true)
		return nil
	case *wire.SubscribeOK:
		return m.answer(msg.RequestID, msg)
	case *wire.FetchOK:
		return m.answer(msg.RequestID, msg)
	case *wire.RequestOK:
		return m.answer(msg.RequestID, msg)
	case *wire.RequestError:
		return m.answer(msg.RequestID, msg)
	case *wire.RequestUpdate:
		return m.update(msg)
	case *wire.PublishDone:
		return m.part(msg.RequestID, msg, nil)
	case *wire.Unsubscribe:
		return m.part(msg.RequestID, msg, &StreamError{Code: moqt.StreamCancelled, Remote: true})
	case *wire.FetchCancel:
		return m.part(msg.RequestID, msg, &StreamError{Code: moqt.StreamCancelled, Remote: true})
	case *wire.PublishNamespaceDone:
		return m.part(msg.RequestID, msg, &StreamError{Code: moqt.StreamCancelled, Remote: true})
	case *wire.PublishNamespaceCancel:
		m.s.log.Debug("namespace revoked", "request", msg.RequestID, "err", requestError(&wire.RequestError{Code: msg.Code, Reason: msg.Reason}))
		return m.part(msg.RequestID, msg, &StreamError{Code: revokedWith(msg.Code), Remote: true})
	}
	return m.request(msg)
}

// request begins a request of the peer.
func (m *mux) request(msg wire.Message) error {
	s := m.s
	id, err := requestID(msg)
	if err != nil {
		return err
	}
	if err := m.next(id); err != nil {
		return err
	}
	if err := s.take(id, msg.Kind() == wire.KindSubscribe); err != nil {
		return err
	}
	if err := s.settleTokens(msg); err != nil {
		return err
	}
	l := m.newLane(msg.Kind(), false)
	l.id, l.opened = id, true
	m.mu.Lock()
	m.lanes[id] = l
	m.mu.Unlock()
	s.wg.Go(func() {
		s.serve(s.newRequestStream(l, false), id, msg, func() { l.cancelRead(moqt.StreamCancelled) })
	})
	return nil
}

// next checks that requests come on the stream in the order of their ids. Some
// may be left out: SUBSCRIBE_NAMESPACE has streams of its own.
func (m *mux) next(id uint64) error {
	m.mu.Lock()
	after := m.after
	m.after = max(after, id+1)
	m.mu.Unlock()
	if id < after {
		return m.s.fail(moqt.SessionInvalidRequestID, "request id %d came after %d", id, after-1)
	}
	return nil
}

// answer brings an answer to the request or update of ours that it is for.
// Those to requests that were cancelled are dropped.
func (m *mux) answer(id uint64, msg wire.Message) error {
	s := m.s
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.updates[id]; l != nil {
		delete(m.updates, id)
		if ok, is := msg.(*wire.RequestOK); is && ok.Publish || !is && msg.Kind() != wire.KindRequestError {
			return m.misplaced(id, msg)
		}
		l.pushLocked(msg)
		return nil
	}
	l := m.lanes[id]
	switch {
	case l == nil:
		if ok, is := msg.(*wire.SubscribeOK); is && m.was(id) {
			s.retire(ok.Alias) // its objects are on their way
		}
		return m.unknown(id, msg)
	case !l.ours:
		return m.misplaced(id, msg)
	case l.answered:
		return violation("a second answer to request %d", id)
	case !l.answers(msg):
		return m.misplaced(id, msg)
	}
	l.answered = true
	l.pushLocked(msg)
	if l.kind == wire.KindTrackStatus || msg.Kind() == wire.KindRequestError {
		l.endLocked(io.EOF)
	}
	return nil
}

// update brings a REQUEST_UPDATE to its request. One that has ended here, which
// the peer may not know yet, and one whose stream is not this, which has nothing
// to change, are answered on the spot.
func (m *mux) update(msg *wire.RequestUpdate) error {
	s := m.s
	if err := m.next(msg.RequestID); err != nil {
		return err
	}
	if err := s.takeID(msg.RequestID); err != nil {
		return err
	}
	if err := s.settleTokens(msg); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.lanes[msg.Existing]
	if l == nil || l.over {
		if err := m.unknown(msg.Existing, msg); err != nil {
			return err
		}
		answer := s.answerAside(msg)
		b, err := s.profile.AppendMessage(nil, answer)
		if err != nil {
			return err
		}
		m.addLocked(answer, b, func() { m.grant(1, false) })
		return nil
	}
	if l.ours && l.kind != wire.KindPublish {
		return m.misplaced(msg.Existing, msg)
	}
	if err := s.profile.CheckUpdate(l.kind, msg); err != nil {
		return err
	}
	if l.size >= maxQueued {
		return &SessionError{Code: moqt.SessionTooManyRequests,
			Reason: fmt.Sprintf("%d bytes of updates of request %d wait for their answers", l.size, l.id)}
	}
	l.pushLocked(msg)
	return nil
}

// part ends the peer's half of a request, and if stop is not nil ours as well.
// One that has ended here is none of the peer's faults: the two words crossed.
func (m *mux) part(id uint64, msg wire.Message, stop error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.lanes[id]
	switch {
	case l == nil:
		return m.unknown(id, msg)
	case !l.partsBy(msg.Kind()):
		return m.misplaced(id, msg)
	case stop == nil && l.givenUp(msg):
		l.stopLocked(&StreamError{Code: moqt.StreamCancelled, Remote: true})
	case stop != nil:
		l.stopLocked(stop)
	default:
		l.pushLocked(msg)
		l.endLocked(io.EOF)
	}
	return nil
}

// was reports whether a request, or update, of this id was ever made.
func (m *mux) was(id uint64) bool {
	if !m.s.isPeerID(id) {
		return id < m.s.nextID.Load()
	}
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	return m.s.peerIDs.has(id)
}

// unknown returns what becomes of a message for a request that is not open.
func (m *mux) unknown(id uint64, msg wire.Message) error {
	if m.was(id) {
		return nil
	}
	return violation("%v for request %d, which was never made", msg.Kind(), id)
}

func (m *mux) misplaced(id uint64, msg wire.Message) error {
	return violation("%v has no place on request %d", msg.Kind(), id)
}

func violation(format string, args ...any) error {
	return &SessionError{Code: moqt.SessionProtocolViolation, Reason: fmt.Sprintf(format, args...)}
}

// answerAside is the answer to an update of a request that is not on the control
// stream. A SUBSCRIBE_NAMESPACE has nothing that an update could change.
func (s *Session) answerAside(m *wire.RequestUpdate) wire.Message {
	s.mu.Lock()
	open := slices.ContainsFunc(s.watches, func(w watch) bool { return w.rs.id == m.Existing })
	s.mu.Unlock()
	if open {
		return &wire.RequestOK{RequestID: m.RequestID}
	}
	return &wire.RequestError{RequestID: m.RequestID, Code: moqt.RequestDoesNotExist, Reason: "the request has ended"}
}

// open sends the message that build makes of a fresh request id. begin is
// called with the id before the message can be answered.
func (m *mux) open(ctx context.Context, rs *requestStream, begin func(id uint64), build func(id uint64) wire.Message) error {
	shared, _ := rs.lane.(*sharedLane)
	var msg wire.Message
	var b []byte
	err := m.number(ctx, func(id uint64) (err error) {
		msg = build(id)
		if b, err = m.s.profile.AppendMessage(nil, msg); err != nil {
			return err
		}
		if shared == nil {
			begin(id)
			return nil
		}
		if !shared.reserve(id) {
			return rs.endOf(ErrClosed)
		}
		begin(id)
		shared.begin(msg, b)
		return nil
	})
	if err != nil || shared != nil {
		return err
	}
	return rs.put(msg, b, false, nil)
}

// updateOurs sends a REQUEST_UPDATE of ours. before, if not nil, and await are
// called with its id before it can be answered.
func (m *mux) updateOurs(ctx context.Context, rs *requestStream, p wire.Params, before, await func(id uint64)) error {
	shared, _ := rs.lane.(*sharedLane)
	msg := &wire.RequestUpdate{Existing: rs.id, Params: p}
	begin := func(id uint64) {
		if before != nil {
			before(id)
		}
		await(id)
	}
	var b []byte
	err := m.number(ctx, func(id uint64) (err error) {
		msg.RequestID = id
		if b, err = m.s.profile.AppendMessage(nil, msg); err == nil && shared != nil {
			err = shared.update(msg, b, begin)
		}
		return err
	})
	if err != nil {
		return rs.endOf(err)
	}
	if shared != nil {
		return nil
	}
	return rs.put(msg, b, false, func() { begin(msg.RequestID) })
}
