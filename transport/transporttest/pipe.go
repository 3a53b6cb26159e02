package transporttest

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net"
	"sync/atomic"
	"testing"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// PipeOptions change a [Pipe]. The zero value works.
type PipeOptions struct {
	Version      moqt.Version // if zero, draft-18
	WebTransport bool         // what the connections say of themselves
	Path         string       // the client's, and with WebTransport the server's too
	// MaxStreams and MaxUniStreams are how many streams of one end may be open
	// at once. If zero, 256 and 1024.
	MaxStreams, MaxUniStreams int
	// Window is how many bytes a stream's writer may be ahead of its reader. If
	// zero, 64 KiB.
	Window int
	// MaxDatagram is the size of the largest datagram. If zero, 1200 bytes.
	MaxDatagram int
}

// datagramQueue is how many datagrams wait for their receiver; more are lost, as
// on a network.
const datagramQueue = 128

// Pipe returns the two ends of a connection in memory. What one end writes is
// there for the other at once. Both are closed at the end of the test.
func Pipe(t testing.TB, o *PipeOptions) (client, server transport.Conn) {
	var opts PipeOptions
	if o != nil {
		opts = *o
	}
	def := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	def(&opts.MaxStreams, 256)
	def(&opts.MaxUniStreams, 1024)
	def(&opts.Window, 64<<10)
	def(&opts.MaxDatagram, 1200)
	if opts.Version == 0 {
		opts.Version = moqt.Draft18
	}
	a := newPipeConn(opts, transport.ConnInfo{
		Version: opts.Version, WebTransport: opts.WebTransport, Client: true,
		Authority: "pipe.test", Path: opts.Path,
		LocalAddr: pipeAddr("client"), RemoteAddr: pipeAddr("server"),
	})
	info := transport.ConnInfo{
		Version: opts.Version, WebTransport: opts.WebTransport,
		LocalAddr: pipeAddr("server"), RemoteAddr: pipeAddr("client"),
	}
	if opts.WebTransport {
		info.Authority, info.Path = "pipe.test", opts.Path
	}
	b := newPipeConn(opts, info)
	a.peer, b.peer = b, a
	rand.Read(a.secret[:])
	b.secret = a.secret
	t.Cleanup(func() { a.CloseWithError(moqt.SessionNoError, "end of the test") })
	return a, b
}

type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }

var _ net.Addr = pipeAddr("")

// pipeConn is one end. Streams wait in the accepting end's channels, which have
// room for all that may be open.
type pipeConn struct {
	opts   PipeOptions
	info   transport.ConnInfo
	peer   *pipeConn
	secret [32]byte // in place of TLS
	ctx    context.Context
	cancel context.CancelCauseFunc

	accept      chan *pipeStream
	acceptUni   chan *pipeReceive
	openSlots   chan struct{} // a token for every open stream of this end
	openUni     chan struct{}
	ids, uniIDs atomic.Uint64 // streams this end has opened
	datagrams   chan []byte
	sent, taken atomic.Uint64 // bytes
	lost        atomic.Uint64 // datagrams
	lostBytes   atomic.Uint64
}

