package relay

import (
	"context"
	"sync"

	"github.com/tributary-live/tributary/transport/moqt"
)

// turns has the relay's subscriptions to one track on one session one at a time, as
// sessions want it: a track that has ended may be asked for anew before its own
// subscription is over. The zero value works.
type turns struct {
	mu    sync.Mutex // guards what follows
	names map[moqt.TrackName]*turn
}

type turn struct {
	taken chan struct{} // cap 1: a token while somebody's subscription lives
	users int           // who have it or wait; guarded by turns.mu
}

// take waits until the track's subscription is over that there is, or ctx, which is
// the error. If there is none, done must follow.
func (q *turns) take(ctx context.Context, name moqt.TrackName) (done func(), err error) {
	q.mu.Lock()
	t := q.names[name]
	if t == nil {
		if q.names == nil {
			q.names = make(map[moqt.TrackName]*turn)
		}
		t = &turn{taken: make(chan struct{}, 1)}
		q.names[name] = t
	}
	t.users++
	q.mu.Unlock()
	leave := func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if t.users--; t.users == 0 {
			delete(q.names, name)
		}
	}
	select {
	case t.taken <- struct{}{}:
		return func() { <-t.taken; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
