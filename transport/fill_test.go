package transport_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
	"github.com/tributary-live/tributary/transport/wire"
)

// largestOf are options of a track that has been published up to l.
func largestOf(l moqt.Location) *transport.PublishOptions {
	return &transport.PublishOptions{Largest: func() (moqt.Location, bool) { return l, true }}
}

// joined is a subscription with what it fetches, and both seen from their
// publisher.
type joined struct {
	r   *transport.TrackReader
	f   *transport.FetchReader
	w   *transport.TrackWriter
	req *transport.FetchRequest
}

// join makes a subscription to a track that has been published up to 7/3.
func join(t *testing.T, sub, pub *transport.Session, back uint64) joined {
	t.Helper()
	var j joined
	wait := async(func() (err error, _ error) {
		j.r, j.f, err = sub.Join(t.Context(), clock, back, nil)
		return err, nil
	})
	var err error
	if j.w, err = accept[*transport.SubscribeRequest](t, pub).Accept(largestOf(at(7, 3))); err != nil {
		t.Fatalf("Accept() = %v", err)
	}
	j.req = accept[*transport.FetchRequest](t, pub)
	if err, _ := wait(); err != nil {
		t.Fatalf("Join() = %v", err)
	}
	return j
}

// TestFillRanges checks what a fill comes down to for the application.
func TestFillRanges(t *testing.T) {
	whole := moqt.Filter{Kind: moqt.FilterNone}
	relative := func(n uint64) wire.Opt[moqt.Filter] {
		return wire.Some(moqt.Filter{Kind: moqt.FilterRelative, Groups: n})
	}
	for _, tt := range []struct {
		name string
		p    wire.Params // of the SUBSCRIBE
		want string      // range, order and priority; "" for no fill
	}{
		{"newest group", wire.Params{Fill: wire.Some(wire.FillParameters{Filter: relative(1)})}, "7/0-7/3 1 128"},
		{"three groups", wire.Params{Fill: wire.Some(wire.FillParameters{Filter: relative(3)})}, "5/0-7/3 1 128"},
		{"more groups than there are", wire.Params{Fill: wire.Some(wire.FillParameters{Filter: relative(9)})}, "0/0-7/3 1 128"},
		{"whole track", wire.Params{Fill: wire.Some(wire.FillParameters{Filter: wire.Some(whole)})}, "0/0-7/3 1 128"},
		{"no filter at all", wire.Params{Fill: wire.Some(wire.FillParameters{})}, "0/0-7/3 1 128"},
		{"filter of the subscription", wire.Params{Filter: wire.Some(moqt.Filter{Kind: moqt.FilterAbsoluteStart, Start: at(6, 2)}),
			Fill: wire.Some(wire.FillParameters{})}, "6/2-7/3 1 128"},
		{"range that ends before", wire.Params{Fill: wire.Some(wire.FillParameters{
			Filter: wire.Some(moqt.Filter{Kind: moqt.FilterAbsoluteEnd, Start: at(2, 1), EndGroup: 6, EndObject: 5})})}, "2/1-6/5 1 128"},
		{"own order and priority", wire.Params{Order: wire.Some(moqt.Ascending), Priority: wire.Some(moqt.Priority(9)), Fill: wire.Some(wire.FillParameters{
			Filter: relative(1), Order: wire.Some(moqt.Descending), Priority: wire.Some(moqt.Priority(4))})}, "7/0-7/3 2 4"},
		{"those of the subscription", wire.Params{Order: wire.Some(moqt.Descending), Priority: wire.Some(moqt.Priority(9)),
			Fill: wire.Some(wire.FillParameters{Filter: relative(1)})}, "7/0-7/3 2 9"},
		{"next group", wire.Params{Fill: wire.Some(wire.FillParameters{Filter: wire.Some(moqt.Filter{Kind: moqt.FilterNextGroup})})}, ""},
		{"next object of the subscription", wire.Params{Filter: wire.Some(moqt.Filter{}), Fill: wire.Some(wire.FillParameters{})}, ""},
		{"paused", wire.Params{Forward: wire.Some(false), Fill: wire.Some(wire.FillParameters{Filter: relative(1)})}, ""},
		{"none", wire.Params{}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachDraftThat(t, (*wire.Profile).Fill, func(t *testing.T, v moqt.Version) {
				s, p := against(t, nil, &transporttest.PipeOptions{Version: v})
				p.request(&wire.Subscribe{Track: clock, Params: tt.p})
				sub := accept[*transport.SubscribeRequest](t, s)
				if _, err := sub.Accept(largestOf(at(7, 3))); err != nil {
					t.Fatal(err)
				}
				got := ""
				if req, err := s.Accept(contextAfter(t, time.Second)); err == nil {
					r := req.(*transport.FetchRequest)
					got = fmt.Sprintf("%v-%v %d %d", r.Range.Start, r.Range.End, r.Order, r.Priority)
					if r.Track != clock || !r.Joining {
						t.Errorf("request = %+v, want one that joins %v", r, clock)
					}
				}
				if got != tt.want {
					t.Errorf("fill = %q, want %q", got, tt.want)
				}
			})
		})
	}
}

