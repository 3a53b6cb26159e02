package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// fetched makes a fetch of sub that pub accepts.
func fetched(t *testing.T, sub, pub *transport.Session, r transport.Range, o *transport.FetchOptions) (*transport.FetchReader, *transport.FetchWriter) {
	t.Helper()
	wait := async(func() (*transport.FetchReader, error) { return sub.Fetch(t.Context(), clock, r, o) })
	w, err := accept[*transport.FetchRequest](t, pub).Accept(transport.FetchInfo{End: r.End})
	if err != nil {
		t.Fatalf("Accept() = %v", err)
	}
	f, err := wait()
	if err != nil {
		t.Fatalf("Fetch() = %v", err)
	}
	return f, w
}

// all reads a fetch to its end.
func all(t *testing.T, f *transport.FetchReader) (objects []moqt.Object, err error) {
	t.Helper()
	for {
		o, err := f.ReadObject(t.Context())
		if err != nil {
			return objects, err
		}
		objects = append(objects, o)
	}
}

func TestFetch(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		props := moqt.Properties{{Type: moqt.PropMaxCacheDuration, Value: 9}}
		objects := []moqt.Object{
			{Location: at(5, 0), Subgroup: 2, Priority: 1, Payload: []byte("a")},
			{Location: at(5, 1), Subgroup: 2, Priority: 1, Properties: moqt.Properties{{Type: 0x3c, Value: 1}}, Payload: []byte("b")},
			{Location: at(4, 7), Subgroup: 3, Priority: 2, Payload: bytes.Repeat([]byte("large"), 300_000)},
			{Location: at(4, 9), Datagram: true, Priority: 2, Payload: []byte{}},
			{Location: at(2, 0), Priority: 2, Payload: []byte("last")},
		}
		wait := async(func() (*transport.FetchReader, error) {
			return c.Fetch(t.Context(), clock, transport.Range{Start: at(1, 2), End: at(5, moqt.WholeGroup)},
				&transport.FetchOptions{Priority: ptr(moqt.Priority(200)), Order: moqt.Descending, FillTimeout: ptr(time.Second)})
		})
		req := accept[*transport.FetchRequest](t, s)
		if req.Track != clock || req.Range != (transport.Range{Start: at(1, 2), End: at(5, moqt.WholeGroup)}) || req.Order != moqt.Descending ||
			req.Priority != 200 || req.Joining {
			t.Errorf("request = %+v, want what the subscriber asked for", req)
		}
		if d := req.FillTimeout; c.Version() == moqt.Draft16 && d != nil || c.Version() > moqt.Draft16 && (d == nil || *d != time.Second) {
			t.Errorf("FillTimeout = %v, want 1s from draft-18 on", d)
		}
		if _, err := req.Accept(transport.FetchInfo{End: at(1, 1)}); err == nil {
			t.Error("Accept() with an end before the start succeeded")
		}
		w, err := req.Accept(transport.FetchInfo{End: at(5, 1), EndOfTrack: true, Properties: props})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for _, o := range objects {
				if err := w.WriteObject(o); err != nil {
					t.Errorf("WriteObject(%v) = %v", o.Location, err)
				}
			}
			if err := w.WriteObject(objects[0]); err == nil {
				t.Error("WriteObject() out of order succeeded")
			}
			if err := w.Close(); err != nil {
				t.Errorf("Close() = %v", err)
			}
		}()
		f, err := wait()
		if err != nil {
			t.Fatal(err)
		}
		if end, last := f.End(); end != at(5, 1) || !last || !reflect.DeepEqual(f.Properties(), props) {
			t.Errorf("End() = %v, %v, Properties() = %+v", end, last, f.Properties())
		}
		got, err := all(t, f)
		if err != io.EOF {
			t.Errorf("ReadObject() = %v, want EOF", err)
		}
		if !reflect.DeepEqual(got, objects) {
			t.Errorf("%d objects, not equal to the %d that were written", len(got), len(objects))
		}
		if _, err := f.ReadObject(t.Context()); err != io.EOF {
			t.Errorf("ReadObject() after the end = %v, want EOF", err)
		}
		if len(f.Gaps()) != 0 {
			t.Errorf("Gaps() = %v, want none", f.Gaps())
		}
		// An empty range.
		f, w = fetched(t, c, s, transport.Range{}, nil)
		w.Close()
		if got, err := all(t, f); len(got) != 0 || err != io.EOF {
			t.Errorf("empty fetch = %v, %v", got, err)
		}
	})
}

