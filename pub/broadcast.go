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
// It holds the running group of each track and those before, so that a
// session which comes later, and a relay that joins in the middle of a group,
// get the group from its start. Its methods may be called concurrently.
type Broadcast struct {
	ns moqt.Namespace

	mu      sync.Mutex // guards what follows
	tracks  map[string]*Track
	sending map[*transport.TrackWriter]struct{} // subscriptions that are served
	ended   bool
}

// NewBroadcast makes a broadcast without tracks.
func NewBroadcast(ns moqt.Namespace) *Broadcast {
	return &Broadcast{ns: ns, tracks: make(map[string]*Track), sending: make(map[*transport.TrackWriter]struct{})}
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
		t = &Track{priority: priority, changed: make(chan struct{})}
		b.tracks[name] = t
	}
	return t
}

func (b *Broadcast) find(name moqt.TrackName) *Track {
	b.mu.Lock()
	defer b.mu.Unlock()
	if name.Namespace != b.ns {
		return nil
	}
	return b.tracks[name.Name]
}

// End says that all tracks have ended. Those who are sent them get the rest.
func (b *Broadcast) End() {
	b.mu.Lock()
	b.ended = true
	tracks := make([]*Track, 0, len(b.tracks))
	for _, t := range b.tracks {
		tracks = append(tracks, t)
	}
	b.mu.Unlock()
	for _, t := range tracks {
		t.end()
	}
}

// ErrNameTaken says that a relay has taken back its consent because somebody
// else publishes something else under the name.
var ErrNameTaken = errors.New("another publisher has this name, with other content")

// Serve announces the broadcast on a session and answers the peer's requests
// until the session or ctx ends, or the broadcast has ended and all that was
// asked for is sent. Several sessions may serve a broadcast at once.
func (b *Broadcast) Serve(ctx context.Context, sess *transport.Session) error {
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
	for {
		req, err := sess.Accept(ctx)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return err
		}
		wg.Go(func() { b.handle(ctx, req) })
	}
}

func (b *Broadcast) handle(ctx context.Context, req transport.Request) {
	switch req := req.(type) {
	case *transport.SubscribeRequest:
		t := b.find(req.Track)
		if t == nil {
			req.RejectRetry(moqt.RequestDoesNotExist, "the broadcast has no such track", time.Second)
			return
		}
		w, err := req.Accept(&transport.PublishOptions{Properties: t.properties(), Largest: t.Largest})
		if err != nil {
			return
		}
		b.mu.Lock()
		b.sending[w] = struct{}{}
		b.mu.Unlock()
		t.send(ctx, w)
		if b.isEnded() {
			select { // the subscriber still reads what was sent last
			case <-w.Drained():
			case <-ctx.Done():
			}
		}
		b.mu.Lock()
		delete(b.sending, w)
		b.mu.Unlock()
	case *transport.FetchRequest:
		t := b.find(req.Track)
		if t == nil {
			req.Reject(moqt.RequestDoesNotExist, "the broadcast has no such track")
			return
		}
		t.serveFetch(req)
	case *transport.StatusRequest:
		t := b.find(req.Track)
		if t == nil {
			req.Reject(moqt.RequestDoesNotExist, "the broadcast has no such track")
			return
		}
		l, ok := t.Largest()
		req.Accept(transport.TrackInfo{Largest: l, HasLargest: ok, Properties: t.properties()})
	default:
		req.Reject(moqt.RequestNotSupported, "a publisher takes SUBSCRIBE, FETCH and TRACK_STATUS")
	}
}

func (b *Broadcast) isEnded() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended
}

// Drain waits until nobody is sent anything any more, or ctx ends.
func (b *Broadcast) Drain(ctx context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		b.mu.Lock()
		n := len(b.sending)
		b.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
