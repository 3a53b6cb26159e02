package transport

import (
	"context"
	"fmt"
	"io"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// TracksReader is a wish for all tracks under a prefix (SUBSCRIBE_TRACKS). The
// tracks come as [*PublishRequest] out of [Session.Accept].
type TracksReader struct {
	rs      *requestStream
	prefix  moqt.Namespace
	skipped chan moqt.TrackName
}

// SubscribeTracks asks the peer to publish all tracks under prefix on this
// session, those that are there and those to come; its own tracks it leaves out.
func (s *Session) SubscribeTracks(ctx context.Context, prefix moqt.Namespace) (*TracksReader, error) {
	rs, m, err := s.request(ctx, wire.KindSubscribeTracks, 0, nil, func(id uint64) wire.Message {
		return &wire.SubscribeTracks{RequestID: id, Prefix: prefix}
	})
	if err != nil {
		return nil, err
	}
	if _, ok := m.(*wire.RequestOK); !ok {
		return nil, rs.unexpected(m)
	}
	t := &TracksReader{rs: rs, prefix: prefix, skipped: make(chan moqt.TrackName, 16)}
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
		ns, err := t.prefix.Join(skipped.Suffix)
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

// Context ends when the request does.
func (t *TracksReader) Context() context.Context { return t.rs.ctx }

// Close ends the request. Tracks that were published by it go on.
func (t *TracksReader) Close() error {
	t.rs.abort(moqt.StreamCancelled, ErrClosed)
	return nil
}

// TracksRequest is the peer's wish for all tracks under a prefix
// (SUBSCRIBE_TRACKS).
type TracksRequest struct {
	incoming
	Prefix moqt.Namespace
	// Forward is the forward state for the PUBLISHes that result.
	Forward bool
}

func (s *Session) serveTracks(rs *requestStream, m *wire.SubscribeTracks) {
	if s.reserved(rs, m.Prefix) || s.overlap(rs, m.Prefix) {
		return
	}
	defer s.unwatch(rs)
	if s.offer(rs, &TracksRequest{incoming{rs}, m.Prefix, m.Params.Forward.Or(true)}) {
		s.hold(rs)
	}
}

// Accept answers REQUEST_OK. The caller then publishes the tracks, by
// [Session.Publish].
func (r *TracksRequest) Accept() error { return r.rs.answer(&wire.RequestOK{}, false) }

// Skip tells the peer that a track cannot be published to it
// (PUBLISH_BLOCKED). It must not be published afterwards. It fails if t is not
// under the prefix.
func (r *TracksRequest) Skip(t moqt.TrackName) error {
	suffix, ok := t.Namespace.Suffix(r.Prefix)
	if !ok {
		return fmt.Errorf("moqt: track %v is not under %v", t, r.Prefix)
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
}

func (s *Session) serveStatus(rs *requestStream, m *wire.TrackStatus) {
	if s.reserved(rs, m.Track.Namespace) {
		return
	}
	if !s.offer(rs, &StatusRequest{incoming{rs}, m.Track}) {
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
