package cache

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// admission is what is known of an object that a source offers once it has
// passed all rules.
type admission struct {
	meta     moqt.Object // without payload
	size     int64
	gap      uint64 // PRIOR_OBJECT_ID_GAP
	groupGap uint64 // PRIOR_GROUP_ID_GAP
	hasGroup bool   // groupGap was there

	late  bool    // it is below the floor: drop it
	prior *Object // the copy that is held; its payload is still to be compared
	group *group  // nil if the object is the first of it
	sub   *subgroup
}

// admit holds object o, with a payload of size bytes, against the rules and
// against what is held. Stream w is nil for an object without one. past says
// that o was asked for by FETCH: it may be older than all that is kept, and
// nothing newer makes room for it. Nothing changes but by eviction, to make
// room, and by a fault.
func (s *Source) admit(o *moqt.Object, size int64, w *Writer, past bool) (admission, error) {
	t := s.track
	a := admission{meta: *o, size: size}
	a.meta.Payload = nil
	if err := s.inspect(&a); err != nil {
		return a, err
	}
	if size > t.opts.MaxObjectBytes {
		return a, fmt.Errorf("cache: object %v: payload of %d bytes: %w", o.Location, size, ErrLimit)
	}
	if err := t.reserve(objectCost+min(size, firstPiece)+propertiesCost(o.Properties), o.Group, past); err != nil {
		return a, err
	}
	loc := o.Location
	i, g := t.search(loc.Group)
	a.group = g
	if g != nil && w != nil {
		a.sub = g.subs[o.Subgroup]
	}
	if loc.Less(t.floor) && !past {
		t.stats.Late++
		a.late = true
		return a, nil
	}
	if t.hasFinal && t.final.Less(loc) {
		return a, s.fault(t.finalSource, loc, "after the end of the track, %v", t.final)
	}
	if err := s.checkGroup(&a, i); err != nil {
		return a, err
	}
	if g == nil {
		return a, s.checkEnds(&a)
	}
	if a.sub != nil {
		if err := s.checkSubgroup(&a, w); err != nil {
			return a, err
		}
	}
	place, prior := g.find(loc.Object)
	if prior != nil {
		a.prior = prior
		return a, s.checkCopy(&a)
	}
	if err := s.checkPlace(&a, place); err != nil {
		return a, err
	}
	if err := s.checkEnds(&a); err != nil {
		return a, err
	}
	if len(g.index) >= t.opts.MaxObjects {
		if past {
			return a, fmt.Errorf("cache: object %v: group of %d objects: %w", loc, len(g.index), ErrLimit)
		}
		t.outgrown(g)
		if loc.Less(t.floor) {
			t.stats.Late++
			a.late = true
		}
		if a.sub != nil {
			a.sub = g.subs[o.Subgroup] // it may have gone with its last object
		}
	}
	return a, nil
}

// inspect checks what an object says of itself.
func (s *Source) inspect(a *admission) error {
	o := &a.meta
	switch o.Status {
	case moqt.StatusNormal:
	case moqt.StatusEndOfGroup, moqt.StatusEndOfTrack:
		if a.size > 0 || len(o.Properties) > 0 {
			return s.fault(s.id, o.Location, "%v with payload or properties", o.Status)
		}
	default:
		return s.fault(s.id, o.Location, "%v", o.Status)
	}
	var seen propertyCounts
	if err := s.inspectProperties(a, o.Properties, &seen, false); err != nil {
		return err
	}
	switch {
	case seen.objectGaps > 1 || seen.groupGaps > 1 || seen.immutables > 1:
		return s.fault(s.id, o.Location, "a property twice")
	case a.gap > o.Object:
		return s.fault(s.id, o.Location, "gap of %d objects before it", a.gap)
	case a.groupGap > o.Group:
		return s.fault(s.id, o.Location, "gap of %d groups before it", a.groupGap)
	}
	return nil
}

type propertyCounts struct{ objectGaps, groupGaps, immutables int }

