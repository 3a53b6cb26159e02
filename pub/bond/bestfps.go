package bond

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// In the mode BestFPS a group of a track goes whole over one path, its home, and
// its vital objects over the runner-up as well. Where the next group goes is
// decided when it begins, by what the paths have brought: the share of the pictures
// in time of the home is counted, that of the others imagined. Round trips and
// losses matter only where that is equal, so a path whose round trip doubles and
// that brings all pictures stays.
const (
	// betterBy is how much more of the pictures a path has to bring than the home
	// for a group to go there instead.
	betterBy = 0.1
	// A path that was left for another counts as what it brought then, and as better
	// from one second to the next until all is forgotten after restFirst; the second
	// time after twice as long, up to restMost.
	restFirst = 10 * time.Second
	restMost  = 160 * time.Second
	// nearly is what shares may differ by and count as equal.
	nearly = 0.05
)

// Choice is a path that groups go over from now on, in the mode BestFPS.
type Choice struct {
	Group  uint64 // the first
	Path   string
	Before string // "" if there was none
	Scores []PathScore
}

// PathScore is the score of a path.
type PathScore struct {
	Path string
	Score
	RTT time.Duration
}

func (p PathScore) String() string {
	return fmt.Sprintf("%s %.0f%% %.1f fps gap %v late %v rtt %v", p.Path, 100*p.Share, p.FPS,
		p.Gap.Round(time.Millisecond), p.Lateness.Round(time.Millisecond), p.RTT.Round(time.Millisecond))
}

// scores returns the scores of a choice in one line, the best first.
func (c Choice) scores() string {
	words := make([]string, len(c.Scores))
	for i, s := range c.Scores {
		words[i] = s.String()
	}
	return strings.Join(words, ", ")
}

// home is where a group of a track goes.
type home struct {
	group uint64
	path  *path
}

// left is what a path had brought when another took its place.
type left struct {
	at    time.Time
	share float64
	rest  time.Duration // until it is forgotten
}

// most is the share that a path may count for since it was left.
func (l left) most(now time.Time) float64 {
	if l.rest == 0 {
		return 1
	}
	return min(1, l.share+(1-l.share)*float64(now.Sub(l.at))/float64(l.rest))
}

// house gives u the home of its group. The homes of groups to come are chosen
// when one with pictures begins.
func (s *Scheduler) house(u *unit, now time.Time) {
	if s.now != BestFPS || u.Spread {
		return
	}
	alias := u.Object.Alias
	at, known := s.homes[alias]
	if !known || at.group != u.Object.Group {
		if len(s.pictures) == 0 || s.pictures[alias] || s.best == nil {
			s.chooseHome(u.Object.Group, now)
		}
		at = home{u.Object.Group, s.best}
		s.homes[alias] = at
		if at.path != nil && s.pictures[alias] {
			at.path.picks++
		}
	}
	u.home = at.path
}

// chooseHome decides where the groups go that begin from now on.
func (s *Scheduler) chooseHome(group uint64, now time.Time) {
	type candidate struct {
		*path
		score PathScore
	}
	var list []candidate
	var current *candidate
	for _, p := range s.paths {
		if p.cost > s.allowed || p.state == Fresh || p.state == Suspect && p != s.best {
			continue
		}
		c := candidate{p, PathScore{Path: p.name, RTT: p.rtt()}}
		c.score.Score, _ = p.frames.score(now)
		c.score.Share = min(c.score.Share, p.left.most(now))
		list = append(list, c)
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return compareScores(a.score, b.score) })
	if i := slices.IndexFunc(list, func(c candidate) bool { return c.path == s.best }); i >= 0 {
		current = &list[i]
	}
	s.runnerUp = nil
	if len(list) == 0 {
		s.best = nil
		return
	}
	best := list[0]
	choice := Choice{Group: group, Path: best.name}
	if current != nil && best.score.Share < current.score.Share+betterBy {
		best = *current
	}
	for _, c := range list {
		if c.path != best.path && c.state != Suspect && s.runnerUp == nil {
			s.runnerUp = c.path
		}
		choice.Scores = append(choice.Scores, c.score)
	}
	if best.path == s.best {
		return
	}
	if s.best != nil {
		choice.Before = s.best.name
	}
	if current != nil {
		current.left = left{now, current.score.Share, min(max(restFirst, 2*current.left.rest), restMost)}
	}
	s.best = best.path
	s.choices = append(s.choices, choice)
}

// compareScores orders scores, the best first: by the share of the pictures, then
// by the longest gap and the lateness where they differ by what can be seen, and
// then by the round trip.
func compareScores(a, b PathScore) int {
	const seen = 50 * time.Millisecond
	differ := func(a, b time.Duration) int { return cmp.Compare(a/seen, b/seen) }
	share := func(s PathScore) float64 { return math.Round(s.Share / nearly) }
	return cmp.Or(cmp.Compare(share(b), share(a)), differ(a.Gap, b.Gap), differ(a.Lateness, b.Lateness), cmp.Compare(a.RTT, b.RTT))
}

// rtt is the least round trip of the connections of p.
func (p *path) rtt() time.Duration {
	least := time.Duration(1<<62 - 1)
	for _, m := range p.members {
		least = min(least, m.figures.RTT)
	}
	return least
}

// spill is the share of the time of a picture that it may have to wait for at home
// before others may carry it.
const spill = 0.5

// leaves reports whether p is not to take what is unsent of u, which has ahead
// bytes before it, because its home will. What the home would bring too late is for
// all, and counts as missed there.
func (s *Scheduler) leaves(u *unit, p *path, ahead int64, now time.Time) bool {
	h := u.home
	if h == nil || h == p || h.state != Live || h.cost > s.allowed {
		return false
	}
	age := now.Sub(u.Made) + h.eta(ahead+u.unsent.size(), now)
	return u.Deadline.IsZero() || age <= time.Duration(spill*float64(u.limit()))
}

// overdue reports whether p is the home of u and should have brought it by now.
// Others may then send it again, as often as that happens: they have nothing else to
// carry.
func (u *unit) overdue(p *path, now time.Time) bool {
	return u.home == p && !u.Deadline.IsZero() && now.Sub(u.Made) > time.Duration(spill*float64(u.limit()))
}

// helped notes that p carries something of u.
func (u *unit) helped(p *path) {
	if h := u.home; h != nil && h != p && h.state == Live {
		h.frames.missed(u.Object)
	}
}

// evict takes all groups from a path that is gone.
func (s *Scheduler) evict(p *path) {
	for alias, h := range s.homes {
		if h.path == p {
			s.homes[alias] = home{h.group, nil}
		}
	}
	for _, u := range s.queue {
		if u.home == p {
			u.home = nil
		}
	}
	if s.best == p {
		s.best = nil
	}
	if s.runnerUp == p {
		s.runnerUp = nil
	}
}

// carriersOf returns the paths that a vital object goes over.
func (s *Scheduler) carriersOf(u *unit) (carriers []*path) {
	for _, p := range []*path{u.home, s.runnerUp} {
		if p != nil && p.state != Suspect && p.cost <= s.allowed {
			carriers = append(carriers, p)
		}
	}
	return carriers
}

// Choices returns where groups go since the last call, if that has changed.
func (s *Scheduler) Choices() []Choice {
	c := s.choices
	s.choices = nil
	return c
}

// Picks returns how many groups were given to the named path as their home.
func (s *Scheduler) Picks(name string) int64 {
	for _, p := range s.paths {
		if p.name == name {
			return p.picks
		}
	}
	return 0
}
