package wire

import (
	"math"
	"reflect"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

// A range filter that tells no ranges of 64 bits ends the request and not the
// session: it is read, and Check refuses it.
func TestBadRangeFilters(t *testing.T) {
	max := AppendVarint(nil, math.MaxUint64)
	for name, value := range map[string][]byte{
		"start too large":        append([]byte{1, 2, 3}, max...),
		"end too large":          append([]byte{1, 5}, max...),
		"second start too large": append(append([]byte{1, 0, 9}, max...), 4),
		"no range":               {1},
	} {
		d := decoder{p: &draft19, b: append(AppendVarint(nil, uint64(len(value))), value...)}
		f := d.rangeFilter(moqt.RangeObjectID)
		if d.err != nil || len(d.b) > 0 || f.Set != 1 {
			t.Errorf("%s: %+v, %v, %d bytes left", name, f, d.err, len(d.b))
		}
		if err := (moqt.RangeFilters{f}).Check(math.MaxUint64); err == nil {
			t.Errorf("%s: Check accepts %+v", name, f)
		}
	}
}

func TestRangeFilterEncoding(t *testing.T) {
	for _, test := range []struct {
		name   string
		filter moqt.RangeFilter
		ok     bool
	}{
		{"none", moqt.RangeFilter{Field: moqt.RangeSubgroup}, true},
		{"all", moqt.RangeFilter{Set: 255, Ranges: []moqt.Range{{First: 0, Last: math.MaxUint64}}}, true},
		{"end before the last range", moqt.RangeFilter{Ranges: []moqt.Range{{First: 5, Last: math.MaxUint64}, {First: math.MaxUint64, Last: math.MaxUint64}}}, true},
		{"property", moqt.RangeFilter{Field: moqt.RangeTrackProperty, Property: math.MaxUint64 - 1, Ranges: []moqt.Range{{First: 1, Last: 2}, {First: 2, Last: 2}}}, true},
		{"range that ends before it starts", moqt.RangeFilter{Ranges: []moqt.Range{badRange}}, false},
		{"ranges out of order", moqt.RangeFilter{Ranges: []moqt.Range{{First: 5, Last: 6}, {First: 3, Last: 9}}}, false},
	} {
		e := encoder{p: &draft19}
		e.rangeFilter(&test.filter)
		if (e.err == nil) != test.ok {
			t.Errorf("%s: %v, want ok: %v", test.name, e.err, test.ok)
		}
		if !test.ok {
			continue
		}
		d := decoder{p: &draft19, b: e.b}
		if got := d.rangeFilter(test.filter.Field); d.err != nil || !reflect.DeepEqual(got, test.filter) {
			t.Errorf("%s: %x read as %+v, %v, want %+v", test.name, e.b, got, d.err, test.filter)
		}
	}
}
