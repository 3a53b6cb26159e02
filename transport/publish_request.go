package transport

import (
	"errors"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// PublishRequest is the peer's offer of a track (PUBLISH). Objects may come
// before it is accepted; they wait in their streams, and datagrams in a queue.
type PublishRequest struct {
	incoming
	Track      moqt.TrackName
	Properties moqt.Properties
	// Largest is the largest location published, if HasLargest.
	Largest    moqt.Location
	HasLargest bool
	// Forward tells whether the peer sends objects without being asked again.
	Forward bool

	t        *TrackReader
	accepted chan struct{}
}

func (s *Session) servePublish(rs *requestStream, m *wire.Publish) {
	if s.reserved(rs, m.Track.Namespace) {
		return
	}
	if err := s.unknownMandatory(m.Properties); err != nil {
		var re *RequestError
		errors.As(err, &re)
		rs.reject(re.Code, re.Reason, -1)
		return
	}
	t, err := s.reserveSoon(rs, m.Track)
	if err != nil {
		rs.reject(moqt.RequestDuplicateSubscription, "the track is subscribed on this session already", -1)
		return
	}
	t.rs, t.props = rs, m.Properties
	t.expireLocked(&m.Params)
	if m.Params.Largest.Set {
		t.largest, t.some = m.Params.Largest.Value, true
	}
	if m.Params.Filter.Set {
		t.want.start, t.want.end = bounds(m.Params.Filter.Value, t.largest, t.some)
	}
	if s.learn(t, m.Alias) != nil {
		return
	}
	r := &PublishRequest{incoming: incoming{rs}, Track: m.Track, Properties: m.Properties,
		Largest: t.largest, HasLargest: t.some, Forward: m.Params.Forward.Or(true),
		t: t, accepted: make(chan struct{})}
	if s.offer(rs, r) {
		select {
		case <-r.accepted:
			t.run()
			return // what has come is the application's to read and to close
		case <-rs.ctx.Done():
		}
	}
	t.Close()
}

// Reject refuses the request. The peer may then offer the track anew at once.
func (r *PublishRequest) Reject(code moqt.RequestCode, reason string) error {
	r.t.s.forget(r.t)
	return r.incoming.Reject(code, reason)
}

// RejectRetry is Reject with a time after which to ask again.
func (r *PublishRequest) RejectRetry(code moqt.RequestCode, reason string, retry time.Duration) error {
	r.t.s.forget(r.t)
	return r.incoming.RejectRetry(code, reason, retry)
}

// Accept answers PUBLISH_OK and returns the reader of the track. The options
// are as for [Session.Subscribe], but without a Filter all that the publisher
// sends is asked for; Paused asks it to hold objects back.
func (r *PublishRequest) Accept(o *SubscribeOptions) (*TrackReader, error) {
	t, s := r.t, r.t.s
	p := o.offered()
	p.Forward = wire.Some(o == nil || !o.Paused)
	if err := s.mayFilter(p.Ranges); err != nil {
		return nil, err
	}
	t.mu.Lock()
	if p.Filter.Set {
		t.want.start, t.want.end = bounds(p.Filter.Value, t.largest, t.some)
	}
	t.want.ranges = p.Ranges
	t.asked.apply(&p)
	t.mu.Unlock()
	if s.profile.PublishParams() {
		if err := r.rs.answer(&wire.RequestOK{Params: p}, false); err != nil {
			return nil, err
		}
		close(r.accepted)
		return t, nil
	}
	if err := r.rs.answer(&wire.RequestOK{}, false); err != nil {
		return nil, err
	}
	close(r.accepted)
	if err := r.adjust(p); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// adjust changes the subscription to what p says, by an update if it is not so.
// It is sent when adjust returns; its answer is waited for in the background.
func (r *PublishRequest) adjust(p wire.Params) error {
	if p.Forward.Value == r.Forward {
		p.Forward.Set = false
	}
	p.Order.Set, p.IncludeProperties.Set = false, false // told by the publisher for good
	if !p.Forward.Set && !p.Priority.Set && !p.Filter.Set && !p.ObjectTimeout.Set && !p.SubgroupTimeout.Set && len(p.Ranges) == 0 {
		return nil
	}
	t := r.t
	answer, err := r.rs.sendUpdate(r.rs.ctx, p, nil)
	if err != nil {
		return err
	}
	t.s.wg.Go(func() {
		if ok, err := r.rs.awaitAnswer(r.rs.ctx, answer); err == nil {
			t.updated(&p, ok)
		}
	})
	return nil
}

// offered returns what o says of subscriptions that the publisher offers.
func (o *SubscribeOptions) offered() wire.Params {
	p := o.params()
	if o == nil || o.Filter == (moqt.Filter{}) {
		p.Filter = wire.Opt[moqt.Filter]{} // what the publisher sends anyway
	}
	p.RendezvousTimeout = wire.Opt[time.Duration]{}
	p.NewGroup = wire.Opt[uint64]{}
	return p
}
