package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"time"
	"unicode/utf8"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/qlogwriter"
	"github.com/quic-go/webtransport-go"

	"github.com/tributary-live/tributary/transport/moqt"
)

// quicConn is a raw QUIC connection as a [Conn].
type quicConn struct {
	conn *quic.Conn
	info ConnInfo
	ctx  context.Context // ends shortly after conn's, with the cause as sessions know it
	ways ways            // networks that it can move to
}

// newQUICConn takes over conn. It calls release, if not nil, when the connection
// has ended and needs its socket no more.
func newQUICConn(conn *quic.Conn, info ConnInfo, release func()) *quicConn {
	info.LocalAddr, info.RemoteAddr = conn.LocalAddr(), conn.RemoteAddr()
	ctx, cancel := context.WithCancelCause(context.Background())
	c := &quicConn{conn: conn, info: info, ctx: ctx, ways: ways{conn: conn}}
	context.AfterFunc(conn.Context(), func() {
		cancel(connError(context.Cause(conn.Context())))
		if release != nil {
			releaseDrained(conn, func() {
				release()
				c.ways.close()
			})
		}
	})
	return c
}

func (c *quicConn) otherWays() *ways { return &c.ways }

// releaseDrained calls release for the socket of conn, which has ended. If this
// end has closed it, that is a little later: a peer that missed the close can
// ask again, which QUIC answers while the socket is open (RFC 9000, "Closing
// Connection State"), and need not wait for its idle timeout.
func releaseDrained(conn *quic.Conn, release func()) {
	if app, ok := errors.AsType[*quic.ApplicationError](context.Cause(conn.Context())); !ok || app.Remote {
		release()
		return
	}
	s := conn.ConnectionStats()
	probe := s.SmoothedRTT + 4*s.MeanDeviation + 25*time.Millisecond
	time.AfterFunc(min(3*probe, time.Second), release)
}

func (c *quicConn) OpenStream(ctx context.Context) (Stream, error) {
	s, err := c.conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, connError(err)
	}
	return quicStream{quicSend{s, c}, quicReceive{s, c}}, nil
}

func (c *quicConn) OpenUniStream(ctx context.Context) (SendStream, error) {
	s, err := c.conn.OpenUniStreamSync(ctx)
	if err != nil {
		return nil, connError(err)
	}
	return quicSend{s, c}, nil
}

// TryOpenUniStream is for [tryOpener].
func (c *quicConn) TryOpenUniStream() (SendStream, bool) {
	s, err := c.conn.OpenUniStream()
	if err != nil {
		return nil, false
	}
	return quicSend{s, c}, true
}

func (c *quicConn) AcceptStream(ctx context.Context) (Stream, error) {
	s, err := c.conn.AcceptStream(ctx)
	if err != nil {
		return nil, connError(err)
	}
	return quicStream{quicSend{s, c}, quicReceive{s, c}}, nil
}

func (c *quicConn) AcceptUniStream(ctx context.Context) (ReceiveStream, error) {
	s, err := c.conn.AcceptUniStream(ctx)
	if err != nil {
		return nil, connError(err)
	}
	return quicReceive{s, c}, nil
}

func (c *quicConn) SendDatagram(b []byte) error {
	if err := c.conn.SendDatagram(b); err != nil {
		return datagramError(b, err)
	}
	return nil
}

func (c *quicConn) ReceiveDatagram(ctx context.Context) ([]byte, error) {
	b, err := c.conn.ReceiveDatagram(ctx)
	return b, connError(err)
}

// CloseWithError returns when the close has been sent.
func (c *quicConn) CloseWithError(code moqt.SessionCode, reason string) error {
	err := c.conn.CloseWithError(quic.ApplicationErrorCode(min(code, maxVarint)), shortReason(reason))
	<-c.ctx.Done()
	return err
}

func (c *quicConn) Context() context.Context { return c.ctx }
func (c *quicConn) Info() ConnInfo           { return c.info }
func (c *quicConn) Stats() ConnStats         { return quicStats(c.conn, &c.info) }

// QlogTrace returns the trace of the connection, or nil.
func (c *quicConn) QlogTrace() qlogwriter.Trace { return c.conn.QlogTrace() }

func (c *quicConn) encode(code moqt.StreamCode) quic.StreamErrorCode {
	return quic.StreamErrorCode(min(code, maxVarint))
}

