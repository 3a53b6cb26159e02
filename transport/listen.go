package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dunglas/httpsfv"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"

	"github.com/tributary-live/tributary/transport/moqt"
)

// ListenConfig says how a [Listener] takes connections. The zero value works.
type ListenConfig struct {
	// Config is that of the sessions to come. Connections need its Versions: this
	// end's order decides among the drafts of both. A WebTransport client that
	// names none is one whose first stream tells the draft.
	Config *Config
	// CheckOrigin decides by its Origin header whether a WebTransport request is
	// taken. If nil, all are: a public player may be on any page, and nothing of
	// this package depends on a browser's cookies.
	CheckOrigin func(*http.Request) bool
	// HTTP answers HTTP/3 requests other than for WebTransport. If nil, they get
	// 404. A connection without a session lasts 10 s in any case.
	HTTP http.Handler
	// QUIC is as [Dialer.QUIC].
	QUIC *quic.Config
	// Admission bounds how many connections are taken in a second.
	Admission Admission
}

// Listener takes raw QUIC and WebTransport connections on one UDP socket. Its
// methods may be called concurrently.
type Listener struct {
	cfg      ListenConfig
	versions []moqt.Version
	pc       net.PacketConn
	tr       *quic.Transport
	quic     *quic.Listener
	door     *door
	wt       *webtransport.Server
	warnings []string
	accepted chan Conn
	ctx      context.Context // ended by Close, or with the socket, with the cause
	cancel   context.CancelCauseFunc
	wg       sync.WaitGroup // run and everything it starts

	mu    sync.Mutex // guards what follows
	conns map[Conn]struct{}
}

const (
	// acceptQueue is how many connections wait for Accept before QUIC begins to
	// refuse new ones.
	acceptQueue = 128
	// sessionWait is how long an HTTP/3 connection may be without a session.
	sessionWait = 10 * time.Second
)

// Listen takes connections on pc, which [Listener.Close] closes; if Listen
// fails, it stays open. A *[net.UDPConn] should be passed as it is, as QUIC is
// faster on it than on anything that wraps one; [ListenUDP] makes one.
// NextProtos of tlsConf are set from the versions.
func Listen(pc net.PacketConn, tlsConf *tls.Config, c *ListenConfig) (*Listener, error) {
	if tlsConf == nil {
		return nil, errors.New("listen: QUIC needs a TLS configuration with a certificate")
	}
	l := &Listener{pc: pc, accepted: make(chan Conn, acceptQueue), conns: make(map[Conn]struct{})}
	if c != nil {
		l.cfg = *c
	}
	if l.cfg.CheckOrigin == nil {
		l.cfg.CheckOrigin = func(*http.Request) bool { return true }
	}
	if l.cfg.HTTP == nil {
		l.cfg.HTTP = http.NotFoundHandler()
	}
	cfg := l.cfg.Config.withDefaults()
	l.versions = cfg.Versions
	l.door = newDoor(l.cfg.Admission)
	l.tr = &quic.Transport{Conn: pc, StatelessResetKey: resetKey(tlsConf), VerifySourceAddress: l.door.doubts}
	names := protocols(l.versions)
	var err error
	l.quic, err = l.tr.Listen(withProtocols(tlsConf, append(slices.Clone(names), http3.NextProtoH3)), l.door.guarded(quicConfig(l.cfg.QUIC, l.cfg.Config)))
	if err != nil {
		return nil, fmt.Errorf("listen on %v: %w", pc.LocalAddr(), err)
	}
	l.wt = &webtransport.Server{
		H3: &http3.Server{
			Handler:        http.HandlerFunc(l.serveHTTP),
			MaxHeaderBytes: 16 << 10,
			ConnContext:    newH3Conn,
		},
		ApplicationProtocols: names,
		CheckOrigin:          l.cfg.CheckOrigin,
	}
	growBuffers(pc)
	l.warnings = bufferWarnings(pc)
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	l.wg.Go(l.run)
	return l, nil
}

// withProtocols returns c with names as NextProtos, also where c chooses a
// configuration by client.
func withProtocols(c *tls.Config, names []string) *tls.Config {
	c = c.Clone()
	c.NextProtos = names
	if choose := c.GetConfigForClient; choose != nil {
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(hello)
			if chosen == nil || err != nil {
				return chosen, err
			}
			return withProtocols(chosen, names), nil
		}
	}
	return c
}

