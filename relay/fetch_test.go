package relay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/relay/cache"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// archive is a publisher that has groups 0 to groups-1 of a track, each of
// perGroup objects, and answers fetches of them.
type archive struct {
	groups, perGroup uint64
	lacks            func(moqt.Location) bool // what it tells as unknown
	size             int                      // of a payload; if 0, as payload makes it
	late             func(moqt.Location) bool // what it tells as timed out
	forge            func(moqt.Location) moqt.Properties
	cacheFor         time.Duration // MAX_CACHE_DURATION, if not 0

	fetches, subscribes atomic.Int32
	bytes               atomic.Int64 // of payload sent by fetch
}

func (a *archive) largest() (moqt.Location, bool) {
	return moqt.Location{Group: a.groups - 1, Object: a.perGroup - 1}, true
}

func (a *archive) payload(l moqt.Location) []byte {
	if a.size > 0 {
		return make([]byte, a.size)
	}
	return payload(l.Group, l.Object)
}

// serve answers requests until the session ends.
func (a *archive) serve(sess *transport.Session) {
	for {
		req, err := sess.Accept(context.Background())
		if err != nil {
			return
		}
		switch req := req.(type) {
		case *transport.SubscribeRequest:
			a.subscribes.Add(1)
			o := &transport.PublishOptions{Largest: a.largest}
			if a.cacheFor > 0 {
				o.Properties = moqt.Properties{{Type: moqt.PropMaxCacheDuration, Value: uint64(a.cacheFor.Milliseconds())}}
			}
			req.Accept(o)
		case *transport.FetchRequest:
			a.fetches.Add(1)
			go a.answer(req)
		default:
			req.Reject(moqt.RequestNotSupported, "no")
		}
	}
}

func (a *archive) answer(req *transport.FetchRequest) {
	w, err := req.Accept(transport.FetchInfo{End: req.Range.End})
	if err != nil {
		return
	}
	largest, _ := a.largest()
	for l := req.Range.Start; !req.Range.End.Less(l) && !largest.Less(l); l = l.Next() {
		switch {
		case l.Object >= a.perGroup:
			l.Object = moqt.WholeGroup
			continue
		case a.lacks != nil && a.lacks(l):
			err = w.WriteUnknown(l)
		case a.late != nil && a.late(l):
			err = w.WriteTimedOut(l)
		default:
			p := a.payload(l)
			a.bytes.Add(int64(len(p)))
			o := moqt.Object{Location: l, Priority: moqt.DefaultPriority, Payload: p}
			if a.forge != nil {
				o.Properties = a.forge(l)
			}
			err = w.WriteObject(o)
		}
		if err != nil {
			return
		}
	}
	w.Close()
}

// fetched reads a fetch to its end, checks the payloads, and prints what is
// unknown.
func fetched(t *testing.T, s *transport.Session, r transport.Range, o *transport.FetchOptions) (objects int, unknown string, err error) {
	t.Helper()
	return readFetch(t, s, r, o, func(o moqt.Object) {
		if want := string(payload(o.Group, o.Location.Object)); string(o.Payload) != want {
			t.Errorf("object %v: payload %q, want %q", o.Location, o.Payload, want)
		}
	})
}

// fetchedAny is fetched of objects with any payload.
func fetchedAny(t *testing.T, s *transport.Session, r transport.Range) (objects int, unknown string, err error) {
	t.Helper()
	return readFetch(t, s, r, nil, func(moqt.Object) {})
}

func readFetch(t *testing.T, s *transport.Session, r transport.Range, o *transport.FetchOptions, check func(moqt.Object)) (objects int, unknown string, err error) {
	t.Helper()
	f, err := s.Fetch(t.Context(), track, r, o)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	for {
		obj, err := f.ReadObject(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			return objects, "", err
		}
		check(obj)
		objects++
	}
	for _, g := range f.Gaps() {
		if g.Unknown {
			unknown += fmt.Sprintf("%v–%v ", g.Start, g.End)
		}
	}
	return objects, unknown, nil
}

func groups(from, to uint64) transport.Range {
	return transport.Range{Start: moqt.Location{Group: from}, End: moqt.Location{Group: to, Object: moqt.WholeGroup}}
}

