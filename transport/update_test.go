package transport_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

func ptr[T any](v T) *T { return &v }

// update changes a subscription and waits until the publisher has been told.
func update(t *testing.T, r *transport.TrackReader, w *transport.TrackWriter, u transport.SubscribeUpdate) {
	t.Helper()
	if err := r.Update(t.Context(), u); err != nil {
		t.Fatalf("Update(%+v) = %v", u, err)
	}
	select {
	case <-w.Changed():
	case <-time.After(time.Second):
		t.Fatalf("Changed() gives no token after Update(%+v)", u)
	}
}

// TestPause lowers the forward state in the middle of a group and raises it
// again: the stream is reset, objects meanwhile are left out without an error,
// and the rest comes on a new stream that does not claim to be the beginning.
func TestPause(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		out := open(t, w, moqt.Subgroup{Group: 1, First: true, EndOfGroup: true})
		put(t, out, 0, 1)
		in := next(t, r)
		for id := range uint64(2) {
			if o, err := in.ReadObject(); err != nil || o.Object != id {
				t.Fatalf("ReadObject() = %v, %v, want object %d", o.Location, err, id)
			}
		}
		update(t, r, w, transport.SubscribeUpdate{Forward: ptr(false)})
		if w.State().Forward {
			t.Error("State().Forward = true after the update")
		}
		if l, ok := r.Largest(); !ok || l != at(1, 1) {
			t.Errorf("Largest() = %v, %v, want that of the answer, 1/1", l, ok)
		}
		wantRest(t, in, reset)
		put(t, out, 2, 3)
		update(t, r, w, transport.SubscribeUpdate{Forward: ptr(true)})
		if l, _ := r.Largest(); l != at(1, 3) {
			t.Errorf("Largest() = %v, want 1/3, the location to join at", l)
		}
		put(t, out, 4, 5)
		if err := out.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		in = next(t, r)
		if h := in.Header(); h.First || !h.EndOfGroup || h.Group != 1 {
			t.Errorf("Header() of the rest = %+v, want no First, but EndOfGroup", h)
		}
		wantRest(t, in, io.EOF, 4, 5)
		// What is written while nothing is wanted opens no stream.
		update(t, r, w, transport.SubscribeUpdate{Forward: ptr(false)})
		write(t, w, 2, []string{"x", "y"})
		w.Close()
		start := time.Now()
		if _, err := r.AcceptSubgroup(t.Context()); !errors.Is(err, &transport.TrackDone{Code: moqt.DoneTrackEnded}) {
			t.Errorf("AcceptSubgroup() = %v, want the end of the track", err)
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("the track ended after %v: the count of streams is wrong", d)
		}
	})
}

// TestPauseInsideObject lowers the forward state inside an object: the rest of
// its payload goes nowhere.
func TestPauseInsideObject(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		out := open(t, w, moqt.Subgroup{})
		payload, err := out.StartObject(moqt.Object{}, 4)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(payload, "ab")
		in := next(t, r)
		update(t, r, w, transport.SubscribeUpdate{Forward: ptr(false)})
		update(t, r, w, transport.SubscribeUpdate{Forward: ptr(true)})
		if n, err := io.WriteString(payload, "cd"); n != 2 || err != nil {
			t.Errorf("Write() of the rest = %d, %v, want no error", n, err)
		}
		wantRest(t, in, reset)
		put(t, out, 1)
		out.Close()
		wantRest(t, next(t, r), io.EOF, 1)
	})
}

func TestPausedFromTheStart(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		r, w := subscribed(t, c, s, &transport.SubscribeOptions{Paused: true}, nil)
		if w.State().Forward {
			t.Error("State().Forward = true, want false")
		}
		write(t, w, 0, []string{"x"})
		update(t, r, w, transport.SubscribeUpdate{Forward: ptr(true)})
		write(t, w, 1, []string{"a"})
		w.Close()
		got, err := read(t, r)
		wantObjects(t, got, "1/0 a")
		if err != nil {
			t.Errorf("Objects ended with %v", err)
		}
	})
}