func TestFetchGaps(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		f, w := fetched(t, c, s, transport.Range{Start: at(1, 3), End: at(9, 9)}, nil)
		gap := func(l moqt.Location) {
			if err := w.WriteUnknown(l); err != nil {
				t.Errorf("WriteUnknown(%v) = %v", l, err)
			}
		}
		gap(at(1, 5))
		gap(at(2, 0)) // goes on
		w.WriteObject(moqt.Object{Location: at(2, 1), Payload: []byte("a")})
		w.WriteObject(moqt.Object{Location: at(2, 5), Payload: []byte("b")})
		gap(at(3, 1<<64-1))
		w.WriteObject(moqt.Object{Location: at(4, 0), Payload: []byte("c")})
		gap(at(9, 9))
		w.Close()
		got, err := all(t, f)
		if len(got) != 3 || err != io.EOF {
			t.Errorf("fetch = %d objects, %v, want 3", len(got), err)
		}
		want := []transport.FetchGap{
			{Range: transport.Range{Start: at(1, 3), End: at(2, 0)}, Unknown: true},
			{Range: transport.Range{Start: at(2, 6), End: at(3, 1<<64-1)}, Unknown: true},
			{Range: transport.Range{Start: at(4, 1), End: at(9, 9)}, Unknown: true},
		}
		if !reflect.DeepEqual(f.Gaps(), want) {
			t.Errorf("Gaps() = %+v, want %+v", f.Gaps(), want)
		}
	})
}

func TestFetchRefused(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		if _, err := c.Fetch(t.Context(), clock, transport.Range{Start: at(1, 0), End: at(0, 9)}, nil); err == nil {
			t.Error("Fetch() of a range that ends before its start succeeded")
		}
		wait := async(func() (*transport.FetchReader, error) { return c.Fetch(t.Context(), clock, transport.Range{}, nil) })
		accept[*transport.FetchRequest](t, s).Reject(moqt.RequestInvalidRange, "")
		_, err := wait()
		wantRequest(t, "Fetch()", err, moqt.RequestInvalidRange)
		if !ability(c.Version()).MandatoryProperties() {
			return
		}
		wait = async(func() (*transport.FetchReader, error) { return c.Fetch(t.Context(), clock, transport.Range{}, nil) })
		req := accept[*transport.FetchRequest](t, s)
		req.Accept(transport.FetchInfo{Properties: moqt.Properties{{Type: 0x7ffe}}})
		if _, err = wait(); !errors.Is(err, &transport.RequestError{Code: moqt.RequestUnsupportedExtension}) {
			t.Errorf("Fetch() of a track with a mandatory property = %v, want UNSUPPORTED_EXTENSION", err)
		}
		<-req.Context().Done()
	})
}

