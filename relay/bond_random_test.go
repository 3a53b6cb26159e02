package relay_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// TestBondAnyWay sends groups of objects in pieces of any size, in any order, over
// any of the members, some more than once, while members leave and others join. In
// half of the runs some come whole on ordinary streams. Each object comes out once,
// with its bytes, and where all come in chunks each group on one stream that ends
// well.
func TestBondAnyWay(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				mixed := seed%2 == 1
				r := newRelay(t, relay.Config{})
				versions := []moqt.Version{moqt.Draft16, moqt.Draft18, moqt.Draft21, moqt.Draft22}
				m, b := newBond(t, r, versions[seed/2%4], 3)
				tr, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer tr.Close()
				synctest.Wait()
				var want []moqt.Location
				var c *collector
				if mixed {
					c = collect(tr)
				}
				number := uint64(len(m))
				for group := uint64(1); group <= 5; group++ {
					if rnd.IntN(2) == 0 {
						i := rnd.IntN(len(m))
						m[i].sess.Close()
						m[i] = plug(t, r, versions[rnd.IntN(4)], number)
						m[i].join(b)
						number++
						synctest.Wait()
					}
					n := 1 + rnd.Uint64N(8)
					want = append(want, locations(group, n)...)
					sendAnyHow(t, rnd, m, group, n, mixed)
					time.Sleep(3 * time.Second)
					if !mixed {
						readGroup(t, tr, group, n)
					}
				}
				if mixed {
					c.wants(t, want...)
				}
				if s := r.State().Bonds[0]; s.Lost != 0 || s.Held != 0 {
					t.Errorf("%d objects were lost, %d bytes are held", s.Lost, s.Held)
				}
			})
		})
	}
}

// readGroup reads a group of n objects from one stream.
func readGroup(t *testing.T, tr *transport.TrackReader, group, n uint64) {
	t.Helper()
	sg, err := tr.AcceptSubgroup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		o, err := sg.ReadObject()
		if err != nil || o.Location != (moqt.Location{Group: group, Object: i}) || !slices.Equal(o.Payload, random(group, i, sizeOf(group, i))) {
			t.Fatalf("object %d of %d of group %d: %v with %d bytes, %v", i, n, group, o.Location, len(o.Payload), err)
		}
	}
	if o, err := sg.ReadObject(); err != io.EOF {
		t.Errorf("group %d ends with %v, %v", group, o.Location, err)
	}
	if !sg.Header().First || !sg.Header().EndOfGroup {
		t.Errorf("the header of group %d is %+v", group, sg.Header())
	}
}

func sizeOf(group, object uint64) int { return int(group*group*object*977+object*31) % 50_000 }

// sendAnyHow sends a group of n objects, and its end.
func sendAnyHow(t *testing.T, rnd *rand.Rand, m []*bondMember, group, n uint64, mixed bool) {
	t.Helper()
	var steps []func()
	for i := range n {
		payload := random(group, i, sizeOf(group, i))
		h := piece(group, i, payload)
		if mixed && rnd.IntN(6) == 0 { // whole, after a piece of it perhaps
			from := m[rnd.IntN(len(m))]
			steps = append(steps, func() {
				from.mu.Lock()
				w := from.writers[len(from.writers)-1]
				from.mu.Unlock()
				sg, err := w.OpenSubgroup(t.Context(), moqt.Subgroup{Group: group, DefaultPriority: true, EndOfGroup: true})
				if err == nil {
					err = sg.WriteObject(moqt.Object{Location: moqt.Location{Group: group, Object: i}, Payload: payload})
				}
				if err != nil {
					t.Error(err)
					return
				}
				synctest.Wait()
				sg.Break(moqt.StreamCancelled) // others go on
			})
			if rnd.IntN(2) == 0 {
				continue
			}
		}
		for off := 0; off < len(payload) || off == 0; {
			next := min(len(payload), off+1+rnd.IntN(20_000))
			from, to := off, next
			for range 1 + rnd.IntN(2) {
				member := m[rnd.IntN(len(m))]
				at := max(0, from-rnd.IntN(3)*rnd.IntN(500))
				steps = append(steps, func() { member.send(h, payload, cut(at, to)...).Close() })
			}
			if off = next; off == len(payload) {
				break
			}
		}
	}
	last := m[rnd.IntN(len(m))]
	steps = append(steps, func() { last.end(group, n) })
	rnd.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	for _, step := range steps {
		for _, m := range m {
			if m.sess.Context().Err() != nil {
				t.Fatalf("member %d is gone: %v", m.Number, context.Cause(m.sess.Context()))
			}
		}
		step()
		if rnd.IntN(3) == 0 {
			time.Sleep(time.Duration(rnd.IntN(20)) * time.Millisecond)
		}
	}
}
