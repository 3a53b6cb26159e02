package wire

import (
	"fmt"
	"math"

	"github.com/tributary-live/tributary/transport/moqt"
)

// FetchHeader opens the stream of a fetch.
type FetchHeader struct {
	RequestID uint64 // of the FETCH
}

// AppendFetchHeader appends the type and header of a fetch stream.
func (p *Profile) AppendFetchHeader(b []byte, h *FetchHeader) []byte {
	return p.appendVarint(p.appendVarint(b, fetchStreamType), h.RequestID)
}

// ReadFetchHeader reads the header of a fetch stream whose type has been read.
func (p *Profile) ReadFetchHeader(r *Reader) (FetchHeader, error) {
	id, err := p.readField(r, "Request ID")
	return FetchHeader{RequestID: id}, err
}

// GapKind tells what a record of a fetch stream says of the locations between
// the record before it, if any, and its own, inclusive.
type GapKind uint8

const (
	GapNone        GapKind = iota // the record is an object
	GapNonExistent                // no object is there
	GapUnknown                    // the sender does not know
	GapTimedOut                   // FILL_TIMEOUT was over before the sender knew; from draft-20
)

// FetchObject is one record of a fetch stream: an object up to its payload, or
// the end of a gap, which has a Location and Gap alone.
type FetchObject struct {
	moqt.Location
	Subgroup   uint64 // 0 for a datagram
	Datagram   bool   // forwarding preference
	Priority   moqt.Priority
	Properties moqt.Properties
	Size       uint64 // bytes of payload
	Gap        GapKind
}

// Serialization flags of a fetch stream's objects ("Fetch Header").
const (
	fetchSubgroupMode = 0x03
	fetchObjectID     = 0x04
	fetchGroupID      = 0x08
	fetchPriority     = 0x10
	fetchProperties   = 0x20
	fetchDatagram     = 0x40
	fetchFlagsEnd     = 0x80 // from here on values are not flags

	// Values of fetchSubgroupMode.
	fetchSubgroupZero    = 0x00
	fetchSubgroupPrior   = 0x01
	fetchSubgroupNext    = 0x02
	fetchSubgroupPresent = 0x03
)

// fetchState is what both ends know of the records before.
type fetchState struct {
	descending bool
	any        bool          // there was a record
	at         moqt.Location // of the record before
	object     bool          // there was an object; what follows is of the last one
	subgroup   uint64
	datagram   bool
	priority   moqt.Priority
}

// follows reports whether l may come after the record before.
func (s *fetchState) follows(l moqt.Location) bool {
	switch {
	case !s.any:
		return true
	case l.Group == s.at.Group:
		return l.Object > s.at.Object
	case s.descending:
		return l.Group < s.at.Group
	}
	return l.Group > s.at.Group
}

func (s *fetchState) record(o *FetchObject) {
	s.any, s.at = true, o.Location
	if o.Gap == GapNone {
		s.object, s.subgroup, s.datagram, s.priority = true, o.Subgroup, o.Datagram, o.Priority
	}
}

// nextGroup is the group that is delta+1 further in the order of the fetch.
func (s *fetchState) nextGroup(delta uint64) (uint64, bool) {
	g := s.at.Group
	if s.descending {
		return g - delta - 1, delta < g
	}
	return g + delta + 1, g != math.MaxUint64 && delta <= math.MaxUint64-g-1
}

// FetchEncoder encodes the records of one fetch stream.
type FetchEncoder struct {
	p *Profile
	fetchState
	gap bool // the record before was a gap
	// GapLength says to send a gap with an Object Payload Length of 0, which
	// not all peers expect. It is set to what most peers of the draft do.
	GapLength bool
}

// FetchEncoder returns the encoder for a fetch in the given order of groups;
// the default order is ascending.
func (p *Profile) FetchEncoder(order moqt.GroupOrder) FetchEncoder {
	return FetchEncoder{p: p, fetchState: fetchState{descending: order == moqt.Descending}, GapLength: p.gapLength}
}

