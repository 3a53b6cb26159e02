package transport

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/qlog"
	"github.com/tributary-live/tributary/transport/wire"
)

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
	// Back, if not 0, says that the range begins with the group so many before the
	// next one, which only its publisher knows. [FetchRequest.Resolve] tells the
	// session; until then Range is the whole track.
	Back uint64
	// Ranges are the range filters; the [FetchWriter] applies them.
	Ranges moqt.RangeFilters

	of   fetchAnswer
	bare bool // the peer wants no track properties
}

// fetchAnswer is what a [FetchWriter] writes the answer to: a FETCH, or a fill.
type fetchAnswer interface {
	fetchID() uint64
	context() context.Context
	// agree tells the peer that the answer follows.
	agree(ok *wire.FetchOK) error
	reject(code moqt.RequestCode, reason string, retry time.Duration) error
	// key is the place of the answer among the streams while it is at an object
	// of that publisher priority and group.
	key(r *FetchRequest, pub moqt.Priority, group uint64) schedKey
	// whole ends the request when all of the answer was sent.
	whole()
	abort(code moqt.StreamCode, cause error)
	endOf(err error) error
}

func (rs *requestStream) fetchID() uint64              { return rs.id }
func (rs *requestStream) context() context.Context     { return rs.ctx }
func (rs *requestStream) agree(ok *wire.FetchOK) error { return rs.answer(ok, false) }
func (rs *requestStream) key(r *FetchRequest, pub moqt.Priority, _ uint64) schedKey {
	return fetchKey(rs.id, r.Priority, pub)
}
func (rs *requestStream) whole() {
	rs.endWrite()
	rs.linger()
}

// Context ends when the peer cancels the request, or the subscription that it
// belongs to, or the session ends.
func (r *FetchRequest) Context() context.Context { return r.of.context() }

// Reject refuses the request.
func (r *FetchRequest) Reject(code moqt.RequestCode, reason string) error {
	return r.of.reject(code, reason, -1)
}

// RejectRetry is Reject with a time after which to ask again.
func (r *FetchRequest) RejectRetry(code moqt.RequestCode, reason string, retry time.Duration) error {
	return r.of.reject(code, reason, retry)
}

// Resolve sets where the range begins, if that is relative to the largest
// location of the track. An application that does not call it may send more than
// was asked for, which is then dropped.
func (r *FetchRequest) Resolve(largest moqt.Location) {
	if r.Back > 0 {
		r.Range.Start, _ = bounds(moqt.Filter{Kind: moqt.FilterRelative, Groups: r.Back}, largest, true)
		r.Back = 0
	}
}

