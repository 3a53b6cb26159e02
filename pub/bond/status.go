package bond

import (
	"context"
	"maps"
	"math"
	"time"

	"github.com/tributary-live/tributary/transport"
)

// Status is how a bond fares.
type Status struct {
	Mode     string `json:"mode"`     // what goes over more than one path now
	Demand   int64  `json:"demand"`   // bits/s that are published
	Capacity int64  `json:"capacity"` // bits/s that the paths in use can carry
	Encoder  int64  `json:"encoder"`  // bits/s that the encoder should make at most; 0 if not known
	// Migrations counts how often a connection moved to another path, at relays that
	// want one publisher.
	Migrations int64        `json:"migrations"`
	Paths      []PathStatus `json:"paths"`
	Stats      Stats        `json:"bytes"`
}

// PathStatus is how a path fares. Rates are of the last second.
type PathStatus struct {
	Name        string        `json:"path"`
	Cost        string        `json:"cost"`
	State       string        `json:"state"` // down, alone, or a [State]
	Connections int           `json:"connections"`
	Rate        int64         `json:"rate"` // bits/s that were sent
	Sent        int64         `json:"sent"` // bytes of UDP payload since the beginning
	RTT         time.Duration `json:"-"`    // smoothed, the least of the connections
	RTTMillis   float64       `json:"rtt_ms"`
	Loss        float64       `json:"loss"`  // share of packets
	Share       float64       `json:"share"` // of what all paths sent
	Solo        Solo          `json:"solo"`
	Picks       int64         `json:"picks"` // groups that were given to it whole: best-fps
	Err         string        `json:"error,omitempty"`
}

// Solo is a [Score] of the last two seconds: of a path as if it had been the only
// one.
type Solo struct {
	Share    float64 `json:"share"` // of the pictures that would have been there in time
	FPS      float64 `json:"fps"`   // those, each second
	Gap      float64 `json:"gap_ms"`
	Lateness float64 `json:"lateness_ms"`
}

func newSolo(s Score) Solo {
	return Solo{round(s.Share, 1000), round(s.FPS, 10), millis(s.Gap), millis(s.Lateness)}
}

// round returns v to one part in by.
func round(v, by float64) float64 { return math.Round(v*by) / by }

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// sample is what was counted of a path when it was last looked at.
type sample struct {
	at    time.Time
	stats map[uint64]transport.ConnStats // by connection
	busy  map[uint64]int64               // nanoseconds, by connection
	total int64                          // bytes sent
}

// figures are the rates of the last second, by path.
type figures struct {
	paths   map[string]PathStatus
	encoder encoder
}

func (s *Stats) add(o Stats) {
	s.Unique += o.Unique
	s.Copied += o.Copied
	s.Reinjected += o.Reinjected
	s.Shed += o.Shed
}

// watch looks at the paths every second, and more often at what they leave to the
// encoder.
func (b *Bond) watch(ctx context.Context) {
	tick := time.NewTicker(adviseEvery)
	defer tick.Stop()
	for n := adviseEvery; ; n += adviseEvery {
		select {
		case <-tick.C:
			second := n%time.Second == 0
			if second {
				b.look()
			}
			if (b.advise() || second) && b.cfg.Report != nil {
				s := b.Status()
				b.heard(s.Encoder)
				b.cfg.Report(s)
			}
		case <-ctx.Done():
			return
		}
	}
}

// advise brings up to date what the encoder is told, and reports whether it should
// hear of it at once.
func (b *Bond) advise() (urgent bool) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	capacity, waiting := b.sched.Room(now)
	e := &b.figures.encoder
	e.advise(8*capacity, 8*waiting, 8*b.sched.meter.rate(now))
	return e.urgent()
}

// heard notes what the encoder is told.
func (b *Bond) heard(bits int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.figures.encoder.told = bits
}

// look brings the figures up to date.
func (b *Bond) look() {
	b.mu.Lock()
	members := make(map[*connection]*route, len(b.members)+len(b.singles))
	for _, c := range b.members {
		members[c] = c.route
	}
	maps.Copy(members, b.singles)
	b.mu.Unlock()
	stats := make(map[uint64]transport.ConnStats, len(members))
	for c := range members {
		stats[c.id] = c.sess.Stats()
	}
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	paths := make(map[string]PathStatus, len(b.paths))
	var all int64
	for _, r := range b.paths {
		p, o := r.sample.take(r, members, stats, now)
		b.steerLocked(r, o)
		all += p.Rate
		paths[r.Name] = p
	}
	for name, p := range paths {
		if all > 0 {
			p.Share = round(float64(p.Rate)/float64(all), 1000)
			paths[name] = p
		}
	}
	b.figures.paths = paths
	b.askLocked(now)
}

// take returns what the connections over r did since the last call.
func (s *sample) take(r *route, members map[*connection]*route, stats map[uint64]transport.ConnStats, now time.Time) (PathStatus, seen) {
	p := PathStatus{Name: r.Name, Cost: r.Cost.String()}
	was := *s
	*s = sample{at: now, stats: make(map[uint64]transport.ConnStats), busy: make(map[uint64]int64), total: was.total}
	took := now.Sub(was.at)
	var o seen
	var bytes int64
	n := 0
	for c, at := range members {
		if at != r {
			continue
		}
		st, old := stats[c.id], was.stats[c.id]
		s.stats[c.id], s.busy[c.id] = st, c.busy.Load()
		n++
		o.sent += int64(st.PacketsSent - old.PacketsSent)
		o.lost += max(0, int64(st.PacketsLost-old.PacketsLost)) // what was lost may come late
		o.busy += float64(s.busy[c.id]-was.busy[c.id]) / float64(took)
		bytes += int64(st.BytesSent - old.BytesSent)
		if p.RTT == 0 || st.RTT < p.RTT {
			p.RTT, o.queue = st.RTT, queueOf(st)
		}
	}
	if !was.at.IsZero() && took > 0 {
		p.Rate = int64(8 * float64(bytes) / took.Seconds())
	}
	if n > 0 {
		o.busy /= float64(n)
	}
	if o.sent > 0 {
		p.Loss = round(float64(o.lost)/float64(o.sent), 1e5)
	}
	s.total += bytes
	p.Sent, p.RTTMillis = s.total, millis(p.RTT)
	return p, o
}

// Status tells how the bond fares.
func (b *Bond) Status() Status {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Status{
		Mode: b.sched.now.String(), Demand: int64(8 * b.sched.meter.rate(now)), Capacity: int64(8 * b.sched.Capacity(now)),
		Encoder: b.figures.encoder.bits, Stats: b.past, Migrations: b.migrations, Paths: []PathStatus{},
	}
	s.Stats.add(b.sched.Stats())
	for _, r := range b.paths {
		p := b.figures.paths[r.Name]
		p.Name, p.Cost, p.State, p.Connections = r.Name, r.Cost.String(), "down", 0
		for _, c := range b.members {
			if c.route == r {
				p.Connections++
				p.State = b.sched.State(c.id).String()
			}
		}
		score, _ := b.sched.Score(r.Name, now)
		p.Solo, p.Picks = newSolo(score), b.sched.Picks(r.Name)
		if p.Connections == 0 && r.tried && r.err == nil {
			p.State = "alone"
			for _, at := range b.singles {
				if at == r {
					p.Connections++
				}
			}
		}
		if r.err != nil {
			p.Err = r.err.Error()
		}
		s.Paths = append(s.Paths, p)
	}
	return s
}
