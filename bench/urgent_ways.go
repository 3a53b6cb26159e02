package bench

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"

	"github.com/quic-go/quic-go"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// urgentTrack is beside [bulkTrack].
var urgentTrack = moqt.NS("bench").Track("urgent")

// Publisher priorities.
const (
	urgentPriority moqt.Priority = 10
	bulkPriority   moqt.Priority = 200
)

const bulkChunk = 16 << 10 // bytes of a bulk object

func (c *UrgentConfig) sender(ctx context.Context, way string) (urgentSender, error) {
	switch way {
	case wayIdle:
		return sendUrgentBare(ctx, false)
	case wayBare:
		return sendUrgentBare(ctx, true)
	case wayQUIC, wayWebTransport:
		return sendUrgentDirect(ctx)
	}
	return c.sendUrgentRelay(ctx)
}

// receiver connects the subscriber, which counts urgent objects and throws the
// rest away.
func (c *UrgentConfig) receiver(ctx context.Context, way, addr string, t *tally) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	if way == wayIdle || way == wayBare {
		f, err := dialBare(ctx, addr)
		if err != nil {
			cancel()
			return nil, err
		}
		wg.Go(func() { receiveBare(ctx, f, c.Size, t) })
		return func() { cancel(); f.close(); wg.Wait() }, nil
	}
	scheme := "moqt"
	if way == wayWebTransport || way == wayRelayWT {
		scheme = "https"
	}
	urgent, err := subscribe(ctx, newDialer(), scheme+"://"+addr+"/", urgentTrack)
	if err != nil {
		cancel()
		return nil, err
	}
	bulk, err := urgent.sess.Subscribe(ctx, bulkTrack, nil)
	if err != nil {
		urgent.close()
		cancel()
		return nil, err
	}
	wg.Go(func() { receive(ctx, urgent, c.Size, t) })
	wg.Go(func() { drop(ctx, &trackFeed{urgent.sess, bulk}) })
	return func() { cancel(); urgent.close(); wg.Wait() }, nil
}

// receiveBare reads streams, of which the bulk one is known by its first byte.
func receiveBare(ctx context.Context, f *bareFeed, size int, t *tally) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		st, err := f.conn.AcceptUniStream(ctx)
		if err != nil {
			return
		}
		wg.Go(func() {
			buf := make([]byte, max(size, bulkChunk))
			if _, err := io.ReadFull(st, buf[:1]); err != nil {
				return
			}
			if buf[0] == bulkMark {
				io.CopyBuffer(io.Discard, struct{ io.Reader }{st}, buf)
				return
			}
			if _, err := io.ReadFull(st, buf[:size]); err == nil {
				t.take(buf[:size])
			}
			io.Copy(io.Discard, st) // up to the FIN, which may come alone: else the stream stays open
		})
	}
}

const (
	bulkMark   = 'b'
	urgentMark = 'u'
)

// bareUrgent is what quic-go does by itself: one connection, a stream of bulk
// and one for each urgent object, with priorities.
type bareUrgent struct {
	at     net.Addr
	cancel context.CancelFunc
	wg     sync.WaitGroup
	ready  chan struct{} // closed when conn is set
	conn   *quic.Conn
}

func sendUrgentBare(ctx context.Context, bulk bool) (*bareUrgent, error) {
	cert, err := certificate()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &bareUrgent{cancel: cancel, ready: make(chan struct{})}
	conf := &tls.Config{Certificates: []tls.Certificate{*cert}, NextProtos: []string{bareProtocol}, MinVersion: tls.VersionTLS13}
	at, served := make(chan net.Addr, 1), make(chan error, 1)
	s.wg.Go(func() {
		served <- serveQUIC(ctx, conf, func(a net.Addr) { at <- a }, func(conn *quic.Conn) {
			s.conn = conn
			close(s.ready)
			if bulk {
				fillBare(conn)
			}
		})
	})
	select {
	case s.at = <-at:
		return s, nil
	case err := <-served:
		cancel()
		return nil, err
	}
}

// fillBare writes bulk for as long as the connection lasts.
func fillBare(conn *quic.Conn) {
	st, err := conn.OpenUniStreamSync(conn.Context())
	if err != nil {
		return
	}
	st.SetPriority(6, false)
	if _, err := st.Write([]byte{bulkMark}); err != nil {
		return
	}
	for chunk := make([]byte, bulkChunk); ; {
		if _, err := st.Write(chunk); err != nil {
			return
		}
	}
}

func (s *bareUrgent) addr() string { return s.at.String() }

