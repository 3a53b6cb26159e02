package transport

import (
	"context"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Conn is the transport session under a MOQT [Session]: a raw QUIC connection,
// a WebTransport session, or a pair in memory from package transporttest. All
// methods may be called concurrently.
type Conn interface {
	// OpenStream opens a bidirectional stream and blocks while the peer's
	// limit allows none. OpenUniStream does so for a unidirectional one.
	OpenStream(ctx context.Context) (Stream, error)
	OpenUniStream(ctx context.Context) (SendStream, error)
	// AcceptStream and AcceptUniStream wait for the peer's next stream.
	AcceptStream(ctx context.Context) (Stream, error)
	AcceptUniStream(ctx context.Context) (ReceiveStream, error)
	// SendDatagram queues b, which it does not keep. It fails if b is larger
	// than the path takes.
	SendDatagram(b []byte) error
	ReceiveDatagram(ctx context.Context) ([]byte, error)
	// CloseWithError ends the connection and all its streams. Only the first
	// call counts.
	CloseWithError(code moqt.SessionCode, reason string) error
	// Context is cancelled when the connection ends; its cause is then a
	// [*SessionError] or the transport's own error.
	Context() context.Context
	// Info tells how the connection came to be. It does not change.
	Info() ConnInfo
	// Stats tells how the connection fares.
	Stats() ConnStats
}

// ConnInfo is what a session needs to know of its connection.
type ConnInfo struct {
	Version      moqt.Version // negotiated draft
	WebTransport bool         // else raw QUIC, where SETUP carries PATH and AUTHORITY
	Client       bool         // this end dialled
	// Authority and Path are those of the URL, known to the client and, with
	// WebTransport, to the server.
	Authority, Path       string
	LocalAddr, RemoteAddr net.Addr
}

// ConnStats are figures of a connection's path. A transport that cannot tell
// one leaves it zero.
type ConnStats struct {
	RTT, MinRTT              time.Duration // smoothed, and the least seen
	Deviation                time.Duration // mean deviation of the round trip
	Window                   int64         // bytes that congestion control allows in flight
	BytesSent, BytesReceived uint64        // UDP payloads
	BytesLost, PacketsLost   uint64
	PacketsSent              uint64
	// Remote is where the peer is now. A client may move, or be moved by a NAT.
	Remote netip.AddrPort
}

// SendStream is the sending half of a stream.
type SendStream interface {
	// Write blocks until the transport has taken all of p, which it does not
	// keep. It fails with [*StreamError] once the peer stopped the stream.
	io.Writer
	// Close ends the stream well: the peer reads all that was written, then EOF.
	// It does not wait for that.
	Close() error
	// CancelWrite resets the stream. Bytes up to the reliable boundary are
	// still delivered where the transport can do that.
	CancelWrite(code moqt.StreamCode)
	// Context is cancelled when the stream is closed, reset or stopped.
	Context() context.Context
	// SetPriority orders this stream among the connection's: urgency 0 goes
	// first, 7 last; incremental streams of one urgency share it by turns, the
	// others go one after another. Transports without that ability ignore it.
	SetPriority(urgency int8, incremental bool)
	// SetReliableBoundary marks what has been written so far as to be delivered
	// even after a reset. Transports without that ability ignore it.
	SetReliableBoundary()
	SetWriteDeadline(t time.Time) error
}

// ReceiveStream is the receiving half of a stream.
type ReceiveStream interface {
	// Read fails with [*StreamError] once the peer reset the stream.
	io.Reader
	// CancelRead asks the peer to stop sending.
	CancelRead(code moqt.StreamCode)
	SetReadDeadline(t time.Time) error
}

// Stream is a bidirectional stream.
type Stream interface {
	SendStream
	ReceiveStream
}
