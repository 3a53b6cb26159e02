package transport

import (
	"maps"
	"slices"

	"github.com/tributary-live/tributary/transport/moqt"
)

// idSet knows which request ids of the peer have been used: all below next, and
// those in ahead. Streams may overtake each other, so ids come out of order.
type idSet struct {
	next  uint64
	ahead map[uint64]struct{}
}

// maxIDsAhead bounds what a peer that leaves ids out can make us remember.
const maxIDsAhead = 4096

// add takes id and reports whether it is new.
func (ids *idSet) add(id uint64) bool {
	if ids.has(id) {
		return false
	}
	if ids.ahead == nil {
		ids.ahead = make(map[uint64]struct{})
	}
	ids.ahead[id] = struct{}{}
	if len(ids.ahead) > maxIDsAhead {
		// The older half of the gaps will not be filled any more.
		sorted := slices.Sorted(maps.Keys(ids.ahead))
		for _, old := range sorted[:maxIDsAhead/2] {
			delete(ids.ahead, old)
			ids.next = old + 2
		}
	}
	for {
		if _, there := ids.ahead[ids.next]; !there {
			return true
		}
		delete(ids.ahead, ids.next)
		ids.next += 2
	}
}

// has reports whether id, of the right parity, was used or counts as used.
func (ids *idSet) has(id uint64) bool {
	_, ahead := ids.ahead[id]
	return ahead || id < ids.next
}

// takeID checks and takes a request id of the peer.
func (s *Session) takeID(id uint64) error { return s.take(id, false) }

// take is takeID, for a SUBSCRIBE if that is set: from the moment its id counts
// as used, a joining fetch that names it finds it among the subscriptions.
func (s *Session) take(id uint64, subscribe bool) error {
	if s.mux != nil && !s.mux.use(id) {
		return s.fail(moqt.SessionTooManyRequests, "request id %d is beyond MAX_REQUEST_ID", id)
	}
	s.mu.Lock()
	right := s.isPeerID(id)
	ok := right && s.peerIDs.add(id)
	if ok && subscribe {
		s.subscribes[id] = nil
	}
	s.mu.Unlock()
	switch {
	case !right:
		return s.fail(moqt.SessionInvalidRequestID, "request id %d has the wrong parity", id)
	case !ok:
		return s.fail(moqt.SessionInvalidRequestID, "request id %d was used before", id)
	}
	return nil
}

// isPeerID reports whether id has the parity of the peer's requests.
func (s *Session) isPeerID(id uint64) bool { return (id%2 == 1) == s.info.Client }

// newID returns the next request id of this end.
func (s *Session) newID() uint64 { return s.nextID.Add(2) - 2 }

// retire remembers an alias whose late streams are to be dropped.
func (s *Session) retire(alias uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retired.add(alias)
}

// announceLocked wakes those who wait for an alias or a request to be known.
func (s *Session) announceLocked() {
	close(s.aliasSet)
	s.aliasSet = make(chan struct{})
}

// retired remembers the last aliases that were let go, so that their late
// streams can be dropped at once and not wait for a track that never comes.
type retired struct {
	set  map[uint64]struct{}
	ring []uint64 // at most maxRetired
	n    int
}

const maxRetired = 256

func (r *retired) add(alias uint64) {
	if r.set == nil {
		r.set = make(map[uint64]struct{})
	}
	if r.has(alias) {
		return
	}
	if len(r.ring) < maxRetired {
		r.ring = append(r.ring, alias)
	} else {
		i := r.n % maxRetired
		delete(r.set, r.ring[i])
		r.ring[i] = alias
	}
	r.n++
	r.set[alias] = struct{}{}
}

func (r *retired) has(alias uint64) bool { _, ok := r.set[alias]; return ok }
