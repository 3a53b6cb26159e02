package site

import (
	"bufio"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server serves a handler on one TCP port in HTTP and HTTPS.
type Server struct {
	srv  *http.Server
	in   *sniffer
	wg   sync.WaitGroup
	once sync.Once
}

// Serve starts to serve h on ln, which it takes over. TLS connections get their
// certificate from tlsConf. Close ends it.
func Serve(ln net.Listener, tlsConf *tls.Config, h http.Handler, log *slog.Logger) *Server {
	conf := tlsConf.Clone()
	conf.NextProtos = []string{"http/1.1"}
	s := &Server{
		srv: &http.Server{
			Handler:           h,
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      time.Minute,
			IdleTimeout:       time.Minute,
			MaxHeaderBytes:    16 << 10,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
		in: &sniffer{Listener: ln, tls: conf, out: make(chan net.Conn), done: make(chan struct{}), slots: make(chan struct{}, maxSniffs)},
	}
	s.wg.Go(s.in.run)
	s.wg.Go(func() {
		if err := s.srv.Serve(s.in); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			log.Error("page listener ended", "err", err)
		}
	})
	return s
}

// Close ends the listener and its connections and waits for them.
func (s *Server) Close() error {
	s.once.Do(func() {
		s.in.Close()
		s.srv.Close()
		s.wg.Wait()
	})
	return nil
}

const (
	// sniffTimeout bounds the wait for a connection's first byte.
	sniffTimeout = 5 * time.Second
	// maxSniffs is how many connections may wait for theirs at once.
	maxSniffs = 256
)

// sniffer is a listener whose connections speak TLS if their first byte is that
// of a TLS handshake.
type sniffer struct {
	net.Listener
	tls   *tls.Config
	out   chan net.Conn
	done  chan struct{}
	slots chan struct{}
	once  sync.Once
	wg    sync.WaitGroup
}

func (s *sniffer) run() {
	defer s.wg.Wait()
	defer s.Close()
	for {
		c, err := s.Listener.Accept()
		if err != nil {
			return
		}
		select {
		case s.slots <- struct{}{}:
		case <-s.done:
			c.Close()
			return
		}
		s.wg.Go(func() {
			defer func() { <-s.slots }()
			s.sniff(c)
		})
	}
}

const tlsHandshake = 0x16

func (s *sniffer) sniff(c net.Conn) {
	c.SetReadDeadline(time.Now().Add(sniffTimeout))
	b := bufio.NewReaderSize(c, 16)
	first, err := b.Peek(1)
	if err != nil {
		c.Close()
		return
	}
	c.SetReadDeadline(time.Time{})
	var conn net.Conn = &peeked{c, b}
	if first[0] == tlsHandshake {
		conn = tls.Server(conn, s.tls)
	}
	select {
	case s.out <- conn:
	case <-s.done:
		c.Close()
	}
}

// Accept returns the next connection whose first byte is there.
func (s *sniffer) Accept() (net.Conn, error) {
	select {
	case c := <-s.out:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

// Close ends the listener.
func (s *sniffer) Close() error {
	s.once.Do(func() {
		close(s.done)
		s.Listener.Close()
	})
	return nil
}

// peeked is a connection of which some bytes have been read ahead.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.r.Read(b) }