// inspectProperties looks at properties, and at those inside
// IMMUTABLE_PROPERTIES if the source knows how to read them.
func (s *Source) inspectProperties(a *admission, props moqt.Properties, seen *propertyCounts, inside bool) error {
	for i := range props {
		switch p := &props[i]; {
		case p.Type == moqt.PropPriorObjectIDGap:
			a.gap = p.Value
			seen.objectGaps++
		case p.Type == moqt.PropPriorGroupIDGap:
			a.groupGap, a.hasGroup = p.Value, true
			seen.groupGaps++
		case p.Type == moqt.PropImmutable && inside:
			return s.fault(s.id, a.meta.Location, "IMMUTABLE_PROPERTIES are nested")
		case p.Type == moqt.PropImmutable:
			if seen.immutables++; s.parse == nil {
				continue
			}
			inner, err := s.parse(p.Bytes)
			if err != nil {
				return s.fault(s.id, a.meta.Location, "IMMUTABLE_PROPERTIES: %v", err)
			}
			if err := s.inspectProperties(a, inner, seen, true); err != nil {
				return err
			}
		case moqt.PropMandatoryFirst <= p.Type && p.Type <= moqt.PropMandatoryLast:
			return s.fault(s.id, a.meta.Location, "mandatory track property 0x%x on an object", p.Type)
		}
	}
	return nil
}

// checkGroup checks the object's group against gaps between groups; i is the
// group's place.
func (s *Source) checkGroup(a *admission, i int) error {
	t, loc := s.track, a.meta.Location
	if a.group == nil && i < len(t.groups) {
		// Only the next group's gap can reach here: it ends at that group, and
		// a gap over a group that exists is refused below.
		if next := t.groups[i]; next.covers(loc.Group) {
			return s.fault(next.gapSource, loc, "its group is in the gap before group %d", next.id)
		}
	}
	if !a.hasGroup {
		return nil
	}
	if g := a.group; g != nil && g.hasGap && g.gap != a.groupGap {
		return s.fault(g.gapSource, loc, "gap of %d groups before it, not %d", a.groupGap, g.gap)
	}
	if i > 0 && a.groupGap > 0 {
		if before := t.groups[i-1]; before.id >= loc.Group-a.groupGap {
			return s.fault(before.source, loc, "gap of %d groups before it covers group %d", a.groupGap, before.id)
		}
	}
	return nil
}

// checkSubgroup checks the object against what ends its subgroup.
func (s *Source) checkSubgroup(a *admission, w *Writer) error {
	if sg := a.sub; sg.head.Priority != w.head.Priority {
		return s.priorityFault(sg, w.head)
	} else if sg.hasFinal && a.meta.Object > sg.final {
		return s.fault(sg.finalSource, a.meta.Location, "after the last object of subgroup %d, %d", sg.head.ID, sg.final)
	}
	return nil
}

// checkPlace checks a new object against its neighbours; i is its place.
func (s *Source) checkPlace(a *admission, i int) error {
	g, loc := a.group, a.meta.Location
	if g.hasFinal && loc.Object > g.final {
		return s.fault(g.finalSource, loc, "after the last object of its group, %d", g.final)
	}
	if i > 0 && a.gap > 0 {
		if before := g.index[i-1]; before.id() >= loc.Object-a.gap {
			return s.fault(before.source, loc, "gap of %d objects before it covers object %d", a.gap, before.id())
		}
	}
	if i < len(g.index) {
		if next := g.index[i]; next.covers(loc.Object) {
			return s.fault(next.source, loc, "in the gap before object %d", next.id())
		}
	}
	return nil
}

