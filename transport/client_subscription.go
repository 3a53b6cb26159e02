package transport

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Subscription is a subscription of a [Client]: the objects of a track, from
// whatever session they come by.
type Subscription struct {
	c       *Client
	opts    SubscribeOptions
	ctx     context.Context // ends by Close, or with the client
	cancel  context.CancelFunc
	objects chan moqt.Object
	over    chan struct{} // closed when no object will come
	err     error         // then says why

	mu      sync.Mutex // guards what follows
	name    moqt.TrackName
	leg     *leg              // the newest
	seen    map[uint64]*spans // objects given, by group
	largest moqt.Location
	some    bool
}

// leg is the subscription at one session.
type leg struct {
	cs    *clientSession
	r     *TrackReader
	first chan struct{} // closed when it has brought something
	ended chan struct{} // closed when all of it is read
	err   error         // then says why it ended

	once sync.Once      // for first
	open map[uint64]int // streams being read, by group; guarded by Subscription.mu
}

// seenGroups is of how many groups it is known what was given.
const seenGroups = 64

// Subscribe subscribes to a track as [Session.Subscribe] does, at the server or
// where that sends the request. o is used again when the subscription moves, with
// a range that goes on where it is.
func (c *Client) Subscribe(ctx context.Context, name moqt.TrackName, o *SubscribeOptions) (*Subscription, error) {
	c.init()
	s := &Subscription{c: c, name: name, objects: make(chan moqt.Object), over: make(chan struct{}), seen: make(map[uint64]*spans)}
	if o != nil {
		s.opts = *o
	}
	l, err := s.attach(ctx, "", s.opts.Filter)
	if err != nil {
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancel(c.ctx)
	if !c.wg.Go(func() { s.run(l) }) {
		l.r.Close()
		c.put(l.cs)
		return nil, ErrClosed
	}
	return s, nil
}

// Name returns the name of the track, as far as redirects have not changed it.
func (s *Subscription) Name() moqt.TrackName {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.name
}

// Reader returns the subscription at the session it is at now, to ask what that
// knows or to update it. It must not be read from, nor closed.
func (s *Subscription) Reader() *TrackReader {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leg.r
}

// Objects gives the track's objects as they come, each once, until the track
// ends, which is no error. It may be called once.
func (s *Subscription) Objects(ctx context.Context) iter.Seq2[moqt.Object, error] {
	return func(yield func(moqt.Object, error) bool) {
		for {
			select {
			case o := <-s.objects:
				if !yield(o, nil) {
					return
				}
			case <-s.over:
				var d *TrackDone
				if !errors.As(s.err, &d) || d.Code != moqt.DoneTrackEnded {
					yield(moqt.Object{}, s.err)
				}
				return
			case <-ctx.Done():
				yield(moqt.Object{}, ctx.Err())
				return
			}
		}
	}
}

// Close ends the subscription.
func (s *Subscription) Close() error {
	s.cancel()
	<-s.over
	return nil
}

// attach subscribes at url.
func (s *Subscription) attach(ctx context.Context, url string, f moqt.Filter) (*leg, error) {
	l := &leg{first: make(chan struct{}), ended: make(chan struct{}), open: make(map[uint64]int)}
	o := s.opts
	o.Filter = f
	cs, name, err := s.c.ask(ctx, url, s.Name(), func(sess *Session, name moqt.TrackName) (err error) {
		l.r, err = sess.Subscribe(ctx, name, &o)
		return err
	})
	if err != nil {
		return nil, err
	}
	l.cs = cs
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name, s.leg = name, l
	return l, nil
}

// run reads the subscription and moves it, until it ends.
func (s *Subscription) run(l *leg) {
	var legs sync.WaitGroup
	defer close(s.over)
	defer legs.Wait()
	defer s.cancel()
	for {
		legs.Go(func() { s.read(l) })
		m := moving{l.cs, l.r.GoawayReceived(), l.r.PeerGoaway, l.ended}
		to, ok := s.c.awaitMove(s.ctx, m)
		if !ok {
			s.finish(l)
			return
		}
		if to.here && !l.r.s.profile.SeveralSubscriptions() {
			// One track has one subscription in a session.
			l.r.Close()
			<-l.ended
		}
		var next *leg
		moved := s.c.persist(s.ctx, m, func() (err error) {
			next, err = s.attach(s.ctx, to.url, s.resume(l))
			return err
		})
		if !moved {
			s.finish(l)
			return
		}
		old := l
		legs.Go(func() { s.retire(old, next, to.patient) })
		l = next
	}
}

// finish waits for the last leg and says why the subscription ended.
func (s *Subscription) finish(l *leg) {
	select {
	case <-l.ended:
		s.err = l.err
	case <-s.ctx.Done():
		s.err = ErrClosed
	}
	l.r.Close()
	<-l.ended
	s.c.put(l.cs)
}

// retire ends an old leg when the new one has brought something and a little
// more, so that what is under way by the old one arrives.
func (s *Subscription) retire(old, next *leg, patient time.Duration) {
	overlap := or(s.c.Overlap, 2*time.Second)
	most := 5 * overlap
	if patient > 0 {
		most = min(most, patient*3/4)
	}
	limit := time.NewTimer(most)
	defer limit.Stop()
	first := next.first
	var settled <-chan time.Time
	for done := false; !done; {
		select {
		case <-first:
			first = nil
			t := time.NewTimer(overlap)
			defer t.Stop()
			settled = t.C
		case <-settled:
			done = true
		case <-limit.C:
			done = true
		case <-old.ended:
			done = true
		case <-s.ctx.Done():
			done = true
		}
	}
	old.r.Close()
	<-old.ended
	s.c.put(old.cs)
}

// resume returns the range that goes on where the subscription is: with the
// oldest group of which something may still come.
func (s *Subscription) resume(l *leg) moqt.Filter {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.opts.Filter
	var start moqt.Location
	switch {
	case s.some:
		start.Group = s.largest.Group
		for g := range l.open {
			start.Group = min(start.Group, g)
		}
	default:
		largest, some := l.r.Largest()
		if !some || f.Kind != moqt.FilterLargestObject && f.Kind != moqt.FilterNextGroup {
			return f
		}
		if start = (moqt.Location{Group: largest.Group, Object: largest.Object + 1}); f.Kind == moqt.FilterNextGroup {
			start = moqt.Location{Group: largest.Group + 1}
		}
	}
	switch f.Kind {
	case moqt.FilterAbsoluteStart, moqt.FilterAbsoluteRange, moqt.FilterAbsoluteEnd:
		if start.Less(f.Start) {
			start = f.Start
		}
	default:
		f.Kind = moqt.FilterAbsoluteStart
	}
	f.Start = start
	return f
}

// read gives what comes by one leg.
func (s *Subscription) read(l *leg) {
	defer close(l.ended)
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() {
		for {
			o, err := l.r.ReceiveDatagram(s.ctx)
			if err != nil || !s.give(l, o) {
				return
			}
		}
	})
	for {
		sg, err := l.r.AcceptSubgroup(s.ctx)
		if err != nil {
			l.err = err
			return
		}
		group := sg.Header().Group
		s.count(l, group, 1)
		all.Go(func() {
			defer context.AfterFunc(s.ctx, func() { sg.Cancel(moqt.StreamCancelled) })()
			for {
				o, err := sg.ReadObject()
				if err == nil && s.give(l, o) {
					continue
				}
				if err == io.EOF || !l.r.s.over() { // else what is missing is asked for again
					s.count(l, group, -1)
				}
				return
			}
		})
	}
}

func (s *Subscription) count(l *leg, group uint64, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.open[group] += n; l.open[group] == 0 {
		delete(l.open, group)
	}
}

// give hands an object to Objects, unless that has it already. It reports false
// if nobody wants any more.
func (s *Subscription) give(l *leg, o moqt.Object) bool {
	l.once.Do(func() { close(l.first) })
	if !s.fresh(o.Location) {
		return true
	}
	select {
	case s.objects <- o:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// fresh takes note of an object and reports whether it is new.
func (s *Subscription) fresh(at moqt.Location) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.some || s.largest.Less(at) {
		s.largest, s.some = at, true
	}
	g := s.seen[at.Group]
	if g == nil {
		g = new(spans)
		s.seen[at.Group] = g
		if len(s.seen) > seenGroups {
			oldest := at.Group
			for id := range s.seen {
				oldest = min(oldest, id)
			}
			delete(s.seen, oldest)
		}
	}
	return g.add(at.Object)
}
