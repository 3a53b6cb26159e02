package transport

import "slices"

// spans is a set of numbers, kept as ranges that do not touch, in order.
type spans []span

type span struct{ first, last uint64 }

// maxSpans bounds what a set costs; beyond it, the lowest numbers are forgotten.
const maxSpans = 1024

// add puts n into the set and reports whether it was not there.
func (s *spans) add(n uint64) bool {
	i, found := slices.BinarySearchFunc(*s, n, func(r span, n uint64) int {
		switch {
		case r.last < n:
			return -1
		case r.first > n:
			return 1
		}
		return 0
	})
	if found {
		return false
	}
	follows := i > 0 && (*s)[i-1].last+1 == n
	precedes := i < len(*s) && (*s)[i].first == n+1
	switch {
	case follows && precedes:
		(*s)[i-1].last = (*s)[i].last
		*s = slices.Delete(*s, i, i+1)
	case follows:
		(*s)[i-1].last = n
	case precedes:
		(*s)[i].first = n
	default:
		*s = slices.Insert(*s, i, span{n, n})
		if len(*s) > maxSpans {
			*s = slices.Delete(*s, 0, 1)
		}
	}
	return true
}
