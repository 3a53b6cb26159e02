package wire

import "github.com/tributary-live/tributary/transport/moqt"

// Profile is the wire format of one draft. It is immutable and may be used
// concurrently. What differs between drafts is in its tables and fields, so a
// caller never asks for a version.
type Profile struct {
	version  moqt.Version
	messages []messageCodec
	params   []paramSpec // in ascending order of type

	// unknownStreams is what PUBLISH_DONE carries for [UnknownStreams].
	unknownStreams uint64
	// goawayRequestID says that GOAWAY ends with a Request ID on the control
	// stream.
	goawayRequestID bool

	// subgroupBits are the bits that the type of a subgroup stream may have
	// beside 0x10, datagramBits those of an object datagram.
	subgroupBits, datagramBits uint64
	// padding says that there are padding streams and datagrams.
	padding bool

	// gaps are the End of Range records of FETCH streams, by [GapKind].
	gaps []uint64
	// gapLength says that an End of Range record is sent with an Object Payload
	// Length of 0. Received ones are read with and without.
	gapLength bool
}

var profiles = []*Profile{&draft18}

// ProfileFor returns the profile of draft v, and false if v is not spoken.
func ProfileFor(v moqt.Version) (*Profile, bool) {
	for _, p := range profiles {
		if p.version == v {
			return p, true
		}
	}
	return nil, false
}

// Version returns the draft that p is the wire format of.
func (p *Profile) Version() moqt.Version { return p.version }

// messageCodec is one type of control message. decode returns the struct with
// what it read so far if d has failed.
type messageCodec struct {
	typ    uint64
	kind   Kind
	decode func(d *decoder) Message
	encode func(e *encoder, m Message)
	// answers, if not KindNone, makes this a second type of kind that is
	// accepted in answer to that kind and never sent.
	answers Kind
}

func (p *Profile) messageOfType(typ uint64) *messageCodec {
	for i := range p.messages {
		if p.messages[i].typ == typ {
			return &p.messages[i]
		}
	}
	return nil
}

func (p *Profile) messageOfKind(k Kind) *messageCodec {
	for i := range p.messages {
		if c := &p.messages[i]; c.kind == k && c.answers == KindNone {
			return c
		}
	}
	return nil
}
