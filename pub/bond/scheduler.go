package bond

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
)

// Mode says which bytes go over more than one path.
type Mode uint8

const (
	// Hybrid sends vital objects over the two best paths, and the others piece by
	// piece over all.
	Hybrid Mode = iota
	// Aggregate sends everything once, piece by piece over all paths.
	Aggregate
	// Redundant sends everything over every path.
	Redundant
	// Standby sends everything over the best path, and over the next best when
	// that fails.
	Standby
	// BestFPS sends each group over the path that has brought the largest share of
	// the pictures in time of late, and what is vital over the runner-up as well.
	BestFPS
	// Auto is Redundant while every path alone could carry all, Hybrid while all
	// together can carry a third more, and Aggregate otherwise.
	Auto
)

var modes = [...]string{"hybrid", "aggregate", "redundant", "standby", "best-fps", "auto"}

func (m Mode) String() string { return modes[m] }

// ParseMode returns the mode of a name.
func ParseMode(name string) (Mode, error) {
	i := slices.Index(modes[:], name)
	if i < 0 {
		return 0, fmt.Errorf("mode %q is none of %s", name, strings.Join(modes[:], ", "))
	}
	return Mode(i), nil
}

// Chunk sizes, bytes: at most what a path sends in chunkTime.
const (
	maxChunk  = 4096
	minChunk  = 1200
	chunkTime = 5 * time.Millisecond
)

// Reinjection of late chunks may cost this share of what is sent, at most so
// many bytes at once.
const (
	reinjectShare = 0.05
	reinjectBurst = 64 << 10
)

// patience is how much later than over the best other path a chunk may arrive
// over the one that asks.
const patience = 1.1

// lookAhead is how many units one Pick looks at.
const lookAhead = 64

// Scheduler decides which connection sends what. It is not for concurrent use;
// see the package's documentation.
type Scheduler struct {
	mode    Mode
	now     Mode // what Auto has chosen
	rose    time.Time
	paths   []*path
	members map[uint64]*member
	queue   []*unit // what is not whole, in the order in which it is sent
	byName  map[bond.Object]*unit
	budget  float64 // bytes that may be reinjected
	allowed bond.Cost
	active  *path // of Standby
	meter   meter
	shed    []Unit
	over    []bond.Object
	behind  time.Time              // since when pictures wait for long to be sent; zero if they do not
	broken  map[uint64]bond.Object // by alias: the object of the newest group that was given up first
	stats   Stats
	planned time.Time // when it was last decided what can be in time
	stale   bool      // something has happened since
	short   bool      // not all can

	pictures map[uint64]bool // aliases of tracks that have ordinary objects
	clock    time.Time       // when something was last told

	// Of BestFPS:
	best, runnerUp *path
	homes          map[uint64]home // by alias
	choices        []Choice
}

// Stats counts what a [Scheduler] has done, in bytes of payload.
type Stats struct {
	Unique     int64 `json:"unique"`     // that were sent first
	Copied     int64 `json:"copied"`     // sent again on purpose: redundancy and probes
	Reinjected int64 `json:"reinjected"` // sent again since they were late
	Shed       int64 `json:"shed"`       // given up
}

// Assignment is a chunk to be sent.
type Assignment struct {
	Object   bond.Object
	Sequence uint64 // of the chunk on its connection
	Offset   int64
	Length   int64
	Copy     bool // another path has, or gets, these bytes as well
	Last     bool // the connection has nothing more of the object to send for now
}

// NewScheduler returns a Scheduler without connections.
func NewScheduler(mode Mode) *Scheduler {
	s := &Scheduler{mode: mode, now: mode, members: make(map[uint64]*member), byName: make(map[bond.Object]*unit), broken: make(map[uint64]bond.Object), pictures: make(map[uint64]bool), homes: make(map[uint64]home)}
	if mode == Auto {
		s.now = Aggregate
	}
	return s
}

// AddMember adds connection id, which goes over the named path.
func (s *Scheduler) AddMember(id uint64, name string, cost bond.Cost, now time.Time) {
	i := slices.IndexFunc(s.paths, func(p *path) bool { return p.name == name })
	if i < 0 {
		i = len(s.paths)
		s.paths = append(s.paths, &path{name: name, cost: cost, since: now})
	}
	p := s.paths[i]
	m := &member{id: id, path: p, margin: newMargin()}
	p.members = append(p.members, m)
	s.members[id] = m
}

