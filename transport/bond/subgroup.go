package bond

import (
	"maps"
	"slices"
	"time"
)

type place struct{ alias, group, subgroup uint64 }

func (h *Header) place() place { return place{h.Alias, h.Group, h.Subgroup} }

// newest is the newest group of a track, and since when it is.
type newest struct {
	group uint64
	since time.Time
}

// subgroup is how far the objects of a subgroup have been taken.
type subgroup struct {
	place
	begun   bool
	taken   uint64 // the last object that was, or was given up
	ended   bool   // nothing is taken any more
	torn    bool   // an object of it was given up
	writer  SubgroupWriter
	at      *part // that is being taken
	open    []*part
	touched time.Time
}

// passed reports whether the object of h was taken or given up.
func (s *subgroup) passed(h *Header) bool {
	return s.ended || s.begun && h.Object.Object <= s.taken
}

// abort ends what is open downstream.
func (s *subgroup) abort() {
	if s.writer != nil {
		s.writer.Abort()
		s.writer = nil
	}
}

// follows reports whether nothing that is to be taken before p is missing.
func (a *Assembler) follows(p *part) bool {
	h := &p.header
	before := h.Object.Object - h.Previous
	if p.sub.at != nil {
		return p == p.sub.at
	}
	if p.sub.begun && before <= p.sub.taken || !p.sub.begun && (h.Previous == 0 || h.Begins) {
		return true
	}
	return h.Previous > 0 && a.sink.Has(Object{h.Alias, h.Group, before})
}

// next returns the first object of a subgroup that may be taken now, or nil.
func (a *Assembler) next(s *subgroup) (next *part) {
	for _, p := range s.open {
		if a.follows(p) && (next == nil || p.header.Object.Object < next.header.Object.Object) {
			next = p
		}
	}
	return next
}

// flush gives the sink what it may have of p and, where that makes p whole, of
// those that come after it.
func (a *Assembler) flush(p *part, now time.Time) {
	for p != nil {
		if !a.follows(p) {
			return
		}
		if p.header.End {
			a.end(p, now)
			return
		}
		sub := p.sub
		if p.gone && !p.whole() {
			if p.taking() && p.out > 0 { // some of it is downstream
				sub.abort()
			}
			sub.torn = true
			a.lose(p, now)
			p = a.next(sub)
			continue
		}
		if !p.taking() && !a.begin(p) {
			return
		}
		a.extend(p)
		if !p.whole() {
			return
		}
		a.stats.Objects++
		a.pass(p, now)
		p = a.next(sub)
	}
}

// begin brings an object to the sink, and reports false if that is not ready.
func (a *Assembler) begin(p *part) bool {
	sub := p.sub
	if p.elsewhere {
		return true
	}
	if sub.writer == nil {
		w, err := a.sink.Open(&p.header)
		if err == ErrNotYet {
			return false
		}
		if err != nil {
			a.blame(p.maker, err)
		} else {
			sub.writer = w
		}
	}
	sub.at = p
	if sub.writer != nil {
		a.check(sub, p.maker, sub.writer.Begin(&p.header))
	}
	return true
}

// extend gives the writer what it can take of p.
func (a *Assembler) extend(p *part) {
	w := p.sub.writer
	switch {
	case w == nil:
	case p.elsewhere:
		w.Skip(&p.header)
	default:
		member, err := p.take(w)
		if err == ErrAgain {
			p.out = 0
			if err = w.Begin(&p.header); err == nil {
				member, err = p.take(w)
			}
		}
		a.check(p.sub, member, err)
	}
}

// check takes the writer away that has refused something.
func (a *Assembler) check(sub *subgroup, member uint64, err error) {
	if err != nil {
		a.blame(member, err)
		sub.writer = nil
	}
}

// end takes in that p is not an object, but that none follows. What came of any
// that do is dropped.
func (a *Assembler) end(p *part, now time.Time) {
	sub := p.sub
	if sub.writer != nil && p.header.Last && !sub.torn {
		a.check(sub, p.maker, sub.writer.Close(&p.header))
		sub.writer = nil
	}
	sub.abort()
	sub.ended = true
	a.pass(p, now)
	for len(sub.open) > 0 {
		a.lose(sub.open[0], now)
	}
}

// tell notes that nothing more of p is to be sent, once it is whole, whether or
// not it can be taken yet.
func (a *Assembler) tell(p *part, now time.Time) {
	if p.told || !p.whole() {
		return
	}
	p.told = true
	for _, s := range p.shares {
		if s.n >= p.header.Size && !p.header.End {
			a.sink.Alone(s.member, p.header.Object, p.header.Size, now)
		}
	}
	a.done = append(a.done, p.header.Object)
	if len(a.done) > maxAckDone { // who does not ask has no use for the oldest
		a.done = slices.Delete(a.done, 0, 1)
	}
}

// hold counts n more bytes of p.
func (a *Assembler) hold(p *part, n int64) {
	p.cost += n
	a.held += n
	if a.shares[p.maker] += n; a.shares[p.maker] == 0 {
		delete(a.shares, p.maker)
	}
	a.limits.Budget.held.Add(n)
}

