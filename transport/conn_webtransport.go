package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/qlogwriter"
	"github.com/quic-go/quic-go/quicvarint"
	"github.com/quic-go/webtransport-go"

	"github.com/tributary-live/tributary/transport/moqt"
)

// webTransportConn is a WebTransport session as a [Conn]. It is the only session
// of its QUIC connection, and ends it.
//
// Streams and datagrams of the peer come through the library. Streams of this
// end are opened beside it, on the QUIC connection: only there they have
// priorities. The library knows nothing of them, so the session's end must reset
// them here.
type webTransportConn struct {
	sess   *webtransport.Session
	conn   *quic.Conn
	id     uint64 // of the session: that of its CONNECT stream
	info   ConnInfo
	ctx    context.Context // ends with the session, with the cause
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when the QUIC connection has ended too
	ways   ways          // networks that it can move to

	mu   sync.Mutex // guards what follows
	over bool       // no stream may be added
	own  map[*ownStream]struct{}
}

// newWebTransportConn takes over sess and the QUIC connection it runs on. It
// calls release, if not nil, when the connection needs its socket no more.
func newWebTransportConn(sess *webtransport.Session, conn *quic.Conn, id uint64, info ConnInfo, release func()) *webTransportConn {
	info.WebTransport = true
	info.LocalAddr, info.RemoteAddr = conn.LocalAddr(), conn.RemoteAddr()
	c := &webTransportConn{
		sess: sess, conn: conn, id: id, info: info, ways: ways{conn: conn},
		done: make(chan struct{}),
		own:  make(map[*ownStream]struct{}),
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	context.AfterFunc(sess.Context(), func() {
		c.finish()
		if release != nil {
			releaseDrained(conn, func() {
				release()
				c.ways.close()
			})
		}
	})
	return c
}

func (c *webTransportConn) otherWays() *ways { return &c.ways }

// The header of a stream is its type and the session's id (WebTransport over
// HTTP/3, "Unidirectional Streams", "Bidirectional Streams").
const (
	uniStreamType  = 0x54
	bidiStreamType = 0x41
)

func (c *webTransportConn) OpenStream(ctx context.Context) (Stream, error) {
	s, err := openWebTransport(c, ctx, c.conn.OpenStream, c.conn.OpenStreamSync)
	if err != nil {
		return nil, err
	}
	own := &ownStream{conn: c, send: s, receive: s}
	if err := c.register(own); err != nil {
		return nil, err
	}
	if _, err := s.Write(c.streamHeader(bidiStreamType)); err != nil { // does not block: less than a packet
		return nil, c.streamError(err)
	}
	s.SetReliableBoundary()
	return ownBidi{quicSend{s, c}, ownReceive{quicReceive{s, c}, own}}, nil
}

func (c *webTransportConn) OpenUniStream(ctx context.Context) (SendStream, error) {
	s, err := openWebTransport(c, ctx, c.conn.OpenUniStream, c.conn.OpenUniStreamSync)
	if err != nil {
		return nil, err
	}
	if err := c.register(&ownStream{conn: c, send: s}); err != nil {
		return nil, err
	}
	h := &headed{SendStream: quicSend{s, c}}
	h.owe(c.streamHeader(uniStreamType))
	return h, nil
}

// openWebTransport opens a stream on the QUIC connection and stops waiting when
// the session ends, which the connection outlives.
func openWebTransport[S any](c *webTransportConn, ctx context.Context, open func() (S, error), openSync func(context.Context) (S, error)) (S, error) {
	s, err := open()
	if _, full := errors.AsType[*quic.StreamLimitReachedError](err); full {
		wait, cancel := context.WithCancel(ctx)
		stop := context.AfterFunc(c.ctx, cancel)
		s, err = openSync(wait)
		stop()
		cancel()
	}
	if err != nil {
		return s, c.waitError(ctx)
	}
	return s, nil
}

// streamHeader returns what a stream of this session begins with. It is to be
// delivered even if the stream is reset, because the peer could else not tell to
// which session that belongs.
func (c *webTransportConn) streamHeader(streamType uint64) []byte {
	return quicvarint.Append(quicvarint.Append(make([]byte, 0, 16), streamType), c.id)
}

// register notes that s ends with the session.
func (c *webTransportConn) register(s *ownStream) error {
	s.halves.Store(1)
	if s.receive != nil {
		s.halves.Store(2)
	}
	c.mu.Lock()
	over := c.over
	if !over {
		c.own[s] = struct{}{}
	}
	c.mu.Unlock()
	if over {
		s.abandon()
		return c.sessionError()
	}
	context.AfterFunc(s.send.Context(), s.halfEnded)
	return nil
}

func (c *webTransportConn) AcceptStream(ctx context.Context) (Stream, error) {
	s, err := c.sess.AcceptStream(ctx)
	if err != nil {
		return nil, c.waitError(ctx)
	}
	return libraryStream{librarySend{s, c}, libraryReceive{s, c}}, nil
}

func (c *webTransportConn) AcceptUniStream(ctx context.Context) (ReceiveStream, error) {
	s, err := c.sess.AcceptUniStream(ctx)
	if err != nil {
		return nil, c.waitError(ctx)
	}
	return libraryReceive{s, c}, nil
}

func (c *webTransportConn) SendDatagram(b []byte) error {
	err := c.sess.SendDatagram(b)
	switch {
	case err == nil:
		return nil
	case c.ctx.Err() != nil:
		return context.Cause(c.ctx)
	default:
		return c.streamError(datagramError(b, err))
	}
}

func (c *webTransportConn) ReceiveDatagram(ctx context.Context) ([]byte, error) {
	b, err := c.sess.ReceiveDatagram(ctx)
	if err != nil {
		return nil, c.waitError(ctx)
	}
	return b, nil
}

// CloseWithError tells the peer and waits until it has closed the connection in
// turn, but not long: QUIC does not tell when what was written has arrived, and
// closing the connection takes back what is still under way.
func (c *webTransportConn) CloseWithError(code moqt.SessionCode, reason string) error {
	reason = shortReason(reason)
	c.end(&SessionError{Code: code, Reason: reason})
	c.sess.CloseWithError(webtransport.SessionErrorCode(min(code, maxWebTransportCode)), reason)
	<-c.done
	return nil
}

func (c *webTransportConn) Context() context.Context { return c.ctx }
func (c *webTransportConn) Info() ConnInfo           { return c.info }
func (c *webTransportConn) Stats() ConnStats         { return quicStats(c.conn, &c.info) }

// QlogTrace returns the trace of the QUIC connection, or nil.
func (c *webTransportConn) QlogTrace() qlogwriter.Trace { return c.conn.QlogTrace() }

// end makes err the reason of the session's end, if it is the first, and resets
// the streams this end has opened. The streams go first: whoever sees the session
// end cancels them, which the peer must not take for the end of those alone.
func (c *webTransportConn) end(err error) {
	defer c.cancel(err)
	c.mu.Lock()
	c.over = true
	own := c.own
	c.own = nil
	c.mu.Unlock()
	for s := range own {
		s.abandon()
	}
}

// finish runs once, when the library's session has ended, and ends the QUIC
// connection with it.
func (c *webTransportConn) finish() {
	defer close(c.done)
	noError := quic.ApplicationErrorCode(http3.ErrCodeNoError)
	// The session is closed, so this does not block and tells the reason.
	_, err := c.sess.AcceptUniStream(context.Background())
	closed, ok := errors.AsType[*webtransport.SessionError](err)
	if !ok {
		// The peer has ended the CONNECT stream without a word, or broken its
		// rules, or the connection has died. The library does not tell these
		// apart, but the connection does.
		c.conn.CloseWithError(noError, "")
		c.end(c.unannounced(err))
		return
	}
	c.end(connError(closed))
	if !closed.Remote {
		wait := time.NewTimer(min(100*time.Millisecond+2*c.conn.ConnectionStats().SmoothedRTT, time.Second))
		defer wait.Stop()
		select {
		case <-c.conn.Context().Done():
		case <-wait.C:
		}
	}
	c.conn.CloseWithError(noError, closed.Message)
}

// unannounced returns why the session ended without WT_CLOSE_SESSION. The
// library's reason is err, and the connection has been closed.
func (c *webTransportConn) unannounced(err error) error {
	cause := context.Cause(c.conn.Context())
	if app, ok := errors.AsType[*quic.ApplicationError](cause); !ok || app.Remote {
		return webTransportConnError(cause)
	}
	if e, ok := errors.AsType[*http3.Error](err); ok && e.ErrorMessage != io.EOF.Error() {
		return &SessionError{Code: moqt.SessionInternalError, Reason: "WebTransport session broken: " + e.ErrorMessage, Remote: true}
	}
	// A CONNECT stream that just ends counts as a close with code 0.
	return &SessionError{Code: moqt.SessionNoError, Remote: true}
}

// waitError returns why a wait that ctx bounds has failed: because of ctx, or
// because the session has ended.
func (c *webTransportConn) waitError(ctx context.Context) error {
	if ctx.Err() != nil && c.ctx.Err() == nil {
		return context.Cause(ctx)
	}
	return c.sessionError()
}

// WebTransport's stream codes lie in a range of HTTP/3's, with holes
// (WebTransport over HTTP/3, "Application Error Code Mapping").
const (
	firstStreamCode = 0x52e4a40fa8db
	lastStreamCode  = 0x52e5ac983162
)

func (c *webTransportConn) encode(code moqt.StreamCode) quic.StreamErrorCode {
	n := uint64(min(code, maxWebTransportCode))
	return quic.StreamErrorCode(firstStreamCode + n + n/0x1e)
}

func decodeStreamCode(code quic.StreamErrorCode) moqt.StreamCode {
	switch {
	case code == webtransport.WTSessionGoneErrorCode:
		return moqt.StreamSessionClosed
	case code < firstStreamCode || code > lastStreamCode || (code-0x21)%0x1f == 0:
		return moqt.StreamInternalError // HTTP/3's own, or reserved
	}
	n := code - firstStreamCode
	return moqt.StreamCode(n - n/0x1f)
}

// streamError translates an error of one of the own streams, or of the library's.
func (c *webTransportConn) streamError(err error) error {
	if e, ok := errors.AsType[*quic.StreamError](err); ok {
		if e.ErrorCode == webtransport.WTSessionGoneErrorCode && c.ends() {
			return c.sessionError()
		}
		return &StreamError{Code: decodeStreamCode(e.ErrorCode), Remote: e.Remote}
	}
	if e, ok := errors.AsType[*webtransport.StreamError](err); ok {
		return &StreamError{Code: moqt.StreamCode(e.ErrorCode), Remote: e.Remote}
	}
	_, sessionOver := errors.AsType[*webtransport.SessionError](err)
	_, broken := errors.AsType[*http3.Error](err)
	if sessionOver || broken || errors.Is(err, net.ErrClosed) { // the last is what all ends of QUIC connections are
		return c.sessionError()
	}
	return connError(err)
}

// ends reports whether the session has ended, or does so presently: a peer that
// closes it resets its streams first.
func (c *webTransportConn) ends() bool {
	wait := time.NewTimer(time.Second)
	defer wait.Stop()
	select {
	case <-c.ctx.Done():
		return true
	case <-wait.C:
		return false
	}
}

// sessionError returns why the session has ended. It is called when it has, or
// when the library has failed a call because it is about to end it; between the
// two the library waits for nothing.
func (c *webTransportConn) sessionError() error {
	<-c.ctx.Done()
	return context.Cause(c.ctx)
}

// ownStream is a stream that this end has opened.
type ownStream struct {
	conn *webTransportConn
	send interface {
		CancelWrite(quic.StreamErrorCode)
		Context() context.Context
	}
	receive  interface{ CancelRead(quic.StreamErrorCode) } // nil if unidirectional
	halves   atomic.Int32                                  // that have not ended
	readOnce sync.Once
}

func (s *ownStream) halfEnded() {
	if s.halves.Add(-1) == 0 {
		s.conn.mu.Lock()
		defer s.conn.mu.Unlock()
		delete(s.conn.own, s)
	}
}

// abandon resets the stream because its session is over.
func (s *ownStream) abandon() {
	s.send.CancelWrite(webtransport.WTSessionGoneErrorCode)
	if s.receive != nil {
		s.receive.CancelRead(webtransport.WTSessionGoneErrorCode)
	}
}

// ownBidi is a bidirectional stream that this end has opened.
type ownBidi struct {
	quicSend
	ownReceive
}

// ownReceive is the receiving half of one. It tells its stream when it ends,
// which QUIC does not.
type ownReceive struct {
	quicReceive
	own *ownStream
}

func (r ownReceive) Read(p []byte) (int, error) {
	n, err := r.quicReceive.Read(p)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		r.own.readOnce.Do(r.own.halfEnded)
	}
	return n, err
}

