package transport

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// rankedStream takes note of the priority it is given.
type rankedStream struct {
	SendStream
	name string
	rank string
	sets int

	t      *TrackWriter
	placed *schedStream
}

func (s *rankedStream) SetPriority(urgency int8, incremental bool) {
	s.rank = fmt.Sprint(urgency)
	if !incremental {
		s.rank += " to the end"
	}
	s.sets++
}

// ranked is a stream to be placed. Streams of one track have one priority of the
// subscriber and one order.
type ranked struct {
	track    uint64
	sub, pub moqt.Priority
	order    moqt.GroupOrder
	group    uint64
	subgroup uint64
	fill     moqt.GroupOrder // if set, it is a fill of the subscription
}

// place puts streams into s and returns them.
func place(s *sched, streams []ranked) []*rankedStream {
	tracks := make(map[uint64]*TrackWriter)
	var placed []*rankedStream
	for _, r := range streams {
		t := tracks[r.track]
		if t == nil {
			t = &TrackWriter{alias: r.track, state: SubscriptionState{Priority: r.sub, Order: r.order}}
			tracks[r.track] = t
		}
		st := &rankedStream{name: fmt.Sprintf("%d:%d/%d", r.track, r.group, r.subgroup), t: t}
		sg := moqt.Subgroup{Group: r.group, ID: r.subgroup, Priority: r.pub}
		st.placed = s.add(st, func() schedKey {
			if r.fill != moqt.OrderDefault {
				return t.fillKey(r.sub, r.pub, r.fill, r.group)
			}
			return t.subgroupKey(&sg)
		})
		placed = append(placed, st)
	}
	return placed
}

// ranks prints the urgency of each stream, and g where it has to pass the gate.
func ranks(streams []*rankedStream) string {
	var s []string
	for _, st := range streams {
		rank := st.name + "=" + st.rank
		if st.placed.last.Load() {
			rank += "g"
		}
		s = append(s, rank)
	}
	return strings.Join(s, " ")
}

// TestRanks checks the order of "Scheduling Algorithm": a lower urgency goes
// first.
func TestRanks(t *testing.T) {
	const asc, desc = moqt.Ascending, moqt.Descending
	for _, tt := range []struct {
		name    string
		streams []ranked
		want    string
	}{
		{"one stream", []ranked{{1, 128, 128, asc, 0, 0, 0}}, "1:0/0=2"},
		{"tracks of equal priority move together", []ranked{{1, 128, 128, asc, 0, 0, 0}, {2, 128, 128, asc, 9, 0, 0}}, "1:0/0=2 2:9/0=2"},
		{"subscriber priority", []ranked{{1, 200, 128, asc, 0, 0, 0}, {2, 10, 128, asc, 0, 0, 0}, {3, 100, 128, asc, 0, 0, 0}}, "1:0/0=4 2:0/0=2 3:0/0=3"},
		{"publisher priority", []ranked{{1, 128, 9, asc, 0, 0, 0}, {1, 128, 1, asc, 0, 1, 0}}, "1:0/0=3 1:0/1=2"},
		{"subscriber before publisher priority", []ranked{{1, 1, 255, asc, 0, 0, 0}, {2, 2, 0, asc, 0, 0, 0}}, "1:0/0=2 2:0/0=3"},
		{"groups ascending", []ranked{{1, 128, 128, asc, 7, 0, 0}, {1, 128, 128, asc, 5, 0, 0}, {1, 128, 128, asc, 6, 0, 0}}, "1:7/0=4 1:5/0=2 1:6/0=3"},
		{"groups descending", []ranked{{1, 128, 128, desc, 7, 0, 0}, {1, 128, 128, desc, 5, 0, 0}, {1, 128, 128, desc, 6, 0, 0}}, "1:7/0=2 1:5/0=4 1:6/0=3"},
		{"subgroups of one group", []ranked{{1, 128, 128, desc, 7, 2, 0}, {1, 128, 128, desc, 7, 0, 0}}, "1:7/2=3 1:7/0=2"},
		{"publisher priority before group order", []ranked{{1, 128, 5, asc, 1, 0, 0}, {1, 128, 4, asc, 2, 0, 0}}, "1:1/0=3 1:2/0=2"},
		{"older groups of all tracks come behind the heads", []ranked{{1, 128, 128, asc, 1, 0, 0}, {1, 128, 128, asc, 2, 0, 0}, {2, 128, 128, asc, 1, 0, 0}, {3, 129, 128, asc, 1, 0, 0}},
			"1:1/0=2 1:2/0=3 2:1/0=2 3:1/0=4"},
		{"a fill before its group", []ranked{{1, 128, 128, asc, 4, 0, 0}, {1, 128, 128, asc, 5, 0, 0}, {1, 128, 128, asc, 4, 0, asc}}, "1:4/0=3 1:5/0=4 1:4/0=2"},
		{"a fill behind an earlier group", []ranked{{1, 128, 128, desc, 5, 0, 0}, {1, 128, 128, desc, 4, 0, desc}}, "1:5/0=2 1:4/0=3"},
		{"a fill in another order", []ranked{{1, 128, 128, asc, 5, 0, 0}, {1, 128, 128, asc, 4, 0, desc}}, "1:5/0=2 1:4/0=3"},
		{"as many ranks as levels", []ranked{{1, 1, 0, asc, 0, 0, 0}, {2, 2, 0, asc, 0, 0, 0}, {3, 3, 0, asc, 0, 0, 0}, {4, 4, 0, asc, 0, 0, 0}, {5, 5, 0, asc, 0, 0, 0},
			{6, 6, 0, asc, 0, 0, 0}, {7, 7, 0, asc, 0, 0, 0}, {8, 7, 0, asc, 0, 0, 0}},
			"1:0/0=1 2:0/0=2 3:0/0=3 4:0/0=4 5:0/0=5 6:0/0=6 7:0/0=7 8:0/0=7"},
		{"more ranks than levels", []ranked{{1, 1, 0, asc, 0, 0, 0}, {2, 2, 0, asc, 0, 0, 0}, {3, 3, 0, asc, 0, 0, 0}, {4, 4, 0, asc, 0, 0, 0}, {5, 5, 0, asc, 0, 0, 0},
			{6, 6, 0, asc, 0, 0, 0}, {7, 7, 0, asc, 0, 0, 0}, {8, 8, 0, asc, 0, 0, 0}, {8, 8, 0, asc, 1, 0, 0}},
			"1:0/0=1 2:0/0=2 3:0/0=3 4:0/0=4 5:0/0=5 6:0/0=6 7:0/0=7g 8:0/0=7g 8:1/0=7g"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := sched{first: levelData}
			if got := ranks(place(&s, tt.streams)); got != tt.want {
				t.Errorf("ranks = %s, want %s", got, tt.want)
			}
			// The order in which streams are opened does not matter.
			r := sched{first: levelData}
			reverse := slices.Clone(tt.streams)
			slices.Reverse(reverse)
			placed := place(&r, reverse)
			slices.Reverse(placed)
			if got := ranks(placed); got != tt.want {
				t.Errorf("ranks = %s, want %s if they are opened the other way round", got, tt.want)
			}
		})
	}
}

