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
	// Ranges are the range filters; the [FetchWriter] applies them.
	Ranges moqt.RangeFilters
}

func (s *Session) serveFetch(rs *requestStream, m *wire.Fetch) {
	r := &FetchRequest{incoming: incoming{rs}, Track: m.Track, Range: Range{m.Start, m.End},
		Order: m.Params.Order.Or(moqt.Ascending), Priority: m.Params.Priority.Or(moqt.DefaultPriority), Ranges: m.Params.Ranges}
	if m.Params.FillTimeout.Set {
		r.FillTimeout = &m.Params.FillTimeout.Value
	}
	if err := s.checkRanges(m.Params.Ranges, nil); err != nil {
		rs.refuse(err)
		return
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
	rs   *requestStream
	st   SendStream
	pub  atomic.Uint32 // publisher priority of the objects it is at
	enc  wire.FetchEncoder
	want extent
	stop func() bool // takes back that the request's end resets the stream
}

// Accept answers FETCH_OK and opens the stream for the objects. i.End must not
// be before the start of the range. What is written fails once the peer has
// cancelled the fetch.
func (r *FetchRequest) Accept(i FetchInfo) (*FetchWriter, error) {
	if i.End.Less(r.Range.Start) {
		return nil, fmt.Errorf("moqt: answer to a fetch from %v that ends at %v", r.Range.Start, i.End)
	}
	rs, s := r.rs, r.rs.s
	if err := rs.answer(&wire.FetchOK{End: i.End, EndOfTrack: i.EndOfTrack, Properties: i.Properties}, false); err != nil {
		return nil, err
	}
	st, err := s.conn.OpenUniStream(rs.ctx)
	if err != nil {
		err = rs.endOf(err)
		rs.abort(moqt.StreamInternalError, err)
		return nil, err
	}
	w := &FetchWriter{rs: rs, enc: s.profile.FetchEncoder(r.Order), want: extent{end: endless, ranges: r.Ranges}}
	w.pub.Store(uint32(moqt.DefaultPriority))
	w.st = s.sched.add(st, func() schedKey { return fetchKey(rs.id, r.Priority, moqt.Priority(w.pub.Load())) })
	st = w.st
	w.stop = context.AfterFunc(rs.ctx, func() { st.CancelWrite(moqt.StreamCancelled) })
	s.trace.fetch(qlog.Created, st, rs.id)
	if err := w.write(s.profile.AppendFetchHeader(nil, &wire.FetchHeader{RequestID: rs.id})); err != nil {
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
	if w.pub.Swap(uint32(o.Priority)) != uint32(o.Priority) {
		w.rs.s.sched.rekey()
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
func (w *FetchWriter) WriteUnknown(end moqt.Location) error {
	b, err := w.record(nil, wire.FetchObject{Location: end, Gap: wire.GapUnknown})
	if err != nil {
		return err
	}
	return w.write(b)
}

// record appends o to b, without payload.
func (w *FetchWriter) record(b []byte, o wire.FetchObject) ([]byte, error) {
	b, err := w.enc.Append(b, &o)
	if err == nil {
		w.rs.s.trace.fetchObject(qlog.Created, w.st, o)
	}
	return b, err
}

func (w *FetchWriter) write(b []byte) error {
	_, err := w.st.Write(b)
	if err != nil {
		return w.rs.endOf(err)
	}
	return nil
}

// Close ends the answer: all objects of the range that exist were sent.
func (w *FetchWriter) Close() error {
	w.stop()
	err := w.st.Close()
	w.rs.endWrite()
	w.rs.linger()
	return err
}

// Cancel resets the answer. It may be called concurrently with the other
// methods, which then fail.
func (w *FetchWriter) Cancel(code moqt.StreamCode) {
	w.st.CancelWrite(code)
	w.rs.abort(code, &StreamError{Code: code})
}
