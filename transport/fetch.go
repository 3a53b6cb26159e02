package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
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
	return p, order
}

// FetchReader is the answer to a FETCH: objects of the past, in order.
type FetchReader struct {
	s     *Session
	id    uint64
	order moqt.GroupOrder

	mu     sync.Mutex // guards what follows
	rs     *requestStream
	ok     *wire.FetchOK
	st     ReceiveStream
	r      *wire.Reader
	failed error
	ready  chan struct{} // closed when the data stream is there, or failed is set
	once   sync.Once

	objects wire.FetchObjects // by the caller of ReadObject alone
	gaps    []FetchGap
	at      moqt.Location
	any     bool
}

// FetchGap is a range of a fetch that has no objects in the answer.
type FetchGap struct {
	Range
	// Unknown says that objects may exist there; else they do not.
	Unknown bool
}

// Fetch asks the peer for a range of a track's past and waits until it has
// agreed. The objects are then read by [FetchReader.ReadObject].
func (s *Session) Fetch(ctx context.Context, name moqt.TrackName, r Range, o *FetchOptions) (*FetchReader, error) {
	if err := name.Check(); err != nil {
		return nil, err
	}
	if r.End.Less(r.Start) {
		return nil, fmt.Errorf("moqt: fetch from %v to %v, which is before", r.Start, r.End)
	}
	p, order := o.params()
	return s.fetch(ctx, order, func(id uint64) *wire.Fetch {
		return &wire.Fetch{RequestID: id, Type: wire.FetchStandalone, Track: name, Start: r.Start, End: r.End, Params: p}
	})
}

// Join subscribes to a track from its next object on and fetches what came
// before, from the start of the group that is back groups before the newest, so
// that the two have no gap between them. Both requests are sent at once. The
// fetch may be refused where nothing has been published yet: then the
// FetchReader is nil.
func (s *Session) Join(ctx context.Context, name moqt.TrackName, back uint64, o *SubscribeOptions) (*TrackReader, *FetchReader, error) {
	t, err := s.reserve(name)
	if err != nil {
		return nil, nil, err
	}
	p := o.params()
	p.Filter = wire.Some(moqt.Filter{Kind: moqt.FilterLargestObject})
	var fp wire.Params
	fp.Priority = p.Priority
	ids := make(chan uint64, 1)
	type result struct {
		f   *FetchReader
		err error
	}
	fetched := make(chan result, 1)
	fctx, cancel := context.WithCancel(ctx)
	defer cancel()
	begun := s.wg.Go(func() {
		select {
		case joined := <-ids:
			f, err := s.fetch(fctx, moqt.Ascending, func(id uint64) *wire.Fetch {
				return &wire.Fetch{RequestID: id, Type: wire.FetchRelativeJoining, JoiningID: joined, JoiningStart: back, Params: fp}
			})
			fetched <- result{f, err}
		case <-fctx.Done():
			fetched <- result{nil, fctx.Err()}
		}
	})
	if !begun {
		s.forget(t)
		return nil, nil, s.cause()
	}
	if _, err = s.subscribe(ctx, t, p, func(id uint64) { ids <- id }); err != nil {
		cancel()
		if r := <-fetched; r.f != nil {
			r.f.Close()
		}
		return nil, nil, err
	}
	r := <-fetched
	var refused *RequestError
	if r.err != nil && !errors.As(r.err, &refused) {
		t.Close()
		return nil, nil, r.err
	}
	return t, r.f, nil
}

