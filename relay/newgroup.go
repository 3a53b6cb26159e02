package relay

import (
	"context"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// updateTimeout bounds how long a publisher may take to answer REQUEST_UPDATE.
const updateTimeout = 10 * time.Second

// groupRequest is a NEW_GROUP_REQUEST that was passed on to the publishers. It
// is outstanding until there is a group above the largest of then.
type groupRequest struct {
	value   uint64 // largest group known plus one, or 0
	largest uint64
	any     bool // there was a group
}

func (r *groupRequest) outstanding(largest moqt.Location, any bool) bool {
	return r != nil && (!any || r.any && largest.Group <= r.largest)
}

// requestGroup passes a subscriber's NEW_GROUP_REQUEST on to the publishers,
// unless the group it asks for is there, or a request like it is outstanding.
// ("NEW GROUP REQUEST Parameter")
func (t *track) requestGroup(value uint64) {
	largest, any := t.largest()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.dynamic, t.over:
		return
	case value > 0 && any && value <= largest.Group:
		return
	case t.asked.outstanding(largest, any) && t.asked.value >= value:
		return
	}
	t.asked = &groupRequest{value, largest.Group, any}
	for _, s := range t.sources {
		rd := s.reader()
		if rd == nil {
			continue // it is being asked for the track
		}
		t.r.wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.ctx, updateTimeout)
			defer cancel()
			if err := rd.Update(ctx, transport.SubscribeUpdate{NewGroup: &value}); err != nil {
				t.r.log.Debug("no new group", "session", s.p.id, "track", t.name, "err", err)
			}
		})
	}
}

// wantGroup is requestGroup for a SUBSCRIBE to a track that may have no
// publisher yet: what is asked for is in the SUBSCRIBE to that then.
func (t *track) wantGroup(value uint64) {
	t.mu.Lock()
	live := t.live
	if !live && (t.wants == nil || value == 0 || *t.wants != 0 && *t.wants < value) {
		t.wants = &value
	}
	t.mu.Unlock()
	if live {
		t.requestGroup(value)
	}
}

// takeWanted returns what wantGroup has noted, once.
func (t *track) takeWanted() (value uint64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.wants == nil {
		return 0, false
	}
	value = *t.wants
	t.wants = nil
	return value, true
}
