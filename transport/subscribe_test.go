package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
	"github.com/tributary-live/tributary/transport/wire"
)

// read collects a track's objects as "group/object payload", in order of
// location, and returns how it ended.
func read(t *testing.T, r *transport.TrackReader) ([]string, error) {
	t.Helper()
	var objects []moqt.Object
	var end error
	for o, err := range r.Objects(t.Context()) {
		if err != nil {
			end = err
			break
		}
		objects = append(objects, o)
	}
	slices.SortFunc(objects, func(a, b moqt.Object) int { return a.Location.Compare(b.Location) })
	var s []string
	for _, o := range objects {
		s = append(s, fmt.Sprintf("%v %s", o.Location, o.Payload))
	}
	return s, end
}

// write publishes groups of objects, a payload each. Ids count from 0.
func write(t *testing.T, w *transport.TrackWriter, first uint64, groups ...[]string) {
	t.Helper()
	for i, g := range groups {
		sg, err := w.OpenGroup(t.Context(), first+uint64(i))
		if err != nil {
			t.Fatalf("OpenGroup() = %v", err)
		}
		for _, p := range g {
			if _, err := io.WriteString(sg, p); err != nil {
				t.Fatalf("Write(%q) = %v", p, err)
			}
		}
		if err := sg.Close(); err != nil {
			t.Fatalf("Close() = %v", err)
		}
	}
}

func wantObjects(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("objects = %q, want %q", got, want)
	}
}

func TestSubscribe(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		props := moqt.Properties{{Type: moqt.PropMaxCacheDuration, Value: 5000}, {Type: moqt.PropDefaultPriority, Value: 7}, {Type: 0x3801, Bytes: []byte("x")}}
		priority := moqt.Priority(3)
		wait := async(func() (*transport.TrackReader, error) {
			return c.Subscribe(t.Context(), clock, &transport.SubscribeOptions{Priority: &priority, Order: moqt.Descending,
				ObjectTimeout: time.Second, SubgroupTimeout: 2 * time.Second, Rendezvous: 3 * time.Second, NewGroup: true})
		})
		req := accept[*transport.SubscribeRequest](t, s)
		if req.Track != clock || req.Filter.Kind != moqt.FilterLargestObject || req.Order != moqt.Descending || req.Priority != 3 ||
			!req.Forward || req.NewGroup == nil || *req.NewGroup != 0 {
			t.Errorf("request = %+v, want what the subscriber asked for", req)
		}
		rendezvous, subgroupTimeout := 3*time.Second, 2*time.Second
		if c.Version() == moqt.Draft16 { // has neither
			rendezvous, subgroupTimeout = 0, 0
		}
		if req.Rendezvous != rendezvous {
			t.Errorf("Rendezvous = %v, want %v", req.Rendezvous, rendezvous)
		}
		w, err := req.Accept(&transport.PublishOptions{Properties: props, Expires: time.Hour,
			Largest: func() (moqt.Location, bool) { return moqt.Location{Group: 4, Object: 1}, true }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := req.Accept(nil); err == nil {
			t.Error("second Accept() succeeded")
		}
		if err := req.Reject(moqt.RequestTimeout, ""); err == nil {
			t.Error("Reject() after Accept() succeeded")
		}
		r, err := wait()
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(r.Properties(), props) {
			t.Errorf("Properties() = %+v, want %+v", r.Properties(), props)
		}
		if l, ok := r.Largest(); !ok || l != (moqt.Location{Group: 4, Object: 1}) {
			t.Errorf("Largest() = %v, %v, want 4/1", l, ok)
		}
		if r.Name() != clock || w.Name() != clock {
			t.Errorf("Name() = %v and %v, want %v", r.Name(), w.Name(), clock)
		}
		want := transport.SubscriptionState{Forward: true, Priority: 3, Order: moqt.Descending, NewGroup: 1,
			ObjectTimeout: time.Second, SubgroupTimeout: subgroupTimeout,
			Start: moqt.Location{Group: 4, Object: 2}, End: moqt.Location{Group: 1<<64 - 1, Object: moqt.WholeGroup}}
		if got := w.State(); got != want {
			t.Errorf("State() = %+v, want %+v", got, want)
		}
		go func() {
			write(t, w, 4, []string{"no", "no", "c"}, []string{"d"})
			w.Close()
		}()
		got, err := read(t, r)
		wantObjects(t, got, "4/2 c", "5/0 d")
		if err != nil {
			t.Errorf("Objects ended with %v, want nothing after TRACK_ENDED", err)
		}
		if err := done(r.Context()); !errors.Is(err, &transport.TrackDone{Code: moqt.DoneTrackEnded}) {
			t.Errorf("cause of the reader's context = %v, want TRACK_ENDED", err)
		}
		start := time.Now()
		<-w.Drained()
		if d := time.Since(start); d > time.Second && ability(c.Version()).RequestStreams() {
			t.Errorf("Drained() took %v although all was read", d)
		}
		if err := done(w.Context()); err != transport.ErrClosed {
			t.Errorf("cause of the writer's context = %v, want ErrClosed", err)
		}
		r.Close()
		// The name is free again.
		r, w = subscribed(t, c, s, nil, nil)
		if _, ok := r.Largest(); ok {
			t.Error("Largest() of a track without objects")
		}
		w.Close()
		r.Close()
	})
}

