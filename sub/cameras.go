package sub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Cameras receives one of several broadcasts at a time, such as cameras that look
// at the same thing: the first that is there. When nothing comes of it any more,
// or it ends, the next takes its place from the key frame of its running group on;
// when it has been back steadily for some seconds, it does so with its next group.
//
// The catalogs of all are followed, the media of those alone that are shown, or
// are to be, or are preferred to the one that is shown and not steady yet.
type Cameras struct {
	cfg  Config
	sess *transport.Session
}

// NewCameras makes a receiver of c.Namespace and c.Spares, the preferred first.
// The session stays the caller's.
func NewCameras(sess *transport.Session, c Config) *Cameras {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Cameras{c, sess}
}

// Receive gives the objects of whichever camera is shown to take, one at a time.
// Those of one camera come as from [Broadcast.Receive], and those of the next
// begin with the first object of a group of its first video track; a Broadcast
// that is not the one before says that it is the next one's turn.
//
// It returns nil when the camera that was shown has ended and no other is there,
// an error when none is there for Config.Wait, the session's when that ends, and
// take's.
func (c *Cameras) Receive(ctx context.Context, take func(*Broadcast, Object) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	s := &stage{cfg: c.cfg, sess: c.sess, take: take, events: make(chan event), wg: &wg}
	for _, ns := range append([]moqt.Namespace{c.cfg.Namespace}, c.cfg.Spares...) {
		cam := &camera{ns: ns}
		s.cameras = append(s.cameras, cam)
		wg.Go(func() { s.watch(ctx, cam) })
	}
	return s.run(ctx)
}

// stage is one call of Receive. Its loop owns what is not said to be otherwise.
type stage struct {
	cfg     Config
	sess    *transport.Session
	take    func(*Broadcast, Object) error
	events  chan event // to the loop
	wg      *sync.WaitGroup
	cameras []*camera
	choice  *choice
	plan    plan
	since   time.Time // since when nothing is shown
	begun   bool      // something has been shown
	ended   *camera   // the camera that was shown last, if it has ended well
}

// camera is one of those to choose from.
type camera struct {
	ns     moqt.Namespace
	newest *Broadcast // of its newest catalog
	err    error      // why it was not there the last time
	reel   *reel      // its media, if that is asked for
	// left is closed when the subscriptions of its last reel are over: a session
	// has one of a track at a time. It is nil before the first.
	left <-chan struct{}
}

// event is what happens to a camera: a catalog, or an object or the end of its
// media, or that there is no catalog.
type event struct {
	camera  *camera
	reel    *reel
	catalog *Broadcast
	object  *Object
	err     error
}

// tick is how often it is looked what time alone has changed.
const tick = 50 * time.Millisecond

