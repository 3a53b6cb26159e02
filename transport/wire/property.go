package wire

import (
	"bytes"
	"fmt"
	"math"

	"github.com/tributary-live/tributary/transport/moqt"
)

// ParseProperties reads b as Key-Value-Pairs to its end: the properties of a
// track or object, or what IMMUTABLE_PROPERTIES holds. The result does not
// alias b. An error is an [*Error].
func (p *Profile) ParseProperties(b []byte) (moqt.Properties, error) {
	if len(b) == 0 {
		return nil, nil
	}
	d := decoder{p: p, b: bytes.Clone(b)}
	var props moqt.Properties
	var typ uint64
	for len(d.b) > 0 {
		delta := d.varint("Delta Type")
		if delta > math.MaxUint64-typ {
			d.fail(violation("Delta Type", "type %d + %d is too large", typ, delta))
		}
		typ += delta
		prop := moqt.Property{Type: typ}
		if typ%2 == 0 {
			prop.Value = d.varint("Value")
		} else {
			prop.Bytes = d.bytes("Value", maxPropertySize)
		}
		if d.err != nil {
			return nil, d.err
		}
		props = append(props, prop)
	}
	return props, d.err
}

// AppendProperties appends props as Key-Value-Pairs. It fails if they are not
// in ascending order of type or a value is too long.
func (p *Profile) AppendProperties(b []byte, props moqt.Properties) ([]byte, error) {
	start := len(b)
	var typ uint64
	for i := range props {
		prop := &props[i]
		if prop.Type < typ {
			return b[:start], fmt.Errorf("wire: property 0x%x after 0x%x", prop.Type, typ)
		}
		if err := p.checkVarint("property type", prop.Type-typ); err != nil {
			return b[:start], err
		}
		b = p.appendVarint(b, prop.Type-typ)
		typ = prop.Type
		if typ%2 == 0 {
			if err := p.checkVarint("property", prop.Value); err != nil {
				return b[:start], err
			}
			b = p.appendVarint(b, prop.Value)
			continue
		}
		if len(prop.Bytes) > maxPropertySize {
			return b[:start], fmt.Errorf("wire: property 0x%x of %d bytes (at most %d)", typ, len(prop.Bytes), maxPropertySize)
		}
		b = p.appendVarint(b, uint64(len(prop.Bytes)))
		b = append(b, prop.Bytes...)
	}
	return b, nil
}

// propertiesSize is how many bytes AppendProperties takes for props.
func (p *Profile) propertiesSize(props moqt.Properties) uint64 {
	var size int
	var typ uint64
	for i := range props {
		prop := &props[i]
		size += p.varintSize(prop.Type - typ)
		typ = prop.Type
		if typ%2 == 0 {
			size += p.varintSize(prop.Value)
		} else {
			size += p.varintSize(uint64(len(prop.Bytes))) + len(prop.Bytes)
		}
	}
	return uint64(size)
}

// appendObjectProperties appends props after their length.
func (p *Profile) appendObjectProperties(b []byte, props moqt.Properties) ([]byte, error) {
	return p.AppendProperties(p.appendVarint(b, p.propertiesSize(props)), props)
}

// readObjectProperties reads a length and the properties of one object.
func (p *Profile) readObjectProperties(r *Reader, l *Limits) (moqt.Properties, error) {
	size, err := p.readField(r, "Properties Length")
	if err != nil || size == 0 {
		return nil, err
	}
	if limit := l.properties(); size > limit {
		return nil, tooLarge("properties", size, limit)
	}
	b, err := r.peek(int(size))
	if err != nil {
		return nil, inside("Properties", err)
	}
	props, err := p.ParseProperties(b)
	r.pos += int(size)
	return props, err
}

// trackProperties reads the rest of a message as track properties.
func (d *decoder) trackProperties() moqt.Properties {
	if d.err != nil {
		return nil
	}
	props, err := d.p.ParseProperties(d.b)
	if err == nil {
		err = d.p.checkTrackProperties(props)
	}
	if err != nil {
		d.fail(err)
		return nil
	}
	d.b = nil
	return props
}

// checkTrackProperties refuses values that the draft does, also where they are
// inside IMMUTABLE_PROPERTIES. Whether those can be parsed at all is a question
// of the track and not of the session, so it is not asked here.
func (p *Profile) checkTrackProperties(props moqt.Properties) error {
	for i := range props {
		switch v := props[i].Value; props[i].Type {
		case moqt.PropObjectDeliveryTimeout:
			if v == 0 && p.timeoutNotZero {
				return violation("DELIVERY_TIMEOUT", "0")
			}
		case moqt.PropDefaultPriority:
			if v > 255 {
				return violation("DEFAULT_PUBLISHER_PRIORITY", "%d", v)
			}
		case moqt.PropDefaultGroupOrder:
			if v != uint64(moqt.Ascending) && v != uint64(moqt.Descending) {
				return violation("DEFAULT_PUBLISHER_GROUP_ORDER", "%d", v)
			}
		case moqt.PropDynamicGroups:
			if v > 1 {
				return violation("DYNAMIC_GROUPS", "%d", v)
			}
		case moqt.PropImmutable:
			if inner, err := p.ParseProperties(props[i].Bytes); err == nil {
				if err := p.checkTrackProperties(withoutImmutable(inner)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// withoutImmutable drops IMMUTABLE_PROPERTIES, which may not be nested.
func withoutImmutable(props moqt.Properties) moqt.Properties {
	kept := props[:0]
	for _, prop := range props {
		if prop.Type != moqt.PropImmutable {
			kept = append(kept, prop)
		}
	}
	return kept
}

func (e *encoder) properties(props moqt.Properties) {
	b, err := e.p.AppendProperties(e.b, props)
	if err != nil && e.err == nil {
		e.err = err
	}
	e.b = b
}
