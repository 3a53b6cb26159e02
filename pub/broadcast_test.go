package pub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

func TestJoinGetsTheRunningGroupFromItsStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBroadcast(testNS)
		video := b.Track("video", PriorityVideo)
		s := serve(t, b, nil)
		appendGroup(video, 9, 0, 2)
		appendGroup(video, 10, 0, 3)
		tr, f := s.join(t, "video", 0)
		if l, ok := tr.Largest(); !ok || l != location(10, 2) {
			t.Errorf("Largest() = %v, %v, want 10/2", l, ok)
		}
		if v, ok := tr.Properties().Value(moqt.PropDefaultPriority); !ok || v != uint64(PriorityVideo) {
			t.Errorf("default priority = %d, %v, want %d", v, ok, PriorityVideo)
		}
		c := collect(t, tr)
		appendGroup(video, 10, 3, 4)
		appendGroup(video, 11, 0, 2)
		synctest.Wait()
		if got, want := fmt.Sprint(fetched(t, f)), "[10/0 10/1 10/2]"; got != want {
			t.Errorf("fetched %v, want %v", got, want)
		}
		if got, want := c.String(), "[10/3 11/0 11/1]"; got != want {
			t.Errorf("received %v, want %v", got, want)
		}
	})
}

func TestJoinBeforeTheFirstObjectGetsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBroadcast(testNS)
		video := b.Track("video", PriorityVideo)
		s := serve(t, b, nil)
		tr, f := s.join(t, "video", 0)
		if _, ok := tr.Largest(); ok || f != nil {
			t.Errorf("Largest() = _, %v and fetch %v, want none", ok, f)
		}
		c := collect(t, tr)
		appendGroup(video, 7, 0, 2)
		appendGroup(video, 8, 0, 1)
		synctest.Wait()
		if got, want := c.String(), "[7/0 7/1 8/0]"; got != want {
			t.Errorf("received %v, want %v", got, want)
		}
	})
}

// Several sessions serve one broadcast, each from where it joined.
func TestTwoSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBroadcast(testNS)
		video := b.Track("video", PriorityVideo)
		first, second := serve(t, b, nil), serve(t, b, nil)
		tr1, _ := first.join(t, "video", 0)
		c1 := collect(t, tr1)
		appendGroup(video, 1, 0, 2)
		tr2, f2 := second.join(t, "video", 0)
		c2 := collect(t, tr2)
		appendGroup(video, 1, 2, 3)
		synctest.Wait()
		if got, want := c1.String(), "[1/0 1/1 1/2]"; got != want {
			t.Errorf("first received %v, want %v", got, want)
		}
		if got, want := fmt.Sprint(fetched(t, f2))+c2.String(), "[1/0 1/1][1/2]"; got != want {
			t.Errorf("second fetched and received %v, want %v", got, want)
		}
	})
}

// What was published between the answer to a SUBSCRIBE and the first object
// sent belongs to the subscription, also when it ended the group meanwhile.
func TestSubscriptionBeginsWhereItWasAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		publisher, relay := sessions(t, nil)
		video := newTrack(PriorityVideo)
		appendGroup(video, 10, 0, 3)
		go func() {
			req, err := publisher.Accept(t.Context())
			if err != nil {
				return
			}
			w, err := req.(*transport.SubscribeRequest).Accept(&transport.PublishOptions{Largest: video.Largest})
			if err != nil {
				return
			}
			appendGroup(video, 10, 3, 5)
			appendGroup(video, 11, 0, 1)
			video.send(t.Context(), w, nil)
		}()
		tr, err := relay.Subscribe(t.Context(), testNS.Track("video"), &transport.SubscribeOptions{Filter: moqt.Filter{Kind: moqt.FilterLargestObject}})
		if err != nil {
			t.Fatal(err)
		}
		c := collect(t, tr)
		synctest.Wait()
		if got, want := c.String(), "[10/3 10/4 11/0]"; got != want {
			t.Errorf("received %v, want %v", got, want)
		}
	})
}

