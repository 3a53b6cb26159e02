package bond

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/transporttest"
)

const ms = time.Millisecond

func TestBulk(t *testing.T) {
	for _, c := range []struct {
		name  string
		links []*simLink
	}{
		{"10+10", []*simLink{mbit(10, 50*ms), mbit(10, 50*ms)}},
		{"10+2", []*simLink{mbit(10, 50*ms), mbit(2, 120*ms)}},
		{"5+3", []*simLink{mbit(5, 50*ms), mbit(3, 120*ms)}},
		{"one", []*simLink{mbit(10, 50*ms)}},
	} {
		m := newSim(t, Aggregate, c.links...)
		got := m.bulk(20 * time.Second)
		st := m.s.Stats()
		t.Logf("%s: %.1f %%, overhead %.1f %%", c.name, 100*got, 100*float64(st.Copied+st.Reinjected)/float64(st.Unique))
		if got < 0.95 {
			t.Errorf("%s: %.1f %% of the links' rates, want 95", c.name, 100*got)
		}
	}
}

func TestVideo(t *testing.T) {
	for _, c := range []struct {
		name  string
		mode  Mode
		rate  float64
		links []*simLink
		check func(report) bool
	}{
		{"9 on 10+2", Aggregate, 9, []*simLink{mbit(10, 50*ms), mbit(2, 120*ms)}, func(r report) bool { return r.p99 <= 250*ms && r.late[500] == 0 }},
		{"6 on 5+3", Aggregate, 6, []*simLink{mbit(5, 50*ms), mbit(3, 120*ms)}, func(r report) bool { return r.p99 <= 300*ms && r.late[500] <= 0.5 }},
		{"2 on 3x0.8", Aggregate, 2, []*simLink{mbit(.8, 60*ms), mbit(.8, 60*ms), mbit(.8, 60*ms)}, func(r report) bool { return r.late[1000] == 0 && r.late[500] <= 2 && r.overhead <= 2 }},
		{"4 on 10+10, hybrid", Hybrid, 4, []*simLink{mbit(10, 50*ms), mbit(10, 50*ms)}, func(r report) bool { return r.late[200] == 0 && r.overhead <= 15 }},
		{"4 on 10+10, aggregate", Aggregate, 4, []*simLink{mbit(10, 50*ms), mbit(10, 50*ms)}, func(r report) bool { return r.late[200] == 0 && r.overhead <= 3 }},
		{"4 on 10+10, redundant", Redundant, 4, []*simLink{mbit(10, 50*ms), mbit(10, 50*ms)}, func(r report) bool { return r.late[200] == 0 }},
	} {
		m := newSim(t, c.mode, c.links...)
		m.video(c.rate*1e6, 20*time.Second)
		m.run(25 * time.Second)
		r := m.report(2*time.Second, 20*time.Second)
		t.Logf("%s: %v", c.name, r)
		if !c.check(r) {
			t.Errorf("%s: %v", c.name, r)
		}
	}
}

// TestCut cuts one of two links for three seconds, right after a key frame, and
// asks how much longer than usual nothing new was shown.
func TestCut(t *testing.T) {
	for _, c := range []struct {
		mode Mode
		gap  time.Duration
	}{{Aggregate, 70 * ms}, {Hybrid, 100 * ms}, {Redundant, 50 * ms}, {Standby, 150 * ms}, {BestFPS, 150 * ms}} {
		run := func(cut bool) report {
			m := newSim(t, c.mode, mbit(10, 50*ms), mbit(10, 50*ms))
			m.video(4e6, 12*time.Second)
			if cut {
				m.at(epoch.Add(6*time.Second+13*ms), func() { m.links[0].cut = m.now.Add(3 * time.Second) })
			}
			m.run(15 * time.Second)
			if p := m.s.paths[0]; p.state != Live {
				t.Errorf("%v: the path that was cut is %v at the end", c.mode, p.state)
			}
			return m.report(2*time.Second, 12*time.Second)
		}
		usual, r := run(false), run(true)
		t.Logf("%v: %v; usual gap %v", c.mode, r, usual.gap)
		if gap := r.gap - usual.gap; gap > c.gap || r.late[500] > 0 {
			t.Errorf("%v: a gap of %v more than usual and %.2f %% late@500, want at most %v and 0", c.mode, gap, r.late[500], c.gap)
		}
	}
}

