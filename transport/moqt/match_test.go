package moqt

import (
	"reflect"
	"testing"
)

func TestRangeFiltersMatch(t *testing.T) {
	in := func(field RangeField, set uint8, ranges ...Range) RangeFilter {
		return RangeFilter{Field: field, Set: set, Property: 0x78, Ranges: ranges}
	}
	o := Object{Location: Location{7, 12}, Subgroup: 3, Priority: 100,
		Properties: Properties{{Type: 0x77, Bytes: []byte{1}}, {Type: 0x78, Value: 5}, {Type: 0x78, Value: 50}}}
	for _, test := range []struct {
		name    string
		filters RangeFilters
		want    bool
	}{
		{"none", nil, true},
		{"object id", RangeFilters{in(RangeObjectID, 0, Range{12, 12})}, true},
		{"object id of another range", RangeFilters{in(RangeObjectID, 0, Range{0, 11}, Range{13, 20})}, false},
		{"second range", RangeFilters{in(RangeObjectID, 0, Range{0, 11}, Range{12, ^uint64(0)})}, true},
		{"subgroup", RangeFilters{in(RangeSubgroup, 0, Range{3, 4})}, true},
		{"other subgroup", RangeFilters{in(RangeSubgroup, 0, Range{0, 2})}, false},
		{"priority", RangeFilters{in(RangePriority, 0, Range{0, 100})}, true},
		{"other priority", RangeFilters{in(RangePriority, 0, Range{0, 99})}, false},
		{"property", RangeFilters{in(RangeObjectProperty, 0, Range{5, 5})}, true},
		{"second of the type", RangeFilters{in(RangeObjectProperty, 0, Range{50, 50})}, true},
		{"other value", RangeFilters{in(RangeObjectProperty, 0, Range{6, 49})}, false},
		{"no such property", RangeFilters{{Field: RangeObjectProperty, Property: 0x7a, Ranges: []Range{{0, ^uint64(0)}}}}, false},
		{"both of a set", RangeFilters{in(RangeObjectID, 1, Range{12, 12}), in(RangeSubgroup, 1, Range{3, 3})}, true},
		{"one of a set", RangeFilters{in(RangeObjectID, 1, Range{12, 12}), in(RangeSubgroup, 1, Range{4, 4})}, false},
		{"one of two sets", RangeFilters{in(RangeObjectID, 1, Range{12, 12}), in(RangeSubgroup, 255, Range{4, 4})}, true},
		{"the other of two sets", RangeFilters{in(RangeObjectID, 255, Range{13, 13}), in(RangeSubgroup, 0, Range{3, 3})}, true},
		{"none of two sets", RangeFilters{in(RangeObjectID, 0, Range{13, 13}), in(RangeSubgroup, 1, Range{4, 4})}, false},
		{"of tracks", RangeFilters{in(RangeTrackProperty, 0, Range{9, 9})}, true},
		{"without ranges", RangeFilters{in(RangeObjectID, 0)}, true},
	} {
		if got := test.filters.Match(&o); got != test.want {
			t.Errorf("%s: Match(%+v) = %v, want %v", test.name, o, got, test.want)
		}
	}
	gram := Object{Datagram: true}
	if fs := (RangeFilters{in(RangeSubgroup, 0, Range{0, 0})}); fs.Match(&gram) {
		t.Error("a datagram, which is of no subgroup, passes a filter of subgroups")
	}
}

func TestRangeFiltersTrack(t *testing.T) {
	track := func(set uint8, ranges ...Range) RangeFilter {
		return RangeFilter{Field: RangeTrackProperty, Set: set, Property: 0x78, Ranges: ranges}
	}
	object := func(set uint8) RangeFilter { return RangeFilter{Set: set, Ranges: []Range{{1, 2}}} }
	props := Properties{{Type: 0x78, Value: 5}}
	yes, no := []Range{{5, 5}}, []Range{{6, 6}}
	for _, test := range []struct {
		name    string
		filters RangeFilters
		objects RangeFilters
		ok      bool
	}{
		{"none", nil, nil, true},
		{"passes", RangeFilters{track(0, yes...)}, nil, true},
		{"does not", RangeFilters{track(0, no...)}, nil, false},
		{"objects alone", RangeFilters{object(3)}, RangeFilters{object(3)}, true},
		{"both of a set", RangeFilters{track(1, yes...), object(1)}, RangeFilters{object(1)}, true},
		{"objects of a set that is out", RangeFilters{track(1, no...), object(1)}, nil, false},
		{"one set is out", RangeFilters{track(1, no...), object(1), object(2)}, RangeFilters{object(2)}, true},
		{"one set asks for nothing", RangeFilters{track(1, yes...), object(2)}, nil, true},
		{"without ranges", RangeFilters{track(1)}, nil, true},
	} {
		objects, ok := test.filters.Track(props)
		if ok != test.ok || !reflect.DeepEqual(objects, test.objects) {
			t.Errorf("%s: Track() = %v, %v, want %v, %v", test.name, objects, ok, test.objects, test.ok)
		}
	}
}

func TestRangeFiltersUpdate(t *testing.T) {
	f := func(field RangeField, set uint8, ranges ...Range) RangeFilter {
		return RangeFilter{Field: field, Set: set, Ranges: ranges}
	}
	before := RangeFilters{f(RangeSubgroup, 0, Range{1, 1}), f(RangeSubgroup, 1, Range{2, 2}), f(RangePriority, 0, Range{3, 3})}
	for _, test := range []struct {
		name         string
		update, want RangeFilters
	}{
		{"nothing", nil, before},
		{"removal", RangeFilters{f(RangeSubgroup, 0)}, RangeFilters{before[2]}},
		{"replacement of all sets", RangeFilters{f(RangeSubgroup, 4, Range{5, 6})}, RangeFilters{before[2], f(RangeSubgroup, 4, Range{5, 6})}},
		{"another field", RangeFilters{f(RangeObjectID, 0, Range{5, 6})}, append(before[:3:3], f(RangeObjectID, 0, Range{5, 6}))},
	} {
		if got := before.Update(test.update); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: Update(%v) = %v, want %v", test.name, test.update, got, test.want)
		}
	}
}
