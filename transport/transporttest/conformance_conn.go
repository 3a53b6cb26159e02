package transporttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

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