// TestPlug publishes 2 Mbit/s over links of 0.8: two are too few for all, three
// are enough, and of four any one may go.
func TestPlug(t *testing.T) {
	stick := func() *simLink { return mbit(.8, 60*ms) }
	t.Run("a third is plugged in", func(t *testing.T) {
		m := newSim(t, Aggregate, stick(), stick())
		m.video(2e6, 30*time.Second)
		third := stick()
		third.id, third.name = 2, "third"
		m.at(epoch.Add(10*time.Second), func() {
			m.links = append(m.links, third)
			m.plug(third)
		})
		m.run(35 * time.Second)
		before, after := m.report(0, 9*time.Second), m.report(12*time.Second, 30*time.Second)
		t.Logf("before: %v", before)
		t.Logf("after: %v", after)
		if after.late[1000] > 0 {
			t.Errorf("from 2 s after the plug: %v", after)
		}
		if before.vitalMax > 2*time.Second {
			t.Errorf("vital objects took up to %v where all does not fit", before.vitalMax)
		}
	})
	for i := range 4 {
		t.Run("one of four is pulled", func(t *testing.T) {
			m := newSim(t, Aggregate, stick(), stick(), stick(), stick())
			m.video(2e6, 20*time.Second)
			m.at(epoch.Add(7*time.Second), func() { m.unplug(m.links[i]) })
			m.at(epoch.Add(12*time.Second), func() { m.plug(m.links[i]) })
			m.run(25 * time.Second)
			if r := m.report(2*time.Second, 20*time.Second); r.late[1000] > 0 {
				t.Errorf("link %d: %v", i, r)
			}
		})
	}
}

// TestShed publishes three times what fits: sound and key frames arrive in time
// all the same, and the link is not idle for what is given up.
func TestShed(t *testing.T) {
	m := newSim(t, Aggregate, mbit(1, 60*ms))
	m.video(3e6, 30*time.Second)
	m.run(40 * time.Second)
	r := m.report(5*time.Second, 28*time.Second)
	var bytes int64
	shed := 0
	for _, u := range m.order {
		switch {
		case !u.at.IsZero():
			bytes += u.Size
		case u.Class == Vital:
			t.Errorf("vital object %v was given up", u.Object)
		default:
			shed++
		}
	}
	if shed == 0 {
		t.Error("nothing was shed, though a third fits")
	}
	used := float64(bytes) / (m.links[0].rate * 30)
	t.Logf("%v; what came is %.0f %% of what fits", r, 100*used)
	if r.vitalMax > 2*time.Second {
		t.Errorf("a vital object took %v", r.vitalMax)
	}
	if used < 0.9 {
		t.Errorf("what came is %.0f %% of what fits, want 90", 100*used)
	}
}

// TestShortForAWhile pulls the link that carries nearly all for two seconds: the
// other carries less than what is made, and nothing is given up.
func TestShortForAWhile(t *testing.T) {
	m := newSim(t, Hybrid, mbit(10, 40*ms), mbit(1.5, 60*ms))
	m.video(2e6, 20*time.Second)
	m.at(epoch.Add(9500*ms), func() { m.unplug(m.links[0]) })
	m.at(epoch.Add(11500*ms), func() { m.plug(m.links[0]) })
	m.run(25 * time.Second)
	r := m.report(0, 20*time.Second)
	t.Log(r)
	if shed := m.s.Stats().Shed; shed > 0 || r.late[1000] > 0 {
		t.Errorf("%d bytes were given up; %v", shed, r)
	}
}

// TestShortForLong has less fit than is made from the beginning: what comes does not
// become old, but for what was begun and then made way.
func TestShortForLong(t *testing.T) {
	m := newSim(t, Aggregate, mbit(1.5, 60*ms))
	m.video(2e6, 30*time.Second)
	m.run(35 * time.Second)
	var took []time.Duration
	for _, u := range m.order {
		if !u.at.IsZero() && u.Made.After(epoch.Add(5*time.Second)) {
			took = append(took, u.at.Sub(u.Made))
		}
	}
	slices.Sort(took)
	p95 := took[len(took)*95/100]
	if p95 > 800*ms || m.s.Stats().Shed == 0 {
		t.Errorf("one in twenty objects took %v, and %d bytes were given up", p95, m.s.Stats().Shed)
	}
}

