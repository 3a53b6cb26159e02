package relay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/relay/cache"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// The TestFlood tests have one peer of a relay do too much of something, and
// measure that memory stays bounded, that the peer is told by the draft's code,
// and that a bystander's track goes on. They are named after the threats of
// docs/security.md; those that any session meets are in package transport.

const kib = 1 << 10

// floodTrack is what the bystander watches.
var floodTrack = moqt.NS("bystander").Track("video")

// beside publishes a track at r and subscribes to it, and returns a function
// that checks that its objects still arrive at once.
func beside(t *testing.T, r *relay.Relay) (check func()) {
	p := publish(t, connect(t, r, nil), floodTrack)
	synctest.Wait()
	tr, err := connect(t, r, nil).Subscribe(t.Context(), floodTrack, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := collect(tr)
	n := 0
	return func() {
		t.Helper()
		p.write(uint64(n), 0)
		n++
		synctest.Wait()
		if got := len(c.locations()); got != n {
			t.Errorf("the bystander has %d objects, want %d", got, n)
		}
	}
}

// connectFree opens a session that only the relay's own limits bound.
func connectFree(t *testing.T, r *relay.Relay) *transport.Session {
	t.Helper()
	client, server := transporttest.Pipe(t, &transporttest.PipeOptions{MaxStreams: 20_000, MaxUniStreams: 20_000})
	config := &transport.Config{Limits: transport.Limits{MaxRequests: 20_000, RequestRate: 1_000_000}}
	var wg sync.WaitGroup
	wg.Go(func() {
		if s, err := transport.NewSession(t.Context(), server, config); err == nil {
			r.ServeSession(t.Context(), s)
		}
	})
	s, err := transport.NewSession(t.Context(), client, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		wg.Wait()
	})
	return s
}

// codeOf is the code of a refusal.
func codeOf(err error) moqt.RequestCode {
	if e, ok := errors.AsType[*transport.RequestError](err); ok {
		return e.Code
	}
	return 0xffff
}

// countedOrigins are a table of origins that has nothing, asked as moq-relay
// does.
type countedOrigins struct {
	*api.Cache
	asked *atomic.Int64
}

func (countedOrigins) Register(moqt.Namespace)   {}
func (countedOrigins) Unregister(moqt.Namespace) {}

// Subscriptions to tracks that nobody has are refused, each in time, and the
// table of origins is not asked more often than it may be.
func TestFloodT1Subscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origins := countedOrigins{asked: new(atomic.Int64)}
		origins.Cache = api.NewCache(api.CacheConfig{Lookup: func(context.Context, moqt.Namespace) ([]api.Origin, error) {
			origins.asked.Add(1)
			return nil, api.ErrNotFound
		}})
		defer origins.Close()
		r := newRelay(t, relay.Config{Origins: origins, Dial: func(context.Context, string) (*transport.Session, error) {
			return nil, errors.New("nobody is there")
		}})
		check := beside(t, r)
		s := connectFree(t, r)
		base, start := transporttest.Heap(), time.Now()
		const workers = 600 // a race detector counts no more than 8128 goroutines
		total := max(transporttest.Flood(6000), 2*workers)
		var codes [3]atomic.Int64
		var all sync.WaitGroup
		for w := range workers {
			all.Go(func() {
				for i := range total / workers {
					asked := time.Now()
					_, err := s.Subscribe(t.Context(), moqt.NS("absent", fmt.Sprint(w, i)).Track("video"), nil)
					if d := time.Since(asked); d > 2*time.Second {
						t.Errorf("subscription %d of %d was answered after %v, want at most 2s", i, w, d)
					}
					switch codeOf(err) {
					case moqt.RequestDoesNotExist:
						codes[0].Add(1)
					case moqt.RequestExcessiveLoad:
						codes[1].Add(1)
					default:
						t.Errorf("Subscribe() = %v", err)
						return
					}
				}
			})
		}
		all.Wait()
		check()
		took := time.Since(start)
		t.Logf("%d do not exist and %d were too many, in %v; %d lookups", codes[0].Load(), codes[1].Load(), took, origins.asked.Load())
		if asked, may := origins.asked.Load(), int64(100+100*(took.Seconds()+1)); asked > may {
			t.Errorf("the table of origins was asked %d times, want at most %d in %v", asked, may, took)
		}
		if origins.asked.Load() == 0 || codes[0].Load() < 500 {
			t.Error("the table of origins was not asked")
		}
		transporttest.HeapGrew(t, fmt.Sprintf("%d subscriptions to absent tracks", total), base, 12*1024*kib)

		// Those that may wait are counted while they do.
		var waited, refused atomic.Int64
		for i := range 600 {
			all.Go(func() {
				_, err := s.Subscribe(t.Context(), moqt.NS("late", fmt.Sprint(i)).Track("video"), &transport.SubscribeOptions{Rendezvous: 10 * time.Second})
				switch codeOf(err) {
				case moqt.RequestTimeout:
					waited.Add(1)
				case moqt.RequestExcessiveLoad:
					refused.Add(1)
				default:
					t.Errorf("Subscribe() = %v", err)
				}
			})
		}
		all.Wait()
		if waited.Load() != 500 || refused.Load() != 100 {
			t.Errorf("%d subscriptions waited and %d were refused, want MaxSubscriptions, 500, and the rest", waited.Load(), refused.Load())
		}
		check()
	})
}

