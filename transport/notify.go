package transport

import (
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// Notice is what a publisher tells of a subscription by itself
// (PUBLISH_STATE_NOTIFY). What is nil is as it was.
type Notice struct {
	Largest *moqt.Location // of the track, if something is published
	Forward *bool          // whether objects are sent
	Filter  *moqt.Filter
}

// Notify tells the subscriber that something of the subscription has changed
// otherwise than by its update. Largest is filled in if it is nil. In drafts
// before 20 there is no way to tell, and nothing is done.
func (t *TrackWriter) Notify(n Notice) error {
	if !t.s.profile.StateNotify() {
		return nil
	}
	var p wire.Params
	if n.Largest == nil {
		if l, some := t.Largest(); some {
			n.Largest = &l
		}
	}
	if n.Largest != nil {
		p.Largest = t.s.largest(*n.Largest)
	}
	if n.Forward != nil {
		p.Forward = wire.Some(*n.Forward)
	}
	if n.Filter != nil {
		p.Filter = wire.Some(*n.Filter)
	}
	return t.rs.send(&wire.PublishStateNotify{Params: p})
}

// notified takes note of what the publisher tells.
func (t *TrackReader) notified(p *wire.Params) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.Largest.Set {
		t.largest, t.some = p.Largest.Value, true
		t.notice.Largest = &p.Largest.Value
	}
	if p.Forward.Set {
		t.notice.Forward = &p.Forward.Value
	}
	if p.Filter.Set {
		t.want.start, t.want.end = bounds(p.Filter.Value, t.largest, t.some)
		t.notice.Filter = &p.Filter.Value
	}
	select {
	case t.notices <- struct{}{}:
	default:
	}
}

// Notice returns the newest of all that the publisher has told by itself.
func (t *TrackReader) Notice() Notice {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.notice
}

// Notified gives a token after the publisher has told something. Only one
// goroutine should wait on it.
func (t *TrackReader) Notified() <-chan struct{} { return t.notices }