func TestTrackDone(t *testing.T) {
	for _, code := range []moqt.DoneCode{moqt.DoneInternalError, moqt.DoneUnauthorized, moqt.DoneSubscriptionEnded,
		moqt.DoneGoingAway, moqt.DoneTooFarBehind, moqt.DoneExpired, moqt.DoneExcessiveLoad, moqt.DoneMalformedTrack, 0x1234} {
		eachDraft(t, func(t *testing.T, v moqt.Version) {
			c, s := pipeOf(t, v, nil, nil)
			r, w := subscribed(t, c, s, nil, nil)
			write(t, w, 0, []string{"a"})
			if err := w.CloseWithError(code, "why"); err != nil {
				t.Errorf("CloseWithError() = %v", err)
			}
			if err := w.CloseWithError(moqt.DoneInternalError, "second"); err != nil {
				t.Errorf("second CloseWithError() = %v", err)
			}
			got, err := read(t, r)
			wantObjects(t, got, "0/0 a")
			want := code
			if v == moqt.Draft16 && code == moqt.DoneExcessiveLoad || v >= moqt.Draft20 && code == moqt.DoneSubscriptionEnded {
				want = moqt.DoneInternalError // the draft has no such code
			}
			if d, ok := errors.AsType[*transport.TrackDone](err); !ok || d.Code != want || d.Reason != "why" {
				t.Errorf("Objects ended with %v, want %v: why", err, want)
			}
			if _, err := w.OpenGroup(t.Context(), 1); err != transport.ErrClosed {
				t.Errorf("OpenGroup() after Close = %v, want ErrClosed", err)
			}
		})
	}
}

func TestSubscribeRefused(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		subscribe := func() error {
			_, err := c.Subscribe(t.Context(), clock, nil)
			return err
		}
		wait := async(func() (int, error) { return 0, subscribe() })
		req := accept[*transport.SubscribeRequest](t, s)
		if err := req.Reject(moqt.RequestDoesNotExist, "no such track"); err != nil {
			t.Errorf("Reject() = %v", err)
		}
		if _, err := req.Accept(nil); err == nil {
			t.Error("Accept() after Reject() succeeded")
		}
		_, err := wait()
		wantRequest(t, "Subscribe()", err, moqt.RequestDoesNotExist)
		if e, _ := errors.AsType[*transport.RequestError](err); e != nil && (e.Reason != "no such track" || e.RetryAfter >= 0) {
			t.Errorf("Subscribe() = %+v, want a reason and no retry", e)
		}
		wait = async(func() (int, error) { return 0, subscribe() })
		accept[*transport.SubscribeRequest](t, s).RejectRetry(moqt.RequestExcessiveLoad, "", 1500*time.Millisecond)
		_, err = wait()
		if e, _ := errors.AsType[*transport.RequestError](err); e == nil || e.RetryAfter != 1500*time.Millisecond {
			t.Errorf("Subscribe() = %v, want a retry after 1.5s", err)
		}
	})
}

