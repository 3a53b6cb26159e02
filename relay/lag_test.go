package relay_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// connectOver is connect over a simulated link.
func connectOver(t *testing.T, r *relay.Relay, link *netsim.Link) *transport.Session {
	t.Helper()
	client, server := transporttest.QUICPair(t, link)
	go func() {
		if s, err := transport.NewSession(t.Context(), server, nil); err == nil {
			r.ServeSession(t.Context(), s)
		}
	}()
	s, err := transport.NewSession(t.Context(), client, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// seenGroup is what a viewer got of a group.
type seenGroup struct {
	group   uint64
	objects int
	whole   bool          // it came to its end
	age     time.Duration // of its last object, after it was published
}

// view reads a subscription stream by stream, as a player does, until it ends.
func view(tr *transport.TrackReader, published func(moqt.Location) time.Time) (groups []seenGroup, end error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	defer all.Wait()
	for {
		sg, err := tr.AcceptSubgroup(context.Background())
		if err != nil {
			all.Wait()
			slices.SortFunc(groups, func(a, b seenGroup) int { return int(a.group) - int(b.group) })
			return groups, err
		}
		all.Go(func() {
			g := seenGroup{group: sg.Header().Group}
			for {
				o, err := sg.ReadObject()
				if err != nil {
					g.whole = err == io.EOF
					break
				}
				g.objects++
				g.age = time.Since(published(o.Location))
			}
			mu.Lock()
			defer mu.Unlock()
			groups = append(groups, g)
		})
	}
}

const (
	lagObjects = 10 // of a group
	lagSize    = 25_000
	lagEvery   = 100 * time.Millisecond // so 2 Mbit/s in groups of a second
)

// broadcast publishes groups of lagObjects from 1 on.
func broadcast(p *publisher, groups uint64) {
	p.pad = lagSize
	for g := range groups {
		for id := range uint64(lagObjects) {
			p.write(1+g, id)
			time.Sleep(lagEvery)
		}
	}
}

// A subscriber on a path too narrow for the track gets whole groups, never old
// ones, and costs the others nothing.
func TestSlowSubscriberCostsOthersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const groups = 25
		net := netsim.New(t, netsim.Seed(1))
		r := newRelay(t, relay.Config{})
		p := publish(t, connect(t, r, nil), track)
		start := time.Now()
		published := func(l moqt.Location) time.Time {
			return start.Add(time.Duration((l.Group-1)*lagObjects+l.Object) * lagEvery)
		}
		seen := make([][]seenGroup, 4) // the first is the slow one
		var viewers sync.WaitGroup
		for i := range seen {
			rate := int64(50e6)
			if i == 0 {
				rate = 15e5
			}
			s := connectOver(t, r, net.Link(netsim.Rate(rate), netsim.Delay(20*time.Millisecond)))
			tr, err := s.Subscribe(t.Context(), track, nil)
			if err != nil {
				t.Fatal(err)
			}
			viewers.Go(func() { seen[i], _ = view(tr, published) })
		}
		start = time.Now()
		broadcast(p, groups)
		p.end()
		viewers.Wait()
		for i, got := range seen[1:] {
			whole, late := 0, time.Duration(0)
			for _, g := range got {
				if g.whole && g.objects == lagObjects {
					whole++
				}
				late = max(late, g.age)
			}
			if whole != groups || late > 150*time.Millisecond {
				t.Errorf("subscriber %d got %d whole groups, the latest object after %v, want %d within 150 ms", i+1, whole, late, groups)
			}
		}
		whole, late := 0, time.Duration(0)
		for _, g := range seen[0] {
			if g.whole && g.objects == lagObjects {
				whole++
			}
			if g.objects > 0 {
				late = max(late, g.age)
			}
		}
		t.Logf("slow: %d whole of %d, oldest %v", whole, len(seen[0]), late)
		// The path has room for three groups of four.
		if whole < groups/2 {
			t.Errorf("the slow subscriber got %d whole groups of %d: %+v", whole, groups, seen[0])
		}
		if late > 2500*time.Millisecond {
			t.Errorf("the slow subscriber got an object after %v, want 2.5 s at most", late)
		}
	})
}

// In descending order the newest group is never held up by an older one.
func TestDescendingOrderSendsTheNewestGroupFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const groups = 15
		net := netsim.New(t, netsim.Seed(1))
		r := newRelay(t, relay.Config{})
		p := publish(t, connect(t, r, nil), track)
		s := connectOver(t, r, net.Link(netsim.Rate(15e5), netsim.Delay(20*time.Millisecond), netsim.Queue(20_000)))
		tr, err := s.Subscribe(t.Context(), track, &transport.SubscribeOptions{Order: moqt.Descending})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		var mu sync.Mutex
		heads := make(map[uint64]time.Duration) // age of each group's first object
		go func() {
			for {
				sg, err := tr.AcceptSubgroup(context.Background())
				if err != nil {
					return
				}
				go func() {
					defer sg.Cancel(moqt.StreamCancelled)
					if _, err := sg.ReadObject(); err == nil {
						mu.Lock()
						heads[sg.Header().Group] = time.Since(start.Add(time.Duration(sg.Header().Group-1) * time.Second))
						mu.Unlock()
						for err == nil {
							_, err = sg.ReadObject()
						}
					}
				}()
			}
		}()
		broadcast(p, groups)
		mu.Lock()
		defer mu.Unlock()
		for g := uint64(1); g < groups; g++ {
			if age, ok := heads[g]; !ok || age > 500*time.Millisecond {
				t.Errorf("group %d began after %v (%v), want within 500 ms", g, age, ok)
			}
		}
		tr.Close()
	})
}

// Who takes nothing any more is told so in the end.
func TestDeadSubscriberIsEndedAsTooFarBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		p := publish(t, connect(t, r, nil), track)
		tr, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		p.pad = 100_000 // more than the pipe's window
		go func() {
			for g := range uint64(40) {
				p.write(1+g, 0)
				time.Sleep(time.Second)
			}
		}()
		<-tr.Context().Done()
		if cause := context.Cause(tr.Context()); !errors.Is(cause, &transport.TrackDone{Code: moqt.DoneTooFarBehind}) {
			t.Errorf("the subscription ended with %v, want TOO_FAR_BEHIND", cause)
		}
		time.Sleep(40 * time.Second)
	})
}

// Groups of the past that were asked for are no lag: they all come.
func TestBacklogIsDeliveredWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := netsim.New(t, netsim.Seed(1))
		r := newRelay(t, relay.Config{})
		p := publish(t, connect(t, r, nil), track)
		first, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		collect(first)
		synctest.Wait()
		broadcast(p, 5)
		s := connectOver(t, r, net.Link(netsim.Rate(8e6), netsim.Delay(20*time.Millisecond)))
		tr, err := s.Subscribe(t.Context(), track, &transport.SubscribeOptions{
			Filter: moqt.Filter{Kind: moqt.FilterAbsoluteStart, Start: moqt.Location{Group: 2}}})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		done := make(chan []seenGroup)
		go func() {
			got, _ := view(tr, func(moqt.Location) time.Time { return now })
			done <- got
		}()
		for g := uint64(6); g < 9; g++ {
			for id := range uint64(lagObjects) {
				p.write(g, id)
				time.Sleep(lagEvery)
			}
		}
		p.end()
		got := <-done
		if len(got) != 7 {
			t.Errorf("got %+v, want groups 2 to 8", got)
		}
		for i, g := range got {
			if g.group != uint64(2+i) || !g.whole || g.objects != lagObjects {
				t.Errorf("got group %+v, want the whole of group %d", g, 2+i)
			}
		}
	})
}
