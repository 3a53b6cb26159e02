package pub

import "time"

// timeline hands out group ids and knows which group a media time is in. The
// track that drives it begins the groups; the others look theirs up.
type timeline struct {
	next   uint64
	groups []span // the newest last, at most keptGroups
}

// span is a group from its start to that of the next.
type span struct {
	start time.Duration
	id    uint64
}

// keptGroups bounds how far a track may lag behind the one that drives.
const keptGroups = 16

// apart is the distance in media time at which two tracks are taken to have
// no common clock.
const apart = 3 * time.Second

// begin starts a group. Where time goes back, the groups before are no longer
// to be found by their times.
func (t *timeline) begin(start time.Duration) uint64 {
	if n := len(t.groups); n > 0 && start < t.groups[n-1].start {
		t.groups = t.groups[:0]
	}
	if len(t.groups) == keptGroups {
		t.groups = append(t.groups[:0], t.groups[1:]...)
	}
	id := t.next
	t.next++
	t.groups = append(t.groups, span{start, id})
	return id
}

func (t *timeline) empty() bool    { return t.next == 0 || len(t.groups) == 0 }
func (t *timeline) newest() uint64 { return t.groups[len(t.groups)-1].id }

// lasted returns how long the group before the newest was.
func (t *timeline) lasted() time.Duration {
	n := len(t.groups)
	if n < 2 {
		return 0
	}
	return t.groups[n-1].start - t.groups[n-2].start
}

// at returns the group that a time is in. What is before all that are known is
// in the oldest, unless it is so far from it that the times mean nothing.
func (t *timeline) at(when time.Duration) uint64 {
	for i := len(t.groups) - 1; i >= 0; i-- {
		if g := t.groups[i]; g.start <= when {
			return g.id
		}
	}
	if oldest := t.groups[0]; oldest.start-when < apart {
		return oldest.id
	}
	return t.newest()
}