// TestBackupIsSpared has a primary path with a dip of a second every twenty: a
// backup path carries little more than the dips.
func TestBackupIsSpared(t *testing.T) {
	m := newSim(t, Aggregate, mbit(10, 30*ms))
	backup := mbit(10, 60*ms)
	backup.id, backup.name, backup.up = 1, "lte", true
	m.links = append(m.links, backup)
	m.s.AddMember(1, "lte", bond.Backup, m.now)
	m.observe(backup)
	m.video(4e6, 60*time.Second)
	for i := range 3 {
		m.at(epoch.Add(time.Duration(20*i+5)*time.Second), func() { m.links[0].cut = m.now.Add(time.Second) })
	}
	m.run(65 * time.Second)
	r := m.report(2*time.Second, 60*time.Second)
	share := 100 * float64(backup.sent) / float64(m.s.Stats().Unique)
	t.Logf("%v; backup carried %.1f %%", r, share)
	if r.late[500] > 0.2 || share > 15 {
		t.Errorf("late@500 %.2f %%, backup %.1f %% of all; want at most 0.2 and 15", r.late[500], share)
	}
}

func TestAutoFollowsTheCapacity(t *testing.T) {
	m := newSim(t, Auto, mbit(10, 50*ms), mbit(10, 50*ms))
	m.video(3e6, 60*time.Second)
	want := func(at time.Duration, mode Mode) {
		m.run(epoch.Add(at).Sub(m.now))
		if m.s.now != mode {
			t.Errorf("after %v it is %v, want %v (capacity %.0f kB/s, demand %.0f)", at, m.s.now, mode, m.s.Capacity(m.now)/1e3, m.s.meter.rate(m.now)/1e3)
		}
	}
	want(15*time.Second, Redundant)
	for _, l := range m.links {
		l.rate = 2.6e6 / 8
	}
	want(25*time.Second, Hybrid)
	for _, l := range m.links {
		l.rate = 1.6e6 / 8
	}
	want(35*time.Second, Aggregate)
	for _, l := range m.links {
		l.rate = 10e6 / 8
	}
	want(50*time.Second, Redundant)
}

// TestNothingIsLost cuts, unplugs and slows links at random, never the last one,
// and wants every object whole in the end. With the race detector it is fewer runs,
// as nothing there runs at once.
func TestNothingIsLost(t *testing.T) {
	seeds := uint64(30)
	if transporttest.RaceDetector {
		seeds = 6
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 7))
		mode := []Mode{Aggregate, Hybrid, Redundant, Standby, Auto, BestFPS}[seed%6]
		m := newSim(t, mode, mbit(8, 40*ms), mbit(2+8*r.Float64(), 60*ms), mbit(1+5*r.Float64(), 120*ms))
		m.video(1.5e6, 30*time.Second)
		for i := range 25 {
			l := m.links[1+r.IntN(2)]
			m.at(epoch.Add(time.Duration(i)*time.Second+time.Duration(r.IntN(1e9))), func() {
				switch r.IntN(3) {
				case 0:
					l.cut = m.now.Add(time.Duration(r.IntN(2e9)))
				case 1:
					if l.up {
						m.unplug(l)
					} else {
						m.plug(l)
					}
				case 2:
					l.rate = (0.2 + 5*r.Float64()) * 1e6 / 8
				}
			})
		}
		m.run(40 * time.Second)
		for _, u := range m.order {
			if u.at.IsZero() {
				t.Errorf("seed %d, %v: object %v of %v did not arrive", seed, mode, u.Object, u.Made.Sub(epoch))
			}
		}
		if len(m.s.queue) != 0 || len(m.s.byName) != 0 {
			t.Errorf("seed %d, %v: %d objects are still held", seed, mode, len(m.s.queue))
		}
	}
}

func BenchmarkPick(b *testing.B) {
	s := NewScheduler(Hybrid)
	now := epoch
	for id := range uint64(4) {
		s.AddMember(id, fmt.Sprint(id), bond.Primary, now)
		s.Observe(id, Figures{RTT: 50 * ms, MinRTT: 40 * ms, Deviation: 2 * ms, Window: 1 << 20})
	}
	b.ReportAllocs()
	seq := make([]uint64, 4)
	for i := range b.N {
		now = now.Add(time.Millisecond)
		if i%8 == 0 {
			s.Add(Unit{Object: bond.Object{Alias: 1, Group: uint64(i), Object: 0}, Size: 16 << 10, Class: Ordinary, Made: now, Deadline: now.Add(time.Second)}, now)
		}
		id := uint64(i % 4)
		if a, ok := s.Pick(id, now); ok {
			seq[id] = a.Sequence
		}
		s.Acked(id, []bond.Range{{First: 0, Last: seq[id]}}, now.Sub(epoch), now)
	}
}