func (s *Session) serveFetch(rs *requestStream, m *wire.Fetch) {
	r := &FetchRequest{incoming: incoming{rs}, Track: m.Track, Range: Range{m.Start, m.End},
		Order: m.Params.Order.Or(moqt.Ascending), Priority: m.Params.Priority.Or(moqt.DefaultPriority), Ranges: m.Params.Ranges,
		of: rs, bare: !m.Params.IncludeProperties.Or(true)}
	if m.Params.FillTimeout.Set {
		r.FillTimeout = &m.Params.FillTimeout.Value
	}
	if err := s.checkRanges(m.Params.Ranges, nil); err != nil {
		rs.refuse(err)
		return
	}
	switch m.Type {
	case wire.FetchStandalone:
	case wire.FetchRelative:
		if m.Filter.Kind != moqt.FilterRelative || m.Filter.Groups == 0 {
			rs.reject(moqt.RequestInvalidRange, "the range begins after the largest object", 0)
			return
		}
		r.Back, r.Range = m.Filter.Groups, Range{End: endless}
	default:
		if !s.resolveJoin(rs, m, r) {
			return
		}
	}
	if s.reserved(rs, r.Track.Namespace) {
		return
	}
	if r.Range.End.Less(r.Range.Start) {
		rs.reject(moqt.RequestInvalidRange, "the range ends before it starts", -1)
		return
	}
	if !s.offer(rs, r) {
		return
	}
	err := rs.follow(func(m wire.Message) error {
		if _, ok := m.(*wire.RequestUpdate); ok {
			return rs.send(&wire.RequestOK{}) // the stream stays where it is among the others
		}
		return rs.unexpected(m)
	})
	if err == io.EOF { // no more updates will come; the fetch goes on
		<-rs.ctx.Done()
	}
	rs.abort(moqt.StreamCancelled, rs.endOf(err))
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
		come := !s.isPeerID(m.JoiningID) || s.peerIDs.has(m.JoiningID)
		established := t != nil && t.established
		s.mu.Unlock()
		switch {
		case established:
			return s.joinRange(rs, m, r, t)
		case !known && (come || late):
			rs.reject(moqt.RequestInvalidJoiningID, fmt.Sprintf("request %d is no subscription of this session", m.JoiningID), -1)
			return false
		case ctx.Err() != nil:
			rs.reject(moqt.RequestTimeout, "the subscription to join is not established", 0)
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
	s     *Session
	of    fetchAnswer
	st    SendStream
	pub   atomic.Uint32 // publisher priority of the object it is at
	group atomic.Uint64 // and its group
	enc   wire.FetchEncoder
	want  extent
	stop  func() bool // takes back that the request's end resets the stream
}

// Accept answers FETCH_OK and opens the stream for the objects. i.End must not
// be before the start of the range. What is written fails once the peer has
// cancelled the fetch.
func (r *FetchRequest) Accept(i FetchInfo) (*FetchWriter, error) {
	if i.End.Less(r.Range.Start) {
		return nil, fmt.Errorf("moqt: answer to a fetch from %v that ends at %v", r.Range.Start, i.End)
	}
	r.Resolve(i.End)
	if r.bare {
		i.Properties = nil
	}
	if err := r.of.agree(&wire.FetchOK{End: i.End, EndOfTrack: i.EndOfTrack, Properties: i.Properties}); err != nil {
		return nil, err
	}
	s, ctx := r.rs.s, r.Context()
	st, err := s.conn.OpenUniStream(ctx)
	if err != nil {
		err = r.of.endOf(err)
		r.of.abort(moqt.StreamInternalError, err)
		return nil, err
	}
	w := &FetchWriter{s: s, of: r.of, enc: s.profile.FetchEncoder(r.Order), want: extent{r.Range.Start, r.Range.End, r.Ranges}}
	w.pub.Store(uint32(moqt.DefaultPriority))
	w.group.Store(r.Range.Start.Group)
	w.st = s.sched.add(st, func() schedKey { return r.of.key(r, moqt.Priority(w.pub.Load()), w.group.Load()) })
	st = w.st
	w.stop = context.AfterFunc(ctx, func() { st.CancelWrite(moqt.StreamCancelled) })
	s.trace.fetch(qlog.Created, st, r.of.fetchID())
	if err := w.write(s.profile.AppendFetchHeader(nil, &wire.FetchHeader{RequestID: r.of.fetchID()})); err != nil {
		w.Cancel(moqt.StreamInternalError)
		return nil, err
	}
	st.SetReliableBoundary()
	return w, nil
}

// WriteObject sends o, which must follow the one before in the order asked for.
// o.Payload is not kept. Status objects are not sent in a fetch. An object that
// was not asked for is dropped without an error.
func (w *FetchWriter) WriteObject(o moqt.Object) error {
	if !w.want.wants(&o) {
		return nil
	}
	pub, group := w.pub.Swap(uint32(o.Priority)), w.group.Swap(o.Group)
	if _, fills := w.of.(*fill); pub != uint32(o.Priority) || fills && group != o.Group {
		w.s.sched.rekey()
	}
	buf := scratch.Get().(*[]byte)
	defer scratch.Put(buf)
	b, err := w.record((*buf)[:0], wire.FetchObject{Location: o.Location, Subgroup: o.Subgroup, Datagram: o.Datagram,
		Priority: o.Priority, Properties: o.Properties, Size: uint64(len(o.Payload))})
	if err != nil {
		return err
	}
	if len(o.Payload) <= oneWrite {
		b = append(b, o.Payload...)
		*buf = b[:0]
		return w.write(b)
	}
	*buf = b[:0]
	if err := w.write(b); err != nil {
		return err
	}
	return w.write(o.Payload)
}

// WriteUnknown says that nothing is known here of the objects from the one
// before up to end.
func (w *FetchWriter) WriteUnknown(end moqt.Location) error { return w.writeGap(end, wire.GapUnknown) }

// WriteTimedOut is WriteUnknown where the objects may be had, but not within the
// FillTimeout.
func (w *FetchWriter) WriteTimedOut(end moqt.Location) error {
	if !w.s.profile.Gap(wire.GapTimedOut) {
		return w.WriteUnknown(end)
	}
	return w.writeGap(end, wire.GapTimedOut)
}

func (w *FetchWriter) writeGap(end moqt.Location, kind wire.GapKind) error {
	if end.Less(w.want.start) {
		return nil
	}
	b, err := w.record(nil, wire.FetchObject{Location: end, Gap: kind})
	if err != nil {
		return err
	}
	return w.write(b)
}

// record appends o to b, without payload.
func (w *FetchWriter) record(b []byte, o wire.FetchObject) ([]byte, error) {
	b, err := w.enc.Append(b, &o)
	if err == nil {
		w.s.trace.fetchObject(qlog.Created, w.st, o)
	}
	return b, err
}

func (w *FetchWriter) write(b []byte) error {
	_, err := w.st.Write(b)
	if err != nil {
		return w.of.endOf(err)
	}
	return nil
}

// Close ends the answer: all objects of the range that exist were sent.
func (w *FetchWriter) Close() error {
	w.stop()
	err := w.st.Close()
	w.of.whole()
	return err
}

// Cancel resets the answer. It may be called concurrently with the other
// methods, which then fail.
func (w *FetchWriter) Cancel(code moqt.StreamCode) {
	w.st.CancelWrite(code)
	w.of.abort(code, &StreamError{Code: code})
}
