package bonds

import (
	"context"
	"encoding/hex"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Bond is the sessions of one publisher.
type Bond struct {
	r      *Registry
	m      *Metrics
	log    *slog.Logger
	id     bond.ID
	secret bond.Secret
	tokens []transport.Token // of the first member
	from   netip.Prefix      // it was made from there
	began  time.Time
	asm    *bond.Assembler

	mu      sync.Mutex // guards what follows
	members []*member  // in the order in which they joined
	used    bond.Tracker
	tracks  map[uint64]*binding // by alias
	changed chan struct{}       // closed and replaced when a track becomes known
	waiting int                 // chunk streams that wait for that
	end     *time.Timer         // runs while there is no member
	tick    *time.Timer         // runs while something is held
	ticking bool
	quick   *member // that had the least round trip when it was last looked at
	looked  time.Time
	over    bool
}

func newBond(r *Registry, tokens []transport.Token, from netip.Prefix) *Bond {
	b := &Bond{
		r: r, m: r.m, tokens: tokens, from: from, began: time.Now(),
		tracks: make(map[uint64]*binding), changed: make(chan struct{}),
	}
	b.id, b.secret = bond.NewBond()
	b.log = r.log.With("bond", b.Name())
	b.asm = bond.NewAssembler(bond.Limits{MaxHeld: r.cfg.MaxHeld, Hold: r.cfg.Hold, Budget: &r.budget}, sink{b})
	return b
}

// Name is what operators know the bond by: the beginning of its id.
func (b *Bond) Name() string { return hex.EncodeToString(b.id[:4]) }

// Linger returns how long the bond outlives its last member.
func (b *Bond) Linger() time.Duration { return b.r.cfg.Linger }

// leave takes out a member whose session has ended. The last one's starts the
// bond's linger.
func (m *member) leave() {
	b := m.b
	m.stop()
	b.mu.Lock()
	b.members = slices.DeleteFunc(b.members, func(o *member) bool { return o == m })
	if b.quick == m {
		b.quick = nil
	}
	left := len(b.members)
	if left == 0 && !b.over {
		b.end = time.AfterFunc(b.r.cfg.Linger, b.expire)
	}
	b.mu.Unlock()
	b.m.members.WithLabelValues(m.cost.String()).Dec()
	b.log.Info("bond left", "member", m.number, "path", m.path, "members", left, "err", context.Cause(m.sess.Context()))
}

// expire ends a bond that has had no member for a while.
func (b *Bond) expire() {
	b.mu.Lock()
	back := len(b.members) > 0
	b.over = b.over || !back
	b.mu.Unlock()
	if !back {
		b.close()
	}
}

// close ends the bond. What is not whole by now never will be.
func (b *Bond) close() {
	b.r.mu.Lock()
	known := b.r.bonds[b.id] == b
	delete(b.r.bonds, b.id)
	b.r.mu.Unlock()
	if !known {
		return
	}
	b.mu.Lock()
	b.over = true
	tracks := b.tracks
	b.tracks = make(map[uint64]*binding)
	for _, t := range []*time.Timer{b.end, b.tick} {
		if t != nil {
			t.Stop()
		}
	}
	b.mu.Unlock()
	b.asm.Close()
	stats := b.asm.Stats()
	b.r.mu.Lock()
	b.r.past.Objects += stats.Objects
	b.r.past.Lost += stats.Lost
	b.r.mu.Unlock()
	for _, bd := range tracks {
		bd.track.Close()
	}
	b.m.bonds.Dec()
	b.log.Info("bond over", "dur", time.Since(b.began).Round(time.Millisecond))
}

// take puts in place what a member has sent. It returns bond.ErrOverflow or
// bond.ErrGivenUp where the stream is to be stopped, and any other error where the
// session of m is to end.
func (b *Bond) take(m *member, h *bond.Header, c bond.Chunk, now time.Time) error {
	fresh, err := b.asm.Add(m.number, h, c, now)
	b.m.took(fresh, int64(len(c.Bytes))-fresh)
	m.took(fresh, int64(len(c.Bytes))-fresh)
	b.watch()
	if b.r.budget.Held() > b.r.cfg.MaxHeldAll {
		b.r.relieve(now)
	}
	return b.settle(m, err)
}

// settle deals with the fault of a member, which is not always the one whose chunk
// has shown it. It returns what is the fault of m.
func (b *Bond) settle(m *member, err error) error {
	fault, ok := err.(*bond.Fault)
	if !ok {
		return err
	}
	b.m.faults.Inc()
	if m != nil && fault.Member == m.number {
		return violation(fault.Error())
	}
	b.mu.Lock()
	i := slices.IndexFunc(b.members, func(o *member) bool { return o.number == fault.Member })
	var other *member
	if i >= 0 {
		other = b.members[i]
	}
	b.mu.Unlock()
	if other != nil {
		other.putOut(fault.Error())
	}
	return nil
}

// watch makes sure that what is held is given up in time.
func (b *Bond) watch() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ticking || b.over {
		return
	}
	b.ticking = true
	if b.tick == nil {
		b.tick = time.AfterFunc(b.r.cfg.Hold, b.sweep)
		return
	}
	b.tick.Reset(b.r.cfg.Hold)
}

// sweep gives up what has been held for too long.
func (b *Bond) sweep() {
	now := time.Now()
	b.mu.Lock()
	b.ticking = false
	b.mu.Unlock()
	next, err := b.asm.Expire(now)
	b.settle(nil, err)
	if next.IsZero() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over { // sooner than what watch may have set meanwhile
		b.ticking = true
		b.tick.Reset(next.Sub(now))
	}
}

// fastest returns the member that acknowledgements arrive by first: the one with
// the least round trip of those that take what they are sent.
func (b *Bond) fastest(now time.Time) *member {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.quick != nil && now.Sub(b.looked) < lookAgain {
		return b.quick
	}
	b.quick, b.looked = nil, now
	var least time.Duration
	for _, m := range b.members {
		rtt := m.observeLocked(now)
		if m.out.stuck(now) {
			rtt += time.Hour
		}
		if b.quick == nil || rtt < least {
			b.quick, least = m, rtt
		}
	}
	return b.quick
}

// lookAgain is how long the fastest member is taken to be that.
const lookAgain = 50 * time.Millisecond

// putOut ends the session of a member that has broken the rules.
func (m *member) putOut(why string) {
	m.b.r.wg.Go(func() {
		m.sess.CloseWithError(moqt.SessionProtocolViolation, why)
	})
}