// Limit bounds what the named path, which has a connection, may carry, bytes/s. 0
// is no bound.
func (s *Scheduler) Limit(name string, bytesPerSecond float64) {
	for _, p := range s.paths {
		if p.name == name {
			p.limit = bytesPerSecond
		}
	}
}

// RemoveMember removes a connection that is gone. What was on its way there is
// sent again.
func (s *Scheduler) RemoveMember(id uint64, now time.Time) {
	m := s.members[id]
	if m == nil {
		return
	}
	delete(s.members, id)
	p := m.path
	p.members = slices.DeleteFunc(p.members, func(o *member) bool { return o == m })
	if len(p.members) == 0 {
		s.paths = slices.DeleteFunc(s.paths, func(o *path) bool { return o == p })
		s.withdraw(p)
		s.evict(p)
		if s.active == p {
			s.active = nil
		}
	}
	for _, f := range m.flights {
		s.resend(f)
	}
	s.dropRefused()
	s.stale = true
}

// withdraw takes from p the copies it was to carry. What no path is to carry any
// more goes over whichever can.
func (s *Scheduler) withdraw(p *path) {
	for _, u := range s.queue {
		if u.copies[p] != nil {
			s.spare(u, p)
		}
	}
}

// spare takes from p the copy of u that it was to carry.
func (s *Scheduler) spare(u *unit, p *path) {
	delete(u.copies, p)
	if !s.carried(u, p) {
		u.again(span{0, u.Size}, p)
	}
}

// resend makes what f lacks go out anew: over its path, if that is to carry all of
// the object, and otherwise unless another path is.
func (s *Scheduler) resend(f *flight) {
	u := f.unit
	if s.byName[u.Object] != u || u.copies[f.path] == nil && s.carried(u, f.path) {
		return
	}
	u.again(f.span, f.path)
}

// carried reports whether a path that can be relied on, beside one, is to carry a
// copy of u.
func (s *Scheduler) carried(u *unit, beside *path) bool {
	return slices.ContainsFunc(s.paths, func(p *path) bool { return p != beside && u.copies[p] != nil && p.state != Suspect })
}

// Observe tells what the transport says of a connection.
func (s *Scheduler) Observe(id uint64, f Figures) {
	if m := s.members[id]; m != nil {
		m.figures = f
	}
}

// Add puts an object into the queue.
func (s *Scheduler) Add(u Unit, now time.Time) {
	s.meter.add(u.Size, now)
	s.clock = now
	n := newUnit(u)
	n.broken = s.breaks(u)
	s.house(n, now)
	s.score(n, now)
	if u.Size == 0 {
		n.unsent = spans{{0, 0}} // to be told of all the same
	}
	s.byName[u.Object] = n
	s.stale = true
	s.queue = append(s.queue, n)
	s.sort()
	s.replicate(n, now)
}

// replicate gives u to several paths, if the mode says so.
func (s *Scheduler) replicate(u *unit, now time.Time) {
	var carriers []*path
	switch {
	case s.now == Redundant, u.Spread:
		carriers = s.usable()
	case s.now == BestFPS && u.Class == Vital:
		carriers = s.carriersOf(u)
	case s.now == Hybrid && u.Class == Vital:
		carriers = s.usable()
		slices.SortStableFunc(carriers, func(a, b *path) int { return int(a.eta(u.Size, now) - b.eta(u.Size, now)) })
		carriers = carriers[:min(2, len(carriers))]
	}
	if len(carriers) < 2 {
		return
	}
	u.unsent = nil
	u.copies = make(map[*path]*part, len(carriers))
	for i, p := range carriers {
		u.copies[p] = &part{spans{{0, u.Size}}, u.Size * int64(i) / int64(len(carriers))}
	}
}

// usable returns the paths that may carry something new.
func (s *Scheduler) usable() []*path {
	var usable []*path
	for _, p := range s.paths {
		if p.state != Suspect && p.state != Fresh && p.cost <= s.allowed {
			usable = append(usable, p)
		}
	}
	return usable
}

