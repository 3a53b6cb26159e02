package relay_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// hole is a connection whose data streams lead nowhere: what is written to them
// is counted and dropped, so that what is measured is the relay.
type hole struct {
	transport.Conn
	opened  atomic.Int32
	written *atomic.Int64 // calls of Write with an object
	all     chan struct{} // cap 1: a token when written has come down to 0
	seen    func([]byte)  // if not nil, called with each
}

func (h *hole) OpenUniStream(ctx context.Context) (transport.SendStream, error) {
	if h.opened.Add(1) == 1 { // the control stream
		return h.Conn.OpenUniStream(ctx)
	}
	s := &holeStream{h: h}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

type holeStream struct {
	transport.SendStream
	h      *hole
	ctx    context.Context
	cancel context.CancelFunc
}

func (s *holeStream) Write(p []byte) (int, error) {
	if len(p) < 1000 { // the header of a stream
		return len(p), nil
	}
	if s.h.seen != nil {
		s.h.seen(p)
	}
	if s.h.written.Add(-1) == 0 {
		s.h.all <- struct{}{}
	}
	return len(p), nil
}

func (s *holeStream) Close() error                { s.cancel(); return nil }
func (s *holeStream) CancelWrite(moqt.StreamCode) { s.cancel() }
func (s *holeStream) Context() context.Context    { return s.ctx }
func (s *holeStream) SetPriority(int8, bool)      {}
func (s *holeStream) SetReliableBoundary()        {}

// fanOut is a relay with subscribers whose transport costs nothing.
type fanOut struct {
	r    *relay.Relay
	pub  *transport.Session
	w    *transport.TrackWriter
	g    *transport.SubgroupWriter
	n    int // of subscribers
	sent int
	left atomic.Int64
	all  chan struct{}
}

// newFanOut has n subscribers. If not nil, seen is called with each write of an
// object, from any goroutine.
func newFanOut(t testing.TB, n int, seen func([]byte)) *fanOut {
	t.Helper()
	f := &fanOut{r: relay.New(relay.Config{}), n: n, all: make(chan struct{}, 1)}
	var served sync.WaitGroup
	t.Cleanup(func() {
		f.pub.Close()
		f.r.Close()
		served.Wait()
	})
	dial := func(wrap func(transport.Conn) transport.Conn) *transport.Session {
		client, server := transporttest.Pipe(t, &transporttest.PipeOptions{Window: 1 << 20})
		served.Go(func() {
			if s, err := transport.NewSession(context.Background(), wrap(server), nil); err == nil {
				f.r.ServeSession(context.Background(), s)
			}
		})
		s, err := transport.NewSession(t.Context(), client, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	f.pub = dial(func(c transport.Conn) transport.Conn { return c })
	var err error
	if f.w, err = f.pub.Publish(t.Context(), track, nil); err != nil {
		t.Fatal(err)
	}
	for range n {
		sub := dial(func(c transport.Conn) transport.Conn { return &hole{Conn: c, written: &f.left, all: f.all, seen: seen} })
		if _, err := sub.Subscribe(t.Context(), track, nil); err != nil {
			t.Fatal(err)
		}
	}
	for !f.w.State().Forward {
		<-f.w.Changed()
	}
	return f
}

// publish sends one object, in groups of sixty, and waits until all have it.
func (f *fanOut) publish(t testing.TB, payload []byte) {
	if f.sent%60 == 0 {
		if f.g != nil {
			f.g.Close()
		}
		var err error
		if f.g, err = f.w.OpenGroup(t.Context(), uint64(1+f.sent/60)); err != nil {
			t.Fatal(err)
		}
	}
	f.sent++
	f.left.Store(int64(f.n))
	if _, err := f.g.Write(payload); err != nil {
		t.Fatal(err)
	}
	<-f.all
}

// BenchmarkFanOut is one object from a publisher through the relay to n
// subscribers whose transport costs nothing. An operation is one object at one
// subscriber; no object is published before all have the last, so each costs a
// wake-up, as those of a live track do.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 30, 300} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			f := newFanOut(b, n, nil)
			payload := make([]byte, 8<<10)
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			b.ResetTimer()
			for range (b.N + n - 1) / n {
				f.publish(b, payload)
			}
		})
	}
}

// TestSubscribersShareAnObject holds the relay to one copy of an object, header
// and all, however many it goes to: a copy for each is what a burst would have to
// hold for all of them at once.
func TestSubscribersShareAnObject(t *testing.T) {
	var mu sync.Mutex
	places := make(map[*byte]int)
	f := newFanOut(t, 20, func(p []byte) {
		mu.Lock()
		defer mu.Unlock()
		places[&p[0]]++
	})
	const objects = 70 // more than a group
	for range objects {
		f.publish(t, make([]byte, 8<<10))
	}
	mu.Lock()
	defer mu.Unlock()
	shared := 0
	for _, n := range places { // a place in a buffer of the sender has more of them, or fewer
		if n <= f.n && n > f.n/2 {
			shared++
		}
	}
	// Who comes while the first is writing the header has to copy.
	if shared < objects*9/10 {
		t.Errorf("%d of %d objects went to %d subscribers from one place", shared, objects, f.n)
	}
}