// TestSubscribeTwice checks that a track is subscribed to once a session, here
// and as seen by the peer, in drafts that want it so.
func TestSubscribeTwice(t *testing.T) {
	once := func(p *wire.Profile) bool { return !p.SeveralSubscriptions() }
	eachDraftThat(t, once, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		subscribed(t, c, s, nil, nil)
		if _, err := c.Subscribe(t.Context(), clock, nil); err == nil {
			t.Error("second Subscribe() succeeded")
		}
		if _, err := s.Publish(t.Context(), clock, nil); err == nil {
			t.Error("Publish() of a track that the peer has subscribed to succeeded")
		}
		// The other way is another subscription.
		r, w := subscribed(t, s, c, nil, nil)
		write(t, w, 0, []string{"back"})
		w.Close()
		got, _ := read(t, r)
		wantObjects(t, got, "0/0 back")
	})
}

func TestSubscribeAnswerTooLate(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, _ := pipeOf(t, v, &transport.Config{Limits: transport.Limits{ResponseTimeout: 5 * time.Second}}, nil)
		for _, tt := range []struct {
			o    *transport.SubscribeOptions
			want time.Duration
		}{{nil, 5 * time.Second}, {&transport.SubscribeOptions{Rendezvous: time.Minute}, 65 * time.Second}} {
			start := time.Now()
			_, err := c.Subscribe(t.Context(), clock, tt.o)
			if d := time.Since(start); err == nil || d != tt.want {
				t.Errorf("Subscribe(%+v) = %v after %v, want an error after %v", tt.o, err, d, tt.want)
			}
		}
	})
}

// TestClosedSubscription cancels from the subscriber's side.
func TestClosedSubscription(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		sg, err := w.OpenGroup(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(sg, "a")
		in, err := r.AcceptSubgroup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r.CloseWith(moqt.StreamTooFarBehind)
		code := parted(c.Version(), moqt.StreamTooFarBehind)
		wantStream(t, "the writer's end", done(w.Context()), code)
		<-w.Drained()
		if _, err := fmt.Fprint(sg, "b"); err == nil {
			t.Error("Write to a cancelled subscription succeeded")
		}
		if _, err := w.OpenGroup(t.Context(), 1); !errors.Is(err, &transport.StreamError{Code: code}) {
			t.Errorf("OpenGroup() = %v, want the subscriber's code", err)
		}
		if err := w.Close(); err != nil {
			t.Errorf("Close() after the subscriber has left = %v", err)
		}
		if _, err := in.ReadObject(); err == nil {
			t.Error("ReadObject() after Close succeeded")
		}
		if _, err := r.AcceptSubgroup(t.Context()); err != transport.ErrClosed {
			t.Errorf("AcceptSubgroup() after Close = %v, want ErrClosed", err)
		}
		if err := done(r.Context()); err != transport.ErrClosed {
			t.Errorf("cause of the reader's context = %v, want ErrClosed", err)
		}
	})
}

// TestLeaveLoop leaves a loop over Objects and takes it up again.
func TestLeaveLoop(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		write(t, w, 0, []string{"a"})
		for o, err := range r.Objects(t.Context()) {
			if err != nil || string(o.Payload) != "a" {
				t.Errorf("Objects = %v, %v, want a", o, err)
			}
			break
		}
		write(t, w, 1, []string{"b"})
		w.Close()
		got, err := read(t, r)
		wantObjects(t, got, "1/0 b")
		if err != nil {
			t.Errorf("Objects ended with %v", err)
		}
	})
}