// checkEnds checks a marker of an end against objects after it.
func (s *Source) checkEnds(a *admission) error {
	loc := a.meta.Location
	switch a.meta.Status {
	case moqt.StatusEndOfGroup:
		if g := a.group; g != nil {
			return s.checkFinal(g, loc.Object)
		}
	case moqt.StatusEndOfTrack:
		t := s.track
		if g := a.group; g != nil && len(g.index) > 0 && g.last().id() > loc.Object {
			return s.fault(g.last().source, loc, "end of track before object %v", g.last().Meta.Location)
		}
		if n := len(t.groups); n > 0 && t.groups[n-1].id > loc.Group {
			return s.fault(t.groups[n-1].source, loc, "end of track before group %d", t.groups[n-1].id)
		}
	}
	return nil
}

// checkFinal checks that id may be the last object of g.
func (s *Source) checkFinal(g *group, id uint64) error {
	loc := moqt.Location{Group: g.id, Object: id}
	if g.hasFinal && g.final != id {
		return s.fault(g.finalSource, loc, "last of its group, not %d", g.final)
	}
	if len(g.index) > 0 && g.last().id() > id {
		return s.fault(g.last().source, loc, "last of its group, which has object %d", g.last().id())
	}
	return nil
}

// checkCopy compares the object with the copy that is held, but for the payload.
func (s *Source) checkCopy(a *admission) error {
	o, held, loc := &a.meta, &a.prior.Meta, a.meta.Location
	owner := a.prior.source
	switch {
	case o.Datagram != held.Datagram:
		return s.fault(owner, loc, "other forwarding preference")
	case o.Subgroup != held.Subgroup:
		return s.fault(owner, loc, "in subgroup %d, not %d", o.Subgroup, held.Subgroup)
	case o.Priority != held.Priority:
		return s.fault(owner, loc, "priority %d, not %d", o.Priority, held.Priority)
	case o.Status != held.Status:
		return s.fault(owner, loc, "%v, not %v", o.Status, held.Status)
	case a.size != a.prior.Size:
		return s.fault(owner, loc, "payload of %d bytes, not %d", a.size, a.prior.Size)
	case !sameImmutable(o.Properties, held.Properties):
		return s.fault(owner, loc, "other immutable properties")
	}
	s.track.stats.Duplicate++
	return nil
}

// sameImmutable compares the properties that may not differ between copies.
func sameImmutable(p, q moqt.Properties) bool {
	is := func(p moqt.Property) bool { return p.Type == moqt.PropImmutable }
	i, j := slices.IndexFunc(p, is), slices.IndexFunc(q, is)
	if i < 0 || j < 0 {
		return i < 0 && j < 0
	}
	return bytes.Equal(p[i].Bytes, q[j].Bytes)
}

// compareUnlock compares a whole payload with that of a complete object, and
// releases the lock before it does: what is complete does not change.
func (s *Source) compareUnlock(held *Object, payload []byte) error {
	t := s.track
	have := held.available()
	t.stats.DuplicateBytes += uint64(len(payload))
	t.unlock()
	// Of an incomplete object, which only FETCH can meet here, the prefix.
	if bytes.Equal(have, payload[:len(have)]) {
		return nil
	}
	t.mu.Lock()
	defer t.unlock()
	return s.fault(held.source, held.Meta.Location, "other payload")
}

// makeGroup returns the group of an admitted object that is about to be
// inserted, and notes what the object says of ends and gaps.
func (t *Track) makeGroup(a *admission, s *Source, now time.Time) *group {
	g := a.group
	if g == nil {
		g = t.addGroup(a.meta.Group, s.id, now)
		a.group = g
	}
	if a.hasGroup && !g.hasGap {
		g.gap, g.hasGap, g.gapSource = a.groupGap, true, s.id
	}
	switch a.meta.Status {
	case moqt.StatusEndOfGroup:
		g.final, g.hasFinal, g.finalSource = a.meta.Object, true, s.id
	case moqt.StatusEndOfTrack:
		t.final, t.hasFinal, t.finalSource = a.meta.Location, true, s.id
	}
	return g
}

// object makes the cached object of an admission, without its payload.
func (a *admission) object(s *Source, now time.Time) *Object {
	o := &Object{Meta: a.meta, Size: a.size, source: s.id, gap: a.gap}
	o.Meta.Received = now
	return o
}
