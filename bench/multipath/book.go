package multipath

import (
	"hash/crc32"
	"slices"
	"sync"
	"time"
)

// book notes when each object was made and when it was whole at the subscriber.
// Its methods may be called concurrently.
type book struct {
	mu     sync.Mutex
	pages  [tracks][]entry
	under  int // bytes that were made and have not come
	oldest int // of the first page: all before have come or are given up
}

type entry struct {
	made, whole time.Time // whole is zero for what has not come
	size        int
	sum         uint32 // of the payload
	vital       bool
}

// lostAfter is the age at which bulk that has not come counts as under way no more.
const lostAfter = 4 * time.Second

func (b *book) make(u *unit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pages[u.track] = append(b.pages[u.track], entry{made: u.made, size: len(u.payload), sum: crc32.ChecksumIEEE(u.payload), vital: u.vital})
	b.under += len(u.payload)
}

// take notes that object n of a track is whole, and the CRC-32 of its payload. What
// was not made so, or comes twice, is not counted.
func (b *book) take(track, n int, sum uint32) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if n >= len(b.pages[track]) {
		return
	}
	e := &b.pages[track][n]
	if e.whole.IsZero() && e.sum == sum {
		e.whole = now
		b.under -= e.size
	}
}

// underWay returns how many bytes of bulk are.
func (b *book) underWay() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	page := b.pages[video]
	under, first := 0, true
	for i := b.oldest; i < len(page); i++ {
		e := &page[i]
		if !e.whole.IsZero() || time.Since(e.made) > lostAfter {
			if first {
				b.oldest = i + 1
			}
			continue
		}
		first = false
		under += e.size
	}
	return under
}

// Outcome is what became of a load.
type Outcome struct {
	Objects       int // that were made and count
	Lost          int
	P50, P99, Max time.Duration // from being made to being whole, of those that came
	// Late200 and so on are percent of all objects that took more than so many ms,
	// or never came.
	Late200, Late500, Late1000 float64
	// VitalLate500 and VitalLost are of key frames and sound alone.
	VitalLost    int
	VitalLate500 float64
	VitalMax     time.Duration
	// Gap is the longest time without a new picture, from Scenario.Gap on or in all.
	Gap time.Duration
	// Bits a second of payload that were made; that came; and that as percent of
	// the links' rates.
	Made       float64
	Goodput    float64
	Efficiency float64
	// Copies is what was sent again, percent of what was sent first.
	Copies float64
	// Wire is what went up the links, and up those that are for backup, percent of
	// the payload.
	Wire, Backup float64
	// Held is what the relay held of objects that were not whole, bytes: the median
	// of many looks, and the most there ever was.
	Held, HeldMost int64
	// CPU is what the relay has used for each Mbit of payload, 0 where nobody can
	// tell.
	CPU time.Duration
	// Alone and Kept are what a rival had before there was a load, and beside it,
	// bits a second.
	Alone, Kept float64
	// Left is what has come to live during the run and goes on when all is over.
	Left census
	// Harm is what an attack has come to.
	Harm harm
}

// outcome looks at what was made from from to to, where the load began at began.
func (b *book) outcome(s *Scenario, began time.Time) *Outcome {
	b.mu.Lock()
	defer b.mu.Unlock()
	from, to := began.Add(s.From), began.Add(s.Length)
	o := &Outcome{}
	var took []time.Duration
	var shown []time.Time
	late := func(e *entry, d time.Duration) bool { return e.whole.IsZero() || e.whole.Sub(e.made) > d }
	var made, late200, late500, late1000, vital, vitalLate int
	for track, page := range b.pages {
		for i := range page {
			e := &page[i]
			if track == video && !e.whole.IsZero() {
				shown = append(shown, e.whole)
			}
			if e.made.Before(from) || !e.made.Before(to) {
				continue
			}
			o.Objects++
			made += e.size
			late200 += one(late(e, 200*time.Millisecond))
			late500 += one(late(e, 500*time.Millisecond))
			late1000 += one(late(e, time.Second))
			if e.vital {
				vital++
				vitalLate += one(late(e, 500*time.Millisecond))
			}
			if e.whole.IsZero() {
				o.Lost++
				o.VitalLost += one(e.vital)
				continue
			}
			took = append(took, e.whole.Sub(e.made))
			if e.vital {
				o.VitalMax = max(o.VitalMax, e.whole.Sub(e.made))
			}
		}
	}
	slices.Sort(took)
	if n := len(took); n > 0 {
		o.P50, o.P99, o.Max = took[n/2], took[n*99/100], took[n-1]
	}
	o.Late200, o.Late500, o.Late1000 = percent(late200, o.Objects), percent(late500, o.Objects), percent(late1000, o.Objects)
	o.VitalLate500 = percent(vitalLate, vital)
	o.Gap = s.gap(shown, began)
	o.Made = float64(made) * 8 / to.Sub(from).Seconds()
	o.Goodput = b.goodput(from, to)
	if sum := s.sum(); sum > 0 {
		o.Efficiency = 100 * o.Goodput / (sum * 1e6)
	}
	return o
}

// goodput returns the bits a second of what came from from to to.
func (b *book) goodput(from, to time.Time) float64 {
	bytes := 0
	for _, page := range b.pages {
		for i := range page {
			if w := page[i].whole; !w.Before(from) && w.Before(to) {
				bytes += page[i].size
			}
		}
	}
	return float64(bytes) * 8 / to.Sub(from).Seconds()
}

// silence is how long after Scenario.Gap the silence that it is about may begin.
const silence = time.Second

// gap returns the longest time without a new picture: from the beginning of what
// counts, or beginning within a second of Scenario.Gap.
func (s *Scenario) gap(shown []time.Time, began time.Time) (longest time.Duration) {
	from, end := began.Add(s.From), began.Add(s.Length)
	to := end
	if s.Gap > 0 {
		from = began.Add(s.Gap)
		to = from.Add(silence)
	}
	slices.SortFunc(shown, time.Time.Compare)
	if len(shown) == 0 {
		return end.Sub(from)
	}
	longest = max(0, shown[0].Sub(from))
	for i, at := range shown {
		next := end
		if i+1 < len(shown) {
			next = shown[i+1]
		}
		if next.After(from) && at.Before(to) {
			longest = max(longest, next.Sub(at))
		}
	}
	return longest
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func percent(part, all int) float64 {
	if all == 0 {
		return 0
	}
	return 100 * float64(part) / float64(all)
}
