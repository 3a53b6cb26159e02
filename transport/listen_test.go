package transport_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
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

func TestVersionNegotiation(t *testing.T) {
	v := func(vs ...moqt.Version) []moqt.Version { return vs }
	for _, tt := range []struct {
		scheme         string
		server, client []moqt.Version
		want           moqt.Version
		err            string
	}{
		{"moqt", v(18), v(18), 18, ""},
		{"moqt", v(18), v(19, 18), 18, ""},
		{"moqt", v(18, 19), v(19, 18), 18, ""}, // the server's order
		{"moqt", v(19), v(18), 0, "10.0.0.1:4443 speaks none of moqt-18"},
		{"https", v(18), v(18), 18, ""},
		{"https", v(18), v(19, 18), 18, ""},
		{"https", v(18, 19), v(19, 18), 18, ""},
		{"https", v(19, 20), v(18), 0, "WebTransport refused: HTTP status 400 (Bad Request): none of the client's protocols is spoken here, which are: moqt-19, moqt-20"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, &transport.ListenConfig{Config: &transport.Config{Versions: tt.server}}, tt.client...)
			conn, err := w.dialer.DialConn(t.Context(), w.url(tt.scheme))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%s: server %v, client %v: DialConn = %v, want %q", tt.scheme, tt.server, tt.client, err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			accepted, err := w.server.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if c, s := conn.Info().Version, accepted.Info().Version; c != tt.want || s != tt.want {
				t.Errorf("%s: server %v, client %v: chose %v and %v, want %v", tt.scheme, tt.server, tt.client, c, s, tt.want)
			}
			conn.CloseWithError(moqt.SessionNoError, "")
		})
	}
}

func TestConnInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		for _, scheme := range schemes {
			client, err := w.dialer.DialConn(t.Context(), scheme+"://10.0.0.1:4443/a%20b?q=1")
			if err != nil {
				t.Fatal(err)
			}
			server, err := w.server.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wt := scheme == "https"
			want := transport.ConnInfo{
				Version: transport.Versions()[0], WebTransport: wt, Client: true, Authority: "10.0.0.1:4443", Path: "/a%20b?q=1",
				LocalAddr: client.Info().LocalAddr, RemoteAddr: client.Info().RemoteAddr,
			}
			if got := client.Info(); got != want || got.RemoteAddr.String() != "10.0.0.1:4443" || got.LocalAddr.String() != w.socket.LocalAddr().String() {
				t.Errorf("client's Info() = %+v, want %+v", got, want)
			}
			got := server.Info()
			want = transport.ConnInfo{Version: transport.Versions()[0], WebTransport: wt, LocalAddr: got.LocalAddr, RemoteAddr: got.RemoteAddr}
			if wt { // else it comes in SETUP
				want.Authority, want.Path = "10.0.0.1:4443", "/a%20b?q=1"
			}
			if got != want || got.RemoteAddr.String() != w.socket.LocalAddr().String() {
				t.Errorf("server's Info() = %+v, want %+v", got, want)
			}
			if rtt := client.Stats().MinRTT; rtt < 10*time.Millisecond || rtt > 12*time.Millisecond {
				t.Errorf("MinRTT = %v, want 10ms", rtt)
			}
			client.CloseWithError(moqt.SessionNoError, "")
		}
	})
}

func TestConfigByClientKeepsProtocols(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := netsim.New(t)
		serverTLS, clientTLS := transporttest.TLS(t)
		chosen := serverTLS.Clone()
		l, err := transport.Listen(n.Listen(), &tls.Config{
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return chosen, nil },
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		d := transport.Dialer{TLSConfig: clientTLS, ListenPacket: transporttest.ListenPacket(n.Link())}
		for _, scheme := range schemes {
			conn, err := d.DialConn(t.Context(), scheme+"://"+l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			conn.CloseWithError(moqt.SessionNoError, "")
		}
		if chosen.NextProtos != nil {
			t.Errorf("the caller's configuration has been changed: %v", chosen.NextProtos)
		}
	})
}

// A peer that has gone without a word is given up after the idle timeout, and
// the cause says so.
func TestIdleTimeout(t *testing.T) {
	for _, scheme := range schemes {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, nil)
			client, server := w.connect(scheme)
			time.Sleep(time.Minute) // keep-alives keep it
			if err := errors.Join(client.Context().Err(), server.Context().Err()); err != nil {
				t.Fatalf("%s: an idle connection ended: %v", scheme, err)
			}
			w.link.Cut()
			start := time.Now()
			for _, c := range []transport.Conn{client, server} {
				<-c.Context().Done()
				err := context.Cause(c.Context())
				if _, ok := errors.AsType[*quic.IdleTimeoutError](err); !ok || !strings.Contains(err.Error(), "connection lost") {
					t.Errorf("%s: cause = %v (%T), want connection lost, by an idle timeout", scheme, err, err)
				}
				_, err2 := c.AcceptUniStream(t.Context())
				if err2 == nil || err2.Error() != err.Error() {
					t.Errorf("%s: AcceptUniStream = %v, want %v", scheme, err2, err)
				}
			}
			if d := time.Since(start); d < 10*time.Second || d > 16*time.Second {
				t.Errorf("%s: given up after %v, want about 15s", scheme, d)
			}
		})
	}
}

func TestListenerClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		quicClient, quicServer := w.connect("moqt")
		wtClient, wtServer := w.connect("https")
		waiting, err := w.dialer.DialConn(t.Context(), w.url("moqt")) // nobody accepts it
		if err != nil {
			t.Fatal(err)
		}
		unfinished := w.http3(t) // has no session
		accept := make(chan error, 1)
		quicServer.CloseWithError(moqt.SessionUnauthorized, "before")
		synctest.Wait()
		c, err := w.server.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go func() { accept <- second(w.server.Accept(t.Context())) }()
		synctest.Wait()
		start := time.Now()
		if err := w.server.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("Close took %v", d)
		}
		if err := <-accept; err != transport.ErrClosed {
			t.Errorf("waiting Accept = %v, want ErrClosed", err)
		}
		closed := &transport.SessionError{Code: moqt.SessionNoError, Reason: "the server is closing"}
		for name, tt := range map[string]struct {
			conn transport.Conn
			want error
		}{
			"QUIC":                   {quicClient, &transport.SessionError{Code: moqt.SessionUnauthorized, Reason: "before"}},
			"WebTransport":           {wtClient, closed},
			"WebTransport, server's": {wtServer, closed},
			"just accepted":          {waiting, closed},
			"just accepted, server":  {c, closed},
		} {
			<-tt.conn.Context().Done()
			if err := context.Cause(tt.conn.Context()); !errors.Is(err, tt.want) {
				t.Errorf("%s: cause = %v, want %v", name, err, tt.want)
			}
		}
		<-unfinished.Context().Done()
		if err := w.server.Close(); err != nil {
			t.Errorf("second Close = %v", err)
		}
		if _, err := w.server.Accept(t.Context()); err != transport.ErrClosed {
			t.Errorf("Accept = %v, want ErrClosed", err)
		}
	})
}

func TestAcceptSkipsTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		for range 3 {
			conn, err := w.dialer.DialConn(t.Context(), w.url("moqt"))
			if err != nil {
				t.Fatal(err)
			}
			conn.CloseWithError(moqt.SessionNoError, "")
		}
		live, err := w.dialer.DialConn(t.Context(), w.url("moqt"))
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := w.server.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := accepted.Info().RemoteAddr.String(), live.Info().LocalAddr.String(); got != want {
			t.Errorf("Accept gave the connection of %v, want that of %v", got, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := w.server.Accept(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Accept = %v, want the context's deadline", err)
		}
	})
}

// More connections than the queue has room for: QUIC refuses the rest, and takes
// more when there is room.
func TestAcceptQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		refused := func() bool {
			c, err := w.dialer.DialConn(t.Context(), w.url("moqt"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.CloseWithError(moqt.SessionNoError, "") })
			time.Sleep(50 * time.Millisecond) // the client's handshake ends before the server decides
			if c.Context().Err() == nil {
				return false
			}
			err = context.Cause(c.Context())
			if e, ok := errors.AsType[*quic.TransportError](err); !ok || e.ErrorCode != quic.ConnectionRefused {
				t.Fatalf("cause = %v, want refused", err)
			}
			return true
		}
		n := 0
		for n < 400 && !refused() {
			n++
		}
		if n < 100 || n >= 400 {
			t.Fatalf("%d connections wait for Accept, want 128 and a few", n)
		}
		for range n {
			if _, err := w.server.Accept(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if refused() {
			t.Error("refused although there is room")
		}
	})
}

