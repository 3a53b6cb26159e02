package wire

import (
	"math"

	"github.com/tributary-live/tributary/transport/moqt"
)

// badRange stands for a range that no numbers of 64 bits can tell. It makes
// [moqt.RangeFilters.Check] fail, which is what the draft wants: such a filter
// ends the request and not the session.
var badRange = moqt.Range{First: 1, Last: 0}

// rangeFilter reads a range filter: a length, and if that is not 0 the set, for
// properties their type, and ranges as distances from the number before.
func (d *decoder) rangeFilter(field moqt.RangeField) moqt.RangeFilter {
	f := moqt.RangeFilter{Field: field}
	in := decoder{p: d.p, b: d.bytes(field.String(), maxMessageSize)}
	if len(in.b) == 0 {
		return f
	}
	f.Set = in.byte("Set ID")
	if ofProperty(field) {
		f.Property = in.varint("Property Type")
	}
	if len(in.b) == 0 {
		f.Ranges = []moqt.Range{badRange}
	}
	for last := uint64(0); len(in.b) > 0; {
		r := moqt.Range{Last: math.MaxUint64}
		var overflow bool
		if r.First, overflow = in.plus(last); len(in.b) > 0 && !overflow {
			r.Last, overflow = in.plus(r.First)
		}
		if overflow {
			r, in.b = badRange, nil
		}
		f.Ranges = append(f.Ranges, r)
		last = r.Last
	}
	if in.err != nil {
		d.fail(in.err)
	}
	return f
}

// plus reads a distance from base.
func (d *decoder) plus(base uint64) (sum uint64, overflow bool) {
	delta := d.varint("Range")
	return base + delta, delta > math.MaxUint64-base
}

func ofProperty(f moqt.RangeField) bool {
	return f == moqt.RangeObjectProperty || f == moqt.RangeTrackProperty
}

func (e *encoder) rangeFilter(f *moqt.RangeFilter) {
	in := encoder{p: e.p}
	if len(f.Ranges) > 0 {
		in.byte(f.Set)
		if ofProperty(f.Field) {
			in.varint(f.Property)
		}
	}
	last := uint64(0)
	for i, r := range f.Ranges {
		if r.First < last || r.Last < r.First {
			in.fail("%v with range %d-%d after %d", f.Field, r.First, r.Last, last)
			break
		}
		in.varint(r.First - last)
		if r.Last != math.MaxUint64 || i < len(f.Ranges)-1 {
			in.varint(r.Last - r.First)
		}
		last = r.Last
	}
	e.varint(uint64(len(in.b)))
	e.add(&in)
}
