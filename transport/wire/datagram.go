package wire

import (
	"fmt"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Bits of the type of an object datagram ("Object Datagram").
const (
	datagramProperties      = 0x01
	datagramEndOfGroup      = 0x02
	datagramZeroObject      = 0x04
	datagramDefaultPriority = 0x08
	datagramStatus          = 0x20
)

// Datagram is an object in a datagram.
type Datagram struct {
	Alias uint64 // of the track
	moqt.Location
	Priority moqt.Priority
	// DefaultPriority says that the datagram carries no priority: the track's
	// default is meant.
	DefaultPriority bool
	// EndOfGroup says that the object is the last of its group.
	EndOfGroup bool
	Status     moqt.Status // if not normal, there are no properties and no payload
	Properties moqt.Properties
	Payload    []byte
}

// AppendDatagram appends d whole. It fails if d contradicts itself.
func (p *Profile) AppendDatagram(b []byte, d *Datagram) ([]byte, error) {
	if d.Status != moqt.StatusNormal && (d.EndOfGroup || len(d.Properties) > 0 || len(d.Payload) > 0) {
		return b, fmt.Errorf("wire: datagram %v is an %v, it can have neither payload nor properties nor end a group", d.Location, d.Status)
	}
	for _, v := range [...]uint64{d.Alias, d.Group, d.Object} {
		if err := p.checkVarint("number", v); err != nil {
			return b, err
		}
	}
	typ := uint64(0)
	if len(d.Properties) > 0 {
		typ |= datagramProperties
	}
	if d.EndOfGroup {
		typ |= datagramEndOfGroup
	}
	if d.Object == 0 {
		typ |= datagramZeroObject
	}
	if d.DefaultPriority {
		typ |= datagramDefaultPriority
	}
	if d.Status != moqt.StatusNormal {
		typ |= datagramStatus
	}
	start := len(b)
	b = p.appendVarint(b, typ)
	b = p.appendVarint(b, d.Alias)
	b = p.appendVarint(b, d.Group)
	if d.Object != 0 {
		b = p.appendVarint(b, d.Object)
	}
	if !d.DefaultPriority {
		b = append(b, byte(d.Priority))
	}
	if len(d.Properties) > 0 {
		var err error
		if b, err = p.appendObjectProperties(b, d.Properties); err != nil {
			return b[:start], err
		}
	}
	if d.Status != moqt.StatusNormal {
		return p.appendVarint(b, uint64(d.Status)), nil
	}
	return append(b, d.Payload...), nil
}

// ParseDatagram reads b, one datagram. padding says that there is no object in
// it. d.Payload aliases b, the rest does not. An error is an [*Error].
func (p *Profile) ParseDatagram(b []byte) (d Datagram, padding bool, err error) {
	in := decoder{p: p, b: b}
	typ := in.varint("Datagram Type")
	switch {
	case in.err != nil:
		return d, false, in.err
	case typ == paddingMessageType && p.padding:
		return d, true, nil
	case typ&^p.datagramBits != 0, typ&datagramStatus != 0 && typ&datagramEndOfGroup != 0:
		return d, false, violation("Datagram Type", "0x%x is unknown", typ)
	}
	d.EndOfGroup = typ&datagramEndOfGroup != 0
	d.DefaultPriority = typ&datagramDefaultPriority != 0
	d.Alias = in.varint("Track Alias")
	d.Group = in.varint("Group ID")
	if typ&datagramZeroObject == 0 {
		d.Object = in.varint("Object ID")
	}
	if !d.DefaultPriority {
		d.Priority = moqt.Priority(in.byte("Publisher Priority"))
	}
	if typ&datagramProperties != 0 {
		props := in.bytes("Properties", uint64(len(in.b)))
		if in.err == nil && len(props) == 0 {
			in.fail(violation("Properties Length", "0"))
		}
		if in.err == nil {
			d.Properties, in.err = p.ParseProperties(props)
		}
	}
	if typ&datagramStatus != 0 {
		status := in.varint("Object Status")
		if in.err == nil {
			d.Status, in.err = objectStatus(status, d.Properties)
		}
		if in.err == nil && len(in.b) > 0 {
			in.fail(violation("Object Status", "%d bytes after it", len(in.b)))
		}
	}
	if in.err != nil {
		return Datagram{}, false, in.err
	}
	d.Payload = in.b
	return d, false, nil
}