func (c *quicConn) streamError(err error) error {
	if e, ok := errors.AsType[*quic.StreamError](err); ok {
		return &StreamError{Code: moqt.StreamCode(e.ErrorCode), Remote: e.Remote}
	}
	return connError(err)
}

func quicStats(c *quic.Conn, info *ConnInfo) ConnStats {
	s := c.ConnectionStats()
	addr := info.RemoteAddr
	if !info.Client { // servers do not move, and quic-go must not be asked while this end does
		addr = c.RemoteAddr()
	}
	var remote netip.AddrPort
	if a, ok := addr.(*net.UDPAddr); ok {
		remote = netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), uint16(a.Port))
	}
	return ConnStats{
		Remote: remote,
		RTT:    s.SmoothedRTT, MinRTT: s.MinRTT, Deviation: s.MeanDeviation, Window: int64(s.CongestionWindow),
		BytesSent: s.BytesSent, BytesReceived: s.BytesReceived,
		BytesLost: s.BytesLost, PacketsLost: s.PacketsLost, PacketsSent: s.PacketsSent,
	}
}

// extensionStreams is how many unidirectional streams a peer may have open where
// an extension may use them as well: objects in chunks are some hundred a second,
// and those of a path that has stalled stay open for seconds.
const extensionStreams = 2048

// quicConfig completes c, which may be nil, to what both ends of a connection
// run with. Its sessions are to have the configuration session, or nil.
func quicConfig(c *quic.Config, session *Config) *quic.Config {
	q := &quic.Config{}
	if c != nil {
		q = c.Clone()
	}
	if q.Tracer == nil && session != nil {
		q.Tracer = session.Tracer
	}
	q.HandshakeIdleTimeout = or(q.HandshakeIdleTimeout, 5*time.Second)
	q.MaxIdleTimeout = or(q.MaxIdleTimeout, 15*time.Second)
	q.KeepAlivePeriod = or(q.KeepAlivePeriod, 5*time.Second)
	q.MaxIncomingStreams = or(q.MaxIncomingStreams, 256)
	if session != nil && len(session.Extensions) > 0 {
		q.MaxIncomingUniStreams = or(q.MaxIncomingUniStreams, extensionStreams)
	}
	q.MaxIncomingUniStreams = or(q.MaxIncomingUniStreams, 1024)
	// A key frame may be some hundred kilobytes, and a window that holds one
	// saves it a round trip. The windows cost memory only where the reader of
	// the stream is slow.
	q.InitialStreamReceiveWindow = or(q.InitialStreamReceiveWindow, 1<<20)
	q.InitialConnectionReceiveWindow = or(q.InitialConnectionReceiveWindow, 2<<20)
	q.EnableDatagrams = true
	q.EnableStreamResetPartialDelivery = true
	q.Allow0RTT = false // a replayed request would count twice
	return q
}

// streamOwner is the connection of a stream: it knows how codes look on the wire
// and what an error of QUIC means.
type streamOwner interface {
	encode(moqt.StreamCode) quic.StreamErrorCode
	streamError(error) error
}

// quicSend is the sending half of a QUIC stream.
type quicSend struct {
	s interface {
		io.WriteCloser
		StreamID() quic.StreamID
		CancelWrite(quic.StreamErrorCode)
		Context() context.Context
		SetPriority(urgency int8, incremental bool)
		SetReliableBoundary()
		SetWriteDeadline(time.Time) error
	}
	owner streamOwner
}

func (w quicSend) Write(p []byte) (int, error) {
	n, err := w.s.Write(p)
	if err != nil {
		err = w.owner.streamError(err)
	}
	return n, err
}

func (w quicSend) Close() error {
	if err := w.s.Close(); err != nil {
		// QUIC says in words that the stream had been cancelled. Its context
		// has that as a value.
		return w.owner.streamError(context.Cause(w.s.Context()))
	}
	return nil
}

func (w quicSend) CancelWrite(code moqt.StreamCode)           { w.s.CancelWrite(w.owner.encode(code)) }
func (w quicSend) StreamID() uint64                           { return uint64(w.s.StreamID()) }
func (w quicSend) Context() context.Context                   { return w.s.Context() }
func (w quicSend) SetPriority(urgency int8, incremental bool) { w.s.SetPriority(urgency, incremental) }
func (w quicSend) SetReliableBoundary()                       { w.s.SetReliableBoundary() }
func (w quicSend) SetWriteDeadline(t time.Time) error         { return w.s.SetWriteDeadline(t) }

