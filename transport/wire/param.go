package wire

import (
	"bytes"
	"math"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// paramSpec is one type of message parameter. The type of the field says how
// its value is encoded.
type paramSpec struct {
	typ    uint64
	field  func(*Params) any // pointer to the field of Params
	in     place             // messages that may carry it
	repeat bool              // may be there more than once
}

// params reads a count and as many parameters of a message of kind k.
func (d *decoder) params(k Kind) Params {
	var params Params
	where := d.on.place(k)
	count := d.varint("Number of Parameters")
	var typ uint64
	for i := uint64(0); i < count && d.err == nil; i++ {
		delta := d.varint("Type Delta")
		if delta > math.MaxUint64-typ {
			d.fail(violation("Type Delta", "type %d + %d is too large", typ, delta))
			break
		}
		typ += delta
		spec := d.p.param(typ)
		switch {
		case d.err != nil:
		case spec == nil:
			d.fail(violation("Message Parameter", "unknown type 0x%x", typ))
		case spec.in&where == 0:
			d.fail(violation("Message Parameter", "type 0x%x does not belong into this %v", typ, k))
		case i > 0 && delta == 0 && !spec.repeat:
			d.fail(violation("Message Parameter", "type 0x%x is there twice", typ))
		default:
			d.param(spec.field(&params))
		}
	}
	return params
}

func (p *Profile) param(typ uint64) *paramSpec {
	for i := range p.params {
		if p.params[i].typ == typ {
			return &p.params[i]
		}
	}
	return nil
}

func (d *decoder) param(field any) {
	switch f := field.(type) {
	case *Opt[time.Duration]:
		*f = Some(d.millis("parameter"))
	case *Opt[uint64]:
		*f = Some(d.varint("parameter"))
	case *Opt[moqt.Location]:
		*f = Some(d.location("LARGEST_OBJECT"))
	case *Opt[moqt.Namespace]:
		*f = Some(d.namespace("TRACK_NAMESPACE_PREFIX"))
	case *Opt[moqt.Priority]:
		*f = Some(moqt.Priority(d.byte("SUBSCRIBER_PRIORITY")))
	case *Opt[bool]:
		v := d.byte("FORWARD")
		if v > 1 {
			d.fail(violation("FORWARD", "%d", v))
		}
		*f = Some(v == 1)
	case *Opt[moqt.GroupOrder]:
		v := moqt.GroupOrder(d.byte("GROUP_ORDER"))
		if d.err == nil && v != moqt.Ascending && v != moqt.Descending {
			d.fail(violation("GROUP_ORDER", "%d", v))
		}
		*f = Some(v)
	case *Opt[moqt.Filter]:
		*f = Some(d.filter())
	case *[]Token:
		b := d.bytes("AUTHORIZATION_TOKEN", maxMessageSize)
		if d.err == nil {
			*f = append(*f, d.token(b))
		}
	default:
		panic("wire: parameter of unknown encoding")
	}
}

// params appends the count and what is set of params, in a message of kind k.
func (e *encoder) params(k Kind, params *Params) {
	var sent [32]*paramSpec
	count := uint64(0)
	specs := sent[:0]
	for i := range e.p.params {
		spec := &e.p.params[i]
		n := fieldCount(spec.field(params), k)
		if n == 0 {
			continue
		}
		if spec.in&kindPlaces[k] == 0 {
			e.fail("parameter 0x%x in %v", spec.typ, k)
			return
		}
		count += uint64(n)
		specs = append(specs, spec)
	}
	e.varint(count)
	var typ uint64
	for _, spec := range specs {
		delta := spec.typ - typ
		typ = spec.typ
		if tokens, ok := spec.field(params).(*[]Token); ok {
			for i := range *tokens {
				e.varint(delta)
				delta = 0
				e.token(&(*tokens)[i])
			}
			continue
		}
		e.varint(delta)
		e.param(spec.field(params))
	}
}

// fieldCount is how many parameters a field of Params makes in a message of
// kind k.
func fieldCount(field any, k Kind) int {
	set := false
	switch f := field.(type) {
	case *Opt[time.Duration]:
		set = f.Set
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
		// No filter is said by silence, except where that means no change.
		set = f.Set && (f.Value.Kind != moqt.FilterNone || k == KindRequestUpdate)
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
		e.location(f.Value)
	case *Opt[moqt.Namespace]:
		e.namespace(f.Value)
	case *Opt[moqt.Priority]:
		e.byte(byte(f.Value))
	case *Opt[bool]:
		var v byte
		if f.Value {
			v = 1
		}
		e.byte(v)
	case *Opt[moqt.GroupOrder]:
		e.byte(byte(f.Value))
	case *Opt[moqt.Filter]:
		e.filter(f.Value)
	}
}

// Filter types of a SUBSCRIPTION_FILTER until draft-19.
const (
	filterNextGroup     = 1
	filterLargestObject = 2
	filterAbsoluteStart = 3
	filterAbsoluteRange = 4
)

// filter reads a SUBSCRIPTION_FILTER: a length, a type and what that asks for.
func (d *decoder) filter() (f moqt.Filter) {
	const name = "SUBSCRIPTION_FILTER"
	in := decoder{p: d.p, b: d.bytes(name, maxMessageSize)}
	if d.err != nil {
		return f
	}
	switch typ := in.varint(name); typ {
	case filterNextGroup:
		f.Kind = moqt.FilterNextGroup
	case filterLargestObject:
		f.Kind = moqt.FilterLargestObject
	case filterAbsoluteStart:
		f.Kind = moqt.FilterAbsoluteStart
		f.Start = in.location(name)
	case filterAbsoluteRange:
		f.Kind = moqt.FilterAbsoluteRange
		f.Start = in.location(name)
		delta := in.varint(name)
		if delta > math.MaxUint64-f.Start.Group {
			in.fail(violation(name, "end group %d + %d is too large", f.Start.Group, delta))
		}
		f.EndGroup = f.Start.Group + delta
	default:
		in.fail(violation(name, "unknown type %d", typ))
	}
	if in.err == nil && len(in.b) > 0 {
		in.fail(violation(name, "%d bytes too many", len(in.b)))
	}
	if in.err != nil {
		d.fail(in.err)
	}
	return f
}

func (e *encoder) filter(f moqt.Filter) {
	in := encoder{p: e.p, b: make([]byte, 0, 32)}
	switch f.Kind {
	case moqt.FilterNextGroup:
		in.varint(filterNextGroup)
	case moqt.FilterLargestObject:
		in.varint(filterLargestObject)
	case moqt.FilterNone: // the draft's other way to say it
		in.varint(filterAbsoluteStart)
		in.location(moqt.Location{})
	case moqt.FilterAbsoluteStart:
		in.varint(filterAbsoluteStart)
		in.location(f.Start)
	case moqt.FilterAbsoluteRange:
		if f.EndGroup < f.Start.Group {
			e.fail("filter ends with group %d before its start %v", f.EndGroup, f.Start)
		}
		in.varint(filterAbsoluteRange)
		in.location(f.Start)
		in.varint(f.EndGroup - f.Start.Group)
	default:
		e.fail("filter of kind %d", f.Kind)
	}
	e.varint(uint64(len(in.b)))
	e.b = append(e.b, in.b...)
}

// token reads a Token structure, which fills b. The result does not alias b.
func (d *decoder) token(b []byte) (t Token) {
	const name = "AUTHORIZATION_TOKEN"
	in := decoder{p: d.p, b: b}
	t.AliasType = AliasType(in.varint(name))
	if in.err == nil && t.AliasType > TokenUseValue {
		in.fail(violation(name, "alias type %d", t.AliasType))
	}
	if t.AliasType != TokenUseValue {
		t.Alias = in.varint(name)
	}
	if t.AliasType == TokenRegister || t.AliasType == TokenUseValue {
		t.Type = in.varint(name)
		t.Value = bytes.Clone(in.b)
	} else if in.err == nil && len(in.b) > 0 {
		in.fail(violation(name, "%d bytes too many", len(in.b)))
	}
	if in.err != nil {
		in.err.(*Error).Code = moqt.SessionKeyValueFormatting
		d.fail(in.err)
	}
	return t
}

// token appends a Token structure after its length.
func (e *encoder) token(t *Token) {
	e.varint(e.tokenSize(t))
	e.tokenBody(t)
}

func (e *encoder) tokenBody(t *Token) {
	e.varint(uint64(t.AliasType))
	if t.AliasType != TokenUseValue {
		e.varint(t.Alias)
	}
	switch t.AliasType {
	case TokenRegister, TokenUseValue:
		e.varint(t.Type)
		e.b = append(e.b, t.Value...)
	case TokenDelete, TokenUseAlias:
	default:
		e.fail("token of alias type %d", t.AliasType)
	}
}

func (e *encoder) tokenSize(t *Token) uint64 {
	size := e.p.varintSize(uint64(t.AliasType))
	if t.AliasType != TokenUseValue {
		size += e.p.varintSize(t.Alias)
	}
	if t.AliasType == TokenRegister || t.AliasType == TokenUseValue {
		size += e.p.varintSize(t.Type) + len(t.Value)
	}
	return uint64(size)
}
