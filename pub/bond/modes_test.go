package bond

import (
	"slices"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
)

// known is a scheduler whose paths have known rates, in multiples of what is to be
// sent, and states.
type known struct {
	rate  float64
	cost  bond.Cost
	state State
	rtt   time.Duration
}

// knownDemand is what is to be sent, bytes/s.
const knownDemand = 1e6

func newKnown(mode Mode, paths ...known) *Scheduler {
	s := NewScheduler(mode)
	for i, p := range paths {
		s.AddMember(uint64(i), string(rune('a'+i)), p.cost, epoch)
		s.know(i, p, epoch)
	}
	return s
}

// know tells what one of the paths is like.
func (s *Scheduler) know(i int, p known, now time.Time) {
	rtt := max(p.rtt, 10*ms)
	path, m := s.paths[i], s.members[uint64(i)]
	if path.state != p.state {
		path.enter(p.state, now)
	}
	s.Observe(uint64(i), Figures{RTT: rtt, MinRTT: rtt, Window: 1 << 20})
	m.rate, m.learnt = p.rate*knownDemand, now
	s.meter = meter{knownDemand * meterTime.Seconds(), now}
}

// TestWhatMayBeUsed allows dear paths where the others are short of what is to be
// sent, or fail.
func TestWhatMayBeUsed(t *testing.T) {
	primary := func(rate float64, state State) known { return known{rate, bond.Primary, state, 0} }
	secondary := func(rate float64, state State) known { return known{rate, bond.Secondary, state, 0} }
	for _, c := range []struct {
		name  string
		paths []known
		want  bond.Cost
	}{
		{"enough", []known{primary(1.4, Live), secondary(9, Live)}, bond.Primary},
		{"two are enough", []known{primary(.7, Live), primary(.7, Live)}, bond.Primary},
		{"one that comes back counts", []known{primary(.7, Live), primary(.7, Wary)}, bond.Primary},
		{"nearly", []known{primary(1.2, Live), secondary(9, Live)}, bond.Secondary},
		{"a new one does not count", []known{primary(1.2, Live), primary(9, Fresh), secondary(2, Live)}, bond.Secondary},
		{"secondary ones suffice", []known{primary(.6, Live), secondary(.6, Live)}, bond.Secondary},
		{"and do not", []known{primary(.6, Live), secondary(.4, Live)}, bond.Backup},
		{"a primary one fails", []known{primary(9, Live), primary(9, Suspect)}, bond.Backup},
		{"another fails", []known{primary(9, Live), secondary(9, Suspect)}, bond.Primary},
	} {
		s := newKnown(Aggregate, c.paths...)
		if s.allow(epoch); s.allowed != c.want {
			t.Errorf("%s: %v is allowed, want %v", c.name, s.allowed, c.want)
		}
	}
}

// TestStandbyTakesTheCheapest, and of these the soonest; and another when it fails.
func TestStandbyTakesTheCheapest(t *testing.T) {
	live := func(cost bond.Cost, rtt time.Duration) known { return known{2, cost, Live, rtt} }
	s := newKnown(Standby, live(bond.Secondary, 10*ms), live(bond.Primary, 90*ms), live(bond.Primary, 40*ms), live(bond.Backup, 10*ms))
	for _, want := range []string{"c", "b", "a", "d"} {
		s.allow(epoch)
		if s.active == nil || s.active.name != want {
			t.Fatalf("%+v is active, want %s", s.active, want)
		}
		i := slices.Index(s.paths, s.active)
		s.paths[i].enter(Suspect, epoch)
		s.suspected(s.paths[i])
	}
}

// TestAutoRisesSlowly changes what two paths can carry: where that falls the mode
// follows at once, and where it rises when that has lasted.
func TestAutoRisesSlowly(t *testing.T) {
	s := newKnown(Auto, known{2, bond.Primary, Live, 0}, known{2, bond.Primary, Live, 0})
	now := epoch
	for _, step := range []struct {
		lasts time.Duration
		rate  float64 // of each
		want  Mode
	}{
		{0, 2, Redundant}, // from the beginning
		{0, .9, Hybrid},
		{dwell - 100*ms, 2, Hybrid},
		{0, .9, Hybrid},
		{dwell - 100*ms, 2, Hybrid}, // it had fallen between
		{200 * ms, 2, Redundant},
		{0, .4, Aggregate},
		{dwell + 100*ms, .9, Hybrid},
	} {
		for at := time.Duration(0); at <= step.lasts; at += 20 * ms {
			for i := range s.paths {
				s.know(i, known{step.rate, bond.Primary, Live, 0}, now)
			}
			s.allow(now)
			s.choose(now)
			now = now.Add(20 * ms)
		}
		if s.now != step.want {
			t.Errorf("%v after the beginning, with %v of what is needed on each for %v, it is %v, want %v", now.Sub(epoch), step.rate, step.lasts, s.now, step.want)
		}
	}
}

// TestVitalGoesFirst, however late it was made; then what is older.
func TestVitalGoesFirst(t *testing.T) {
	s := NewScheduler(Aggregate)
	add := func(id uint64, class Class, made time.Duration) {
		at := epoch.Add(made)
		s.Add(Unit{Object: bond.Object{Alias: 1, Object: id}, Size: 10, Class: class, Made: at, Deadline: at.Add(2 * time.Second)}, epoch)
	}
	add(0, Ordinary, 0)
	add(1, Ordinary, 20*ms)
	add(2, Vital, 30*ms)
	add(3, Ordinary, 10*ms)
	add(4, Vital, 25*ms)
	var got []uint64
	for _, u := range s.queue {
		got = append(got, u.Object.Object)
	}
	if want := []uint64{4, 2, 0, 3, 1}; !slices.Equal(got, want) {
		t.Errorf("they go in the order %v, want %v", got, want)
	}
}

// TestWaryPathIsTrustedStepByStep has a path come back beside one that works: it is
// given a quarter of its window at first, and twice as much every 100 ms.
func TestWaryPathIsTrustedStepByStep(t *testing.T) {
	s := newKnown(Redundant, known{9, bond.Primary, Live, 200 * ms}, known{9, bond.Primary, Suspect, 200 * ms})
	const window = 100_000
	s.paths[1].enter(Wary, epoch)
	for i := range uint64(2) {
		s.Observe(i, Figures{RTT: 200 * ms, MinRTT: 200 * ms, Window: window})
	}
	s.Add(Unit{Object: bond.Object{Alias: 1}, Size: 10 * window, Class: Vital, Made: epoch, Deadline: epoch.Add(time.Minute)}, epoch)
	for _, step := range []struct {
		at    time.Duration
		share float64
	}{{0, .25}, {regain - ms, .25}, {regain, .5}, {2*regain - ms, .5}} {
		now := epoch.Add(step.at)
		for range 1000 {
			s.Pick(1, now)
		}
		if way := s.members[1].inFlight; way < int64(step.share*window) || way > int64(step.share*window)+maxChunk {
			t.Errorf("%v after it came back %d bytes are on its way, want %v of its window of %d", step.at, way, step.share, window)
		}
	}
	now := epoch.Add(2 * regain)
	if s.Pick(1, now); s.paths[1].state != Live {
		t.Errorf("it is %v in the end", s.paths[1].state)
	}
}
