package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/qlog"
	"github.com/tributary-live/tributary/transport/wire"
)

// PublishOptions are what a publisher says of a track. A nil *PublishOptions
// and the zero value work.
type PublishOptions struct {
	// Properties are the track's properties, in ascending order of type.
	Properties moqt.Properties
	// Largest tells the largest location published, or false if there is none.
	// If nil, it is what this TrackWriter was given to write. It may be called
	// from any goroutine and must not block.
	Largest func() (moqt.Location, bool)
	// Paused offers the track without sending objects until the subscriber
	// asks for them (PUBLISH with FORWARD 0). It means nothing in the answer to
	// a SUBSCRIBE.
	Paused bool
	// Expires tells how long the subscription will be served, from each of its
	// updates on. If zero, it is not limited. To end it is the caller's.
	Expires time.Duration
	// Alias is the track alias to use, if it is not 0: at least 65,536, and the same
	// for no other track of the session. Otherwise the session chooses.
	Alias uint64
	// For is the request that this publication is one of the answers to, if it
	// is: what that says of the subscriptions to come is how this one begins. It
	// means nothing in the answer to a SUBSCRIBE.
	For *TracksRequest
}

// SubscriptionState is what the subscriber wants at the moment.
type SubscriptionState struct {
	Forward  bool
	Priority moqt.Priority
	Order    moqt.GroupOrder
	// Start and End bound the locations to be sent; End.Object is
	// moqt.WholeGroup, and End.Group the largest number where there is no end.
	// End is before Start where nothing can come.
	Start, End moqt.Location
	// NewGroup counts the subscriber's NEW_GROUP_REQUESTs; NewGroupValue is the
	// last one's.
	NewGroup, NewGroupValue uint64
	// ObjectTimeout and SubgroupTimeout are the subscriber's delivery timeouts,
	// 0 for none.
	ObjectTimeout, SubgroupTimeout time.Duration
}

// TrackWriter is a subscription seen from its publisher: objects go out by it.
// Its methods may be called concurrently, those of one [SubgroupWriter] may
// not. While the subscriber wants no objects (forward state 0), or none at a
// location, what is written there is dropped without an error.
type TrackWriter struct {
	s       *Session
	name    moqt.TrackName
	alias   uint64
	rs      *requestStream // set before anybody but a joining fetch knows of it
	opts    PublishOptions
	defPrio moqt.Priority
	changed chan struct{} // cap 1: a token when state changed
	drained chan struct{} // closed when run has ended

	mu       sync.Mutex // guards what follows
	state    SubscriptionState
	filter   moqt.Filter       // as the subscriber told it
	ranges   moqt.RangeFilters // what objects have to pass as well
	fills    map[*fill]struct{}
	filled   chan struct{} // closed when there is none; nil if nobody waits
	joining  moqt.Location // Joining Location, if joinable
	joinable bool
	largest  moqt.Location
	some     bool
	streams  uint64 // opened
	open     map[*SubgroupWriter]struct{}
	timedOut timedOut
	empty    chan struct{} // closed when no subgroup is open; nil if nobody waits
	closed   bool

	established bool // guarded by s.mu: SUBSCRIBE_OK was sent, or PUBLISH_OK received
}

func (s *Session) newTrackWriter(rs *requestStream, name moqt.TrackName, o *PublishOptions) *TrackWriter {
	t := &TrackWriter{s: s, rs: rs, name: name, changed: make(chan struct{}, 1), drained: make(chan struct{}),
		filter: moqt.Filter{Kind: moqt.FilterNone}, open: make(map[*SubgroupWriter]struct{})}
	if o != nil {
		t.opts, t.alias = *o, o.Alias
	}
	t.defPrio = moqt.DefaultPriority
	if v, ok := t.opts.Properties.Value(moqt.PropDefaultPriority); ok && v <= 255 {
		t.defPrio = moqt.Priority(v)
	}
	t.state = SubscriptionState{Forward: true, Priority: moqt.DefaultPriority, Order: moqt.Ascending, End: endless}
	if v, ok := t.opts.Properties.Value(moqt.PropDefaultGroupOrder); ok {
		t.state.Order = moqt.GroupOrder(v)
	}
	return t
}