// quicReceive is the receiving half of a QUIC stream.
type quicReceive struct {
	s interface {
		io.Reader
		StreamID() quic.StreamID
		CancelRead(quic.StreamErrorCode)
		SetReadDeadline(time.Time) error
	}
	owner streamOwner
}

func (r quicReceive) Read(p []byte) (int, error) {
	n, err := r.s.Read(p)
	if err != nil && err != io.EOF {
		err = r.owner.streamError(err)
	}
	return n, err
}

func (r quicReceive) StreamID() uint64                  { return uint64(r.s.StreamID()) }
func (r quicReceive) CancelRead(code moqt.StreamCode)   { r.s.CancelRead(r.owner.encode(code)) }
func (r quicReceive) SetReadDeadline(t time.Time) error { return r.s.SetReadDeadline(t) }

// quicStream is both halves.
type quicStream struct {
	quicSend
	quicReceive
}

func (s quicStream) StreamID() uint64 { return s.quicSend.StreamID() }

// connError translates what QUIC and WebTransport say of a connection's end to
// the errors of this package. Errors that are not theirs, those of contexts and
// deadlines among them, stay as they are.
func connError(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*webtransport.SessionError](err); ok {
		return &SessionError{Code: moqt.SessionCode(e.ErrorCode), Reason: e.Message, Remote: e.Remote}
	}
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok {
		return &SessionError{Code: moqt.SessionCode(e.ErrorCode), Reason: e.ErrorMessage, Remote: e.Remote}
	}
	if errors.Is(err, quic.ErrStreamClosed) {
		return ErrClosed
	}
	if _, ok := errors.AsType[*quic.IdleTimeoutError](err); ok {
		return fmt.Errorf("connection lost: nothing came from the peer: %w", err)
	}
	if _, ok := errors.AsType[*quic.StatelessResetError](err); ok {
		return fmt.Errorf("connection lost: the peer knows it no more: %w", err)
	}
	if e, ok := errors.AsType[*quic.TransportError](err); ok && e.Remote && e.ErrorCode == quic.ConnectionRefused {
		return fmt.Errorf("the server takes no more connections now: %w", err)
	}
	if e, ok := errors.AsType[*quic.TransportError](err); ok && e.Remote {
		return fmt.Errorf("connection ended by the peer's QUIC: %w", err)
	}
	if _, ok := errors.AsType[*quic.TransportError](err); ok {
		return fmt.Errorf("connection ended by QUIC: %w", err)
	}
	return err
}

// webTransportConnError is [connError] for the QUIC connection under a
// WebTransport session, whose application codes are those of HTTP/3.
func webTransportConnError(err error) error {
	e, ok := errors.AsType[*quic.ApplicationError](err)
	if !ok {
		return connError(err)
	}
	code := moqt.SessionInternalError
	if e.ErrorCode == quic.ApplicationErrorCode(http3.ErrCodeNoError) || e.ErrorCode == 0 {
		code = moqt.SessionNoError
	}
	return &SessionError{Code: code, Reason: e.ErrorMessage, Remote: e.Remote}
}

func datagramError(b []byte, err error) error {
	if e, ok := errors.AsType[*quic.DatagramTooLargeError](err); ok {
		return fmt.Errorf("datagram of %d bytes, the path takes %d: %w", len(b), e.MaxDatagramPayloadSize, err)
	}
	return connError(err)
}

// maxVarint is the largest number QUIC can carry.
const maxVarint = 1<<62 - 1

// maxWebTransportCode is the largest code WebTransport can carry.
const maxWebTransportCode = math.MaxUint32

// shortReason cuts a reason to what goes into one packet beside the rest.
func shortReason(s string) string {
	const most = 512
	if len(s) <= most {
		return s
	}
	n := most
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

var _ net.Error = (*quic.IdleTimeoutError)(nil) // so callers see Timeout() through connError

// ExportKeyingMaterial is for [Session.ExportKeyingMaterial].
func (c *quicConn) ExportKeyingMaterial(label string, context []byte, length int) ([]byte, error) {
	state := c.conn.ConnectionState().TLS
	return state.ExportKeyingMaterial(label, context, length)
}
