package transport

import (
	"context"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/qlog"
	"github.com/tributary-live/tributary/transport/wire"
)

// Range is a range of locations, both ends inclusive. An End.Object of
// moqt.WholeGroup means all of group End.Group.
type Range struct{ Start, End moqt.Location }

// FetchOptions are what a subscriber may say of a fetch. The zero value works.
type FetchOptions struct {
	// Priority is the subscriber priority. If nil, it is 128.
	Priority *moqt.Priority
	// Order is the order of groups. If OrderDefault, it is Ascending.
	Order moqt.GroupOrder
	// FillTimeout bounds how long a relay waits for objects it has to get
	// first. If nil, that is left to the relay; 0 asks only for what is there.
	FillTimeout *time.Duration
	// Ranges are filters that objects have to pass as well. Drafts before 19 have
	// none.
	Ranges moqt.RangeFilters
	// NoProperties asks to leave out the track's properties, of somebody who has
	// them. Drafts before 20 send them all the same.
	NoProperties bool
}

func (o *FetchOptions) params() (wire.Params, moqt.GroupOrder) {
	var p wire.Params
	order := moqt.Ascending
	if o == nil {
		return p, order
	}
	if o.Priority != nil {
		p.Priority = wire.Some(*o.Priority)
	}
	if o.Order != moqt.OrderDefault {
		order = o.Order
		p.Order = wire.Some(o.Order)
	}
	if o.FillTimeout != nil {
		p.FillTimeout = wire.Some(*o.FillTimeout)
	}
	p.Ranges = o.Ranges
	if o.NoProperties {
		p.IncludeProperties = wire.Some(false)
	}
	return p, order
}

// FetchReader is the answer to a FETCH: objects of the past, in order. Its
// methods, except Close, must not be called concurrently.
type FetchReader struct {
	s        *Session
	from     func(end moqt.Location) moqt.Location // start of the range, given its end
	ctx      context.Context                       // ends the wait for the answer
	cancel   context.CancelFunc
	of       *TrackReader  // the subscription that it is a fill of, or nil
	ok       *wire.FetchOK // set before answered is closed, unless failed is
	answered chan struct{} // closed when there is an answer, or failed is set
	ready    chan struct{} // closed when the data stream is there, or failed is set

	mu     sync.Mutex     // guards what follows
	rs     *requestStream // nil for a fill
	id     uint64         // request id, if sent
	sent   bool
	stream objectStream // its src is nil until the data stream is there
	failed error
	closed bool

	// By the caller of ReadObject alone:
	objects wire.FetchObjects
	gaps    []FetchGap
	next    moqt.Location // after the record before, if any
	any     bool          // there was a record
	gapped  bool          // and it was a gap
	err     error         // sticky
}

// FetchGap is a range of a fetch that has no objects in the answer, both ends
// inclusive. In a fetch of descending order that spans groups, its Start is in
// the later group.
type FetchGap struct {
	Range
	// Unknown says that objects may exist there; else they do not.
	Unknown bool
	// TimedOut says of such that they did not come within the FillTimeout. Drafts
	// before 20 do not tell.
	TimedOut bool
}

// maxFetchGaps bounds what a publisher's gaps can make a FetchReader hold.
const maxFetchGaps = 10_000

// Fetch asks the peer for a range of a track's past and waits until it has
// agreed. The objects are then read by [FetchReader.ReadObject]. Close must be
// called if they are not read to the end.
func (s *Session) Fetch(ctx context.Context, name moqt.TrackName, r Range, o *FetchOptions) (*FetchReader, error) {
	if err := name.Check(); err != nil {
		return nil, err
	}
	if r.End.Less(r.Start) {
		return nil, fmt.Errorf("moqt: fetch from %v to %v, which is before", r.Start, r.End)
	}
	p, order := o.params()
	if err := s.mayFilter(p.Ranges); err != nil {
		return nil, err
	}
	f := s.newFetch(ctx, order, func(moqt.Location) moqt.Location { return r.Start })
	defer context.AfterFunc(ctx, f.cancel)()
	err := f.ask(func(id uint64) wire.Message {
		return &wire.Fetch{RequestID: id, Type: wire.FetchStandalone, Track: name, Start: r.Start, End: r.End, Params: p}
	})
	if err != nil {
		f.Close()
		return nil, s.sessionOr(ctx, err)
	}
	return f, nil
}

