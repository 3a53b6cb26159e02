package bond

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"time"
)

// Sink takes what an [Assembler] has put together. Its methods, and those of the
// writers it returns, are called one after another, and must not call the
// Assembler.
type Sink interface {
	// Open begins a subgroup with the object of h, or goes on with it after objects
	// were lost. The writer is nil if nobody wants them. [ErrNotYet] has it asked
	// again when more of the object comes, or by [Assembler.Kick]; any other error
	// is the fault of the member that sent the header.
	Open(h *Header) (SubgroupWriter, error)
	// Has reports whether all of a group up to an object is there, though it did not
	// come in chunks.
	Has(o Object) bool
	// Alone says that an object of so many bytes has become whole and that a member
	// had sent all of it by then: it would have come without the others too.
	Alone(member uint64, o Object, size int64, now time.Time)
}

// SubgroupWriter takes objects of one subgroup, each the next one after that
// before it. An error is the fault of a member, and the writer's end.
type SubgroupWriter interface {
	// Begin begins an object, after all of the one before or nothing of it. If its
	// size is 0, that is all of it.
	Begin(h *Header) error
	// Extend takes the next bytes of the object, which it must not keep. With
	// [ErrAgain] the object is begun once more.
	Extend(b []byte) error
	// Skip says that an object, or the rest of the one that was begun, has come
	// another way.
	Skip(h *Header)
	// Close says that nothing follows. h is the header with End that told so.
	Close(h *Header) error
	// Abort says that what follows, or the rest of the object, does not come.
	Abort()
}

// Limits bound what an [Assembler] holds. Each zero field means its default.
type Limits struct {
	MaxHeld int64         // bytes of objects that are not whole or not taken. 32 MiB
	MaxOpen int           // such objects. 512
	MaxRuns int           // pieces of one object with holes between them. 1024
	Hold    time.Duration // how long one is held. 2 s
	Budget  *Budget       // counts the bytes of several Assemblers. May be nil
}

func (l Limits) withDefaults() Limits {
	if l.MaxHeld == 0 {
		l.MaxHeld = 32 << 20
	}
	if l.MaxOpen == 0 {
		l.MaxOpen = 512
	}
	if l.MaxRuns == 0 {
		l.MaxRuns = 1024
	}
	if l.Hold == 0 {
		l.Hold = 2 * time.Second
	}
	if l.Budget == nil {
		l.Budget = &Budget{}
	}
	return l
}

// Assembler puts the chunks of a bond's connections together. Its methods may be
// called concurrently.
type Assembler struct {
	limits Limits
	sink   Sink

	mu     sync.Mutex // guards what follows
	open   map[Object]*part
	order  []*part // of open, by age
	places map[place]*subgroup
	newest map[uint64]newest // by alias
	done   []Object          // since the last TakeDone
	held   int64
	shares map[uint64]int64     // of held, by the member that began the object
	lost   map[uint64]time.Time // when a member last lost an object for sending too much
	fault  *Fault               // of the call that runs
	stats  Stats
	closed bool
}

// Stats counts what an [Assembler] has done.
type Stats struct {
	Objects   int64 // that became whole
	Lost      int64 // objects given up
	Bytes     int64 // that were new
	Duplicate int64 // bytes that had been there
}

var (
	// ErrOverflow says that a chunk was not taken in since too much is held. It may
	// come by another member.
	ErrOverflow = errors.New("bond: too many unfinished objects")
	// ErrGivenUp says that a chunk was not taken in since its object has just been
	// given up, to make room.
	ErrGivenUp = errors.New("bond: object given up")
	// ErrNotYet says that a [Sink] does not want an object now, but will.
	ErrNotYet = errors.New("bond: not yet")
	// ErrAgain says that what was written of an object has to be written again, for a
	// reason that is not its members' fault.
	ErrAgain = errors.New("bond: from the beginning")
)

// Fault is what a member did that puts it out of the bond: it contradicts what is
// held.
type Fault struct {
	Member uint64
	Err    error // a *wire.Error, or what the sink has said
}

func (f *Fault) Error() string { return f.Err.Error() }
func (f *Fault) Unwrap() error { return f.Err }

// NewAssembler returns an Assembler that gives objects to sink.
func NewAssembler(l Limits, sink Sink) *Assembler {
	return &Assembler{
		limits: l.withDefaults(), sink: sink,
		open:   make(map[Object]*part),
		places: make(map[place]*subgroup),
		newest: make(map[uint64]newest),
		shares: make(map[uint64]int64),
		lost:   make(map[uint64]time.Time),
	}
}

// Add takes a chunk that a member has sent, whose bytes it copies, and returns how
// many of them are new. The error is a *[Fault], of this member or another, or
// nobody's fault, and the chunk's stream should be stopped: with [StopHere] at
// [ErrOverflow], and with [StopAll] at [ErrGivenUp].
func (a *Assembler) Add(member uint64, h *Header, c Chunk, now time.Time) (fresh int64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer func() {
		a.stats.Bytes += fresh
		a.stats.Duplicate += int64(len(c.Bytes)) - fresh
	}()
	switch {
	case a.closed:
		return 0, ErrGivenUp
	case a.refuses(member, h, c, now):
		return 0, ErrOverflow
	}
	p, err := a.part(member, h, now)
	if err != nil || p == nil {
		return 0, err
	}
	p.last = member
	fresh, grown, err := p.add(member, c, a.limits.MaxRuns)
	if err == ErrOverflow {
		return 0, err
	}
	if err != nil {
		return 0, &Fault{member, err}
	}
	a.hold(p, grown)
	p.sent(member, int64(len(c.Bytes)))
	a.tell(p, now)
	a.flush(p, now)
	for a.held > a.limits.MaxHeld && a.shed(now) {
	}
	a.limits.Budget.note()
	if err = a.takeFault(); err == nil && p.shed {
		return 0, ErrGivenUp
	}
	return fresh, err
}

