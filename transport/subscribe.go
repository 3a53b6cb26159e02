package transport

import (
	"context"
	"fmt"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// SubscribeOptions are what a subscriber may say of a subscription. A nil
// *SubscribeOptions and the zero value ask for what is published from now on.
type SubscribeOptions struct {
	// Filter is the range of locations asked for.
	Filter moqt.Filter
	// Priority is the subscriber priority. If nil, it is 128.
	Priority *moqt.Priority
	// Order is the order of groups. If OrderDefault, the publisher's.
	Order moqt.GroupOrder
	// Paused asks for no objects until [TrackReader.Update] says so (FORWARD 0).
	Paused bool
	// ObjectTimeout and SubgroupTimeout are the delivery timeouts. If zero,
	// there is none.
	ObjectTimeout, SubgroupTimeout time.Duration
	// Rendezvous is how long a relay should wait for a publisher to appear. If
	// zero, it answers DOES_NOT_EXIST at once.
	Rendezvous time.Duration
	// NewGroup asks a publisher with dynamic groups to start a new one, and
	// NewGroupValue is the largest group known plus one, or 0 if none is.
	NewGroup      bool
	NewGroupValue uint64
	// Ranges are filters that objects have to pass as well. Drafts before 19 have
	// none.
	Ranges moqt.RangeFilters
	// NoProperties asks to leave out the track's properties, of somebody who has
	// them. Drafts before 20 send them all the same.
	NoProperties bool
}

func (o *SubscribeOptions) params() wire.Params {
	var p wire.Params
	if o == nil {
		o = &SubscribeOptions{}
	}
	p.Filter = wire.Some(o.Filter)
	if o.Priority != nil {
		p.Priority = wire.Some(*o.Priority)
	}
	if o.Order != moqt.OrderDefault {
		p.Order = wire.Some(o.Order)
	}
	if o.Paused {
		p.Forward = wire.Some(false)
	}
	if o.ObjectTimeout > 0 {
		p.ObjectTimeout = wire.Some(o.ObjectTimeout)
	}
	if o.SubgroupTimeout > 0 {
		p.SubgroupTimeout = wire.Some(o.SubgroupTimeout)
	}
	if o.Rendezvous > 0 {
		p.RendezvousTimeout = wire.Some(o.Rendezvous)
	}
	if o.NewGroup {
		p.NewGroup = wire.Some(o.NewGroupValue)
	}
	p.Ranges = o.Ranges
	if o.NoProperties {
		p.IncludeProperties = wire.Some(false)
	}
	return p
}

// SubscribeUpdate changes a subscription; nil fields stay as they are.
type SubscribeUpdate struct {
	Priority *moqt.Priority
	Filter   *moqt.Filter
	Forward  *bool
	// ObjectTimeout and SubgroupTimeout are the delivery timeouts; 0 takes one
	// away, from draft-18 on.
	ObjectTimeout, SubgroupTimeout *time.Duration
	// NewGroup is the largest group known plus one, or 0, in a request for a
	// new group (NEW_GROUP_REQUEST).
	NewGroup *uint64
	// Ranges replace those of the same fields; one without ranges removes them.
	Ranges moqt.RangeFilters
}

func (u *SubscribeUpdate) params() wire.Params {
	p := wire.Params{Ranges: u.Ranges}
	if u.Priority != nil {
		p.Priority = wire.Some(*u.Priority)
	}
	if u.Filter != nil {
		p.Filter = wire.Some(*u.Filter)
	}
	if u.Forward != nil {
		p.Forward = wire.Some(*u.Forward)
	}
	if u.ObjectTimeout != nil {
		p.ObjectTimeout = wire.Some(*u.ObjectTimeout)
	}
	if u.SubgroupTimeout != nil {
		p.SubgroupTimeout = wire.Some(*u.SubgroupTimeout)
	}
	if u.NewGroup != nil {
		p.NewGroup = wire.Some(*u.NewGroup)
	}
	return p
}

// Subscribe asks the peer for a track and waits for its answer, at most
// Limits.ResponseTimeout and, beyond that, the rendezvous timeout. It returns
// [*RequestError] if the peer refuses.
func (s *Session) Subscribe(ctx context.Context, name moqt.TrackName, o *SubscribeOptions) (*TrackReader, error) {
	p := o.params()
	if err := s.mayFilter(p.Ranges); err != nil {
		return nil, err
	}
	t, err := s.reserve(name)
	if err != nil {
		return nil, err
	}
	return s.subscribe(ctx, t, p, func(id uint64) {})
}

// reserve takes the place of a subscription to name in this session.
func (s *Session) reserve(name moqt.TrackName) (*TrackReader, error) {
	if err := name.Check(); err != nil {
		return nil, err
	}
	t := s.newTrackReader(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.profile.SeveralSubscriptions() {
		if s.readers[name] != nil {
			return nil, fmt.Errorf("moqt: track %v is subscribed on this session already", name)
		}
		s.readers[name] = t
	}
	t.entered = true
	s.unaliased++
	return t, nil
}

func (s *Session) subscribe(ctx context.Context, t *TrackReader, p wire.Params, sent func(id uint64)) (*TrackReader, error) {
	rs, m, err := s.request(ctx, wire.KindSubscribe, p.RendezvousTimeout.Value, nil, func(id uint64) wire.Message {
		sent(id)
		return &wire.Subscribe{RequestID: id, Track: t.name, Params: p}
	})
	if err != nil {
		s.forget(t)
		return nil, err
	}
	ok, is := m.(*wire.SubscribeOK)
	if !is {
		s.forget(t)
		return nil, rs.unexpected(m)
	}
	if err := s.unknownMandatory(ok.Properties); err != nil {
		rs.abort(moqt.StreamCancelled, err)
		s.forget(t)
		return nil, err
	}
	t.rs, t.props = rs, ok.Properties
	t.asked.apply(&p)
	t.expireLocked(&ok.Params)
	if ok.Params.Largest.Set {
		t.largest, t.some = ok.Params.Largest.Value, true
	}
	t.want.start, t.want.end = bounds(p.Filter.Value, t.largest, t.some)
	t.want.ranges = p.Ranges
	if err := s.learn(t, ok.Alias); err != nil {
		return nil, err
	}
	if !s.wg.Go(t.run) {
		s.forget(t)
		return nil, s.cause()
	}
	return t, nil
}

// unknownMandatory refuses track properties that a receiver has to understand;
// none is known yet. ("Mandatory Track Properties")
func (s *Session) unknownMandatory(props moqt.Properties) error {
	if !s.profile.MandatoryProperties() {
		return nil
	}
	for _, p := range props {
		if p.Type >= moqt.PropMandatoryFirst && p.Type <= moqt.PropMandatoryLast {
			return &RequestError{Code: moqt.RequestUnsupportedExtension, RetryAfter: -1,
				Reason: fmt.Sprintf("the track needs property 0x%x, which is not known here", p.Type)}
		}
	}
	return nil
}
