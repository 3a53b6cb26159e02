package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// Kind is what carries the objects of a load.
type Kind string

// The kinds of fan-out, and of session.
const (
	KindRelay        Kind = "relay"        // subscribers of a relay over raw QUIC
	KindWebTransport Kind = "webtransport" // subscribers of a relay over WebTransport
	KindBare         Kind = "bare"         // a fan-out on quic-go alone
	KindTCP          Kind = "tcp"
	KindTLS          Kind = "tls"
	KindBulk         Kind = "bulk"      // a session of package transport, as fast as it goes
	KindBareBulk     Kind = "bare-bulk" // the same on quic-go alone
)

// ServeConfig says what a server of [Serve] sends.
type ServeConfig struct {
	Kind Kind
	// Size is that of an object in bytes.
	Size int
	// Rate is how many objects a second there are, GroupSize how many go on one
	// stream, and Objects how many there are in all. They are for fan-outs.
	Rate, GroupSize, Objects int
	// Streams is how many are written at once. It is for bulk.
	Streams int
	// Begin gives a line when a fan-out is to begin, and ends with the server.
	Begin io.Reader
	// Ready is told the address.
	Ready func(addr net.Addr)
}

// Serve is the other side of a comparison: the least that a server can do which
// sends the same bytes. It listens on loopback until ctx or Begin ends.
func Serve(ctx context.Context, c ServeConfig) error {
	if c.Size < stampSize {
		return fmt.Errorf("an object has at least %d bytes", stampSize)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &fan{ServeConfig: c, began: make(chan struct{})}
	go func() { // ends with Begin
		defer cancel()
		lines := bufio.NewScanner(c.Begin)
		for begun := false; lines.Scan(); begun = true {
			if !begun {
				close(f.began)
			}
		}
	}()
	cert, err := certificate()
	if err != nil {
		return err
	}
	conf := &tls.Config{Certificates: []tls.Certificate{*cert}, NextProtos: []string{bareProtocol}, MinVersion: tls.VersionTLS13}
	switch c.Kind {
	case KindBare:
		go f.publish(ctx)
		return serveQUIC(ctx, conf, c.Ready, func(conn *quic.Conn) { f.serve(ctx, &quicSink{conn: conn}) })
	case KindTCP, KindTLS:
		go f.publish(ctx)
		return f.serveTCP(ctx, conf)
	case KindBareBulk:
		return serveQUIC(ctx, conf, c.Ready, func(conn *quic.Conn) { sendBulk(conn, c) })
	case KindBulk:
		return serveBulk(ctx, conf, c)
	}
	return fmt.Errorf("there is no server of kind %q", c.Kind)
}

// bareProtocol is what connections without MOQT agree on.
const bareProtocol = "tributary-bench"

// bareConfig is what package transport runs its connections with.
func bareConfig() *quic.Config {
	return &quic.Config{
		MaxIdleTimeout: 15 * time.Second, KeepAlivePeriod: 5 * time.Second,
		MaxIncomingUniStreams:      1024,
		InitialStreamReceiveWindow: 1 << 20, InitialConnectionReceiveWindow: 2 << 20,
		EnableDatagrams: true, EnableStreamResetPartialDelivery: true,
	}
}

// serveQUIC calls serve for each connection, in a goroutine that it waits for.
func serveQUIC(ctx context.Context, conf *tls.Config, ready func(net.Addr), serve func(*quic.Conn)) error {
	pc, err := listenLoopback()
	if err != nil {
		return err
	}
	tr := &quic.Transport{Conn: pc}
	l, err := tr.Listen(conf, bareConfig())
	if err != nil {
		return err
	}
	ready(pc.LocalAddr())
	var wg sync.WaitGroup
	for {
		conn, err := l.Accept(ctx)
		if err != nil {
			break
		}
		wg.Go(func() { serve(conn) })
	}
	l.Close()
	tr.Close() // ends the connections
	wg.Wait()
	pc.Close()
	return nil
}

func (f *fan) serveTCP(ctx context.Context, conf *tls.Config) error {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()
	f.Ready(l.Addr())
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if f.Kind == KindTLS {
			conn = tls.Server(conn, conf)
		}
		wg.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			if t, ok := conn.(*tls.Conn); ok && t.Handshake() != nil {
				return
			}
			f.serve(ctx, tcpSink{conn})
		})
	}
}

// fan is a fan-out: the objects, and a wake-up for each of those who send them
// on. It does what a relay must do and no more.
type fan struct {
	ServeConfig
	began chan struct{}

	mu      sync.Mutex // guards what follows
	objects [][]byte
	wakes   []chan struct{} // with room for one
}

// publish makes the objects, from the moment at which f begins.
func (f *fan) publish(ctx context.Context) {
	select {
	case <-f.began:
	case <-ctx.Done():
		return
	}
	pace := newPacer(f.Rate)
	for n := range f.Objects {
		if pace.wait(ctx) != nil {
			return
		}
		p := make([]byte, f.Size)
		stamp(p, n)
		f.mu.Lock()
		f.objects = append(f.objects, p)
		wakes := f.wakes
		f.mu.Unlock()
		for _, w := range wakes {
			select {
			case w <- struct{}{}:
			default:
			}
		}
	}
}

// sink takes the objects for one subscriber.
type sink interface {
	group(ctx context.Context) error // begins one
	write(p []byte) error
	close() error
}

// serve sends the objects to s until all have gone.
func (f *fan) serve(ctx context.Context, s sink) error {
	wake := make(chan struct{}, 1)
	f.mu.Lock()
	f.wakes = append(f.wakes, wake)
	f.mu.Unlock()
	for n := 0; n < f.Objects; {
		f.mu.Lock()
		ready := f.objects[n:]
		f.mu.Unlock()
		for _, p := range ready {
			if n%f.GroupSize == 0 {
				if err := s.group(ctx); err != nil {
					return err
				}
			}
			if err := s.write(p); err != nil {
				return err
			}
			n++
		}
		if len(ready) == 0 {
			select {
			case <-wake:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	if err := s.close(); err != nil {
		return err
	}
	<-ctx.Done() // whoever measures closes
	return nil
}

// quicSink gives each group a stream.
type quicSink struct {
	conn *quic.Conn
	st   *quic.SendStream
}

func (s *quicSink) group(ctx context.Context) (err error) {
	if s.st != nil {
		s.st.Close()
	}
	s.st, err = s.conn.OpenUniStreamSync(ctx)
	return err
}

func (s *quicSink) write(p []byte) error { _, err := s.st.Write(p); return err }
func (s *quicSink) close() error         { return s.st.Close() }

// tcpSink has one stream for all.
type tcpSink struct{ conn net.Conn }

func (s tcpSink) group(context.Context) error { return nil }
func (s tcpSink) write(p []byte) error        { _, err := s.conn.Write(p); return err }
func (s tcpSink) close() error                { return nil }