func (r ownReceive) CancelRead(code moqt.StreamCode) {
	r.quicReceive.CancelRead(code)
	r.own.readOnce.Do(r.own.halfEnded)
}

// librarySend is the sending half of a stream the peer has opened.
type librarySend struct {
	s    *webtransport.Stream
	conn *webTransportConn
}

func (w librarySend) Write(p []byte) (int, error) {
	n, err := w.s.Write(p)
	return n, w.conn.libraryError(err)
}

func (w librarySend) Close() error {
	if err := w.s.Close(); err != nil {
		return w.conn.streamError(context.Cause(w.s.Context()))
	}
	return nil
}

func (w librarySend) CancelWrite(code moqt.StreamCode) {
	w.s.CancelWrite(webtransport.StreamErrorCode(min(code, maxWebTransportCode)))
}

func (w librarySend) StreamID() uint64                   { return uint64(w.s.StreamID()) }
func (w librarySend) Context() context.Context           { return w.s.Context() }
func (w librarySend) SetPriority(int8, bool)             {} // hidden by the library
func (w librarySend) SetReliableBoundary()               {} // hidden by the library
func (w librarySend) SetWriteDeadline(t time.Time) error { return w.s.SetWriteDeadline(t) }

// libraryReceive is the receiving half of a stream the peer has opened.
type libraryReceive struct {
	s interface {
		io.Reader
		StreamID() quic.StreamID
		CancelRead(webtransport.StreamErrorCode)
		SetReadDeadline(time.Time) error
	}
	conn *webTransportConn
}

