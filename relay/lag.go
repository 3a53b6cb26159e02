package relay

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tributary-live/tributary/relay/cache"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// A subscriber that does not keep up costs nobody else anything, because it has
// no queue: it is a few places in the track's log. What becomes of itself is
// decided here.
//
// In ascending order of groups a group is finished before the next is begun, as
// long as it is not overtaken by two that began after it; then it is given up.
// Whoever comes to the next group late goes on with the newest instead. So a
// subscriber on a path too narrow for the track gets some groups whole, and not
// the beginnings of all. In descending order each group is begun at once and the
// newest goes first; the older ones are given up in the same way.
//
// Who has taken nothing at all in giveUpAfter is ended with TOO_FAR_BEHIND.

const (
	// groupsBehind is by how many newer groups a stream may be overtaken while
	// its subscriber does not keep up.
	groupsBehind = 2
	// giveUpAfter is how long a subscriber whose groups are given up may take
	// nothing before its subscription is ended.
	giveUpAfter = 10 * time.Second
	// patience is how long a stream must have had something left to send for its
	// subscriber to be one that does not keep up: groups that come in a burst
	// are no reason to leave one out.
	patience = 100 * time.Millisecond
)

// lag is how a subscriber keeps up.
type lag struct {
	held   chan struct{} // cap 1: a token when a stream has caught up while waits is set
	waits  atomic.Bool   // a group waits for those before it
	taken  atomic.Uint64 // objects that were sent
	marked uint64        // taken at the time since; by sink.serve alone, as the next two
	since  time.Time
	asked  int // groups that the subscriber began behind the newest, or less; -1 before the first

	mu      sync.Mutex // guards what follows
	streams map[*outStream]struct{}
	rests   *sender // waits for the next stream; nil if none does
	over    bool    // none is to
}

func newLag() lag {
	return lag{held: make(chan struct{}, 1), asked: -1, streams: make(map[*outStream]struct{})}
}

// sender is a goroutine that sends streams, one after the other: most groups begin
// when the one before has ended, and to begin one is the same for all subscribers
// at once, so what need not be made anew for each is kept.
type sender struct {
	ctx    context.Context // ends when its stream is given up, and with the sender
	cancel context.CancelFunc
	next   chan *outStream                          // cap 1: what to send after it has come to rest; closed if there is nothing
	writer atomic.Pointer[transport.SubgroupWriter] // of its stream; cancelled with ctx
}

func newSender(ctx context.Context) *sender {
	s := &sender{next: make(chan *outStream, 1)}
	s.ctx, s.cancel = context.WithCancel(ctx)
	context.AfterFunc(s.ctx, func() {
		if w := s.writer.Load(); w != nil {
			w.Cancel(moqt.StreamTooFarBehind)
		}
	})
	return s
}

// writes has w cancelled when the stream is given up.
func (s *sender) writes(w *transport.SubgroupWriter) {
	s.writer.Store(w)
	if s.ctx.Err() != nil { // before it was there, perhaps
		w.Cancel(moqt.StreamTooFarBehind)
	}
}

// outStream is a subgroup that is being sent: one downstream stream, or a few
// one after the other if it has gaps.
type outStream struct {
	*sender
	cursor *cache.Cursor
	group  uint64
	base   int          // newer groups that there were when it began
	short  bool         // it lacks objects that had expired; by who sends it alone
	since  atomic.Int64 // UnixNano from when on there was always something left to send, 0 if there is nothing
}

// busy takes note that there is something to send.
func (o *outStream) busy() {
	if o.since.Load() == 0 {
		o.since.Store(time.Now().UnixNano())
	}
}

// behind reports whether the subscriber does not take what there is.
func (o *outStream) behind(now time.Time) bool {
	since := o.since.Load()
	return since != 0 && now.Sub(time.Unix(0, since)) >= patience
}

