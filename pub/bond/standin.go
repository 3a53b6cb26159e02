package bond

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport"
)

// A path to a relay of its own has a publication of its own, of everything. If the
// path costs something, its session publishes only while the cheaper paths fail or
// are short, and waits otherwise.
const (
	standInTick  = 50 * time.Millisecond
	standInGrace = 3 * time.Second        // for cheaper paths to come about
	standInFail  = 500 * time.Millisecond // for how long they must have failed
	standInShort = 3 * time.Second        // or have been short
	standInRest  = 20 * time.Second       // and for how long they must have been enough again
)

// errSpared ends a publication that the cheaper paths make unnecessary.
var errSpared = errors.New("the cheaper paths are enough")

// standIn is what a session knows that publishes while others cannot.
type standIn struct {
	b     *Bond
	c     *connection
	began time.Time
	ears  map[*connection]*Ear // of cheaper paths that publish on their own
	since time.Time            // since when things are as they are
	was   lack
}

// lack is what the cheaper paths lack.
type lack uint8

const (
	enough lack = iota
	short
	failed
)

// standIn publishes on the session of c when that is needed, until it is not any
// more or the session ends.
func (b *Bond) standIn(ctx context.Context, c *connection) error {
	w := &standIn{b: b, c: c, began: time.Now(), since: time.Now(), ears: make(map[*connection]*Ear)}
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	defer context.AfterFunc(c.sess.Context(), func() { cancel(context.Cause(c.sess.Context())) })()
	wg.Go(func() {
		select {
		case <-c.sess.GoawayReceived():
			cancel(transport.ErrGoaway)
		case <-ctx.Done():
		}
	})
	if !w.await(ctx, w.needed) {
		return context.Cause(ctx)
	}
	defer b.publishes(c)()
	wg.Go(func() {
		if w.await(ctx, w.spared) {
			cancel(errSpared)
		}
	})
	err := b.cfg.Serve(ctx, c.sess, false)
	if context.Cause(ctx) == errSpared {
		err = errSpared
	}
	return err
}

// await returns true when done does, which is asked again and again, or false when
// ctx ends.
func (w *standIn) await(ctx context.Context, done func(now time.Time) bool) bool {
	tick := time.NewTicker(standInTick)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			if l := w.look(now); l != w.was {
				w.was, w.since = l, now
			}
			if done(now) {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
}

// needed reports whether the cheaper paths have not been enough for some time.
func (w *standIn) needed(now time.Time) bool {
	switch w.was {
	case failed:
		return now.Sub(w.since) >= standInFail
	case short:
		return now.Sub(w.since) >= standInShort
	}
	return false
}

// spared reports whether they have been enough for long.
func (w *standIn) spared(now time.Time) bool {
	return w.was == enough && now.Sub(w.since) >= standInRest
}

// look returns what the cheaper paths lack now. Those that have not been tried yet
// are waited for at the beginning.
func (w *standIn) look(now time.Time) lack {
	b, own := w.b, w.c.route
	b.mu.Lock()
	untried, works := false, false
	for _, r := range b.paths {
		untried = untried || r.Cost < own.Cost && !r.tried
	}
	for _, m := range b.members {
		works = works || m.route.Cost < own.Cost && b.sched.State(m.id) != Suspect
	}
	bonded := works
	var singles []*connection
	for c, at := range b.singles {
		if at.Cost < own.Cost {
			singles = append(singles, c)
		}
	}
	scarce := bonded && b.sched.allowed >= own.Cost
	b.mu.Unlock()
	for _, c := range singles {
		ear := w.ears[c]
		if ear == nil {
			ear = new(Ear)
			w.ears[c] = ear
		}
		works = works || c.sess.Context().Err() == nil && ear.Silence(c.sess.Stats(), now) == 0
	}
	switch {
	case !works && (!untried || now.Sub(w.began) >= standInGrace):
		return failed
	case scarce:
		return short
	}
	return enough
}
