package transport

import (
	"context"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// A fill is what a subscription is sent of the past, on a fetch stream of its
// own: the joining fetch of the drafts that have FILL_PARAMETERS. It has no
// answer, as the subscription's tells all; where a FETCH would be refused, its
// stream is opened and reset. ("Fill Semantics")

// joinByFill is Join by one request.
func (s *Session) joinByFill(ctx context.Context, t *TrackReader, back uint64, p wire.Params) (*TrackReader, *FetchReader, error) {
	f := t.newFill(ctx, back)
	p.Fill = wire.Some(fillParams(back))
	if _, err := s.subscribe(ctx, t, p, f.asked); err != nil {
		f.Close()
		return nil, nil, err
	}
	largest, some := t.Largest()
	if !some {
		f.Close()
		return t, nil, nil
	}
	if p.Forward.Set && !p.Forward.Value {
		f.fail(&RequestError{Code: moqt.RequestInvalidRange, Reason: "a paused subscription is sent nothing of the past", RetryAfter: -1})
	}
	f.agreed(&wire.FetchOK{End: largest, Properties: t.props})
	return t, f, nil
}

// fillParams ask for all from the group that is back before the newest.
func fillParams(back uint64) wire.FillParameters {
	filter := moqt.Filter{Kind: moqt.FilterRelative, Groups: back + 1}
	if filter.Groups == 0 { // more than can be told
		filter = moqt.Filter{Kind: moqt.FilterNone}
	}
	return wire.FillParameters{Filter: wire.Some(filter), Order: wire.Some(moqt.Ascending)}
}

// newFill makes the reader of a fill that is not asked for yet.
func (t *TrackReader) newFill(ctx context.Context, back uint64) *FetchReader {
	f := t.s.newFetch(ctx, moqt.Ascending, func(end moqt.Location) moqt.Location {
		return moqt.Location{Group: end.Group - min(back, end.Group)}
	})
	f.of = t
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fills == nil {
		t.fills = make(map[*FetchReader]struct{})
	}
	t.fills[f] = struct{}{}
	return f
}

// Fill resumes the subscription, if it is paused, and fetches what came before
// its next object from the start of the group that is back groups before the
// newest, as [Session.Join] does. It is for tracks that the peer has offered. It
// waits for the publisher's answer to the update; the FetchReader is nil if
// nothing has been published.
func (t *TrackReader) Fill(ctx context.Context, back uint64) (*FetchReader, error) {
	p := wire.Params{Forward: wire.Some(true), Filter: wire.Some(moqt.Filter{Kind: moqt.FilterLargestObject})}
	if !t.s.profile.Fill() {
		return t.joinAfter(ctx, back, p)
	}
	f := t.newFill(ctx, back)
	p.Fill = wire.Some(fillParams(back))
	if err := t.change(ctx, p, f.asked); err != nil {
		f.Close()
		return nil, err
	}
	largest, some := t.Largest()
	if !some {
		f.Close()
		return nil, nil
	}
	f.agreed(&wire.FetchOK{End: largest, Properties: t.props})
	return f, nil
}

// joinAfter is Fill by an update and a joining FETCH.
func (t *TrackReader) joinAfter(ctx context.Context, back uint64, p wire.Params) (*FetchReader, error) {
	if err := t.change(ctx, p, nil); err != nil {
		return nil, err
	}
	if _, some := t.Largest(); !some {
		return nil, nil
	}
	f := t.s.newFetch(ctx, moqt.Ascending, func(end moqt.Location) moqt.Location {
		return moqt.Location{Group: end.Group - min(back, end.Group)}
	})
	defer context.AfterFunc(ctx, f.cancel)()
	err := f.ask(func(id uint64) wire.Message {
		return &wire.Fetch{RequestID: id, Type: wire.FetchRelativeJoining, JoiningID: t.rs.id, JoiningStart: back}
	})
	if err != nil {
		f.Close()
		return nil, t.s.sessionOr(ctx, err)
	}
	return f, nil
}

// fillCame counts the data stream of a fill as one of the subscription's.
func (t *TrackReader) fillCame() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.streams++
	if !t.over && t.allHereLocked() {
		t.overLocked()
	}
}

// fillOver lets go of a fill of which nothing more is read.
func (t *TrackReader) fillOver(f *FetchReader) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.fills, f)
	t.changedLocked()
}

// fill is one at its publisher. It comes out of [Session.Accept] as a
// [FetchRequest].
type fill struct {
	t      *TrackWriter
	id     uint64 // of the message that asked for it
	ctx    context.Context
	cancel context.CancelCauseFunc
	once   sync.Once

	mu      sync.Mutex // guards what follows
	decided bool
}