// http3 opens a connection as an HTTP/3 client that has not asked for anything.
func (w *world) http3(t *testing.T) *quic.Conn {
	t.Helper()
	tr := &quic.Transport{Conn: w.link.Listen()}
	t.Cleanup(func() { tr.Close() })
	tlsConf := w.dialer.TLSConfig.Clone()
	tlsConf.NextProtos = []string{http3.NextProtoH3}
	qc, err := tr.Dial(t.Context(), w.server.Addr(), tlsConf, &quic.Config{EnableDatagrams: true, EnableStreamResetPartialDelivery: true, KeepAlivePeriod: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return qc
}

// ask asks for a session as a client other than ours.
func ask(t *testing.T, qc *quic.Conn, header http.Header, protocols ...string) (*webtransport.ClientConn, *http.Response, *webtransport.Session, error) {
	t.Helper()
	tr := &webtransport.Transport{ApplicationProtocols: protocols}
	client, err := tr.NewClientConn(qc)
	if err != nil {
		t.Fatal(err)
	}
	rsp, sess, err := client.Dial(t.Context(), "https://10.0.0.1:4443/", header)
	return client, rsp, sess, err
}

func body(t *testing.T, rsp *http.Response) string {
	t.Helper()
	if rsp == nil {
		t.Fatal("no response")
	}
	b, _ := io.ReadAll(rsp.Body)
	return strings.TrimSpace(string(b))
}

func TestWebTransportRequests(t *testing.T) {
	origin := func(allowed string) *transport.ListenConfig {
		return &transport.ListenConfig{CheckOrigin: func(r *http.Request) bool { return r.Header.Get("Origin") == allowed }}
	}
	for _, tt := range []struct {
		name      string
		config    *transport.ListenConfig
		protocols []string
		header    http.Header
		status    int
		body      string
	}{
		{"ours", nil, []string{"moqt-18"}, nil, 200, ""},
		{"names we do not know first", nil, []string{"moq-lite-04", "moqt-00", "moqt-17", "moqt-18"}, nil, 200, ""},
		{"none of ours", nil, []string{"moq-lite-04", "moqt-17"}, nil, 400, "none of the client's protocols is spoken here, which are: moqt-21, moqt-20, moqt-18, moqt-19, moqt-22, moqt-16"},
		{"ours, in another order", nil, []string{"moqt-16", "moqt-22", "moqt-18"}, nil, 200, ""},
		{"not a list", nil, nil, http.Header{"Wt-Available-Protocols": {`"moqt-18`}}, 400, "WT-Available-Protocols is not a list of strings"},
		{"not strings", nil, nil, http.Header{"Wt-Available-Protocols": {`moqt-18`}}, 400, "WT-Available-Protocols is not a list of strings"},
		{"nested", nil, nil, http.Header{"Wt-Available-Protocols": {`("moqt-18")`}}, 400, "WT-Available-Protocols is not a list of strings"},
		{"any origin", nil, []string{"moqt-18"}, http.Header{"Origin": {"https://player.example"}}, 200, ""},
		{"an allowed origin", origin("https://player.example"), []string{"moqt-18"}, http.Header{"Origin": {"https://player.example"}}, 200, ""},
		{"another origin", origin("https://player.example"), []string{"moqt-18"}, http.Header{"Origin": {"https://evil.example"}}, 403, "this origin is not allowed here"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, tt.config)
				qc := w.http3(t)
				defer qc.CloseWithError(0, "")
				_, rsp, sess, err := ask(t, qc, tt.header, tt.protocols...)
				if rsp == nil || rsp.StatusCode != tt.status {
					t.Fatalf("response = %+v, %v, want status %d", rsp, err, tt.status)
				}
				if tt.status != 200 {
					if got := body(t, rsp); !strings.HasPrefix(got, tt.body) {
						t.Errorf("body = %q, want %q", got, tt.body)
					}
					return
				}
				if got := sess.SessionState().ApplicationProtocol; got != "moqt-18" {
					t.Errorf("protocol = %q, want moqt-18", got)
				}
				conn, err := w.server.Accept(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if conn.Info().Version != moqt.Draft18 {
					t.Errorf("version = %v, want draft-18", conn.Info().Version)
				}
			})
		})
	}
}

// TestNothingOffered leaves it to the first stream which draft a WebTransport
// client speaks that names none.
func TestNothingOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		qc := w.http3(t)
		defer qc.CloseWithError(0, "")
		_, rsp, sess, err := ask(t, qc, nil)
		if err != nil || rsp.StatusCode != 200 || sess.SessionState().ApplicationProtocol != "" {
			t.Fatalf("response = %+v, %v, want a session without a protocol", rsp, err)
		}
		conn, err := w.server.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if v := conn.Info().Version; v != 0 {
			t.Errorf("Version = %v, want none yet", v)
		}
		st, err := sess.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		st.Write(unhex("20 0001 00")) // CLIENT_SETUP without options
		s, err := transport.NewSession(t.Context(), conn, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.Version() != moqt.Draft16 {
			t.Errorf("Version() = %v, want draft-16", s.Version())
		}
		s.Close()
	})
}

