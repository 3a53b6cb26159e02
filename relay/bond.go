package relay

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tributary-live/tributary/relay/bonds"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Extensions returns what the sessions that are given to [Relay.ServeSession] are
// to be configured with so that publishers may use several connections as one
// (docs/bond-protocol.md). Without it there are no bonds.
func (r *Relay) Extensions() []transport.Extension {
	return []transport.Extension{r.bonds.Extension()}
}

// BondsHold returns how many bytes the relay holds of objects of bonds that are not
// whole, and the most that it ever held.
func (r *Relay) BondsHold() (now, most int64) { return r.bonds.Held() }

// bonding is what a session is to a bond: nothing, for most.
type bonding struct {
	bond atomic.Pointer[bonds.Bond] // nil before it is a member

	mu      sync.Mutex           // orders joining and publishing, and guards what follows
	sources map[*source]struct{} // Established ones, whether it is a member or not
}

// joined is called when a session has become a member of a bond: what it publishes
// already is the bond's too.
func (r *Relay) joined(sess *transport.Session, b *bonds.Bond) {
	r.mu.Lock()
	var p *peer
	for o := range r.peers {
		if o.sess == sess {
			p = o
		}
	}
	r.mu.Unlock()
	if p == nil {
		return // its requests come later
	}
	p.bonding.mu.Lock()
	defer p.bonding.mu.Unlock()
	p.bonding.bond.Store(b)
	for s := range p.bonding.sources {
		p.bindLocked(s)
	}
}

// publishes takes note of a source of p that is Established. Where p is a member,
// so is its track's a track of the bond.
func (p *peer) publishes(s *source) {
	p.bonding.mu.Lock()
	defer p.bonding.mu.Unlock()
	if p.bonding.sources == nil {
		p.bonding.sources = make(map[*source]struct{})
	}
	p.bonding.sources[s] = struct{}{}
	p.bindLocked(s)
}

func (p *peer) bindLocked(s *source) {
	pub := p.r.bonds.Publish(p.sess, s.reader().Alias(), s.t, func() bonds.Track { return newBonded(s.t) })
	if pub == nil {
		return
	}
	p.bonding.bond.Store(pub.Bond())
	s.bonded.Store(pub)
	pub.Track().(*bonded).add(s)
}

// withdraws takes note of the end of a source.
func (p *peer) withdraws(s *source) {
	p.bonding.mu.Lock()
	defer p.bonding.mu.Unlock()
	delete(p.bonding.sources, s)
	if pub := s.bonded.Swap(nil); pub != nil {
		pub.Track().(*bonded).remove(s)
		pub.Close()
	}
}

// bondOf returns the bond that p is a member of, or nil.
func (p *peer) bondOf() *bonds.Bond { return p.bonding.bond.Load() }

// bondedWith reports whether p and o are connections of one publisher.
func (p *peer) bondedWith(o *peer) bool {
	b := p.bondOf()
	return b != nil && b == o.bondOf()
}

// leads reports whether s is the one connection of its publisher that heads of
// groups are fetched from: the oldest that is, or is about to be, a source of the
// track.
func (t *track) leads(s *source) bool {
	for _, o := range t.others(s) {
		if o.p.bondedWith(s.p) && o.p.id < s.p.id {
			return false
		}
	}
	return true
}

// vouchedFor reports whether another connection of the publisher of s has shown
// that it is who publishes the track.
func (t *track) vouchedFor(s *source) bool {
	for _, o := range t.others(s) {
		if o.trusted.Load() && o.p.bondedWith(s.p) {
			return true
		}
	}
	return false
}

// fullLocked reports whether the track has as many publishers as are heard. All
// connections of a bond are one.
func (t *track) fullLocked(p *peer) bool {
	if len(t.sources) < t.r.cfg.MaxSources {
		return false
	}
	own := p.bondOf()
	heard := make(map[*bonds.Bond]bool)
	n := 0
	for o := range t.sources {
		b := o.bondOf()
		if b != nil && (b == own || heard[b]) {
			continue
		}
		heard[b] = true
		n++
	}
	return n >= t.r.cfg.MaxSources
}

// linger is how long subscribers wait for a publisher to come back: where it is a
// bond, as long as that is waited for.
func (s *source) linger() time.Duration {
	if b := s.p.bondOf(); b != nil {
		return max(s.t.r.cfg.Linger, b.Linger())
	}
	return s.t.r.cfg.Linger
}

// whole tells the bond of an object that has come whole on an ordinary stream,
// after prev if had.
func (s *source) whole(o *moqt.Object, prev uint64, had bool) {
	pub := s.bonded.Load()
	if pub == nil || o.Status != moqt.StatusNormal {
		return
	}
	h := &bond.Header{Object: bond.Object{Group: o.Group, Object: o.Location.Object}, Subgroup: o.Subgroup}
	switch {
	case had:
		h.Previous = o.Location.Object - prev
	case o.Location.Object > 0:
		h.Previous = 1
	}
	pub.Whole(h)
}

// headFilled says that the head of the group is there that was running when the
// source began.
func (s *source) headFilled() {
	if pub := s.bonded.Load(); pub != nil {
		pub.Ready()
	}
}

// drain waits for what is on its way in chunks of a track that has ended.
func (s *source) drain(err error) {
	if pub := s.bonded.Load(); pub != nil && errors.As(err, new(*transport.TrackDone)) {
		ctx, cancel := context.WithTimeout(s.t.ctx, lastTimeout)
		defer cancel()
		pub.Drain(ctx)
	}
}