// A crowd that waits for a broadcast costs its publisher what one subscriber
// does, however the track is published.
func TestCrowdThatWaitsCostsThePublisherOneFetch(t *testing.T) {
	for _, by := range []string{"PUBLISH", "PUBLISH_NAMESPACE"} {
		t.Run(by, func(t *testing.T) {
			cost := make(map[int][2]int64)
			for _, crowd := range []int{1, 30} {
				synctest.Test(t, func(t *testing.T) {
					r := newRelay(t, relay.Config{})
					a := &archive{groups: 11, perGroup: 50}
					var all sync.WaitGroup
					for range crowd {
						s := connect(t, r, nil)
						all.Go(func() {
							tr, f, err := s.Join(t.Context(), track, 2, &transport.SubscribeOptions{Rendezvous: 20 * time.Second})
							if err != nil || f == nil {
								t.Errorf("Join() = %v, %v", f, err)
								return
							}
							defer tr.Close()
							n := 0
							for {
								if _, err = f.ReadObject(t.Context()); err != nil {
									break
								}
								n++
							}
							if err != io.EOF || n != 150 || len(f.Gaps()) != 0 {
								t.Errorf("got %d objects and gaps %v, then %v, want 150 and io.EOF", n, f.Gaps(), err)
							}
						})
					}
					synctest.Wait()
					s := connect(t, r, nil)
					go a.serve(s)
					var err error
					if by == "PUBLISH" {
						_, err = s.Publish(t.Context(), track, &transport.PublishOptions{Largest: a.largest})
					} else {
						_, err = s.Announce(t.Context(), track.Namespace)
					}
					if err != nil {
						t.Fatal(err)
					}
					all.Wait()
					cost[crowd] = [2]int64{int64(a.fetches.Load()), a.bytes.Load()}
				})
			}
			if cost[30] != cost[1] || cost[1][0] == 0 {
				t.Errorf("30 subscribers cost %d fetches and %d bytes, one costs %d and %d, want the same",
					cost[30][0], cost[30][1], cost[1][0], cost[1][1])
			}
		})
	}
}

// archived connects an archive to a relay.
func archived(t *testing.T, r *relay.Relay, a *archive) {
	t.Helper()
	s := connect(t, r, nil)
	go a.serve(s)
	if _, err := s.Announce(t.Context(), track.Namespace); err != nil {
		t.Fatal(err)
	}
}

func TestMustFetchUpstreamForUnknownRangesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		a := &archive{groups: 100, perGroup: 10}
		archived(t, r, a)
		var all sync.WaitGroup
		for i := range uint64(20) {
			s := connect(t, r, nil)
			all.Go(func() {
				// All begin in the same range, none ends where another does.
				n, unknown, err := fetched(t, s, groups(20, 30+i), nil)
				if want := 10 * (11 + int(i)); n != want || unknown != "" || err != nil {
					t.Errorf("got %d objects, unknown %q, %v, want %d objects", n, unknown, err, want)
				}
			})
		}
		all.Wait()
		if got := a.bytes.Load(); got > 32*10*40 {
			t.Errorf("the publisher sent %d bytes, want no object twice", got)
		}
		// What was fetched is kept for the next who asks, in either order.
		before := a.fetches.Load()
		for _, order := range []moqt.GroupOrder{moqt.Ascending, moqt.Descending} {
			n, unknown, err := fetched(t, connect(t, r, nil), groups(20, 49), &transport.FetchOptions{Order: order})
			if n != 300 || unknown != "" || err != nil {
				t.Errorf("got %d objects, unknown %q, %v, want 300 objects", n, unknown, err)
			}
		}
		if after := a.fetches.Load(); after != before {
			t.Errorf("%d fetches more, want what is cached", after-before)
		}
		if n, unknown, err := fetched(t, connect(t, r, nil), groups(5, 9), &transport.FetchOptions{Order: moqt.Descending}); n != 50 || unknown != "" || err != nil {
			t.Errorf("in descending order: got %d objects, unknown %q, %v, want 50 objects", n, unknown, err)
		}
	})
}

func TestMustNotWaitWithFillTimeoutZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		a := &archive{groups: 100, perGroup: 10}
		archived(t, r, a)
		s := connect(t, r, nil)
		if _, _, err := fetched(t, s, groups(99, 99), nil); err != nil { // the relay has subscribed after this
			t.Fatal(err)
		}
		before := a.fetches.Load()
		none := time.Duration(0)
		n, unknown, err := fetched(t, s, groups(20, 21), &transport.FetchOptions{FillTimeout: &none})
		if n != 0 || unknown != "20/0–21/18446744073709551615 " || err != nil {
			t.Errorf("got %d objects, unknown %q, %v, want all unknown", n, unknown, err)
		}
		if after := a.fetches.Load(); after != before {
			t.Errorf("the publisher was asked %d times, want not at all", after-before)
		}
	})
}

// A range that the publisher does not know is told as such, and asking for it
// again and again does not reach the publisher each time.
func TestUnknownRangeIsNotAskedForAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		a := &archive{groups: 100, perGroup: 10, lacks: func(l moqt.Location) bool { return l.Group == 21 && l.Object >= 4 }}
		archived(t, r, a)
		s := connect(t, r, nil)
		var count int32
		for i := range 50 {
			n, unknown, err := fetched(t, s, groups(20, 22), nil)
			if n != 24 || unknown != "21/4–21/9 " || err != nil {
				t.Errorf("got %d objects, unknown %q, %v, want 24 and 21/4 to 21/9 unknown", n, unknown, err)
			}
			if i == 0 {
				count = a.fetches.Load()
			}
		}
		if again := a.fetches.Load() - count; again != 0 {
			t.Errorf("49 more fetches of the range reached the publisher %d times, want 0", again)
		}
		time.Sleep(5 * time.Second)
		a.lacks = nil
		if n, unknown, err := fetched(t, s, groups(20, 22), nil); n != 30 || unknown != "" || err != nil {
			t.Errorf("later: got %d objects, unknown %q, %v, want all 30", n, unknown, err)
		}
	})
}

