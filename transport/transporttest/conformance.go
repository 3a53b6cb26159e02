package transporttest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// TestConn checks that the connections newPair returns behave as
// [transport.Conn] says. Every check runs in a bubble and with a pair of its
// own; the bubble does not end while a goroutine of the pair does not.
func TestConn(t *testing.T, newPair func(t *testing.T) (client, server transport.Conn)) {
	for _, tt := range []struct {
		name string
		test func(t *testing.T, a, b transport.Conn)
	}{
		{"uni stream", testUniStream},
		{"bidi stream", testBidiStream},
		{"reset uni", testResetUni},
		{"reset bidi", testResetBidi},
		{"reset without a byte", testResetEmpty},
		{"reliable boundary", testReliableBoundary},
		{"stop uni", testStopUni},
		{"stop bidi", testStopBidi},
		{"close", testClose},
		{"close ends what waits", testCloseEndsWaits},
		{"close ends what waits to open", testCloseEndsOpens},
		{"context ends what waits", testContext},
		{"deadlines", testDeadlines},
		{"use after the end", testUseAfterEnd},
		{"datagrams", testDatagrams},
		{"priority", testPriority},
		{"back-pressure", testBackPressure},
		{"large transfer", testLargeTransfer},
		{"many streams", testManyStreams},
		{"stream limit", testStreamLimit},
	} {
		for _, way := range []string{"client to server", "server to client"} {
			t.Run(tt.name+"/"+way, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					client, server := newPair(t)
					if !client.Info().Client || server.Info().Client {
						t.Fatalf("Info().Client = %v, %v, want true, false", client.Info().Client, server.Info().Client)
					}
					if client.Info().Version == 0 || client.Info().Version != server.Info().Version {
						t.Fatalf("Info().Version = %v, %v, want the same", client.Info().Version, server.Info().Version)
					}
					stuck := time.AfterFunc(10*time.Minute, func() {
						t.Error("stuck for ten minutes; closing")
						client.CloseWithError(moqt.SessionInternalError, "stuck")
						server.CloseWithError(moqt.SessionInternalError, "stuck")
					})
					defer stuck.Stop()
					if way == "client to server" {
						tt.test(t, client, server)
					} else {
						tt.test(t, server, client)
					}
					client.CloseWithError(moqt.SessionNoError, "")
					server.CloseWithError(moqt.SessionNoError, "")
				})
			})
		}
	}
}

// openUni opens a stream at a, writes first to it, and accepts it at b, where it
// reads that.
func openUni(t *testing.T, a, b transport.Conn, first string) (transport.SendStream, transport.ReceiveStream) {
	t.Helper()
	s, err := a.OpenUniStream(t.Context())
	if err != nil {
		t.Fatalf("OpenUniStream: %v", err)
	}
	write(t, s, first)
	r, err := b.AcceptUniStream(t.Context())
	if err != nil {
		t.Fatalf("AcceptUniStream: %v", err)
	}
	expect(t, r, first)
	return s, r
}

// openBidi is openUni for a bidirectional stream.
func openBidi(t *testing.T, a, b transport.Conn, first string) (opened, accepted transport.Stream) {
	t.Helper()
	s, err := a.OpenStream(t.Context())
	if err != nil {
		t.Fatalf("OpenStream: %v", err)
	}
	write(t, s, first)
	r, err := b.AcceptStream(t.Context())
	if err != nil {
		t.Fatalf("AcceptStream: %v", err)
	}
	expect(t, r, first)
	return s, r
}

func write(t *testing.T, w io.Writer, s string) {
	t.Helper()
	if n, err := w.Write([]byte(s)); n != len(s) || err != nil {
		t.Fatalf("Write(%q) = %d, %v", s, n, err)
	}
}

func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if _, err := io.ReadFull(r, b); err != nil || string(b) != want {
		t.Fatalf("Read = %q, %v, want %q", b, err, want)
	}
}

func expectEOF(t *testing.T, r io.Reader) {
	t.Helper()
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("Read = %d, %v, want EOF", n, err)
	}
}

