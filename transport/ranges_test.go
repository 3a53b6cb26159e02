package transport_test

import (
	"errors"
	"io"
	"testing"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
	"github.com/tributary-live/tributary/transport/wire"
)

// ids is a filter of object ids.
func ids(ranges ...moqt.Range) moqt.RangeFilters {
	return moqt.RangeFilters{{Field: moqt.RangeObjectID, Ranges: ranges}}
}

// TestRangeFilters leaves objects out of a stream, which goes on.
func TestRangeFilters(t *testing.T) {
	eachDraftThat(t, (*wire.Profile).RangeFilters, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		r, w := subscribed(t, c, s, &transport.SubscribeOptions{Ranges: ids(moqt.Range{First: 1, Last: 2}, moqt.Range{First: 4, Last: 5})}, nil)
		out := open(t, w, moqt.Subgroup{Group: 1, First: true, EndOfGroup: true})
		put(t, out, 0, 1, 2, 3, 4)
		in := next(t, r)
		if h := in.Header(); h.First || h.EndOfGroup {
			t.Errorf("Header() = %+v, want neither First nor EndOfGroup: those objects may be left out", h)
		}
		for _, id := range []uint64{1, 2, 4} {
			if o, err := in.ReadObject(); err != nil || o.Object != id {
				t.Fatalf("ReadObject() = %v, %v, want object %d", o.Location, err, id)
			}
		}
		// An update replaces the filter, and the stream still goes on.
		update(t, r, w, transport.SubscribeUpdate{Ranges: ids(moqt.Range{First: 7, Last: 7})})
		put(t, out, 5, 6, 7, 8)
		if o, err := in.ReadObject(); err != nil || o.Object != 7 {
			t.Fatalf("ReadObject() = %v, %v, want object 7", o.Location, err)
		}
		// One without ranges removes it.
		update(t, r, w, transport.SubscribeUpdate{Ranges: ids()})
		put(t, out, 9)
		out.Close()
		wantRest(t, in, io.EOF, 9)
		// A group of which nothing passes has no stream, datagrams are dropped.
		update(t, r, w, transport.SubscribeUpdate{Ranges: moqt.RangeFilters{{Field: moqt.RangePriority, Ranges: []moqt.Range{{First: 3, Last: 3}}}}})
		write(t, w, 2, []string{"a", "b"})
		for _, p := range []moqt.Priority{4, 3, 2} {
			if err := w.SendDatagram(moqt.Object{Location: at(3, uint64(p)), Priority: p, Payload: []byte("x")}); err != nil {
				t.Fatal(err)
			}
		}
		if o, err := r.ReceiveDatagram(t.Context()); err != nil || o.Priority != 3 {
			t.Errorf("ReceiveDatagram() = %+v, %v, want that of priority 3", o, err)
		}
		w.Close()
		if sg, err := r.AcceptSubgroup(t.Context()); err == nil {
			t.Errorf("a stream of group %d, of which nothing passes", sg.Header().Group)
		}
	})
}

// TestRangeFiltersOfFetch filters what is fetched, by itself and with a
// subscription.
func TestRangeFiltersOfFetch(t *testing.T) {
	eachDraftThat(t, (*wire.Profile).RangeFilters, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		f, w := fetched(t, c, s, transport.Range{Start: at(1, 0), End: at(1, 9)}, &transport.FetchOptions{Ranges: ids(moqt.Range{First: 3, Last: 4})})
		for id := range uint64(9) {
			if err := w.WriteObject(moqt.Object{Location: at(1, id)}); err != nil {
				t.Fatal(err)
			}
		}
		w.Close()
		objects, err := all(t, f)
		if len(objects) != 2 || objects[0].Object != 3 || objects[1].Object != 4 || err != io.EOF {
			t.Errorf("fetched %v, %v, want 1/3 and 1/4", objects, err)
		}
	})
}

