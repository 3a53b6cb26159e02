package transport

import (
	"context"
	"fmt"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// Request is something that the peer asks for: a [*SubscribeRequest],
// [*PublishRequest], [*FetchRequest], [*StatusRequest], [*AnnounceRequest],
// [*WatchRequest] or [*TracksRequest]. Each has an Accept of its own; one that
// is neither accepted nor rejected stays open and counts against
// Limits.MaxRequests. Only the first answer counts, a second one is an error.
type Request interface {
	// Reject refuses the request with a code and a sentence for people. The
	// peer should not repeat it.
	Reject(code moqt.RequestCode, reason string) error
	// RejectRetry does so and tells after how long the peer may ask again.
	RejectRetry(code moqt.RequestCode, reason string, retry time.Duration) error
	// Tokens are the authorization tokens of the request, or of its last update
	// that had some.
	Tokens() []Token
	// Context ends when the peer cancels the request or the session ends.
	Context() context.Context
}

// incoming is what all requests of the peer have in common.
type incoming struct{ rs *requestStream }

func (in *incoming) Context() context.Context { return in.rs.ctx }
func (in *incoming) Reject(code moqt.RequestCode, reason string) error {
	return in.rs.reject(code, reason, -1)
}
func (in *incoming) RejectRetry(code moqt.RequestCode, reason string, retry time.Duration) error {
	return in.rs.reject(code, reason, retry)
}

// Accept waits for the peer's next request. Several goroutines may call it.
func (s *Session) Accept(ctx context.Context) (Request, error) {
	select {
	case r := <-s.requests:
		return r, nil
	case <-s.ctx.Done():
		return nil, s.cause()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Session) acceptBidi(got chan<- *wire.Setup) {
	for {
		st, err := s.conn.AcceptStream(s.ctx)
		if err != nil {
			s.end(err)
			return
		}
		s.wg.Go(func() { s.serveStream(st, got) })
	}
}

// serveStream reads the first message of a stream that the peer opened and
// begins what it asks for. Where requests share the control stream this may be
// that, with the first SETUP delivered to got.
func (s *Session) serveStream(st Stream, got chan<- *wire.Setup) {
	l := s.newStreamLane(st, false)
	m, err := l.read(wire.On{})
	if setup, ok := m.(*wire.Setup); ok || err != nil && s.guessed && !s.hasSetup() {
		s.end(s.serveShared(l, setup, err, got))
		return
	}
	rs := s.newRequestStream(l, false)
	if err != nil {
		rs.failed(err)
		rs.abort(moqt.StreamCancelled, err) // opened and given up: no harm
		return
	}
	select {
	case <-s.begun:
	case <-s.ctx.Done():
		return
	}
	id, err := requestID(m)
	if err != nil {
		s.end(err)
		return
	}
	if s.take(id, m.Kind() == wire.KindSubscribe) == nil {
		s.serve(rs, id, m, func() {})
	}
}

// serve brings a request, whose id has been taken, to its handler. When the
// request is over, which may be later, it calls after.
func (s *Session) serve(rs *requestStream, id uint64, m wire.Message, after func()) {
	rs.id, rs.kind, rs.asked = id, m.Kind(), nameOf(m)
	if !s.admit(rs, m) {
		s.requestOver(id)
		rs.cancel(ErrClosed)
		after()
		return
	}
	// The context of our half ends when the peer stops it, which is how a
	// subscriber cancels.
	stop := context.AfterFunc(rs.lane.writing(), rs.stopped)
	over := func() {
		stop()
		s.requestOver(id)
		rs.cancel(ErrClosed)
		after()
	}
	if m, ok := m.(*wire.Subscribe); ok {
		if t := s.serveSubscribe(rs, m); t != nil {
			s.wg.Detach(func() {
				defer over()
				t.run()
			})
			return
		}
	}
	defer over()
	switch m := m.(type) {
	case *wire.Publish:
		s.servePublish(rs, m)
	case *wire.Fetch:
		s.serveFetch(rs, m)
	case *wire.TrackStatus:
		s.serveStatus(rs, m)
	case *wire.PublishNamespace:
		s.serveAnnounce(rs, m)
	case *wire.SubscribeNamespace:
		s.serveWatch(rs, m)
	case *wire.SubscribeTracks:
		s.serveTracks(rs, m)
	}
}

// admit reports whether a request is one that may be made now, and refuses it
// or ends the session otherwise. The request counts as open from then on.
func (s *Session) admit(rs *requestStream, m wire.Message) bool {
	s.mu.Lock()
	s.openPeer++
	goaway, full := s.goawaySent, s.openPeer > s.cfg.Limits.MaxRequests
	s.mu.Unlock()
	var err error
	if rs.tokens, err = s.takeTokens(m); err != nil {
		s.end(err)
		return false
	}
	switch {
	case goaway:
		rs.reject(moqt.RequestGoingAway, "this end is going away", -1)
	case full:
		rs.reject(moqt.RequestExcessiveLoad, fmt.Sprintf("more than %d requests are open on this session", s.cfg.Limits.MaxRequests), time.Second)
	case !s.pace.Allow():
		rs.reject(moqt.RequestExcessiveLoad, fmt.Sprintf("requests come faster than %d a second", s.cfg.Limits.RequestRate), time.Second)
	default:
		return true
	}
	return false
}

// requestOver forgets a request of the peer that take has let in.
func (s *Session) requestOver(id uint64) {
	if s.mux != nil {
		s.mux.grant(1, false)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.openPeer--
	if s.subscribes[id] == nil {
		delete(s.subscribes, id)
	}
	s.announceLocked()
}

func requestID(m wire.Message) (uint64, error) {
	switch m := m.(type) {
	case *wire.Subscribe:
		return m.RequestID, nil
	case *wire.Publish:
		return m.RequestID, nil
	case *wire.Fetch:
		return m.RequestID, nil
	case *wire.TrackStatus:
		return m.RequestID, nil
	case *wire.PublishNamespace:
		return m.RequestID, nil
	case *wire.SubscribeNamespace:
		return m.RequestID, nil
	case *wire.SubscribeTracks:
		return m.RequestID, nil
	}
	return 0, &SessionError{Code: moqt.SessionProtocolViolation, Reason: "a request stream begins with no request"}
}

// offer hands a request to Accept, and reports false if the request ended
// before anybody took it.
func (s *Session) offer(rs *requestStream, r Request) bool {
	select {
	case s.requests <- r:
		return true
	case <-rs.ctx.Done():
		return false
	}
}

// reserved answers requests for names that no application may use, and reports
// whether this was one. ("Reserved Namespaces", "Session-Level Tracks")
func (s *Session) reserved(rs *requestStream, ns moqt.Namespace) bool {
	for _, first := range ns.Fields() {
		if first == "." || first == ".session" {
			rs.reject(moqt.RequestDoesNotExist, "the namespace is reserved", -1)
			return true
		}
		break
	}
	return false
}