// expectStream checks that err is a StreamError.
func expectStream(t *testing.T, what string, err error, code moqt.StreamCode, remote bool) {
	t.Helper()
	if e, ok := errors.AsType[*transport.StreamError](err); !ok || e.Code != code || e.Remote != remote {
		t.Errorf("%s = %v (%T), want StreamError{%v, Remote: %v}", what, err, err, code, remote)
	}
}

// expectSession checks that err is a SessionError.
func expectSession(t *testing.T, what string, err error, code moqt.SessionCode, reason string, remote bool) {
	t.Helper()
	if e, ok := errors.AsType[*transport.SessionError](err); !ok || e.Code != code || e.Reason != reason || e.Remote != remote {
		t.Errorf("%s = %v (%T), want SessionError{%v, %q, Remote: %v}", what, err, err, code, reason, remote)
	}
}

func expectDone(t *testing.T, what string, ctx context.Context) {
	t.Helper()
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
		t.Errorf("the context of %s is not cancelled", what)
	}
}

// readEnd reads until the stream ends and returns what there was, and how.
func readEnd(r io.Reader) (string, error) {
	b, err := io.ReadAll(r)
	if err == nil {
		err = io.EOF
	}
	return string(b), err
}

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

func testClose(t *testing.T, a, b transport.Conn) {
	const code, reason = moqt.SessionProtocolViolation, "the reason, in words"
	if err := errors.Join(a.Context().Err(), b.Context().Err()); err != nil {
		t.Fatalf("contexts of open connections: %v", err)
	}
	start := time.Now()
	a.CloseWithError(code, reason)
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("CloseWithError took %v", d)
	}
	a.CloseWithError(moqt.SessionNoError, "only the first counts")
	expectDone(t, "the closing end", a.Context())
	expectSession(t, "cause at the closing end", context.Cause(a.Context()), code, reason, false)
	expectDone(t, "the other end", b.Context())
	expectSession(t, "cause at the other end", context.Cause(b.Context()), code, reason, true)
	b.CloseWithError(moqt.SessionNoError, "too late")
	expectSession(t, "cause at the other end", context.Cause(b.Context()), code, reason, true)
}

func testCloseEndsWaits(t *testing.T, a, b transport.Conn) {
	const code, reason = moqt.SessionGoawayTimeout, "enough"
	type failure struct {
		call string
		err  error
	}
	failed := make(chan failure, 12)
	start := func(here transport.Conn, bidi transport.Stream, uni transport.ReceiveStream, busy transport.SendStream) {
		for call, f := range map[string]func() error{
			"AcceptStream":    func() error { return second(here.AcceptStream(t.Context())) },
			"AcceptUniStream": func() error { return second(here.AcceptUniStream(t.Context())) },
			"ReceiveDatagram": func() error { return second(here.ReceiveDatagram(t.Context())) },
			"Read bidi":       func() error { return second(bidi.Read(make([]byte, 1))) },
			"Read uni":        func() error { return second(uni.Read(make([]byte, 1))) },
			"Write":           func() error { return second(busy.Write(make([]byte, 64<<20))) },
		} {
			go func() { failed <- failure{call, f()} }()
		}
	}
	bidiA, bidiB := openBidi(t, a, b, "x")
	busyA, _ := openUni(t, a, b, "x") // nobody reads it
	busyB, _ := openUni(t, b, a, "x")
	_, quietA := openUni(t, b, a, "x")
	_, quietB := openUni(t, a, b, "x")
	start(a, bidiA, quietA, busyA)
	start(b, bidiB, quietB, busyB)
	time.Sleep(5 * time.Second)
	if len(failed) > 0 {
		t.Fatalf("%v before the close", <-failed)
	}
	a.CloseWithError(code, reason)
	for range cap(failed) {
		f := <-failed
		e, ok := errors.AsType[*transport.SessionError](f.err)
		if !ok || e.Code != code || e.Reason != reason {
			t.Errorf("%s = %v (%T), want %v %q", f.call, f.err, f.err, code, reason)
		}
	}
}