// Join subscribes to a track from its next object on and fetches what came
// before, from the start of the group that is back groups before the newest, so
// that the two have no gap between them. Both requests are sent at once, and
// Join waits for the answer to the first alone: a publisher may be slow to
// answer a fetch, or not know how. What it says to the fetch comes out of
// [FetchReader.ReadObject], which returns [*RequestError] if it refused. If
// nothing has been published yet there is nothing to fetch, and the FetchReader
// is nil. Closing the TrackReader may end the FetchReader as well.
func (s *Session) Join(ctx context.Context, name moqt.TrackName, back uint64, o *SubscribeOptions) (*TrackReader, *FetchReader, error) {
	p := o.params()
	if err := s.mayFilter(p.Ranges); err != nil {
		return nil, nil, err
	}
	t, err := s.reserve(name)
	if err != nil {
		return nil, nil, err
	}
	p.Filter = wire.Some(moqt.Filter{Kind: moqt.FilterLargestObject})
	if s.profile.Fill() {
		return s.joinByFill(ctx, t, back, p)
	}
	fp := wire.Params{Priority: p.Priority, Ranges: p.Ranges}
	f := s.newFetch(ctx, moqt.Ascending, func(end moqt.Location) moqt.Location {
		return moqt.Location{Group: end.Group - min(back, end.Group)}
	})
	ids := make(chan uint64, 1)
	begun := s.wg.Go(func() {
		select {
		case joined := <-ids:
			err := f.ask(func(id uint64) wire.Message {
				return &wire.Fetch{RequestID: id, Type: wire.FetchRelativeJoining, JoiningID: joined, JoiningStart: back, Params: fp}
			})
			if err != nil {
				s.log.Debug("nothing fetched", "track", name, "err", err)
				f.fail(err)
			}
		case <-f.ctx.Done():
		}
	})
	if !begun {
		f.Close()
		s.forget(t)
		return nil, nil, s.cause()
	}
	if _, err = s.subscribe(ctx, t, p, func(id uint64) { ids <- id }); err != nil {
		f.Close()
		return nil, nil, err
	}
	if _, some := t.Largest(); !some {
		f.Close()
		return t, nil, nil
	}
	return t, f, nil
}

// newFetch makes a reader for a FETCH that is not sent yet. Its range begins at
// from of the End of FETCH_OK. Of ctx it has the tokens alone.
func (s *Session) newFetch(ctx context.Context, order moqt.GroupOrder, from func(moqt.Location) moqt.Location) *FetchReader {
	f := &FetchReader{s: s, from: from, answered: make(chan struct{}), ready: make(chan struct{}), objects: s.profile.FetchObjects(order)}
	f.ctx, f.cancel = context.WithCancel(WithTokens(s.ctx, tokensOf(ctx)...))
	return f
}

// ask sends the FETCH that build makes of a request id and waits until the peer
// has agreed, or f is closed.
func (f *FetchReader) ask(build func(id uint64) wire.Message) error {
	s := f.s
	rs, m, err := s.request(f.ctx, wire.KindFetch, 0, func(rs *requestStream) {
		f.mu.Lock()
		f.rs = rs
		f.mu.Unlock()
		f.asked(rs.id)
	}, build)
	if err != nil {
		return err
	}
	ok, is := m.(*wire.FetchOK)
	if !is {
		return rs.unexpected(m)
	}
	if ok.End.Less(f.from(ok.End)) {
		return s.fail(moqt.SessionProtocolViolation, "FETCH_OK ends at %v, before the start %v", ok.End, f.from(ok.End))
	}
	if err := s.unknownMandatory(ok.Properties); err != nil {
		return err
	}
	if err := f.agreed(ok); err != nil {
		return err
	}
	begun := s.wg.Go(func() {
		err := rs.follow(rs.unexpected)
		if err != io.EOF { // after a FIN the data stream may still be on its way
			f.fail(rs.endOf(err))
		}
	})
	if !begun {
		return s.cause()
	}
	return nil
}

