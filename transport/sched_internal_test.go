package transport

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// rankedStream takes note of the priority it is given.
type rankedStream struct {
	SendStream
	name string
	rank string
	sets int
}

func (s *rankedStream) SetPriority(urgency int8, incremental bool) {
	s.rank = fmt.Sprint(urgency)
	if incremental {
		s.rank += "i"
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
		st := &rankedStream{name: fmt.Sprintf("%d:%d/%d", r.track, r.group, r.subgroup)}
		s.add(&SubgroupWriter{t: t, header: wire.SubgroupHeader{Subgroup: moqt.Subgroup{Group: r.group, ID: r.subgroup, Priority: r.pub}}}, st)
		placed = append(placed, st)
	}
	return placed
}

// ranks prints the urgency of each stream, and i where it shares it by turns.
func ranks(streams []*rankedStream) string {
	var s []string
	for _, st := range streams {
		s = append(s, st.name+"="+st.rank)
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
		{"one stream", []ranked{{1, 128, 128, asc, 0, 0}}, "1:0/0=1i"},
		{"tracks of equal priority move together", []ranked{{1, 128, 128, asc, 0, 0}, {2, 128, 128, asc, 9, 0}}, "1:0/0=1i 2:9/0=1i"},
		{"subscriber priority", []ranked{{1, 200, 128, asc, 0, 0}, {2, 10, 128, asc, 0, 0}, {3, 100, 128, asc, 0, 0}}, "1:0/0=3i 2:0/0=1i 3:0/0=2i"},
		{"publisher priority", []ranked{{1, 128, 9, asc, 0, 0}, {1, 128, 1, asc, 0, 1}}, "1:0/0=2i 1:0/1=1i"},
		{"subscriber before publisher priority", []ranked{{1, 1, 255, asc, 0, 0}, {2, 2, 0, asc, 0, 0}}, "1:0/0=1i 2:0/0=2i"},
		{"groups ascending", []ranked{{1, 128, 128, asc, 7, 0}, {1, 128, 128, asc, 5, 0}, {1, 128, 128, asc, 6, 0}}, "1:7/0=2 1:5/0=1i 1:6/0=2"},
		{"groups descending", []ranked{{1, 128, 128, desc, 7, 0}, {1, 128, 128, desc, 5, 0}, {1, 128, 128, desc, 6, 0}}, "1:7/0=1i 1:5/0=2 1:6/0=2"},
		{"subgroups of one group", []ranked{{1, 128, 128, desc, 7, 2}, {1, 128, 128, desc, 7, 0}}, "1:7/2=2 1:7/0=1i"},
		{"publisher priority before group order", []ranked{{1, 128, 5, asc, 1, 0}, {1, 128, 4, asc, 2, 0}}, "1:1/0=2i 1:2/0=1i"},
		{"older groups of all tracks come behind the heads", []ranked{{1, 128, 128, asc, 1, 0}, {1, 128, 128, asc, 2, 0}, {2, 128, 128, asc, 1, 0}, {3, 129, 128, asc, 1, 0}},
			"1:1/0=1i 1:2/0=2 2:1/0=1i 3:1/0=3i"},
		{"more priorities than levels", []ranked{{1, 1, 0, asc, 0, 0}, {2, 2, 0, asc, 0, 0}, {3, 3, 0, asc, 0, 0}, {4, 4, 0, asc, 0, 0}, {5, 5, 0, asc, 0, 0},
			{6, 6, 0, asc, 0, 0}, {7, 7, 0, asc, 0, 0}, {8, 8, 0, asc, 0, 0}, {8, 8, 0, asc, 1, 0}},
			"1:0/0=1i 2:0/0=2i 3:0/0=3i 4:0/0=4i 5:0/0=5i 6:0/0=6i 7:0/0=7i 8:0/0=7i 8:1/0=7"},
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
	streams := place(&s, []ranked{{1, 1, 0, moqt.Ascending, 0, 0}, {1, 1, 0, moqt.Ascending, 1, 0}, {2, 2, 0, moqt.Ascending, 0, 0}, {3, 3, 0, moqt.Ascending, 0, 0}, {4, 4, 0, moqt.Ascending, 0, 0}})
	if got, want := ranks(streams), "1:0/0=4i 1:1/0=5 2:0/0=6i 3:0/0=7i 4:0/0=7i"; got != want {
		t.Errorf("ranks = %s, want %s", got, want)
	}
	if a, b := s.fetchLevel(moqt.DefaultPriority), s.fetchLevel(200); a != 4 || b != 7 {
		t.Errorf("fetchLevel() = %d and %d, want 4 and 7", a, b)
	}
}

func TestRanksChange(t *testing.T) {
	s := sched{first: levelData}
	streams := place(&s, []ranked{{1, 128, 128, moqt.Ascending, 1, 0}, {1, 128, 128, moqt.Ascending, 2, 0}, {1, 128, 128, moqt.Ascending, 3, 0}, {2, 200, 128, moqt.Ascending, 1, 0}})
	check := func(when, want string) {
		t.Helper()
		if got := ranks(streams); got != want {
			t.Errorf("%s: ranks = %s, want %s", when, got, want)
		}
	}
	check("at first", "1:1/0=1i 1:2/0=2 1:3/0=2 2:1/0=3i")
	s.remove(streams[0])
	s.remove(streams[0])
	streams = streams[1:]
	check("when the head has ended", "1:2/0=1i 1:3/0=2 2:1/0=3i")
	two := s.active[2].w.t
	two.state.Priority = 1
	s.rekey(two)
	check("when the second track is preferred", "1:2/0=2i 1:3/0=3 2:1/0=1i")
	sets := streams[2].sets
	for range 10 {
		s.rekey(two)
	}
	if streams[2].sets != sets {
		t.Error("a priority that stays is set again")
	}
	for _, st := range streams {
		s.remove(st)
	}
	if len(s.active) != 0 {
		t.Errorf("%d streams are left", len(s.active))
	}
}
