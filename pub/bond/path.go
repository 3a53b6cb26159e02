package bond

import (
	"time"

	"github.com/tributary-live/tributary/transport/bond"
)

// State is how far a path can be relied on.
type State uint8

const (
	// Fresh paths carry copies until one has been acknowledged.
	Fresh State = iota
	// Live paths carry what they can.
	Live
	// Suspect paths have not acknowledged what they should have by now: what is
	// on its way there goes over others as well, and nothing new is given to them.
	Suspect
	// Wary paths were suspect a moment ago. They carry a small share, which grows
	// as long as what they carry arrives.
	Wary
)

func (s State) String() string {
	return [...]string{"fresh", "live", "suspect", "wary"}[s]
}

// path is an interface: all connections over it share its fate.
type path struct {
	name    string
	cost    bond.Cost
	members []*member
	state   State
	since   time.Time // of the state
	share   float64   // of a wary path, up to 1
	probed  time.Time // when the last probe was sent
	limit   float64   // bytes/s it may carry; 0 is all it can
	paid    time.Time // when what was sent so far is within the limit
	frames  frames
	picks   int64 // groups whose home it was made
	left    left
}

// member is one connection.
type member struct {
	id   uint64
	path *path
	estimate
	margin  margin    // of acknowledgements
	next    uint64    // sequence of the next chunk
	flights []*flight // by sequence
	heard   time.Time // of the newest acknowledgement
	told    uint64    // sequences below it have been acknowledged, or were late
}

// flight is a chunk on its way.
type flight struct {
	sequence uint64
	path     *path
	unit     *unit
	span     span
	mark     mark
	sent     time.Time
	expected time.Time // when its acknowledgement should be here
	due      time.Time // when that is late
	silent   bool      // its path was suspect, so it tells for how long that was so and no more
	copied   bool      // it was given to another path since
	probe    bool      // it was sent to see whether the path works
}

const (
	wariness  = 0.25                   // share of a path that has come back
	regain    = 100 * time.Millisecond // after which the share doubles
	minStall  = 60 * time.Millisecond  // a path is never suspected sooner
	probeGap  = 200 * time.Millisecond // between probes of a path that is not used
	maxProbes = 4                      // on their way over one connection
	firstTime = 250 * time.Millisecond // what an unknown path may take
)

// probes returns how many are on their way.
func (m *member) probes() (n int) {
	for _, f := range m.flights {
		if f.probe {
			n++
		}
	}
	return n
}

// stall is how long m may be silent while something is on its way.
func (m *member) stall(longest time.Duration) time.Duration {
	f := &m.figures
	if f.RTT == 0 {
		return min(firstTime, longest)
	}
	return min(max(2*f.RTT+settled*f.Deviation+ackDelay, minStall), longest)
}

// silence returns for how long nothing was heard of m while it had something on
// its way.
func (m *member) silence(now time.Time) time.Duration {
	if len(m.flights) == 0 {
		return 0
	}
	since := m.flights[0].sent
	if m.heard.After(since) {
		since = m.heard
	}
	return now.Sub(since)
}

// stalled reports whether m has been silent for too long.
func (m *member) stalled(now time.Time, longest time.Duration) bool {
	return m.silence(now) > m.stall(longest)
}

// hushed reports whether m should have been heard of by now, even if that is not
// long enough to doubt its path. What it has on its way counts as late.
func (m *member) hushed(now time.Time) bool {
	f := &m.figures
	return f.RTT > 0 && m.silence(now) > f.RTT+ackDelay+max(10*time.Millisecond, 2*f.Deviation)
}

// overdue is for how long m should have been heard of. What has been silent for so
// long will be for as long again, more likely than not.
func (m *member) overdue(now time.Time) time.Duration {
	if len(m.flights) == 0 {
		return 0
	}
	return max(0, min(now.Sub(m.flights[0].due), m.silence(now)))
}

// detour returns by how much the way has become longer since its least round trip: by
// what acknowledgements are late beyond what they vary, and beyond what a queue holds
// that will be shorter again. Where none comes, it is not known for long.
func (m *member) detour(now time.Time) time.Duration {
	if now.Sub(m.heard) >= detourTime {
		return 0
	}
	return max(0, m.margin.bias-settled*m.margin.spread-queueAhead)
}

// detourTime is how long a detour is believed in.
const detourTime = time.Second

// limitBurst is how far a path may be ahead of its limit.
const limitBurst = 100 * time.Millisecond

// spent reports whether p has to wait for its limit.
func (p *path) spent(now time.Time) bool {
	return p.limit > 0 && p.paid.Sub(now) > limitBurst
}

// pay books n bytes against the limit.
func (p *path) pay(n int64, now time.Time) {
	if p.limit > 0 {
		if p.paid.Before(now) {
			p.paid = now
		}
		p.paid = p.paid.Add(time.Duration(float64(n) / p.limit * float64(time.Second)))
	}
}

// enter changes the state of p.
func (p *path) enter(s State, now time.Time) {
	p.state, p.since = s, now
	if s == Wary {
		p.share = wariness
	}
}

// rate returns what the connections of p could carry together, bytes/s.
func (p *path) rate(now time.Time) (sum float64) {
	for _, m := range p.members {
		sum += m.capable(now)
	}
	if p.limit > 0 {
		sum = min(sum, p.limit)
	}
	return sum
}

// eta is that of n bytes spread over the connections of p.
func (p *path) eta(n int64, now time.Time) time.Duration {
	first, rate := p.outlook(now)
	if rate == 0 {
		return first
	}
	return first + time.Duration(float64(n)/rate*float64(time.Second))
}

// outlook returns when something that is given to p now would begin to arrive, and
// how many bytes/s follow.
func (p *path) outlook(now time.Time) (first time.Duration, rate float64) {
	var waiting float64
	owd := time.Duration(1<<62 - 1)
	for _, m := range p.members {
		r := m.bytesPerSecond(now)
		rate += r
		waiting += r * (m.backlog(now) + m.overdue(now)).Seconds()
		owd = min(owd, m.figures.MinRTT/2+m.detour(now))
	}
	if rate == 0 {
		return owd, 0
	}
	if p.limit > 0 && rate > p.limit {
		waiting *= p.limit / rate
		rate = p.limit
	}
	if p.spent(now) {
		owd += p.paid.Sub(now) - limitBurst
	}
	if p.state == Wary {
		rate *= p.share
	}
	return owd + time.Duration(waiting/rate*float64(time.Second)), rate
}

// pace returns how fast p is believed to be over the next half second, as a share of
// what it is now.
func (p *path) pace(now time.Time) float64 {
	var rate, steady float64
	for _, m := range p.members {
		rate += m.bytesPerSecond(now)
		steady += m.steady(now)
	}
	return steady / rate
}
