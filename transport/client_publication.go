package transport

import (
	"context"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Publication is a track that a [Client] has offered (PUBLISH).
type Publication struct {
	c      *Client
	opts   PublishOptions
	ctx    context.Context // ends by Close, or with the client
	cancel context.CancelFunc
	over   chan struct{} // closed when it has ended

	mu      sync.Mutex // guards what follows
	name    moqt.TrackName
	cs      *clientSession
	w       *TrackWriter // the newest
	largest moqt.Location
	some    bool
}

// Publish offers a track as [Session.Publish] does, at the server or where that
// sends the request. When it moves, groups that are open are finished where they
// began, and new ones go to the new session.
func (c *Client) Publish(ctx context.Context, name moqt.TrackName, o *PublishOptions) (*Publication, error) {
	c.init()
	p := &Publication{c: c, name: name, over: make(chan struct{})}
	if o != nil {
		p.opts = *o
	}
	if p.opts.Largest == nil {
		p.opts.Largest = p.written
	}
	p.ctx, p.cancel = context.WithCancel(c.ctx)
	if err := p.attach(ctx, ""); err != nil {
		p.cancel()
		return nil, err
	}
	if !c.wg.Go(p.run) {
		c.put(p.cs)
		return nil, ErrClosed
	}
	return p, nil
}

func (p *Publication) attach(ctx context.Context, url string) error {
	p.mu.Lock()
	asked := p.name
	p.mu.Unlock()
	var w *TrackWriter
	cs, name, err := p.c.ask(ctx, url, asked, func(sess *Session, name moqt.TrackName) (err error) {
		w, err = sess.Publish(ctx, name, &p.opts)
		return err
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noteLocked()
	p.name, p.cs, p.w = name, cs, w
	return nil
}

// written returns the largest location that any session was given.
func (p *Publication) written() (moqt.Location, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noteLocked()
	return p.largest, p.some
}

func (p *Publication) noteLocked() {
	if p.w == nil {
		return
	}
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.w.some && (!p.some || p.largest.Less(p.w.largest)) {
		p.largest, p.some = p.w.largest, true
	}
}

// Writer returns the publication at the session it is at now, to ask what the
// subscriber wants. Objects go by the methods of p, so that none gets lost when
// it moves.
func (p *Publication) Writer() *TrackWriter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.w
}

// OpenGroup is [TrackWriter.OpenGroup].
func (p *Publication) OpenGroup(ctx context.Context, group uint64) (*SubgroupWriter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.w.OpenGroup(ctx, group)
}

// OpenSubgroup is [TrackWriter.OpenSubgroup].
func (p *Publication) OpenSubgroup(ctx context.Context, sg moqt.Subgroup) (*SubgroupWriter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.w.OpenSubgroup(ctx, sg)
}

// SendDatagram is [TrackWriter.SendDatagram].
func (p *Publication) SendDatagram(o moqt.Object) error { return p.Writer().SendDatagram(o) }

// Context ends when the publication does.
func (p *Publication) Context() context.Context { return p.ctx }

// Close ends the publication with TRACK_ENDED. Subgroups that are still open are
// reset first.
func (p *Publication) Close() error {
	err := p.Writer().Close()
	p.cancel()
	<-p.over
	return err
}

// run moves the publication until it ends.
func (p *Publication) run() {
	var old sync.WaitGroup
	defer close(p.over)
	defer old.Wait()
	defer p.cancel()
	for {
		p.mu.Lock()
		cs, w := p.cs, p.w
		p.mu.Unlock()
		m := moving{cs, w.GoawayReceived(), w.PeerGoaway, w.Context().Done()}
		to, ok := p.c.awaitMove(p.ctx, m)
		if ok && to.here { // a session has one publication of a track
			w.Close()
		}
		if !ok || !p.c.persist(p.ctx, m, func() error { return p.attach(p.ctx, to.url) }) {
			w.Close()
			<-w.Drained()
			p.c.put(cs)
			return
		}
		old.Go(func() { p.retire(cs, w, to.patient) })
	}
}

// retire ends what is left of the publication at an old session when the groups
// that are open there have ended and the subscriber has read them.
func (p *Publication) retire(cs *clientSession, w *TrackWriter, patient time.Duration) {
	limit := time.NewTimer(or(patient*3/4, 30*time.Second))
	defer limit.Stop()
	select {
	case <-w.emptied():
	case <-limit.C:
	case <-w.Context().Done():
	case <-p.ctx.Done():
	}
	w.CloseWithError(moqt.DoneGoingAway, "the publisher has moved")
	<-w.Drained()
	p.c.put(cs)
}

// emptied returns a channel that is closed when no subgroup is open.
func (t *TrackWriter) emptied() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.empty == nil {
		t.empty = make(chan struct{})
		if len(t.open) == 0 {
			close(t.empty)
		}
	}
	return t.empty
}

// KeptAnnouncement is a namespace that a [Client] has announced.
type KeptAnnouncement struct {
	ns     moqt.Namespace
	ctx    context.Context
	cancel context.CancelFunc
	over   chan struct{}
}

// Announce announces a namespace as [Session.Announce] does. Who subscribes comes
// out of [Client.Accept]. When it moves, subscriptions of the old session go on
// there until its server ends them.
func (c *Client) Announce(ctx context.Context, ns moqt.Namespace) (*KeptAnnouncement, error) {
	c.init()
	var a *Announcement
	attach := func(ctx context.Context, url string, ns moqt.Namespace) (*clientSession, moqt.Namespace, error) {
		cs, name, err := c.ask(ctx, url, moqt.TrackName{Namespace: ns}, func(sess *Session, name moqt.TrackName) (err error) {
			a, err = sess.Announce(ctx, name.Namespace)
			return err
		})
		return cs, name.Namespace, err
	}
	cs, at, err := attach(ctx, "", ns)
	if err != nil {
		return nil, err
	}
	k := &KeptAnnouncement{ns: ns, over: make(chan struct{})}
	k.ctx, k.cancel = context.WithCancel(c.ctx)
	begun := c.wg.Go(func() {
		var old sync.WaitGroup
		defer close(k.over)
		defer old.Wait()
		defer k.cancel()
		for {
			was, wasAt := a, cs
			m := moving{cs, a.rs.move.event, a.rs.peerGoaway, a.Context().Done()}
			to, ok := c.awaitMove(k.ctx, m)
			if ok && to.here { // a session has one announcement of a namespace
				was.Close()
			}
			moved := ok && c.persist(k.ctx, m, func() (err error) {
				var next *clientSession
				if next, at, err = attach(k.ctx, to.url, at); err == nil {
					cs = next
				}
				return err
			})
			if !moved {
				was.Close()
				c.put(wasAt)
				return
			}
			old.Go(func() {
				settled := time.NewTimer(min(or(c.Overlap, 2*time.Second), or(to.patient*3/4, time.Hour)))
				defer settled.Stop()
				select {
				case <-settled.C:
				case <-was.Context().Done():
				case <-k.ctx.Done():
				}
				was.Close()
				c.put(wasAt)
			})
		}
	})
	if !begun {
		c.put(cs)
		return nil, ErrClosed
	}
	return k, nil
}

// Namespace returns what is announced.
func (k *KeptAnnouncement) Namespace() moqt.Namespace { return k.ns }

// Context ends when the announcement does.
func (k *KeptAnnouncement) Context() context.Context { return k.ctx }

// Close withdraws the announcement.
func (k *KeptAnnouncement) Close() error {
	k.cancel()
	<-k.over
	return nil
}
