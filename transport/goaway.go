package transport

import (
	"context"
	"errors"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// ErrGoaway is returned by requests on a session whose peer has sent GOAWAY.
// They belong on a new session, at the URI of [Session.GoawayReceived].
var ErrGoaway = errors.New("moqt: the peer is going away")

// Goaway asks the peer to move what it has on this session elsewhere, to uri if
// that is not empty (a server's right only), and waits until the peer has closed
// the session, which is no error. After timeout, if that is not zero, the session
// is closed with GOAWAY_TIMEOUT; if ctx ends before, it stays open. From now on
// new requests of the peer are refused with GOING_AWAY. It may be called once.
// (MOQT draft-18, "GOAWAY")
func (s *Session) Goaway(ctx context.Context, uri string, timeout time.Duration) error {
	if s.info.Client && uri != "" {
		return errors.New("moqt: a client's GOAWAY names no URI")
	}
	s.mu.Lock()
	m := &wire.Goaway{URI: uri, Timeout: timeout, RequestID: wire.Some(s.peerIDs.next)}
	_, err := s.profile.AppendMessage(nil, m)
	sent := s.goawaySent
	s.goawaySent = sent || err == nil
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if sent {
		return errors.New("moqt: GOAWAY was sent before")
	}
	if err := s.sendControl(m); err != nil {
		return s.sessionOr(ctx, err)
	}
	var late <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		late = t.C
	}
	select {
	case <-s.ctx.Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-late:
		return s.CloseWithError(moqt.SessionGoawayTimeout, "the session was not moved in time")
	}
}

// GoawayReceived returns a channel that is closed when the peer sends GOAWAY;
// [Session.PeerGoaway] then has what it said.
func (s *Session) GoawayReceived() <-chan struct{} { return s.goawayEvent }

// PeerGoaway returns the peer's GOAWAY, or false if there was none.
func (s *Session) PeerGoaway() (Goaway, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.goawayRecv == nil {
		return Goaway{}, false
	}
	return *s.goawayRecv, true
}

func (s *Session) gotGoaway(m *wire.Goaway) error {
	if !s.info.Client && m.URI != "" {
		return s.fail(moqt.SessionProtocolViolation, "a client's GOAWAY names a URI")
	}
	if m.RequestID.Set && s.isPeerID(m.RequestID.Value) {
		return s.fail(moqt.SessionInvalidRequestID, "GOAWAY names request id %d, which is not ours", m.RequestID.Value)
	}
	s.mu.Lock()
	again := s.goawayRecv != nil
	if !again {
		s.goawayRecv = &Goaway{URI: m.URI, Timeout: m.Timeout}
		close(s.goawayEvent)
	}
	s.mu.Unlock()
	if again {
		return s.fail(moqt.SessionProtocolViolation, "a second GOAWAY")
	}
	s.log.Info("peer goes away", "uri", printable(m.URI), "dur", m.Timeout)
	return nil
}
