package transport

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/tributary-live/tributary/transport/moqt"
)

// SendPadding sends n bytes, after the type that says what they are, on a stream
// of its own, behind all objects: to learn what the path carries beyond what
// there is to send. The peer discards it. It blocks until the transport has taken
// all, and gives up when ctx ends. It fails where the draft has no padding.
// (MOQT draft-18, "Padding Streams")
func (s *Session) SendPadding(ctx context.Context, n int64) error {
	if !s.profile.Padding() {
		return s.noPadding()
	}
	opened, err := s.conn.OpenUniStream(ctx)
	if err != nil {
		return s.sessionOr(ctx, err)
	}
	last := schedKey{sub: 255, pub: 255, track: 1<<64 - 1}
	st := s.sched.add(opened, func() schedKey { return last })
	defer context.AfterFunc(ctx, func() { st.CancelWrite(moqt.StreamCancelled) })()
	_, err = st.Write(s.profile.AppendPaddingStream(nil))
	for zeros := make([]byte, max(0, min(n, 16<<10))); err == nil && n > 0; n -= int64(len(zeros)) {
		_, err = st.Write(zeros[:min(n, int64(len(zeros)))])
	}
	if err == nil {
		err = st.Close()
	}
	if err != nil {
		return s.sessionOr(ctx, err)
	}
	return nil
}

// SendPaddingDatagram sends a datagram of n bytes, or of the few more that its
// type takes, which the peer discards. It fails where the draft has no padding,
// and if the path does not take datagrams of that size.
// (MOQT draft-18, "Padding Datagrams")
func (s *Session) SendPaddingDatagram(n int) error {
	if !s.profile.Padding() {
		return s.noPadding()
	}
	b := s.profile.AppendPaddingDatagram(nil)
	b = append(b, make([]byte, max(0, n-len(b)))...)
	if err := s.conn.SendDatagram(b); err != nil {
		return s.sessionOr(s.ctx, err)
	}
	return nil
}

func (s *Session) noPadding() error { return fmt.Errorf("moqt: %v has no padding", s.info.Version) }

// greaseOption returns a setup option that means nothing, so that peers do not
// forget to ignore what they do not know. ("Grease")
func greaseOption() moqt.Property {
	o := moqt.Property{Type: 0x7f*rand.Uint64N(64) + 0x9d}
	if o.Type%2 == 0 {
		o.Value = rand.Uint64N(1 << 14)
	} else {
		o.Bytes = make([]byte, rand.IntN(8))
	}
	return o
}
