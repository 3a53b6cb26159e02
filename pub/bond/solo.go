package bond

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/tributary-live/tributary/transport"
)

// merges reports whether the relay is known to merge publishers of one track
// object by object: ours, which has been told not to speak the extension, or
// refuses it at the moment. Others may end the running subscriptions when a
// second publisher appears.
func merges(sess *transport.Session) bool {
	return strings.HasPrefix(sess.PeerImplementation(), "tributary/")
}

// solo lets one session at a time publish at a relay that may not like two. The
// others wait with their sessions open, and the one whose path costs least is the
// next.
type solo struct {
	mu      sync.Mutex // guards what follows
	busy    bool
	waiting []*waiter
}

type waiter struct {
	cost Cost
	turn chan struct{}
}

// turn waits until sess may publish, and returns what to call when it is done. All
// may when all is closed. It fails with the end of the session or ctx.
func (s *solo) turn(ctx context.Context, cost Cost, sess *transport.Session, all <-chan struct{}) (done func(), err error) {
	w := &waiter{cost, make(chan struct{})}
	s.mu.Lock()
	s.waiting = append(s.waiting, w)
	s.nextLocked()
	s.mu.Unlock()
	select {
	case <-w.turn:
		return s.pass, nil
	case <-all:
		done = func() {}
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-sess.Context().Done():
		err = context.Cause(sess.Context())
	case <-sess.GoawayReceived():
		err = transport.ErrGoaway
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.waiting, w); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	} else { // it was given its turn meanwhile
		s.busy = false
		s.nextLocked()
	}
	return done, err
}

// pass ends a turn.
func (s *solo) pass() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	s.nextLocked()
}

func (s *solo) nextLocked() {
	if s.busy || len(s.waiting) == 0 {
		return
	}
	w := slices.MinFunc(s.waiting, func(a, b *waiter) int { return int(a.cost) - int(b.cost) })
	s.waiting = slices.DeleteFunc(s.waiting, func(o *waiter) bool { return o == w })
	s.busy = true
	close(w.turn)
}