func (s *bareUrgent) urgent(ctx context.Context, p []byte) error {
	select {
	case <-s.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	st, err := s.conn.OpenUniStreamSync(ctx)
	if err != nil {
		return err
	}
	st.SetPriority(1, true)
	if _, err := st.Write(append([]byte{urgentMark}, p...)); err != nil {
		return err
	}
	return st.Close()
}

func (s *bareUrgent) close() {
	s.cancel()
	s.wg.Wait()
}

// urgentTracks are the two tracks as their publisher writes them.
type urgentTracks struct {
	w    *transport.TrackWriter // of the urgent one
	next uint64                 // its group
}

func (s *urgentTracks) urgent(ctx context.Context, p []byte) error {
	g, err := s.w.OpenSubgroup(ctx, moqt.Subgroup{Group: s.next, Priority: urgentPriority, First: true, EndOfGroup: true})
	if err != nil {
		return err
	}
	s.next++
	if _, err := g.Write(p); err != nil {
		return err
	}
	return g.Close()
}

// directUrgent publishes to the subscriber itself.
type directUrgent struct {
	urgentTracks
	srv    *transport.Server
	at     net.Addr
	cancel context.CancelFunc
	wg     sync.WaitGroup
	ready  chan struct{} // closed when w is set
}

func sendUrgentDirect(ctx context.Context) (*directUrgent, error) {
	cert, err := certificate()
	if err != nil {
		return nil, err
	}
	pc, err := listenLoopback()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &directUrgent{at: pc.LocalAddr(), cancel: cancel, ready: make(chan struct{})}
	s.srv = &transport.Server{TLSConfig: &tls.Config{Certificates: []tls.Certificate{*cert}}, Handler: transport.HandlerFunc(s.serve)}
	s.wg.Go(func() { s.srv.Serve(ctx, pc) })
	return s, nil
}

func (s *directUrgent) serve(ctx context.Context, sess *transport.Session) error {
	w, err := acceptSubscribe(ctx, sess, urgentTrack)
	if err != nil {
		return err
	}
	s.w = w
	bulk, err := acceptSubscribe(ctx, sess, bulkTrack)
	if err != nil {
		return err
	}
	close(s.ready)
	g, err := bulk.OpenSubgroup(ctx, moqt.Subgroup{Priority: bulkPriority})
	if err != nil {
		return err
	}
	for chunk := make([]byte, bulkChunk); ; {
		if _, err := g.Write(chunk); err != nil {
			return nil
		}
	}
}

func (s *directUrgent) addr() string { return s.at.String() }

func (s *directUrgent) urgent(ctx context.Context, p []byte) error {
	select {
	case <-s.ready:
		return s.urgentTracks.urgent(ctx, p)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *directUrgent) close() {
	s.cancel()
	s.srv.Close()
	s.wg.Wait()
}

// relayUrgent publishes to a relay, the bulk track faster than the link behind
// it carries: the relay has to leave groups out for as long as it lasts.
type relayUrgent struct {
	urgentTracks
	srv    *server
	sess   *transport.Session
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func (c *UrgentConfig) sendUrgentRelay(ctx context.Context) (*relayUrgent, error) {
	r := c.Relay
	r.SameCore = true
	srv, err := startRelay(ctx, r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &relayUrgent{srv: srv, cancel: cancel}
	if err := s.publish(ctx, c.Rate*5/4); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *relayUrgent) publish(ctx context.Context, rate int64) (err error) {
	if s.sess, err = newDialer().Dial(ctx, "moqt://"+s.srv.addr+"/"); err != nil {
		return err
	}
	if s.w, err = s.sess.Publish(ctx, urgentTrack, nil); err != nil {
		return err
	}
	bulk, err := s.sess.Publish(ctx, bulkTrack, nil)
	if err != nil {
		return err
	}
	s.wg.Go(func() { fillTrack(ctx, bulk, rate) })
	return nil
}

// fillTrack writes groups of a second at a rate in bit/s.
func fillTrack(ctx context.Context, w *transport.TrackWriter, rate int64) error {
	perSecond := max(1, int(rate/8/bulkChunk))
	pace := newPacer(perSecond)
	chunk := make([]byte, bulkChunk)
	for group := uint64(0); ; group++ {
		g, err := w.OpenSubgroup(ctx, moqt.Subgroup{Group: group, Priority: bulkPriority, First: true, EndOfGroup: true})
		if err != nil {
			return err
		}
		for range perSecond {
			if err := pace.wait(ctx); err != nil {
				return err
			}
			if _, err := g.Write(chunk); err != nil {
				return err
			}
		}
		if err := g.Close(); err != nil {
			return err
		}
	}
}

func (s *relayUrgent) addr() string { return s.srv.addr }

func (s *relayUrgent) urgent(ctx context.Context, p []byte) error {
	if err := awaitForward(ctx, s.w); err != nil {
		return err
	}
	return s.urgentTracks.urgent(ctx, p)
}

func (s *relayUrgent) close() {
	s.cancel()
	s.wg.Wait()
	if s.sess != nil {
		s.sess.Close()
	}
	s.srv.close()
}