// TestBadRangeFilters refuses filters with the code for them.
func TestBadRangeFilters(t *testing.T) {
	eachDraftThat(t, (*wire.Profile).RangeFilters, func(t *testing.T, v moqt.Version) {
		var many []moqt.Range
		for i := range uint64(65) {
			many = append(many, moqt.Range{First: 2 * i, Last: 2 * i})
		}
		twice := append(ids(moqt.Range{}), ids(moqt.Range{})...)
		s, p := against(t, nil, &transporttest.PipeOptions{Version: v})
		id := uint64(0)
		for _, fs := range []moqt.RangeFilters{ids(many...), twice} {
			params := wire.Params{Ranges: fs}
			for _, m := range []wire.Message{
				&wire.Subscribe{RequestID: id, Track: clock, Params: params},
				&wire.Fetch{RequestID: id + 2, Type: wire.FetchStandalone, Track: clock, End: at(1, 1), Params: params},
				&wire.SubscribeTracks{RequestID: id + 4, Prefix: moqt.NS("a"), Params: params},
			} {
				p.wantError(p.request(m), m.Kind(), moqt.RequestInvalidFilter)
			}
			id += 6
		}
		// An update adds to what is there, and the subscription ends with it.
		st := p.request(&wire.Subscribe{RequestID: id, Track: clock, Params: wire.Params{Ranges: ids(many[:60]...)}})
		w, err := accept[*transport.SubscribeRequest](t, s).Accept(nil)
		if err != nil {
			t.Fatal(err)
		}
		p.answer(st, wire.KindSubscribe)
		p.write(st, p.bytes(&wire.RequestUpdate{RequestID: id + 2, Params: wire.Params{
			Ranges: moqt.RangeFilters{{Field: moqt.RangeSubgroup, Ranges: many[:5]}}}}))
		on := wire.On{Request: wire.KindSubscribe, Answers: wire.KindRequestUpdate}
		if m, ok := p.read(st, on).(*wire.RequestError); !ok || m.Code != moqt.RequestInvalidFilter {
			t.Errorf("answer = %+v, want INVALID_FILTER", m)
		}
		if m, ok := p.read(st, on).(*wire.PublishDone); !ok || m.Code != moqt.DoneUpdateFailed {
			t.Errorf("then = %+v, want PUBLISH_DONE UPDATE_FAILED", m)
		}
		<-w.Context().Done()
	})
}

// TestMayFilter asks nobody for what he does not know or take.
func TestMayFilter(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, _ := pipeOf(t, v, nil, &transport.Config{Limits: transport.Limits{MaxFilterRanges: 1}})
		o := &transport.SubscribeOptions{Ranges: ids(moqt.Range{First: 1, Last: 1}, moqt.Range{First: 3, Last: 3})}
		if _, err := c.Subscribe(t.Context(), clock, o); err == nil {
			t.Error("Subscribe() asked for more ranges than the peer takes")
		}
		if _, _, err := c.Join(t.Context(), clock, 0, o); err == nil {
			t.Error("Join() did")
		}
		if _, err := c.SubscribeTracks(t.Context(), moqt.NS("a"), o); err == nil {
			t.Error("SubscribeTracks() did")
		}
		if _, err := c.Fetch(t.Context(), clock, transport.Range{End: at(1, 1)}, &transport.FetchOptions{Ranges: o.Ranges}); err == nil {
			t.Error("Fetch() did")
		}
	})
}

// TestTracksFiltered publishes what passes the filter of a SUBSCRIBE_TRACKS, as
// it asks for.
func TestTracksFiltered(t *testing.T) {
	eachDraftThat(t, (*wire.Profile).RangeFilters, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		const height = 0x78
		wait := async(func() (*transport.TracksReader, error) {
			return c.SubscribeTracks(t.Context(), moqt.NS("live"), &transport.SubscribeOptions{Order: moqt.Descending, Ranges: moqt.RangeFilters{
				{Field: moqt.RangeObjectID, Ranges: []moqt.Range{{First: 1, Last: 1}}},
				{Field: moqt.RangeTrackProperty, Property: height, Ranges: []moqt.Range{{First: 720, Last: 1080}}}}})
		})
		req := accept[*transport.TracksRequest](t, s)
		req.Accept()
		tracks, err := wait()
		if err != nil {
			t.Fatal(err)
		}
		offer := func(h uint64) (*transport.TrackWriter, error) {
			return s.Publish(t.Context(), moqt.NS("live").Track("video"),
				&transport.PublishOptions{Properties: moqt.Properties{{Type: height, Value: h}}, For: req})
		}
		if _, err := offer(480); !errors.Is(err, transport.ErrFiltered) {
			t.Errorf("Publish() of a track that does not pass = %v, want ErrFiltered", err)
		}
		offered := async(func() (*transport.TrackWriter, error) { return offer(720) })
		tr, err := accept[*transport.PublishRequest](t, c).Accept(nil)
		if err != nil {
			t.Fatal(err)
		}
		w, err := offered()
		if err != nil {
			t.Fatal(err)
		}
		if st := w.State(); st.Order != moqt.Descending || !st.Forward {
			t.Errorf("State() = %+v, want descending and forward", st)
		}
		write(t, w, 0, []string{"a", "b", "c"})
		w.Close()
		got, _ := read(t, tr)
		wantObjects(t, got, "0/1 b")
		// An update counts for what comes after it.
		if err := tracks.Update(t.Context(), transport.SubscribeUpdate{Forward: ptr(false),
			Ranges: moqt.RangeFilters{{Field: moqt.RangeTrackProperty}}}); err != nil {
			t.Fatal(err)
		}
		offered = async(func() (*transport.TrackWriter, error) { return offer(480) })
		if r := accept[*transport.PublishRequest](t, c); r.Forward {
			t.Error("PUBLISH says that it forwards, after an update that it should not")
		} else {
			r.Accept(&transport.SubscribeOptions{Paused: true})
		}
		if w, err := offered(); err != nil || w.State().Forward {
			t.Errorf("Publish() = %+v, %v, want it paused", w, err)
		}
	})
}
