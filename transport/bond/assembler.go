package bond

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"sync"
	"time"
)

// Sink takes what an [Assembler] has put together. Its methods, and those of the
// writers it returns, are called one after another, and must not call the
// Assembler.
type Sink interface {
	// Begin is called when the bytes of an object may be taken: all objects before
	// it in its subgroup have been, or are lost. adjacent tells that there was one
	// and that it is whole. The writer is nil if nobody wants the object.
	Begin(h *Header, adjacent bool) ObjectWriter
	// End is called in place of Begin for a header with End, when nothing can come
	// in its subgroup any more. If h.Last, the group has no object with the id of h
	// or a higher one; otherwise it may, but the publisher does not send them.
	// whole tells that none of the objects before was lost.
	End(h *Header, whole bool)
}

// ObjectWriter takes the bytes of one object, in order.
type ObjectWriter interface {
	// Extend takes the next bytes, which it must not keep.
	Extend(b []byte)
	// Done says that the object is whole; lost, that the rest never comes.
	Done()
	Lost()
}

// Limits bound what an [Assembler] holds. Each zero field means its default.
type Limits struct {
	MaxHeld int64         // bytes of objects that are not whole or not taken. 32 MiB
	MaxOpen int           // such objects. 512
	MaxRuns int           // pieces of one object with holes between them. 64
	Hold    time.Duration // how long one is held. 2 s
}

