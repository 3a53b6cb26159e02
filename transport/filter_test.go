package transport_test

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

func at(group, object uint64) moqt.Location { return moqt.Location{Group: group, Object: object} }

// TestFilters checks which objects a filter lets pass, and that FIRST_OBJECT is
// set where the first object of a subgroup is.
func TestFilters(t *testing.T) {
	largest := at(4, 1)
	for _, tt := range []struct {
		name   string
		filter moqt.Filter
		empty  bool     // nothing had been published
		want   []string // of groups 3 to 6 with objects 0 to 2
		first  []bool   // of the groups that come
	}{
		{"largest object", moqt.Filter{}, false, []string{"4/2 2", "5/0 0", "5/1 1", "5/2 2", "6/0 0", "6/1 1", "6/2 2"}, []bool{false, true, true}},
		{"next group", moqt.Filter{Kind: moqt.FilterNextGroup}, false, []string{"5/0 0", "5/1 1", "5/2 2", "6/0 0", "6/1 1", "6/2 2"}, []bool{true, true}},
		{"absolute start", moqt.Filter{Kind: moqt.FilterAbsoluteStart, Start: at(5, 1)}, false, []string{"5/1 1", "5/2 2", "6/0 0", "6/1 1", "6/2 2"}, []bool{false, true}},
		{"absolute start in the past", moqt.Filter{Kind: moqt.FilterAbsoluteStart, Start: at(3, 2)}, false,
			[]string{"3/2 2", "4/0 0", "4/1 1", "4/2 2", "5/0 0", "5/1 1", "5/2 2", "6/0 0", "6/1 1", "6/2 2"}, []bool{false, true, true, true}},
		{"absolute range", moqt.Filter{Kind: moqt.FilterAbsoluteRange, Start: at(4, 2), EndGroup: 5}, false, []string{"4/2 2", "5/0 0", "5/1 1", "5/2 2"}, []bool{false, true}},
		{"one group", moqt.Filter{Kind: moqt.FilterAbsoluteRange, Start: at(5, 0), EndGroup: 5}, false, []string{"5/0 0", "5/1 1", "5/2 2"}, []bool{true}},
		{"none", moqt.Filter{Kind: moqt.FilterNone}, false,
			[]string{"3/0 0", "3/1 1", "3/2 2", "4/0 0", "4/1 1", "4/2 2", "5/0 0", "5/1 1", "5/2 2", "6/0 0", "6/1 1", "6/2 2"}, []bool{true, true, true, true}},
		{"largest object of nothing", moqt.Filter{}, true,
			[]string{"3/0 0", "3/1 1", "3/2 2", "4/0 0", "4/1 1", "4/2 2", "5/0 0", "5/1 1", "5/2 2", "6/0 0", "6/1 1", "6/2 2"}, []bool{true, true, true, true}},
		{"next group of nothing", moqt.Filter{Kind: moqt.FilterNextGroup}, true,
			[]string{"3/0 0", "3/1 1", "3/2 2", "4/0 0", "4/1 1", "4/2 2", "5/0 0", "5/1 1", "5/2 2", "6/0 0", "6/1 1", "6/2 2"}, []bool{true, true, true, true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachDraft(t, func(t *testing.T, v moqt.Version) {
				c, s := pipeOf(t, v, nil, nil)
				r, w := subscribed(t, c, s, &transport.SubscribeOptions{Filter: tt.filter},
					&transport.PublishOptions{Largest: func() (moqt.Location, bool) { return largest, !tt.empty }})
				for g := uint64(3); g <= 6; g++ {
					sg := open(t, w, moqt.Subgroup{Group: g, First: true, EndOfGroup: true})
					put(t, sg, 0, 1, 2)
					if err := sg.Close(); err != nil {
						t.Errorf("Close() = %v", err)
					}
				}
				w.Close()
				byGroup := make(map[uint64][]string) // streams come in any order
				first := make(map[uint64]bool)
				for range tt.first {
					in := next(t, r)
					h := in.Header()
					if first[h.Group] = h.First; !h.EndOfGroup {
						t.Errorf("Header() = %+v, want EndOfGroup", h)
					}
					for {
						o, err := in.ReadObject()
						if err != nil {
							if err != io.EOF {
								t.Errorf("group %d ended with %v, want EOF", h.Group, err)
							}
							break
						}
						byGroup[h.Group] = append(byGroup[h.Group], fmt.Sprintf("%v %s", o.Location, o.Payload))
					}
				}
				var got []string
				var gotFirst []bool
				for _, g := range slices.Sorted(maps.Keys(byGroup)) {
					got, gotFirst = append(got, byGroup[g]...), append(gotFirst, first[g])
				}
				want := tt.first
				if !ability(v).FirstObjectBit() {
					want = make([]bool, len(tt.first))
				}
				if !slices.Equal(gotFirst, want) {
					t.Errorf("First = %v, want %v", gotFirst, want)
				}
				wantObjects(t, got, tt.want...)
				if _, err := r.AcceptSubgroup(t.Context()); err == nil {
					t.Error("one stream more than wanted")
				}
			})
		})
	}
}

