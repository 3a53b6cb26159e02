package relay

import (
	"errors"
	"fmt"
	"time"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/internal/backoff"
)

// acquire asks everybody who may have the track: the publishers here, and if
// there are none the relays that the cluster knows to have it.
func (t *track) acquire(local bool) {
	t.r.mu.Lock()
	found := t.r.publishersLocked(t.name.Namespace)
	t.r.mu.Unlock()
	for _, a := range found {
		t.attach(a.p, a)
	}
	t.mu.Lock()
	seek := len(found) == 0 && !local && !t.live && !t.seeking && !t.over && t.r.cfg.Origins != nil
	if seek {
		t.seeking = true
		t.pending++
	}
	t.mu.Unlock()
	if seek {
		t.startSeek()
	}
}

func (t *track) startSeek() {
	if t.r.wg.Go(t.seek) {
		return
	}
	t.mu.Lock() // the relay is closing
	t.seeking = false
	t.pending--
	t.changedLocked()
	t.mu.Unlock()
}

// reseek is how often a track that comes from other relays, or has lost its
// publishers, looks again who has it.
const reseek = 5 * time.Second

// seek finds the track at other relays, and keeps looking while somebody waits
// for it or is sent it, so that a publisher that comes late, moves or comes back
// is found.
func (t *track) seek() {
	retry := backoff.Backoff{First: 250 * time.Millisecond, Most: reseek}
	first := true
	defer func() {
		t.mu.Lock()
		t.seeking = false
		if first {
			t.pending--
		}
		t.changedLocked()
		t.mu.Unlock()
	}()
	for {
		origins, err := t.r.lookup(t.ctx, t.name.Namespace)
		if err != nil && t.ctx.Err() == nil {
			t.r.log.Warn("origins not asked", "track", t.name, "err", err)
		}
		for _, o := range origins {
			t.attachRelay(o, 0)
		}
		t.mu.Lock()
		if err != nil && t.failed == nil {
			t.failed = fmt.Errorf("the table of origins does not answer: %w", err)
		}
		if first {
			first = false
			t.pending--
			t.changedLocked()
		}
		wanted := (len(t.sinks) > 0 || len(t.waiting) > 0) && !t.over
		if len(t.sources) > 0 {
			retry.Longest() // nothing is missing: now and then is enough
		}
		t.mu.Unlock()
		if !wanted || !retry.WaitHint(t.ctx, t.hint) {
			return
		}
	}
}

// attachRelay subscribes at another relay, to which hops redirects have led.
func (t *track) attachRelay(o api.Origin, hops int) {
	t.mu.Lock()
	for _, s := range t.sources {
		if s.url == o.URL {
			t.mu.Unlock()
			return
		}
	}
	t.pending++
	t.mu.Unlock()
	began := t.r.wg.Go(func() {
		up, err := t.r.up.get(t.ctx, o.URL)
		if err == nil && up.peer.node == t.r.cfg.Node && t.r.cfg.Node != "" {
			t.r.up.put(up)
			err = errors.New("the origin is this relay itself")
		}
		t.mu.Lock()
		t.pending--
		if err != nil {
			t.failed = err
			t.changedLocked()
			t.mu.Unlock()
			return
		}
		s := t.addSourceLocked(up.peer, false)
		if s != nil {
			s.url, s.hops = o.URL, hops
		}
		t.mu.Unlock()
		if s == nil {
			t.r.up.put(up)
			return
		}
		s.subscribe()
		t.r.up.put(up)
	})
	if !began {
		t.mu.Lock()
		t.pending--
		t.mu.Unlock()
	}
}

var errGone = errors.New("the publisher's session has ended")

// attach subscribes at a publisher of this relay.
func (t *track) attach(p *peer, a *announcement) {
	t.mu.Lock()
	s := t.addSourceLocked(p, false)
	if s != nil {
		s.announced = a
	}
	t.mu.Unlock()
	if s != nil && !p.wg.Go(s.subscribe) {
		t.lost(s, false, errGone)
	}
}

// addSourceLocked makes a place for p among the sources, or returns nil if it
// has one, is not wanted, or there are enough. One that offers the track by
// itself may do so again at once.
func (t *track) addSourceLocked(p *peer, offered bool) *source {
	if t.over || t.refused[p] || t.sources[p] != nil || t.fullLocked(p) {
		return nil
	}
	if last, asked := t.tried[p]; asked && !offered && time.Since(last) < askAgain {
		t.askAgainLocked()
		return nil
	}
	t.forgetLocked()
	t.tried[p] = time.Now()
	s := &source{t: t, p: p, toFill: make(chan *head, 1)}
	t.sources[p] = s
	t.pending++
	return s
}

// forgetLocked drops what is noted of those whose sessions are over: there may be
// very many in the life of a track.
func (t *track) forgetLocked() {
	gone := func(p *peer) bool { return p.sess.Context().Err() != nil && t.sources[p] == nil }
	for p := range t.tried {
		if gone(p) {
			delete(t.tried, p)
		}
	}
	for p := range t.refused {
		if gone(p) {
			delete(t.refused, p)
		}
	}
}

// askAgain is how long a publisher that gave no track, or gave it up, is left
// alone.
const askAgain = time.Second

// askAgainLocked has the publishers asked once more in a while, as long as
// somebody wants the track.
func (t *track) askAgainLocked() {
	if t.again != nil {
		return
	}
	t.again = time.AfterFunc(askAgain, func() {
		t.mu.Lock()
		t.again = nil
		for p, last := range t.tried { // forget sessions that are gone
			if t.sources[p] == nil && time.Since(last) >= askAgain {
				delete(t.tried, p)
			}
		}
		t.mu.Unlock()
		t.reacquire()
	})
}

// reacquire asks the publishers that there are, and if that leaves none looks
// for one elsewhere, while the track has subscribers.
func (t *track) reacquire() {
	t.mu.Lock()
	wanted := len(t.sinks) > 0 && !t.over
	seek := wanted && len(t.sources) == 0 && !t.seeking && t.r.cfg.Origins != nil
	if seek {
		t.seeking = true
		t.pending++
	}
	t.mu.Unlock()
	if !wanted {
		return
	}
	t.r.mu.Lock()
	found := t.r.publishersLocked(t.name.Namespace)
	t.r.mu.Unlock()
	for _, a := range found {
		t.attach(a.p, a)
	}
	if seek {
		t.startSeek()
	}
}
