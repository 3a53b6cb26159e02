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

// feed is what one subscriber gets: streams of objects.
type feed interface {
	// next waits for the next stream.
	next(ctx context.Context) (objects, error)
	close()
}

// objects reads the objects of one stream into buf, one by one, and fails with
// io.EOF at the end.
type objects interface {
	read(buf []byte) error
}

// receive counts all objects of f, which have size bytes, until f ends. If ctx
// ends before, it closes f.
func receive(ctx context.Context, f feed, size int, t *tally) {
	stop := context.AfterFunc(ctx, f.close)
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		o, err := f.next(ctx)
		if err != nil {
			return
		}
		wg.Go(func() {
			buf := make([]byte, size)
			for o.read(buf) == nil {
				t.take(buf)
			}
		})
	}
}

// trackFeed is a subscription.
type trackFeed struct {
	sess *transport.Session
	tr   *transport.TrackReader
}

func (f *trackFeed) next(ctx context.Context) (objects, error) {
	sg, err := f.tr.AcceptSubgroup(ctx)
	return subgroupObjects{sg}, err
}

func (f *trackFeed) close() {
	f.tr.Close()
	f.sess.Close()
}

type subgroupObjects struct{ sg *transport.SubgroupReader }

func (o subgroupObjects) read(buf []byte) error {
	_, size, err := o.sg.Next()
	if err != nil {
		return err
	}
	if size != int64(len(buf)) {
		return io.ErrUnexpectedEOF
	}
	_, err = io.ReadFull(o.sg, buf)
	return err
}

// newDialer returns a dialer of sessions with servers of this program.
func newDialer() *transport.Dialer {
	return &transport.Dialer{TLSConfig: trusting(), Config: &transport.Config{}}
}

// subscribe opens a session with url and subscribes to track.
func subscribe(ctx context.Context, d *transport.Dialer, url string, track moqt.TrackName) (*trackFeed, error) {
	sess, err := d.Dial(ctx, url)
	if err != nil {
		return nil, err
	}
	tr, err := sess.Subscribe(ctx, track, nil)
	if err != nil {
		sess.Close()
		return nil, err
	}
	return &trackFeed{sess, tr}, nil
}

// bareFeed is a QUIC connection with a socket of its own, as a [trackFeed] has.
type bareFeed struct {
	tr   *quic.Transport
	conn *quic.Conn
}

func dialBare(ctx context.Context, addr string) (*bareFeed, error) {
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, err
	}
	pc, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, err
	}
	f := &bareFeed{tr: &quic.Transport{Conn: pc}}
	if f.conn, err = f.tr.Dial(ctx, to, trusting(bareProtocol), bareConfig()); err != nil {
		f.release()
		return nil, err
	}
	return f, nil
}

func (f *bareFeed) release() {
	f.tr.Close()
	f.tr.Conn.Close()
}

func (f *bareFeed) next(ctx context.Context) (objects, error) {
	st, err := f.conn.AcceptUniStream(ctx)
	return byteObjects{st}, err
}

func (f *bareFeed) close() {
	f.conn.CloseWithError(0, "")
	f.release()
}

// byteObjects has objects that follow one another without anything between.
type byteObjects struct{ r io.Reader }

func (o byteObjects) read(buf []byte) error {
	_, err := io.ReadFull(o.r, buf)
	return err
}

// tcpFeed is a TCP connection, with TLS or without. It is one stream.
type tcpFeed struct {
	conn net.Conn
	once bool
}

func dialTCP(ctx context.Context, addr string, secure bool) (*tcpFeed, error) {
	var d net.Dialer
	d.SetMultipathTCP(false) // it is plain TCP that relays are measured against
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if secure {
		t := tls.Client(conn, trusting())
		if err := t.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		conn = t
	}
	return &tcpFeed{conn: conn}, nil
}

func (f *tcpFeed) next(ctx context.Context) (objects, error) {
	if f.once {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	f.once = true
	return byteObjects{f.conn}, nil
}

func (f *tcpFeed) close() { f.conn.Close() }
