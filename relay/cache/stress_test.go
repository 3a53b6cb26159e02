package cache

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// A wake-up that is lost stops this test: the writer goes on only when every
// reader has the object, so nothing but the bell can wake them.
func TestNoWakeupIsLost(t *testing.T) {
	const readers, objects = 3, 5000
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tr := NewTrack(Options{})
	defer tr.Close()
	s := tr.Source(nil)
	var wg, have sync.WaitGroup
	have.Add(readers)
	for range readers {
		wg.Go(func() {
			c, err := all(tr).Next(ctx)
			for err == nil {
				var o *Object
				if o, err = c.Next(ctx); err == nil {
					for done := false; err == nil && !done; {
						_, done, err = o.Bytes(ctx, o.Size-1)
					}
					have.Done()
				}
			}
			if err != io.EOF {
				t.Errorf("reader ended with %v", err)
				cancel()
			}
		})
	}
	w := open(t, s, 0)
	for id := range uint64(objects) {
		if id%2 == 0 {
			if _, err := w.Append(moqt.Object{Location: loc(0, id), Payload: []byte{1}}); err != nil {
				t.Fatal(err)
			}
		} else {
			err := w.Start(moqt.Object{Location: loc(0, id)}, 2)
			for range 2 {
				if err == nil {
					_, err = w.Extend([]byte{1})
				}
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		got := make(chan struct{})
		go func() { have.Wait(); close(got) }()
		select {
		case <-got:
			have.Add(readers)
		case <-ctx.Done():
			wg.Wait()
			t.Fatalf("object %d did not wake all readers", id)
		}
	}
	finish(t, w)
	wg.Wait()
}

// Readers and writers at full speed over groups that come and go.
func TestReadersAndWritersAtOnce(t *testing.T) {
	budget := NewBudget(1 << 20)
	tr := NewTrack(Options{MaxGroups: 3, MaxBytes: 256 << 10, Budget: budget})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			r := all(tr)
			for {
				c, err := r.Next(context.Background())
				if err != nil {
					return
				}
				last := -1
				for o, err := c.Next(context.Background()); err == nil || err == ErrGap; o, err = c.Next(context.Background()) {
					if err != nil {
						continue
					}
					if int(o.Meta.Object) <= last {
						t.Errorf("object %v after %d", o.Meta.Location, last)
					}
					last = int(o.Meta.Object)
					for off, done := int64(0), false; err == nil && !done; {
						var p []byte
						p, done, err = o.Bytes(context.Background(), off)
						off += int64(len(p))
					}
				}
			}
		})
	}
	var sources sync.WaitGroup
	for range 2 {
		sources.Go(func() {
			s := tr.Source(nil)
			defer s.Close()
			for g := range uint64(300) {
				w, err := s.Open(moqt.Subgroup{Group: g, First: true})
				for id := uint64(0); err == nil && id < 20; id++ {
					if id%5 == 0 {
						p := make([]byte, 20<<10)
						if err = w.Start(moqt.Object{Location: loc(g, id)}, int64(len(p))); err == nil {
							_, err = w.Extend(p)
						}
						continue
					}
					_, err = w.Append(object(g, id))
				}
				if err == nil {
					err = w.Close()
				}
				if err != nil {
					t.Error(err)
				}
				if _, err := s.Datagram(object(g, 100)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	sources.Wait()
	checkBytes(t, tr)
	tr.End()
	wg.Wait()
	tr.Close()
	if got := budget.Used(); got != 0 {
		t.Errorf("Used() = %d, want 0", got)
	}
}
