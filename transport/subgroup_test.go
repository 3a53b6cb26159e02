package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// next waits for the next subgroup stream.
func next(t *testing.T, r *transport.TrackReader) *transport.SubgroupReader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sg, err := r.AcceptSubgroup(ctx)
	if err != nil {
		t.Fatalf("AcceptSubgroup() = %v", err)
	}
	return sg
}

// open opens a subgroup.
func open(t *testing.T, w *transport.TrackWriter, sg moqt.Subgroup) *transport.SubgroupWriter {
	t.Helper()
	s, err := w.OpenSubgroup(t.Context(), sg)
	if err != nil {
		t.Fatalf("OpenSubgroup(%+v) = %v", sg, err)
	}
	return s
}

// put writes an object of a subgroup, with its id as payload.
func put(t *testing.T, w *transport.SubgroupWriter, ids ...uint64) {
	t.Helper()
	for _, id := range ids {
		if err := w.WriteObject(moqt.Object{Location: moqt.Location{Object: id}, Payload: fmt.Append(nil, id)}); err != nil {
			t.Fatalf("WriteObject(%d) = %v", id, err)
		}
	}
}

// rest reads the ids of a subgroup stream's objects, and how it ended.
func rest(t *testing.T, r *transport.SubgroupReader) (ids []uint64, err error) {
	t.Helper()
	for {
		o, err := r.ReadObject()
		if err != nil {
			return ids, err
		}
		if o.Status == moqt.StatusNormal && string(o.Payload) != fmt.Sprint(o.Object) {
			t.Errorf("object %v = %q, want its id", o.Location, o.Payload)
		}
		ids = append(ids, o.Object)
	}
}

func wantRest(t *testing.T, r *transport.SubgroupReader, end error, want ...uint64) {
	t.Helper()
	ids, err := rest(t, r)
	if !reflect.DeepEqual(ids, want) || !errors.Is(err, end) {
		t.Errorf("rest of group %d = %v, %v, want %v, %v", r.Header().Group, ids, err, want, end)
	}
}

// reset is how a stream ends that the publisher has reset.
var reset = &transport.StreamError{Code: moqt.StreamCancelled}

// TestCutThrough reads an object whose payload is not complete yet.
func TestCutThrough(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		out := open(t, w, moqt.Subgroup{First: true})
		payload, err := out.StartObject(moqt.Object{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		in := next(t, r)
		o, body, err := in.NextObject()
		if err != nil || o.Location != (moqt.Location{}) {
			t.Fatalf("NextObject() = %v, %v, want 0/0", o.Location, err)
		}
		buf := make([]byte, 10)
		for i := range 5 {
			part := fmt.Sprintf("%d.", i)
			if _, err := io.WriteString(payload, part); err != nil {
				t.Fatalf("Write() = %v", err)
			}
			if _, err := io.ReadFull(body, buf[:2]); err != nil || string(buf[:2]) != part {
				t.Fatalf("part %d = %q, %v, want it before the rest is written", i, buf[:2], err)
			}
		}
		if _, err := io.WriteString(payload, "x"); err == nil {
			t.Error("Write() beyond the object's size succeeded")
		}
		if n, err := body.Read(buf); n != 0 || err != io.EOF {
			t.Errorf("Read() after the object = %d, %v, want EOF", n, err)
		}
		// The next object is found also if the one before was not read whole.
		put(t, out, 1, 2)
		if _, _, err := in.NextObject(); err != nil {
			t.Fatal(err)
		}
		if o, _, err := in.NextObject(); err != nil || o.Object != 2 {
			t.Fatalf("NextObject() = %v, %v, want object 2", o.Location, err)
		}
		out.Close()
		wantRest(t, in, io.EOF)
	})
}

// TestStartObjectMisuse checks that a caller's mistakes do not reach the peer.
func TestStartObjectMisuse(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		out := open(t, w, moqt.Subgroup{First: true})
		bad := moqt.Object{Properties: moqt.Properties{{Type: 9}, {Type: 8}}} // not in order
		if err := out.WriteObject(bad); err == nil {
			t.Error("WriteObject() with properties out of order succeeded")
		}
		if err := out.WriteObject(moqt.Object{Location: moqt.Location{Object: 1}, Status: moqt.StatusEndOfGroup, Payload: []byte("x")}); err == nil {
			t.Error("WriteObject() of a status with a payload succeeded")
		}
		put(t, out, 2)
		in := next(t, r)
		if in.Header().First {
			t.Error("FIRST_OBJECT is set, but the first object could not be sent")
		}
		if o, err := in.ReadObject(); err != nil || o.Object != 2 {
			t.Errorf("ReadObject() = %v, %v, want object 2", o.Location, err)
		}
		if err := out.WriteObject(moqt.Object{Location: moqt.Location{Object: 2}}); err == nil {
			t.Error("WriteObject() of the same id again succeeded")
		}
		p, err := out.StartObject(moqt.Object{Location: moqt.Location{Object: 3}}, 3)
		if err != nil {
			t.Fatal(err)
		}
		if err := out.WriteObject(moqt.Object{Location: moqt.Location{Object: 4}}); err == nil {
			t.Error("WriteObject() inside another object succeeded")
		}
		io.WriteString(p, "3")
		if err := out.Close(); err == nil {
			t.Error("Close() inside an object succeeded")
		}
		if _, err := out.Write(nil); err != transport.ErrClosed {
			t.Errorf("Write() after Close = %v, want ErrClosed", err)
		}
		wantRest(t, in, reset)

		out = open(t, w, moqt.Subgroup{Group: 1})
		put(t, out, 0)
		props := moqt.Properties{{Type: 0x3c, Value: 1}}
		if err := out.WriteObject(moqt.Object{Location: moqt.Location{Object: 1}, Properties: props}); err == nil {
			t.Error("WriteObject() with properties on a stream without succeeded")
		}
		put(t, out, 2)
		out.Close()
		wantRest(t, next(t, r), io.EOF, 0, 2)
		synctest.Wait()
		if err := context.Cause(c.Context()); err != nil {
			t.Errorf("the session ended with %v", err)
		}
	})
}

