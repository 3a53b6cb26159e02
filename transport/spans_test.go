package transport

import (
	"math/rand/v2"
	"testing"
)

func TestSpans(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		var s spans
		have := make(map[uint64]bool)
		for range 300 {
			n := r.Uint64N(100)
			if r.IntN(20) == 0 {
				n = 1<<64 - 1 - n // the other end
			}
			if got := s.add(n); got == have[n] {
				t.Fatalf("add(%d) = %v, and it was there: %v", n, got, have[n])
			}
			have[n] = true
			for i := range s {
				if s[i].first > s[i].last || i > 0 && (s[i-1].last >= s[i].first || s[i-1].last+1 == s[i].first) {
					t.Fatalf("spans %v after %d", s, n)
				}
			}
		}
	}
	var s spans
	for n := range uint64(3 * maxSpans) {
		s.add(2 * n)
	}
	if len(s) != maxSpans || s[len(s)-1].last != 2*(3*maxSpans-1) {
		t.Errorf("%d spans, the last is %v", len(s), s[len(s)-1])
	}
}
