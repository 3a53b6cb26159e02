package transport

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// TracksReader is a wish for all tracks under a prefix (SUBSCRIBE_TRACKS). The
// tracks come as [*PublishRequest] out of [Session.Accept].
type TracksReader struct {
	rs      *requestStream
	skipped chan moqt.TrackName
	changes prefixChanges

	mu     sync.Mutex // guards what follows
	prefix moqt.Namespace
	ranges moqt.RangeFilters
}

// SubscribeTracks asks the peer to publish all tracks under prefix on this
// session, those that are there and those to come; its own tracks it leaves out.
// The options are those of the subscriptions to come, of which drafts before 19
// have Paused alone. Only here Ranges may have filters of track properties.
func (s *Session) SubscribeTracks(ctx context.Context, prefix moqt.Namespace, o *SubscribeOptions) (*TracksReader, error) {
	p := o.offered()
	if err := s.mayFilter(p.Ranges); err != nil {
		return nil, err
	}
	rs, m, err := s.request(ctx, wire.KindSubscribeTracks, 0, nil, func(id uint64) wire.Message {
		return &wire.SubscribeTracks{RequestID: id, Prefix: prefix, Params: p}
	})
	if err != nil {
		return nil, err
	}
	if _, ok := m.(*wire.RequestOK); !ok {
		return nil, rs.unexpected(m)
	}
	t := &TracksReader{rs: rs, prefix: prefix, ranges: p.Ranges, skipped: make(chan moqt.TrackName, 16)}
	rs.agreed = t.answered
	if !s.wg.Go(t.run) {
		return nil, s.cause()
	}
	return t, nil
}

func (t *TracksReader) run() {
	s := t.rs.s
	err := t.rs.follow(func(m wire.Message) error {
		skipped, ok := m.(*wire.PublishSkipped)
		if !ok {
			return t.rs.unexpected(m)
		}
		t.mu.Lock()
		prefix := t.prefix
		t.mu.Unlock()
		ns, err := prefix.Join(skipped.Suffix)
		if err == nil {
			err = ns.Track(skipped.Name).Check()
		}
		if err != nil {
			return s.fail(moqt.SessionProtocolViolation, "PUBLISH_BLOCKED: %v", err)
		}
		select {
		case t.skipped <- ns.Track(skipped.Name):
		case <-t.rs.ctx.Done():
		}
		return nil
	})
	t.rs.abort(moqt.StreamCancelled, t.rs.endOf(err))
}

// Skipped gives the tracks that the peer could not publish here; they can be
// subscribed to.
func (t *TracksReader) Skipped() <-chan moqt.TrackName { return t.skipped }

// Update changes the options of the subscriptions to come and waits for the
// peer's answer. Drafts before 19 have Forward alone.
func (t *TracksReader) Update(ctx context.Context, u SubscribeUpdate) error {
	t.mu.Lock()
	after, prefix := t.ranges.Update(u.Ranges), t.prefix
	t.mu.Unlock()
	if err := t.rs.s.mayFilter(after); err != nil {
		return err
	}
	if _, err := t.rs.update(ctx, u.params(), nil); err != nil {
		return fmt.Errorf("moqt: update subscription to tracks under %v: %w", prefix, err)
	}
	t.mu.Lock()
	t.ranges = after
	t.mu.Unlock()
	return nil
}

// Context ends when the request does.
func (t *TracksReader) Context() context.Context { return t.rs.ctx }

// Close ends the request. Tracks that were published by it go on.
func (t *TracksReader) Close() error {
	t.rs.abort(moqt.StreamCancelled, ErrClosed)
	return nil
}

// TracksRequest is the peer's wish for all tracks under a prefix
// (SUBSCRIBE_TRACKS). What it says of the subscriptions to come is used by a
// [Session.Publish] that names it in PublishOptions.For.
type TracksRequest struct {
	incoming
	Prefix moqt.Namespace // at first, see PrefixUpdates
	// Forward is the forward state of the subscriptions to come, as far as the
	// request itself tells.
	Forward bool

	prefixes prefixUpdates

	mu     sync.Mutex // guards what follows
	prefix moqt.Namespace
	p      wire.Params
}

// params returns what the subscriptions to come begin with.
func (r *TracksRequest) params() wire.Params {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.p
}