func TestSubgroupHeaders(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		r, w := subscribed(t, c, s, nil, &transport.PublishOptions{Properties: moqt.Properties{{Type: moqt.PropDefaultPriority, Value: 9}}})
		draft := ability(c.Version())
		last := draft.MaxVarint()
		if last < math.MaxUint64 {
			for _, sg := range []moqt.Subgroup{{Group: last + 1}, {ID: last + 1}} {
				if _, err := w.OpenSubgroup(t.Context(), sg); err == nil {
					t.Errorf("OpenSubgroup(%+v), which the draft cannot tell, succeeded", sg)
				}
			}
		}
		for _, tt := range []struct{ sg, want moqt.Subgroup }{
			{moqt.Subgroup{Group: 1, Priority: 4, First: true}, moqt.Subgroup{Group: 1, Priority: 4, First: true}},
			{moqt.Subgroup{Group: 2, ID: 7, Priority: 4, EndOfGroup: true}, moqt.Subgroup{Group: 2, ID: 7, Priority: 4, EndOfGroup: true}},
			{moqt.Subgroup{Group: 3, DefaultPriority: true}, moqt.Subgroup{Group: 3, Priority: 9, DefaultPriority: true}},
			{moqt.Subgroup{Group: 4, Priority: 9}, moqt.Subgroup{Group: 4, Priority: 9, DefaultPriority: true}},
			{moqt.Subgroup{Group: last, ID: last, Priority: 255}, moqt.Subgroup{Group: last, ID: last, Priority: 255}},
		} {
			tt.want.First = tt.want.First && draft.FirstObjectBit()
			out := open(t, w, tt.sg)
			put(t, out, 0, 5)
			out.Close()
			in := next(t, r)
			if got := in.Header(); got != tt.want {
				t.Errorf("Header() = %+v, want %+v", got, tt.want)
			}
			o, err := in.ReadObject()
			if err != nil || o.Group != tt.want.Group || o.Subgroup != tt.want.ID || o.Priority != tt.want.Priority || o.Datagram {
				t.Errorf("ReadObject() = %+v, %v, want it of %+v", o, err, tt.want)
			}
			wantRest(t, in, io.EOF, 5)
		}
		out, _ := w.OpenGroup(t.Context(), 9)
		fmt.Fprint(out, "0")
		out.Close()
		in := next(t, r)
		want := moqt.Subgroup{Group: 9, Priority: 9, DefaultPriority: true, First: draft.FirstObjectBit(), EndOfGroup: true}
		if got := in.Header(); got != want {
			t.Errorf("Header() of OpenGroup = %+v, want %+v", got, want)
		}
		wantRest(t, in, io.EOF, 0)
	})
}

func TestObjectFields(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		out := open(t, w, moqt.Subgroup{})
		out.WithProperties()
		objects := []moqt.Object{
			{Location: moqt.Location{Object: 0}, Payload: []byte("no properties")},
			{Location: moqt.Location{Object: 3}, Properties: moqt.Properties{{Type: 0x3e, Value: 2}, {Type: 0x3801, Bytes: []byte("a")}, {Type: 0x3801, Bytes: []byte{}}}},
			{Location: moqt.Location{Object: 4}, Payload: bytes.Repeat([]byte("large"), 10_000)},
			{Location: moqt.Location{Object: 5}, Status: moqt.StatusEndOfGroup},
			{Location: moqt.Location{Object: 6}, Status: moqt.StatusEndOfTrack},
		}
		go func() {
			for _, o := range objects {
				if err := out.WriteObject(o); err != nil {
					t.Errorf("WriteObject(%v) = %v", o.Location, err)
				}
			}
			out.Close()
		}()
		in := next(t, r)
		for _, want := range objects {
			o, err := in.ReadObject()
			if err != nil || o.Location != want.Location || o.Status != want.Status ||
				!reflect.DeepEqual(o.Properties, want.Properties) || !bytes.Equal(o.Payload, want.Payload) {
				t.Errorf("ReadObject() = %v %v %v, %d bytes, %v, want %v %v %v, %d bytes", o.Location, o.Status, o.Properties, len(o.Payload), err,
					want.Location, want.Status, want.Properties, len(want.Payload))
			}
		}
		wantRest(t, in, io.EOF)
	})
}