// TestFillStream checks what goes over the wire: the id of the message that
// asked, and the count of streams.
func TestFillStream(t *testing.T) {
	eachDraftThat(t, (*wire.Profile).Fill, func(t *testing.T, v moqt.Version) {
		s, p := against(t, nil, &transporttest.PipeOptions{Version: v})
		one := wire.Some(wire.FillParameters{Filter: wire.Some(moqt.Filter{Kind: moqt.FilterRelative, Groups: 1})})
		st := p.request(&wire.Subscribe{RequestID: 4, Track: clock, Params: wire.Params{Fill: one}})
		sub := accept[*transport.SubscribeRequest](t, s)
		if sub.Filter != (moqt.Filter{}) {
			t.Errorf("Filter = %+v, want the next object: the rest comes by the fill", sub.Filter)
		}
		w, err := sub.Accept(largestOf(at(7, 3)))
		if err != nil {
			t.Fatal(err)
		}
		fw, err := accept[*transport.FetchRequest](t, s).Accept(transport.FetchInfo{End: at(7, 3)})
		if err != nil {
			t.Fatal(err)
		}
		data := p.acceptUni("05 04")
		if err := fw.WriteObject(moqt.Object{Location: at(7, 0), Payload: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		// Another by an update, which is refused: its stream is reset.
		p.write(st, p.bytes(&wire.RequestUpdate{RequestID: 6, Params: wire.Params{Fill: one}}))
		if err := accept[*transport.FetchRequest](t, s).Reject(moqt.RequestDoesNotExist, "gone"); err != nil {
			t.Errorf("Reject() = %v", err)
		}
		p.wantReset(p.acceptUni("05 06"), moqt.StreamUnknownObjectStatus)
		// The end of the track waits for the fill.
		w.Close()
		synctest.Wait()
		p.answer(st, wire.KindSubscribe)
		on := wire.On{Request: wire.KindSubscribe, Answers: wire.KindRequestUpdate}
		p.read(st, on) // of the update
		if n := p.streams[st].Buffered(); n > 0 {
			t.Errorf("%d bytes on the request while the fill is open", n)
		}
		if err := fw.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		if b, err := io.ReadAll(data); err != nil || len(b) == 0 {
			t.Errorf("fill = %x, %v, want an object", b, err)
		}
		if m, ok := p.read(st, on).(*wire.PublishDone); !ok || m.Streams != 2 {
			t.Errorf("then = %+v, want PUBLISH_DONE with 2 streams", m)
		}
	})
}

// TestFillCancelled has the subscriber leave while a fill is open, and one
// before it is answered.
func TestFillCancelled(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		if p, _ := wire.ProfileFor(a.Info().Version); !p.Fill() {
			return
		}
		c, s := setup(t, a, b, nil, nil)
		j := join(t, c, s, 0)
		fw, err := j.req.Accept(transport.FetchInfo{End: at(7, 3)})
		if err != nil {
			t.Fatal(err)
		}
		if err := fw.WriteObject(moqt.Object{Location: at(7, 0)}); err != nil {
			t.Fatal(err)
		}
		if _, err := j.f.ReadObject(t.Context()); err != nil {
			t.Fatal(err)
		}
		// The fill alone: the subscription goes on.
		j.f.Close()
		for err == nil {
			err = fw.WriteObject(moqt.Object{Location: at(7, 1)})
			time.Sleep(time.Millisecond)
			if err == nil {
				fw.Cancel(moqt.StreamInternalError)
			}
		}
		sg := open(t, j.w, moqt.Subgroup{Group: 7})
		put(t, sg, 4)
		next(t, j.r)
		// The subscription, and the fill with it.
		k := join(t, c, s, 0)
		k.r.Close()
		<-k.req.Context().Done()
		if _, err := k.req.Accept(transport.FetchInfo{End: at(7, 3)}); err == nil {
			t.Error("Accept() of a fill whose subscription is cancelled succeeded")
		}
		if _, err := k.f.ReadObject(t.Context()); err != transport.ErrClosed {
			t.Errorf("ReadObject() = %v, want ErrClosed", err)
		}
	})
}

