package bond

import (
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
)

// TestEndAfterShedding gives up objects, some of which the relay has heard of. The
// end of their subgroup follows the last one that is not given up: for the rest of
// an object that never comes the relay would wait as long as it holds any.
func TestEndAfterShedding(t *testing.T) {
	for _, c := range []struct {
		name     string
		objects  uint64          // that are added
		arrived  uint64          // those below it
		begun    map[uint64]bool // of the rest
		id       uint64          // of the end
		previous uint64          // what the end tells
		begins   bool
	}{
		{"nothing of the rest was sent", 6, 3, nil, 3, 1, false},
		{"the first was begun", 6, 3, map[uint64]bool{3: true}, 4, 2, false},
		{"one in the middle was begun", 6, 3, map[uint64]bool{4: true}, 5, 3, false},
		{"all were begun", 6, 3, map[uint64]bool{3: true, 4: true, 5: true}, 6, 4, false},
		{"the key frame was begun", 4, 0, map[uint64]bool{0: true}, 1, 1, true},
		{"more than the key frame was begun", 4, 0, map[uint64]bool{0: true, 1: true}, 2, 2, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := New(Config{})
			for id := range c.objects {
				class := Ordinary
				if id == 0 {
					class = Vital
				}
				b.Send(Object{Alias: 1, Group: 7, ID: id, Payload: make([]byte, 1000), Class: class})
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			name := func(id uint64) bond.Object { return bond.Object{Alias: 1, Group: 7, Object: id} }
			for id := range c.objects {
				if o := b.objects[name(id)]; id < c.arrived || c.begun[id] {
					o.begun, b.streams[o.place].begun = true, true
				}
				if id < c.arrived {
					b.sched.Done(name(id))
				}
			}
			for id := c.arrived; id < c.objects; id++ {
				b.sched.GiveUp(name(id))
			}
			b.settleLocked(time.Now())
			end := b.objects[name(c.id)]
			if end == nil || len(b.objects) != 1 {
				t.Fatalf("what is left is %v, want the end alone, with id %d", b.objects, c.id)
			}
			h := end.header
			if !h.End || h.Last || h.Begins != c.begins || !h.Begins && h.Previous != c.previous {
				t.Errorf("the end is %+v, want Previous %d and Begins %v", h, c.previous, c.begins)
			}
		})
	}
}