// Publish offers the peer a track (PUBLISH) and waits until it has accepted.
// Whether it wants objects yet is in [TrackWriter.State]; a relay may wait for
// its first subscriber. It returns [*RequestError] if the peer refuses, and
// [ErrFiltered] if o.For does not ask for a track with these properties.
func (s *Session) Publish(ctx context.Context, name moqt.TrackName, o *PublishOptions) (*TrackWriter, error) {
	if err := name.Check(); err != nil {
		return nil, err
	}
	t := s.newTrackWriter(nil, name, o)
	p, err := t.offer()
	if err != nil {
		return nil, err
	}
	if !s.enter(t) {
		return nil, fmt.Errorf("moqt: track %v is published on this session already", name)
	}
	props := t.opts.Properties
	if t.opts.For != nil && !t.opts.For.params().IncludeProperties.Or(true) {
		props = nil
	}
	rs, m, err := s.request(ctx, wire.KindPublish, 0, func(rs *requestStream) {
		s.mu.Lock()
		t.rs = rs
		s.subscribes[rs.id] = t
		s.mu.Unlock()
	}, func(id uint64) wire.Message {
		return &wire.Publish{RequestID: id, Track: name, Alias: t.alias, Params: p, Properties: props}
	})
	if err != nil {
		s.leave(t)
		return nil, err
	}
	ok, is := m.(*wire.RequestOK)
	if !is {
		s.leave(t)
		return nil, rs.unexpected(m)
	}
	if err := t.accepted(&ok.Params); err != nil {
		s.leave(t)
		return nil, err
	}
	s.establish(t)
	begun := s.wg.Go(func() {
		defer context.AfterFunc(rs.lane.writing(), rs.stopped)()
		t.run()
	})
	if !begun {
		s.leave(t)
		return nil, s.cause()
	}
	return t, nil
}

// enter takes the place of t among the session's publications, of which there
// may be one to a track if the draft says so.
func (s *Session) enter(t *TrackWriter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.profile.SeveralSubscriptions() {
		if _, dup := s.writers[t.name]; dup {
			return false
		}
		s.writers[t.name] = t
	}
	if t.alias == 0 {
		t.alias = s.nextAlias
		s.nextAlias++
	}
	return true
}

func (s *Session) leave(t *TrackWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writers[t.name] == t {
		delete(s.writers, t.name)
	}
	if t.rs != nil && s.subscribes[t.rs.id] == t {
		delete(s.subscribes, t.rs.id)
	}
}

// offer returns what PUBLISH says of the subscription, which t then has as its
// state.
func (t *TrackWriter) offer() (p wire.Params, err error) {
	st := &t.state
	st.Forward = !t.opts.Paused
	if l, ok := t.Largest(); ok {
		p.Largest = t.s.largest(l)
		t.joining, t.joinable = l, true
	}
	if r := t.opts.For; r != nil {
		asked := r.params()
		objects, ok := asked.Ranges.Track(t.opts.Properties)
		if !ok {
			return p, ErrFiltered
		}
		forward := st.Forward && asked.Forward.Or(true)
		t.applyLocked(&asked)
		st.Forward, t.ranges = forward, objects
		if asked.Filter.Set {
			t.filter = asked.Filter.Value
			st.Start, st.End = bounds(t.filter, t.joining, t.joinable)
		}
		t.s.echo(&p, &asked)
	}
	if !st.Forward {
		p.Forward = wire.Some(false)
	}
	if t.opts.Expires > 0 {
		p.Expires = wire.Some(t.opts.Expires)
	}
	return p, nil
}

// echo tells in a PUBLISH what a SUBSCRIBE_TRACKS asked for, as far as the draft
// has a place for it. ("Parameters on SUBSCRIBE_TRACKS")
func (s *Session) echo(p, asked *wire.Params) {
	if s.profile.SeveralSubscriptions() {
		p.Order = asked.Order
	}
	if !s.profile.PublishParams() {
		p.Priority, p.Filter = asked.Priority, asked.Filter
		p.ObjectTimeout, p.SubgroupTimeout = asked.ObjectTimeout, asked.SubgroupTimeout
	}
}

// accepted takes over what the answer to PUBLISH says.
func (t *TrackWriter) accepted(p *wire.Params) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	ranges := t.ranges.Update(p.Ranges)
	if err := t.s.checkRanges(p.Ranges, ranges); err != nil {
		t.rs.abort(moqt.StreamCancelled, ErrClosed)
		return fmt.Errorf("moqt: the peer accepts track %v with a filter that cannot be: %s", t.name, err.Reason)
	}
	t.ranges = ranges
	if t.s.profile.PublishParams() {
		t.state.Forward = true // unless it is told
	}
	t.applyLocked(p)
	if p.Filter.Set {
		t.filter = p.Filter.Value
		t.state.Start, t.state.End = bounds(t.filter, t.joining, t.joinable)
	}
	return nil
}

