package sub

import (
	"context"
	"slices"
	"time"

	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/pub/fmp4"
)

// reel is the media of a camera from one subscription on. Until the camera is
// shown it holds what it would begin with.
type reel struct {
	b      *Broadcast
	cancel context.CancelFunc // ends the subscription

	lead  string              // the track whose groups the camera begins with
	video map[string]bool     // the tracks that cannot begin anywhere
	clock *fmp4.Clock         // of lead; nil if its header tells none
	begun map[string]struct{} // tracks that have been handed on
	first uint64              // group of lead that it begins with
	held  []Object
	size  int // bytes of them
}

// maxHeld bounds what a camera that is not shown yet holds, in bytes.
const maxHeld = 32 << 20

func newReel(b *Broadcast, cancel context.CancelFunc) *reel {
	isVideo := func(t catalog.Track) bool { return t.Role == catalog.RoleVideo }
	r := &reel{b: b, cancel: cancel, video: make(map[string]bool), begun: make(map[string]struct{})}
	lead := max(0, slices.IndexFunc(b.Tracks, isVideo))
	r.lead = b.Tracks[lead].Name
	r.clock, _ = fmp4.NewClock(b.Inits[lead])
	for _, t := range b.Tracks {
		r.video[t.Name] = isVideo(t)
	}
	return r
}

func (r *reel) leads(o Object) bool { return o.Track == r.lead }

// hold keeps o: behind all that is held, or alone with what belongs to it if it
// begins a group and only the newest is wanted.
func (r *reel) hold(o Object, all bool) {
	if r.leads(o) && o.Object.Object == 0 && (!all || !r.ready() || r.size > maxHeld) {
		r.held = slices.DeleteFunc(r.held, func(h Object) bool { return r.leads(h) || h.Group < o.Group })
		r.size = 0
		for _, h := range r.held {
			r.size += weight(h)
		}
		r.first = o.Group
		r.begun[r.lead] = struct{}{}
	}
	if r.leads(o) && !r.ready() {
		return
	}
	r.held = append(r.held, o)
	r.size += weight(o)
	if r.size > 2*maxHeld { // a group that large has to be waited for the end of
		r.held, r.size = nil, 0
		delete(r.begun, r.lead)
	}
}

// objectSize is what an object costs beside its payload, about.
const objectSize = 256

// weight is what it costs to hold o, bytes: objects without any are not for nothing.
func weight(o Object) int { return len(o.Payload) + objectSize }

// ready reports whether what is held begins with a group.
func (r *reel) ready() bool { _, ok := r.begun[r.lead]; return ok }

// release hands on what is held, the track that leads first.
func (r *reel) release(take func(*Broadcast, Object) error) error {
	held := r.held
	r.held = nil
	i := slices.IndexFunc(held, r.leads)
	for _, o := range append([]Object{held[i]}, slices.Delete(slices.Clone(held), i, i+1)...) {
		if err := r.give(o, take); err != nil {
			return err
		}
	}
	return nil
}

// give hands on an object, unless it is of a track that cannot begin with it.
func (r *reel) give(o Object, take func(*Broadcast, Object) error) error {
	if _, begun := r.begun[o.Track]; !begun {
		// Sound of the group before belongs to pictures that are not shown. Where
		// the ids of the tracks are not related, it may begin anywhere.
		if r.video[o.Track] && o.Object.Object != 0 || o.Group+1 == r.first {
			return nil
		}
		r.begun[o.Track] = struct{}{}
	}
	return take(r.b, o)
}

// length is how long an object of the track that leads plays; zero if it does
// not say.
func (r *reel) length(o Object) time.Duration {
	if r.clock == nil {
		return 0
	}
	_, duration, err := r.clock.Times(o.Payload)
	if err != nil {
		return 0
	}
	return fmp4.Duration(duration, r.clock.Timescale)
}
