package transporttest

import (
	"context"
	"errors"
	"io"
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

func second[T any](_ T, err error) error { return err }
