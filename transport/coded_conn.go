package transport

import (
	"context"
	"errors"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// codedConn translates the codes that streams are cancelled with, for drafts
// that number them in another way than package moqt.
type codedConn struct {
	Conn
	p *wire.Profile
}

func (c *codedConn) OpenStream(ctx context.Context) (Stream, error) {
	st, err := c.Conn.OpenStream(ctx)
	if err != nil {
		return nil, err
	}
	return &codedStream{codedSend{st, c.p}, codedReceive{st, c.p}}, nil
}

func (c *codedConn) AcceptStream(ctx context.Context) (Stream, error) {
	st, err := c.Conn.AcceptStream(ctx)
	if err != nil {
		return nil, err
	}
	return &codedStream{codedSend{st, c.p}, codedReceive{st, c.p}}, nil
}

func (c *codedConn) OpenUniStream(ctx context.Context) (SendStream, error) {
	st, err := c.Conn.OpenUniStream(ctx)
	if err != nil {
		return nil, err
	}
	return &codedSend{st, c.p}, nil
}

func (c *codedConn) AcceptUniStream(ctx context.Context) (ReceiveStream, error) {
	st, err := c.Conn.AcceptUniStream(ctx)
	if err != nil {
		return nil, err
	}
	return &codedReceive{st, c.p}, nil
}

type codedStream struct {
	codedSend
	codedReceive
}

type codedSend struct {
	SendStream
	p *wire.Profile
}

func (s *codedSend) Write(b []byte) (int, error) {
	n, err := s.SendStream.Write(b)
	return n, decoded(s.p, err)
}

func (s *codedSend) CancelWrite(code moqt.StreamCode) {
	s.SendStream.CancelWrite(moqt.StreamCode(s.p.StreamNumber(code)))
}

type codedReceive struct {
	ReceiveStream
	p *wire.Profile
}

func (s *codedReceive) Read(b []byte) (int, error) {
	n, err := s.ReceiveStream.Read(b)
	return n, decoded(s.p, err)
}

func (s *codedReceive) CancelRead(code moqt.StreamCode) {
	s.ReceiveStream.CancelRead(moqt.StreamCode(s.p.StreamNumber(code)))
}

// StreamID is for a trace.
func (s *codedSend) StreamID() uint64    { return streamID(s.SendStream) }
func (s *codedReceive) StreamID() uint64 { return streamID(s.ReceiveStream) }
func (s *codedStream) StreamID() uint64  { return s.codedSend.StreamID() }

// decoded returns err with the code that its number means.
func decoded(p *wire.Profile, err error) error {
	if err == nil {
		return nil
	}
	var se *StreamError
	if !errors.As(err, &se) {
		return err
	}
	return &StreamError{Code: p.StreamCode(uint64(se.Code)), Remote: se.Remote}
}
