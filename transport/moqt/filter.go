package moqt

import "fmt"

// FilterKind is the way in which a range of locations is told.
type FilterKind uint8

const (
	// FilterLargestObject starts after the largest object known.
	FilterLargestObject FilterKind = iota
	// FilterNextGroup starts with the group after the largest known.
	FilterNextGroup
	// FilterAbsoluteStart starts at Start.
	FilterAbsoluteStart
	// FilterAbsoluteRange goes from Start to the end of group EndGroup.
	FilterAbsoluteRange
	// FilterNone lets every object pass.
	FilterNone
	// FilterRelative starts with the group Groups before the next one. From
	// draft-20.
	FilterRelative
	// FilterAbsoluteEnd goes from Start to object EndObject of group EndGroup.
	// From draft-20.
	FilterAbsoluteEnd
)

// Filter is the range of locations that a subscription asks for. The zero
// value asks for what is published after the largest object known.
type Filter struct {
	Kind      FilterKind
	Start     Location
	EndGroup  uint64 // FilterAbsoluteRange and FilterAbsoluteEnd only; inclusive
	EndObject uint64 // FilterAbsoluteEnd only; inclusive
	// Groups is for FilterRelative only: the range starts with object 0 of group
	// largest+1-Groups, so 1 is the newest group and 0 the next. A start before
	// group 0 means group 0.
	Groups uint64
}

// RangeField is what a [RangeFilter] looks at.
type RangeField uint8

const (
	RangeSubgroup       RangeField = iota // SUBGROUP_FILTER: Subgroup ID
	RangeObjectID                         // OBJECTID_FILTER: Object ID
	RangePriority                         // PRIORITY_FILTER: Publisher Priority
	RangeObjectProperty                   // OBJECT_PROPERTY_FILTER: value of an object's property
	RangeTrackProperty                    // TRACK_PROPERTY_FILTER: value of a track's property
)

// String returns the draft's name of the filter that looks at f.
func (f RangeField) String() string {
	switch f {
	case RangeSubgroup:
		return "SUBGROUP_FILTER"
	case RangeObjectID:
		return "OBJECTID_FILTER"
	case RangePriority:
		return "PRIORITY_FILTER"
	case RangeObjectProperty:
		return "OBJECT_PROPERTY_FILTER"
	case RangeTrackProperty:
		return "TRACK_PROPERTY_FILTER"
	}
	return fmt.Sprintf("range field %d", uint8(f))
}

// Range is the numbers from First to Last, inclusive. A Last of the largest
// number means that there is no end.
type Range struct{ First, Last uint64 }

// RangeFilter lets pass what has a number in one of its ranges ("Range
// Filters", from draft-19). Filters of one Set must all pass, and it is enough
// that one set does.
type RangeFilter struct {
	Field    RangeField
	Set      uint8
	Property uint64 // type; for the two property fields only
	// Ranges are in ascending order. A filter without any stands for none: in
	// an update it removes those of its field.
	Ranges []Range
}

// RangeFilters are the range filters of a request.
type RangeFilters []RangeFilter

// Check reports why a publisher that allows max ranges must refuse fs with
// INVALID_FILTER, or nil.
func (fs RangeFilters) Check(max uint64) error {
	type key struct {
		field    RangeField
		set      uint8
		property uint64
	}
	seen := make(map[key]bool)
	ranges := uint64(0)
	for _, f := range fs {
		k := key{f.Field, f.Set, f.Property}
		if seen[k] {
			return fmt.Errorf("moqt: %v of set %d is there twice", f.Field, f.Set)
		}
		seen[k] = true
		if ranges += uint64(len(f.Ranges)); ranges > max {
			return fmt.Errorf("moqt: more than %d ranges", max)
		}
		if err := f.check(); err != nil {
			return err
		}
	}
	return nil
}

func (f *RangeFilter) check() error {
	if f.Property%2 != 0 {
		return fmt.Errorf("moqt: %v of property 0x%x, which is no number", f.Field, f.Property)
	}
	last := uint64(0)
	for _, r := range f.Ranges {
		switch {
		case r.First < last || r.Last < r.First:
			return fmt.Errorf("moqt: %v with range %d-%d", f.Field, r.First, r.Last)
		case f.Field == RangePriority && (r.First > 255 || r.Last > 255 && r.Last != ^uint64(0)):
			return fmt.Errorf("moqt: %v with range %d-%d", f.Field, r.First, r.Last)
		}
		last = r.Last
	}
	return nil
}
