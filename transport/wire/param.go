package wire

import (
	"math"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// paramSpec is one type of message parameter. The type of the field says how
// its value is encoded.
type paramSpec struct {
	typ    uint64
	field  func(*Params) any // pointer to the field of Params
	ranges moqt.RangeField   // which entries of Params.Ranges, if that is the field
	in     place             // messages that may carry it
	repeat bool              // may be there more than once
}

func (p *Profile) param(typ uint64) *paramSpec {
	for i := range p.params {
		if p.params[i].typ == typ {
			return &p.params[i]
		}
	}
	return nil
}

// params reads a count and as many parameters of a message of kind k.
func (d *decoder) params(k Kind) (params Params) {
	where := d.on.place(k)
	var typ uint64
	for count, i := d.varint("Number of Parameters"), uint64(0); i < count && d.err == nil; i++ {
		typ = d.nextParam(&params, typ, i == 0, where)
	}
	return params
}

// nextParam reads one parameter into params: first says that it is the first of
// its list, otherwise prev is the type of the one before. It returns its type.
func (d *decoder) nextParam(params *Params, prev uint64, first bool, where place) uint64 {
	delta := d.varint("Type Delta")
	if delta > math.MaxUint64-prev {
		d.fail(violation("Type Delta", "type %d + %d is too large", prev, delta))
	}
	typ := prev + delta
	spec := d.p.param(typ)
	switch {
	case d.err != nil:
	case spec == nil:
		d.fail(violation("Message Parameter", "unknown type 0x%x", typ))
	case spec.in&where == 0 && d.p.pairs:
		d.skipPair(typ)
	case spec.in&where == 0:
		d.fail(violation("Message Parameter", "type 0x%x does not belong into this message", typ))
	case !first && delta == 0 && !spec.repeat:
		d.fail(violation("Message Parameter", "type 0x%x is there twice", typ))
	default:
		d.param(spec, params)
	}
	return typ
}

// skipPair drops the value of a Key-Value-Pair.
func (d *decoder) skipPair(typ uint64) {
	if typ%2 == 0 {
		d.varint("parameter")
	} else {
		d.bytes("parameter", maxPropertySize)
	}
}

func (d *decoder) param(spec *paramSpec, params *Params) {
	switch f := spec.field(params).(type) {
	case *Opt[time.Duration]:
		*f = Some(d.millis("parameter"))
		if d.p.timeoutNotZero && d.err == nil && f == &params.ObjectTimeout && f.Value == 0 {
			d.fail(violation("DELIVERY_TIMEOUT", "0"))
		}
	case *Opt[uint64]:
		*f = Some(d.varint("parameter"))
	case *Opt[moqt.Location]:
		*f = Some(d.locationParam())
	case *Opt[moqt.Namespace]:
		*f = Some(d.namespace("TRACK_NAMESPACE_PREFIX"))
	case *Opt[moqt.Priority]:
		*f = Some(moqt.Priority(d.uint8("SUBSCRIBER_PRIORITY")))
	case *Opt[bool]:
		v := d.uint8("parameter")
		if v > 1 {
			d.fail(violation("parameter", "type 0x%x is %d, must be 0 or 1", spec.typ, v))
		}
		*f = Some(v == 1)
	case *Opt[moqt.GroupOrder]:
		v := moqt.GroupOrder(d.uint8("GROUP_ORDER"))
		if v == moqt.OrderDefault && d.p.orderZero {
			return
		}
		if d.err == nil && v != moqt.Ascending && v != moqt.Descending {
			d.fail(violation("GROUP_ORDER", "%d", v))
		}
		*f = Some(v)
	case *Opt[moqt.Filter]:
		*f = Some(d.filter())
	case *Opt[FillParameters]:
		*f = Some(d.fill())
	case *moqt.RangeFilters:
		*f = append(*f, d.rangeFilter(spec.ranges))
	case *[]Token:
		b := d.bytes("AUTHORIZATION_TOKEN", maxMessageSize)
		if d.err == nil {
			*f = append(*f, d.token(b))
		}
	default:
		panic("wire: parameter of unknown encoding")
	}
}

// uint8 reads the value of a parameter that fits into a byte.
func (d *decoder) uint8(field string) uint8 {
	if !d.p.pairs {
		return d.byte(field)
	}
	v := d.varint(field)
	if v > math.MaxUint8 {
		d.fail(violation(field, "%d is too large", v))
	}
	return uint8(v)
}

func (d *decoder) locationParam() moqt.Location {
	const field = "LARGEST_OBJECT"
	if !d.p.pairs && !d.longLocation {
		return d.location(field)
	}
	in := decoder{p: d.p, b: d.bytes(field, maxMessageSize)}
	if d.err != nil {
		return moqt.Location{}
	}
	l := in.location(field)
	if in.err == nil && len(in.b) > 0 {
		in.err = violation(field, "%d bytes too many", len(in.b))
	}
	if in.err != nil {
		d.fail(in.err)
	}
	return l
}

// params appends the count and what is set of params, in a message of kind k.
// What the draft does not have is left out if the peer can do without, and is
// a failure if the request would not mean the same.
func (e *encoder) params(k Kind, params *Params) {
	switch {
	case len(params.Ranges) > 0 && !e.p.RangeFilters():
		e.fail("%v has no range filters", e.p.version)
	case params.Fill.Set && !e.p.Fill():
		e.fail("%v has no FILL_PARAMETERS", e.p.version)
	case params.Prefix.Set && !e.p.PrefixUpdates():
		e.fail("%v has no TRACK_NAMESPACE_PREFIX", e.p.version)
	}
	e.paramsIn(kindPlaces[k], params, k == KindRequestUpdate)
}

// paramsIn appends parameters for one of the given places. update says that
// what is absent stays as it was.
func (e *encoder) paramsIn(where place, params *Params, update bool) {
	var sent [32]*paramSpec
	count := 0
	specs := sent[:0]
	for i := range e.p.params {
		spec := &e.p.params[i]
		n := e.p.paramCount(spec, params, update)
		if n == 0 {
			continue
		}
		if spec.in&where == 0 {
			e.fail("parameter 0x%x does not belong into the message", spec.typ)
			return
		}
		count += n
		specs = append(specs, spec)
	}
	e.varint(uint64(count))
	var typ uint64
	for _, spec := range specs {
		delta := spec.typ - typ
		typ = spec.typ
		switch f := spec.field(params).(type) {
		case *[]Token:
			for i := range *f {
				e.varint(delta)
				delta = 0
				e.token(&(*f)[i])
			}
		case *moqt.RangeFilters:
			for i := range *f {
				if r := &(*f)[i]; r.Field == spec.ranges {
					e.varint(delta)
					delta = 0
					e.rangeFilter(r)
				}
			}
		default:
			e.varint(delta)
			e.param(f)
		}
	}
}

// paramCount is how many parameters the field of spec makes.
func (p *Profile) paramCount(spec *paramSpec, params *Params, update bool) int {
	set := false
	switch f := spec.field(params).(type) {
	case *Opt[time.Duration]:
		set = f.Set && (f.Value != 0 || f != &params.ObjectTimeout || !p.timeoutNotZero)
	case *Opt[uint64]:
		set = f.Set
	case *Opt[moqt.Location]:
		set = f.Set
	case *Opt[moqt.Namespace]:
		set = f.Set
	case *Opt[moqt.Priority]:
		set = f.Set
	case *Opt[bool]:
		set = f.Set
	case *Opt[moqt.GroupOrder]:
		set = f.Set && f.Value != moqt.OrderDefault
	case *Opt[moqt.Filter]:
		// Where filters are tagged, no filter is said by silence, except where that
		// means no change.
		silent := f.Value.Kind == moqt.FilterNone && !update && p.filterForm >= filterTagged
		set = f.Set && !silent
	case *Opt[FillParameters]:
		set = f.Set
	case *moqt.RangeFilters:
		n := 0
		for i := range *f {
			if (*f)[i].Field == spec.ranges {
				n++
			}
		}
		return n
	case *[]Token:
		return len(*f)
	}
	if set {
		return 1
	}
	return 0
}

func (e *encoder) param(field any) {
	switch f := field.(type) {
	case *Opt[time.Duration]:
		e.millis(f.Value)
	case *Opt[uint64]:
		e.varint(f.Value)
	case *Opt[moqt.Location]:
		if e.p.pairs {
			e.varint(uint64(e.p.varintSize(f.Value.Group) + e.p.varintSize(f.Value.Object)))
		}
		e.location(f.Value)
	case *Opt[moqt.Namespace]:
		e.namespace(f.Value)
	case *Opt[moqt.Priority]:
		e.uint8(uint8(f.Value))
	case *Opt[bool]:
		var v uint8
		if f.Value {
			v = 1
		}
		e.uint8(v)
	case *Opt[moqt.GroupOrder]:
		e.uint8(uint8(f.Value))
	case *Opt[moqt.Filter]:
		e.filter(f.Value)
	case *Opt[FillParameters]:
		e.fill(&f.Value)
	}
}

// uint8 appends the value of a parameter that fits into a byte.
func (e *encoder) uint8(v uint8) {
	if e.p.pairs {
		e.varint(uint64(v))
	} else {
		e.byte(v)
	}
}
