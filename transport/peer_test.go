package transport_test

import (
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
	"github.com/tributary-live/tributary/transport/wire"
)

// peer is the other end of a session under test: it writes what it likes.
type peer struct {
	t       *testing.T
	conn    transport.Conn
	profile *wire.Profile
	control transport.SendStream
	streams map[transport.ReceiveStream]*wire.Reader
}

// rawPeer returns a peer that has not said anything. It speaks the connection's
// draft.
func rawPeer(t *testing.T, conn transport.Conn) *peer {
	v := conn.Info().Version
	profile, ok := wire.ProfileFor(v)
	if !ok {
		t.Fatalf("no profile of %v", v)
	}
	return &peer{t: t, conn: conn, profile: profile, streams: make(map[transport.ReceiveStream]*wire.Reader)}
}

// newPeer returns a peer that has sent a SETUP as it should. Where the draft has
// one control stream that the client opens, a server waits for it.
func newPeer(t *testing.T, conn transport.Conn) *peer {
	t.Helper()
	p := rawPeer(t, conn)
	p.greet()
	return p
}

// greet sends a SETUP as it should be.
func (p *peer) greet() { p.openControl(p.bytes(p.setup())) }

// setup is a SETUP as it should be.
func (p *peer) setup() *wire.Setup {
	i := p.conn.Info()
	setup := &wire.Setup{Implementation: "hostile", Server: !i.Client, MaxRequestID: wire.Some(uint64(100))}
	if i.Client && !i.WebTransport {
		setup.Path, setup.Authority = wire.Some("/"), wire.Some("pipe.test")
	}
	return setup
}

// openControl writes b as the first of the control stream.
func (p *peer) openControl(b []byte) {
	p.t.Helper()
	switch {
	case p.profile.RequestStreams():
		p.control = p.uni(b)
	case p.conn.Info().Client:
		p.control = p.bidi(b)
	default:
		st, err := p.conn.AcceptStream(p.t.Context())
		if err != nil {
			p.t.Fatalf("AcceptStream() = %v", err)
		}
		p.control = st
		p.write(st, b)
	}
}

// meet makes a session on mine while the peer on theirs says do, which is to
// begin with a SETUP.
func meet(t *testing.T, mine, theirs transport.Conn, c *transport.Config, do func(p *peer)) (*transport.Session, *peer, error) {
	t.Helper()
	wait := async(func() (*transport.Session, error) { return transport.NewSession(t.Context(), mine, c) })
	p := rawPeer(t, theirs)
	do(p)
	s, err := wait()
	return s, p, err
}

// against makes a session with a peer that has sent its SETUP. The session is
// the server's end.
func against(t *testing.T, c *transport.Config, o *transporttest.PipeOptions) (*transport.Session, *peer) {
	t.Helper()
	client, server := transporttest.Pipe(t, o)
	return greeted(t, server, client, c)
}

// againstServer is against with the session at the client's end.
func againstServer(t *testing.T, c *transport.Config, o *transporttest.PipeOptions) (*transport.Session, *peer) {
	t.Helper()
	client, server := transporttest.Pipe(t, o)
	return greeted(t, client, server, c)
}

