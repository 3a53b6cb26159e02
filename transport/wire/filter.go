package wire

import (
	"math"

	"github.com/tributary-live/tributary/transport/moqt"
)

// filterForm is how a LOCATION_FILTER is written.
type filterForm uint8

const (
	filterTyped       filterForm = iota // a type that counts the fields; draft-22
	filterCounted                       // as many fields as fit into a length; draft-20 and 21
	filterTagged                        // a length and a type for each meaning; until draft-19
	filterTaggedGroup                   // the same, its end group not as a distance; draft-16
)

// Types of a tagged filter.
const (
	filterNextGroup     = 1
	filterLargestObject = 2
	filterAbsoluteStart = 3
	filterAbsoluteRange = 4
)

// filterNextObject is the type of a typed filter that is not a number of
// fields.
const filterNextObject = 5

const filterName = "LOCATION_FILTER"

// filter reads the value of a LOCATION_FILTER.
func (d *decoder) filter() (f moqt.Filter) {
	if d.p.filterForm == filterTyped {
		return d.typedFilter()
	}
	in := decoder{p: d.p, b: d.bytes(filterName, maxMessageSize)}
	if d.err != nil {
		return f
	}
	if d.p.filterForm == filterCounted {
		f = in.countedFilter()
	} else {
		f = in.taggedFilter()
	}
	if in.err == nil && len(in.b) > 0 {
		in.fail(violation(filterName, "%d bytes too many", len(in.b)))
	}
	if in.err != nil {
		d.fail(in.err)
	}
	return f
}

func (d *decoder) typedFilter() moqt.Filter {
	switch typ := d.varint(filterName); {
	case typ == filterNextObject:
		return moqt.Filter{Kind: moqt.FilterLargestObject}
	case typ > 4:
		d.fail(violation(filterName, "unknown type %d", typ))
		return moqt.Filter{}
	default:
		return d.filterFields(int(typ))
	}
}

// countedFilter reads a filter that fills the rest.
func (d *decoder) countedFilter() moqt.Filter {
	fields := 0
	for rest := d.b; len(rest) > 0 && fields <= 4; fields++ {
		_, n := d.p.parseVarint(rest)
		if n == 0 {
			d.fail(Truncated(filterName))
			return moqt.Filter{}
		}
		rest = rest[n:]
	}
	if fields > 4 {
		d.fail(violation(filterName, "more than 4 fields"))
		return moqt.Filter{}
	}
	f := d.filterFields(fields)
	if f == (moqt.Filter{Kind: moqt.FilterAbsoluteStart}) {
		f.Kind = moqt.FilterLargestObject // two fields of 0 have this meaning
	}
	return f
}

// filterFields reads a filter of n fields, at most four: none, a number of
// groups, or a location and what tells the end.
func (d *decoder) filterFields(n int) (f moqt.Filter) {
	switch n {
	case 0:
		f.Kind = moqt.FilterNone
		return f
	case 1:
		if f.Groups = d.varint(filterName); f.Groups == 0 {
			f.Kind = moqt.FilterNextGroup
		} else {
			f.Kind = moqt.FilterRelative
		}
		return f
	}
	f.Kind, f.Start = moqt.FilterAbsoluteStart, d.location(filterName)
	if n > 2 {
		f.Kind, f.EndGroup = moqt.FilterAbsoluteRange, d.endGroup(f.Start.Group)
	}
	if n > 3 {
		f.Kind, f.EndObject = moqt.FilterAbsoluteEnd, d.varint(filterName)
	}
	return f
}

// endGroup reads the last group of a range as its distance from the first.
func (d *decoder) endGroup(start uint64) uint64 {
	delta := d.varint(filterName)
	if delta > math.MaxUint64-start {
		d.fail(violation(filterName, "end group %d + %d is too large", start, delta))
	}
	return start + delta
}

func (d *decoder) taggedFilter() (f moqt.Filter) {
	switch typ := d.varint(filterName); typ {
	case filterNextGroup:
		f.Kind = moqt.FilterNextGroup
	case filterLargestObject:
		f.Kind = moqt.FilterLargestObject
	case filterAbsoluteStart:
		f.Kind, f.Start = moqt.FilterAbsoluteStart, d.location(filterName)
	case filterAbsoluteRange:
		f.Kind, f.Start = moqt.FilterAbsoluteRange, d.location(filterName)
		if d.p.filterForm == filterTagged {
			f.EndGroup = d.endGroup(f.Start.Group)
		} else if f.EndGroup = d.varint(filterName); f.EndGroup < f.Start.Group {
			d.fail(violation(filterName, "end group %d is before start %v", f.EndGroup, f.Start))
		}
	default:
		d.fail(violation(filterName, "unknown type %d", typ))
	}
	return f
}

// filter appends the value of a LOCATION_FILTER.
func (e *encoder) filter(f moqt.Filter) {
	in := encoder{p: e.p, b: make([]byte, 0, 40)}
	switch e.p.filterForm {
	case filterTyped:
		typ := in.filterFields(f)
		if f.Kind == moqt.FilterLargestObject {
			typ = filterNextObject
		}
		e.varint(uint64(typ))
	case filterCounted:
		switch f {
		case moqt.Filter{Kind: moqt.FilterLargestObject}:
			in.location(moqt.Location{})
		case moqt.Filter{Kind: moqt.FilterAbsoluteStart}: // from the first location on is no filter
		default:
			in.filterFields(f)
		}
		e.varint(uint64(len(in.b)))
	default:
		in.taggedFilter(f)
		e.varint(uint64(len(in.b)))
	}
	e.add(&in)
}

// filterFields appends what [decoder.filterFields] reads and returns the number
// of fields.
func (e *encoder) filterFields(f moqt.Filter) int {
	switch f.Kind {
	case moqt.FilterLargestObject, moqt.FilterNone:
		return 0
	case moqt.FilterNextGroup:
		e.varint(0)
		return 1
	case moqt.FilterRelative:
		e.varint(f.Groups)
		return 1
	case moqt.FilterAbsoluteStart:
		e.location(f.Start)
		return 2
	case moqt.FilterAbsoluteRange:
		e.location(f.Start)
		e.endGroup(f)
		return 3
	case moqt.FilterAbsoluteEnd:
		e.location(f.Start)
		e.endGroup(f)
		e.varint(f.EndObject)
		return 4
	}
	e.fail("filter of kind %d", f.Kind)
	return 0
}

func (e *encoder) endGroup(f moqt.Filter) {
	if f.EndGroup < f.Start.Group {
		e.fail("filter ends with group %d before its start %v", f.EndGroup, f.Start)
	}
	e.varint(f.EndGroup - f.Start.Group)
}

func (e *encoder) taggedFilter(f moqt.Filter) {
	switch f.Kind {
	case moqt.FilterNextGroup:
		e.varint(filterNextGroup)
	case moqt.FilterLargestObject:
		e.varint(filterLargestObject)
	case moqt.FilterNone: // the draft's other way to say it
		e.varint(filterAbsoluteStart)
		e.location(moqt.Location{})
	case moqt.FilterAbsoluteStart:
		e.varint(filterAbsoluteStart)
		e.location(f.Start)
	case moqt.FilterAbsoluteRange:
		e.varint(filterAbsoluteRange)
		e.location(f.Start)
		if e.p.filterForm == filterTagged {
			e.endGroup(f)
		} else if f.EndGroup < f.Start.Group {
			e.fail("filter ends with group %d before its start %v", f.EndGroup, f.Start)
		} else {
			e.varint(f.EndGroup)
		}
	default:
		e.fail("%v has no filter of kind %d", e.p.version, f.Kind)
	}
}