func (l Limits) withDefaults() Limits {
	if l.MaxHeld == 0 {
		l.MaxHeld = 32 << 20
	}
	if l.MaxOpen == 0 {
		l.MaxOpen = 512
	}
	if l.MaxRuns == 0 {
		l.MaxRuns = 64
	}
	if l.Hold == 0 {
		l.Hold = 2 * time.Second
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
	done   []Object // since the last TakeDone
	held   int64
	stats  Stats
}

// Stats counts what an [Assembler] has done.
type Stats struct {
	Objects   int64 // that became whole
	Lost      int64 // objects given up
	Bytes     int64 // that were new
	Duplicate int64 // bytes that had been there
}

type place struct{ alias, group, subgroup uint64 }

func (h *Header) place() place { return place{h.Alias, h.Group, h.Subgroup} }

// subgroup is how far the objects of a subgroup have been taken.
type subgroup struct {
	begun   bool
	taken   uint64 // the last object that was, or was given up
	broken  bool   // that one was given up
	holed   bool   // one was
	open    []*part
	touched time.Time
}

// part is an object on its way.
type part struct {
	header Header
	sub    *subgroup
	began  time.Time
	runs   []run // ascending, never touching one another
	have   int64
	out    int64 // bytes that the sink has
	writer ObjectWriter
	taking bool // the sink was asked
	told   bool // that it is whole
}

// run is a contiguous piece, in the chunks it came in.
type run struct {
	off, end int64
	chunks   [][]byte
}

// ErrOverflow says that an object was not taken in since too much is held.
var ErrOverflow = errors.New("bond: too many unfinished objects")

// NewAssembler returns an Assembler that gives objects to sink.
func NewAssembler(l Limits, sink Sink) *Assembler {
	return &Assembler{
		limits: l.withDefaults(), sink: sink,
		open:   make(map[Object]*part),
		places: make(map[place]*subgroup),
	}
}

// Add takes a chunk, whose bytes it copies. An error that is a *wire.Error is the
// fault of the member that sent it, to be put out of the bond: the chunk
// contradicts what is held, or the header of another stream for the object.
// [ErrOverflow] is nobody's fault; the chunk's stream should be stopped.
func (a *Assembler) Add(h *Header, c Chunk, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, err := a.part(h, now)
	if err != nil || p == nil {
		if err == nil {
			a.stats.Duplicate += int64(len(c.Bytes))
		}
		return err
	}
	added, err := p.add(c, a.limits.MaxRuns)
	if err != nil {
		return err
	}
	a.held += added
	a.stats.Bytes += added
	a.stats.Duplicate += int64(len(c.Bytes)) - added
	if p.have == p.header.Size && !p.told { // whether or not it can be taken yet
		p.told = true
		a.finished(p.header.Object)
	}
	a.flush(p, now)
	for a.held > a.limits.MaxHeld && len(a.order) > 0 {
		a.giveUp(a.order[0], now)
	}
	return nil
}

// part returns what holds the object of h, or nil if the object has passed.
func (a *Assembler) part(h *Header, now time.Time) (*part, error) {
	if p := a.open[h.Object]; p != nil {
		if !p.header.agrees(h) {
			return nil, violation("two streams of object %d/%d tell different sizes, properties or places", h.Group, h.Object.Object)
		}
		return p, nil
	}
	sub := a.places[h.place()]
	if sub != nil && sub.begun && h.Object.Object <= sub.taken {
		return nil, nil
	}
	if len(a.open) >= a.limits.MaxOpen {
		a.giveUp(a.order[0], now)
		if len(a.open) >= a.limits.MaxOpen {
			return nil, ErrOverflow
		}
	}
	if sub == nil {
		a.forget(now)
		sub = &subgroup{touched: now}
		a.places[h.place()] = sub
	}
	p := &part{header: *h, sub: sub, began: now}
	p.header.Properties = slices.Clone(h.Properties)
	a.open[h.Object] = p
	a.order = append(a.order, p)
	sub.open = append(sub.open, p)
	return p, nil
}

// agrees reports whether two headers describe the same object.
func (h *Header) agrees(o *Header) bool {
	return h.Subgroup == o.Subgroup && h.Previous == o.Previous && h.Size == o.Size &&
		h.Priority == o.Priority && h.Last == o.Last && h.End == o.End && bytes.Equal(h.Properties, o.Properties)
}

// add puts c in its place and returns how many of its bytes are new.
func (p *part) add(c Chunk, maxRuns int) (int64, error) {
	if len(c.Bytes) == 0 {
		return 0, nil
	}
	off, end := c.Offset, c.Offset+int64(len(c.Bytes))
	// Compare with what is there, and cut out what is new.
	type piece struct{ off, end int64 }
	var fresh []piece
	at := off
	for i := range p.runs {
		r := &p.runs[i]
		if r.end <= at {
			continue
		}
		if r.off >= end {
			break
		}
		if r.off > at {
			fresh = append(fresh, piece{at, r.off})
		}
		from, to := max(at, r.off), min(end, r.end)
		if !r.equal(from, c.Bytes[from-off:to-off]) {
			return 0, violation("bytes at %d of object %d/%d contradict those held", from, p.header.Group, p.header.Object.Object)
		}
		at = to
	}
	if at < end {
		fresh = append(fresh, piece{at, end})
	}
	var added int64
	for _, f := range fresh {
		p.insert(f.off, bytes.Clone(c.Bytes[f.off-off:f.end-off]))
		added += f.end - f.off
	}
	if len(p.runs) > maxRuns {
		return added, violation("object %d/%d came in more than %d pieces", p.header.Group, p.header.Object.Object, maxRuns)
	}
	p.have += added
	return added, nil
}

// insert adds bytes that no run has.
func (p *part) insert(off int64, b []byte) {
	end := off + int64(len(b))
	i := 0
	for i < len(p.runs) && p.runs[i].end < off {
		i++
	}
	switch {
	case i < len(p.runs) && p.runs[i].end == off: // behind a run, and perhaps before the next
		r := &p.runs[i]
		r.chunks, r.end = append(r.chunks, b), end
		if i+1 < len(p.runs) && p.runs[i+1].off == end {
			r.chunks, r.end = append(r.chunks, p.runs[i+1].chunks...), p.runs[i+1].end
			p.runs = slices.Delete(p.runs, i+1, i+2)
		}
	case i < len(p.runs) && p.runs[i].off == end:
		r := &p.runs[i]
		r.chunks, r.off = slices.Insert(r.chunks, 0, b), off
	default:
		p.runs = slices.Insert(p.runs, i, run{off, end, [][]byte{b}})
	}
}

// equal reports whether the run has b at off, which is inside it.
func (r *run) equal(off int64, b []byte) bool {
	at := r.off
	for _, c := range r.chunks {
		next := at + int64(len(c))
		if next > off && len(b) > 0 {
			held := c[off-at:]
			n := min(len(held), len(b))
			if !bytes.Equal(held[:n], b[:n]) {
				return false
			}
			b, off = b[n:], off+int64(n)
		}
		at = next
	}
	return true
}

// flush gives the sink what it may have of p and, where that makes p whole, of
// those that come after it.
func (a *Assembler) flush(p *part, now time.Time) {
	for p != nil {
		if !p.taking && !p.follows() {
			return
		}
		if p.header.End {
			a.end(p, now)
			return
		}
		if !p.taking {
			p.taking = true
			p.writer = a.sink.Begin(&p.header, p.sub.begun && !p.sub.broken)
		}
		p.extend()
		if p.have < p.header.Size {
			return
		}
		if p.writer != nil {
			p.writer.Done()
		}
		a.stats.Objects++
		a.pass(p, false, now)
		p = p.sub.next()
	}
}

// finished notes that nothing more of o is to be sent.
func (a *Assembler) finished(o Object) {
	a.done = append(a.done, o)
	if len(a.done) > maxAckDone { // who does not ask has no use for the oldest
		a.done = slices.Delete(a.done, 0, 1)
	}
}

// end takes in that p is not an object, but that none follows. What came of any
// that do is dropped.
func (a *Assembler) end(p *part, now time.Time) {
	a.sink.End(&p.header, !p.sub.holed)
	a.pass(p, false, now)
	p.sub.taken = math.MaxUint64
	for len(p.sub.open) > 0 {
		a.pass(p.sub.open[0], true, now)
	}
}

// follows reports whether nothing that is to be taken before p is missing.
func (p *part) follows() bool {
	if !p.sub.begun {
		return p.header.Previous == 0 || p.header.Begins
	}
	return p.header.Object.Object-p.header.Previous <= p.sub.taken
}

// extend gives the writer the bytes that continue what it has.
func (p *part) extend() {
	if p.writer == nil || len(p.runs) == 0 || p.runs[0].off > 0 {
		return
	}
	at := int64(0)
	for _, c := range p.runs[0].chunks {
		next := at + int64(len(c))
		if next > p.out {
			p.writer.Extend(c[p.out-at:])
			p.out = next
		}
		at = next
	}
}

// pass removes p, which was taken or given up.
func (a *Assembler) pass(p *part, broken bool, now time.Time) {
	delete(a.open, p.header.Object)
	a.order = without(a.order, p)
	a.held -= p.have
	sub := p.sub
	sub.open = without(sub.open, p)
	sub.begun, sub.broken, sub.holed, sub.touched = true, broken, sub.holed || broken, now
	sub.taken = max(sub.taken, p.header.Object.Object)
}

func without(from []*part, p *part) []*part {
	if i := slices.Index(from, p); i >= 0 {
		return slices.Delete(from, i, i+1)
	}
	return from
}

// next returns the first object that may be taken now, or nil.
func (s *subgroup) next() (next *part) {
	for _, p := range s.open {
		if !p.taking && p.follows() && (next == nil || p.header.Object.Object < next.header.Object.Object) {
			next = p
		}
	}
	return next
}

// giveUp ends the wait for what p lacks, and for objects before it in its
// subgroup: they could only be taken out of order now.
func (a *Assembler) giveUp(p *part, now time.Time) {
	for _, o := range slices.Clone(p.sub.open) {
		if o.header.Object.Object > p.header.Object.Object {
			continue
		}
		if o.writer != nil {
			o.writer.Lost()
		}
		a.stats.Lost++
		a.pass(o, true, now)
	}
	a.flush(p.sub.next(), now)
}

// Expire gives up what has been held for too long, and forgets subgroups nothing
// came of for as long. It returns when it should be called again, and zero if
// nothing is held.
func (a *Assembler) Expire(now time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.order) > 0 && now.Sub(a.order[0].began) >= a.limits.Hold {
		a.giveUp(a.order[0], now)
	}
	if len(a.order) == 0 {
		return time.Time{}
	}
	return a.order[0].began.Add(a.limits.Hold)
}

// maxPlaces is how many subgroups are remembered before the oldest are forgotten.
const maxPlaces = 4096

// forget makes room for a subgroup: it drops those that nothing is open in and
// nothing came of for long or, if there are none, any that nothing is open in.
func (a *Assembler) forget(now time.Time) {
	if len(a.places) < maxPlaces {
		return
	}
	for _, idle := range []time.Duration{a.limits.Hold, 0} {
		for k, sub := range a.places {
			if len(sub.open) == 0 && now.Sub(sub.touched) >= idle {
				delete(a.places, k)
			}
		}
		if len(a.places) < maxPlaces {
			return
		}
	}
}

// TakeDone returns the objects that have become whole since the last call.
func (a *Assembler) TakeDone() []Object {
	a.mu.Lock()
	defer a.mu.Unlock()
	done := a.done
	a.done = nil
	return done
}

// Held returns how many bytes of unfinished objects are held.
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
