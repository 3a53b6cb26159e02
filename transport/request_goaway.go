package transport

import (
	"context"
	"errors"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// GOAWAY on a request stream asks the peer to move that request alone. The
// request goes on until either side ends it.

// move is GOAWAY on one request, both ways. It is guarded by requestStream.mu.
type move struct {
	sent  bool
	from  *Goaway       // the peer's
	event chan struct{} // closed when from is set
}

// goaway asks the peer to move the request, to uri if that is not empty. After
// timeout, if that is not zero, the request is reset.
func (rs *requestStream) goaway(uri string, timeout time.Duration) error {
	if rs.s.info.Client && uri != "" {
		return errors.New("moqt: a client's GOAWAY names no URI")
	}
	if !rs.s.profile.RequestStreams() {
		return errors.New("moqt: in this draft GOAWAY is for whole sessions alone")
	}
	rs.mu.Lock()
	sent := rs.move.sent
	rs.move.sent = true
	rs.mu.Unlock()
	if sent {
		return errors.New("moqt: GOAWAY was sent on this request before")
	}
	if err := rs.send(&wire.Goaway{URI: uri, Timeout: timeout}); err != nil {
		return err
	}
	if timeout > 0 {
		late := time.AfterFunc(timeout, func() {
			rs.abort(moqt.StreamGoingAway, &StreamError{Code: moqt.StreamGoingAway})
		})
		context.AfterFunc(rs.ctx, func() { late.Stop() })
	}
	return nil
}

// gotGoaway takes note of the peer's.
func (rs *requestStream) gotGoaway(m *wire.Goaway) error {
	if !rs.s.info.Client && m.URI != "" {
		return rs.s.fail(moqt.SessionProtocolViolation, "a client's GOAWAY names a URI")
	}
	rs.mu.Lock()
	again := rs.move.from != nil
	if !again {
		rs.move.from = &Goaway{URI: m.URI, Timeout: m.Timeout}
		close(rs.move.event)
	}
	rs.mu.Unlock()
	if again {
		return rs.s.fail(moqt.SessionProtocolViolation, "a second GOAWAY on request %d", rs.id)
	}
	rs.s.log.Debug("peer moves a request", "request", rs.id, "uri", printable(m.URI))
	return nil
}

func (rs *requestStream) peerGoaway() (Goaway, bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.move.from == nil {
		return Goaway{}, false
	}
	return *rs.move.from, true
}

// Goaway asks the publisher to move this subscription elsewhere, to uri if that
// is not empty (a server's right only). It goes on until either side ends it, but
// is reset with GOING_AWAY after timeout, if that is not zero. It may be called
// once. Draft-16 cannot say it. (MOQT draft-18, "GOAWAY")
func (t *TrackReader) Goaway(uri string, timeout time.Duration) error {
	return t.rs.goaway(uri, timeout)
}

// GoawayReceived returns a channel that is closed when the publisher asks for
// this subscription to be moved; [TrackReader.PeerGoaway] then has what it said.
func (t *TrackReader) GoawayReceived() <-chan struct{} { return t.rs.move.event }

// PeerGoaway returns the publisher's GOAWAY for this subscription, or false if
// there was none.
func (t *TrackReader) PeerGoaway() (Goaway, bool) { return t.rs.peerGoaway() }

// Goaway is [TrackReader.Goaway] for the publisher.
func (t *TrackWriter) Goaway(uri string, timeout time.Duration) error {
	return t.rs.goaway(uri, timeout)
}

// GoawayReceived is [TrackReader.GoawayReceived] for the publisher.
func (t *TrackWriter) GoawayReceived() <-chan struct{} { return t.rs.move.event }

// PeerGoaway is [TrackReader.PeerGoaway] for the publisher.
func (t *TrackWriter) PeerGoaway() (Goaway, bool) { return t.rs.peerGoaway() }
