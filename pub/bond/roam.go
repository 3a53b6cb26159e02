package bond

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport"
)

// At a relay that wants one publisher of a track, one session publishes. When its
// path fails it moves to another, by migration of its connection: the relay sees
// the same session go on, so nobody's subscription ends, and no second publisher
// appears. Only where that does not work the session ends, and one that waits on
// another path takes its place.
const (
	roamTick = 50 * time.Millisecond
	roamLook = time.Second      // between looks for paths that the session could move to
	roamTime = time.Second      // for one of them
	roamWays = 3                // that are kept: a connection has few
	roamHome = 20 * time.Second // from one move to that to a path which costs less: a session that waits there would have died, if that does not work
	roamDead = 3 * time.Second  // of silence, after which a session is given up if another path leads to the relay
	roamPoke = 64               // bytes that a session which waits is asked with

	// A session is silent when it has sent so many bytes, which are more than
	// acknowledgements alone, and nothing has come for some round trips after.
	roamBytes    = 1500
	roamShortest = 150 * time.Millisecond
	roamLongest  = time.Second
)

var errSilent = errors.New("the path has fallen silent, and the connection cannot move to another")

// roam publishes on a session, which goes by the path of c at first, until it or
// the bond ends.
func (b *Bond) roam(ctx context.Context, c *connection) error {
	sess := c.sess
	b.mu.Lock()
	if b.ctx != nil {
		ctx = b.ctx // the session may outlive its path
	}
	b.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	defer context.AfterFunc(sess.Context(), func() { cancel(context.Cause(sess.Context())) })()
	w := &roamer{b: b, c: c, sess: sess, at: c.route, when: time.Now(), ways: make(map[*route]bool)}
	wg.Go(func() { w.explore(ctx) })
	wg.Go(func() {
		if err := w.run(ctx); err != nil {
			cancel(err)
			sess.Close() // ends writes that wait
		}
	})
	err := b.cfg.Serve(ctx, sess, false)
	if errors.Is(context.Cause(ctx), errSilent) {
		err = errSilent
	}
	return err
}

// roamer keeps one session on a path that works.
type roamer struct {
	b    *Bond
	c    *connection
	sess *transport.Session
	ear  Ear // is run's

	mu   sync.Mutex      // guards what follows
	at   *route          // that the session goes by
	when time.Time       // since when
	ways map[*route]bool // that it can move to, whether they work at the moment or not
}

// run moves the session when its path falls silent or is taken away, or one that
// costs less is there. It returns an error if the session is to be given up, and
// nil when ctx ends.
func (w *roamer) run(ctx context.Context) error {
	tick := time.NewTicker(roamTick)
	defer tick.Stop()
	var lost loss
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		now, stats := time.Now(), w.sess.Stats()
		at, when := w.place()
		silence, gone := w.ear.Silence(stats, now), at.ctx.Err() != nil
		lost.heard(stats)
		switch {
		case !w.b.wantsOne():
			if gone { // the others publish as well
				return context.Cause(at.ctx)
			}
		case silence > 0 || gone:
			waiting := w.b.waiting(at)
			lost.begin(waiting, now)
			if w.move(w.b.others(at)) {
				continue
			}
			if gone && len(waiting) > 0 {
				return errSilent
			}
		case now.Sub(when) > roamHome:
			w.move(slices.DeleteFunc(w.b.others(at), func(r *route) bool { return r.Cost >= at.Cost || !w.b.isAlone(r) }))
		}
		if lost.hopeless(now) {
			return errSilent
		}
	}
}

// loss is a silence that moves have not ended yet.
type loss struct {
	received uint64                        // bytes, of the session
	since    time.Time                     // zero if there is none
	others   map[*transport.Session]uint64 // that wait: bytes received when it began
}

// heard ends the loss if something has come.
func (l *loss) heard(s transport.ConnStats) {
	if s.BytesReceived != l.received {
		*l = loss{received: s.BytesReceived}
	}
}