// applyLocked takes over what a message of the subscriber says.
func (t *TrackWriter) applyLocked(p *wire.Params) {
	st := &t.state
	if p.Forward.Set {
		st.Forward = p.Forward.Value
	}
	if p.Priority.Set {
		st.Priority = p.Priority.Value
	}
	if p.Order.Set {
		st.Order = p.Order.Value
	}
	if p.ObjectTimeout.Set {
		st.ObjectTimeout = p.ObjectTimeout.Value
	}
	if p.SubgroupTimeout.Set {
		st.SubgroupTimeout = p.SubgroupTimeout.Value
	}
	if p.NewGroup.Set {
		st.NewGroup++
		st.NewGroupValue = p.NewGroup.Value
	}
}

// run follows the request stream until the subscription ends.
func (t *TrackWriter) run() {
	defer close(t.drained)
	err := t.rs.follow(func(m wire.Message) error {
		update, ok := m.(*wire.RequestUpdate)
		if !ok {
			return t.rs.unexpected(m)
		}
		return t.updated(update)
	})
	if err == io.EOF { // no more updates will come; the subscription goes on
		<-t.rs.ctx.Done()
	}
	t.rs.cancel(t.rs.endOf(err))
	t.s.leave(t)
	t.each(func(w *SubgroupWriter) { w.Cancel(moqt.StreamCancelled) })
	t.rs.abort(moqt.StreamCancelled, nil)
}

// Drained is closed after Close when the subscriber has ended its side too.
// Subscribers of this package do so when they have read all streams to their
// end, so a publisher that waits for it before it closes the session loses
// nothing; with others it is closed a few seconds later at most.
func (t *TrackWriter) Drained() <-chan struct{} { return t.drained }

// updated applies a REQUEST_UPDATE and answers it.
func (t *TrackWriter) updated(m *wire.RequestUpdate) error {
	largest, some := t.Largest()
	t.mu.Lock()
	if t.closed { // it crossed PUBLISH_DONE, after which nothing is answered
		t.mu.Unlock()
		return nil
	}
	ranges := t.ranges.Update(m.Params.Ranges)
	err := t.s.checkRanges(m.Params.Ranges, ranges)
	if err == nil && m.Params.Fill.Set {
		err = t.s.checkRanges(m.Params.Fill.Value.Ranges, ranges.Update(m.Params.Fill.Value.Ranges))
	}
	if err != nil {
		t.mu.Unlock()
		t.rs.send(err)
		t.CloseWithError(moqt.DoneUpdateFailed, err.Reason)
		return nil
	}
	t.ranges = ranges
	was := t.state.Forward
	t.applyLocked(&m.Params)
	if m.Params.Filter.Set {
		t.filter = m.Params.Filter.Value
		t.state.Start, t.state.End = bounds(t.filter, largest, some)
	}
	raised := t.state.Forward && !was
	lowered := was && !t.state.Forward
	if raised && some {
		t.joining, t.joinable = largest, true
	}
	t.mu.Unlock()
	ok := &wire.RequestOK{}
	if some {
		ok.Params.Largest = t.s.largest(largest)
	}
	if t.opts.Expires > 0 { // and begins anew
		ok.Params.Expires = wire.Some(t.opts.Expires)
	}
	if err := t.rs.send(ok); err != nil {
		return err
	}
	if m.Params.Fill.Set {
		t.fill(m.RequestID, &m.Params.Fill.Value, largest, some)
	}
	if lowered {
		t.each((*SubgroupWriter).cut)
	}
	t.s.sched.rekey()
	select {
	case t.changed <- struct{}{}:
	default:
	}
	return nil
}

// Narrow moves the start of what the subscriber gets to start, if that is
// later: for a publisher that does not have all that a filter lets pass.
func (t *TrackWriter) Narrow(start moqt.Location) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state.Start.Less(start) {
		t.state.Start = start
	}
}

// Name returns the full track name.
func (t *TrackWriter) Name() moqt.TrackName { return t.name }

// Alias returns the number by which streams and datagrams name the track.
func (t *TrackWriter) Alias() uint64 { return t.alias }

// Context ends when the subscription does: cancelled by the subscriber, closed
// here, or with the session.
func (t *TrackWriter) Context() context.Context { return t.rs.ctx }

// State returns what the subscriber wants now. [TrackWriter.Changed] tells when
// to look again.
func (t *TrackWriter) State() SubscriptionState {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state
}