// asked makes the data stream of the request with that id find f. It may come
// before the answer.
func (f *FetchReader) asked(id uint64) {
	f.s.mu.Lock()
	f.s.fetches[id] = f
	f.s.mu.Unlock()
	f.mu.Lock()
	f.id, f.sent = id, true
	closed := f.closed
	f.mu.Unlock()
	if closed {
		f.drop(id)
	}
}

// agreed takes note of the answer.
func (f *FetchReader) agreed(ok *wire.FetchOK) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil {
		f.ok = ok
		close(f.answered)
	}
	return f.failed
}

// drop makes data streams find f no more.
func (f *FetchReader) drop(id uint64) {
	f.s.mu.Lock()
	delete(f.s.fetches, id)
	f.s.mu.Unlock()
}

// serveFetchStream brings the data stream of a fetch to its reader.
func (s *Session) serveFetchStream(src *timedStream, r *wire.Reader) error {
	h, err := s.profile.ReadFetchHeader(r)
	if err != nil {
		return err
	}
	s.trace.fetch(qlog.Parsed, src, h.RequestID)
	r.Widen()
	src.limit, src.progress = s.cfg.Limits.StallTimeout, true
	src.next(r.Buffered() > 0)
	s.mu.Lock()
	f := s.fetches[h.RequestID]
	s.mu.Unlock()
	if f == nil { // cancelled, or never asked for
		src.CancelRead(moqt.StreamCancelled)
		return nil
	}
	f.mu.Lock()
	second := f.stream.src != nil
	wanted := !second && f.failed == nil
	if wanted {
		f.stream = objectStream{s: s, src: src, r: r}
		close(f.ready)
	}
	f.mu.Unlock()
	if second {
		return s.fail(moqt.SessionProtocolViolation, "a second stream for fetch %d", h.RequestID)
	}
	if !wanted {
		src.CancelRead(moqt.StreamCancelled)
	}
	if f.of != nil {
		f.of.fillCame()
	}
	return nil
}

// fail records why the answer, or the data stream, will not come.
func (f *FetchReader) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed != nil || f.ok != nil && f.stream.src != nil {
		return
	}
	f.failed = err
	if f.ok == nil {
		close(f.answered)
	}
	if f.stream.src == nil {
		close(f.ready)
	}
}

// answer returns the peer's answer; before it is there, an empty one.
func (f *FetchReader) answer() wire.FetchOK {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ok == nil {
		return wire.FetchOK{}
	}
	return *f.ok
}

// End returns the last location that the answer covers, and whether it is the
// last of the track. The FetchReader of a [Session.Join] knows it from the first
// object on.
func (f *FetchReader) End() (end moqt.Location, endOfTrack bool) {
	ok := f.answer()
	return ok.End, ok.EndOfTrack
}

// Properties returns the track's properties. The FetchReader of a [Session.Join]
// knows them from the first object on.
func (f *FetchReader) Properties() moqt.Properties { return f.answer().Properties }

// Gaps returns the ranges that the publisher named as empty so far.
func (f *FetchReader) Gaps() []FetchGap { return f.gaps }

