package bonds

import (
	"slices"
	"strings"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
)

// State is what one bond shows of itself to its operator.
type State struct {
	ID        string        `json:"id"` // its beginning: who has all of it may try to join
	Age       string        `json:"age"`
	Held      int64         `json:"held_bytes"`
	Objects   int64         `json:"objects"`
	Lost      int64         `json:"objects_lost"`
	Bytes     int64         `json:"bytes"`
	Duplicate int64         `json:"bytes_duplicate"`
	Tracks    int           `json:"tracks"`
	Members   []MemberState `json:"members"`
}

// MemberState is one connection of a bond.
type MemberState struct {
	Number    uint64        `json:"number"`
	Path      string        `json:"path"`
	Cost      string        `json:"cost"`
	Remote    string        `json:"remote"`
	Age       string        `json:"age"`
	RTT       time.Duration `json:"rtt_ns"`
	Chunks    int64         `json:"chunks"`
	Bytes     int64         `json:"bytes"`
	Duplicate int64         `json:"bytes_duplicate"`
	Alone     int64         `json:"objects_alone"` // that it had sent all of when they were whole
	FPS       float64       `json:"fps_alone"`     // those, each second
	Gap       float64       `json:"gap_alone_ms"`  // longest time without one of them in the last two seconds
}

// State returns a snapshot, bonds and members in order of name.
func (r *Registry) State() []State {
	all := []State{}
	for _, b := range r.list() {
		all = append(all, b.state())
	}
	slices.SortFunc(all, func(x, y State) int { return strings.Compare(x.ID, y.ID) })
	return all
}

func (r *Registry) list() []*Bond {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*Bond, 0, len(r.bonds))
	for _, b := range r.bonds {
		all = append(all, b)
	}
	return all
}

func (b *Bond) state() State {
	stats := b.asm.Stats()
	s := State{
		ID: b.Name(), Age: age(b.began), Held: b.asm.Held(),
		Objects: stats.Objects, Lost: stats.Lost, Bytes: stats.Bytes, Duplicate: stats.Duplicate, Members: []MemberState{},
	}
	b.mu.Lock()
	members := slices.Clone(b.members)
	s.Tracks = len(b.tracks)
	b.mu.Unlock()
	now := time.Now()
	for _, m := range members {
		alone := m.alone.Copy(now)
		s.Members = append(s.Members, MemberState{
			Number: m.number, Path: m.path, Cost: m.cost.String(), Remote: remote(m.sess), Age: age(m.began),
			RTT: m.sess.Stats().RTT, Chunks: m.chunks.Load(), Bytes: m.fresh.Load(), Duplicate: m.duplicate.Load(),
			Alone: alone.Objects, FPS: alone.FPS, Gap: alone.Gap,
		})
	}
	slices.SortFunc(s.Members, func(x, y MemberState) int { return int(min(x.Number, 1<<62)) - int(min(y.Number, 1<<62)) })
	return s
}

func age(since time.Time) string { return time.Since(since).Round(time.Millisecond).String() }

// stats adds up those of all bonds, also of those that are over.
func (r *Registry) stats() (sum bond.Stats) {
	r.mu.Lock()
	sum = r.past
	r.mu.Unlock()
	for _, b := range r.list() {
		s := b.asm.Stats()
		sum.Objects, sum.Lost = sum.Objects+s.Objects, sum.Lost+s.Lost
	}
	return sum
}
