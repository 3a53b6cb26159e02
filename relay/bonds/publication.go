package bonds

import (
	"context"
	"slices"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
)

// Track is where the objects of a track go that a bond's members publish. Open and
// Has are called one after another, and with the writers they must not call this
// package.
type Track interface {
	// Open begins a subgroup with the object of h, or goes on there after something
	// was lost. The writer is nil if nobody wants its objects. [bond.ErrNotYet] has
	// it asked again after [Publication.Ready]; any other error puts out the member
	// that the header came from.
	Open(h *bond.Header) (bond.SubgroupWriter, error)
	// Has reports whether all of a group up to an object is there.
	Has(group, object uint64) bool
	// Close is called when no member can bring anything of the track any more.
	Close()
}

// binding is a track of a bond.
type binding struct {
	key   any
	track Track
	users int // members that publish it
}

// Publication is a track that one member publishes.
type Publication struct {
	m     *member
	alias uint64
	at    *binding
}

// Publish says that the peer of s publishes a track, with an alias that is the
// same on all connections of its bond. The track is told by key, and made by the
// first of them. It returns nil if s is no member, or its bond has too many tracks.
func (r *Registry) Publish(s *transport.Session, alias uint64, key any, make func() Track) *Publication {
	m := r.memberOf(s)
	if m == nil {
		return nil
	}
	b := m.b
	b.retire(alias, key)
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.tracks[alias]
	switch {
	case b.over:
		return nil
	case at != nil && at.key == key:
	case at != nil:
		m.putOut("two tracks with one alias")
		return nil
	case len(b.tracks) >= maxTracks:
		return nil
	default:
		at = &binding{key: key, track: make()}
		b.tracks[alias] = at
		close(b.changed)
		b.changed = newChan()
	}
	at.users++
	return &Publication{m, alias, at}
}

func newChan() chan struct{} { return make(chan struct{}) }

// maxTracks is how many tracks of a bond are known. What is published beyond is no
// track of the bond, as long as all of them are published.
const maxTracks = 512

// retire makes room for the track of key, which is to have an alias: it forgets a
// track that no member publishes any more if that has the alias or, where there are
// too many, any of them.
func (b *Bond) retire(alias uint64, key any) {
	b.mu.Lock()
	at := b.tracks[alias]
	if at == nil && len(b.tracks) >= maxTracks {
		for other, o := range b.tracks {
			if o.users == 0 {
				alias, at = other, o
				break
			}
		}
	}
	if at == nil || at.key == key || at.users > 0 {
		b.mu.Unlock()
		return
	}
	delete(b.tracks, alias)
	b.mu.Unlock()
	b.asm.Forget(alias)
	at.track.Close()
}

// Bond returns the bond that the member is of.
func (p *Publication) Bond() *Bond { return p.m.b }

// Track returns what Publish was given or had made.
func (p *Publication) Track() Track { return p.at.track }

// Ready has objects offered again that Open was not ready for.
func (p *Publication) Ready() { p.m.b.settle(nil, p.m.b.asm.Kick(p.alias, time.Now())) }

// Whole says that an object has come whole on an ordinary stream. Of h only names
// count, and Previous.
func (p *Publication) Whole(h *bond.Header) {
	h.Alias = p.alias
	p.m.b.settle(nil, p.m.b.asm.Whole(p.m.number, h, time.Now()))
	p.m.b.watch()
}

// PutOut ends the member's session: what it has sent by ordinary means contradicts
// what the relay has.
func (p *Publication) PutOut(why error) { p.m.putOut(why.Error()) }

// Drain waits until nothing of the track is on its way in pieces, at most as long
// as such are held, or until ctx ends.
func (p *Publication) Drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, p.m.b.r.cfg.Hold)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for p.m.b.asm.Busy(p.alias) && ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// Close says that the member publishes the track no more. The track is kept for
// as long as the bond, so that a member that joins goes on with it, unless its
// alias or its room is needed for another.
func (p *Publication) Close() {
	p.m.b.mu.Lock()
	defer p.m.b.mu.Unlock()
	p.at.users--
}

// sink gives what the Assembler has put together to the tracks.
type sink struct{ b *Bond }

func (s sink) track(alias uint64) Track {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	if at := s.b.tracks[alias]; at != nil {
		return at.track
	}
	return nil
}

func (s sink) Open(h *bond.Header) (bond.SubgroupWriter, error) {
	if t := s.track(h.Alias); t != nil {
		return t.Open(h)
	}
	return nil, nil
}

func (s sink) Alone(number uint64, o bond.Object, size int64, now time.Time) {
	s.b.mu.Lock()
	i := slices.IndexFunc(s.b.members, func(m *member) bool { return m.number == number })
	var m *member
	if i >= 0 {
		m = s.b.members[i]
	}
	s.b.mu.Unlock()
	if m != nil {
		m.alone.Note(o.Group, size, 0, now)
	}
}

func (s sink) Has(o bond.Object) bool {
	t := s.track(o.Alias)
	return t != nil && t.Has(o.Group, o.Object)
}