// TestLargestRules checks the limits of locations.
func TestLargestRules(t *testing.T) {
	const last = 1<<64 - 1
	wide := func(t *testing.T, l moqt.Location, v moqt.Version) {
		if max(l.Group, l.Object) > ability(v).MaxVarint() {
			t.Skipf("%v has no location %v", v, l)
		}
	}
	for _, tt := range []struct {
		filter  moqt.FilterKind
		largest moqt.Location
		want    moqt.Location
	}{
		{moqt.FilterLargestObject, at(3, last), at(4, 0)},
		{moqt.FilterLargestObject, at(last, 7), at(last, 8)},
		{moqt.FilterNextGroup, at(3, 7), at(4, 0)},
	} {
		eachDraft(t, func(t *testing.T, v moqt.Version) {
			wide(t, tt.largest, v)
			c, s := pipeOf(t, v, nil, nil)
			_, w := subscribed(t, c, s, &transport.SubscribeOptions{Filter: moqt.Filter{Kind: tt.filter}},
				&transport.PublishOptions{Largest: func() (moqt.Location, bool) { return tt.largest, true }})
			if got := w.State().Start; got != tt.want {
				t.Errorf("filter %d after %v starts at %v, want %v", tt.filter, tt.largest, got, tt.want)
			}
		})
	}
	// Beyond the last location nothing can come.
	for _, tt := range []struct {
		filter  moqt.FilterKind
		largest moqt.Location
	}{{moqt.FilterNextGroup, at(last, 0)}, {moqt.FilterLargestObject, at(last, last)}} {
		eachDraft(t, func(t *testing.T, v moqt.Version) {
			wide(t, tt.largest, v)
			c, s := pipeOf(t, v, nil, nil)
			r, w := subscribed(t, c, s, &transport.SubscribeOptions{Filter: moqt.Filter{Kind: tt.filter}},
				&transport.PublishOptions{Largest: func() (moqt.Location, bool) { return tt.largest, true }})
			write(t, w, 0, []string{"old"})
			w.Close()
			got, _ := read(t, r)
			wantObjects(t, got)
		})
	}
}

// TestNarrow moves the start for a publisher that does not have the past.
func TestNarrow(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		r, w := subscribed(t, c, s, &transport.SubscribeOptions{Filter: moqt.Filter{Kind: moqt.FilterNone}}, nil)
		w.Narrow(at(2, 1))
		w.Narrow(at(1, 0)) // not back
		write(t, w, 1, []string{"x"}, []string{"x", "a"}, []string{"b"})
		w.Close()
		got, _ := read(t, r)
		wantObjects(t, got, "2/1 a", "3/0 b")
	})
}