// TestFetchCancelled breaks a fetch off at either end.
func TestFetchCancelled(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		all := transport.Range{End: at(9, 9)}
		flood := func(w *transport.FetchWriter) func() (uint64, error) {
			return async(func() (id uint64, err error) {
				for err == nil {
					err = w.WriteObject(moqt.Object{Location: at(1, id), Payload: make([]byte, 50_000)})
					id++
				}
				return id, err
			})
		}
		// The subscriber has enough.
		f, w := fetched(t, c, s, all, nil)
		wait := flood(w)
		if _, err := f.ReadObject(t.Context()); err != nil {
			t.Errorf("ReadObject() = %v", err)
		}
		f.Close()
		_, err := wait()
		wantStream(t, "WriteObject()", err, moqt.StreamCancelled)
		if _, err := f.ReadObject(t.Context()); err == nil {
			t.Error("ReadObject() after Close succeeded")
		}
		// Its context ends.
		f, w = fetched(t, c, s, all, nil)
		w.WriteObject(moqt.Object{Payload: []byte("a")})
		if o, err := f.ReadObject(t.Context()); err != nil || string(o.Payload) != "a" {
			t.Errorf("ReadObject() = %v, %v", o, err)
		}
		if _, err := f.ReadObject(contextAfter(t, time.Second)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ReadObject() = %v, want the context's error", err)
		}
		_, err = flood(w)()
		wantStream(t, "WriteObject()", err, moqt.StreamCancelled)
		// The publisher gives up.
		f, w = fetched(t, c, s, all, nil)
		w.WriteObject(moqt.Object{Payload: []byte("a")})
		if _, err := f.ReadObject(t.Context()); err != nil {
			t.Errorf("ReadObject() = %v", err)
		}
		w.Cancel(moqt.StreamUnknownObjectStatus)
		_, err = f.ReadObject(t.Context())
		wantStream(t, "ReadObject()", err, moqt.StreamUnknownObjectStatus)
		if err := w.WriteObject(moqt.Object{Location: at(0, 1)}); err == nil {
			t.Error("WriteObject() after Cancel succeeded")
		}
	})
}

// TestFetchBeforeStream ends a fetch whose data stream has not come.
func TestFetchBeforeStream(t *testing.T) {
	for _, by := range []string{"close", "context", "publisher", "session"} {
		t.Run(by, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := transporttest.Pipe(t, &transporttest.PipeOptions{MaxUniStreams: 1})
				c, s := setup(t, a, b, nil, nil)
				wait := async(func() (*transport.FetchReader, error) { return c.Fetch(t.Context(), clock, transport.Range{}, nil) })
				req := accept[*transport.FetchRequest](t, s)
				accepted := async(func() (*transport.FetchWriter, error) { return req.Accept(transport.FetchInfo{}) })
				f, err := wait()
				if err != nil {
					t.Fatal(err)
				}
				var want error
				ctx := t.Context()
				read := async(func() (moqt.Object, error) {
					if by == "context" {
						ctx = contextAfter(t, time.Second)
					}
					return f.ReadObject(ctx)
				})
				synctest.Wait()
				switch by {
				case "close":
					f.Close()
					want = transport.ErrClosed
				case "context":
					want = context.DeadlineExceeded
				case "session":
					c.Close()
					want = transport.ErrClosed
				case "publisher":
					s.CloseWithError(moqt.SessionInternalError, "gone")
					want = &transport.SessionError{Code: moqt.SessionInternalError}
				}
				if _, err := read(); !errors.Is(err, want) {
					t.Errorf("ReadObject() = %v, want %v", err, want)
				}
				if by == "context" {
					f.Close()
				}
				if _, err := accepted(); err == nil {
					t.Error("Accept() of a fetch that is over succeeded")
				}
			})
		})
	}
}