func (s *Session) fetch(ctx context.Context, order moqt.GroupOrder, build func(id uint64) *wire.Fetch) (*FetchReader, error) {
	f := &FetchReader{s: s, order: order, ready: make(chan struct{}), objects: s.profile.FetchObjects(order)}
	rs, m, err := s.request(ctx, wire.KindFetch, func(rs *requestStream) {
		f.id = rs.id
		s.mu.Lock()
		s.fetches[rs.id] = f
		s.mu.Unlock()
	}, func(id uint64) wire.Message { return build(id) })
	if err != nil {
		s.dropFetch(f)
		f.Close()
		return nil, err
	}
	ok, is := m.(*wire.FetchOK)
	if !is {
		s.dropFetch(f)
		return nil, rs.unexpected(m)
	}
	if err := unknownMandatory(ok.Properties); err != nil {
		rs.abort(moqt.StreamCancelled, err)
		s.dropFetch(f)
		f.Close()
		return nil, err
	}
	f.mu.Lock()
	f.rs, f.ok = rs, ok
	f.mu.Unlock()
	s.wg.Go(func() {
		err := rs.follow(func(m wire.Message) error {
			if _, ok := m.(*wire.Goaway); ok {
				return nil
			}
			return rs.unexpected(m)
		})
		if err != io.EOF {
			f.fail(s.sessionOr(context.Background(), err))
		}
	})
	context.AfterFunc(s.ctx, func() { f.fail(s.cause()) })
	return f, nil
}

func (s *Session) dropFetch(f *FetchReader) {
	s.mu.Lock()
	delete(s.fetches, f.id)
	s.mu.Unlock()
}

// serveFetchStream brings the data stream of a fetch to its reader.
func (s *Session) serveFetchStream(st ReceiveStream, r *wire.Reader) error {
	h, err := s.profile.ReadFetchHeader(r)
	if err != nil {
		return err
	}
	st.SetReadDeadline(time.Time{})
	s.mu.Lock()
	f := s.fetches[h.RequestID]
	s.mu.Unlock()
	if f == nil {
		st.CancelRead(moqt.StreamCancelled)
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.st != nil {
		return s.fail(moqt.SessionProtocolViolation, "a second stream for fetch %d", h.RequestID)
	}
	if f.failed != nil {
		st.CancelRead(moqt.StreamCancelled)
		return nil
	}
	f.st, f.r = st, r
	f.once.Do(func() { close(f.ready) })
	return nil
}

func (f *FetchReader) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil && f.st == nil {
		f.failed = err
		f.once.Do(func() { close(f.ready) })
	}
}

// End returns the last location that the answer covers, and whether it is the
// last of the track.
func (f *FetchReader) End() (end moqt.Location, endOfTrack bool) { return f.ok.End, f.ok.EndOfTrack }

// Properties returns the track's properties.
func (f *FetchReader) Properties() moqt.Properties { return f.ok.Properties }

// Gaps returns the ranges that the publisher named as empty so far.
func (f *FetchReader) Gaps() []FetchGap { return f.gaps }

// ReadObject waits for the next object and returns it whole. The caller owns
// the payload. The error is io.EOF at the end of the range.
func (f *FetchReader) ReadObject(ctx context.Context) (moqt.Object, error) {
	select {
	case <-f.ready:
	case <-ctx.Done():
		return moqt.Object{}, ctx.Err()
	}
	if f.failed != nil {
		return moqt.Object{}, f.failed
	}
	defer context.AfterFunc(ctx, func() { f.st.CancelRead(moqt.StreamCancelled) })()
	for {
		h, err := f.objects.Next(f.r, &f.s.wlimits)
		if err != nil {
			return moqt.Object{}, f.ended(ctx, err)
		}
		if h.Gap != wire.GapNone {
			f.gaps = append(f.gaps, FetchGap{Range{f.at, h.Location}, h.Gap != wire.GapNonExistent})
			f.at = h.Location
			continue
		}
		f.at = h.Location
		o := moqt.Object{Location: h.Location, Subgroup: h.Subgroup, Datagram: h.Datagram, Priority: h.Priority, Properties: h.Properties}
		o.Payload, err = f.readAll(int64(h.Size))
		if err != nil {
			return moqt.Object{}, f.ended(ctx, err)
		}
		return o, nil
	}
}

func (f *FetchReader) readAll(size int64) ([]byte, error) {
	sr := SubgroupReader{s: f.s, st: f.st, r: f.r, left: size, track: &TrackReader{}}
	return sr.readAll(size)
}