// TestFillNeverComes ends the wait for a fill with the subscription.
func TestFillNeverComes(t *testing.T) {
	eachDraftThat(t, (*wire.Profile).Fill, func(t *testing.T, v moqt.Version) {
		s, p := against(t, nil, &transporttest.PipeOptions{Version: v})
		var r *transport.TrackReader
		wait := async(func() (f *transport.FetchReader, err error) {
			r, f, err = s.Join(t.Context(), clock, 0, nil)
			return f, err
		})
		st, _ := p.accepted()
		p.write(st, p.bytes(&wire.SubscribeOK{Alias: 7, Params: wire.Params{Largest: wire.Some(at(3, 3))}}))
		f, err := wait()
		if err != nil {
			t.Fatal(err)
		}
		if end, _ := f.End(); end != at(3, 3) {
			t.Errorf("End() = %v, want 3/3", end)
		}
		p.write(st, p.bytes(&wire.PublishDone{Code: moqt.DoneTrackEnded, Streams: 1}))
		st.Close()
		start := time.Now()
		if _, err := f.ReadObject(t.Context()); !errors.Is(err, &transport.TrackDone{Code: moqt.DoneTrackEnded}) || time.Since(start) != 2*time.Second {
			t.Errorf("ReadObject() = %v after %v, want the end of the track after 2s", err, time.Since(start))
		}
		r.Close()
	})
}

// TestFillOfPublished fills a track that the peer has offered, in all drafts.
func TestFillOfPublished(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		o := largestOf(at(7, 3))
		o.Paused = true
		w, r := published(t, c, s, o, &transport.SubscribeOptions{Paused: true})
		wait := async(func() (*transport.FetchReader, error) { return r.Fill(t.Context(), 1) })
		req := accept[*transport.FetchRequest](t, c)
		if want := (transport.Range{Start: at(6, 0), End: at(7, 3)}); req.Range != want || !req.Joining {
			t.Errorf("request = %+v, want one that joins, of %v", req, want)
		}
		fw, err := req.Accept(transport.FetchInfo{End: at(7, 3)})
		if err != nil {
			t.Fatal(err)
		}
		if !w.State().Forward {
			t.Error("the subscription is still paused")
		}
		f, err := wait()
		if err != nil {
			t.Fatal(err)
		}
		fw.WriteObject(moqt.Object{Location: at(6, 0), Payload: []byte("a")})
		fw.WriteTimedOut(at(7, 3))
		fw.Close()
		got, err := all(t, f)
		if len(got) != 1 || got[0].Location != at(6, 0) || err != io.EOF {
			t.Errorf("fill = %v, %v, want 6/0", got, err)
		}
		p, _ := wire.ProfileFor(v)
		if g := f.Gaps(); len(g) != 1 || !g[0].Unknown || g[0].TimedOut != p.Gap(wire.GapTimedOut) {
			t.Errorf("Gaps() = %+v, want one of objects that did not come in time", g)
		}
		w.Close()
		if _, err := read(t, r); err != nil {
			t.Errorf("Objects ended with %v", err)
		}
		// Nothing has been published.
		w, r = published(t, c, s, &transport.PublishOptions{Paused: true}, &transport.SubscribeOptions{Paused: true})
		if f, err := r.Fill(t.Context(), 0); f != nil || err != nil {
			t.Errorf("Fill() of nothing = %v, %v", f, err)
		}
		w.Close()
	})
}