func (s *stage) run(ctx context.Context) error {
	s.since = s.cfg.waiting()
	s.choice = newChoice(len(s.cameras), time.Now())
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		s.follow(ctx)
		if err := s.over(); err != errNotOver {
			return err
		}
		select {
		case e := <-s.events:
			if err := s.handle(e); err != nil {
				return err
			}
		case <-ticker.C:
		case <-s.sess.Context().Done():
			return fmt.Errorf("session: %w", context.Cause(s.sess.Context()))
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// follow decides anew and has the media come that is wanted.
func (s *stage) follow(ctx context.Context) {
	now := time.Now()
	s.plan = s.choice.decide(now)
	for i, cam := range s.cameras {
		switch pull := s.plan.pull[i]; {
		case pull && cam.reel == nil:
			cam.reel = s.open(ctx, cam, i == s.choice.shown || i == s.plan.next)
			s.choice.ask(i, now)
		case !pull && cam.reel != nil:
			s.leave(i)
		}
	}
}

func (s *stage) leave(i int) {
	s.cameras[i].reel.cancel()
	s.cameras[i].reel = nil
	s.choice.leave(i)
}

var errNotOver = errors.New("not over")

// over returns what Receive is to return, or errNotOver.
func (s *stage) over() error {
	if s.choice.shown >= 0 || s.plan.next >= 0 {
		return errNotOver
	}
	var why []string
	wait := false // there is something to wait for
	for i, cam := range s.cameras {
		f := &s.choice.cameras[i]
		if s.ended != nil && (cam == s.ended || !f.rest.Before(s.since.Add(rest))) {
			continue // its catalog may still be held somewhere, but it has ended, or has not answered since
		}
		if f.there || !f.known {
			return errNotOver
		}
		wait = wait || !refusedForGood(cam.err)
		why = append(why, fmt.Sprintf("%s: %v", cam.ns.Slashed(), cam.err))
	}
	if s.ended != nil {
		return nil
	}
	if wait && time.Since(s.since) < s.cfg.Wait {
		return errNotOver
	}
	return fmt.Errorf("no camera is there: %s", strings.Join(why, "; "))
}

func (s *stage) handle(e event) error {
	now := time.Now()
	i := 0
	for s.cameras[i] != e.camera {
		i++
	}
	switch {
	case e.catalog != nil:
		e.camera.newest = e.catalog
		s.choice.catalog(i, true)
	case e.reel == nil:
		e.camera.err = e.err
		s.choice.catalog(i, false)
	case e.reel != e.camera.reel: // of a subscription that was left
	case e.object == nil:
		if s.choice.shown == i {
			s.since = now
			if e.err == nil {
				s.ended = e.camera
			}
			s.cfg.Logger.Info("camera ended", "ns", e.camera.ns.Slashed(), "err", e.err)
		}
		s.leave(i)
		s.choice.end(i, now)
	default:
		return s.object(i, *e.object, now)
	}
	return nil
}

// object takes an object of camera i: to hand it on if that is shown, or is now.
func (s *stage) object(i int, o Object, now time.Time) error {
	r := s.cameras[i].reel
	if r.leads(o) {
		s.choice.hear(i, now, o.New, r.length(o))
		s.plan = s.choice.decide(now)
	}
	if i == s.choice.shown {
		return r.give(o, s.take)
	}
	next := s.plan.next == i
	r.hold(o, next && !s.plan.edge)
	switch {
	case !next || !r.ready():
		return nil
	case s.plan.edge && !(r.leads(o) && o.Object.Object == 0):
		return nil
	case !s.choice.cameras[i].new:
		return nil // what was held of it may be all that will ever come
	}
	s.cfg.Logger.Info("camera shown", "ns", s.cameras[i].ns.Slashed(), "group", r.first)
	s.choice.cut(i, s.plan.edge, now)
	s.begun, s.ended = true, nil
	return r.release(s.take)
}

// watched is the priority of media that is not for showing: it must not take the
// room of what is.
const watched moqt.Priority = 200

// open asks for the media of a camera, to be shown or to be watched.
func (s *stage) open(ctx context.Context, cam *camera, show bool) *reel {
	ctx, cancel := context.WithCancel(ctx)
	b := *cam.newest
	b.late = time.Now().Add(answer) // its tracks may come a moment after its catalog
	if s.begun {
		b.back = 0
	}
	if !show {
		p := watched
		b.priority = &p
	}
	r := newReel(&b, cancel)
	send := func(e event) error {
		select {
		case s.events <- e:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	before, left := cam.left, make(chan struct{})
	cam.left = left
	s.wg.Go(func() {
		if before != nil {
			<-before // its context has ended
		}
		err := b.Receive(ctx, func(o Object) error { return send(event{camera: cam, reel: r, object: &o}) })
		close(left)
		send(event{camera: cam, reel: r, err: err})
	})
	return r
}

// watch follows the catalog of a camera for as long as ctx allows.
func (s *stage) watch(ctx context.Context, cam *camera) {
	send := func(e event) bool {
		e.camera = cam
		select {
		case s.events <- e:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for first := true; ; first = false {
		b := Broadcast{Namespace: cam.ns, cfg: s.cfg, sess: s.sess, late: time.Now()}
		if !first { // the first time it is to be told at once if there is none
			b.late = b.late.Add(rendezvous)
		}
		err := b.catalogs(ctx, func(c *catalog.Catalog, first bool) bool {
			newest := b
			newest.back = s.cfg.Back
			if first {
				newest.back = max(s.cfg.Back, fromTheStart)
			}
			if err := newest.take(c); err != nil {
				return send(event{err: err})
			}
			return send(event{catalog: &newest})
		})
		if !send(event{err: err}) || refusedForGood(err) {
			return
		}
		t := time.NewTimer(retryEvery)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// rendezvous is how long a relay is asked to hold the subscription of a catalog
// that is not there.
const rendezvous = 10 * time.Second