// TestSlowReader leaves one stream unread. The others are not held up by it.
func TestSlowReader(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		big := make([]byte, 4<<20)
		wait := async(func() (int, error) {
			sg, err := w.OpenGroup(t.Context(), 0)
			if err != nil {
				return 0, err
			}
			n, err := sg.Write(big)
			return n, errors.Join(err, sg.Close())
		})
		slow, err := r.AcceptSubgroup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for i := range 20 {
			write(t, w, uint64(1+i), []string{"quick"})
			sg, err := r.AcceptSubgroup(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if o, err := sg.ReadObject(); err != nil || string(o.Payload) != "quick" {
				t.Fatalf("ReadObject() = %v, %v", o, err)
			}
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("20 small groups took %v beside a stream that nobody reads", d)
		}
		o, err := slow.ReadObject()
		if err != nil || len(o.Payload) != len(big) {
			t.Errorf("ReadObject() = %d bytes, %v, want %d", len(o.Payload), err, len(big))
		}
		if _, err := wait(); err != nil {
			t.Errorf("Write() = %v", err)
		}
	})
}

// TestDoneBeforeStreams ends a track whose streams are late: they are waited
// for, but not for ever.
func TestDoneBeforeStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := transporttest.Pipe(t, nil)
		late := &lateUni{Conn: a, hold: make(chan struct{})}
		c, s := setup(t, late, b, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		late.from.Store(true)
		write(t, w, 0, []string{"a"}, []string{"b"})
		w.Close()
		synctest.Wait()
		time.AfterFunc(time.Second, func() { late.hold <- struct{}{} }) // one of the two comes
		start := time.Now()
		got, err := read(t, r)
		if len(got) != 1 || err != nil {
			t.Errorf("objects = %q, %v, want one", got, err)
		}
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("the track ended after %v, want DoneWait, 2s", d)
		}
	})
}

// TestObjectsFromStreams reads several streams at once; within each the order
// is kept.
func TestObjectsFromStreams(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		const groups, objects = 20, 30
		for g := range groups {
			go func() {
				sg, err := w.OpenGroup(t.Context(), uint64(g))
				if err != nil {
					t.Error(err)
					return
				}
				for o := range objects {
					fmt.Fprintf(sg, "%d/%d", g, o)
				}
				sg.Close()
			}()
		}
		next := make(map[uint64]uint64)
		n := 0
		for o, err := range r.Objects(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if o.Object != next[o.Group] || string(o.Payload) != o.Location.String() {
				t.Fatalf("object %v %q, want %d of its group", o.Location, o.Payload, next[o.Group])
			}
			next[o.Group]++
			if n++; n == groups*objects {
				w.Close()
			}
		}
		if n != groups*objects {
			t.Errorf("%d objects, want %d", n, groups*objects)
		}
	})
}

func TestObjectsContext(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		r, _ := subscribed(t, c, s, nil, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for o, err := range r.Objects(ctx) {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Objects = %v, %v, want the context's error", o, err)
			}
		}
	})
}

// TestAnewAtOnce asks for a track, or offers it, as soon as all of it has been
// read: nothing that goes on in the session may stand in the way.
func TestAnewAtOnce(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		for group := range uint64(100) {
			var r *transport.TrackReader
			var w *transport.TrackWriter
			if group%2 == 0 {
				r, w = subscribed(t, c, s, nil, nil)
			} else {
				w, r = published(t, s, c, nil, nil)
			}
			write(t, w, group, []string{"a"})
			w.Close()
			if got, err := read(t, r); len(got) != 1 || err != nil {
				t.Fatalf("group %d: read %q, %v", group, got, err)
			}
		}
	})
}
