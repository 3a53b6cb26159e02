package bond

import (
	"math/rand/v2"
	"testing"
)

// TestSpans compares with a set of single bytes.
func TestSpans(t *testing.T) {
	const size = 40
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		var s spans
		var model [size]bool
		for range 30 {
			a, b := r.Int64N(size+1), r.Int64N(size+1)
			p := span{min(a, b), max(a, b)}
			mark := func(p span, to bool) {
				for i := p.off; i < p.end; i++ {
					model[i] = to
				}
			}
			switch r.IntN(3) {
			case 0:
				s.add(p)
				mark(p, true)
			case 1:
				s.remove(p)
				mark(p, false)
			case 2:
				got, ok := s.take(1+r.Int64N(5), a)
				if !ok {
					break
				}
				for i := got.off; i < got.end; i++ {
					if !model[i] {
						t.Fatalf("seed %d: byte %d was taken and not there", seed, i)
					}
				}
				for i := a; i < got.off; i++ {
					if model[i] {
						t.Fatalf("seed %d: byte %d was passed over", seed, i)
					}
				}
				mark(got, false)
			}
			var n int64
			for i, there := range model {
				if there {
					n++
				}
				if missing := s.missing(span{int64(i), int64(i + 1)}).size() == 1; missing == there {
					t.Fatalf("seed %d: byte %d is there: %v, and missing: %v", seed, i, there, missing)
				}
			}
			if s.size() != n {
				t.Fatalf("seed %d: %d bytes, want %d", seed, s.size(), n)
			}
			for i := 1; i < len(s); i++ {
				if s[i].off <= s[i-1].end {
					t.Fatalf("seed %d: %v is not in order", seed, s)
				}
			}
		}
	}
}
