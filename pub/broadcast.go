package pub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Broadcast is a namespace with its tracks, as one or more sessions publish it.
// It holds the newest groups of each track, so that a session which comes
// later, and a relay that joins in the middle of a group, get the group from
// its start. Its methods may be called concurrently.
type Broadcast struct {
	ns      moqt.Namespace
	stripes func() bool // whether groups that begin are striped; nil if never

	mu       sync.Mutex // guards what follows
	tracks   map[string]*Track
	complete bool
	ended    bool
	sending  int           // subscriptions and fetches that are served
	changed  chan struct{} // closed and replaced at each change
}

// NewBroadcast makes a broadcast without tracks.
func NewBroadcast(ns moqt.Namespace) *Broadcast {
	return &Broadcast{ns: ns, tracks: make(map[string]*Track), changed: make(chan struct{})}
}

// Namespace returns the broadcast's namespace.
func (b *Broadcast) Namespace() moqt.Namespace { return b.ns }

// Track returns the track of a name and makes it if there is none, with the
// publisher priority given.
func (b *Broadcast) Track(name string, priority moqt.Priority) *Track {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.tracks[name]
	if t == nil {
		t = newTrack(priority)
		t.ended = b.ended
		t.alias = firstAlias + uint64(len(b.tracks))
		if priority == PriorityVideo {
			t.stripes = b.stripes
		}
		b.tracks[name] = t
		b.changedLocked()
	}
	return t
}

// Complete says that all tracks have been made. Until then a request for one
// that is not there waits for it: whoever knows the names need not wait for the
// media to begin.
func (b *Broadcast) Complete() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complete = true
	b.changedLocked()
}

// End says that all tracks have ended. Those who are sent them get the rest. What
// is published from then on is dropped.
func (b *Broadcast) End() {
	b.mu.Lock()
	b.ended, b.complete = true, true
	tracks := make([]*Track, 0, len(b.tracks))
	for _, t := range b.tracks {
		tracks = append(tracks, t)
	}
	b.changedLocked()
	b.mu.Unlock()
	for _, t := range tracks {
		t.end()
	}
}

func (b *Broadcast) changedLocked() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// ErrNameTaken says that a relay has taken back its consent because somebody
// else publishes something else under the name.
var ErrNameTaken = errors.New("another publisher has this name, with other content")

// Serve announces the broadcast on a session and answers the peer's requests
// until the session or ctx ends, or the peer asks by GOAWAY to be left. Several
// sessions may serve a broadcast at once. It returns [ErrNameTaken] if the peer
// has found that another publisher's content under this name is different.
func (b *Broadcast) Serve(ctx context.Context, sess *transport.Session) error {
	return b.answer(ctx, sess, func(ctx context.Context, t *Track, req *transport.SubscribeRequest) { b.sendTo(ctx, t, req, nil) })
}

// answer is Serve, with what is to become of a subscription.
func (b *Broadcast) answer(ctx context.Context, sess *transport.Session, subscribed subscriber) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	announced, err := sess.Announce(ctx, b.ns)
	if err != nil {
		return fmt.Errorf("announce %s: %w", b.ns.Slashed(), err)
	}
	defer announced.Close()
	defer context.AfterFunc(announced.Context(), func() {
		cause := context.Cause(announced.Context())
		var se *transport.StreamError
		if errors.As(cause, &se) && se.Remote && se.Code == moqt.StreamMalformedTrack {
			cause = ErrNameTaken
		}
		cancel(cause)
	})()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	wg.Go(func() {
		select {
		case <-sess.GoawayReceived():
			cancel(transport.ErrGoaway)
		case <-ctx.Done():
		}
	})
	for {
		req, err := sess.Accept(ctx)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return err
		}
		wg.Go(func() { b.handle(ctx, req, subscribed) })
	}
}

// subscriber answers a subscription to a track and sends it what it wants.
type subscriber func(ctx context.Context, t *Track, req *transport.SubscribeRequest)

