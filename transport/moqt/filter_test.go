package moqt

import (
	"math"
	"testing"
)

func TestRangeFiltersCheck(t *testing.T) {
	one := func(field RangeField, ranges ...Range) RangeFilters {
		return RangeFilters{{Field: field, Ranges: ranges}}
	}
	const open = math.MaxUint64
	for _, test := range []struct {
		name    string
		filters RangeFilters
		max     uint64
		ok      bool
	}{
		{"none", nil, 0, true},
		{"removal", one(RangeObjectID), 0, true},
		{"one range, none allowed", one(RangeObjectID, Range{0, 9}), 0, false},
		{"one range", one(RangeObjectID, Range{0, 9}), 1, true},
		{"two ranges, one allowed", one(RangeObjectID, Range{0, 9}, Range{12, open}), 1, false},
		{"two filters, one range allowed", append(one(RangeObjectID, Range{0, 9}), one(RangeSubgroup, Range{0, 0})...), 1, false},
		{"ranges that touch", one(RangeSubgroup, Range{3, 5}, Range{5, open}), 2, true},
		{"ranges that overlap", one(RangeSubgroup, Range{3, 5}, Range{4, 9}), 2, false},
		{"range that ends too early", one(RangeSubgroup, Range{1, 0}), 2, false},
		{"priorities", one(RangePriority, Range{0, 255}), 2, true},
		{"priorities without an end", one(RangePriority, Range{7, open}), 2, true},
		{"priority 256", one(RangePriority, Range{0, 256}), 2, false},
		{"priority 256 without an end", one(RangePriority, Range{256, open}), 2, false},
		{"property", RangeFilters{{Field: RangeObjectProperty, Property: 0x0c, Ranges: []Range{{1, 3}}}}, 9, true},
		{"property of bytes", RangeFilters{{Field: RangeTrackProperty, Property: 0x0b, Ranges: []Range{{1, 3}}}}, 9, false},
		{"twice", append(one(RangeSubgroup, Range{0, 1}), one(RangeSubgroup, Range{4, 5})...), 9, false},
		{"in two sets", RangeFilters{{Ranges: []Range{{0, 1}}}, {Set: 255, Ranges: []Range{{0, 1}}}}, 9, true},
		{"of two properties", RangeFilters{{Field: RangeTrackProperty, Property: 2}, {Field: RangeTrackProperty, Property: 4}}, 9, true},
	} {
		if err := test.filters.Check(test.max); (err == nil) != test.ok {
			t.Errorf("%s: Check(%d) = %v, want ok: %v", test.name, test.max, err, test.ok)
		}
	}
}

func TestRangeFieldString(t *testing.T) {
	for f, want := range map[RangeField]string{
		RangeSubgroup: "SUBGROUP_FILTER", RangeObjectID: "OBJECTID_FILTER", RangePriority: "PRIORITY_FILTER",
		RangeObjectProperty: "OBJECT_PROPERTY_FILTER", RangeTrackProperty: "TRACK_PROPERTY_FILTER", 9: "range field 9",
	} {
		if got := f.String(); got != want {
			t.Errorf("RangeField(%d) = %q, want %q", uint8(f), got, want)
		}
	}
}