// A subscriber that comes and goes is not seen by the publisher.
func TestFloodT2SubscribeAndCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		check := beside(t, r)
		p := publish(t, connect(t, r, nil), track)
		s := connect(t, r, nil)
		synctest.Wait()
		p.write(1, 0)
		base := transporttest.Heap()
		taken, refused := 0, 0
		n := max(transporttest.Flood(5000), 2000)
		for i := range n {
			tr, err := s.Subscribe(t.Context(), track, nil)
			if err == nil {
				tr.Close()
				taken++
			} else if code := codeOf(err); code == moqt.RequestExcessiveLoad {
				refused++
			} else {
				t.Fatalf("Subscribe() = %v", err)
			}
			if i%500 == 0 {
				check()
			}
			time.Sleep(time.Millisecond)
		}
		p.mu.Lock()
		subscribed := p.subscribed
		p.mu.Unlock()
		if subscribed != 1 {
			t.Errorf("the publisher saw %d subscriptions, want 1", subscribed)
		}
		if most := 1024 + 5*200 + 200; taken > most || refused == 0 {
			t.Errorf("%d subscriptions were taken and %d refused, want at most %d taken", taken, refused, most)
		}
		transporttest.HeapGrew(t, fmt.Sprintf("%d subscriptions given up at once, %d of them refused", n, refused), base, 1024*kib)
	})
}

// A session has as many namespaces as it may.
func TestFloodT3Namespaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		check := beside(t, r)
		s := connectFree(t, r)
		base := transporttest.Heap()
		accepted, refused := 0, 0
		n := max(transporttest.Flood(10_000), 2000)
		for i := range n {
			_, err := s.Announce(t.Context(), moqt.NS("flood", fmt.Sprint(i)))
			switch {
			case err == nil:
				accepted++
			case codeOf(err) == moqt.RequestExcessiveLoad:
				refused++
			default:
				t.Fatalf("Announce() = %v", err)
			}
		}
		if accepted != 1000 || refused != n-1000 {
			t.Errorf("%d namespaces were accepted and %d refused, want MaxNamespaces, 1000, and the rest", accepted, refused)
		}
		check()
		transporttest.HeapGrew(t, fmt.Sprintf("%d namespaces", n), base, 48*1024*kib) // 1000 open requests, both ends of each
	})
}

// A prefix that is too short is refused, and another that is not is answered.
func TestFloodT4ShortPrefix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{MaxMatches: 100})
		check := beside(t, r) // has a namespace of its own
		s := connectFree(t, r)
		for i := range 100 {
			if _, err := s.Announce(t.Context(), moqt.NS("many", fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		base := transporttest.Heap()
		for range 100 {
			if _, err := s.WatchNamespaces(t.Context(), moqt.NS()); codeOf(err) != moqt.RequestNamespaceTooLarge {
				t.Fatalf("WatchNamespaces of everything = %v, want NAMESPACE_TOO_LARGE", err)
			}
		}
		transporttest.HeapGrew(t, "100 prefixes that are too short", base, 2*1024*kib)
		if _, err := s.WatchNamespaces(t.Context(), moqt.NS("many")); err != nil {
			t.Errorf("WatchNamespaces of 100 = %v", err)
		}
		check()
	})
}

// Tracks beyond what a session may have subscriptions to are skipped, and told.
func TestFloodT4TracksOfAShortPrefix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{MaxSubscriptions: 3})
		check := beside(t, r)
		pub := connectFree(t, r)
		for i := range 5 {
			if _, err := pub.Publish(t.Context(), moqt.NS("many").Track(fmt.Sprint(i)), nil); err != nil {
				t.Fatal(err)
			}
		}
		s := connectFree(t, r)
		tracks, err := s.SubscribeTracks(t.Context(), moqt.NS("many"), nil)
		if err != nil {
			t.Fatal(err)
		}
		offered := 0
		go func() {
			for {
				req, err := s.Accept(t.Context())
				if err != nil {
					return
				}
				if p, ok := req.(*transport.PublishRequest); ok {
					p.Accept(nil)
					offered++
				}
			}
		}()
		for range 2 {
			<-tracks.Skipped()
		}
		synctest.Wait()
		if offered != 3 {
			t.Errorf("%d tracks were offered, want MaxSubscriptions, 3", offered)
		}
		check()
	})
}