func TestUpdate(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		write(t, w, 5, []string{"a", "b"})
		was := w.State()
		want := was
		want.Priority = 9
		update(t, r, w, transport.SubscribeUpdate{Priority: ptr(moqt.Priority(9))})
		if got := w.State(); got != want {
			t.Errorf("State() = %+v, want %+v", got, want)
		}
		want.NewGroup, want.NewGroupValue = 1, 6
		update(t, r, w, transport.SubscribeUpdate{NewGroup: ptr(uint64(6))})
		if got := w.State(); got != want {
			t.Errorf("State() = %+v, want %+v", got, want)
		}
		for _, tt := range []struct {
			filter     moqt.Filter
			start, end moqt.Location
		}{
			{moqt.Filter{Kind: moqt.FilterNextGroup}, at(6, 0), was.End},
			{moqt.Filter{}, at(5, 2), was.End},
			{moqt.Filter{Kind: moqt.FilterAbsoluteRange, Start: at(7, 1), EndGroup: 8}, at(7, 1), at(8, moqt.WholeGroup)},
			{moqt.Filter{Kind: moqt.FilterNone}, at(0, 0), was.End},
		} {
			update(t, r, w, transport.SubscribeUpdate{Filter: &tt.filter})
			want.Start, want.End = tt.start, tt.end
			if got := w.State(); got != want {
				t.Errorf("State() with filter %+v = %+v, want %+v", tt.filter, got, want)
			}
		}
		// What does not pass any more ends the stream that is open.
		wantPayloads(t, next(t, r), "a", "b") // group 5
		out := open(t, w, moqt.Subgroup{Group: 7, First: true})
		put(t, out, 0)
		in := next(t, r)
		if o, err := in.ReadObject(); err != nil || in.Header().First != ability(v).FirstObjectBit() {
			t.Errorf("ReadObject() = %v, %v with header %+v, want the first of group 7", o.Location, err, in.Header())
		}
		update(t, r, w, transport.SubscribeUpdate{Filter: &moqt.Filter{Kind: moqt.FilterAbsoluteStart, Start: at(7, 2)}})
		put(t, out, 1, 2)
		out.Close()
		wantRest(t, in, reset)
		in = next(t, r)
		if in.Header().First {
			t.Error("FIRST_OBJECT is set on the stream for the rest")
		}
		wantRest(t, in, io.EOF, 2)
	})
}

// wantPayloads reads a stream to its end.
func wantPayloads(t *testing.T, in *transport.SubgroupReader, want ...string) {
	t.Helper()
	var got []string
	for {
		o, err := in.ReadObject()
		if err != nil {
			if !slices.Equal(got, want) || err != io.EOF {
				t.Errorf("group %d = %q, %v, want %q and EOF", in.Header().Group, got, err, want)
			}
			return
		}
		got = append(got, string(o.Payload))
	}
}

// TestUpdatesTogether sends many updates at once: each gets its own answer, and
// the subscriber closes while some are on their way.
func TestUpdatesTogether(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		var wg sync.WaitGroup
		for p := range moqt.Priority(100) {
			wg.Go(func() {
				if err := r.Update(t.Context(), transport.SubscribeUpdate{Priority: &p}); err != nil {
					t.Errorf("Update() = %v", err)
				}
			})
		}
		wg.Wait()
		if p := w.State().Priority; p >= 100 {
			t.Errorf("State().Priority = %d, want one of the updates", p)
		}
		r.Close()
		if err := r.Update(t.Context(), transport.SubscribeUpdate{}); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("Update() after Close = %v, want ErrClosed", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r, _ = subscribed(t, c, s, nil, nil)
		if err := r.Update(ctx, transport.SubscribeUpdate{}); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Update() with a context that has ended = %v", err)
		}
	})
}