func TestFilters(t *testing.T) {
	for _, tt := range []struct {
		filter moqt.Filter
		want   string
	}{
		{moqt.Filter{Kind: moqt.FilterLargestObject}, "[11/2 12/0]"},
		{moqt.Filter{Kind: moqt.FilterNextGroup}, "[12/0]"},
		{moqt.Filter{Kind: moqt.FilterNone}, "[11/0 11/1 11/2 12/0]"},
		{moqt.Filter{Kind: moqt.FilterAbsoluteStart, Start: location(3, 0)}, "[11/0 11/1 11/2 12/0]"},
		{moqt.Filter{Kind: moqt.FilterAbsoluteStart, Start: location(12, 0)}, "[12/0]"},
		{moqt.Filter{Kind: moqt.FilterAbsoluteRange, Start: location(11, 1), EndGroup: 11}, "[11/1 11/2]"},
	} {
		t.Run(fmt.Sprint(tt.filter), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := NewBroadcast(testNS)
				video := b.Track("video", PriorityVideo)
				s := serve(t, b, nil)
				appendGroup(video, 10, 0, 2)
				appendGroup(video, 11, 0, 2)
				tr, err := s.relay.Subscribe(t.Context(), testNS.Track("video"), &transport.SubscribeOptions{Filter: tt.filter})
				if err != nil {
					t.Fatal(err)
				}
				c := collect(t, tr)
				synctest.Wait()
				appendGroup(video, 11, 2, 3)
				appendGroup(video, 12, 0, 1)
				synctest.Wait()
				if got := c.String(); got != tt.want {
					t.Errorf("received %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// A subscriber that does not read gets the newest group as soon as it reads
// again, and what it was late for is reset.
func TestSlowSessionJumpsToTheNewestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBroadcast(testNS)
		video := b.Track("video", PriorityVideo)
		s := serve(t, b, &transporttest.PipeOptions{Window: 64})
		tr, _ := s.join(t, "video", 0)
		for g := uint64(1); g <= 4; g++ {
			appendGroup(video, g, 0, 10)
			time.Sleep(time.Second)
		}
		type stream struct {
			objects int
			err     error
		}
		got := make(map[uint64]stream)
		for range 2 {
			sg, err := tr.AcceptSubgroup(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if sg.Header().Group == 4 {
				video.CloseGroup()
			}
			var st stream
			for ; st.err == nil; st.objects++ {
				_, st.err = sg.ReadObject()
			}
			st.objects--
			got[sg.Header().Group] = st
		}
		var reset *transport.StreamError
		if one := got[1]; one.objects >= 10 || !errors.As(one.err, &reset) || reset.Code != moqt.StreamTooFarBehind {
			t.Errorf("group 1: %d objects, then %v, want TOO_FAR_BEHIND before the end", one.objects, one.err)
		}
		if four := got[4]; four.objects != 10 {
			t.Errorf("group 4: %d objects, then %v, want 10", four.objects, four.err)
		}
	})
}

// Many short groups are no lateness.
func TestShortGroupsAreNotSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBroadcast(testNS)
		video := b.Track("video", PriorityVideo)
		s := serve(t, b, &transporttest.PipeOptions{Window: 64})
		tr, _ := s.join(t, "video", 0)
		var want []moqt.Location
		for g := uint64(1); g <= 20; g++ {
			appendGroup(video, g, 0, 2)
			want = append(want, location(g, 0), location(g, 1))
			time.Sleep(40 * time.Millisecond)
		}
		c := collect(t, tr)
		synctest.Wait()
		if got := c.String(); got != fmt.Sprint(want) {
			t.Errorf("received %v, want %v", got, want)
		}
	})
}

func TestSubscriberStopsOneGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBroadcast(testNS)
		video := b.Track("video", PriorityVideo)
		s := serve(t, b, nil)
		tr, _ := s.join(t, "video", 0)
		appendGroup(video, 1, 0, 1)
		sg, err := tr.AcceptSubgroup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sg.Cancel(moqt.StreamCancelled)
		synctest.Wait()
		appendGroup(video, 1, 1, 3)
		appendGroup(video, 2, 0, 2)
		c := collect(t, tr)
		synctest.Wait()
		if got, want := c.String(), "[2/0 2/1]"; got != want {
			t.Errorf("received %v, want %v", got, want)
		}
	})
}

