package transporttest

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

func testUniStream(t *testing.T, a, b transport.Conn) {
	s, r := openUni(t, a, b, "header")
	write(t, s, " and payload")
	if err := s.Context().Err(); err != nil {
		t.Errorf("context of an open stream: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	expectDone(t, "a closed stream", s.Context())
	expect(t, r, " and payload")
	expectEOF(t, r)
	expectEOF(t, r)
	if _, err := s.Write([]byte("late")); err == nil {
		t.Error("Write after Close succeeded")
	}

	// A stream that is closed without a byte arrives too.
	s, err := a.OpenUniStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if r, err = b.AcceptUniStream(t.Context()); err != nil {
		t.Fatal(err)
	}
	expectEOF(t, r)
}

func testBidiStream(t *testing.T, a, b transport.Conn) {
	opened, accepted := openBidi(t, a, b, "request")
	write(t, accepted, "answer")
	expect(t, opened, "answer")
	write(t, opened, "update")
	opened.Close()
	expect(t, accepted, "update")
	expectEOF(t, accepted)
	write(t, accepted, "last word")
	if err := accepted.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	expect(t, opened, "last word")
	expectEOF(t, opened)
}

func testResetUni(t *testing.T, a, b transport.Conn) {
	// 30 and up shows the holes in WebTransport's range of codes.
	for _, code := range []moqt.StreamCode{moqt.StreamInternalError, moqt.StreamDeliveryTimeout, 29, 30, 31, 60, 61, 1000, 1 << 31} {
		s, r := openUni(t, a, b, "header")
		s.CancelWrite(code)
		s.CancelWrite(code + 1) // the first counts
		expectDone(t, "a reset stream", s.Context())
		_, err := s.Write([]byte("late"))
		expectStream(t, "Write after CancelWrite", err, code, false)
		_, err = readEnd(r)
		expectStream(t, "Read of a reset stream", err, code, true)
		r.CancelRead(moqt.StreamCancelled)
	}
}

func testResetBidi(t *testing.T, a, b transport.Conn) {
	opened, accepted := openBidi(t, a, b, "request")
	opened.CancelWrite(moqt.StreamCancelled)
	_, err := readEnd(accepted)
	expectStream(t, "Read at the accepting end", err, moqt.StreamCancelled, true)
	write(t, accepted, "still here")
	expect(t, opened, "still here")
	accepted.CancelWrite(moqt.StreamExcessiveLoad)
	_, err = readEnd(opened)
	expectStream(t, "Read at the opening end", err, moqt.StreamExcessiveLoad, true)
	_, err = accepted.Write([]byte("late"))
	expectStream(t, "Write at the accepting end", err, moqt.StreamExcessiveLoad, false)
}

// testResetEmpty resets streams on which nothing was sent: the peer learns of
// them all the same.
func testResetEmpty(t *testing.T, a, b transport.Conn) {
	s, err := a.OpenUniStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.CancelWrite(moqt.StreamGoingAway)
	r, err := b.AcceptUniStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = readEnd(r)
	expectStream(t, "Read of the unidirectional stream", err, moqt.StreamGoingAway, true)
	bidi, err := a.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bidi.CancelWrite(moqt.StreamTooFarBehind)
	accepted, err := b.AcceptStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = readEnd(accepted)
	expectStream(t, "Read of the bidirectional stream", err, moqt.StreamTooFarBehind, true)
	write(t, accepted, "answer")
	expect(t, bidi, "answer")
}

func testReliableBoundary(t *testing.T, a, b transport.Conn) {
	s, err := a.OpenUniStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, "header")
	s.SetReliableBoundary()
	write(t, s, "payload")
	s.CancelWrite(moqt.StreamDeliveryTimeout)
	r, err := b.AcceptUniStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, r, "header")
	_, err = readEnd(r)
	expectStream(t, "Read after the boundary", err, moqt.StreamDeliveryTimeout, true)
}

func testStopUni(t *testing.T, a, b transport.Conn) {
	for _, code := range []moqt.StreamCode{moqt.StreamInternalError, moqt.StreamTooFarBehind, 30, 1 << 31} {
		s, r := openUni(t, a, b, "header")
		r.CancelRead(code)
		_, err := r.Read(make([]byte, 1))
		expectStream(t, "Read after CancelRead", err, code, false)
		expectDone(t, "a stopped stream", s.Context())
		_, err = s.Write([]byte("late"))
		expectStream(t, "Write to a stopped stream", err, code, true)
		s.CancelWrite(moqt.StreamCancelled)
	}

	// A writer that waits for room is told, too.
	s, r := openUni(t, a, b, "header")
	done := make(chan error, 1)
	go func() {
		_, err := s.Write(make([]byte, 64<<20))
		done <- err
	}()
	time.Sleep(5 * time.Second)
	select {
	case err := <-done:
		t.Errorf("Write of 64 MiB that nobody reads = %v, want it to wait", err)
	default:
	}
	r.CancelRead(moqt.StreamGoingAway)
	expectStream(t, "waiting Write", <-done, moqt.StreamGoingAway, true)
}