func (r libraryReceive) Read(p []byte) (int, error) {
	n, err := r.s.Read(p)
	if err == io.EOF {
		return n, io.EOF
	}
	return n, r.conn.libraryError(err)
}

func (r libraryReceive) CancelRead(code moqt.StreamCode) {
	r.s.CancelRead(webtransport.StreamErrorCode(min(code, maxWebTransportCode)))
}

func (r libraryReceive) StreamID() uint64 { return uint64(r.s.StreamID()) }

func (r libraryReceive) SetReadDeadline(t time.Time) error { return r.s.SetReadDeadline(t) }

// libraryStream is both halves.
type libraryStream struct {
	librarySend
	libraryReceive
}

func (s libraryStream) StreamID() uint64 { return s.librarySend.StreamID() }

// libraryError is [webTransportConn.streamError] for a stream of the library,
// which has nothing but words for a reset with a code that is not WebTransport's.
func (c *webTransportConn) libraryError(err error) error {
	if err == nil {
		return nil
	}
	translated := c.streamError(err)
	if translated == err && !errors.Is(err, os.ErrDeadlineExceeded) {
		return &StreamError{Code: moqt.StreamInternalError, Remote: true}
	}
	return translated
}

// ExportKeyingMaterial is for [Session.ExportKeyingMaterial].
func (c *webTransportConn) ExportKeyingMaterial(label string, context []byte, length int) ([]byte, error) {
	state := c.conn.ConnectionState().TLS
	return state.ExportKeyingMaterial(label, context, length)
}