// Append appends o, without payload. It fails if o does not come after the
// record before it in the order of the fetch.
func (e *FetchEncoder) Append(b []byte, o *FetchObject) ([]byte, error) {
	if !e.follows(o.Location) {
		return b, fmt.Errorf("wire: %v after %v on a fetch stream", o.Location, e.at)
	}
	last := o.Object
	if o.Gap != GapNone && last == moqt.WholeGroup {
		last = e.p.MaxVarint() // the draft's last object of a group
	}
	for _, v := range [...]uint64{o.Group, last, o.Subgroup, o.Size} {
		if err := e.p.checkVarint("number", v); err != nil {
			return b, err
		}
	}
	if o.Gap != GapNone {
		return e.appendGap(b, o)
	}
	flags, group, object := e.place(o)
	if e.p.fetchIDs {
		group, object = o.Group, o.Object
	}
	// What is prior to an object behind a gap was not said before draft-17.
	sayAll := e.gap && e.p.fetchIDs
	priorSubgroup := e.object && !e.datagram && !sayAll
	switch {
	case o.Datagram:
		flags |= fetchDatagram
	case o.Subgroup == 0:
		flags |= fetchSubgroupZero
	case priorSubgroup && o.Subgroup == e.subgroup:
		flags |= fetchSubgroupPrior
	case priorSubgroup && o.Subgroup == e.subgroup+1:
		flags |= fetchSubgroupNext
	default:
		flags |= fetchSubgroupPresent
	}
	if sayAll {
		flags |= fetchGroupID | fetchObjectID
	}
	// Flags of 0 after a gap could be taken for the gap's payload length.
	if !e.object || o.Priority != e.priority || flags == 0 && e.gap || sayAll {
		flags |= fetchPriority
	}
	if len(o.Properties) > 0 {
		flags |= fetchProperties
	}

	start := len(b)
	b = e.p.appendVarint(b, flags)
	if flags&fetchGroupID != 0 {
		b = e.p.appendVarint(b, group)
	}
	if flags&fetchSubgroupMode == fetchSubgroupPresent {
		b = e.p.appendVarint(b, o.Subgroup)
	}
	if flags&fetchObjectID != 0 {
		b = e.p.appendVarint(b, object)
	}
	if flags&fetchPriority != 0 {
		b = append(b, byte(o.Priority))
	}
	if flags&fetchProperties != 0 {
		var err error
		if b, err = e.p.appendObjectProperties(b, o.Properties); err != nil {
			return b[:start], err
		}
	}
	e.record(o)
	e.gap = false
	return e.p.appendVarint(b, o.Size), nil
}

// place returns the flags for the group and object of o and the distance of each
// from the record before.
func (e *FetchEncoder) place(o *FetchObject) (flags, group, object uint64) {
	sameGroup := e.any && o.Group == e.at.Group
	switch {
	case !e.any:
		flags |= fetchGroupID
		group = o.Group
	case sameGroup:
	case e.descending:
		flags |= fetchGroupID
		group = e.at.Group - o.Group - 1
	default:
		flags |= fetchGroupID
		group = o.Group - e.at.Group - 1
	}
	switch {
	case e.any && e.at.Object != math.MaxUint64 && o.Object == e.at.Object+1:
	case sameGroup:
		flags |= fetchObjectID
		object = o.Object - e.at.Object
	default:
		flags |= fetchObjectID
		object = o.Object
	}
	return flags, group, object
}

func (e *FetchEncoder) appendGap(b []byte, o *FetchObject) ([]byte, error) {
	if int(o.Gap) >= len(e.p.gaps) {
		return b, fmt.Errorf("wire: %v has no gap of kind %d", e.p.version, o.Gap)
	}
	b = e.p.appendVarint(b, e.p.gaps[o.Gap])
	b = e.p.appendVarint(b, o.Group)
	b = e.p.appendVarint(b, o.Object)
	if e.GapLength {
		b = e.p.appendVarint(b, 0)
	}
	e.record(o)
	e.gap = true
	return b, nil
}
