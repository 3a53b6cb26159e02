package bond

import (
	"bytes"
	"slices"
	"sync/atomic"
	"time"
)

// Budget counts the bytes that Assemblers hold together. Its zero value works, and
// its methods may be called concurrently.
type Budget struct{ held, most atomic.Int64 }

// Held returns how many bytes those are.
func (b *Budget) Held() int64 { return b.held.Load() }

// Most returns how many they ever were once a chunk was in its place, and what was
// too much then given up.
func (b *Budget) Most() int64 { return b.most.Load() }

func (b *Budget) note() {
	held := b.held.Load()
	for most := b.most.Load(); held > most && !b.most.CompareAndSwap(most, held); most = b.most.Load() {
	}
}

const (
	// partCost is what an object costs beside its bytes.
	partCost = 512
	// pageSize is how much room is made for an object at a time, where bytes of it
	// are: its claimed size buys nothing.
	pageSize = 16 << 10
)

// part is an object on its way.
type part struct {
	header    Header
	sub       *subgroup
	maker     uint64 // the member that sent the header
	last      uint64 // the member whose chunk came last
	began     time.Time
	pages     map[int64][]byte // by number; the bytes of runs
	runs      []run            // ascending, never touching one another
	have      int64
	cost      int64
	out       int64 // bytes that were taken
	elsewhere bool  // it came whole another way
	gone      bool  // who sent it has given it up
	shed      bool  // its member held too much
	told      bool  // that it is whole
	shares    []share
	senders   []sender // ascending, of bytes that were not taken
}

// sender is which member has sent a piece first.
type sender struct {
	run
	member uint64
}

// maxSenders bounds how many pieces of an object it is remembered of who has sent
// them. What is wrong in others is the fault of who has brought them to light.
const maxSenders = 64

// sentBy notes who has sent a piece, nothing of which was there.
func (p *part) sentBy(member uint64, r run) {
	i, _ := slices.BinarySearchFunc(p.senders, r.off, func(s sender, off int64) int { return int(min(max(s.off-off, -1), 1)) })
	if i > 0 && p.senders[i-1].member == member && p.senders[i-1].end == r.off {
		p.senders[i-1].end = r.end
	} else if len(p.senders) < maxSenders {
		p.senders = slices.Insert(p.senders, i, sender{r, member})
	}
}

// share is how many bytes of an object a member has sent, copies counted.
type share struct {
	member uint64
	n      int64
}

func (p *part) sent(member uint64, n int64) {
	for i := range p.shares {
		if p.shares[i].member == member {
			p.shares[i].n += n
			return
		}
	}
	p.shares = append(p.shares, share{member, n})
}

// sentByOthers reports whether others than the one that sent the header have sent
// something of p.
func (p *part) sentByOthers() bool {
	return slices.ContainsFunc(p.shares, func(s share) bool { return s.member != p.maker })
}

// run is a contiguous piece that is there.
type run struct{ off, end int64 }

// taking reports whether p is the object of its subgroup that is being taken.
func (p *part) taking() bool { return p.sub.at == p }

func (p *part) whole() bool {
	return p.elsewhere || p.have == p.header.Size && !p.header.Gone
}

// add puts c, which a member has sent, in its place and returns how many of its bytes
// are new, and how much room was made for them.
func (p *part) add(member uint64, c Chunk, maxRuns int) (fresh, grown int64, err error) {
	off, end := c.Offset, c.Offset+int64(len(c.Bytes))
	if off == end {
		return 0, 0, nil
	}
	// Those runs that touch the chunk.
	i, _ := slices.BinarySearchFunc(p.runs, off, func(r run, off int64) int { return int(min(max(r.end-off, -1), 1)) })
	j := i
	fresh = end - off
	for ; j < len(p.runs) && p.runs[j].off <= end; j++ {
		from, to := max(off, p.runs[j].off), min(end, p.runs[j].end)
		if !p.holds(from, c.Bytes[from-off:to-off]) {
			return 0, 0, violation("bytes at %d of object %d/%d contradict those held", from, p.header.Group, p.header.Object.Object)
		}
		fresh -= to - from
	}
	if fresh == 0 {
		return 0, 0, nil
	}
	if i == j && len(p.runs) >= maxRuns {
		return 0, 0, ErrOverflow
	}
	grown = p.put(off, c.Bytes)
	at := off
	for _, r := range p.runs[i:j] {
		if at < r.off {
			p.sentBy(member, run{at, r.off})
		}
		at = r.end
	}
	if at < end {
		p.sentBy(member, run{at, end})
	}
	merged := run{off, end}
	if i < j {
		merged = run{min(off, p.runs[i].off), max(end, p.runs[j-1].end)}
	}
	p.runs = slices.Replace(p.runs, i, j, merged)
	p.have += fresh
	return fresh, grown, nil
}

// each calls do with the pieces of pages from off on, and with the page and how
// much of the n bytes each piece takes.
func (p *part) each(off, n int64, do func(number, at, n int64)) {
	for n > 0 {
		at := off % pageSize
		take := min(n, pageSize-at)
		do(off/pageSize, at, take)
		off, n = off+take, n-take
	}
}

// put copies b to off, and returns how much room was made.
func (p *part) put(off int64, b []byte) (grown int64) {
	if p.pages == nil {
		p.pages = make(map[int64][]byte)
	}
	p.each(off, int64(len(b)), func(number, at, n int64) {
		page := p.pages[number]
		if page == nil {
			page = make([]byte, p.pageLength(number))
			p.pages[number] = page
			grown += int64(len(page))
		}
		copy(page[at:], b[:n])
		b = b[n:]
	})
	return grown
}

// room returns how much room would have to be made for c.
func (p *part) room(c Chunk) (bytes int64) {
	p.each(c.Offset, int64(len(c.Bytes)), func(number, _, _ int64) {
		if p.pages[number] == nil {
			bytes += p.pageLength(number)
		}
	})
	return bytes
}

func (p *part) pageLength(number int64) int64 { return min(pageSize, p.header.Size-number*pageSize) }

// holds reports whether the bytes at off, which are there, are b.
func (p *part) holds(off int64, b []byte) bool {
	same := true
	p.each(off, int64(len(b)), func(number, at, n int64) {
		same = same && bytes.Equal(p.pages[number][at:at+n], b[:n])
		b = b[n:]
	})
	return same
}

// take gives w the bytes that continue what it has, those of each sender apart. It
// returns whose bytes an error is about: the last that came, where that is not known.
func (p *part) take(w SubgroupWriter) (member uint64, err error) {
	if len(p.runs) == 0 || p.runs[0].off > 0 {
		return p.last, nil
	}
	for end := p.runs[0].end; p.out < end && err == nil; {
		to := end
		member = p.last
		if len(p.senders) > 0 {
			if s := p.senders[0]; p.out < s.off { // which may be behind a hole
				to = min(end, s.off)
			} else {
				member, to = s.member, s.end
				p.senders = slices.Delete(p.senders, 0, 1)
			}
		}
		out := p.out
		p.out = to
		p.each(out, to-out, func(number, at, n int64) {
			if err == nil {
				err = w.Extend(p.pages[number][at : at+n])
			}
		})
	}
	return member, err
}
