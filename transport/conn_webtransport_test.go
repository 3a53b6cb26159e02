package transport_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// What is urgent overtakes what is not, over WebTransport as over raw QUIC.
func TestPriorityOvertakes(t *testing.T) {
	for name, pair := range map[string]func(testing.TB, *netsim.Link, ...moqt.Version) (client, server transport.Conn){
		"quic": transporttest.QUICPair, "webtransport": transporttest.WebTransportPair,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				link := netsim.New(t).Link(netsim.Rate(10*netsim.Mbit), netsim.Delay(10*time.Millisecond))
				client, server := pair(t, link)
				send := func(size int, urgency int8) {
					s, err := server.OpenUniStream(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					s.SetPriority(urgency, true)
					go func() {
						s.Write(make([]byte, size))
						s.Close()
					}()
				}
				receive := func() <-chan int64 {
					n := make(chan int64, 1)
					r, err := client.AcceptUniStream(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					go func() {
						m, _ := io.Copy(io.Discard, r)
						n <- m
					}()
					return n
				}
				var bulk []<-chan int64
				for range 4 {
					send(3_000_000, 6)
					bulk = append(bulk, receive())
				}
				time.Sleep(500 * time.Millisecond)
				start := time.Now()
				send(300_000, 0)
				if n := <-receive(); n != 300_000 {
					t.Errorf("received %d bytes, want 300,000", n)
				}
				// Alone it takes 240 ms, and as one of five 1.2 s. What the
				// bottleneck has queued already comes first.
				if d := time.Since(start); d > 600*time.Millisecond {
					t.Errorf("the urgent stream took %v beside bulk, want at most 600ms", d)
				}
				for i, b := range bulk {
					select {
					case <-b:
						t.Errorf("bulk stream %d was there before", i)
					default:
					}
				}
				for _, b := range bulk {
					if n := <-b; n != 3_000_000 {
						t.Errorf("received %d bytes, want 3,000,000", n)
					}
				}
			})
		})
	}
}

// A stream is forgotten when it has ended, whichever way.
func TestOwnStreamsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := transporttest.WebTransportPair(t, nil)
		ends := map[string]func(mine, theirs transport.Stream){
			"closed and read":         func(a, b transport.Stream) { a.Close(); b.Close(); io.ReadAll(a) },
			"closed and cancelled":    func(a, b transport.Stream) { a.Close(); a.CancelRead(1); a.CancelRead(1) },
			"reset and reset":         func(a, b transport.Stream) { a.CancelWrite(1); b.CancelWrite(1); io.ReadAll(a) },
			"stopped and closed":      func(a, b transport.Stream) { b.CancelRead(1); b.Close(); io.ReadAll(a); <-a.Context().Done() },
			"cancelled both ways":     func(a, b transport.Stream) { a.CancelRead(1); a.CancelWrite(1) },
			"read twice past the end": func(a, b transport.Stream) { b.Close(); io.ReadAll(a); io.ReadAll(a); a.Close() },
		}
		for name, end := range ends {
			mine, err := client.OpenStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := server.AcceptStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if n := transport.OwnStreams(client); n != 1 {
				t.Errorf("%s: %d streams while it is open, want 1", name, n)
			}
			end(mine, theirs)
			synctest.Wait()
			if n := transport.OwnStreams(client); n != 0 {
				t.Errorf("%s: %d streams are remembered, want 0", name, n)
			}
		}
		// A half alone does not end a stream.
		mine, _ := client.OpenStream(t.Context())
		mine.CancelRead(1)
		mine.CancelRead(1)
		synctest.Wait()
		if n := transport.OwnStreams(client); n != 1 {
			t.Errorf("%d streams after one of two halves has ended, want 1", n)
		}
		uni, _ := client.OpenUniStream(t.Context())
		uni.Close()
		synctest.Wait()
		if n := transport.OwnStreams(client); n != 1 {
			t.Errorf("%d streams after a unidirectional one was closed, want 1", n)
		}
	})
}

