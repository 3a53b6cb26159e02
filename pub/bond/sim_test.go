package bond

import (
	"container/heap"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
)

// sim runs a Scheduler on links that are simulated chunk by chunk: each has a
// rate, a delay and a queue, and a congestion controller that is right about
// both. What is on a link when it is cut arrives half a second after it is back.
type sim struct {
	t     *testing.T
	now   time.Time
	s     *Scheduler
	links []*simLink
	todo  events
	seq   int

	watch func(*simLink, Assignment) // sees what is sent; may be nil

	units map[bond.Object]*simUnit
	order []*simUnit
}

type simLink struct {
	id   uint64
	name string
	rate float64 // bytes/s
	owd  time.Duration
	cut  time.Time // until when nothing passes
	up   bool      // whether it is a member
	free time.Time
	way  int64 // bytes that were sent and not acknowledged
	sent int64
	acks []bond.Range
	rtt  time.Duration // smoothed
}

type simUnit struct {
	Unit
	have spans
	at   time.Time // when it was whole
}

type event struct {
	at  time.Time
	seq int
	do  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

var epoch = time.Unix(1_000_000, 0)

func newSim(t *testing.T, mode Mode, links ...*simLink) *sim {
	m := &sim{t: t, now: epoch, s: NewScheduler(mode), units: make(map[bond.Object]*simUnit)}
	for i, l := range links {
		l.id = uint64(i)
		if l.name == "" {
			l.name = fmt.Sprint("link", i)
		}
		m.links = append(m.links, l)
		m.plug(l)
	}
	return m
}

// mbit is a link of so many Mbit/s with the given round trip.
func mbit(rate float64, rtt time.Duration) *simLink {
	return &simLink{rate: rate * 1e6 / 8 * 0.96, owd: rtt / 2}
}

func (m *sim) plug(l *simLink) {
	l.up, l.way = true, 0
	m.s.AddMember(l.id, l.name, bond.Primary, m.now)
	m.observe(l)
}

func (m *sim) unplug(l *simLink) {
	l.up = false
	m.s.RemoveMember(l.id, m.now)
	l.id += 100 // a new connection when it comes back
}

func (m *sim) observe(l *simLink) {
	m.s.Observe(l.id, Figures{RTT: max(l.rtt, 2*l.owd), MinRTT: 2 * l.owd, Deviation: 3 * time.Millisecond, Window: l.window()})
}

// window is what may be on the way: a round trip's worth, and 50 ms of queue.
func (l *simLink) window() int64 { return int64(l.rate * (2*l.owd.Seconds() + 0.05)) }

func (m *sim) after(d time.Duration, f func()) { m.at(m.now.Add(d), f) }

func (m *sim) at(t time.Time, f func()) {
	m.seq++
	heap.Push(&m.todo, event{t, m.seq, f})
}

func (m *sim) run(d time.Duration) {
	end := m.now.Add(d)
	for len(m.todo) > 0 && !m.todo[0].at.After(end) {
		e := heap.Pop(&m.todo).(event)
		m.now = e.at
		e.do()
		for _, l := range m.links {
			m.pull(l)
		}
	}
	m.now = end
}

// pull lets l ask for chunks while it has room.
func (m *sim) pull(l *simLink) {
	for l.up && l.way < l.window() && !m.now.Before(l.cut.Add(-time.Hour)) {
		m.observe(l)
		a, ok := m.s.Pick(l.id, m.now)
		if !ok {
			return
		}
		m.send(l, a)
	}
}

func (m *sim) send(l *simLink, a Assignment) {
	if m.watch != nil {
		m.watch(l, a)
	}
	id, sent := l.id, m.now
	size := a.Length + 40
	l.way += size
	l.sent += size
	if l.free.Before(m.now) {
		l.free = m.now
	}
	if l.cut.After(l.free) {
		l.free = l.cut.Add(500 * time.Millisecond)
	}
	l.free = l.free.Add(time.Duration(float64(size) / l.rate * float64(time.Second)))
	m.at(l.free.Add(l.owd), func() { m.arrive(l, id, a, size, sent) })
}

func (m *sim) arrive(l *simLink, id uint64, a Assignment, size int64, sent time.Time) {
	if m.now.Before(l.cut) { // it was on its way when the link was cut
		m.at(l.cut.Add(500*time.Millisecond), func() { m.arrive(l, id, a, size, sent) })
		return
	}
	if l.id != id {
		return // the connection is gone
	}
	u := m.units[a.Object]
	u.have.add(span{a.Offset, a.Offset + a.Length})
	whole := u.have.size() == u.Size
	if whole && u.at.IsZero() {
		u.at = m.now
	}
	received := m.now.Sub(epoch)
	m.after(ackDelay/2+l.owd, func() {
		if l.id != id {
			return
		}
		l.way -= size
		l.rtt += (m.now.Sub(sent) - l.rtt) / 8
		m.observe(l)
		m.s.Acked(id, []bond.Range{{First: a.Sequence, Last: a.Sequence}}, received, m.now)
	})
	if whole {
		fastest := slices.MinFunc(m.links, func(a, b *simLink) int { return int(a.owd - b.owd) })
		m.after(ackDelay/2+fastest.owd, func() { m.s.Done(a.Object) })
	}
}

func (m *sim) add(u Unit) {
	n := &simUnit{Unit: u}
	m.units[u.Object] = n
	m.order = append(m.order, n)
	m.s.Add(u, m.now)
}

// video publishes for d pictures at 30 a second, the first of 60 a key frame as
// large as six others, and sound, 47 objects a second of 340 bytes.
func (m *sim) video(bitsPerSecond float64, d time.Duration) {
	const fps, gop, key = 30, 60, 6
	delta := bitsPerSecond / 8 * gop / fps / (gop - 1 + key)
	begin := m.now
	for i := range int(d.Seconds() * fps) {
		m.at(begin.Add(time.Duration(i)*time.Second/fps), func() {
			u := Unit{Object: bond.Object{Alias: 1, Group: uint64(i / gop), Object: uint64(i % gop)}, Size: int64(delta), Class: Ordinary, Made: m.now, Deadline: m.now.Add(2 * time.Second)}
			if i%gop == 0 {
				u.Class, u.Size = Vital, int64(key*delta)
			}
			m.add(u)
		})
	}
	for i := range int(d.Seconds() * 47) {
		m.at(begin.Add(time.Duration(i)*time.Second/47), func() {
			m.add(Unit{Object: bond.Object{Alias: 2, Group: uint64(i / 94), Object: uint64(i % 94)}, Size: 340, Class: Vital, Made: m.now, Deadline: m.now.Add(2 * time.Second)})
		})
	}
	m.tick(begin.Add(d + 5*time.Second))
}

// tick makes the links ask again and again until end.
func (m *sim) tick(end time.Time) {
	if m.now.Before(end) {
		m.after(5*time.Millisecond, func() { m.tick(end) })
	}
}

// report is what became of the pictures and the sound.
type report struct {
	n             int
	p50, p99, max time.Duration
	late          map[int]float64 // share that took more than so many ms, or never came
	vitalMax      time.Duration
	overhead      float64       // bytes sent more than once
	gap           time.Duration // longest time without a new picture
}

func (m *sim) report(from, to time.Duration) report {
	var took []time.Duration
	r := report{late: map[int]float64{200: 0, 500: 0, 1000: 0}}
	var shown []time.Time
	for _, u := range m.order {
		if made := u.Made.Sub(epoch); made < from || made >= to {
			continue
		}
		d := time.Hour
		if !u.at.IsZero() {
			d = u.at.Sub(u.Made)
			if u.Object.Alias == 1 {
				shown = append(shown, u.at)
			}
		}
		took = append(took, d)
		if u.Class == Vital {
			r.vitalMax = max(r.vitalMax, d)
		}
	}
	slices.Sort(took)
	slices.SortFunc(shown, time.Time.Compare)
	for i := 1; i < len(shown); i++ {
		r.gap = max(r.gap, shown[i].Sub(shown[i-1]))
	}
	r.n = len(took)
	r.p50, r.p99, r.max = took[r.n/2], took[r.n*99/100], took[r.n-1]
	for _, d := range took {
		for ms := range r.late {
			if d > time.Duration(ms)*time.Millisecond {
				r.late[ms] += 100 / float64(r.n)
			}
		}
	}
	st := m.s.Stats()
	r.overhead = 100 * float64(st.Copied+st.Reinjected) / float64(max(1, st.Unique))
	return r
}

func (r report) String() string {
	ms := func(d time.Duration) int64 { return d.Milliseconds() }
	return fmt.Sprintf("%d objects: p50 %d ms, p99 %d, max %d; late@200 %.2f %%, @500 %.2f %%, @1000 %.2f %%; vital %d ms; overhead %.1f %%; gap %d ms",
		r.n, ms(r.p50), ms(r.p99), ms(r.max), r.late[200], r.late[500], r.late[1000], ms(r.vitalMax), r.overhead, ms(r.gap))
}

// bulk keeps 2 s of data queued for d, and returns the share of the links' rates
// that arrived.
func (m *sim) bulk(d time.Duration) float64 {
	begin := m.now
	i := uint64(0)
	var feed func()
	feed = func() {
		if m.now.Sub(begin) >= d {
			return
		}
		for len(m.s.queue) < 40 {
			m.add(Unit{Object: bond.Object{Alias: 1, Group: i / 60, Object: i % 60}, Size: 16 << 10, Class: Ordinary, Made: m.now, Deadline: m.now.Add(time.Hour)})
			i++
		}
		m.after(5*time.Millisecond, feed)
	}
	m.after(0, feed)
	warm := 2 * time.Second
	m.run(warm)
	before := m.unique()
	m.run(d - warm)
	var rate float64
	for _, l := range m.links {
		rate += l.rate
	}
	return float64(m.unique()-before) / (rate * (d - warm).Seconds())
}

func (m *sim) unique() (n int64) {
	for _, u := range m.order {
		n += u.have.size()
	}
	return n
}