// TestCancelSubgroup ends single streams before their end, from either side.
func TestCancelSubgroup(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		out := open(t, w, moqt.Subgroup{})
		put(t, out, 0)
		in := next(t, r)
		out.Cancel(moqt.StreamDeliveryTimeout)
		out.Cancel(moqt.StreamInternalError) // the first counts
		if err := out.WriteObject(moqt.Object{Location: moqt.Location{Object: 1}}); !errors.Is(err, &transport.StreamError{Code: moqt.StreamDeliveryTimeout}) {
			t.Errorf("WriteObject() after Cancel = %v, want its code", err)
		}
		_, err := rest(t, in)
		wantStream(t, "end of a reset stream", err, moqt.StreamDeliveryTimeout)
		if err := out.Close(); err != nil {
			t.Errorf("Close() after Cancel = %v", err)
		}

		out = open(t, w, moqt.Subgroup{Group: 1})
		put(t, out, 0)
		next(t, r).Cancel(moqt.StreamTooFarBehind)
		var stopped error
		for id := uint64(1); stopped == nil; id++ {
			stopped = out.WriteObject(moqt.Object{Location: moqt.Location{Object: id}, Payload: make([]byte, 100_000)})
		}
		wantStream(t, "Write to a stopped stream", stopped, heard(c.Version(), moqt.StreamTooFarBehind))
		if err := out.Close(); err == nil {
			t.Error("Close() of a stopped stream succeeded")
		}
		// Neither ends the subscription.
		write(t, w, 2, []string{"0"})
		wantRest(t, next(t, r), io.EOF, 0)
		w.Close()
		start := time.Now()
		for _, err := range r.Objects(t.Context()) {
			t.Errorf("Objects = %v after the end", err)
		}
		if d := time.Since(start); d > 500*time.Millisecond {
			t.Errorf("the track ended after %v: a stream that was reset was not counted", d)
		}
	})
}

// TestResetStreamsAreCounted resets streams as soon as they have begun: their
// headers arrive all the same, so the track does not wait for them at its end.
func TestResetStreamsAreCounted(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		for g := range uint64(5) {
			out := open(t, w, moqt.Subgroup{Group: g})
			put(t, out, 0)
			out.Cancel(moqt.StreamTooFarBehind)
		}
		w.Close()
		start := time.Now()
		groups := make(map[uint64]bool)
		for range 5 {
			in := next(t, r)
			_, err := rest(t, in)
			wantStream(t, "end of a stream", err, heard(c.Version(), moqt.StreamTooFarBehind))
			groups[in.Header().Group] = true
		}
		if _, err := r.AcceptSubgroup(t.Context()); !errors.Is(err, &transport.TrackDone{Code: moqt.DoneTrackEnded}) || len(groups) != 5 {
			t.Errorf("%d groups and %v, want 5 and the end of the track", len(groups), err)
		}
		if d := time.Since(start); d > 500*time.Millisecond {
			t.Errorf("the track ended after %v", d)
		}
	})
}

// TestBreakSubgroup resets streams that cannot go on: what was written arrives
// first.
func TestBreakSubgroup(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		for g := range uint64(5) {
			out := open(t, w, moqt.Subgroup{Group: g})
			put(t, out, 0, 1)
			out.Break(moqt.StreamCancelled)
			out.Break(moqt.StreamInternalError) // the first counts
		}
		for range 5 {
			in := next(t, r)
			ids, err := rest(t, in)
			wantStream(t, "end of a stream", err, moqt.StreamCancelled)
			if !slices.Equal(ids, []uint64{0, 1}) {
				t.Errorf("group %d has objects %v, want those written before Break", in.Header().Group, ids)
			}
		}
	})
}

// TestCancelBeforeStream cancels a subgroup while its first object waits for
// the peer to allow a stream.
func TestCancelBeforeStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := transporttest.Pipe(t, &transporttest.PipeOptions{MaxUniStreams: 2}) // one is the control stream
		c, s := setup(t, a, b, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		first := open(t, w, moqt.Subgroup{})
		put(t, first, 0)
		blocked := open(t, w, moqt.Subgroup{Group: 1})
		wait := async(func() (int, error) { return blocked.Write([]byte("0")) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		impatient, err := w.OpenSubgroup(ctx, moqt.Subgroup{Group: 2})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := impatient.Write([]byte("0")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Write() = %v, want the context's error", err)
		}
		blocked.Cancel(moqt.StreamCancelled)
		first.Close()
		wantRest(t, next(t, r), io.EOF, 0) // makes room
		if _, err := wait(); !errors.Is(err, reset) {
			t.Errorf("Write() to a subgroup that was cancelled = %v, want %v", err, reset)
		}
		write(t, w, 3, []string{"0"})
		wantRest(t, next(t, r), io.EOF, 0)
		w.Close()
		if err := done(r.Context()); !errors.Is(err, &transport.TrackDone{Code: moqt.DoneTrackEnded}) {
			t.Errorf("the track ended with %v", err)
		}
	})
}