// TestRanksBesideWebTransport keeps data behind QUIC's default of 3.
func TestRanksBesideWebTransport(t *testing.T) {
	s := sched{first: levelWebTransport}
	streams := place(&s, []ranked{{1, 1, 0, moqt.Ascending, 0, 0, 0}, {1, 1, 0, moqt.Ascending, 1, 0, 0}, {2, 2, 0, moqt.Ascending, 0, 0, 0}, {3, 3, 0, moqt.Ascending, 0, 0, 0}, {4, 4, 0, moqt.Ascending, 0, 0, 0}})
	if got, want := ranks(streams), "1:0/0=4 1:1/0=5 2:0/0=6 3:0/0=7g 4:0/0=7g"; got != want {
		t.Errorf("ranks = %s, want %s", got, want)
	}
}

func TestRanksChange(t *testing.T) {
	s := sched{first: levelData}
	streams := place(&s, []ranked{{1, 128, 128, moqt.Ascending, 1, 0, 0}, {1, 128, 128, moqt.Ascending, 2, 0, 0}, {1, 128, 128, moqt.Ascending, 3, 0, 0}, {2, 200, 128, moqt.Ascending, 1, 0, 0}})
	check := func(when, want string) {
		t.Helper()
		if got := ranks(streams); got != want {
			t.Errorf("%s: ranks = %s, want %s", when, got, want)
		}
	}
	check("at first", "1:1/0=2 1:2/0=3 1:3/0=4 2:1/0=5")
	s.remove(streams[0].placed)
	s.remove(streams[0].placed)
	if rest := streams[0].rank; rest != "1" {
		t.Errorf("what is left of a stream that has ended has level %s, want the first alone", rest)
	}
	streams = streams[1:]
	check("when the head has ended", "1:2/0=2 1:3/0=3 2:1/0=4")
	streams[2].t.state.Priority = 1
	s.rekey()
	check("when the second track is preferred", "1:2/0=3 1:3/0=4 2:1/0=2")
	sets := streams[2].sets
	for range 10 {
		s.rekey()
	}
	if streams[2].sets != sets {
		t.Error("a priority that stays is set again")
	}
	for _, st := range streams {
		s.remove(st.placed)
	}
	if len(s.active) != 0 {
		t.Errorf("%d streams are left", len(s.active))
	}
}

// nullStream takes everything at once.
type nullStream struct{ SendStream }

func (nullStream) Write(p []byte) (int, error)      { return len(p), nil }
func (nullStream) SetPriority(int8, bool)           {}
func (nullStream) CancelWrite(moqt.StreamCode)      {}
func (nullStream) Context() context.Context         { return context.Background() }
func (nullStream) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkSched measures what the order costs an object, and a stream.
func BenchmarkSched(b *testing.B) {
	// with returns a session's order with n streams, each of a rank of its own.
	with := func(n int) (*sched, []*schedStream) {
		s := &sched{first: levelData}
		var streams []*schedStream
		for i := range n {
			streams = append(streams, s.add(nullStream{}, func() schedKey { return schedKey{sub: moqt.Priority(i)} }))
		}
		return s, streams
	}
	object := make([]byte, 8<<10)
	for _, n := range []int{1, 7, 100} {
		b.Run(fmt.Sprintf("object/%d-ranks", n), func(b *testing.B) {
			_, streams := with(n)
			last := streams[n-1]
			last.Write(object)
			b.ReportAllocs()
			for b.Loop() {
				last.Write(object)
			}
		})
	}
	for _, n := range []int{3, 100, 1000} {
		b.Run(fmt.Sprintf("stream/beside-%d", n), func(b *testing.B) {
			s, _ := with(n)
			key := func() schedKey { return schedKey{sub: 255, track: 1} }
			b.ReportAllocs()
			for b.Loop() {
				s.remove(s.add(nullStream{}, key))
			}
		})
	}
}
