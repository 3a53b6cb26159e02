package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/tributary-live/tributary/internal/tasks"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Handler serves sessions.
type Handler interface {
	// ServeSession serves one session and returns when that is over; the
	// session is closed then. An error is logged.
	ServeSession(ctx context.Context, s *Session) error
}

// HandlerFunc is a function as [Handler].
type HandlerFunc func(ctx context.Context, s *Session) error

// ServeSession calls f.
func (f HandlerFunc) ServeSession(ctx context.Context, s *Session) error { return f(ctx, s) }

// Server accepts sessions over raw QUIC and WebTransport on one socket and has
// its Handler serve them. Its fields must not be changed once it serves.
type Server struct {
	// Addr is the UDP address for ListenAndServe. If empty, it is ":443".
	Addr string
	// TLSConfig has the certificate. It is required.
	TLSConfig *tls.Config
	// Config is that of every session.
	Config Config
	// Handler serves the sessions. It is required.
	Handler Handler
	// HTTP answers HTTP/3 requests that ask for no WebTransport session. If
	// nil, they get 404.
	HTTP http.Handler
	// CheckOrigin decides which web pages may connect. If nil, all may: a
	// player can be on any site, and a session shows nothing of its user.
	CheckOrigin func(*http.Request) bool
	// Admission bounds how many connections each socket takes in a second.
	Admission Admission
	// QUIC is as [Dialer.QUIC], but a peer may have as many bidirectional
	// streams as Config.Limits.MaxRequests says, if it does: each request is one.
	QUIC *quic.Config

	wg tasks.Group // a goroutine for every session

	mu        sync.Mutex // guards what follows
	listeners map[*Listener]struct{}
	sessions  map[*Session]struct{}
	left      AdmissionStats // of listeners that have ended
	draining  bool           // no new sessions
	closed    bool
}

// ErrServerClosed is returned by Serve after Shutdown or Close.
var ErrServerClosed = errors.New("moqt: server closed")

// ListenAndServe listens on Addr and serves until ctx ends or the server is
// closed.
func (s *Server) ListenAndServe(ctx context.Context) error {
	pc, err := ListenUDP(ctx, or(s.Addr, ":443"))
	if err != nil {
		return err
	}
	return s.Serve(ctx, pc)
}

// Serve serves the sessions that come to pc, which it closes, until ctx ends or
// the server is closed. It may be called for several sockets. Sessions end with
// it, but only Close waits for their handlers.
func (s *Server) Serve(ctx context.Context, pc net.PacketConn) error {
	l, err := Listen(pc, s.TLSConfig, &ListenConfig{Config: &s.Config, CheckOrigin: s.CheckOrigin, HTTP: s.HTTP, QUIC: s.quicConfig(), Admission: s.Admission})
	if err != nil {
		pc.Close()
		return err
	}
	defer l.Close()
	log := s.logger()
	for _, w := range l.Warnings() {
		log.Warn("udp socket", "err", w)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrServerClosed
	}
	if s.listeners == nil {
		s.listeners = make(map[*Listener]struct{})
		s.sessions = make(map[*Session]struct{})
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.listeners, l)
		s.left.add(l.Admitted())
		s.mu.Unlock()
	}()
	for {
		c, err := l.Accept(ctx)
		if err == nil && s.wg.Go(func() { s.open(ctx, c) }) {
			continue
		}
		s.mu.Lock()
		closed := s.closed
		s.mu.Unlock()
		if closed {
			return ErrServerClosed
		}
		return err
	}
}

// Admitted counts what became of those who wanted to connect to any socket.
func (s *Server) Admitted() AdmissionStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.left
	for l := range s.listeners {
		all.add(l.Admitted())
	}
	return all
}

func (s *Server) quicConfig() *quic.Config {
	n := s.Config.Limits.MaxRequests
	if n <= 0 || s.QUIC != nil && s.QUIC.MaxIncomingStreams != 0 {
		return s.QUIC
	}
	c := &quic.Config{}
	if s.QUIC != nil {
		c = s.QUIC.Clone()
	}
	c.MaxIncomingStreams = int64(n)
	return c
}

func (s *Server) logger() *slog.Logger {
	if s.Config.Logger != nil {
		return s.Config.Logger
	}
	return slog.New(slog.DiscardHandler)
}

// shuttingDown is what a session is told that comes too late.
const shuttingDown = "the server is shutting down"

// refusing reports whether new sessions are refused.
func (s *Server) refusing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed || s.draining
}

// open sets up the session of c and has it served.
func (s *Server) open(ctx context.Context, c Conn) {
	log := s.logger()
	if s.refusing() {
		c.CloseWithError(moqt.SessionNoError, shuttingDown)
		return
	}
	sess, err := NewSession(ctx, c, &s.Config)
	if err != nil {
		log.Info("session not set up", "remote", c.Info().RemoteAddr, "err", err)
		return
	}
	s.mu.Lock()
	refused := s.closed || s.draining
	if !refused {
		s.sessions[sess] = struct{}{}
	}
	s.mu.Unlock()
	if refused {
		sess.CloseWithError(moqt.SessionNoError, shuttingDown)
		return
	}
	s.wg.Detach(func() { s.serve(ctx, sess) })
}

func (s *Server) serve(ctx context.Context, sess *Session) {
	s.over(ctx, sess, s.Handler.ServeSession(ctx, sess))
}

// over forgets a session that its handler has returned from with err.
func (s *Server) over(ctx context.Context, sess *Session, err error) {
	if err != nil && ctx.Err() == nil {
		s.logger().Info("session ended", "remote", sess.Info().RemoteAddr, "err", err)
	}
	s.mu.Lock()
	delete(s.sessions, sess)
	s.mu.Unlock()
	sess.Close()
}

// Refuse has new sessions refused from now on, before their SETUP is answered.
// Those that are there go on.
func (s *Server) Refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
}

// Shutdown sends GOAWAY on every session, with what is left of ctx as the time
// to go, and takes no new ones. It waits until all are gone or ctx ends; then
// those that are left are closed with GOAWAY_TIMEOUT, and the server with them.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	sessions := slices.Collect(maps.Keys(s.sessions))
	s.mu.Unlock()
	var wait time.Duration
	if d, ok := ctx.Deadline(); ok {
		wait = time.Until(d)
	}
	var wg sync.WaitGroup
	for _, sess := range sessions {
		wg.Go(func() { sess.Goaway(ctx, "", wait) })
	}
	wg.Wait()
	return s.close(moqt.SessionGoawayTimeout, "the session was not moved in time")
}

// Close ends all sessions and listeners at once and waits for them and for their
// handlers. It must not be called by a handler.
func (s *Server) Close() error { return s.close(moqt.SessionNoError, "the server is closing") }

func (s *Server) close(code moqt.SessionCode, reason string) error {
	s.mu.Lock()
	s.closed = true
	sessions := slices.Collect(maps.Keys(s.sessions))
	listeners := slices.Collect(maps.Keys(s.listeners))
	s.mu.Unlock()
	var wg sync.WaitGroup // a close may wait for its peer
	for _, sess := range sessions {
		wg.Go(func() { sess.CloseWithError(code, reason) })
	}
	wg.Wait()
	for _, l := range listeners {
		wg.Go(func() { l.Close() })
	}
	wg.Wait()
	s.wg.Wait()
	return nil
}
