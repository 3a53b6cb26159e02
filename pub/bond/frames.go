package bond

import (
	"slices"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
)

// Score says how the pictures of the last two seconds have fared over a path, or
// would have if it had been the only one.
type Score struct {
	Share    float64       // of them that were there in time: "solo FPS"
	FPS      float64       // those, each second
	Gap      time.Duration // longest without one of those
	Lateness time.Duration // of those, from when they were made, on average
}

const (
	// scoreTime is how far back a score looks.
	scoreTime = 2 * time.Second
	// inTime is the share of its time after which a picture counts as missed. What
	// comes later is of no use to who plays near the edge.
	inTime = 0.25
	// maxFrames bounds how many pictures a score is of.
	maxFrames = 1024
)

// frames are the pictures that a score is made of, and the line of what a path
// would have to send by itself.
type frames struct {
	list  []frame
	began time.Time // when the first was made
	free  time.Time // when all has left that the path would have sent alone
}

// frame is a picture.
type frame struct {
	object bond.Object
	made   time.Time
	done   time.Time // when it was there, or would be; zero if it is not
	limit  time.Duration
}

func (f *frames) add(n frame) {
	if len(f.list) == 0 && f.began.IsZero() {
		f.began = n.made
	}
	old := 0
	for old < len(f.list) && (n.made.Sub(f.list[old].made) > scoreTime || len(f.list)-old >= maxFrames) {
		old++
	}
	f.list = append(slices.Delete(f.list, 0, old), n)
}

// arrived notes that an object was there at a time.
func (f *frames) arrived(o bond.Object, at time.Time) {
	for i := range f.list {
		if n := &f.list[i]; n.object == o && n.done.IsZero() {
			n.done = at
		}
	}
}

// missed notes that an object did not come by this path alone.
func (f *frames) missed(o bond.Object) {
	for i := range f.list {
		if n := &f.list[i]; n.object == o && n.done.IsZero() {
			n.object, n.limit = bond.Object{}, 0
		}
	}
}

// score returns what the list says. Pictures that may still come in time do not
// count. It reports false if none does.
func (f *frames) score(now time.Time) (Score, bool) {
	var s Score
	var late time.Duration
	var there []time.Time
	all := 0
	for _, n := range f.list {
		age := now.Sub(n.made)
		if age > scoreTime || n.done.IsZero() && age <= n.limit {
			continue
		}
		all++
		if took := n.done.Sub(n.made); !n.done.IsZero() && took <= n.limit {
			there = append(there, n.done)
			late += took
		}
	}
	if all == 0 {
		return s, false
	}
	s.Share = float64(len(there)) / float64(all)
	if span := min(scoreTime, now.Sub(f.began)); span > 0 {
		s.FPS = float64(len(there)) / span.Seconds()
	}
	if len(there) > 0 {
		s.Lateness = late / time.Duration(len(there))
	}
	slices.SortFunc(there, time.Time.Compare)
	for i := 1; i < len(there); i++ {
		s.Gap = max(s.Gap, there[i].Sub(there[i-1]))
	}
	return s, true
}

// imagine adds what would become of u if p were the only path: it waits for what
// the path would have been given before, and is not sent if it came too late and
// nothing depends on it. Only pictures are noted.
func (p *path) imagine(u *Unit, picture bool, now time.Time) {
	f, limit := &p.frames, u.limit()
	if p.state == Fresh {
		return // nothing is known of it
	}
	n := frame{object: u.Object, made: u.Made, limit: limit}
	rate := p.rate(now)
	if p.state == Wary {
		rate *= p.share
	}
	if p.state != Suspect && rate > 0 {
		left := now
		if f.free.After(left) {
			left = f.free
		}
		left = left.Add(time.Duration(float64(u.Size) / rate * float64(time.Second)))
		done := left.Add(p.way())
		if u.Class == Vital || done.Sub(u.Made) <= limit {
			f.free, n.done = left, done
		}
	}
	if picture {
		f.add(n)
	}
}

// limit returns after how long u counts as missed.
func (u *Unit) limit() time.Duration {
	return time.Duration(inTime * float64(u.Deadline.Sub(u.Made)))
}

// way is how long p takes one way at least.
func (p *path) way() time.Duration {
	least := time.Duration(1<<62 - 1)
	for _, m := range p.members {
		least = min(least, m.figures.MinRTT/2)
	}
	return least
}

// score notes an object that is to be sent for the scores of the paths: pictures
// count, where there are any, and otherwise all that has a deadline. What becomes
// of them is counted where they are at home, and imagined elsewhere.
func (s *Scheduler) score(u *unit, now time.Time) {
	if u.Class == Ordinary {
		s.pictures[u.Object.Alias] = true
	}
	if u.Deadline.IsZero() || u.Size == 0 {
		return
	}
	picture := len(s.pictures) == 0 || s.pictures[u.Object.Alias]
	for _, p := range s.paths {
		counted := picture && p == u.home && (p.state == Live || p.state == Wary)
		p.imagine(&u.Unit, picture && !counted, now)
		if counted {
			p.frames.add(frame{object: u.Object, made: u.Made, limit: u.limit()})
		}
	}
}

// Score returns that of the named path. It reports false if nothing is known.
func (s *Scheduler) Score(name string, now time.Time) (Score, bool) {
	for _, p := range s.paths {
		if p.name == name {
			return p.frames.score(now)
		}
	}
	return Score{}, false
}