// part returns what holds the object of h, or nil if the object has passed.
func (a *Assembler) part(member uint64, h *Header, now time.Time) (*part, error) {
	if p := a.open[h.Object]; p != nil {
		switch {
		case p.elsewhere:
			return nil, nil
		case h.Gone && !p.header.End:
			p.gone = true
			return p, nil
		case p.header.Gone && !h.End: // it was overtaken by that
			return nil, nil
		case !p.header.agrees(h):
			return nil, &Fault{member, violation("two streams of object %d/%d tell different sizes, properties or places", h.Group, h.Object.Object)}
		}
		return p, nil
	}
	sub := a.places[h.place()]
	if sub != nil && sub.passed(h) {
		return nil, nil
	}
	if len(a.open) >= a.limits.MaxOpen {
		if !a.shed(now) {
			return nil, ErrOverflow
		}
		if sub != nil && sub.passed(h) { // with what was given up
			return nil, nil
		}
	}
	if sub == nil {
		a.forget(now)
		sub = &subgroup{place: h.place(), touched: now}
		a.places[sub.place] = sub
		if n, ok := a.newest[h.Alias]; !ok || n.group < h.Group {
			a.newest[h.Alias] = newest{h.Group, now}
		}
	}
	p := &part{header: *h, sub: sub, began: now, maker: member, gone: h.Gone}
	p.header.Properties = slices.Clone(h.Properties)
	a.open[h.Object] = p
	a.order = append(a.order, p)
	sub.open = append(sub.open, p)
	a.hold(p, partCost+int64(len(h.Properties)))
	return p, nil
}

// agrees reports whether two headers describe the same object.
func (h *Header) agrees(o *Header) bool {
	return h.Subgroup == o.Subgroup && h.Previous == o.Previous && h.Size == o.Size &&
		h.Priority == o.Priority && h.Last == o.Last && h.End == o.End && bytes.Equal(h.Properties, o.Properties)
}

// Whole says that an object of a subgroup that chunks come of is there by another
// way. Only its names, and Previous, count of h; what came of it in chunks was
// compared by whoever has both.
func (a *Assembler) Whole(member uint64, h *Header, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.places[h.place()] == nil || a.closed {
		return nil
	}
	p := a.open[h.Object]
	if p == nil {
		var err error
		if p, err = a.part(member, h, now); err != nil || p == nil {
			return err
		}
	}
	p.elsewhere = true
	a.tell(p, now)
	a.flush(p, now)
	return a.takeFault()
}

// Kick offers objects of a track again that the sink was not ready for.
func (a *Assembler) Kick(alias uint64, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, sub := range a.places {
		if sub.alias == alias && len(sub.open) > 0 {
			a.flush(a.next(sub), now)
		}
	}
	return a.takeFault()
}

// Expire gives up what has been held for too long, and closes and forgets
// subgroups that nothing comes of any more. It returns when it should be called
// again, or zero if nothing is held. The error is a *[Fault].
func (a *Assembler) Expire(now time.Time) (next time.Time, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.order) > 0 && now.Sub(a.order[0].began) >= a.limits.Hold {
		a.giveUp(a.order[0], now)
	}
	a.abandon(now)
	if len(a.order) > 0 {
		next = a.order[0].began.Add(a.limits.Hold)
	}
	return next, a.takeFault()
}

// Shed gives up an object of the member that holds most, and reports false if
// there was none.
func (a *Assembler) Shed(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.shed(now)
}

// Close gives up all that is held.
func (a *Assembler) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for _, sub := range a.places {
		sub.abort()
	}
	for len(a.order) > 0 {
		a.stats.Lost++
		a.remove(a.order[0])
	}
	clear(a.places)
}

// Forget gives up what is held of a track, and begins anew with it: its alias may be
// that of another.
func (a *Assembler) Forget(alias uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for at, sub := range a.places {
		if at.alias != alias {
			continue
		}
		sub.abort()
		for len(sub.open) > 0 {
			a.stats.Lost++
			a.remove(sub.open[0])
		}
		delete(a.places, at)
	}
	delete(a.newest, alias)
}

// TakeDone returns the objects that have become whole since the last call.
func (a *Assembler) TakeDone() []Object {
	a.mu.Lock()
	defer a.mu.Unlock()
	done := a.done
	a.done = nil
	return done
}

// Busy reports whether an object of the track is held.
func (a *Assembler) Busy(alias uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.order, func(p *part) bool { return p.header.Alias == alias })
}

// Held returns how many bytes unfinished objects take.
func (a *Assembler) Held() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.held
}

// Stats returns what has been done so far.
func (a *Assembler) Stats() Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stats
}

// blame notes the fault of a member, unless the running call has shown one.
func (a *Assembler) blame(member uint64, err error) {
	if a.fault == nil {
		a.fault = &Fault{member, err}
	}
}

func (a *Assembler) takeFault() error {
	f := a.fault
	a.fault = nil
	if f == nil {
		return nil
	}
	return f
}
