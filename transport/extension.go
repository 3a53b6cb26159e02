package transport

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// Extension is something that two ends do beside what the draft says. They agree
// on it in SETUP ("Extension Negotiation"): each sends its option, and looks at
// the other's. Without that, a session treats the extension's streams as the draft
// wants unknown ones treated, and ends.
type Extension struct {
	// Option offers the extension. It is sent in SETUP beside Config.Options.
	Option moqt.Property
	// Agree reports whether the peer's option, which has the same type, is one that
	// goes with ours.
	Agree func(peer moqt.Property) bool
	// Streams are the types of its unidirectional streams.
	Streams []uint64
	// Serve reads a stream of the peer, behind the type, in a goroutine of its own,
	// and returns when it is done with it. An error ends the session: as a violation
	// where it is a *wire.Error, and with the code of a [*SessionError].
	Serve func(s *Session, typ uint64, st ReceiveStream) error
}

// Agreed reports whether both ends have offered the extension whose option is of
// type option.
func (s *Session) Agreed(option uint64) bool {
	i := slices.IndexFunc(s.cfg.Extensions, func(e Extension) bool { return e.Option.Type == option })
	peer, ok := s.PeerOption(option)
	return i >= 0 && ok && s.cfg.Extensions[i].Agree(peer)
}

// OpenExtensionStream opens a stream of the given type, which belongs to an
// extension that is agreed on. The type goes out with the first Write, or with
// Close, so that a small stream is one packet.
func (s *Session) OpenExtensionStream(ctx context.Context, typ uint64) (SendStream, error) {
	st, err := s.conn.OpenUniStream(ctx)
	if err != nil {
		return nil, s.sessionOr(ctx, err)
	}
	st.SetPriority(levelControl, true)
	return &typedStream{st, s.profile.AppendStreamType(nil, typ)}, nil
}

// typedStream is a stream whose type goes before the first that is written.
type typedStream struct {
	SendStream
	typ []byte // nil once it is sent
}

func (t *typedStream) Write(p []byte) (int, error) {
	if t.typ == nil {
		return t.SendStream.Write(p)
	}
	first := append(t.typ, p...)
	head := len(t.typ)
	t.typ = nil
	n, err := t.SendStream.Write(first)
	return max(0, n-head), err
}

func (t *typedStream) Close() error {
	if t.typ != nil {
		if _, err := t.Write(nil); err != nil {
			return err
		}
	}
	return t.SendStream.Close()
}

// serveExtension gives a stream of the peer whose type the draft does not have to
// the extension it belongs to. It returns unknown if there is none that both ends
// have offered.
func (s *Session) serveExtension(st *timedStream, r *wire.Reader, typ uint64, unknown error) error {
	i := slices.IndexFunc(s.cfg.Extensions, func(e Extension) bool { return slices.Contains(e.Streams, typ) })
	if i < 0 {
		return unknown
	}
	// The peer may have read our SETUP before we read its.
	select {
	case <-s.begun:
	case <-s.ctx.Done():
		return nil
	}
	e := &s.cfg.Extensions[i]
	if !s.Agreed(e.Option.Type) {
		return unknown
	}
	st.SetReadDeadline(time.Time{}) // that of the type
	st.armed = false
	return e.Serve(s, typ, &extensionStream{st, r})
}

// extensionStream is a stream of which some bytes have been read ahead, and whose
// deadlines are its reader's business.
type extensionStream struct {
	*timedStream
	r *wire.Reader
}

func (e *extensionStream) Read(p []byte) (int, error) {
	e.next(false)
	return e.r.Read(p)
}

// ExportKeyingMaterial returns bytes that only the two ends of this connection
// know, from its TLS (RFC 5705, RFC 9266). It fails where the connection has none.
func (s *Session) ExportKeyingMaterial(label string, context []byte, length int) ([]byte, error) {
	e, ok := plainConn(s.conn).(interface {
		ExportKeyingMaterial(label string, context []byte, length int) ([]byte, error)
	})
	if !ok {
		return nil, errors.New("moqt: the connection has no keying material to export")
	}
	return e.ExportKeyingMaterial(label, context, length)
}

// plainConn returns the connection inside those that only change what is said on
// it.
func plainConn(c Conn) Conn {
	for {
		switch outer := c.(type) {
		case *codedConn:
			c = outer.Conn
		case *guess:
			c = outer.Conn
		default:
			return c
		}
	}
}
