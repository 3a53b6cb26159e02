package clock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

var name = moqt.NS("clock").Track("now")

// sessions returns both ends of a session.
func sessions(t *testing.T) (a, b *transport.Session) {
	t.Helper()
	ca, cb := transporttest.Pipe(t, nil)
	done := make(chan error, 1)
	go func() {
		var err error
		b, err = transport.NewSession(t.Context(), cb, nil)
		done <- err
	}()
	a, err := transport.NewSession(t.Context(), ca, nil)
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// publish runs the clock and returns the session of its peer, which has accepted
// the announcement.
func publish(t *testing.T) (peer *transport.Session, announced *transport.AnnounceRequest, ended <-chan error) {
	t.Helper()
	sess, peer := sessions(t)
	done := make(chan error, 1)
	go func() { done <- Publish(t.Context(), sess, Config{}) }()
	req, err := peer.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	announced, ok := req.(*transport.AnnounceRequest)
	if !ok || announced.Namespace != name.Namespace {
		t.Fatalf("first request is %T, want the announcement of %v", req, name.Namespace)
	}
	if err := announced.Accept(); err != nil {
		t.Fatal(err)
	}
	return peer, announced, done
}

func TestAt(t *testing.T) {
	when := time.Date(2026, 11, 20, 15, 4, 5, 999_999_999, time.UTC)
	if got, want := At(when), (moqt.Location{Group: uint64(when.Unix()) / 60, Object: 5}); got != want {
		t.Errorf("At(%v) = %v, want %v", when, got, want)
	}
	if got, want := string(object(At(when)).Payload), "2026-11-20T15:04:05Z"; got != want {
		t.Errorf("payload = %q, want %q", got, want)
	}
	if l := (moqt.Location{Group: 7, Object: 59}); after(l) != (moqt.Location{Group: 8}) {
		t.Errorf("after(%v) = %v, want 8/0", l, after(l))
	}
}

func TestSubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer, _, _ := publish(t)
		time.Sleep(57500 * time.Millisecond) // virtual
		began := time.Now()
		enough := errors.New("enough")
		last := began.Truncate(time.Second)
		count := 0
		err := Subscribe(t.Context(), peer, Config{}, func(now time.Time) error {
			if !now.Equal(last.Add(time.Second)) || !time.Now().Equal(now) {
				t.Errorf("at %v told %v after %v", time.Now(), now, last)
			}
			last = now
			if count++; count == 65 {
				return enough
			}
			return nil
		})
		if err != enough {
			t.Errorf("Subscribe = %v, want the callback's error", err)
		}
		if took := time.Since(began); took != 64500*time.Millisecond {
			t.Errorf("65 seconds took %v", took)
		}
	})
}

// Who joins in the middle of a minute gets its past by a joining fetch, and each
// second once; a minute is one stream that begins with object 0.
func TestJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer, _, _ := publish(t)
		time.Sleep(30500 * time.Millisecond) // virtual
		minute := At(time.Now()).Group
		tr, f, err := peer.Join(t.Context(), name, 0, nil)
		if err != nil || f == nil {
			t.Fatalf("Join = %v, %v", f, err)
		}
		defer tr.Close()
		want := moqt.Location{Group: minute}
		check := func(o moqt.Object, err error) {
			t.Helper()
			if err != nil || o.Location != want || string(o.Payload) != Time(want).Format(time.RFC3339) {
				t.Fatalf("object %v %q (%v), want %v", o.Location, o.Payload, err, want)
			}
			want = after(want)
		}
		for range 31 {
			check(f.ReadObject(t.Context()))
		}
		if _, err := f.ReadObject(t.Context()); err != io.EOF {
			t.Errorf("after the fetch: %v, want EOF", err)
		}
		for i := range 2 {
			r, err := tr.AcceptSubgroup(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if h := r.Header(); h.First != (i == 1) || !h.EndOfGroup || h.ID != 0 {
				t.Errorf("stream %d has header %+v", i, h)
			}
			for end := want.Group + 1; want.Group < end; {
				check(r.ReadObject())
			}
			if _, err := r.ReadObject(); err != io.EOF {
				t.Errorf("after the minute: %v, want EOF", err)
			}
		}
	})
}

// A subscriber without a filter gets the running minute from its start.
func TestFromStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer, _, _ := publish(t)
		time.Sleep(10 * time.Second) // virtual
		tr, err := peer.Subscribe(t.Context(), name, &transport.SubscribeOptions{Filter: moqt.Filter{Kind: moqt.FilterNone}})
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		r, err := tr.AcceptSubgroup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !r.Header().First {
			t.Error("the stream does not say that its object is the first")
		}
		began := time.Now()
		for i := range 12 {
			o, err := r.ReadObject()
			if err != nil || o.Object != uint64(i) {
				t.Fatalf("object %v (%v), want %d", o.Location, err, i)
			}
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("11 seconds of the past and one to come took %v, want 1s", took)
		}
	})
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer, _, _ := publish(t)
		tr, err := peer.Subscribe(t.Context(), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		forward := func(v bool) {
			if err := tr.Update(ctx, transport.SubscribeUpdate{Forward: &v}); err != nil {
				t.Error(err)
			}
		}
		var got []string
		for o, err := range tr.Objects(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(o.Object))
			if len(got) == 3 {
				forward(false)
				time.Sleep(10500 * time.Millisecond) // virtual
				forward(true)
			}
			if len(got) == 6 {
				break
			}
		}
		if s := strings.Join(got, " "); s != "1 2 3 14 15 16" {
			t.Errorf("seconds %s, want 1 2 3, and 14 15 16 after the pause", s)
		}
	})
}

func TestFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer, _, _ := publish(t)
		time.Sleep(2*time.Hour + 30*time.Second) // virtual
		now := At(time.Now())
		at := func(back, object uint64) moqt.Location { return moqt.Location{Group: now.Group - back, Object: object} }
		for _, tt := range []struct {
			name       string
			start, end moqt.Location
			order      moqt.GroupOrder
			count      int // 0 if it is refused
			first      moqt.Location
		}{
			{"hour", at(60, 0), at(0, moqt.WholeGroup), moqt.Ascending, 3631, at(60, 0)},
			{"part", at(1, 58), at(0, 1), moqt.Ascending, 4, at(1, 58)},
			{"newest first", at(1, 58), at(0, 1), moqt.Descending, 4, at(0, 0)},
			{"future", at(0, 31), at(0, 40), moqt.Ascending, 0, moqt.Location{}},
			{"past", at(61, 0), at(0, 0), moqt.Ascending, 0, moqt.Location{}},
			{"everything", moqt.Location{}, moqt.Location{Group: 1 << 60}, moqt.Ascending, 0, moqt.Location{}},
		} {
			f, err := peer.Fetch(t.Context(), name, transport.Range{Start: tt.start, End: tt.end}, &transport.FetchOptions{Order: tt.order})
			if tt.count == 0 {
				if !errors.Is(err, &transport.RequestError{Code: moqt.RequestInvalidRange}) {
					t.Errorf("%s: err = %v, want INVALID_RANGE", tt.name, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			var got []moqt.Location
			for {
				o, err := f.ReadObject(t.Context())
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("%s: %v", tt.name, err)
				}
				got = append(got, o.Location)
			}
			if len(got) != tt.count || got[0] != tt.first {
				t.Errorf("%s: %d objects from %v, want %d from %v", tt.name, len(got), got[0], tt.count, tt.first)
			}
		}
	})
}

func TestOtherRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer, _, _ := publish(t)
		if info, err := peer.Status(t.Context(), name); err != nil || info.Largest != At(time.Now()) {
			t.Errorf("Status = %+v, %v, want %v", info, err, At(time.Now()))
		}
		other := moqt.NS("clock").Track("then")
		_, subscribe := peer.Subscribe(t.Context(), other, nil)
		_, fetch := peer.Fetch(t.Context(), other, transport.Range{}, nil)
		_, status := peer.Status(t.Context(), other)
		_, announce := peer.Announce(t.Context(), moqt.NS("a"))
		for _, tt := range []struct {
			name string
			err  error
			code moqt.RequestCode
		}{
			{"Subscribe", subscribe, moqt.RequestDoesNotExist},
			{"Fetch", fetch, moqt.RequestDoesNotExist},
			{"Status", status, moqt.RequestDoesNotExist},
			{"Announce", announce, moqt.RequestNotSupported},
		} {
			if !errors.Is(tt.err, &transport.RequestError{Code: tt.code}) {
				t.Errorf("%s: err = %v, want %v", tt.name, tt.err, tt.code)
			}
		}
	})
}

func TestPublishEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer, announced, ended := publish(t)
		tr, err := peer.Subscribe(t.Context(), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		announced.Revoke(moqt.StreamExpiredToken)
		if err := <-ended; !errors.Is(err, &transport.StreamError{Code: moqt.StreamExpiredToken}) {
			t.Errorf("after the announcement was revoked: Publish = %v", err)
		}
		for _, err := range tr.Objects(t.Context()) {
			if err != nil {
				t.Errorf("the subscription ended with %v, want no error", err)
			}
		}
		peer, _, ended = publish(t)
		peer.Close()
		if err := <-ended; !errors.Is(err, &transport.SessionError{Code: moqt.SessionNoError}) {
			t.Errorf("after the peer closed: Publish = %v", err)
		}

		peer, _, ended = publish(t)
		if tr, err = peer.Subscribe(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
		go peer.Goaway(t.Context(), "", 0)
		if err := <-ended; err != transport.ErrGoaway {
			t.Errorf("after GOAWAY: Publish = %v", err)
		}
		if _, err := tr.AcceptSubgroup(t.Context()); !errors.Is(err, &transport.TrackDone{Code: moqt.DoneGoingAway}) {
			t.Errorf("after GOAWAY the subscription ended with %v", err)
		}

		sess, peer := sessions(t)
		go func() {
			req, err := peer.Accept(t.Context())
			if err == nil {
				req.Reject(moqt.RequestUnauthorized, "not you")
			}
		}()
		if err := Publish(t.Context(), sess, Config{}); !errors.Is(err, &transport.RequestError{Code: moqt.RequestUnauthorized}) {
			t.Errorf("refused: Publish = %v", err)
		}
	})
}

func TestNoClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, payload := range []string{"12 o'clock", strings.Repeat("2", 1000), ""} {
			sess, peer := sessions(t)
			go func() {
				req, err := peer.Accept(t.Context())
				if err != nil {
					return
				}
				track, err := req.(*transport.SubscribeRequest).Accept(nil)
				if err != nil {
					return
				}
				g, err := track.OpenGroup(t.Context(), 0)
				if err != nil {
					return
				}
				fmt.Fprint(g, payload)
				g.Close()
			}()
			err := Subscribe(t.Context(), sess, Config{}, func(time.Time) error { return nil })
			if err == nil || !strings.Contains(err.Error(), "clock--now is no clock: object 0/0") || len(err.Error()) > 200 {
				t.Errorf("payload %.20q: Subscribe = %v", payload, err)
			}
		}
	})
}