func newPipeConn(opts PipeOptions, info transport.ConnInfo) *pipeConn {
	c := &pipeConn{
		opts: opts, info: info,
		accept:    make(chan *pipeStream, opts.MaxStreams),
		acceptUni: make(chan *pipeReceive, opts.MaxUniStreams),
		openSlots: make(chan struct{}, opts.MaxStreams),
		openUni:   make(chan struct{}, opts.MaxUniStreams),
		datagrams: make(chan []byte, datagramQueue),
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	return c
}

func (c *pipeConn) OpenStream(ctx context.Context) (transport.Stream, error) {
	if err := c.takeSlot(ctx, c.openSlots); err != nil {
		return nil, err
	}
	id := c.streamID(&c.ids, 0)
	there, back := newHalf(c, c.peer, id), newHalf(c.peer, c, id)
	mine := &pipeStream{pipeSend{there}, pipeReceive{back}}
	theirs := &pipeStream{pipeSend{back}, pipeReceive{there}}
	there.announce = func() { c.peer.accept <- theirs }
	back.announce = func() {}
	// The slot is free when the accepting end has nothing left to do: it has
	// read one half to its end, and ended the other.
	var ended atomic.Int32
	free := func() {
		if ended.Add(1) == 2 {
			<-c.openSlots
		}
	}
	there.consumed, there.ended = free, func() {}
	back.consumed, back.ended = func() {}, free
	return mine, nil
}

func (c *pipeConn) OpenUniStream(ctx context.Context) (transport.SendStream, error) {
	if err := c.takeSlot(ctx, c.openUni); err != nil {
		return nil, err
	}
	h := newHalf(c, c.peer, c.streamID(&c.uniIDs, 2))
	h.announce = func() { c.peer.acceptUni <- &pipeReceive{h} }
	h.consumed, h.ended = func() { <-c.openUni }, func() {}
	return pipeSend{h}, nil
}

// streamID numbers streams as QUIC does (RFC 9000, "Stream Types and
// Identifiers").
func (c *pipeConn) streamID(opened *atomic.Uint64, kind uint64) uint64 {
	if !c.info.Client {
		kind++
	}
	return 4*(opened.Add(1)-1) + kind
}

func (c *pipeConn) takeSlot(ctx context.Context, slots chan struct{}) error {
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}

func (c *pipeConn) AcceptStream(ctx context.Context) (transport.Stream, error) {
	s, err := receive(ctx, c, c.accept)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (c *pipeConn) AcceptUniStream(ctx context.Context) (transport.ReceiveStream, error) {
	s, err := receive(ctx, c, c.acceptUni)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (c *pipeConn) ReceiveDatagram(ctx context.Context) ([]byte, error) {
	return receive(ctx, c, c.datagrams)
}

func receive[T any](ctx context.Context, c *pipeConn, from chan T) (T, error) {
	var none T
	if c.ctx.Err() != nil {
		return none, context.Cause(c.ctx)
	}
	select {
	case v := <-from:
		return v, nil
	case <-ctx.Done():
		return none, context.Cause(ctx)
	case <-c.ctx.Done():
		return none, context.Cause(c.ctx)
	}
}

func (c *pipeConn) SendDatagram(b []byte) error {
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	if len(b) > c.opts.MaxDatagram {
		return fmt.Errorf("datagram of %d bytes, the pipe takes %d", len(b), c.opts.MaxDatagram)
	}
	c.sent.Add(uint64(len(b)))
	select {
	case c.peer.datagrams <- append([]byte(nil), b...):
		c.peer.taken.Add(uint64(len(b)))
	default:
		c.lost.Add(1)
		c.lostBytes.Add(uint64(len(b)))
	}
	return nil
}

func (c *pipeConn) CloseWithError(code moqt.SessionCode, reason string) error {
	c.cancel(&transport.SessionError{Code: code, Reason: reason})
	c.peer.cancel(&transport.SessionError{Code: code, Reason: reason, Remote: true})
	return nil
}

// ExportKeyingMaterial is for [transport.Session.ExportKeyingMaterial].
func (c *pipeConn) ExportKeyingMaterial(label string, context []byte, length int) ([]byte, error) {
	return hkdf.Key(sha256.New, c.secret[:], context, label, length)
}

func (c *pipeConn) Context() context.Context { return c.ctx }
func (c *pipeConn) Info() transport.ConnInfo { return c.info }
func (c *pipeConn) Stats() transport.ConnStats {
	return transport.ConnStats{
		BytesSent: c.sent.Load(), BytesReceived: c.taken.Load(),
		BytesLost: c.lostBytes.Load(), PacketsLost: c.lost.Load(),
	}
}