func TestHTTPRequests(t *testing.T) {
	for _, tt := range []struct {
		config *transport.ListenConfig
		status int
		body   string
	}{
		{nil, 404, "404 page not found"},
		{&transport.ListenConfig{HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })}, 200, "hello"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, tt.config)
			qc := w.http3(t)
			defer qc.CloseWithError(0, "")
			client, err := (&webtransport.Transport{}).NewClientConn(qc)
			if err != nil {
				t.Fatal(err)
			}
			req, _ := http.NewRequest("GET", "https://10.0.0.1:4443/hello", nil)
			rsp, err := client.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if got := body(t, rsp); rsp.StatusCode != tt.status || got != tt.body {
				t.Errorf("GET = %d %q, want %d %q", rsp.StatusCode, got, tt.status, tt.body)
			}
		})
	}
}

func TestOneSessionPerConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		qc := w.http3(t)
		defer qc.CloseWithError(0, "")
		client, _, _, err := ask(t, qc, nil, "moqt-18")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := w.server.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		rsp, _, err := client.Dial(t.Context(), "https://10.0.0.1:4443/second", nil)
		if rsp == nil || rsp.StatusCode != http.StatusTooManyRequests {
			t.Fatalf("second session: %+v, %v, want 429", rsp, err)
		}
		if got, want := body(t, rsp), "a connection can have one session here; dial another one"; got != want {
			t.Errorf("body = %q, want %q", got, want)
		}
		if err := conn.Context().Err(); err != nil {
			t.Errorf("the first session has ended: %v", err)
		}
	})
}

func TestHTTP3WithoutSessionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		start := time.Now()
		idle, busy := w.http3(t), w.http3(t)
		client, err := (&webtransport.Transport{}).NewClientConn(busy)
		if err != nil {
			t.Fatal(err)
		}
		go func() { // requests do not keep it
			for busy.Context().Err() == nil {
				req, _ := http.NewRequest("GET", "https://10.0.0.1:4443/", nil)
				if rsp, err := client.RoundTrip(req); err == nil {
					io.ReadAll(rsp.Body)
					rsp.Body.Close()
				}
				time.Sleep(time.Second)
			}
		}()
		for _, qc := range []*quic.Conn{idle, busy} {
			<-qc.Context().Done()
			if e, ok := errors.AsType[*quic.ApplicationError](context.Cause(qc.Context())); !ok || !e.Remote || e.ErrorMessage != "no WebTransport session" {
				t.Errorf("cause = %v, want to be told", context.Cause(qc.Context()))
			}
			if d := time.Since(start); d < 10*time.Second || d > 11*time.Second {
				t.Errorf("closed after %v, want 10s", d)
			}
		}
		client2, server2 := w.connect("https")
		time.Sleep(time.Minute)
		if err := errors.Join(client2.Context().Err(), server2.Context().Err()); err != nil {
			t.Errorf("a connection with a session was closed too: %v", err)
		}
	})
}

func TestListenUDPErrors(t *testing.T) {
	first, err := transport.ListenUDP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	addr := first.LocalAddr().String()
	_, err = transport.ListenUDP(t.Context(), addr)
	if want := "listen on " + addr + ": another program has this UDP port: address already in use"; err == nil || err.Error() != want {
		t.Errorf("ListenUDP = %v, want %q", err, want)
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("ListenUDP = %v, want EADDRINUSE inside", err)
	}
	for _, addr := range []string{"127.0.0.1", "127.0.0.1:moq", "203.0.113.1:0"} {
		if pc, err := transport.ListenUDP(t.Context(), addr); err == nil || !strings.HasPrefix(err.Error(), "listen on UDP "+addr+": ") {
			t.Errorf("ListenUDP(%q) = %v, %v, want an error that names it", addr, pc, err)
		}
	}
}

func TestListenNeedsTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pc := netsim.New(t).Listen()
		if _, err := transport.Listen(pc, nil, nil); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("Listen = %v, want an error about the certificate", err)
		}
		if err := pc.Close(); err != nil {
			t.Errorf("the socket was closed: %v", err)
		}
	})
}

// The socket dies under the listener.
func TestListenerSocketFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := netsim.New(t)
		serverTLS, _ := transporttest.TLS(t)
		pc := n.Listen()
		l, err := transport.Listen(pc, serverTLS, nil)
		if err != nil {
			t.Fatal(err)
		}
		if l.Addr().String() != pc.LocalAddr().String() || len(l.Warnings()) != 0 {
			t.Errorf("Addr(), Warnings() = %v, %v", l.Addr(), l.Warnings())
		}
		pc.Close()
		_, err = l.Accept(t.Context())
		if !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "has failed") {
			t.Errorf("Accept = %v, want that the listener has failed", err)
		}
		l.Close()
	})
}

func second[T any](_ T, err error) error { return err }