// remove forgets p.
func (a *Assembler) remove(p *part) {
	delete(a.open, p.header.Object)
	a.order = without(a.order, p)
	p.sub.open = without(p.sub.open, p)
	if p.sub.at == p {
		p.sub.at = nil
	}
	a.hold(p, -p.cost)
}

// pass removes p, which was taken or given up, and with it what comes before it:
// that is there, or who sent p has given it up.
func (a *Assembler) pass(p *part, now time.Time) {
	a.remove(p)
	sub := p.sub
	sub.begun, sub.touched = true, now
	sub.taken = max(sub.taken, p.header.Object.Object)
	a.drop(sub, sub.taken)
}

// drop removes the objects of a subgroup up to one.
func (a *Assembler) drop(sub *subgroup, last uint64) {
	for i := 0; i < len(sub.open); {
		o := sub.open[i]
		if o.header.Object.Object > last {
			i++
			continue
		}
		a.remove(o)
		if !o.elsewhere && !a.sink.Has(o.header.Object) {
			a.stats.Lost++
		}
	}
}

// lose gives p up.
func (a *Assembler) lose(p *part, now time.Time) {
	a.stats.Lost++
	a.pass(p, now)
}

func without(from []*part, p *part) []*part {
	if i := slices.Index(from, p); i >= 0 {
		return slices.Delete(from, i, i+1)
	}
	return from
}

// giveUp ends the wait for what p lacks or for what comes before it.
func (a *Assembler) giveUp(p *part, now time.Time) {
	sub := p.sub
	switch {
	case p.taking(): // the rest of it
		sub.abort()
		a.lose(p, now)
	case p.whole(), p.gone: // those before it
		first := p
		for _, o := range sub.open {
			if o.whole() && o.header.Object.Object < first.header.Object.Object {
				first = o
			}
		}
		sub.abort()
		if id := first.header.Object.Object; id > 0 {
			a.drop(sub, id-1)
			sub.begun, sub.taken = true, max(sub.taken, id-1)
		}
		if a.flush(first, now); a.open[first.header.Object] == first {
			a.lose(first, now) // nobody is ready for it
		}
	default: // it may come again
		a.stats.Lost++
		a.remove(p)
	}
	if len(sub.open) > 0 {
		a.flush(a.next(sub), now)
	}
}

// othersTime is after how long others have sent something of an object, if it is one
// that they know.
const othersTime = 250 * time.Millisecond

// shed gives up an object of the member whose objects take most, so that one that
// sends too much loses its own. It has sent the beginnings of others' objects too,
// whose rest may be on its way: of those which nobody else has sent anything of, the
// oldest goes that others had the time for, or else the newest; and if there is none,
// the oldest of all.
func (a *Assembler) shed(now time.Time) bool {
	var greedy uint64
	for member, n := range a.shares {
		if n > a.shares[greedy] {
			greedy = member
		}
	}
	oldest, newest := -1, -1
	for i, p := range a.order {
		if p.maker != greedy {
			continue
		}
		if oldest < 0 {
			oldest = i
		}
		if !p.whole() && !p.sentByOthers() {
			newest = i
			if now.Sub(p.began) >= othersTime {
				break
			}
		}
	}
	i := newest
	if i < 0 {
		i = oldest
	}
	if i < 0 {
		return false
	}
	maps.DeleteFunc(a.lost, func(_ uint64, at time.Time) bool { return now.Sub(at) >= a.limits.Hold })
	a.lost[greedy] = now
	victim := a.order[i]
	victim.shed = true
	if victim.taking() {
		a.giveUp(victim, now)
	} else {
		a.stats.Lost++
		a.remove(victim)
	}
	return true
}

// refuses reports whether a chunk is not taken in for which an object would have to
// be given up, as it is of a member that has just lost one so. What is refused is not
// acknowledged, so that it can come by another; what is given up was.
func (a *Assembler) refuses(member uint64, h *Header, c Chunk, now time.Time) bool {
	if at, lost := a.lost[member]; !lost || now.Sub(at) >= a.limits.Hold {
		return false
	}
	p := a.open[h.Object]
	if p != nil {
		return a.held+p.room(c) > a.limits.MaxHeld
	}
	p = &part{header: *h}
	return len(a.open) >= a.limits.MaxOpen || a.held+partCost+int64(len(h.Properties))+p.room(c) > a.limits.MaxHeld
}

// abandon ends subgroups downstream that a newer group has overtaken and nothing
// comes of: their end was told on a connection that is gone.
func (a *Assembler) abandon(now time.Time) {
	for _, sub := range a.places {
		n := a.newest[sub.alias]
		if sub.writer != nil && len(sub.open) == 0 && sub.group < n.group &&
			now.Sub(n.since) >= a.limits.Hold && now.Sub(sub.touched) >= a.limits.Hold {
			sub.abort()
		}
	}
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
				sub.abort()
				delete(a.places, k)
			}
		}
		if len(a.places) < maxPlaces {
			return
		}
	}
}
