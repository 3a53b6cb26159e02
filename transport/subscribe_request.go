package transport

import (
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// enterSoon is enter for a subscriber that may have cancelled a subscription to
// the same track a moment ago.
func (s *Session) enterSoon(t *TrackWriter) bool {
	if s.enter(t) {
		return true
	}
	s.mu.Lock()
	old := s.writers[t.name]
	var rs *requestStream
	if old != nil && (old.established || old.rs != nil && !old.rs.ours) {
		rs = old.rs
	}
	s.mu.Unlock()
	if rs != nil && t.rs.outlives(rs.ctx.Done()) {
		s.leave(old)
	}
	return s.enter(t)
}

// SubscribeRequest is the peer's wish to get a track (SUBSCRIBE).
type SubscribeRequest struct {
	incoming
	Track moqt.TrackName
	// Filter is the range asked for; FilterNone if the peer named none.
	Filter moqt.Filter
	// Order is the order asked for, or OrderDefault.
	Order    moqt.GroupOrder
	Priority moqt.Priority
	Forward  bool
	// Rendezvous is how long the peer is willing to wait for a publisher.
	Rendezvous time.Duration
	// NewGroup is the NEW_GROUP_REQUEST, if there is one.
	NewGroup *uint64
	// Ranges are the range filters; the [TrackWriter] applies them.
	Ranges moqt.RangeFilters

	s     *Session
	t     *TrackWriter
	p     wire.Params
	taken bool // guarded by t.mu: Accept has set up t
}

// serveSubscribe returns the subscription if somebody has taken the request; it
// is to be run then.
func (s *Session) serveSubscribe(rs *requestStream, m *wire.Subscribe) *TrackWriter {
	if s.reserved(rs, m.Track.Namespace) {
		return nil
	}
	fill := m.Params.Fill.Value.Ranges
	err := s.checkRanges(m.Params.Ranges, m.Params.Ranges.Update(fill))
	if err == nil {
		err = s.checkRanges(fill, nil)
	}
	if err != nil {
		rs.refuse(err)
		return nil
	}
	t := s.newTrackWriter(rs, m.Track, nil)
	if !s.enterSoon(t) {
		rs.reject(moqt.RequestDuplicateSubscription, "the track is subscribed on this session already", -1)
		return nil
	}
	s.mu.Lock()
	s.subscribes[rs.id] = t
	s.announceLocked()
	s.mu.Unlock()
	r := &SubscribeRequest{incoming: incoming{rs}, s: s, t: t, p: m.Params, Track: m.Track,
		Filter:   m.Params.Filter.Or(moqt.Filter{Kind: moqt.FilterNone}),
		Order:    m.Params.Order.Value,
		Priority: m.Params.Priority.Or(moqt.DefaultPriority), Forward: m.Params.Forward.Or(true),
		Rendezvous: m.Params.RendezvousTimeout.Value, Ranges: m.Params.Ranges}
	if m.Params.Fill.Set && r.Filter.Kind == moqt.FilterNone {
		// What is there comes by the fill, and need not come twice.
		r.Filter.Kind = moqt.FilterLargestObject
	}
	if m.Params.NewGroup.Set {
		r.NewGroup = &m.Params.NewGroup.Value
	}
	if !s.offer(rs, r) {
		s.leave(t)
		return nil
	}
	return t
}

// Reject refuses the request. The peer may then ask anew at once.
func (r *SubscribeRequest) Reject(code moqt.RequestCode, reason string) error {
	r.s.leave(r.t)
	return r.incoming.Reject(code, reason)
}

// RejectRetry is Reject with a time after which to ask again.
func (r *SubscribeRequest) RejectRetry(code moqt.RequestCode, reason string, retry time.Duration) error {
	r.s.leave(r.t)
	return r.incoming.RejectRetry(code, reason, retry)
}

// Accept answers SUBSCRIBE_OK and returns the writer of the subscription. The
// track counts as having Largest of o, or of what the caller says by it; it must
// be right at the time of the call.
func (r *SubscribeRequest) Accept(o *PublishOptions) (*TrackWriter, error) {
	t, s := r.t, r.s
	fresh := s.newTrackWriter(r.rs, t.name, o)
	ok := &wire.SubscribeOK{Properties: s.properties(fresh.opts.Properties)}
	if !r.p.IncludeProperties.Or(true) {
		ok.Properties = nil
	}
	largest, some := fresh.Largest()
	if some {
		ok.Params.Largest = s.largest(largest)
	}
	if fresh.opts.Expires > 0 {
		ok.Params.Expires = wire.Some(fresh.opts.Expires)
	}
	t.mu.Lock()
	if !r.taken {
		t.opts, t.defPrio, t.state = fresh.opts, fresh.defPrio, fresh.state
		t.joining, t.joinable = largest, some
		t.applyLocked(&r.p)
		t.ranges, t.filter = r.Ranges, r.p.Filter.Or(moqt.Filter{Kind: moqt.FilterNone})
		t.state.Start, t.state.End = bounds(r.Filter, largest, some)
		if fresh.alias != 0 {
			t.alias = fresh.alias
		}
	}
	r.taken = true
	ok.Alias = t.alias
	t.mu.Unlock()
	if err := t.rs.answer(ok, false); err != nil {
		return nil, err
	}
	s.establish(t)
	if r.p.Fill.Set {
		t.fill(r.rs.id, &r.p.Fill.Value, largest, some)
	}
	return t, nil
}

// establish marks the subscription as Established, for joining fetches.
func (s *Session) establish(t *TrackWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.established = true
	s.announceLocked()
}