// TestJoin joins a running track: the fetch has what came before, the
// subscription what comes after.
func TestJoin(t *testing.T) {
	for _, reorder := range []bool{false, true} {
		t.Run(fmt.Sprintf("fetch first=%v", reorder), func(t *testing.T) {
			over(t, func(t *testing.T, a, b transport.Conn) {
				if p := ability(a.Info().Version); reorder && p.RequestStreams() && !p.Fill() { // else there is one stream, or one request
					b = &swapRequests{Conn: b}
				}
				c, s := setup(t, a, b, nil, nil)
				type joined struct {
					r *transport.TrackReader
					f *transport.FetchReader
				}
				wait := async(func() (joined, error) {
					r, f, err := c.Join(t.Context(), clock, 2, &transport.SubscribeOptions{Priority: ptr(moqt.Priority(5))})
					return joined{r, f}, err
				})
				// The subscription is answered late: the fetch waits for it.
				sub := accept[*transport.SubscribeRequest](t, s)
				time.Sleep(time.Second)
				w, err := sub.Accept(&transport.PublishOptions{Largest: func() (moqt.Location, bool) { return at(7, 3), true }})
				if err != nil {
					t.Fatal(err)
				}
				req := accept[*transport.FetchRequest](t, s)
				if want := (transport.Range{Start: at(5, 0), End: at(7, 3)}); req.Range != want || !req.Joining || req.Track != clock || req.Priority != 5 {
					t.Errorf("joining fetch = %+v, want of %v %+v", req, clock, want)
				}
				fw, err := req.Accept(transport.FetchInfo{End: req.Range.End})
				if err != nil {
					t.Fatal(err)
				}
				j, err := wait()
				if err != nil {
					t.Fatal(err)
				}
				fw.WriteUnknown(at(5, 9))
				fw.WriteObject(moqt.Object{Location: at(7, 3), Payload: []byte("before")})
				fw.Close()
				got, err := all(t, j.f)
				if len(got) != 1 || got[0].Location != at(7, 3) || err != io.EOF {
					t.Errorf("fetch = %v, %v, want 7/3", got, err)
				}
				if g := j.f.Gaps(); len(g) != 1 || g[0].Range != (transport.Range{Start: at(5, 0), End: at(5, 9)}) {
					t.Errorf("Gaps() = %+v, want 5/0 to 5/9", g)
				}
				sg := open(t, w, moqt.Subgroup{Group: 7})
				put(t, sg, 3, 4)
				sg.Close()
				w.Close()
				live, _ := read(t, j.r)
				wantObjects(t, live, "7/4 4")
			})
		})
	}
}

func TestJoinRefused(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		var r *transport.TrackReader
		join := func(o *transport.SubscribeOptions) func() (*transport.FetchReader, error) {
			return async(func() (f *transport.FetchReader, err error) {
				r, f, err = c.Join(t.Context(), clock, 0, o)
				return f, err
			})
		}
		// Nothing has been published: there is a subscription, and no fetch.
		wait := join(nil)
		accept[*transport.SubscribeRequest](t, s).Accept(nil)
		if f, err := wait(); f != nil || err != nil {
			t.Errorf("Join() = %v, %v, want no fetch and no error", f, err)
		}
		r.Close()
		// The subscription is refused, and the fetch with it.
		wait = join(nil)
		accept[*transport.SubscribeRequest](t, s).Reject(moqt.RequestDoesNotExist, "")
		_, err := wait()
		wantRequest(t, "Join()", err, moqt.RequestDoesNotExist)
		// A subscription that is paused cannot be joined.
		wait = join(&transport.SubscribeOptions{Paused: true})
		accept[*transport.SubscribeRequest](t, s).Accept(&transport.PublishOptions{Largest: func() (moqt.Location, bool) { return at(1, 1), true }})
		f, err := wait()
		if err != nil {
			t.Fatalf("Join() of a paused subscription = %v", err)
		}
		_, err = f.ReadObject(t.Context())
		if e, ok := errors.AsType[*transport.RequestError](err); !ok || e.Code != moqt.RequestInvalidRange {
			t.Errorf("ReadObject() = %v, want INVALID_RANGE", err)
		}
		r.Close()
		// Once the subscriber leaves, its wait for an answer ends.
		ctx := contextAfter(t, time.Second)
		left := async(func() (*transport.FetchReader, error) {
			_, f, err := c.Join(ctx, clock, 0, nil)
			return f, err
		})
		req := accept[*transport.SubscribeRequest](t, s)
		if _, err := left(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Join() = %v, want the context's error", err)
		}
		<-req.Context().Done()
		if _, _, err := c.Join(t.Context(), moqt.NS("a").Track(string(make([]byte, 5000))), 0, nil); err == nil {
			t.Error("Join() with a name that is too long succeeded")
		}
	})
}