// next waits for the next subgroup that is to be sent, until the subscriber has
// got so far.
func (k *sink) next(ctx context.Context) (*cache.Cursor, error) {
	l := &k.lag
	for {
		c, news, err := k.rd.TryNext()
		if err == nil && c == nil {
			if err = k.wait(ctx, news); err == nil {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		if l.asked < 0 {
			l.asked = c.Behind()
		}
		k.giveUp()
		if k.w.State().Order != moqt.Descending {
			began := time.Now()
			if err := k.awaitTurn(ctx, c); err != nil {
				return nil, err
			}
			if late := c.Behind(); late > l.asked && time.Since(began) >= patience {
				k.t.r.m.skipped.Add(float64(late))
				k.rd.SkipToNewest()
				l.asked = 0
				continue
			}
		}
		l.asked = min(l.asked, c.Behind())
		return c, nil
	}
}

// awaitTurn waits while a group before that of c has something left to send.
func (k *sink) awaitTurn(ctx context.Context, c *cache.Cursor) error {
	l := &k.lag
	defer l.waits.Store(false)
	for l.blocks(c.Header().Group) {
		news := k.rd.News()
		l.waits.Store(true)
		if !l.blocks(c.Header().Group) { // it may have caught up before it saw waits
			return nil
		}
		if err := k.wait(ctx, news); err != nil {
			return err
		}
		k.giveUp()
	}
	return nil
}

// blocks reports whether a group before this one has something left to send.
func (l *lag) blocks(group uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for o := range l.streams {
		if o.group < group && o.since.Load() != 0 {
			return true
		}
	}
	return false
}

// giveUp ends the streams that were overtaken, and the subscription if nothing
// moves in it.
func (k *sink) giveUp() {
	l := &k.lag
	given, now := false, time.Now()
	l.mu.Lock()
	for o := range l.streams {
		if o.behind(now) && o.cursor.Behind()-o.base >= groupsBehind && o.ctx.Err() == nil {
			o.since.Store(0) // nobody waits for it any more
			o.cancel()
			given = true
			k.t.r.m.skipped.Inc()
		}
	}
	l.mu.Unlock()
	if !given {
		return
	}
	if taken := l.taken.Load(); taken != l.marked || l.since.IsZero() {
		l.marked, l.since = taken, now
	} else if now.Sub(l.since) >= giveUpAfter {
		k.end(moqt.DoneTooFarBehind, "the subscriber has taken no object for a while")
	}
}

// begin has the subgroup of c sent, by the sender that waits if there is one.
func (k *sink) begin(ctx context.Context, c *cache.Cursor) {
	o := &outStream{cursor: c, group: c.Header().Group, base: c.Behind()}
	l := &k.lag
	l.mu.Lock()
	o.sender = l.rests
	l.rests = nil
	fresh := o.sender == nil
	if fresh {
		o.sender = newSender(ctx)
	}
	l.streams[o] = struct{}{}
	l.mu.Unlock()
	if fresh {
		k.senders.Go(func() { k.run(o.sender, o) })
		return
	}
	o.next <- o
}

// run sends o, and after it what else it is given.
func (k *sink) run(s *sender, o *outStream) {
	defer s.cancel()
	for ok := true; ok && k.sendNext(s, o); {
		o, ok = <-s.next
	}
}

// sendNext sends o and reports whether s is to wait for another one.
func (k *sink) sendNext(s *sender, o *outStream) (rests bool) {
	k.send(o)
	l := &k.lag
	l.mu.Lock()
	delete(l.streams, o)
	rests = l.rests == nil && !l.over && s.ctx.Err() == nil
	if rests {
		l.rests = s
	}
	l.mu.Unlock()
	k.caughtUp(o)
	return rests
}

// letGo ends the sender that waits, and has no other one wait.
func (k *sink) letGo() {
	k.lag.mu.Lock()
	s := k.lag.rests
	k.lag.rests, k.lag.over = nil, true
	k.lag.mu.Unlock()
	if s != nil {
		close(s.next)
	}
}

// caughtUp takes note that all that there is of a subgroup has been sent.
func (k *sink) caughtUp(o *outStream) {
	o.since.Store(0)
	if k.lag.waits.Load() {
		select {
		case k.lag.held <- struct{}{}:
		default:
		}
	}
}
