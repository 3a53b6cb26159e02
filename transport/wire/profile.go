package wire

import "github.com/tributary-live/tributary/transport/moqt"

// Profile is the wire format of one draft. It is immutable and may be used
// concurrently. What differs between drafts is in its tables and fields, so a
// caller never asks for a version.
type Profile struct {
	version  moqt.Version
	messages []messageCodec
	params   []paramSpec    // in ascending order of type
	options  []numberOption // setup options that not all drafts have
	codes    codeTables

	// quicVarints says that integers are those of QUIC, of 62 bits.
	quicVarints bool
	// controlMux says that requests share the control stream: there are two
	// messages of SETUP, which have a count of options, and Request IDs in answers.
	controlMux bool
	// pairs says that parameters are Key-Value-Pairs: what is a byte otherwise is
	// an integer, a Location is behind a length, and what does not belong into a
	// message is skipped.
	pairs bool
	// orderZero says that a GROUP_ORDER of 0 leaves it to the publisher: the text
	// contradicts itself here, and Shaka Player sends it.
	orderZero bool
	// timeoutNotZero says that a delivery timeout of 0 is a violation.
	timeoutNotZero bool
	// namespaceNotEmpty says that the namespace of a track has at least one field.
	namespaceNotEmpty bool

	filterForm filterForm
	// fetchByFilter says that FETCH has no range but a filter, and that the end in
	// FETCH_OK is inclusive.
	fetchByFilter bool
	// fetchIDs says that objects of a fetch stream have their ids, and not the
	// distance from the object before.
	fetchIDs bool

	severalSubscriptions bool
	// timeoutsOnObjects says that delivery timeouts are properties of objects too.
	timeoutsOnObjects  bool
	noRedirect         bool
	redirectKeepsTrack bool

	// unknownStreams is what PUBLISH_DONE carries for [UnknownStreams].
	unknownStreams uint64
	// goawayRequestID says that GOAWAY ends with a Request ID on the control
	// stream.
	goawayRequestID bool
	noGoawayTimeout bool

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

// profiles are those that exist, in order; the tests run for each. spoken are
// those that sessions use: a draft is added when package transport does what it
// asks for.
var (
	profiles = []*Profile{&draft16, &draft18, &draft19, &draft20, &draft21, &draft22}
	spoken   = []*Profile{&draft16, &draft18, &draft19, &draft20, &draft21, &draft22}
)

// ProfileFor returns the profile of draft v, and false if v is not spoken.
func ProfileFor(v moqt.Version) (*Profile, bool) {
	for _, p := range spoken {
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
	// sends, if not nil, says which messages of kind have this type.
	sends func(m Message) bool
}

func (p *Profile) messageOfType(typ uint64) *messageCodec {
	for i := range p.messages {
		if p.messages[i].typ == typ {
			return &p.messages[i]
		}
	}
	return nil
}

// codecOf returns what writes m, or nil if the draft does not have it.
func (p *Profile) codecOf(m Message) *messageCodec {
	for i := range p.messages {
		if c := &p.messages[i]; c.kind == m.Kind() && c.encode != nil && (c.sends == nil || c.sends(m)) {
			return c
		}
	}
	return nil
}