// Accept waits for the next connection, whose draft has been negotiated. It
// fails when ctx ends, with [ErrClosed] after Close, or with what went wrong with
// the socket.
func (l *Listener) Accept(ctx context.Context) (Conn, error) {
	for {
		select {
		case c := <-l.accepted:
			if c.Context().Err() == nil {
				return c, nil
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-l.ctx.Done():
			return nil, context.Cause(l.ctx)
		}
	}
}

// Addr returns the socket's address.
func (l *Listener) Addr() net.Addr { return l.pc.LocalAddr() }

// Admitted counts what became of those who wanted to connect.
func (l *Listener) Admitted() AdmissionStats { return l.door.stats() }

// Warnings returns sentences about the socket that an operator should know.
func (l *Listener) Warnings() []string { return slices.Clone(l.warnings) }

// Close ends the listener and all its connections, accepted ones too, with
// NO_ERROR, and waits for them. Whoever wants sessions to end well ends them
// first.
func (l *Listener) Close() error {
	l.cancel(ErrClosed)
	l.mu.Lock()
	conns := l.conns
	l.conns = nil // what comes now is closed by add
	l.mu.Unlock()
	var closing sync.WaitGroup
	for c := range conns {
		closing.Go(func() { c.CloseWithError(moqt.SessionNoError, "the server is closing") })
	}
	closing.Wait()
	l.quic.Close()
	l.wt.Close() // connections without a session
	l.wg.Wait()
	l.tr.Close()
	err := l.pc.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// run takes connections from QUIC. It is started by Listen and ends with l.ctx.
func (l *Listener) run() {
	for {
		qc, err := l.quic.Accept(l.ctx)
		if err != nil {
			l.cancel(fmt.Errorf("listener on %v has failed: %w", l.pc.LocalAddr(), err)) // the first cause counts
			return
		}
		name := qc.ConnectionState().TLS.NegotiatedProtocol
		if name == http3.NextProtoH3 {
			l.wg.Go(func() { l.serveH3(qc) })
			continue
		}
		v, err := moqt.VersionOfALPN(name)
		if err != nil { // TLS lets nobody in without one of our names
			qc.CloseWithError(quic.ApplicationErrorCode(moqt.SessionVersionNegotiation), "no MOQT draft negotiated")
			continue
		}
		l.add(newQUICConn(qc, ConnInfo{Version: v}, nil))
	}
}

// add hands c to Accept. It blocks while the queue is full, and then QUIC refuses
// further connections.
func (l *Listener) add(c Conn) {
	l.mu.Lock()
	open := l.conns != nil
	if open {
		l.conns[c] = struct{}{}
	}
	l.mu.Unlock()
	if !open {
		c.CloseWithError(moqt.SessionNoError, "the server is closing")
		return
	}
	context.AfterFunc(c.Context(), func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.conns, c)
	})
	select {
	case l.accepted <- c:
	case <-c.Context().Done():
	case <-l.ctx.Done():
	}
}

// serveH3 serves an HTTP/3 connection until it ends.
func (l *Listener) serveH3(qc *quic.Conn) {
	if err := l.wt.ServeQUICConn(qc); err != nil {
		qc.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeInternalError), "")
	}
}

// h3Conn is what a request knows of its connection.
type h3Conn struct {
	conn      *quic.Conn
	impatient *time.Timer // closes the connection

	mu    sync.Mutex
	taken bool // there is, or has been, a session
}

type h3ConnKey struct{}

func newH3Conn(ctx context.Context, qc *quic.Conn) context.Context {
	h := &h3Conn{conn: qc}
	h.impatient = time.AfterFunc(sessionWait, func() {
		qc.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "no WebTransport session")
	})
	context.AfterFunc(qc.Context(), func() { h.impatient.Stop() })
	return context.WithValue(ctx, h3ConnKey{}, h)
}

// take claims the connection for its one session.
func (h *h3Conn) take() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	ok := !h.taken
	h.taken = true
	return ok
}

func (h *h3Conn) give() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken = false
}

