package transport

import (
	"context"
	"errors"
	"io"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// lane carries the messages of one request in both directions: a bidirectional
// stream of its own, or, in drafts whose requests share one, a part of the
// control stream. Each half ends by itself, as those of a stream do; where the
// draft has a message for such an end, the lane sends or understands it.
type lane interface {
	// read waits for the peer's next message, by one goroutine at a time. It
	// returns io.EOF after the last one, [*StreamError] if either side has
	// cancelled that half, and otherwise what ended the session or is to end it.
	read(on wire.On) (wire.Message, error)
	// write sends m, which b is the encoding of, and returns when it is out or
	// ctx has ended. Calls do not overlap.
	write(ctx context.Context, m wire.Message, b []byte) error
	closeWrite()
	cancelWrite(code moqt.StreamCode)
	cancelRead(code moqt.StreamCode)
	// writing ends when our half has: closed, cancelled, or stopped by the peer,
	// which is how a subscriber cancels.
	writing() context.Context
	// stopped returns the error with which the peer has stopped our half, if it
	// has. It is called when writing has ended.
	stopped() error
}

// streamLane is a request's own stream.
type streamLane struct {
	s   *Session
	st  Stream
	src *timedStream
	r   *wire.Reader // of src

	opened bool   // by the message with the request's id; kept for the trace only
	id     uint64 // of the request
}

// newStreamLane returns the lane of a stream that this end or the peer opened.
func (s *Session) newStreamLane(st Stream, ours bool) *streamLane {
	st.SetPriority(levelControl, true)
	src := timed(st, s.cfg.Limits.MessageTimeout)
	src.next(!ours) // the peer's begins with a message, our answer may be long in coming
	return &streamLane{s: s, st: st, src: src, r: wire.NewReader(src)}
}

func (l *streamLane) read(on wire.On) (wire.Message, error) {
	if on.Request != wire.KindNone { // the first message may be there before SETUP
		on.LongLocation = quirksOf(l.s.peerSetup.Implementation).longLargest
	}
	m, err := l.s.profile.ReadMessage(l.r, on)
	switch {
	case isTimeout(err):
		return nil, l.s.messageTooLate()
	case err != nil:
		return nil, err
	}
	l.src.next(l.r.Buffered() > 0)
	l.s.trace.opens(l, true, m)
	l.s.trace.read(l.src, l.r, l.id, m)
	if update, ok := m.(*wire.RequestUpdate); ok {
		return m, l.s.takeID(update.RequestID)
	}
	return m, nil
}

func (l *streamLane) write(_ context.Context, m wire.Message, b []byte) error {
	l.s.trace.opens(l, false, m)
	l.s.trace.sent(l.s.profile, l.st, l.id, m, b)
	l.st.SetWriteDeadline(l.s.messageDeadline())
	_, err := l.st.Write(b)
	return err
}

func (l *streamLane) closeWrite()                      { l.st.Close() }
func (l *streamLane) cancelWrite(code moqt.StreamCode) { l.st.CancelWrite(code) }
func (l *streamLane) cancelRead(code moqt.StreamCode)  { l.st.CancelRead(code) }
func (l *streamLane) writing() context.Context         { return l.st.Context() }

func (l *streamLane) stopped() error {
	_, err := l.st.Write(nil) // fails with the peer's code
	var se *StreamError
	if errors.As(err, &se) && se.Remote {
		return se
	}
	return nil
}

// silentLane is that of a request which shares another one's, and its answer.
// Nothing goes out by it, and nothing comes.
type silentLane struct{}

func (silentLane) read(wire.On) (wire.Message, error)                { return nil, io.EOF }
func (silentLane) write(context.Context, wire.Message, []byte) error { return nil }
func (silentLane) closeWrite()                                       {}
func (silentLane) cancelWrite(moqt.StreamCode)                       {}
func (silentLane) cancelRead(moqt.StreamCode)                        {}
func (silentLane) writing() context.Context                          { return context.Background() }
func (silentLane) stopped() error                                    { return nil }
