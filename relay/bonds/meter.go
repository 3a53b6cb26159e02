package bonds

import (
	"slices"
	"sync"
	"time"
)

// Meter notes how one copy of a broadcast arrives. Its zero value works; its
// methods may be called concurrently.
type Meter struct {
	mu      sync.Mutex // guards what follows
	objects int64
	picks   int64
	bytes   int64
	times   []time.Time // of the objects of the last meterTime, ascending
	late    time.Duration
	group   uint64
	begun   time.Time     // when group was seen first
	between time.Duration // of the beginnings of the last two groups
}

const (
	// meterTime is how far back frequency and gap look.
	meterTime = 2 * time.Second
	// maxMetered bounds how many arrivals are remembered for that.
	maxMetered = 512
	// lively is how many objects in that time a copy has whose gaps are told: those
	// of a catalog mean nothing. leastGap is the least gap that is.
	lively   = 20
	leastGap = 200 * time.Millisecond
	// lateWeight is how much of the mean lateness one object is.
	lateWeight = 16
)

// Copy says how one copy of a broadcast arrives: what the choice between several
// would be made by.
type Copy struct {
	Objects  int64   `json:"objects"`     // that came whole
	Picks    int64   `json:"picks"`       // of them, that no other copy had brought before
	FPS      float64 `json:"fps"`         // objects a second, over the last two
	Gap      float64 `json:"gap_ms"`      // longest time without one in them
	Lateness float64 `json:"lateness_ms"` // behind the first copy, on average
	Groups   float64 `json:"group_ms"`    // between the beginnings of the last two groups
	Bytes    int64   `json:"bytes"`
}

// Note takes in that an object has come whole, which the first copy of it did that
// long before: 0 for the first itself. It returns how long nothing had come of a copy
// that has 10 objects a second or more, and how long after the group before a group
// begins with this object: 0 if less than 0.2 s, or if none does.
func (m *Meter) Note(group uint64, size int64, late time.Duration, now time.Time) (gap, between time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.times); n >= lively {
		if gap = now.Sub(m.times[n-1]); gap < leastGap {
			gap = 0
		}
	}
	m.objects++
	m.bytes += size
	if late == 0 {
		m.picks++
	}
	m.late += (late - m.late) / lateWeight
	old := 0
	for old < len(m.times) && (now.Sub(m.times[old]) > meterTime || len(m.times)-old >= maxMetered) {
		old++
	}
	m.times = append(slices.Delete(m.times, 0, old), now)
	if m.begun.IsZero() || group > m.group {
		if !m.begun.IsZero() {
			m.between = now.Sub(m.begun)
			between = m.between
		}
		m.group, m.begun = group, now
	}
	return gap, between
}

// Copy returns what the meter shows at a time.
func (m *Meter) Copy(now time.Time) Copy {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := Copy{Objects: m.objects, Picks: m.picks, Bytes: m.bytes, Lateness: millis(m.late), Groups: millis(m.between)}
	n, gap, last := 0, time.Duration(0), now.Add(-meterTime)
	if len(m.times) > 0 && m.times[0].After(last) {
		last = m.times[0]
	}
	for _, t := range m.times {
		if now.Sub(t) <= meterTime {
			n++
			gap = max(gap, t.Sub(last))
			last = t
		}
	}
	if m.objects > 0 {
		c.FPS, c.Gap = float64(n)/meterTime.Seconds(), millis(max(gap, now.Sub(last)))
	}
	return c
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