func greeted(t *testing.T, mine, theirs transport.Conn, c *transport.Config) (*transport.Session, *peer) {
	t.Helper()
	s, p, err := meet(t, mine, theirs, c, (*peer).greet)
	if err != nil {
		t.Fatalf("NewSession() = %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s, p
}

// bytes encodes messages.
func (p *peer) bytes(messages ...wire.Message) (b []byte) {
	p.t.Helper()
	for _, m := range messages {
		var err error
		if b, err = p.profile.AppendMessage(b, m); err != nil {
			p.t.Fatalf("AppendMessage(%+v) = %v", m, err)
		}
	}
	return b
}

// unhex decodes hex with spaces.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// raw is a control message of type typ, with the body in hex.
func raw(typ byte, body string) []byte {
	b := unhex(body)
	return append([]byte{typ, byte(len(b) >> 8), byte(len(b))}, b...)
}

// clockNow is the name of the track clock in hex.
const clockNow = "01 05 636c6f636b 03 6e6f77"

// uni opens a unidirectional stream and writes b to it.
func (p *peer) uni(b []byte) transport.SendStream {
	p.t.Helper()
	st, err := p.conn.OpenUniStream(p.t.Context())
	if err != nil {
		p.t.Fatalf("OpenUniStream() = %v", err)
	}
	p.write(st, b)
	return st
}

// bidi opens a request stream and writes b to it.
func (p *peer) bidi(b []byte) transport.Stream {
	p.t.Helper()
	st, err := p.conn.OpenStream(p.t.Context())
	if err != nil {
		p.t.Fatalf("OpenStream() = %v", err)
	}
	p.write(st, b)
	return st
}

// write writes b, which the session may have made impossible meanwhile.
func (p *peer) write(st transport.SendStream, b []byte) {
	p.t.Helper()
	if _, err := st.Write(b); err != nil && p.conn.Context().Err() == nil && !isStreamError(err) {
		p.t.Errorf("Write(%x) = %v", b, err)
	}
}

func isStreamError(err error) bool {
	_, ok := errors.AsType[*transport.StreamError](err)
	return ok
}

// request makes a request and returns the stream on which the answer will be.
func (p *peer) request(m wire.Message) transport.Stream {
	p.t.Helper()
	if shared, ok := p.shared(); ok && m.Kind() != wire.KindSubscribeNamespace && m.Kind() != wire.KindSubscribeTracks {
		p.write(shared, p.bytes(m))
		return shared
	}
	return p.bidi(p.bytes(m))
}

// shared returns the control stream of a draft whose requests share it.
func (p *peer) shared() (transport.Stream, bool) {
	if p.profile.RequestStreams() {
		return nil, false
	}
	return p.control.(transport.Stream), true
}

// accepted waits for a request of the session, and returns its stream and the
// message it begins with. Where requests share the control stream it is one of
// those.
func (p *peer) accepted() (transport.Stream, wire.Message) {
	p.t.Helper()
	if st, ok := p.shared(); ok {
		return st, p.read(st, wire.On{})
	}
	return p.acceptStream()
}

// acceptStream is accepted for requests that have a stream of their own.
func (p *peer) acceptStream() (transport.Stream, wire.Message) {
	p.t.Helper()
	st, err := p.conn.AcceptStream(p.t.Context())
	if err != nil {
		p.t.Fatalf("AcceptStream() = %v", err)
	}
	return st, p.read(st, wire.On{})
}

// answer reads the first answer to a request of the peer.
func (p *peer) answer(st transport.Stream, kind wire.Kind) wire.Message {
	p.t.Helper()
	return p.read(st, wire.On{Request: kind, Answers: kind})
}

// read reads the next message, on a shared control stream after SETUP.
func (p *peer) read(st transport.ReceiveStream, on wire.On) wire.Message {
	p.t.Helper()
	r := p.streams[st]
	if r == nil {
		r = wire.NewReader(st)
		p.streams[st] = r
	}
	shared, is := p.shared()
	is = is && st == transport.ReceiveStream(shared)
	if is {
		on = wire.On{Control: true}
	}
	m, err := p.profile.ReadMessage(r, on)
	if err != nil {
		p.t.Fatalf("ReadMessage() = %v", err)
	}
	if _, setup := m.(*wire.Setup); setup && is {
		return p.read(st, on)
	}
	return m
}

// wantError reads a REQUEST_ERROR and the end of the stream.
func (p *peer) wantError(st transport.Stream, kind wire.Kind, code moqt.RequestCode) {
	p.t.Helper()
	m, ok := p.answer(st, kind).(*wire.RequestError)
	if !ok || m.Code != code {
		p.t.Errorf("answer = %+v, want REQUEST_ERROR %v", m, code)
	}
	if shared, ok := p.shared(); ok && st == shared {
		return
	}
	if b, err := io.ReadAll(p.streams[st]); len(b) > 0 || err != nil {
		p.t.Errorf("after REQUEST_ERROR: %x, %v, want the end", b, err)
	}
}

// wantAlive asks for the status of a track that no application can have, and
// waits for the refusal or, if that is all right, the end of the session.
func (p *peer) wantAlive(orOver bool) {
	p.t.Helper()
	shared, ok := p.shared()
	if !ok {
		p.wantError(p.request(&wire.TrackStatus{RequestID: p.id() + 1<<30, Track: moqt.NS(".").Track("")}), wire.KindTrackStatus, moqt.RequestDoesNotExist)
		return
	}
	id := p.id() + 1000
	p.request(&wire.TrackStatus{RequestID: id, Track: moqt.NS(".").Track("")})
	if p.streams[shared] == nil {
		p.streams[shared] = wire.NewReader(shared)
	}
	for { // what else it says may come before
		m, err := p.profile.ReadMessage(p.streams[shared], wire.On{Control: true})
		if err != nil {
			if !orOver || p.conn.Context().Err() == nil {
				p.t.Errorf("ReadMessage() = %v, want REQUEST_ERROR", err)
			}
			return
		}
		if refused, is := m.(*wire.RequestError); is && refused.RequestID == id {
			if refused.Code != moqt.RequestDoesNotExist {
				p.t.Errorf("answer = %+v, want DOES_NOT_EXIST", refused)
			}
			return
		}
	}
}

// wantReset reads a stream until it ends, which must be by a reset.
func (p *peer) wantReset(st transport.ReceiveStream, code moqt.StreamCode) {
	p.t.Helper()
	_, err := io.Copy(io.Discard, st)
	wantStream(p.t, "end of the stream", err, code)
}

// wantStopped waits until the session has stopped a stream of the peer.
func (p *peer) wantStopped(st transport.SendStream, code moqt.StreamCode) {
	p.t.Helper()
	select {
	case <-st.Context().Done():
	case <-time.After(time.Minute):
		p.t.Errorf("the stream is not stopped, want %v", code)
		return
	}
	_, err := st.Write([]byte{0})
	wantStream(p.t, "Write to a stopped stream", err, code)
}

// wantClosed waits until the session is closed with code, and reports whether it
// is closed.
func (p *peer) wantClosed(code moqt.SessionCode) bool {
	p.t.Helper()
	select {
	case <-p.conn.Context().Done():
		wantSession(p.t, "the session's end", done(p.conn.Context()), code, true)
		return true
	case <-time.After(time.Minute):
		p.t.Errorf("the session is open, want it closed with %v", code)
		return false
	}
}

func subscribe(id uint64) *wire.Subscribe { return &wire.Subscribe{RequestID: id, Track: clock} }

func subscribeNamespace(id uint64, fields ...string) *wire.SubscribeNamespace {
	return &wire.SubscribeNamespace{RequestID: id, Prefix: moqt.NS(fields...)}
}

// acceptUni waits for the next unidirectional stream of the session that begins
// with the bytes in hex.
func (p *peer) acceptUni(begins string) transport.ReceiveStream {
	p.t.Helper()
	for {
		st, err := p.conn.AcceptUniStream(p.t.Context())
		if err != nil {
			p.t.Fatalf("AcceptUniStream() = %v", err)
		}
		b := make([]byte, len(unhex(begins)))
		if _, err := io.ReadFull(st, b); err == nil && string(b) == string(unhex(begins)) {
			return st
		}
	}
}