func testStopBidi(t *testing.T, a, b transport.Conn) {
	opened, accepted := openBidi(t, a, b, "request")
	accepted.CancelRead(moqt.StreamCancelled)
	expectDone(t, "the opening end", opened.Context())
	_, err := opened.Write([]byte("late"))
	expectStream(t, "Write at the opening end", err, moqt.StreamCancelled, true)
	write(t, accepted, "still here")
	expect(t, opened, "still here")
	opened.CancelRead(moqt.StreamTooFarBehind)
	expectDone(t, "the accepting end", accepted.Context())
	_, err = accepted.Write([]byte("late"))
	expectStream(t, "Write at the accepting end", err, moqt.StreamTooFarBehind, true)
}

func testDeadlines(t *testing.T, a, b transport.Conn) {
	s, r := openUni(t, a, b, "header")
	start := time.Now()
	r.SetReadDeadline(start.Add(time.Second))
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read = %v, want a deadline exceeded", err)
	}
	if d := time.Since(start); d != time.Second {
		t.Errorf("Read took %v, want 1s", d)
	}
	go func() { // a deadline in the past ends a Read that waits
		time.Sleep(time.Second)
		r.SetReadDeadline(time.Now().Add(-time.Second))
	}()
	r.SetReadDeadline(time.Time{})
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read = %v, want a deadline exceeded", err)
	}
	r.SetReadDeadline(time.Time{})
	write(t, s, "more")
	expect(t, r, "more")

	start = time.Now()
	s.SetWriteDeadline(start.Add(5 * time.Second))
	n, err := s.Write(make([]byte, 64<<20))
	if !errors.Is(err, os.ErrDeadlineExceeded) || n == 64<<20 {
		t.Errorf("Write = %d, %v, want a deadline exceeded", n, err)
	}
	if d := time.Since(start); d != 5*time.Second {
		t.Errorf("Write took %v, want 5s", d)
	}
	s.SetWriteDeadline(time.Time{})
	go func() {
		s.Write([]byte("end"))
		s.Close()
	}()
	got, err := readEnd(r)
	if err != io.EOF || len(got) != n+3 || got[n:] != "end" {
		t.Errorf("read %d bytes, %v, want the %d that were written and the end", len(got), err, n)
	}
}

func testUseAfterEnd(t *testing.T, a, b transport.Conn) {
	s, r := openUni(t, a, b, "x")
	s.Close()
	if _, err := s.Write([]byte("late")); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Write after Close = %v, want ErrClosed", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
	s.SetPriority(1, false)
	s.SetReliableBoundary()
	expectEOF(t, r)
	r.CancelRead(moqt.StreamCancelled) // nothing left to cancel
	expectEOF(t, r)

	bidi, _ := openBidi(t, a, b, "x")
	a.CloseWithError(moqt.SessionUnauthorized, "go")
	for name, err := range map[string]error{
		"OpenStream":      second(a.OpenStream(t.Context())),
		"OpenUniStream":   second(a.OpenUniStream(t.Context())),
		"AcceptStream":    second(a.AcceptStream(t.Context())),
		"AcceptUniStream": second(a.AcceptUniStream(t.Context())),
		"ReceiveDatagram": second(a.ReceiveDatagram(t.Context())),
		"SendDatagram":    a.SendDatagram([]byte("x")),
		"Read":            second(bidi.Read(make([]byte, 1))),
		"Write":           second(bidi.Write(make([]byte, 1))),
	} {
		expectSession(t, name+" after CloseWithError", err, moqt.SessionUnauthorized, "go", false)
	}
	bidi.CancelRead(moqt.StreamCancelled)
	bidi.CancelWrite(moqt.StreamCancelled)
	bidi.Close()
}

func testPriority(t *testing.T, a, b transport.Conn) {
	opened, accepted := openBidi(t, a, b, "request")
	s, r := openUni(t, a, b, "header")
	for _, x := range []transport.SendStream{opened, accepted, s} {
		for urgency := int8(-1); urgency <= 8; urgency++ { // beyond 0 to 7, the nearest
			x.SetPriority(urgency, urgency%2 == 0)
			write(t, x, "x")
		}
		x.Close()
	}
	for _, x := range []transport.ReceiveStream{accepted, opened, r} {
		if got, err := readEnd(x); got != "xxxxxxxxxx" || err != io.EOF {
			t.Errorf("read %q, %v, want ten x", got, err)
		}
	}
}
