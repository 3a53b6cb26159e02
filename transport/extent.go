package transport

import (
	"math"

	"github.com/tributary-live/tributary/transport/moqt"
)

// extent is which objects of a track a subscription or fetch is for.
// ("Filtering Tracks and Objects")
type extent struct {
	start, end moqt.Location // inclusive; end is before start where nothing can come
	ranges     moqt.RangeFilters
}

var (
	endless = moqt.Location{Group: moqt.LastGroup, Object: moqt.WholeGroup}
	all     = extent{end: endless}
)

// covers reports whether l is between start and end.
func (e *extent) covers(l moqt.Location) bool { return !l.Less(e.start) && !e.end.Less(l) }

// wants reports whether o is one of the objects.
func (e *extent) wants(o *moqt.Object) bool { return e.covers(o.Location) && e.ranges.Match(o) }

// bounds turns a filter of locations into a start and an end, for a track whose
// largest location is given, if it has some. ("Location Filters")
func bounds(f moqt.Filter, largest moqt.Location, some bool) (start, end moqt.Location) {
	end = endless
	switch f.Kind {
	case moqt.FilterLargestObject:
		switch {
		case !some:
		case largest.Object < math.MaxUint64:
			start = moqt.Location{Group: largest.Group, Object: largest.Object + 1}
		case largest.Group < math.MaxUint64:
			start = moqt.Location{Group: largest.Group + 1}
		default:
			start, end = endless, moqt.Location{} // there is nothing after it
		}
	case moqt.FilterNextGroup:
		switch {
		case !some:
		case largest.Group < math.MaxUint64:
			start = moqt.Location{Group: largest.Group + 1}
		default:
			start, end = endless, moqt.Location{}
		}
	case moqt.FilterRelative:
		if f.Groups == 0 {
			return bounds(moqt.Filter{Kind: moqt.FilterNextGroup}, largest, some)
		}
		if some && f.Groups <= largest.Group { // else from the beginning
			start = moqt.Location{Group: largest.Group - f.Groups + 1}
		}
	case moqt.FilterAbsoluteStart:
		start = f.Start
	case moqt.FilterAbsoluteRange:
		start, end = f.Start, moqt.Location{Group: f.EndGroup, Object: moqt.WholeGroup}
	case moqt.FilterAbsoluteEnd:
		start, end = f.Start, moqt.Location{Group: f.EndGroup, Object: f.EndObject}
	}
	return start, end
}
