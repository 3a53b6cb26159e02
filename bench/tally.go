package bench

import (
	"encoding/binary"
	"sync"
	"time"
)

// stampSize is what each object begins with: its number and when it was
// published, in ns since 1970. All parts of a measurement run on one machine and
// share its clock.
const stampSize = 16

// stamp writes number n and the time of now to the front of p.
func stamp(p []byte, n int) {
	binary.BigEndian.PutUint64(p, uint64(n))
	binary.BigEndian.PutUint64(p[8:], uint64(time.Now().UnixNano()))
}

// readStamp returns an object's number and its age.
func readStamp(p []byte) (n int, age time.Duration) {
	return int(binary.BigEndian.Uint64(p)), time.Duration(time.Now().UnixNano() - int64(binary.BigEndian.Uint64(p[8:])))
}

// tally is what one subscriber has got of the objects 0 to total-1.
type tally struct {
	total  int
	warmUp int           // the age of objects before this one does not matter; set before use
	full   chan struct{} // closed when all have come
	last   chan struct{} // closed when the last has

	mu      sync.Mutex // guards what follows
	seen    []bool
	count   int // different ones
	first   int // the least that came; total if none
	doubled int
	ages    []time.Duration
	behind  []int // by how many the newest published was ahead; only if newest is set
	newest  func() int
}

func newTally(total int) *tally {
	return &tally{total: total, first: total, full: make(chan struct{}), last: make(chan struct{}), seen: make([]bool, total), ages: make([]time.Duration, 0, total)}
}

// take counts an object. Those that are none of the total, as before the count
// began, are left out.
func (t *tally) take(p []byte) {
	n, age := readStamp(p)
	if n < 0 || n >= t.total {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen[n] {
		t.doubled++
		return
	}
	t.seen[n] = true
	t.count++
	t.first = min(t.first, n)
	if n >= t.warmUp {
		t.ages = append(t.ages, age)
	}
	if t.newest != nil {
		t.behind = append(t.behind, t.newest()-n)
	}
	if t.count == t.total {
		close(t.full)
	}
	if n == t.total-1 {
		close(t.last)
	}
}

// lost returns how many objects did not come.
func (t *tally) lost() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total - t.count
}

// gaps returns how many objects did not come of those from the first that did:
// what somebody lost who came later.
func (t *tally) gaps() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total - t.first - t.count
}
