package transport

import (
	"context"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// outgoing is a message to be written.
type outgoing struct {
	msg     wire.Message
	b       []byte // the same, encoded
	written func() // called then, if not nil
}

// add queues a message for the control stream.
func (m *mux) add(msg wire.Message, b []byte, written func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.addLocked(msg, b, written)
}

// addLocked is add. What waits is bounded by the requests of both ends: a peer
// that does not read gets no more credit either, and has MessageTimeout.
func (m *mux) addLocked(msg wire.Message, b []byte, written func()) {
	m.out = append(m.out, outgoing{msg, b, written})
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// wait waits until out is closed: what it was added with is written.
func (m *mux) wait(ctx context.Context, out <-chan struct{}) error {
	select {
	case <-out:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-m.s.ctx.Done():
		return m.s.cause()
	}
}

// send writes a message that belongs to no request.
func (m *mux) send(msg wire.Message) error {
	b, err := m.s.profile.AppendMessage(nil, msg)
	if err != nil {
		return err
	}
	out := make(chan struct{})
	m.add(msg, b, func() { close(out) })
	return m.wait(m.s.ctx, out)
}

// writeAll writes what is added, in that order, until the session ends.
func (m *mux) writeAll() {
	s := m.s
	for {
		select {
		case <-m.wake:
		case <-s.ctx.Done():
			return
		}
		m.mu.Lock()
		queue := m.out
		m.out = nil
		m.mu.Unlock()
		var b []byte
		for _, o := range queue {
			s.trace.sent(s.profile, m.on.st, 0, o.msg, o.b)
			b = append(b, o.b...)
		}
		m.on.st.SetWriteDeadline(s.messageDeadline())
		switch _, err := m.on.st.Write(b); {
		case err == nil:
		case isTimeout(err):
			s.fail(moqt.SessionControlMessageTimeout, "messages on the control stream were not taken within %v", s.cfg.Limits.MessageTimeout)
			return
		case isStream(err):
			s.fail(moqt.SessionProtocolViolation, "control stream stopped")
			return
		default:
			s.end(err)
			return
		}
		for _, o := range queue {
			if o.written != nil {
				o.written()
			}
		}
	}
}
