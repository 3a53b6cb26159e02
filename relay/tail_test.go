package relay_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// What a publisher sends last may still be on its way when PUBLISH_DONE is
// there. It belongs to the track all the same.
func TestEndOfTrackIsDeliveredWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		// All is written, and the end too, before the relay has read much of it.
		client, server := transporttest.Pipe(t, &transporttest.PipeOptions{Window: 2 << 20})
		go func() {
			if s, err := transport.NewSession(t.Context(), server, nil); err == nil {
				r.ServeSession(t.Context(), s)
			}
		}()
		sess, err := transport.NewSession(t.Context(), client, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer sess.Close()
		ann, err := sess.Announce(t.Context(), track.Namespace)
		if err != nil {
			t.Fatal(err)
		}
		defer ann.Close()
		accepted := make(chan *transport.TrackWriter, 1)
		go func() {
			for {
				req, err := sess.Accept(context.Background())
				if err != nil {
					return
				}
				if s, ok := req.(*transport.SubscribeRequest); ok {
					if w, err := s.Accept(nil); err == nil {
						accepted <- w
					}
					continue
				}
				req.Reject(moqt.RequestNotSupported, "no")
			}
		}()
		tr, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := collect(tr)
		w := <-accepted
		const subgroups, size = 8, 1 << 20
		var written sync.WaitGroup
		for id := range uint64(subgroups) {
			written.Go(func() {
				sg, err := w.OpenSubgroup(context.Background(), moqt.Subgroup{ID: id, DefaultPriority: true, First: true})
				if err == nil {
					err = sg.WriteObject(moqt.Object{Location: moqt.Location{Object: id}, Payload: make([]byte, size)})
				}
				if err != nil {
					t.Errorf("subgroup %d: %v", id, err)
					return
				}
				sg.Close()
			})
		}
		written.Wait()
		w.Close()
		<-c.done
		got := c.locations()
		slices.SortFunc(got, moqt.Location.Compare)
		var want []moqt.Location
		for id := range uint64(subgroups) {
			want = append(want, moqt.Location{Object: id})
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || c.err != nil {
			t.Errorf("received %v, then %v, want %v", got, c.err, want)
		}
	})
}

// The end that one of two publishers tells is that of the track if the other has
// fallen silent, and not if it goes on.
func TestEndToldByOneOfTwoPublishers(t *testing.T) {
	for _, goesOn := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRelay(t, relay.Config{})
			p1, p2 := publish(t, connect(t, r, nil), track), publish(t, connect(t, r, nil), track)
			synctest.Wait()
			tr, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
			if err != nil {
				t.Fatal(err)
			}
			c := collect(tr)
			for id := range uint64(80) {
				time.Sleep(100 * time.Millisecond)
				if id < 20 || goesOn {
					p1.write(10, id)
					synctest.Wait() // held before the other ends its group short of it
				}
				switch {
				case id < 40:
					p2.write(10, id)
				case id == 40:
					p2.end()
				}
			}
			time.Sleep(100 * time.Millisecond)
			ended := false
			select {
			case <-c.done:
				ended = true
			default:
			}
			want := 40
			if goesOn {
				want = 80
			}
			if got := c.locations(); ended == goesOn || c.err != nil || len(got) != want {
				t.Errorf("the other goes on: %v; after %d objects ended: %v (%v), want %d and %v", goesOn, len(got), ended, c.err, want, !goesOn)
			}
			tr.Close()
		})
	}
}

// end ends the track for all its subscribers.
func (p *publisher) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w, g := range p.writers {
		if g != nil {
			g.Close()
		}
		w.Close()
	}
	clear(p.writers)
}