// Changed gives a token after the subscriber has changed something. Only one
// goroutine should wait on it.
func (t *TrackWriter) Changed() <-chan struct{} { return t.changed }

// Largest returns the largest location of the track, or false if nothing has
// been published.
func (t *TrackWriter) Largest() (moqt.Location, bool) {
	if t.opts.Largest != nil {
		return t.opts.Largest()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.largest, t.some
}

// wants reports whether o goes to the subscriber, and takes note that it was
// published. filtered says that it does not because it does not pass the range
// filters, of which nothing follows for the objects after it.
func (t *TrackWriter) wants(o *moqt.Object) (wanted, filtered bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.some || t.largest.Less(o.Location) {
		t.largest, t.some = o.Location, true
	}
	e := extent{start: t.state.Start, end: t.state.End}
	wanted = t.state.Forward && !t.closed && e.covers(o.Location)
	filtered = wanted && !t.ranges.Match(o)
	return wanted && !filtered, filtered
}

// SendDatagram sends o as a datagram. One that is larger than the path takes is
// an error and lost; so is, without an error, one that the network drops or that
// has outlived a delivery timeout.
func (t *TrackWriter) SendDatagram(o moqt.Object) error {
	o.Datagram = true
	if wanted, _ := t.wants(&o); !wanted || t.lateDatagram(&o) {
		return nil
	}
	d := wire.Datagram{
		Alias: t.alias, Location: o.Location, Priority: o.Priority, DefaultPriority: o.Priority == t.defPrio,
		Status: o.Status, Properties: o.Properties, Payload: o.Payload}
	b, err := t.s.profile.AppendDatagram(nil, &d)
	if err != nil {
		return err
	}
	t.s.trace.datagram(qlog.Created, d)
	return t.s.conn.SendDatagram(b)
}

// Close ends the subscription with TRACK_ENDED. Subgroups that are still open
// are reset first.
func (t *TrackWriter) Close() error { return t.CloseWithError(moqt.DoneTrackEnded, "") }

// CloseWithError ends the subscription with PUBLISH_DONE. If its code is
// TRACK_ENDED and what was asked for of the past is still being sent, PUBLISH_DONE
// follows after that, in the background.
func (t *TrackWriter) CloseWithError(code moqt.DoneCode, reason string) error {
	t.mu.Lock()
	was := t.closed
	t.closed = true
	t.mu.Unlock()
	if was {
		return nil
	}
	t.each(func(w *SubgroupWriter) { w.Cancel(moqt.StreamCancelled) })
	if filled := t.endFills(code == moqt.DoneTrackEnded); filled != nil {
		begun := t.s.wg.Go(func() {
			late := time.NewTimer(t.s.cfg.Limits.StallTimeout)
			defer late.Stop()
			select {
			case <-filled:
			case <-late.C:
				t.endFills(false)
			case <-t.rs.ctx.Done():
			}
			t.done(code, reason)
		})
		if begun {
			return nil
		}
	}
	return t.done(code, reason)
}

// done sends PUBLISH_DONE, as the last of the subscription.
func (t *TrackWriter) done(code moqt.DoneCode, reason string) error {
	t.mu.Lock()
	streams := t.streams
	t.mu.Unlock()
	t.s.leave(t) // before the subscriber learns of it, who may ask anew
	err := t.rs.sendLast(&wire.PublishDone{Code: code, Streams: streams, Reason: reason})
	if err == nil {
		t.rs.linger()
		return nil
	}
	t.rs.abort(moqt.StreamInternalError, ErrClosed)
	if errors.Is(err, ErrClosed) || isStream(err) { // the subscriber left first
		return nil
	}
	return err
}

// each calls f for every subgroup that is open.
func (t *TrackWriter) each(f func(*SubgroupWriter)) {
	t.mu.Lock()
	open := slices.Collect(maps.Keys(t.open))
	t.mu.Unlock()
	for _, w := range open {
		f(w)
	}
}

// endFills resets the fills that are open; or, if well, it returns what is closed
// when all have ended, which is nil if there are none.
func (t *TrackWriter) endFills(well bool) <-chan struct{} {
	t.mu.Lock()
	fills := slices.Collect(maps.Keys(t.fills))
	var filled chan struct{}
	if well && len(fills) > 0 {
		filled = make(chan struct{})
		t.filled = filled
	}
	t.mu.Unlock()
	if well {
		return filled
	}
	for _, f := range fills {
		f.over(ErrClosed)
	}
	return nil
}