func (s *Session) serveTracks(rs *requestStream, m *wire.SubscribeTracks) {
	if s.reserved(rs, m.Prefix) || s.overlap(rs, m.Prefix) {
		return
	}
	defer s.unwatch(rs)
	if err := s.checkRanges(m.Params.Ranges, nil); err != nil {
		rs.refuse(err)
		return
	}
	r := &TracksRequest{incoming: incoming{rs}, Prefix: m.Prefix, prefix: m.Prefix, Forward: m.Params.Forward.Or(true), p: m.Params}
	if s.offer(rs, r) {
		s.hold(rs, r.updated, func(prefix moqt.Namespace) *wire.RequestError { return r.prefixes.update(rs, prefix, r.setPrefix) })
	}
}

// updated takes over what an update says, or returns the answer that refuses it.
func (r *TracksRequest) updated(p *wire.Params) *wire.RequestError {
	r.mu.Lock()
	defer r.mu.Unlock()
	ranges := r.p.Ranges.Update(p.Ranges)
	if err := r.rs.s.checkRanges(p.Ranges, ranges); err != nil {
		return err
	}
	r.p.Ranges = ranges
	if p.Forward.Set {
		r.p.Forward = p.Forward
	}
	if p.ObjectTimeout.Set {
		r.p.ObjectTimeout = p.ObjectTimeout
	}
	if p.SubgroupTimeout.Set {
		r.p.SubgroupTimeout = p.SubgroupTimeout
	}
	return nil
}

// Accept answers REQUEST_OK. The caller then publishes the tracks, by
// [Session.Publish].
func (r *TracksRequest) Accept() error { return r.rs.answer(&wire.RequestOK{}, false) }

// Skip tells the peer that a track cannot be published to it
// (PUBLISH_BLOCKED), if the draft has a word for that. It must not be published
// afterwards. It fails if t is not under the prefix.
func (r *TracksRequest) Skip(t moqt.TrackName) error {
	r.mu.Lock()
	prefix := r.prefix
	r.mu.Unlock()
	suffix, ok := t.Namespace.Suffix(prefix)
	if !ok {
		return fmt.Errorf("moqt: track %v is not under %v", t, prefix)
	}
	if !r.rs.s.profile.Has(wire.KindPublishSkipped) {
		return nil
	}
	return r.rs.send(&wire.PublishSkipped{Suffix: suffix, Name: t.Name})
}

// TrackInfo is what is known of a track without subscribing to it.
type TrackInfo struct {
	Largest    moqt.Location // if HasLargest
	HasLargest bool
	Properties moqt.Properties
}

// Status asks the peer about a track (TRACK_STATUS).
func (s *Session) Status(ctx context.Context, name moqt.TrackName) (TrackInfo, error) {
	if err := name.Check(); err != nil {
		return TrackInfo{}, err
	}
	rs, m, err := s.request(ctx, wire.KindTrackStatus, 0, nil, func(id uint64) wire.Message {
		return &wire.TrackStatus{RequestID: id, Track: name}
	})
	if err != nil {
		return TrackInfo{}, err
	}
	ok, is := m.(*wire.RequestOK)
	if !is {
		return TrackInfo{}, rs.unexpected(m)
	}
	rs.finish()
	return TrackInfo{ok.Params.Largest.Value, ok.Params.Largest.Set, ok.Properties}, nil
}

// StatusRequest is the peer's question about a track (TRACK_STATUS).
type StatusRequest struct {
	incoming
	Track moqt.TrackName
	bare  bool // the peer wants no track properties
}

func (s *Session) serveStatus(rs *requestStream, m *wire.TrackStatus) {
	if s.reserved(rs, m.Track.Namespace) {
		return
	}
	if !s.offer(rs, &StatusRequest{incoming{rs}, m.Track, !m.Params.IncludeProperties.Or(true)}) {
		return
	}
	// Nothing may follow TRACK_STATUS but its FIN, which changes nothing.
	if err := rs.follow(rs.unexpected); err == io.EOF {
		<-rs.ctx.Done()
	}
}

// Accept answers with what is known of the track.
func (r *StatusRequest) Accept(i TrackInfo) error {
	ok := &wire.RequestOK{Properties: i.Properties}
	if r.bare {
		ok.Properties = nil
	}
	if i.HasLargest {
		ok.Params.Largest = r.rs.s.largest(i.Largest)
	}
	err := r.rs.answer(ok, true)
	if err == errAnswered {
		return err
	}
	r.rs.cancel(ErrClosed)
	r.rs.lane.cancelRead(moqt.StreamCancelled)
	return err
}