// Who asks for much and reads nothing costs the publisher little.
func TestFetchNobodyReadsIsNotBrought(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{Cache: cache.Options{MaxBytes: 1 << 30}})
		a := &archive{groups: 100, perGroup: 10, size: 1 << 20}
		archived(t, r, a)
		join, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer join.Close()
		synctest.Wait()
		before := a.bytes.Load() // the head of the running group
		f, err := connect(t, r, nil).Fetch(t.Context(), track, groups(0, 90), nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := a.bytes.Load() - before; got > 10<<20 {
			t.Errorf("the publisher sent %d bytes to nobody", got)
		}
		f.Close()
		synctest.Wait()
	})
}

// What one relay asks of another comes from publishers there, and not from a
// third relay, which may be the first.
func TestFetchOfARelayGoesToLocalPublishersOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPair(t)
		a := &archive{groups: 100, perGroup: 10}
		archived(t, first, a)
		n, unknown, err := fetched(t, connect(t, second, nil), groups(20, 22), nil)
		if n != 30 || unknown != "" || err != nil {
			t.Errorf("through two relays: got %d objects, unknown %q, %v, want 30", n, unknown, err)
		}
		other := connect(t, second, &transport.Config{Options: moqt.Properties{{Type: relay.OptionNode, Bytes: []byte("moqt://third:1")}}})
		if n, unknown, err = fetched(t, other, groups(20, 22), nil); n != 30 || unknown != "" || err != nil {
			t.Errorf("a relay, from the cache: got %d objects, unknown %q, %v, want 30", n, unknown, err)
		}
		before := a.fetches.Load()
		n, unknown, err = fetched(t, other, groups(10, 12), nil)
		if n != 0 || unknown == "" || err != nil || a.fetches.Load() != before {
			t.Errorf("a relay, beyond the cache: got %d objects, unknown %q, %v, and %d fetches, want none", n, unknown, err, a.fetches.Load()-before)
		}
	})
}

func TestFetchOfWhatIsNotPublishedYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		archived(t, r, &archive{groups: 3, perGroup: 10})
		_, _, err := fetched(t, connect(t, r, nil), groups(3, 4), nil)
		if !errors.Is(err, &transport.RequestError{Code: moqt.RequestInvalidRange}) {
			t.Errorf("Fetch() = %v, want INVALID_RANGE", err)
		}
	})
}

// What came in time nowhere is told so where the draft can, and not as unknown.
func TestMustTellWhatTimedOutUpstream(t *testing.T) {
	for _, v := range []moqt.Version{moqt.Draft18, moqt.Draft21} {
		synctest.Test(t, func(t *testing.T) {
			r := newRelay(t, relay.Config{})
			a := &archive{groups: 3, perGroup: 4,
				lacks: func(l moqt.Location) bool { return l.Group == 0 && l.Object == 3 },
				late:  func(l moqt.Location) bool { return l.Group == 0 && l.Object < 2 }}
			up := connectIn(t, r, moqt.Draft21)
			if _, err := up.Announce(t.Context(), track.Namespace); err != nil {
				t.Fatal(err)
			}
			go a.serve(up)
			viewer := connectIn(t, r, v)
			if _, err := viewer.Subscribe(t.Context(), track, nil); err != nil {
				t.Fatal(err)
			}
			f, err := viewer.Fetch(t.Context(), track, groups(0, 0), nil)
			if err != nil {
				t.Fatal(err)
			}
			for err == nil {
				_, err = f.ReadObject(t.Context())
			}
			var gaps string
			for _, g := range f.Gaps() {
				if g.Unknown {
					gaps += fmt.Sprintf("%v-%v timed out %v; ", g.Start, g.End, g.TimedOut)
				}
			}
			want := "0/0-0/1 timed out true; 0/3-0/3 timed out false; "
			if v == moqt.Draft18 {
				want = "0/0-0/1 timed out false; 0/3-0/3 timed out false; "
			}
			if err != io.EOF || gaps != want {
				t.Errorf("draft-%d: gaps %q, %v, want %q", v, gaps, err, want)
			}
		})
	}
}

// A track may be asked for in the instant in which the relay lets it go.
func TestFetchAsTheLingerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const linger = 5 * time.Second
		r := newRelay(t, relay.Config{Linger: linger})
		a := &archive{groups: 100, perGroup: 10}
		archived(t, r, a)
		s := connect(t, r, nil)
		for range 300 {
			if n, _, err := fetched(t, s, groups(20, 20), nil); n != 10 || err != nil {
				t.Fatalf("got %d objects, %v, want 10", n, err)
			}
			time.Sleep(linger)
		}
	})
}
