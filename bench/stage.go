package bench

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// stage is a relay of its own and a session of a publisher with it.
type stage struct {
	srv *server
	url string
	up  *transport.Session
	d   *transport.Dialer
}

func newStage(ctx context.Context, r Relay) (*stage, error) {
	srv, err := startRelay(ctx, r)
	if err != nil {
		return nil, err
	}
	s := &stage{srv: srv, url: "moqt://" + srv.addr + "/", d: newDialer()}
	if s.up, err = s.d.Dial(ctx, s.url); err != nil {
		srv.close()
		return nil, err
	}
	return s, nil
}

// sessions opens n sessions with the relay.
func (s *stage) sessions(ctx context.Context, n int) ([]*transport.Session, error) {
	list := make([]*transport.Session, n)
	err := InParallel(n, 16, func(i int) (err error) {
		list[i], err = s.d.Dial(ctx, s.url)
		return err
	})
	if err != nil {
		closeAll(list)
		return nil, err
	}
	return list, nil
}

func closeAll(list []*transport.Session) {
	InParallel(len(list), 64, func(i int) error {
		if list[i] != nil {
			list[i].Close()
		}
		return nil
	})
}

func (s *stage) close() {
	s.up.Close()
	s.srv.close()
}

// origin announces a namespace and serves the SUBSCRIBEs that come for its one
// track: what a publisher sees of a relay.
type origin struct {
	track      moqt.TrackName
	subscribes atomic.Int64 // that came
	objects    atomic.Int64 // that were written, over all of them
	served     chan *transport.TrackWriter
	wg         sync.WaitGroup
}

func newOrigin(ctx context.Context, sess *transport.Session, track moqt.TrackName) (*origin, error) {
	if _, err := sess.Announce(ctx, track.Namespace); err != nil {
		return nil, err
	}
	o := &origin{track: track, served: make(chan *transport.TrackWriter, 64)}
	o.wg.Go(func() { o.serve(ctx, sess) })
	return o, nil
}

// serve ends with ctx or the session.
func (o *origin) serve(ctx context.Context, sess *transport.Session) {
	for {
		req, err := sess.Accept(ctx)
		if err != nil {
			return
		}
		sub, ok := req.(*transport.SubscribeRequest)
		if !ok || sub.Track != o.track {
			req.Reject(moqt.RequestNotSupported, "not part of the measurement")
			continue
		}
		o.subscribes.Add(1)
		w, err := sub.Accept(nil)
		if err != nil {
			return
		}
		select {
		case o.served <- w:
		case <-ctx.Done():
			return
		}
	}
}
