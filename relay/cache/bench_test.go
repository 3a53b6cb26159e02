package cache

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

// BenchmarkFanOut is one object to n subscribers, each a goroutine that waits
// for it, reads its payload and waits again. An operation is one object at one
// subscriber, and no object is written before the last is read by all, so every
// read costs a wake-up: the worst case, and that of a live track.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 30, 300, 1000} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			tr := NewTrack(Options{})
			defer tr.Close()
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			var wg sync.WaitGroup
			var left atomic.Int64
			all := make(chan struct{}, 1)
			for range n {
				wg.Go(func() {
					r := tr.Reader(moqt.Location{}, LastGroup)
					for {
						c, err := r.Next(ctx)
						if err != nil {
							return
						}
						for o, err := c.Next(ctx); err == nil; o, err = c.Next(ctx) {
							if p, _ := o.Payload(); len(p) != 8<<10 {
								b.Errorf("payload of %d bytes", len(p))
							}
							if left.Add(-1) == 0 {
								all <- struct{}{}
							}
						}
					}
				})
			}
			s := tr.Source(nil)
			payload := make([]byte, 8<<10)
			var w *Writer
			b.ReportAllocs()
			objects := (b.N + n - 1) / n
			b.ResetTimer()
			for i := range objects {
				if i%60 == 0 {
					if w != nil {
						w.Close()
					}
					w, _ = s.Open(moqt.Subgroup{Group: uint64(i / 60), First: true, EndOfGroup: true})
				}
				left.Store(int64(n))
				if _, err := w.Append(moqt.Object{Location: loc(0, uint64(i%60)), Payload: payload}); err != nil {
					b.Fatal(err)
				}
				<-all
			}
			b.StopTimer()
			cancel()
			wg.Wait()
		})
	}
}

// BenchmarkAppend is what an object costs at ingest, without subscribers: a
// new one, and the copy of a second source, which is compared.
func BenchmarkAppend(b *testing.B) {
	for _, copies := range []int{1, 2} {
		b.Run(fmt.Sprintf("copies=%d", copies), func(b *testing.B) {
			tr := NewTrack(Options{MaxGroups: 4, Budget: NewBudget(1 << 30)})
			defer tr.Close()
			var sources []*Source
			for range copies {
				sources = append(sources, tr.Source(nil))
			}
			payload := make([]byte, 8<<10)
			writers := make([]*Writer, copies)
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			i := 0
			for b.Loop() {
				for j, s := range sources {
					if i%60 == 0 {
						if writers[j] != nil {
							writers[j].Close()
						}
						writers[j], _ = s.Open(moqt.Subgroup{Group: uint64(i / 60), First: true, EndOfGroup: true})
					}
					if _, err := writers[j].Append(moqt.Object{Location: loc(0, uint64(i%60)), Payload: payload}); err != nil {
						b.Fatal(err)
					}
				}
				i++
			}
		})
	}
}

// BenchmarkWalk is what an object costs a subscriber that has not to wait.
func BenchmarkWalk(b *testing.B) {
	tr := NewTrack(Options{})
	defer tr.Close()
	w, _ := tr.Source(nil).Open(moqt.Subgroup{})
	for id := range uint64(1000) {
		w.Append(object(0, id))
	}
	r := tr.Reader(moqt.Location{}, LastGroup)
	c, _ := r.Next(b.Context())
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.TryNext(); !ok {
			c, _ = tr.Reader(moqt.Location{}, LastGroup).Next(b.Context())
		}
	}
}