// fill offers the application what message id of the subscriber asks for by p,
// if that is something. largest is what the answer to the message told.
func (t *TrackWriter) fill(id uint64, p *wire.FillParameters, largest moqt.Location, some bool) {
	s := t.s
	t.mu.Lock()
	state, ranges, filter := t.state, t.ranges.Update(p.Ranges), t.filter
	t.mu.Unlock()
	start, end := bounds(p.Filter.Or(filter), largest, some)
	if largest.Less(end) {
		end = largest
	}
	if !some || !state.Forward || end.Less(start) {
		return
	}
	f := &fill{t: t, id: id}
	f.ctx, f.cancel = context.WithCancelCause(t.rs.ctx)
	context.AfterFunc(f.ctx, func() { f.over(nil) }) // also if the application does not look
	r := &FetchRequest{incoming: incoming{t.rs}, of: f, Track: t.name, Range: Range{start, end}, Joining: true,
		Order: p.Order.Or(state.Order), Priority: p.Priority.Or(state.Priority), Ranges: ranges}
	if p.Timeout.Set {
		r.FillTimeout = &p.Timeout.Value
	}
	t.mu.Lock()
	if t.fills == nil {
		t.fills = make(map[*fill]struct{})
	}
	t.fills[f] = struct{}{}
	t.mu.Unlock()
	s.mu.Lock()
	s.openPeer++ // it costs as much as a request
	full := s.openPeer > s.cfg.Limits.MaxRequests
	s.mu.Unlock()
	begun := s.wg.Go(func() {
		if full {
			f.refuse(moqt.StreamExcessiveLoad)
			return
		}
		select {
		case s.requests <- r:
		case <-f.ctx.Done():
			f.over(context.Cause(f.ctx))
		}
	})
	if !begun {
		f.over(s.cause())
	}
}

func (f *fill) fetchID() uint64          { return f.id }
func (f *fill) context() context.Context { return f.ctx }
func (f *fill) key(r *FetchRequest, pub moqt.Priority, group uint64) schedKey {
	return f.t.fillKey(r.Priority, pub, r.Order, group)
}
func (f *fill) whole()                               { f.over(ErrClosed) }
func (f *fill) abort(_ moqt.StreamCode, cause error) { f.over(cause) }

func (f *fill) endOf(err error) error {
	switch {
	case f.t.s.over():
		return f.t.s.cause()
	case f.ctx.Err() != nil:
		return context.Cause(f.ctx)
	}
	return err
}

// decide makes sure that there is one decision.
func (f *fill) decide() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.decided {
		return errAnswered
	}
	f.decided = true
	return nil
}

// agree counts the stream that follows: the subscriber was told all that
// FETCH_OK would say.
func (f *fill) agree(*wire.FetchOK) error {
	if err := f.decide(); err != nil {
		return err
	}
	if f.ctx.Err() != nil {
		return f.endOf(nil)
	}
	f.t.mu.Lock()
	f.t.streams++
	f.t.mu.Unlock()
	return nil
}

// reject refuses the fill by its stream, in the background.
func (f *fill) reject(code moqt.RequestCode, _ string, _ time.Duration) error {
	if err := f.decide(); err != nil {
		return err
	}
	why := moqt.StreamInternalError
	switch code {
	case moqt.RequestGoingAway:
		why = moqt.StreamGoingAway
	case moqt.RequestExcessiveLoad:
		why = moqt.StreamExcessiveLoad
	case moqt.RequestMalformedTrack:
		why = moqt.StreamMalformedTrack
	case moqt.RequestInvalidRange, moqt.RequestDoesNotExist, moqt.RequestTimeout:
		why = moqt.StreamUnknownObjectStatus
	}
	if !f.t.s.wg.Go(func() { f.refuse(why) }) {
		f.over(f.t.s.cause())
	}
	return nil
}

// refuse opens the stream and resets it behind its header.
func (f *fill) refuse(code moqt.StreamCode) {
	defer f.over(&StreamError{Code: code})
	s := f.t.s
	st, err := s.conn.OpenUniStream(f.ctx)
	if err != nil {
		return
	}
	f.t.mu.Lock()
	f.t.streams++
	f.t.mu.Unlock()
	st.SetPriority(s.sched.first, true)
	st.SetWriteDeadline(s.messageDeadline())
	st.Write(s.profile.AppendFetchHeader(nil, &wire.FetchHeader{RequestID: f.id}))
	st.SetReliableBoundary()
	st.CancelWrite(code)
}

// over lets go of a fill that has ended.
func (f *fill) over(cause error) {
	f.once.Do(func() {
		f.cancel(cause)
		f.t.s.mu.Lock()
		f.t.s.openPeer--
		f.t.s.mu.Unlock()
		f.t.mu.Lock()
		delete(f.t.fills, f)
		if len(f.t.fills) == 0 && f.t.filled != nil {
			close(f.t.filled)
			f.t.filled = nil
		}
		f.t.mu.Unlock()
	})
}
