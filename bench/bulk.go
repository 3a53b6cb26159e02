package bench

import (
	"context"
	"crypto/tls"
	"net"
	"sync"

	"github.com/quic-go/quic-go"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// bulkTrack is what the servers of [KindBulk] have.
var bulkTrack = moqt.NS("bench").Track("bulk")

// sendBulk writes objects to each of the streams for as long as the connection
// lasts, the bytes of an object by one call.
func sendBulk(conn *quic.Conn, c ServeConfig) {
	var wg sync.WaitGroup
	defer wg.Wait()
	payload := make([]byte, c.Size)
	for range c.Streams {
		st, err := conn.OpenUniStreamSync(conn.Context())
		if err != nil {
			return
		}
		wg.Go(func() {
			for {
				if _, err := st.Write(payload); err != nil {
					return
				}
			}
		})
	}
}

// serveBulk is [sendBulk] with sessions: every stream is a group that does not
// end.
func serveBulk(ctx context.Context, conf *tls.Config, c ServeConfig) error {
	pc, err := transport.ListenUDP(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	c.Ready(pc.LocalAddr())
	srv := &transport.Server{TLSConfig: conf, Handler: transport.HandlerFunc(func(ctx context.Context, s *transport.Session) error {
		return publishBulk(ctx, s, c)
	})}
	defer srv.Close()
	if err := srv.Serve(ctx, pc); ctx.Err() == nil {
		return err
	}
	return nil
}

func publishBulk(ctx context.Context, s *transport.Session, c ServeConfig) error {
	w, err := acceptSubscribe(ctx, s, bulkTrack)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	payload := make([]byte, c.Size)
	for i := range c.Streams {
		g, err := w.OpenGroup(ctx, uint64(i))
		if err != nil {
			return err
		}
		wg.Go(func() {
			for {
				if _, err := g.Write(payload); err != nil {
					return
				}
			}
		})
	}
	return nil
}

// acceptSubscribe accepts the first SUBSCRIBE that comes for track, and refuses
// what else comes until then.
func acceptSubscribe(ctx context.Context, s *transport.Session, track moqt.TrackName) (*transport.TrackWriter, error) {
	for {
		req, err := s.Accept(ctx)
		if err != nil {
			return nil, err
		}
		if sub, ok := req.(*transport.SubscribeRequest); ok && sub.Track == track {
			return sub.Accept(nil)
		}
		if err := req.Reject(moqt.RequestNotSupported, "not part of the measurement"); err != nil {
			return nil, err
		}
	}
}

// listenLoopback opens a UDP socket.
func listenLoopback() (*net.UDPConn, error) {
	return net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
}