// A subscriber that does not read costs what its streams hold, and nobody else
// waits for it.
func TestFloodT10DeadReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{Cache: cache.Options{MaxAge: 2 * time.Second}})
		check := beside(t, r)
		p := publishBig(t, connect(t, r, nil), track, 8<<10)
		synctest.Wait()
		var live []*arrivals
		for range 10 {
			tr, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
			if err != nil {
				t.Fatal(err)
			}
			live = append(live, arrive(tr))
		}
		sent := 0
		run := func(groups int) {
			for range groups {
				for id := range uint64(30) {
					p.write(uint64(sent/30), id)
					sent++
					synctest.Wait()
					for i, a := range live {
						if got := int(a.n.Load()); got != sent {
							t.Fatalf("reader %d has %d objects after %d were sent", i, got, sent)
						}
					}
					time.Sleep(time.Second / 30)
				}
			}
		}
		run(5)
		base := transporttest.Heap()
		if _, err := connect(t, r, nil).Subscribe(t.Context(), track, nil); err != nil { // and does not read
			t.Fatal(err)
		}
		run(10)
		check()
		transporttest.HeapGrew(t, "a subscriber that does not read for 10 s of 2 Mbit/s", base, 4*1024*kib)
	})
}

// An object that comes a byte a second holds what has come of it, and nobody up.
func TestFloodT11SlowObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		check := beside(t, r)
		sess := connect(t, r, nil)
		writers := make(chan *transport.TrackWriter, 1)
		if _, err := sess.Announce(t.Context(), track.Namespace); err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				req, err := sess.Accept(context.Background())
				if err != nil {
					return
				}
				if s, ok := req.(*transport.SubscribeRequest); ok {
					if w, err := s.Accept(nil); err == nil {
						writers <- w
						continue
					}
				}
				req.Reject(moqt.RequestNotSupported, "no")
			}
		}()
		tr, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := collect(tr)
		w := <-writers
		base := transporttest.Heap()
		const streams, size = 50, 16 << 20
		var slow []io.Writer
		for g := range uint64(streams) {
			sg, err := w.OpenSubgroup(t.Context(), moqt.Subgroup{Group: g, DefaultPriority: true, First: true})
			if err != nil {
				t.Fatal(err)
			}
			o, err := sg.StartObject(moqt.Object{Location: moqt.Location{Group: g}}, size)
			if err != nil {
				t.Fatal(err)
			}
			slow = append(slow, o)
		}
		for range 60 {
			for _, o := range slow {
				o.Write([]byte{0})
			}
			time.Sleep(time.Second)
			check()
		}
		transporttest.HeapGrew(t, "50 objects of 16 MiB, of which 60 bytes came", base, 8*1024*kib)
		if got := c.locations(); len(got) != 0 {
			t.Errorf("%d objects were delivered, want none: they are not whole", len(got))
		}
	})
}

// Groups of any number cost what the cache may hold, and all of it comes back.
func TestFloodT12RandomGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := cache.NewBudget(8 << 20)
		r := newRelay(t, relay.Config{Linger: time.Second, Cache: cache.Options{Budget: budget}})
		check := beside(t, r)
		p := publishBig(t, connect(t, r, nil), track, 8<<10)
		s := connect(t, r, nil)
		synctest.Wait()
		tr, err := s.Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		arrive(tr)
		base := transporttest.Heap()
		const seed = 12
		random := rand.New(rand.NewPCG(seed, seed))
		most := int64(0)
		n := transporttest.Flood(10_000)
		for i := range n {
			p.write(random.Uint64N(1<<62), 0)
			if i%100 == 0 {
				synctest.Wait()
				most = max(most, budget.Used())
			}
		}
		synctest.Wait()
		check()
		if most > budget.Capacity() {
			t.Errorf("the cache held %d bytes, want at most %d (seed %d)", most, budget.Capacity(), seed)
		}
		t.Logf("the cache held %d KiB at most", most/kib)
		transporttest.HeapGrew(t, fmt.Sprintf("%d groups over all numbers", n), base, budget.Capacity()+16*1024*kib)
		tr.Close()
		p.sess.Close()
		time.Sleep(time.Minute)
		synctest.Wait()
		r.Close()
		if used := budget.Used(); used != 0 {
			t.Errorf("%d bytes of the cache are not given back", used)
		}
	})
}

// publishBig is publish with payloads of a size.
func publishBig(t *testing.T, sess *transport.Session, name moqt.TrackName, size int) *publisher {
	p := publish(t, sess, name)
	p.pad = size
	return p
}

// arrivals counts the objects of a track.
type arrivals struct{ n atomic.Int64 }

func arrive(tr *transport.TrackReader) *arrivals {
	a := new(arrivals)
	go func() {
		for _, err := range tr.Objects(context.Background()) {
			if err == nil {
				a.n.Add(1)
			}
		}
	}()
	return a
}