func (b *Broadcast) handle(ctx context.Context, req transport.Request, subscribed subscriber) {
	switch req := req.(type) {
	case *transport.SubscribeRequest:
		if t := b.wanted(ctx, req, req.Track); t != nil {
			b.serve(func() { subscribed(ctx, t, req) })
		}
	case *transport.FetchRequest:
		if t := b.wanted(ctx, req, req.Track); t != nil {
			b.serve(func() { t.serveFetch(req) })
		}
	case *transport.StatusRequest:
		if t := b.wanted(ctx, req, req.Track); t != nil {
			l, ok := t.Largest()
			req.Accept(transport.TrackInfo{Largest: l, HasLargest: ok, Properties: t.properties()})
		}
	default:
		req.Reject(moqt.RequestNotSupported, "a publisher takes SUBSCRIBE, FETCH and TRACK_STATUS")
	}
}

// trackWait bounds how long a request waits for a track that is not there yet.
// A relay gives up after 10 s.
const trackWait = 8 * time.Second

// wanted returns the track that a request names, and waits for it while tracks
// may still come. If there is none, it refuses the request and returns nil.
func (b *Broadcast) wanted(ctx context.Context, req transport.Request, name moqt.TrackName) *Track {
	late := time.NewTimer(trackWait)
	defer late.Stop()
	for {
		b.mu.Lock()
		t, complete, changed := b.tracks[name.Name], b.complete, b.changed
		b.mu.Unlock()
		switch {
		case name.Namespace != b.ns:
			req.Reject(moqt.RequestDoesNotExist, "no track of this namespace is published here")
			return nil
		case t != nil:
			return t
		case complete:
			req.RejectRetry(moqt.RequestDoesNotExist, "the broadcast has no such track", time.Second)
			return nil
		}
		select {
		case <-changed:
		case <-late.C:
			req.RejectRetry(moqt.RequestTimeout, "the broadcast has not begun", time.Second)
			return nil
		case <-req.Context().Done():
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// serve runs f and lets Drain wait for it.
func (b *Broadcast) serve(f func()) {
	b.count(+1)
	defer b.count(-1)
	f()
}

func (b *Broadcast) count(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sending += n
	b.changedLocked()
}

func (b *Broadcast) sendTo(ctx context.Context, t *Track, req *transport.SubscribeRequest, l *lane) {
	w := t.accept(req, 0)
	if w == nil {
		return
	}
	answered := time.Now()
	if t.send(ctx, w, l) {
		finish(ctx, w, answered)
	}
}

// accept answers a subscription. It returns nil if the subscriber is gone.
func (t *Track) accept(req *transport.SubscribeRequest, alias uint64) *transport.TrackWriter {
	w, err := req.Accept(&transport.PublishOptions{Properties: t.properties(), Largest: t.Largest, Alias: alias})
	if err != nil {
		return nil
	}
	switch req.Filter.Kind {
	case moqt.FilterNone, moqt.FilterAbsoluteStart, moqt.FilterAbsoluteRange:
		if l, ok := t.Largest(); ok { // the past is for FETCH
			w.Narrow(moqt.Location{Group: l.Group})
		}
	}
	return w
}

// finish ends a subscription that was answered then and has been sent everything.
func finish(ctx context.Context, w *transport.TrackWriter, answered time.Time) {
	select { // a joining FETCH may be on its way, which needs the subscription
	case <-time.After(drainQuiet - time.Since(answered)):
	case <-w.Context().Done():
	case <-ctx.Done():
	}
	w.Close()
	select { // the subscriber still reads what was sent last
	case <-w.Drained():
	case <-ctx.Done():
	}
}

// drainQuiet is for how long nobody may want anything of a broadcast that has
// ended before it counts as delivered: who has just read the catalog asks for
// the tracks a moment later, and who has subscribed for what came before.
const drainQuiet = 500 * time.Millisecond

// Drain waits until an ended broadcast is delivered to all who asked for it, or
// ctx ends.
func (b *Broadcast) Drain(ctx context.Context) {
	for {
		b.mu.Lock()
		idle, changed := b.sending == 0, b.changed
		b.mu.Unlock()
		var quiet <-chan time.Time
		if idle {
			quiet = time.After(drainQuiet)
		}
		select {
		case <-changed:
		case <-quiet:
			return
		case <-ctx.Done():
			return
		}
	}
}