// begin notes a loss, and asks the sessions that wait whether they live.
func (l *loss) begin(waiting []*transport.Session, now time.Time) {
	if !l.since.IsZero() {
		return
	}
	l.since, l.others = now, make(map[*transport.Session]uint64)
	for _, s := range waiting {
		l.others[s] = s.Stats().BytesReceived
		s.SendPaddingDatagram(roamPoke)
	}
}

// hopeless reports whether the session will not be heard of any more, though a
// session that waits is: the peer does not follow it.
func (l *loss) hopeless(now time.Time) bool {
	if l.since.IsZero() || now.Sub(l.since) < roamDead {
		return false
	}
	for s, received := range l.others {
		if s.Context().Err() == nil && s.Stats().BytesReceived != received {
			return true
		}
	}
	return false
}

// place returns which path the session goes by, and since when.
func (w *roamer) place() (*route, time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at, w.when
}

// move moves the session to the first of some paths that it can move to.
func (w *roamer) move(to []*route) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range to {
		if !w.ways[r] {
			continue
		}
		if err := w.sess.Migrate(r); err != nil {
			w.b.log.Debug("path not changed", "path", r.Name, "err", err)
			continue
		}
		w.b.moved(w.c, r, w.at)
		w.at, w.when, w.ear = r, time.Now(), Ear{}
		return true
	}
	return false
}

// explore looks for paths that the session could move to, and among them the one
// that it goes by, where it may have to come back to: a path that has failed
// cannot be asked for another.
func (w *roamer) explore(ctx context.Context) {
	for ctx.Err() == nil {
		at, _ := w.place()
		routes := append(w.b.others(at), at)
		w.mu.Lock()
		for r := range w.ways {
			if r.ctx.Err() != nil && r != at {
				delete(w.ways, r)
				w.sess.Leave(r)
			}
		}
		full := len(w.ways) >= roamWays
		routes = slices.DeleteFunc(routes, func(r *route) bool { return w.ways[r] || r.ctx.Err() != nil })
		w.mu.Unlock()
		for _, r := range routes {
			if full || ctx.Err() != nil || !w.b.wantsOne() {
				break
			}
			try, cancel := context.WithTimeout(ctx, roamTime)
			err := w.sess.Explore(try, r, patient(r.ListenPacket, nil))
			cancel()
			if err != nil {
				w.b.log.Debug("path not explored", "path", r.Name, "err", err)
				continue
			}
			w.mu.Lock()
			w.ways[r] = true
			full = len(w.ways) >= roamWays
			w.mu.Unlock()
		}
		pause(ctx, roamLook)
	}
}

// moved notes that a session has moved to a path. The one that it was opened on gets
// another, which waits there and shows whether the path works.
func (b *Bond) moved(c *connection, to, from *route) {
	b.log.Info("path changed", "path", to.Name, "before", from.Name)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.migrations++
	b.singles[c] = to
	if r := c.route; !c.moved {
		c.moved = true
		r.alone, r.sess = nil, nil
		if b.ctx != nil {
			r.slots++
			b.wg.Go(func() { b.keep(r.ctx, r, c.slot) })
		}
	}
}

// wantsOne reports whether the relay is not known to merge publishers.
func (b *Bond) wantsOne() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.treatment != Merges
}

// others returns the paths beside one: first those that a session is open on, and
// of these the cheapest.
func (b *Bond) others(r *route) []*route {
	b.mu.Lock()
	defer b.mu.Unlock()
	var others []*route
	for _, o := range b.paths {
		if o != r && o.ctx != nil && o.URL == r.URL {
			others = append(others, o)
		}
	}
	slices.SortStableFunc(others, func(x, y *route) int {
		if x, y := x.alone != nil, y.alone != nil; x != y {
			if x {
				return -1
			}
			return 1
		}
		return cmp.Compare(x.Cost, y.Cost)
	})
	return others
}

// isAlone reports whether a session is open on r.
func (b *Bond) isAlone(r *route) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return r.alone != nil
}

// waiting returns the sessions that wait on other paths than r.
func (b *Bond) waiting(r *route) (waiting []*transport.Session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range b.paths {
		if o != r && o.sess != nil && o.URL == r.URL {
			waiting = append(waiting, o.sess)
		}
	}
	return waiting
}
