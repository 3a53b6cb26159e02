package wire

import (
	"math"

	"github.com/tributary-live/tributary/transport/moqt"
)

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
	if o.Object == d.p.MaxVarint() {
		o.Object = moqt.WholeGroup
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
