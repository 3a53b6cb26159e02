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
	for _, v := range [...]uint64{o.Group, o.Object, o.Subgroup, o.Size} {
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

// FetchObjects decodes the records of one fetch stream.
type FetchObjects struct {
	p *Profile
	fetchState
	gap      bool // the record before was a gap; its payload length may follow
	noLength bool // the peer sends none: a gap of its was followed by a record
}

// FetchObjects returns the decoder for a fetch that was asked for in the given
// order of groups; the default order is ascending.
func (p *Profile) FetchObjects(order moqt.GroupOrder) FetchObjects {
	return FetchObjects{p: p, fetchState: fetchState{descending: order == moqt.Descending}}
}

// Next reads the next record. Payload and errors are as those of
// [SubgroupObjects.Next].
func (d *FetchObjects) Next(r *Reader, l *Limits) (o FetchObject, err error) {
	if d.gap {
		if err := d.skipGapLength(r); err != nil {
			return o, err
		}
	}
	flags, err := d.p.readVarint(r)
	if err != nil {
		return o, err
	}
	if flags >= fetchFlagsEnd {
		return d.readGap(r, flags)
	}
	if err := d.readLocation(r, flags, &o); err != nil {
		return o, err
	}
	if o.Priority = d.priority; flags&fetchPriority != 0 {
		c, err := r.readByte("Publisher Priority")
		if err != nil {
			return o, err
		}
		o.Priority = moqt.Priority(c)
	} else if !d.object {
		return o, violation("Serialization Flags", "0x%x: no prior object to take the priority from", flags)
	}
	if flags&fetchProperties != 0 {
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
	d.record(&o)
	return o, nil
}

// readLocation reads the ids of an object: group, subgroup and object, the
// last of which depends on the first.
func (d *FetchObjects) readLocation(r *Reader, flags uint64, o *FetchObject) error {
	if !d.any && flags&(fetchGroupID|fetchObjectID) != fetchGroupID|fetchObjectID {
		return violation("Serialization Flags", "0x%x: no prior object to take the location from", flags)
	}
	if d.p.fetchIDs {
		return d.readIDs(r, flags, o)
	}
	o.Group = d.at.Group
	if flags&fetchGroupID != 0 {
		delta, err := d.p.readField(r, "Group ID Delta")
		if err != nil {
			return err
		}
		if o.Group = delta; d.any {
			var ok bool
			if o.Group, ok = d.nextGroup(delta); !ok {
				return violation("Group ID Delta", "%d from group %d is out of range", delta, d.at.Group)
			}
		}
	}
	if err := d.readSubgroup(r, flags, o); err != nil {
		return err
	}
	delta := uint64(1)
	if flags&fetchObjectID != 0 {
		var err error
		if delta, err = d.p.readField(r, "Object ID Delta"); err != nil {
			return err
		}
		if flags&fetchGroupID != 0 {
			o.Object = delta
			return nil
		}
	}
	if delta > math.MaxUint64-d.at.Object {
		return violation("Object ID Delta", "object %d + %d is too large", d.at.Object, delta)
	}
	if delta == 0 {
		return violation("Object ID Delta", "object %v again", d.at)
	}
	o.Object = d.at.Object + delta
	return nil
}

// readIDs is readLocation where the ids are not told as distances.
func (d *FetchObjects) readIDs(r *Reader, flags uint64, o *FetchObject) (err error) {
	if o.Group = d.at.Group; flags&fetchGroupID != 0 {
		if o.Group, err = d.p.readField(r, "Group ID"); err != nil {
			return err
		}
	}
	if err := d.readSubgroup(r, flags, o); err != nil {
		return err
	}
	if o.Object = d.at.Object + 1; flags&fetchObjectID != 0 {
		if o.Object, err = d.p.readField(r, "Object ID"); err != nil {
			return err
		}
	}
	if !d.follows(o.Location) || o.Object > d.p.MaxVarint() {
		return violation("Object ID", "%v after %v", o.Location, d.at)
	}
	return nil
}

func (d *FetchObjects) readSubgroup(r *Reader, flags uint64, o *FetchObject) (err error) {
	if flags&fetchDatagram != 0 {
		o.Datagram = true
		return nil
	}
	switch mode := flags & fetchSubgroupMode; mode {
	case fetchSubgroupPresent:
		o.Subgroup, err = d.p.readField(r, "Subgroup ID")
	case fetchSubgroupPrior, fetchSubgroupNext:
		if !d.object || d.datagram {
			return violation("Serialization Flags", "0x%x: no prior object to take the subgroup from", flags)
		}
		if o.Subgroup = d.subgroup; mode == fetchSubgroupNext {
			if o.Subgroup++; o.Subgroup == 0 || o.Subgroup > d.p.MaxVarint() {
				return violation("Serialization Flags", "0x%x: subgroup %d + 1 is too large", flags, d.subgroup)
			}
		}
	}
	return err
}

// readGap reads an End of Range record. Its ids are absolute: as deltas they
// could not tell a gap that ends in the group it began in. Some senders use
// deltas all the same, which shows when the absolute reading would go back.
func (d *FetchObjects) readGap(r *Reader, flags uint64) (o FetchObject, err error) {
	for kind, f := range d.p.gaps {
		if f == flags {
			o.Gap = GapKind(kind)
		}
	}
	if o.Gap == GapNone {
		return o, violation("Serialization Flags", "0x%x is unknown", flags)
	}
	if o.Group, err = d.p.readField(r, "Group ID"); err != nil {
		return o, err
	}
	if o.Object, err = d.p.readField(r, "Object ID"); err != nil {
		return o, err
	}
	if !d.follows(o.Location) {
		group, ok := d.nextGroup(o.Group)
		if o.Group = group; !ok || d.p.fetchIDs {
			return o, violation("End of Range", "%v after %v", o.Location, d.at)
		}
	}
	d.record(&o)
	d.gap = true
	return o, nil
}

// skipGapLength drops the Object Payload Length that some senders give a gap.
// It can only be 0. A record may start with 0 as well, for an object of
// subgroup 0 right behind the gap; that reading is taken of a peer that has once
// shown that it sends no length.
func (d *FetchObjects) skipGapLength(r *Reader) error {
	next, err := r.peek(1)
	if err != nil {
		return err
	}
	d.gap = false
	switch {
	case next[0] != 0:
		d.noLength = true
	case !d.noLength:
		r.pos++
	}
	return nil
}