// serveHTTP answers a request: one for a session with the session, or with a
// status and a sentence that says what is wrong.
func (l *Listener) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect || !strings.HasPrefix(r.Proto, "webtransport") {
		l.cfg.HTTP.ServeHTTP(w, r)
		return
	}
	version, err := l.chooseVersion(r.Header)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !l.cfg.CheckOrigin(r) {
		http.Error(w, "this origin is not allowed here", http.StatusForbidden)
		return
	}
	h := r.Context().Value(h3ConnKey{}).(*h3Conn)
	if !h.take() {
		http.Error(w, "a connection can have one session here; dial another one", http.StatusTooManyRequests)
		return
	}
	sw := &sessionWriter{ResponseWriter: w, Settingser: w.(http3.Settingser), Flusher: w.(http.Flusher), HTTPStreamer: w.(http3.HTTPStreamer)}
	sess, err := l.wt.Upgrade(sw, r)
	if err != nil {
		h.give()
		if sw.stream == nil { // nothing has been answered yet
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
		return
	}
	if !h.impatient.Stop() {
		return // the connection is being closed
	}
	info := ConnInfo{Version: version, // 0 if the first stream is to tell
		Authority: r.Host, Path: r.URL.RequestURI()}
	l.add(newWebTransportConn(sess, h.conn, uint64(sw.stream.StreamID()), info, nil))
}

// sessionWriter lets the library answer a request, and keeps the stream it takes
// over: its id is the session's.
type sessionWriter struct {
	http.ResponseWriter
	http3.Settingser
	http.Flusher
	http3.HTTPStreamer
	stream *http3.Stream
}

func (w *sessionWriter) HTTPStream() *http3.Stream {
	w.stream = w.HTTPStreamer.HTTPStream()
	return w.stream
}

// chooseVersion returns the first of the drafts here that is among the client's
// protocols (WebTransport over HTTP/3, "Application Protocol Negotiation"), and
// leaves it alone in h: the library would take the client's first. Protocols that
// are no draft of MOQT, as moq-lite, are passed over. A client that offers nothing
// gets no draft yet.
func (l *Listener) chooseVersion(h http.Header) (moqt.Version, error) {
	const field = "WT-Available-Protocols"
	ours := strings.Join(protocols(l.versions), ", ")
	values := h.Values(field)
	if len(values) == 0 {
		return 0, nil
	}
	list, err := httpsfv.UnmarshalList(values)
	if err != nil {
		return 0, fmt.Errorf("%s is not a list of strings: %v", field, err)
	}
	var names []string
	for _, member := range list {
		item, ok := member.(httpsfv.Item)
		if !ok {
			return 0, fmt.Errorf("%s is not a list of strings", field)
		}
		name, ok := item.Value.(string)
		if !ok {
			return 0, fmt.Errorf("%s is not a list of strings", field)
		}
		names = append(names, name)
	}
	for _, v := range l.versions {
		if slices.Contains(names, v.ALPN()) {
			h.Set(field, fmt.Sprintf("%q", v.ALPN()))
			return v, nil
		}
	}
	return 0, fmt.Errorf("none of the client's protocols is spoken here, which are: %s", ours)
}

// ListenUDP opens a UDP socket on addr, as in "[::]:4443" or "127.0.0.1:0". The
// error is a sentence for whoever has chosen the address.
func ListenUDP(ctx context.Context, addr string) (*net.UDPConn, error) {
	pc, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", addr)
	if err != nil {
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			return nil, fmt.Errorf("listen on %s: another program has this UDP port: %w", addr, syscall.EADDRINUSE)
		case errors.Is(err, syscall.EACCES):
			return nil, fmt.Errorf("listen on %s: only root may use UDP ports this low: %w", addr, syscall.EACCES)
		}
		return nil, fmt.Errorf("listen on UDP %s: %w", addr, err)
	}
	return pc.(*net.UDPConn), nil
}

// wantedBuffer is what a socket should hold, in bytes: with less, bursts of many
// connections are lost before QUIC sees them.
const wantedBuffer = 8 << 20

// bufferWarnings tells what to do if pc holds less than that.
func bufferWarnings(pc net.PacketConn) []string {
	receive, send, ok := socketBuffers(pc)
	if !ok {
		return nil
	}
	var warnings []string
	for _, b := range []struct {
		name, sysctl string
		size         int
	}{
		{"receive", "net.core.rmem_max", receive},
		{"send", "net.core.wmem_max", send},
	} {
		if b.size >= wantedBuffer {
			continue
		}
		w := fmt.Sprintf("the UDP %s buffer holds %d KiB, %d KiB are wanted for many viewers", b.name, b.size>>10, wantedBuffer>>10)
		if runtime.GOOS == "linux" {
			w += fmt.Sprintf(": sysctl -w %s=%d", b.sysctl, wantedBuffer)
		}
		warnings = append(warnings, w)
	}
	return warnings
}