// ReadObject waits for the next object and returns it whole. The caller owns
// the payload. The error is io.EOF at the end of the range, [*RequestError] if
// the publisher refused a joining fetch, and [*StreamError] if it broke its
// answer off. A fetch whose ctx ended is over.
func (f *FetchReader) ReadObject(ctx context.Context) (moqt.Object, error) {
	if f.err != nil {
		return moqt.Object{}, f.err
	}
	for _, step := range []<-chan struct{}{f.answered, f.ready} {
		select {
		case <-step:
		case <-ctx.Done():
			return moqt.Object{}, ctx.Err()
		case <-f.s.ctx.Done():
			return moqt.Object{}, f.s.cause()
		}
	}
	if f.failed != nil { // does not change any more
		return moqt.Object{}, f.failed
	}
	stop := context.AfterFunc(ctx, func() { f.stream.src.CancelRead(moqt.StreamCancelled) })
	o, err := f.readObject()
	if !stop() && err != nil {
		err = ctx.Err()
	}
	if err != nil {
		f.err = err
		f.close(err == io.EOF)
	}
	return o, err
}

func (f *FetchReader) readObject() (moqt.Object, error) {
	in := &f.stream
	for {
		h, err := f.objects.Next(in.r, &f.s.wlimits)
		if err != nil {
			return moqt.Object{}, in.failed(err)
		}
		f.s.trace.fetchObject(qlog.Parsed, in.src, h)
		if h.Gap != wire.GapNone {
			in.complete()
			if err := f.gap(h.Location, h.Gap); err != nil {
				return moqt.Object{}, in.failed(err)
			}
			continue
		}
		in.begin(h.Size)
		f.passed(h.Location, false)
		o := moqt.Object{Location: h.Location, Subgroup: h.Subgroup, Datagram: h.Datagram, Priority: h.Priority, Properties: h.Properties}
		if o.Payload, err = in.readAll(); err != nil {
			return moqt.Object{}, in.failed(err)
		}
		return o, nil
	}
}

// passed takes note of a record at l.
func (f *FetchReader) passed(l moqt.Location, gap bool) {
	f.any, f.gapped = true, gap
	f.next = moqt.Location{Group: l.Group, Object: l.Object + 1}
	if l.Object == math.MaxUint64 {
		f.next = moqt.Location{Group: l.Group + 1}
	}
}

// gap takes note of a gap that ends at end. Neighbours of one kind are one.
func (f *FetchReader) gap(end moqt.Location, kind wire.GapKind) error {
	unknown, timedOut := kind != wire.GapNonExistent, kind == wire.GapTimedOut
	start, gapped := f.next, f.gapped
	if !f.any {
		start = f.from(f.ok.End)
	}
	f.passed(end, true)
	if n := len(f.gaps); gapped && f.gaps[n-1].Unknown == unknown && f.gaps[n-1].TimedOut == timedOut {
		f.gaps[n-1].End = end
		return nil
	}
	if len(f.gaps) == maxFetchGaps {
		return fmt.Errorf("fetch of more than %d gaps: %w", maxFetchGaps, wire.ErrTooLarge)
	}
	f.gaps = append(f.gaps, FetchGap{Range{start, end}, unknown, timedOut})
	return nil
}

// Close ends the fetch; what has not been read is dropped.
func (f *FetchReader) Close() error {
	f.fail(ErrClosed)
	f.close(false)
	return nil
}

// close lets go of the fetch, which was read to its end or is cancelled.
func (f *FetchReader) close(whole bool) {
	f.mu.Lock()
	again := f.closed
	f.closed = true
	src, rs, id, sent := f.stream.src, f.rs, f.id, f.sent
	f.mu.Unlock()
	if again {
		return
	}
	f.cancel()
	if src != nil {
		src.CancelRead(moqt.StreamCancelled)
	}
	if sent {
		f.drop(id)
	}
	switch {
	case f.of != nil:
		f.of.fillOver(f)
	case rs == nil: // it has not even been sent
	case whole:
		rs.finish()
	default:
		rs.abort(moqt.StreamCancelled, ErrClosed)
	}
}