// testCloseEndsOpens has calls wait for the peer's limit of streams.
func testCloseEndsOpens(t *testing.T, a, b transport.Conn) {
	const code, reason = moqt.SessionGoawayTimeout, "enough"
	failed := make(chan error, 4)
	for _, c := range []transport.Conn{a, b} {
		for _, open := range []func() (io.Writer, error){
			func() (io.Writer, error) { return c.OpenStream(t.Context()) },
			func() (io.Writer, error) { return c.OpenUniStream(t.Context()) },
		} {
			go func() {
				for {
					s, err := open()
					if err == nil {
						_, err = s.Write([]byte("x"))
					}
					if err != nil {
						failed <- err
						return
					}
				}
			}()
		}
	}
	time.Sleep(5 * time.Second)
	if len(failed) > 0 {
		t.Fatalf("%v before the close", <-failed)
	}
	a.CloseWithError(code, reason)
	for range 4 {
		err := <-failed
		e, ok := errors.AsType[*transport.SessionError](err)
		if !ok || e.Code != code || e.Reason != reason {
			t.Errorf("open = %v (%T), want %v %q", err, err, code, reason)
		}
	}
}

func testContext(t *testing.T, a, _ transport.Conn) {
	why := errors.New("changed my mind")
	for name, call := range map[string]func(context.Context) error{
		"AcceptStream":    func(ctx context.Context) error { _, err := a.AcceptStream(ctx); return err },
		"AcceptUniStream": func(ctx context.Context) error { _, err := a.AcceptUniStream(ctx); return err },
		"ReceiveDatagram": func(ctx context.Context) error { _, err := a.ReceiveDatagram(ctx); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		start := time.Now()
		if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s = %v, want the context's deadline", name, err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("%s took %v, want 1s", name, d)
		}
		cancel()
		ctx2, cancel2 := context.WithCancelCause(t.Context())
		cancel2(why)
		if err := call(ctx2); !errors.Is(err, context.Canceled) && !errors.Is(err, why) {
			t.Errorf("%s = %v, want the context's error", name, err)
		}
	}
	if err := a.Context().Err(); err != nil {
		t.Errorf("connection ended: %v", context.Cause(a.Context()))
	}
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

func second[T any](_ T, err error) error { return err }

func testDatagrams(t *testing.T, a, b transport.Conn) {
	buf := make([]byte, 1000)
	for i := range 20 {
		for j := range buf {
			buf[j] = byte(i)
		}
		if err := a.SendDatagram(buf[:1000-i]); err != nil {
			t.Fatalf("SendDatagram: %v", err)
		}
	}
	clear(buf) // SendDatagram does not keep it
	for i := range 20 {
		d, err := b.ReceiveDatagram(t.Context())
		if err != nil {
			t.Fatalf("ReceiveDatagram: %v", err)
		}
		if want := bytes.Repeat([]byte{byte(i)}, 1000-i); !bytes.Equal(d, want) {
			t.Errorf("datagram %d: %d bytes %x…, want %d bytes %x…", i, len(d), d[:4], len(want), want[:4])
		}
	}
	if err := a.SendDatagram(make([]byte, 10_000)); err == nil {
		t.Error("SendDatagram of 10,000 bytes succeeded")
	}
	// One that has nobody to take it does no harm.
	for range 1000 {
		if err := a.SendDatagram(buf[:100]); err != nil {
			t.Fatalf("SendDatagram: %v", err)
		}
	}
	s, r := openUni(t, a, b, "stream")
	s.Close()
	expectEOF(t, r)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	received := 0
	for {
		if _, err := b.ReceiveDatagram(ctx); err != nil {
			break
		}
		received++
	}
	if received == 0 || received > 500 {
		t.Errorf("%d of 1000 datagrams waited for their receiver, want a bounded queue", received)
	}
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

func testBackPressure(t *testing.T, a, b transport.Conn) {
	s, r := openUni(t, a, b, "x")
	s.SetWriteDeadline(time.Now().Add(10 * time.Second))
	n, err := io.Copy(s, io.LimitReader(zeros{}, 64<<20))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("wrote %d bytes that nobody reads, %v; want to be held up", n, err)
	}
	// The others are not held up by it.
	other, otherRead := openUni(t, a, b, "other")
	other.Close()
	expectEOF(t, otherRead)
	s.CancelWrite(moqt.StreamCancelled)
	_, err = readEnd(r)
	expectStream(t, "Read of the reset stream", err, moqt.StreamCancelled, true)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func testLargeTransfer(t *testing.T, a, b transport.Conn) {
	s, r := openUni(t, a, b, "x")
	const size = 4 << 20
	sum := make(chan [32]byte, 1)
	go func() {
		h := sha256.New()
		p := make([]byte, 7919)
		for n := 0; n < size; n += len(p) {
			for i := range p {
				p[i] = byte(n + i*i>>4)
			}
			h.Write(p)
			if _, err := s.Write(p); err != nil {
				t.Errorf("Write: %v", err)
				break
			}
			clear(p) // Write does not keep it
		}
		s.Close()
		sum <- [32]byte(h.Sum(nil))
	}()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil || n < size {
		t.Errorf("read %d bytes, %v, want at least %d", n, err, size)
	}
	if got, want := [32]byte(h.Sum(nil)), <-sum; got != want {
		t.Errorf("read %x, want %x", got[:4], want[:4])
	}
	if st := a.Stats(); st.BytesSent < uint64(n) {
		t.Errorf("Stats() = %+v, want %d bytes sent or more", st, n)
	}
	if st := b.Stats(); st.BytesReceived < uint64(n) {
		t.Errorf("Stats() = %+v, want %d bytes received or more", st, n)
	}
}

func testManyStreams(t *testing.T, a, b transport.Conn) {
	const unis, bidis = 1500, 400 // more than may be open at once
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range unis {
			s, err := a.OpenUniStream(t.Context())
			if err != nil {
				t.Errorf("OpenUniStream: %v", err)
				return
			}
			fmt.Fprintf(s, "stream %d", i)
			s.Close()
		}
	})
	seen := make(map[string]bool)
	wg.Go(func() {
		for range unis {
			r, err := b.AcceptUniStream(t.Context())
			if err != nil {
				t.Errorf("AcceptUniStream: %v", err)
				return
			}
			got, err := readEnd(r)
			if err != io.EOF {
				t.Errorf("Read: %v", err)
			}
			seen[got] = true
		}
	})
	wg.Go(func() { // the other end echoes
		for range bidis {
			s, err := b.AcceptStream(t.Context())
			if err != nil {
				t.Errorf("AcceptStream: %v", err)
				return
			}
			wg.Go(func() {
				io.Copy(s, s)
				s.Close()
			})
		}
	})
	for i := range bidis {
		s, err := a.OpenStream(t.Context())
		if err != nil {
			t.Fatalf("OpenStream: %v", err)
		}
		wg.Go(func() {
			want := fmt.Sprintf("request %d", i)
			io.WriteString(s, want)
			s.Close()
			if got, err := readEnd(s); got != want || err != io.EOF {
				t.Errorf("echo = %q, %v, want %q", got, err, want)
			}
		})
	}
	wg.Wait()
	if len(seen) != unis {
		t.Errorf("%d different streams arrived, want %d", len(seen), unis)
	}
}

func testStreamLimit(t *testing.T, a, b transport.Conn) {
	open := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s, err := a.OpenUniStream(ctx)
		if err == nil {
			write(t, s, "x")
			s.Close()
		}
		return err
	}
	n := 0
	var err error
	for err == nil && n < 10_000 {
		if err = open(); err == nil {
			n++
		}
	}
	if !errors.Is(err, context.DeadlineExceeded) || n < 100 {
		t.Fatalf("opening the %dth stream that nobody reads: %v, want to wait", n+1, err)
	}
	done := make(chan error, 1)
	go func() {
		s, err := a.OpenUniStream(t.Context())
		if err == nil {
			write(t, s, "last")
			s.Close()
		}
		done <- err
	}()
	for range n {
		r, err := b.AcceptUniStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readEnd(r); got != "x" || err != io.EOF {
			t.Fatalf("Read = %q, %v", got, err)
		}
	}
	if err := <-done; err != nil {
		t.Fatalf("OpenUniStream after room was made: %v", err)
	}
	r, err := b.AcceptUniStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readEnd(r); got != "last" || err != io.EOF {
		t.Fatalf("Read = %q, %v, want last", got, err)
	}
}
