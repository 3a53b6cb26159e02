package relay

import (
	"sort"
	"sync"
	"time"

	"github.com/tributary-live/tributary/relay/bonds"
	"github.com/tributary-live/tributary/transport/moqt"
)

// copies compares what the publishers of a track bring. The first copy of an object
// is the one that counts, so there is nothing to choose between them; how each fares
// is for the operator.
type copies struct {
	mu    sync.Mutex // guards what follows
	first map[moqt.Location]time.Time
	order []moqt.Location // of first, a ring
	next  int
}

// maxFirsts is how many objects are remembered. A copy that is further behind
// counts as the first.
const maxFirsts = 128

// late returns how long before now an object was there first: 0 if it was not.
func (c *copies) late(l moqt.Location, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.first[l]; ok {
		return max(now.Sub(at), 1)
	}
	if c.first == nil {
		c.first = make(map[moqt.Location]time.Time)
	}
	if len(c.order) < maxFirsts {
		c.order = append(c.order, l)
	} else {
		delete(c.first, c.order[c.next])
		c.order[c.next] = l
		c.next = (c.next + 1) % maxFirsts
	}
	c.first[l] = now
	return 0
}

// arrived notes in m that a copy of an object is whole.
func (t *track) arrived(m *bonds.Meter, l moqt.Location, size int64) {
	now := time.Now()
	late := t.copies.late(l, now)
	gap, group := m.Note(l.Group, size, late, now)
	if gap > 0 {
		t.r.m.gaps.Observe(gap.Seconds())
	}
	if group > 0 {
		t.r.m.groups.Observe(group.Seconds())
	}
	if late > 0 {
		t.r.m.lateness.Observe(late.Seconds())
	}
}

// CopyState is how one publisher's copy of a track fares.
type CopyState struct {
	Session uint64        `json:"session,omitempty"` // that brings it, or the bond
	Bond    string        `json:"bond,omitempty"`
	RTT     time.Duration `json:"rtt_ns,omitempty"`
	bonds.Copy
}

// copyStates returns the copies that sources and bonds have brought something of.
func (t *track) copyStates(sources []*source) []CopyState {
	now := time.Now()
	states := []CopyState{}
	told := make(map[*bonded]bool)
	for _, s := range sources {
		if c := s.meter.Copy(now); c.Objects > 0 {
			states = append(states, CopyState{Session: s.p.id, RTT: s.p.sess.Stats().RTT, Copy: c})
		}
		pub := s.bonded.Load()
		if pub == nil {
			continue
		}
		b := pub.Track().(*bonded)
		if c := b.meter.Copy(now); c.Objects > 0 && !told[b] {
			told[b] = true
			states = append(states, CopyState{Bond: pub.Bond().Name(), Copy: c})
		}
	}
	sort.Slice(states, func(i, j int) bool {
		if states[i].Session != states[j].Session {
			return states[i].Session < states[j].Session
		}
		return states[i].Bond < states[j].Bond
	})
	return states
}
