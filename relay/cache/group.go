package cache

import (
	"slices"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Rough sizes of what is kept beside payloads, so that empty objects, groups of
// one object and the like cost what they cost.
const (
	groupCost    = 512
	subgroupCost = 256
	runCost      = 192
	objectCost   = 256
	propertyCost = 32
)

// group is one group of a track, guarded by Track.mu.
type group struct {
	id     uint64
	index  []*Object // all objects, ascending
	subs   map[uint64]*subgroup
	runs   []*run // announced ones, ascending by seq
	bytes  int64
	since  time.Time // when a newer group appeared, or when this one did if later
	edge   int64     // Track.edge when this was the newest group; never changes
	source uint64    // who brought its first object

	final       uint64 // the last object id of the group
	hasFinal    bool
	finalSource uint64

	gap       uint64 // PRIOR_GROUP_ID_GAP: so many groups before this one do not exist
	hasGap    bool
	gapSource uint64
}

// covers reports whether the group says that group id, before it, does not exist.
func (g *group) covers(id uint64) bool { return id < g.id && g.id-id <= g.gap }

// find returns the place of object id in the index, and the object if it is there.
func (g *group) find(id uint64) (int, *Object) {
	n := len(g.index)
	if n == 0 || g.index[n-1].id() < id {
		return n, nil
	}
	i, ok := slices.BinarySearchFunc(g.index, id, func(o *Object, id uint64) int {
		switch {
		case o.id() < id:
			return -1
		case o.id() > id:
			return 1
		}
		return 0
	})
	if !ok {
		return i, nil
	}
	return i, g.index[i]
}

func (g *group) last() *Object { return g.index[len(g.index)-1] }

// newSubgroup adds the subgroup that h describes.
func (g *group) newSubgroup(t *Track, h moqt.Subgroup, source uint64) *subgroup {
	sg := &subgroup{track: t, group: g, head: h, source: source}
	sg.head.First = false
	g.subs[h.ID] = sg
	t.account(g, subgroupCost)
	return sg
}
