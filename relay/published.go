package relay

import (
	"context"
	"slices"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// servePublish takes a track that the peer publishes by PUBLISH. Objects are
// asked for while somebody wants them.
func (p *peer) servePublish(req *transport.PublishRequest) {
	t, err := p.r.hold(req.Track)
	if err != nil {
		refuse(req, err)
		return
	}
	defer t.release()
	t.mu.Lock()
	s := t.addSourceLocked(p, true)
	wanted := len(t.sinks) > 0 || len(t.waiting) > 0
	t.mu.Unlock()
	if s == nil {
		req.Reject(moqt.RequestUninterested, "the track has publishers enough, or contradicted another's before")
		return
	}
	// Who asked for the tracks of the namespace wants this one: what is published
	// until they have accepted it is not to be held back.
	interested := p.r.interested(req.Track.Namespace, p)
	wanted = wanted || slices.ContainsFunc(interested, func(in *interest) bool { return in.req.Forward })
	rd, err := req.Accept(&transport.SubscribeOptions{Paused: !wanted})
	if err != nil {
		t.lost(s, false, err)
		return
	}
	p.log.Info("track published", "track", req.Track)
	if p.r.cfg.Origins != nil {
		p.r.cfg.Origins.Register(req.Track.Namespace)
		defer p.r.cfg.Origins.Unregister(req.Track.Namespace)
	}
	ctx, cancel := context.WithCancel(rd.Context())
	if wanted && t.leads(s) {
		largest, some := rd.Largest()
		s.setFetch(s.expect(), largest, some)
	}
	p.wg.Go(func() { s.steer(ctx, rd, wanted) })
	for _, in := range interested {
		in.p.wg.Go(func() { t.publishTo(in) })
	}
	s.run(rd)
	cancel()
	p.log.Info("track withdrawn", "track", req.Track)
}

// steer keeps the forward state of a published track at whether anybody wants
// it. ("Forward Handling")
func (s *source) steer(ctx context.Context, rd *transport.TrackReader, forward bool) {
	t := s.t
	for {
		t.mu.Lock()
		changed, wanted := t.changed, t.wantedLocked()
		t.mu.Unlock()
		if wanted != forward {
			if !wanted { // leave it on for a while: the next subscriber may be near
				timer := time.NewTimer(t.r.cfg.Linger)
				select {
				case <-changed:
					timer.Stop()
					continue
				case <-timer.C:
				case <-ctx.Done():
					timer.Stop()
					return
				}
			}
			if err := s.setForward(ctx, rd, wanted); err != nil {
				t.r.log.Debug("forward state not changed", "track", t.name, "err", err)
				return
			}
			forward = wanted
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// setForward changes the forward state of a published track. With the first object
// that is wanted comes the head of its group.
func (s *source) setForward(ctx context.Context, rd *transport.TrackReader, forward bool) error {
	u := transport.SubscribeUpdate{Forward: &forward}
	if !forward || !s.t.leads(s) {
		return rd.Update(ctx, u)
	}
	h := s.expect()
	if err := rd.Update(ctx, u); err != nil {
		h.over()
		return err
	}
	largest, some := rd.Largest()
	s.setFetch(h, largest, some)
	return nil
}

func (t *track) wantedLocked() bool {
	for k := range t.sinks {
		if k.forward.Load() {
			return true
		}
	}
	return false
}
