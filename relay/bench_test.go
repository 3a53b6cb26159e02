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
	if len(p) > 1000 && s.h.written.Add(-1) == 0 { // not the header of a stream
		s.h.all <- struct{}{}
	}
	return len(p), nil
}

func (s *holeStream) Close() error                { s.cancel(); return nil }
func (s *holeStream) CancelWrite(moqt.StreamCode) { s.cancel() }
func (s *holeStream) Context() context.Context    { return s.ctx }
func (s *holeStream) SetPriority(int8, bool)      {}
func (s *holeStream) SetReliableBoundary()        {}

// BenchmarkFanOut is one object from a publisher through the relay to n
// subscribers whose transport costs nothing. An operation is one object at one
// subscriber; no object is published before all have the last, so each costs a
// wake-up, as those of a live track do.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 30, 300} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			r := relay.New(relay.Config{})
			defer r.Close()
			var served sync.WaitGroup
			defer served.Wait()
			dial := func(wrap func(transport.Conn) transport.Conn) *transport.Session {
				client, server := transporttest.Pipe(b, &transporttest.PipeOptions{Window: 1 << 20})
				served.Go(func() {
					if s, err := transport.NewSession(context.Background(), wrap(server), nil); err == nil {
						r.ServeSession(context.Background(), s)
					}
				})
				s, err := transport.NewSession(b.Context(), client, nil)
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { s.Close() })
				return s
			}
			plain := func(c transport.Conn) transport.Conn { return c }
			pub := dial(plain)
			w, err := pub.Publish(b.Context(), track, nil)
			if err != nil {
				b.Fatal(err)
			}
			var left atomic.Int64
			all := make(chan struct{}, 1)
			for range n {
				sub := dial(func(c transport.Conn) transport.Conn { return &hole{Conn: c, written: &left, all: all} })
				if _, err := sub.Subscribe(b.Context(), track, nil); err != nil {
					b.Fatal(err)
				}
			}
			for !w.State().Forward {
				<-w.Changed()
			}
			payload := make([]byte, 8<<10)
			var g *transport.SubgroupWriter
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			b.ResetTimer()
			for i := range (b.N + n - 1) / n {
				if i%60 == 0 {
					if g != nil {
						g.Close()
					}
					if g, err = w.OpenGroup(b.Context(), uint64(1+i/60)); err != nil {
						b.Fatal(err)
					}
				}
				left.Store(int64(n))
				if _, err := g.Write(payload); err != nil {
					b.Fatal(err)
				}
				<-all
			}
			b.StopTimer()
			pub.Close()
			r.Close()
		})
	}
}
