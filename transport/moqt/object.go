package moqt

import (
	"cmp"
	"fmt"
	"time"
)

// Location is the place of an object in a track. The zero value is the first
// possible one.
type Location struct{ Group, Object uint64 }

// Compare orders locations by group, then object.
func (l Location) Compare(m Location) int {
	return cmp.Or(cmp.Compare(l.Group, m.Group), cmp.Compare(l.Object, m.Object))
}

// Less reports whether l comes before m.
func (l Location) Less(m Location) bool { return l.Compare(m) < 0 }

// Next returns the location after l: the next object of the group, or of the
// next group if l is the last there can be. There is none after
// {LastGroup, WholeGroup}, which is returned as it is.
func (l Location) Next() Location {
	switch {
	case l.Object < WholeGroup:
		return Location{l.Group, l.Object + 1}
	case l.Group < LastGroup:
		return Location{Group: l.Group + 1}
	}
	return l
}

// Prev returns the location before l; before the first there is none, and it is
// returned as it is.
func (l Location) Prev() Location {
	switch {
	case l.Object > 0:
		return Location{l.Group, l.Object - 1}
	case l.Group > 0:
		return Location{l.Group - 1, WholeGroup}
	}
	return l
}

// String returns "group/object".
func (l Location) String() string { return fmt.Sprintf("%d/%d", l.Group, l.Object) }

// Priority is a publisher's or subscriber's priority: 0 goes first, 255 last.
type Priority uint8

// DefaultPriority is what a track or subscription has that names none.
const DefaultPriority Priority = 128

// GroupOrder is the order in which groups of one request are sent. The zero
// value leaves it to the publisher.
type GroupOrder uint8

const (
	OrderDefault GroupOrder = 0
	Ascending    GroupOrder = 1
	Descending   GroupOrder = 2
)

// Status tells an ordinary object from a marker.
type Status uint64

const (
	// StatusNormal is an object with a payload, possibly of no bytes.
	StatusNormal Status = 0x0
	// StatusEndOfGroup says that no object of the group is at or after this one.
	StatusEndOfGroup Status = 0x3
	// StatusEndOfTrack says that no object of the track is at or after this one.
	StatusEndOfTrack Status = 0x4
)

// String returns the draft's word for s.
func (s Status) String() string {
	switch s {
	case StatusNormal:
		return "normal"
	case StatusEndOfGroup:
		return "end of group"
	case StatusEndOfTrack:
		return "end of track"
	}
	return fmt.Sprintf("status 0x%x", uint64(s))
}

// Subgroup is what the header of a subgroup stream says.
type Subgroup struct {
	Group    uint64
	ID       uint64
	Priority Priority // publisher priority of its objects
	// DefaultPriority says that the stream carries no priority and Priority was
	// taken from the track's DEFAULT_PUBLISHER_PRIORITY.
	DefaultPriority bool
	// First is the FIRST_OBJECT bit: the stream's first object is the first
	// that was ever published in the subgroup.
	First bool
	// EndOfGroup is the END_OF_GROUP bit: if the stream ends with FIN, its last
	// object is the last of the group.
	EndOfGroup bool
}

// Object is one object of a track. Its content never changes once published.
type Object struct {
	Location
	Subgroup   uint64   // of the group; 0 for a datagram
	Datagram   bool     // forwarding preference
	Priority   Priority // publisher priority
	Status     Status   // of a marker; then there is no payload
	Properties Properties
	Payload    []byte
	// Received is since when a publisher has the object: since its header came
	// from upstream, or its application made it. Delivery timeouts count from
	// then. If zero, they count from the moment it is written. It is not sent.
	Received time.Time
}

// Property is one extension of a track or object. Odd types carry Bytes, even
// types carry Value.
type Property struct {
	Type  uint64
	Value uint64
	Bytes []byte
}

// Properties is a list of properties in ascending order of type, as on the
// wire; a type may be there more than once.
type Properties []Property

// Value returns the value of the first property of an even type.
func (p Properties) Value(typ uint64) (uint64, bool) {
	for i := range p {
		if p[i].Type == typ {
			return p[i].Value, true
		}
	}
	return 0, false
}

// Property types that a session or relay acts upon ("Properties").
const (
	PropObjectDeliveryTimeout   = 0x02 // OBJECT_DELIVERY_TIMEOUT, ms
	PropMaxCacheDuration        = 0x04 // MAX_CACHE_DURATION, ms
	PropSubgroupDeliveryTimeout = 0x06 // SUBGROUP_DELIVERY_TIMEOUT, ms
	PropImmutable               = 0x0B // IMMUTABLE_PROPERTIES
	PropDefaultPriority         = 0x0E // DEFAULT_PUBLISHER_PRIORITY
	PropDefaultGroupOrder       = 0x22 // DEFAULT_PUBLISHER_GROUP_ORDER
	PropDynamicGroups           = 0x30 // DYNAMIC_GROUPS
	PropPriorGroupIDGap         = 0x3C // PRIOR_GROUP_ID_GAP
	PropPriorObjectIDGap        = 0x3E // PRIOR_OBJECT_ID_GAP
	// PropMandatoryFirst and PropMandatoryLast bound the mandatory track
	// properties: a receiver that does not know one must refuse the track.
	PropMandatoryFirst = 0x4000
	PropMandatoryLast  = 0x7FFF
)

// WholeGroup as the object of an inclusive end means all objects of the group.
const WholeGroup = ^uint64(0)

// LastGroup as the group of an inclusive end means that there is no end.
const LastGroup = ^uint64(0)
