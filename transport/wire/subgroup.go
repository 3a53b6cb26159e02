package wire

import (
	"fmt"
	"math"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Bits of the type of a subgroup stream ("Subgroup Header").
const (
	subgroupProperties      = 0x01
	subgroupIDMode          = 0x06
	subgroupEndOfGroup      = 0x08
	subgroupType            = 0x10 // always set
	subgroupDefaultPriority = 0x20
	subgroupFirstObject     = 0x40

	// Values of subgroupIDMode.
	subgroupIDZero     = 0x00
	subgroupIDFirst    = 0x02
	subgroupIDPresent  = 0x04
	subgroupIDReserved = 0x06
)

func (p *Profile) validSubgroupType(typ uint64) bool {
	return typ&^p.subgroupBits == subgroupType && typ&subgroupIDMode != subgroupIDReserved
}

// SubgroupHeader opens a subgroup stream.
type SubgroupHeader struct {
	Alias uint64 // of the track
	moqt.Subgroup
	// Properties says that every object has a field for properties, which may
	// be empty. Without it none can have any.
	Properties bool
	// IDFromFirst says that Subgroup.ID is the id of the stream's first object
	// and not in the header. The decoder of the objects fills it in.
	IDFromFirst bool
}

// AppendSubgroupHeader appends the type and header of a subgroup stream. Ids
// must not be larger than [Profile.MaxVarint].
func (p *Profile) AppendSubgroupHeader(b []byte, h *SubgroupHeader) []byte {
	typ := uint64(subgroupType)
	switch {
	case h.IDFromFirst:
		typ |= subgroupIDFirst
	case h.ID != 0:
		typ |= subgroupIDPresent
	}
	if h.Properties {
		typ |= subgroupProperties
	}
	if h.EndOfGroup {
		typ |= subgroupEndOfGroup
	}
	if h.DefaultPriority {
		typ |= subgroupDefaultPriority
	}
	if h.First {
		typ |= subgroupFirstObject & p.subgroupBits
	}
	b = p.appendVarint(b, typ)
	b = p.appendVarint(b, h.Alias)
	b = p.appendVarint(b, h.Group)
	if typ&subgroupIDMode == subgroupIDPresent {
		b = p.appendVarint(b, h.ID)
	}
	if !h.DefaultPriority {
		b = append(b, byte(h.Priority))
	}
	return b
}

// ReadSubgroupHeader reads the header of a subgroup stream of type typ, as
// [Profile.ReadStreamType] returned it.
func (p *Profile) ReadSubgroupHeader(r *Reader, typ uint64) (SubgroupHeader, error) {
	h := SubgroupHeader{
		Subgroup: moqt.Subgroup{
			DefaultPriority: typ&subgroupDefaultPriority != 0,
			First:           typ&subgroupFirstObject != 0,
			EndOfGroup:      typ&subgroupEndOfGroup != 0,
		},
		Properties:  typ&subgroupProperties != 0,
		IDFromFirst: typ&subgroupIDMode == subgroupIDFirst,
	}
	var err error
	if h.Alias, err = p.readField(r, "Track Alias"); err != nil {
		return h, err
	}
	if h.Group, err = p.readField(r, "Group ID"); err != nil {
		return h, err
	}
	if typ&subgroupIDMode == subgroupIDPresent {
		if h.ID, err = p.readField(r, "Subgroup ID"); err != nil {
			return h, err
		}
	}
	if !h.DefaultPriority {
		c, err := r.readByte("Publisher Priority")
		if err != nil {
			return h, err
		}
		h.Priority = moqt.Priority(c)
	}
	return h, nil
}

// ObjectHeader is what precedes the payload of an object on a subgroup stream.
type ObjectHeader struct {
	ID         uint64
	Status     moqt.Status // not normal only if Size is 0
	Properties moqt.Properties
	Size       uint64 // bytes of payload
}

// AppendObject appends all of an object but its payload. prev is the id of the
// object before it on the stream, of which there is none if first. It fails if
// o may not come there.
func (p *Profile) AppendObject(b []byte, h *SubgroupHeader, prev uint64, first bool, o *ObjectHeader) ([]byte, error) {
	switch {
	case !first && o.ID <= prev:
		return b, fmt.Errorf("wire: object %d after %d", o.ID, prev)
	case o.Status != moqt.StatusNormal && (o.Size > 0 || len(o.Properties) > 0):
		return b, fmt.Errorf("wire: object %d is an %v, it can have neither payload nor properties", o.ID, o.Status)
	case len(o.Properties) > 0 && !h.Properties:
		return b, fmt.Errorf("wire: object %d has properties, its subgroup none", o.ID)
	}
	if err := p.checkVarint("object", o.ID); err != nil {
		return b, err
	}
	start := len(b)
	delta := o.ID
	if !first {
		delta -= prev + 1
	}
	b = p.appendVarint(b, delta)
	if h.Properties {
		var err error
		if b, err = p.appendObjectProperties(b, o.Properties); err != nil {
			return b[:start], err
		}
	}
	b = p.appendVarint(b, o.Size)
	if o.Size == 0 {
		b = p.appendVarint(b, uint64(o.Status))
	}
	return b, nil
}

// SubgroupObjects decodes the objects of one subgroup stream.
type SubgroupObjects struct {
	p    *Profile
	h    *SubgroupHeader
	prev uint64
	any  bool // prev is set

	delta uint64 // of the object at prev
}

// SubgroupObjects returns the decoder for the stream that h opened. It keeps h,
// and sets h.ID with the first object if that is where the id comes from.
func (p *Profile) SubgroupObjects(h *SubgroupHeader) SubgroupObjects {
	return SubgroupObjects{p: p, h: h}
}

// Next reads the next object up to its payload, which the caller must read or
// discard before it calls Next again. It returns io.EOF if the stream ended
// after an object, an [*Error] for a violation, which includes a stream that
// ended inside one, and an error that is [ErrTooLarge] if l does not allow the
// object. The result does not alias the buffer of r.
func (d *SubgroupObjects) Next(r *Reader, l *Limits) (o ObjectHeader, err error) {
	delta, err := d.p.readVarint(r)
	if err != nil {
		return o, err
	}
	o.ID = delta
	if d.any {
		if d.prev == math.MaxUint64 || delta > math.MaxUint64-d.prev-1 {
			return o, violation("Object ID Delta", "object %d + %d is too large", d.prev, delta)
		}
		o.ID += d.prev + 1
		if o.ID > d.p.MaxVarint() {
			return o, violation("Object ID Delta", "object %d + %d is too large", d.prev, delta)
		}
	}
	if d.h.Properties {
		if o.Properties, err = d.p.readObjectProperties(r, l); err != nil {
			return o, err
		}
	}
	if o.Size, err = d.p.readField(r, "Object Payload Length"); err != nil {
		return o, err
	}
	if limit := l.object(); o.Size > limit {
		return o, tooLarge("object", o.Size, limit)
	}
	if o.Size == 0 {
		status, err := d.p.readField(r, "Object Status")
		if err != nil {
			return o, err
		}
		if o.Status, err = objectStatus(status, o.Properties); err != nil {
			return o, err
		}
	}
	if !d.any && d.h.IDFromFirst {
		d.h.ID = o.ID
	}
	d.prev, d.any, d.delta = o.ID, true, delta
	return o, nil
}

// objectStatus checks the status of an object with properties props.
func objectStatus(status uint64, props moqt.Properties) (moqt.Status, error) {
	switch s := moqt.Status(status); s {
	case moqt.StatusNormal:
		return s, nil
	case moqt.StatusEndOfGroup, moqt.StatusEndOfTrack:
		if len(props) > 0 {
			return s, violation("Object Properties", "on an %v", s)
		}
		return s, nil
	}
	return 0, violation("Object Status", "0x%x is unknown", status)
}