// A peer that does not close the connection when the session is over, as
// browsers may not, does not hold up CloseWithError, and learns why.
func TestCloseDoesNotWaitForThePeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		qc := w.http3(t)
		_, _, sess, err := ask(t, qc, nil, "moqt-18")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := w.server.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// What waits on streams of this end ends at once, not with the connection.
		ended := make(chan time.Duration, 2)
		busy, err := conn.OpenUniStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		go func() {
			busy.Write(make([]byte, 64<<20))
			ended <- time.Since(start)
		}()
		go func() {
			for {
				if _, err := conn.OpenUniStream(t.Context()); err != nil {
					ended <- time.Since(start)
					return
				}
			}
		}()
		time.Sleep(time.Second)
		start = time.Now()
		conn.CloseWithError(moqt.SessionUnauthorized, "not you")
		if d := time.Since(start); d > 200*time.Millisecond {
			t.Errorf("CloseWithError took %v, want at most 200ms", d)
		}
		for range 2 {
			if d := <-ended; d != 0 {
				t.Errorf("a waiting call ended after %v, want at once", d)
			}
		}
		<-sess.Context().Done()
		_, err = sess.AcceptUniStream(t.Context())
		want := &webtransport.SessionError{Remote: true, ErrorCode: 2, Message: "not you"}
		if e, ok := errors.AsType[*webtransport.SessionError](err); !ok || *e != *want {
			t.Errorf("the peer sees %v, want %v", err, want)
		}
		<-qc.Context().Done()
	})
}

// A peer that goes without WT_CLOSE_SESSION.
func TestSessionEndsUnannounced(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(s *http3.RequestStream, closeConn func(code http3.ErrCode))
		code moqt.SessionCode
	}{
		{"CONNECT stream ends", func(s *http3.RequestStream, _ func(http3.ErrCode)) { s.Close() }, moqt.SessionNoError},
		{"CONNECT stream reset", func(s *http3.RequestStream, _ func(http3.ErrCode)) {
			s.CancelWrite(0x10c)
		}, moqt.SessionInternalError},
		{"garbage on it", func(s *http3.RequestStream, _ func(http3.ErrCode)) {
			s.Write([]byte{0x68, 0x43, 0x02, 0x00}) // WT_CLOSE_SESSION, too short
			s.Close()
		}, moqt.SessionInternalError},
		{"connection closed", func(_ *http3.RequestStream, c func(http3.ErrCode)) { c(http3.ErrCodeNoError) }, moqt.SessionNoError},
		{"connection closed with an error", func(_ *http3.RequestStream, c func(http3.ErrCode)) { c(http3.ErrCodeInternalError) }, moqt.SessionInternalError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				qc := w.http3(t)
				defer qc.CloseWithError(0, "")
				tr := &http3.Transport{EnableDatagrams: true}
				client := tr.NewClientConn(qc)
				stream, err := client.OpenRequestStream(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				req, _ := http.NewRequest("CONNECT", "https://10.0.0.1:4443/", nil)
				req.Proto = "webtransport-h3"
				req.Header.Set("WT-Available-Protocols", `"moqt-18"`)
				if err := stream.SendRequestHeader(req); err != nil {
					t.Fatal(err)
				}
				if rsp, err := stream.ReadResponse(); err != nil || rsp.StatusCode != 200 {
					t.Fatalf("ReadResponse = %+v, %v", rsp, err)
				}
				conn, err := w.server.Accept(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				tt.end(stream, func(code http3.ErrCode) { client.CloseWithError(quic.ApplicationErrorCode(code), "") })
				<-conn.Context().Done()
				e, ok := errors.AsType[*transport.SessionError](context.Cause(conn.Context()))
				if !ok || e.Code != tt.code || !e.Remote {
					t.Errorf("cause = %v, want %v by the peer", context.Cause(conn.Context()), tt.code)
				}
				if _, err := conn.AcceptStream(t.Context()); !errors.Is(err, e) {
					t.Errorf("AcceptStream = %v, want %v", err, e)
				}
				<-qc.Context().Done() // the connection has no other use
			})
		})
	}
}