// TestFetchRelative asks for the last groups, whose publisher alone knows which
// they are.
func TestFetchRelative(t *testing.T) {
	eachDraftThat(t, (*wire.Profile).FetchByFilter, func(t *testing.T, v moqt.Version) {
		for _, resolve := range []bool{true, false} {
			s, p := against(t, nil, &transporttest.PipeOptions{Version: v})
			st := p.request(&wire.Fetch{Type: wire.FetchRelative, Track: clock, Filter: moqt.Filter{Kind: moqt.FilterRelative, Groups: 2}})
			req := accept[*transport.FetchRequest](t, s)
			if resolve {
				if req.Resolve(at(7, 3)); req.Range.Start != at(6, 0) {
					t.Errorf("Range = %v after Resolve, want it from 6/0", req.Range)
				}
			}
			fw, err := req.Accept(transport.FetchInfo{End: at(7, 3)})
			if err != nil {
				t.Fatal(err)
			}
			p.answer(st, wire.KindFetch)
			fw.WriteUnknown(at(4, 9))
			for _, l := range []moqt.Location{at(5, 9), at(6, 0)} { // the first is not asked for
				if err := fw.WriteObject(moqt.Object{Location: l, Payload: []byte("x")}); err != nil {
					t.Fatal(err)
				}
			}
			fw.Close()
			data := wire.NewReader(p.acceptUni("05 00"))
			objects := p.profile.FetchObjects(moqt.Ascending)
			if o, err := objects.Next(data, &wire.Limits{}); err != nil || o.Location != at(6, 0) {
				t.Errorf("first record = %+v, %v, want object 6/0", o, err)
			}
		}
	})
}

// TestNotify tells a subscriber of changes that it did not ask for.
func TestNotify(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		r, w := subscribed(t, c, s, nil, largestOf(at(5, 1)))
		if err := w.Notify(transport.Notice{Forward: ptr(false), Filter: &moqt.Filter{Kind: moqt.FilterAbsoluteStart, Start: at(6, 2)}}); err != nil {
			t.Fatal(err)
		}
		if p, _ := wire.ProfileFor(v); !p.StateNotify() {
			return
		}
		<-r.Notified()
		n := r.Notice()
		if n.Largest == nil || *n.Largest != at(5, 1) || n.Forward == nil || *n.Forward || n.Filter == nil || n.Filter.Start != at(6, 2) {
			t.Errorf("Notice() = %+v, want what was told, and the largest location", n)
		}
		if err := w.Notify(transport.Notice{Largest: ptr(at(9, 9))}); err != nil {
			t.Fatal(err)
		}
		<-r.Notified()
		if l, ok := r.Largest(); !ok || l != at(9, 9) {
			t.Errorf("Largest() = %v, %v, want 9/9", l, ok)
		}
		if n := r.Notice(); n.Forward == nil || *n.Forward {
			t.Errorf("Notice() = %+v, want what was told before as well", n)
		}
	})
}

// TestNoProperties asks to leave a track's properties out.
func TestNoProperties(t *testing.T) {
	eachDraftThat(t, (*wire.Profile).IncludeProperties, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		props := moqt.Properties{{Type: 0x78, Value: 1}}
		r, _ := subscribed(t, c, s, &transport.SubscribeOptions{NoProperties: true}, &transport.PublishOptions{Properties: props})
		if p := r.Properties(); len(p) > 0 {
			t.Errorf("Properties() = %v, want none", p)
		}
		wait := async(func() (*transport.FetchReader, error) {
			return c.Fetch(t.Context(), clock, transport.Range{End: at(1, 1)}, &transport.FetchOptions{NoProperties: true})
		})
		if _, err := accept[*transport.FetchRequest](t, s).Accept(transport.FetchInfo{End: at(1, 1), Properties: props}); err != nil {
			t.Fatal(err)
		}
		f, err := wait()
		if err != nil || len(f.Properties()) > 0 {
			t.Errorf("Properties() of a fetch = %v, %v, want none", f.Properties(), err)
		}
	})
}