// Acked takes in that chunks of connection id have arrived, the newest at received
// by the clock of the relay.
func (s *Scheduler) Acked(id uint64, ranges []bond.Range, received time.Duration, now time.Time) {
	m := s.members[id]
	if m == nil || len(ranges) == 0 {
		return
	}
	s.clock, s.stale = now, true
	heard := false
	var arrived int64
	var newest time.Time
	m.flights = slices.DeleteFunc(m.flights, func(f *flight) bool {
		if !slices.ContainsFunc(ranges, func(r bond.Range) bool { return r.First <= f.sequence && f.sequence <= r.Last }) {
			return false
		}
		heard = true
		if f.silent {
			m.arrived(f.span.size(), now)
		} else {
			m.acked(f.span.size(), f.mark, now)
			m.margin.learn(now.Sub(f.expected))
			arrived, newest = arrived+f.span.size(), f.sent
		}
		f.unit.arrived.add(f.span)
		f.unit.unsent.remove(f.span)
		if f.unit.whole() {
			s.finish(f.unit)
		}
		return true
	})
	if arrived > 0 {
		m.passed(arrived, newest, received, now)
	}
	if last := ranges[0].Last; last >= m.told { // of something that is finished
		m.told, heard = last+1, true
	}
	if !heard {
		return
	}
	m.heard = now
	switch p := m.path; p.state {
	case Fresh:
		p.enter(Live, now)
	case Suspect:
		p.enter(Wary, now)
	}
}

// Lost takes in that a chunk of connection id has not been sent after all.
func (s *Scheduler) Lost(id, sequence uint64) {
	m := s.members[id]
	if m == nil {
		return
	}
	m.flights = slices.DeleteFunc(m.flights, func(f *flight) bool {
		if f.sequence != sequence {
			return false
		}
		m.lost(f.span.size())
		s.resend(f)
		return true
	})
	s.stale = true
}

// Abandon reports whether what was sent of o on connection id is to be taken back,
// and if so forgets it: it is on its way over a path that is not to be relied on,
// and is no probe.
func (s *Scheduler) Abandon(id uint64, o bond.Object) bool {
	m := s.members[id]
	if m == nil || m.path.state != Suspect {
		return false
	}
	of := func(f *flight) bool { return f.unit.Object == o }
	if !slices.ContainsFunc(m.flights, of) || slices.ContainsFunc(m.flights, func(f *flight) bool { return of(f) && f.probe }) {
		return false
	}
	m.flights = slices.DeleteFunc(m.flights, func(f *flight) bool {
		if of(f) {
			m.lost(f.span.size())
		}
		return of(f)
	})
	return true
}

// Idle reports whether nothing is on its way on connection id.
func (s *Scheduler) Idle(id uint64) bool {
	m := s.members[id]
	return m == nil || len(m.flights) == 0
}

// Sent returns the sequence of the next chunk of connection id: those below have
// been given out.
func (s *Scheduler) Sent(id uint64) uint64 {
	if m := s.members[id]; m != nil {
		return m.next
	}
	return 0
}

// State returns that of the path of connection id.
func (s *Scheduler) State(id uint64) State {
	if m := s.members[id]; m != nil {
		return m.path.state
	}
	return Fresh
}

// Done takes in that an object is whole at the relay: nothing more of it is to be
// sent.
func (s *Scheduler) Done(o bond.Object) {
	if u := s.byName[o]; u != nil {
		s.finish(u)
	}
}

func (s *Scheduler) finish(u *unit) {
	if s.byName[u.Object] == u {
		delete(s.byName, u.Object)
		s.queue = slices.DeleteFunc(s.queue, func(o *unit) bool { return o == u })
		s.over = append(s.over, u.Object)
		if u.home != nil {
			u.home.frames.arrived(u.Object, s.clock.Add(-u.home.way()))
		}
	}
}

// Over returns the objects that nothing more is to be sent of since they have
// arrived, since the last call.
func (s *Scheduler) Over() []bond.Object {
	over := s.over
	s.over = nil
	return over
}

// Stats returns what has been done so far.
func (s *Scheduler) Stats() Stats { return s.stats }