func TestRequestWaitsForItsTrack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBroadcast(testNS)
		s := serve(t, b, nil)
		time.AfterFunc(time.Second, func() { b.Track("video", PriorityVideo) })
		time.AfterFunc(2*time.Second, func() { b.Complete() })
		start := time.Now()
		ask := func(name moqt.TrackName) (time.Duration, error) {
			tr, err := s.relay.Subscribe(t.Context(), name, nil)
			if err == nil {
				tr.Close()
			}
			return time.Since(start), err
		}
		if at, err := ask(testNS.Track("video")); err != nil || at != time.Second {
			t.Errorf("video: %v after %v, want it after 1s", err, at)
		}
		if at, err := ask(testNS.Track("text")); !errors.Is(err, &transport.RequestError{Code: moqt.RequestDoesNotExist}) || at != 2*time.Second {
			t.Errorf("text: %v after %v, want DOES_NOT_EXIST after 2s", err, at)
		}
		if at, err := ask(moqt.NS("live", "bus").Track("video")); !errors.Is(err, &transport.RequestError{Code: moqt.RequestDoesNotExist}) || at != 2*time.Second {
			t.Errorf("another namespace: %v after %v, want DOES_NOT_EXIST at once", err, at)
		}
	})
}

func TestRequestForATrackThatNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, NewBroadcast(testNS), nil)
		start := time.Now()
		_, err := s.relay.Subscribe(t.Context(), testNS.Track("video"), nil)
		var refused *transport.RequestError
		if !errors.As(err, &refused) || refused.Code != moqt.RequestTimeout || refused.RetryAfter < 0 || time.Since(start) != trackWait {
			t.Errorf("Subscribe() = %v after %v, want TIMEOUT after %v, to be repeated", err, time.Since(start), trackWait)
		}
	})
}

func TestStatusAndOtherRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBroadcast(testNS)
		appendGroup(b.Track("video", PriorityVideo), 4, 0, 3)
		b.Complete()
		s := serve(t, b, nil)
		info, err := s.relay.Status(t.Context(), testNS.Track("video"))
		if err != nil || !info.HasLargest || info.Largest != location(4, 2) {
			t.Errorf("Status() = %+v, %v, want largest 4/2", info, err)
		}
		if _, err := s.relay.Status(t.Context(), testNS.Track("text")); err == nil {
			t.Error("Status() of no track succeeded")
		}
		if _, err := s.relay.WatchNamespaces(t.Context(), testNS); !errors.Is(err, &transport.RequestError{Code: moqt.RequestNotSupported}) {
			t.Errorf("WatchNamespaces() = %v, want NOT_SUPPORTED", err)
		}
	})
}

// The end is delivered before Drain returns, and says that the track has ended.
func TestDrainWaitsForReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBroadcast(testNS)
		video := b.Track("video", PriorityVideo)
		s := serve(t, b, &transporttest.PipeOptions{Window: 64})
		tr, _ := s.join(t, "video", 0)
		appendGroup(video, 1, 0, 10)
		b.End()
		const reads = time.Second
		start := time.Now()
		begun := make(chan *collector, 1)
		time.AfterFunc(reads, func() { begun <- collect(t, tr) })
		b.Drain(t.Context())
		if took := time.Since(start); took < reads || took > reads+2*drainQuiet {
			t.Errorf("Drain() returned after %v, want soon after %v", took, reads)
		}
		c := <-begun
		<-c.end
		if len(c.got) != 10 || c.err != nil {
			t.Errorf("received %v, then %v, want all 10 and a good end", c, c.err)
		}
	})
}

// A subscriber that has just read the catalog is about to ask for the tracks.
func TestDrainWaitsForTheNextRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBroadcast(testNS)
		appendGroup(b.Track("video", PriorityVideo), 1, 0, 3)
		s := serve(t, b, nil)
		b.End()
		drained := make(chan struct{})
		go func() {
			b.Drain(t.Context())
			close(drained)
		}()
		time.Sleep(drainQuiet - time.Millisecond)
		tr, f := s.join(t, "video", 0)
		if got := fetched(t, f); len(got) != 3 {
			t.Errorf("fetched %v, want 3 objects", got)
		}
		c := collect(t, tr)
		<-c.end
		if c.err != nil {
			t.Errorf("the subscription ended with %v", c.err)
		}
		<-drained
	})
}

func TestDrainIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBroadcast(testNS)
		video := b.Track("video", PriorityVideo)
		s := serve(t, b, &transporttest.PipeOptions{Window: 64})
		s.join(t, "video", 0) // and never read
		appendGroup(video, 1, 0, 10)
		b.End()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		b.Drain(ctx)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("Drain() returned after %v, want 3s", took)
		}
	})
}

func TestServeEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(s *transport.Session, a *transport.AnnounceRequest)
		want error
	}{
		{"name taken", func(_ *transport.Session, a *transport.AnnounceRequest) { a.Revoke(moqt.StreamMalformedTrack) }, ErrNameTaken},
		{"revoked", func(_ *transport.Session, a *transport.AnnounceRequest) { a.Revoke(moqt.StreamGoingAway) },
			&transport.StreamError{Code: moqt.StreamGoingAway, Remote: true}},
		{"goaway", func(s *transport.Session, _ *transport.AnnounceRequest) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			s.Goaway(ctx, "", 0)
		}, transport.ErrGoaway},
		{"session closed", func(s *transport.Session, _ *transport.AnnounceRequest) { s.Close() },
			&transport.SessionError{Code: moqt.SessionNoError}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				publisher, relay := sessions(t, nil)
				ended := make(chan error, 1)
				go func() { ended <- NewBroadcast(testNS).Serve(t.Context(), publisher) }()
				s := &served{relay: relay}
				a := s.accept(t)
				synctest.Wait()
				tt.do(relay, a)
				if err := <-ended; !errors.Is(err, tt.want) {
					t.Errorf("Serve() = %v, want %v", err, tt.want)
				}
			})
		})
	}
}

func TestAnnouncementRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		publisher, relay := sessions(t, nil)
		go func() {
			if req, err := relay.Accept(t.Context()); err == nil {
				req.Reject(moqt.RequestUnauthorized, "not here")
			}
		}()
		err := NewBroadcast(testNS).Serve(t.Context(), publisher)
		if !errors.Is(err, &transport.RequestError{Code: moqt.RequestUnauthorized}) {
			t.Errorf("Serve() = %v, want UNAUTHORIZED", err)
		}
	})
}

func TestFetch(t *testing.T) {
	for _, tt := range []struct {
		name       string
		start, end moqt.Location
		order      moqt.GroupOrder
		want       string // or the refusal's code
		gap        bool
	}{
		{"all of a group", location(11, 0), location(11, moqt.WholeGroup), 0, "[11/0 11/1]", false},
		{"a part", location(11, 1), location(12, 0), 0, "[11/1 12/0]", false},
		{"more than there is", location(11, 0), location(99, 0), 0, "[11/0 11/1 12/0 12/1]", false},
		{"from before what is held", location(3, 0), location(10, 0), 0, "[10/0]", true},
		{"descending", location(10, 1), location(12, 0), moqt.Descending, "[12/0 11/0 11/1 10/1]", false},
		{"only what is gone", location(3, 0), location(9, 9), 0, "INVALID_RANGE", false},
		{"only what is to come", location(13, 0), location(14, 0), 0, "INVALID_RANGE", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := NewBroadcast(testNS)
				video := b.Track("video", PriorityVideo)
				for g := uint64(9); g <= 12; g++ {
					appendGroup(video, g, 0, 2)
					time.Sleep(keepFor)
				}
				appendGroup(video, 12, 2, 2)
				s := serve(t, b, nil)
				f, err := s.relay.Fetch(t.Context(), testNS.Track("video"), transport.Range{Start: tt.start, End: tt.end}, &transport.FetchOptions{Order: tt.order})
				var refused *transport.RequestError
				if errors.As(err, &refused) {
					if refused.Code.String() != tt.want {
						t.Errorf("Fetch() = %v, want %s", err, tt.want)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := fmt.Sprint(fetched(t, f)); got != tt.want {
					t.Errorf("fetched %v, want %v", got, tt.want)
				}
				if gap := slices.ContainsFunc(f.Gaps(), func(g transport.FetchGap) bool { return g.Unknown }); gap != tt.gap {
					t.Errorf("gaps %v, want an unknown one: %v", f.Gaps(), tt.gap)
				}
			})
		})
	}
}