func (f *FetchReader) ended(ctx context.Context, err error) error {
	var we *wire.Error
	if errors.As(err, &we) {
		f.s.end(err)
	}
	if err == io.EOF {
		f.Close()
		return err
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return err
}

// Close ends the fetch; what has not been read is dropped.
func (f *FetchReader) Close() error {
	f.s.dropFetch(f)
	f.fail(ErrClosed)
	f.mu.Lock()
	rs, st := f.rs, f.st
	f.mu.Unlock()
	if rs != nil {
		rs.abort(moqt.StreamCancelled, ErrClosed)
	}
	if st != nil {
		st.CancelRead(moqt.StreamCancelled)
	}
	return nil
}

// FetchRequest is the peer's wish to get a range of a track's past (FETCH). A
// joining fetch arrives with the track and the range of its subscription.
type FetchRequest struct {
	incoming
	Track    moqt.TrackName
	Range    Range
	Order    moqt.GroupOrder // Ascending or Descending
	Priority moqt.Priority
	// Joining says that the range ends where a subscription of the peer begins.
	Joining bool
	// FillTimeout is how long to wait for objects that are not at hand, or nil.
	FillTimeout *time.Duration

	s *Session
}

func (s *Session) serveFetch(rs *requestStream, m *wire.Fetch) {
	r := &FetchRequest{incoming: incoming{rs}, s: s, Track: m.Track, Range: Range{m.Start, m.End},
		Order: m.Params.Order.Or(moqt.Ascending), Priority: m.Params.Priority.Or(moqt.DefaultPriority)}
	if m.Params.FillTimeout.Set {
		r.FillTimeout = &m.Params.FillTimeout.Value
	}
	if m.Type != wire.FetchStandalone {
		if !s.resolveJoin(rs, m, r) {
			return
		}
	} else if s.reserved(rs, m.Track.Namespace) {
		return
	}
	if r.Range.End.Less(r.Range.Start) {
		rs.reject(moqt.RequestInvalidRange, "the range ends before it starts", -1)
		return
	}
	if !s.offer(rs, r) {
		return
	}
	rs.follow(func(m wire.Message) error {
		switch m := m.(type) {
		case *wire.RequestUpdate: // the priority of a fetch: taken note of, no more
			if err := checkTokens(m); err != nil {
				s.end(err)
				return err
			}
			return rs.send(&wire.RequestOK{})
		case *wire.Goaway:
			return nil
		}
		return rs.unexpected(m)
	})
	<-rs.ctx.Done()
}

// resolveJoin finds the subscription that a joining fetch names and computes
// the range. It waits while that subscription is not answered yet: its message
// may be on the way, or its publisher be asked. ("Joining Fetches")
func (s *Session) resolveJoin(rs *requestStream, m *wire.Fetch, r *FetchRequest) bool {
	ctx, cancel := context.WithTimeout(rs.ctx, s.cfg.Limits.ResponseTimeout)
	defer cancel()
	early := time.NewTimer(s.cfg.Limits.UnknownAliasWait)
	defer early.Stop()
	late := false
	for {
		s.mu.Lock()
		set := s.aliasSet
		t, known := s.subscribes[m.JoiningID]
		seen := s.peerIDs.has(m.JoiningID) || m.JoiningID%2 != s.peerIDs.next%2
		accepted := t != nil && (t.accepted || t.rs.ours)
		s.mu.Unlock()
		switch {
		case accepted:
			return s.joinRange(rs, m, r, t)
		case !known && (seen || late) || ctx.Err() != nil:
			rs.reject(moqt.RequestInvalidJoiningID, fmt.Sprintf("request %d is no subscription of this session", m.JoiningID), -1)
			return false
		}
		select {
		case <-set:
		case <-early.C:
			late = true
		case <-ctx.Done():
		}
	}
}

func (s *Session) joinRange(rs *requestStream, m *wire.Fetch, r *FetchRequest, t *TrackWriter) bool {
	t.mu.Lock()
	at, ok, forward := t.joining, t.joinable, t.state.Forward
	t.mu.Unlock()
	if !forward {
		rs.reject(moqt.RequestInvalidRange, "the subscription to join has forward state 0", -1)
		return false
	}
	if !ok {
		rs.reject(moqt.RequestInvalidRange, "nothing has been published yet", 0)
		return false
	}
	r.Track, r.Joining = t.name, true
	r.Range = Range{moqt.Location{Group: m.JoiningStart}, at}
	if m.Type == wire.FetchRelativeJoining {
		r.Range.Start.Group = at.Group - min(m.JoiningStart, at.Group)
	}
	return true
}

// FetchInfo is what a publisher says of the answer to a fetch.
type FetchInfo struct {
	// End is the last location that the answer covers, inclusive.
	End        moqt.Location
	EndOfTrack bool // End is the last of the track
	Properties moqt.Properties
}

// FetchWriter writes the answer to a fetch. Its methods, except Cancel, must
// not be called concurrently.
type FetchWriter struct {
	rs   *requestStream
	st   SendStream
	enc  wire.FetchEncoder
	stop func() bool // takes back that the request's end resets the stream
}

// Accept answers FETCH_OK and opens the stream for the objects.
func (r *FetchRequest) Accept(i FetchInfo) (*FetchWriter, error) {
	if err := r.rs.send(&wire.FetchOK{End: i.End, EndOfTrack: i.EndOfTrack, Properties: i.Properties}); err != nil {
		return nil, err
	}
	st, err := r.s.conn.OpenUniStream(r.rs.ctx)
	if err != nil {
		return nil, err
	}
	st.SetPriority(fetchUrgency(r.Priority), true)
	w := &FetchWriter{rs: r.rs, st: st, enc: r.s.profile.FetchEncoder(r.Order)}
	w.stop = context.AfterFunc(r.rs.ctx, func() { st.CancelWrite(moqt.StreamCancelled) })
	if _, err := st.Write(r.s.profile.AppendFetchHeader(nil, &wire.FetchHeader{RequestID: r.rs.id})); err != nil {
		return nil, err
	}
	return w, nil
}

// fetchUrgency places a fetch among the streams: beside the heads of
// subscriptions if its priority is the usual one or better, else last.
func fetchUrgency(p moqt.Priority) int8 {
	if p <= moqt.DefaultPriority {
		return 1
	}
	return 7
}

// WriteObject sends o, which must follow the one before in the order asked for.
// o.Payload is not kept. Status objects are not sent in a fetch.
func (w *FetchWriter) WriteObject(o moqt.Object) error {
	b, err := w.enc.Append(nil, &wire.FetchObject{Location: o.Location, Subgroup: o.Subgroup, Datagram: o.Datagram,
		Priority: o.Priority, Properties: o.Properties, Size: uint64(len(o.Payload))})
	if err != nil {
		return err
	}
	_, err = w.st.Write(append(b, o.Payload...))
	return err
}

// WriteUnknown says that nothing is known here of the objects from the one
// before up to end.
func (w *FetchWriter) WriteUnknown(end moqt.Location) error {
	b, err := w.enc.Append(nil, &wire.FetchObject{Location: end, Gap: wire.GapUnknown})
	if err != nil {
		return err
	}
	_, err = w.st.Write(b)
	return err
}

// Close ends the answer: all objects of the range that exist were sent.
func (w *FetchWriter) Close() error {
	w.stop() // closing our half of the request ends its context
	err := w.st.Close()
	w.rs.mu.Lock()
	if !w.rs.closed {
		w.rs.closed = true
		w.rs.st.Close()
	}
	w.rs.mu.Unlock()
	return err
}

// Cancel resets the answer. It may be called concurrently with the other
// methods, which then fail.
func (w *FetchWriter) Cancel(code moqt.StreamCode) {
	w.st.CancelWrite(code)
	w.rs.abort(code, &StreamError{Code: code})
}
