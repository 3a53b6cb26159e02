package bond

import "slices"

// spans is a set of bytes of one object: pieces in ascending order that do not
// touch one another. The zero value is empty.
type spans []span

// span is the bytes from off up to end.
type span struct{ off, end int64 }

func (s span) size() int64 { return s.end - s.off }

// size returns how many bytes are in the set.
func (s spans) size() (n int64) {
	for _, p := range s {
		n += p.size()
	}
	return n
}

// add puts the bytes of p into the set.
func (s *spans) add(p span) {
	if p.off >= p.end {
		return
	}
	i := 0
	for i < len(*s) && (*s)[i].end < p.off {
		i++
	}
	j := i
	for j < len(*s) && (*s)[j].off <= p.end {
		p.off, p.end = min(p.off, (*s)[j].off), max(p.end, (*s)[j].end)
		j++
	}
	*s = slices.Replace(*s, i, j, p)
}

// remove takes the bytes of p out of the set.
func (s *spans) remove(p span) {
	if p.off >= p.end {
		return
	}
	var kept spans
	for _, q := range *s {
		if left := (span{q.off, min(q.end, p.off)}); left.off < left.end {
			kept = append(kept, left)
		}
		if right := (span{max(q.off, p.end), q.end}); right.off < right.end {
			kept = append(kept, right)
		}
	}
	*s = kept
}

// take removes and returns the first bytes of the set at from or behind it, or of
// all if there are none: at most n, from one piece.
func (s *spans) take(n, from int64) (span, bool) {
	if len(*s) == 0 {
		return span{}, false
	}
	p := (*s)[0]
	for _, q := range *s {
		if q.end > from {
			p = span{max(q.off, from), q.end}
			break
		}
	}
	p.end = min(p.end, p.off+n)
	if p.off == p.end { // an object without bytes
		*s = nil
	}
	s.remove(p)
	return p, true
}

// missing returns the bytes of p that are not in the set.
func (s spans) missing(p span) spans {
	m := spans{p}
	for _, q := range s {
		m.remove(q)
	}
	return m
}
