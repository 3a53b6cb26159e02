package pub

import (
	"context"
	"sync"
	"time"

	"github.com/tributary-live/tributary/pub/bond"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// firstAlias is that of the first track on the sessions of a bond: those below are
// the sessions' own to give.
const firstAlias = 1 << 16

// ServeBond is [Broadcast.Serve] for a session of bd: what the peer subscribes to
// goes by the bond, and no object goes twice since several sessions are asked for
// it. A broadcast goes by one bond at most.
func (b *Broadcast) ServeBond(ctx context.Context, sess *transport.Session, bd *bond.Bond) error {
	return b.answer(ctx, sess, func(ctx context.Context, t *Track, req *transport.SubscribeRequest) {
		w := t.accept(req, t.alias)
		if w == nil {
			return
		}
		answered := time.Now()
		f := t.feedOf(bd)
		f.join(w)
		ended := f.follow(ctx, w)
		f.leave(w, sess.Context().Err() != nil || ctx.Err() != nil)
		if ended {
			finish(ctx, w, answered)
		}
	})
}

// feed gives the objects of a track to a bond while any session's peer wants them.
type feed struct {
	t  *Track
	bd *bond.Bond

	mu      sync.Mutex // guards what follows; goes before Track.mu
	writers map[*transport.TrackWriter]bool
	cursor  cursor
	running bool      // cursor is that of the next object to be sent
	until   time.Time // to when it runs without a writer
	epoch   int       // of bd, in which it runs
}

// feedOf returns the feed of t, which is made if there is none.
func (t *Track) feedOf(bd *bond.Bond) *feed {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.feed == nil {
		t.feed = &feed{t: t, bd: bd, writers: make(map[*transport.TrackWriter]bool)}
	}
	return t.feed
}

// join adds a subscription. If nothing was being sent, it begins where the
// subscription does.
func (f *feed) join(w *transport.TrackWriter) {
	f.mu.Lock()
	f.writers[w] = true
	if epoch := f.bd.Epoch(); !f.running || epoch != f.epoch {
		start := w.State().Start
		f.cursor, f.running, f.epoch = cursor{group: start.Group, object: start.Object}, true, epoch
	}
	f.mu.Unlock()
	f.push()
}

// lingering is for how long objects are sent on after the last session is lost: a
// relay keeps a bond for as long, and another session may take over at any moment.
const lingering = 10 * time.Second

// leave removes a subscription. lost tells that its session is gone, rather than
// that nobody wants the track.
func (f *feed) leave(w *transport.TrackWriter, lost bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.writers, w)
	if lost && len(f.writers) == 0 {
		f.until = time.Now().Add(lingering)
	}
}

// wantedLocked reports whether anybody wants what is at l.
func (f *feed) wantedLocked(l moqt.Location) bool {
	for w := range f.writers {
		if st := w.State(); st.Forward && !st.End.Less(l) {
			return true
		}
	}
	return len(f.writers) == 0 && time.Now().Before(f.until)
}

// push gives the bond what it has not been given.
func (f *feed) push() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.running {
		was := f.cursor
		s := f.t.at(&f.cursor)
		if (s.found || s.done) && !f.wantedLocked(moqt.Location{Group: f.cursor.group, Object: f.cursor.object}) {
			f.bd.EndSubgroup(f.t.alias, f.cursor.group, 0, f.cursor.object, false)
			f.running = false
			return
		}
		switch {
		case s.skip:
			f.bd.EndSubgroup(f.t.alias, was.group, 0, was.object, false)
		case s.found:
			f.bd.Send(f.t.outgoing(s.object, f.cursor))
			f.cursor.object++
			f.cursor.begun = true
		case s.done:
			f.bd.EndSubgroup(f.t.alias, f.cursor.group, 0, f.cursor.object, true)
			f.cursor = cursor{group: f.cursor.group + 1}
		default:
			return
		}
	}
}

// outgoing returns an object as a bond takes it.
func (t *Track) outgoing(o object, at cursor) bond.Object {
	out := bond.Object{
		Alias: t.alias, Group: at.group, ID: at.object,
		Priority: t.priority, Payload: o.payload,
		Class: bond.Vital, Lasting: t.priority == PriorityCatalog,
	}
	if t.priority == PriorityVideo && !o.key {
		out.Class = bond.Ordinary
	}
	return out
}

// follow waits until the track has ended and all of it has arrived, which it
// reports, or the subscription or ctx ends.
func (f *feed) follow(ctx context.Context, w *transport.TrackWriter) bool {
	for {
		f.t.mu.Lock()
		ended, changed := f.t.ended, f.t.changed
		f.t.mu.Unlock()
		if ended {
			break
		}
		select {
		case <-changed:
		case <-w.Changed(): // it may want objects again
			f.resume(w)
		case <-w.Context().Done():
			return false
		case <-ctx.Done():
			return false
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.Context(), cancel)()
	f.push()
	f.bd.Delivered(ctx, f.t.alias)
	return ctx.Err() == nil
}

// resume begins anew with the next object, if a subscription that was paused wants
// objects again.
func (f *feed) resume(w *transport.TrackWriter) {
	f.mu.Lock()
	if !f.running && w.State().Forward {
		if l, ok := f.t.Largest(); ok {
			f.cursor = cursor{group: l.Group, object: l.Object + 1}
		}
		f.running = true
	}
	f.mu.Unlock()
	f.push()
}
