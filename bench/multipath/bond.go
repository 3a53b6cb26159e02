package multipath

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tributary-live/tributary/pub/bond"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// bonded is a bond over all links.
type bonded struct {
	bond    *bond.Bond
	load    Load
	cancel  context.CancelFunc
	advised atomic.Int64 // bits/s
	done    chan error
	started bool

	mu       sync.Mutex // guards what follows
	wanted   int        // tracks that the relay has wanted
	sessions map[*transport.Session]struct{}
	out      []string // local addresses of sessions that the relay has ended for what they sent

	forward chan struct{} // closed when all are wanted
	offered chan struct{} // closed when all are offered on a session
	once    sync.Once     // of offered
}

func newBonded(s *Scenario, url string) *bonded {
	b := &bonded{load: s.Load, done: make(chan error, 1), sessions: make(map[*transport.Session]struct{}), forward: make(chan struct{}), offered: make(chan struct{})}
	c := bond.Config{URL: url, Mode: s.Mode, Deadline: s.Deadline, Dialer: &transport.Dialer{TLSConfig: trusting()}, Serve: b.serve,
		Report: func(s bond.Status) { b.advised.Store(s.Encoder) }}
	if s.Load.Bitrate == 0 {
		c.Deadline = s.Length // what is made as fast as it goes is not too late at any time
	}
	b.bond = bond.New(c)
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	go func() { b.done <- b.bond.Run(ctx) }() // ends with cancel; close waits
	return b
}

// firstAlias is that of the first track; a session gives those below itself.
const firstAlias = 1 << 16

// serve offers the tracks on a session of the bond.
func (b *bonded) serve(ctx context.Context, sess *transport.Session, joined bool) error {
	if !joined {
		return &bond.Permanent{Err: errors.New("the relay knows no bonds")}
	}
	b.enter(sess)
	defer b.leave(sess)
	var wg sync.WaitGroup
	defer wg.Wait()
	for track := range b.load.tracks() {
		w, err := sess.Publish(ctx, names[track], &transport.PublishOptions{Alias: firstAlias + uint64(track)})
		if err != nil {
			return err
		}
		wg.Go(func() { b.watch(ctx, w, track) })
	}
	b.once.Do(func() { close(b.offered) })
	<-ctx.Done()
	return context.Cause(ctx)
}

func (b *bonded) enter(sess *transport.Session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sessions[sess] = struct{}{}
}

func (b *bonded) leave(sess *transport.Session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.sessions, sess)
	if errors.Is(context.Cause(sess.Context()), &transport.SessionError{Code: moqt.SessionProtocolViolation, Remote: true}) {
		b.out = append(b.out, sess.Info().LocalAddr.String())
	}
}

// live returns the sessions that are members.
func (b *bonded) live() []*transport.Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Keys(b.sessions))
}

// expelled returns the local addresses of those that the relay has ended for what
// they sent.
func (b *bonded) expelled() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.out)
}

// watch waits until the relay wants a track on one of the sessions.
func (b *bonded) watch(ctx context.Context, w *transport.TrackWriter, track int) {
	for !w.State().Forward {
		select {
		case <-w.Changed():
		case <-w.Context().Done():
			return
		case <-ctx.Done():
			return
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if before := b.wanted; before|1<<track != before {
		b.wanted |= 1 << track
		if b.wanted == 1<<b.load.tracks()-1 {
			close(b.forward)
		}
	}
}

func (b *bonded) plug(ctx context.Context, name string, spec *Link, l link) error {
	b.bond.AddPath(bond.Path{Name: name, Cost: spec.Cost, ListenPacket: l.listen})
	if b.started {
		return nil
	}
	b.started = true
	return b.await(ctx, b.offered)
}

// await waits for one of the bond's signals.
func (b *bonded) await(ctx context.Context, signal <-chan struct{}) error {
	select {
	case <-signal:
		return nil
	case err := <-b.done:
		b.done <- err
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *bonded) unplug(name string) { b.bond.RemovePath(name) }

func (b *bonded) ready(ctx context.Context) error { return b.await(ctx, b.forward) }

func (b *bonded) send(u *unit) {
	alias := firstAlias + uint64(u.track)
	o := bond.Object{Alias: alias, Group: u.group, ID: u.object, Priority: moqt.DefaultPriority, Payload: u.payload, Class: bond.Ordinary}
	if u.vital {
		o.Class = bond.Vital
	}
	b.bond.Send(o)
	if u.last {
		b.bond.EndSubgroup(alias, u.group, 0, u.object+1, true)
	}
}

func (b *bonded) advice() int64 { return b.advised.Load() }

func (b *bonded) copied() (first, again int64) {
	s := b.bond.Status().Stats
	return s.Unique, s.Copied + s.Reinjected
}

func (b *bonded) close() {
	b.cancel()
	<-b.done
}
