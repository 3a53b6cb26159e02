package bond

import (
	"slices"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
)

// TestBestFPSFollowsTheResults throttles the link that groups go over: from the
// next group that begins after it shows, they go over the other.
func TestBestFPSFollowsTheResults(t *testing.T) {
	m := newSim(t, BestFPS, mbit(10, 50*ms), mbit(10, 60*ms))
	carried := make(map[uint64]*[2]int64) // of each group's pictures, bytes by link
	m.watch = func(l *simLink, a Assignment) {
		if a.Object.Alias != 1 || a.Object.Object == 0 || a.Copy {
			return
		}
		if carried[a.Object.Group] == nil {
			carried[a.Object.Group] = new([2]int64)
		}
		carried[a.Object.Group][l.id] += a.Length
	}
	m.video(4e6, 30*time.Second)
	m.at(epoch.Add(10300*ms), func() { m.links[0].rate = 1.5e6 / 8 })
	m.run(35 * time.Second)
	choices := m.s.Choices()
	for _, c := range choices {
		t.Logf("group %d: %s, before %q: %s", c.Group, c.Path, c.Before, c.scores())
	}
	if len(choices) != 2 || choices[0].Path != "link0" || choices[1].Path != "link1" || choices[1].Before != "link0" || choices[1].Group != 6 {
		t.Fatalf("choices %+v, want link0, and from group 6, the first after 10.3 s, link1", choices)
	}
	if s := choices[1].Scores; len(s) != 2 || s[0].Path != "link1" || s[0].Share < s[1].Share+betterBy {
		t.Errorf("the scores of the second choice are %v", s)
	}
	for group, by := range carried {
		want := 0
		if group >= 6 {
			want = 1
		}
		if other := by[1-want]; group > 0 && group != 5 && // at first no path is known
			float64(other) > 0.1*float64(by[0]+by[1]) {
			t.Errorf("%d bytes of group %d went over the other link, %d in all", other, group, by[0]+by[1])
		}
	}
	r := m.report(0, 30*time.Second)
	t.Log(r)
	if r.late[1000] > 0 || r.overhead > 20 {
		t.Errorf("%v", r)
	}
}

// TestBestFPSIgnoresRoundTrips has the round trip of the link that groups go over
// jump by 100 ms and back again and again. All pictures come, so they go on there.
func TestBestFPSIgnoresRoundTrips(t *testing.T) {
	m := newSim(t, BestFPS, mbit(10, 30*ms), mbit(10, 60*ms))
	m.video(4e6, 60*time.Second)
	for i := range 19 {
		m.at(epoch.Add(time.Duration(3*i+2)*time.Second+time.Duration(i)*77*ms), func() {
			m.links[0].owd = map[bool]time.Duration{true: 65 * ms, false: 15 * ms}[i%2 == 0]
		})
	}
	m.run(65 * time.Second)
	choices := m.s.Choices()
	r := m.report(0, 60*time.Second)
	t.Log(r)
	if len(choices) != 1 || r.late[500] > 0 {
		t.Errorf("it chose %d times, want once: %+v; %v", len(choices), choices, r)
	}
}

// TestBestFPSDoesNotFlap has no link that is good enough.
func TestBestFPSDoesNotFlap(t *testing.T) {
	m := newSim(t, BestFPS, mbit(2.5, 50*ms), mbit(2.4, 60*ms))
	m.video(4e6, 120*time.Second)
	m.run(60 * time.Second)
	first := len(m.s.Choices())
	m.run(65 * time.Second)
	second := len(m.s.Choices())
	t.Log(first, second, m.report(0, 120*time.Second))
	if first > 10 || second > 5 {
		t.Errorf("it chose %d times in the first 30 groups and %d in the next, want at most 10 and 5", first, second)
	}
}

// TestBestFPSLeavesAPathThatIsGone pulls the link that groups go over.
func TestBestFPSLeavesAPathThatIsGone(t *testing.T) {
	m := newSim(t, BestFPS, mbit(10, 50*ms), mbit(10, 60*ms))
	m.video(4e6, 20*time.Second)
	m.at(epoch.Add(9300*ms), func() { m.unplug(m.links[0]) })
	m.at(epoch.Add(13300*ms), func() { m.plug(m.links[0]) })
	m.run(25 * time.Second)
	choices := m.s.Choices()
	r := m.report(0, 20*time.Second)
	t.Log(r)
	if len(choices) != 2 || choices[1].Path != "link1" || choices[1].Group != 5 || r.late[500] > 0 {
		t.Errorf("choices %+v, want link1 from group 5; %v", choices, r)
	}
	if picks := m.s.Picks("link1"); picks != 5 {
		t.Errorf("link1 was given %d groups, want 5", picks)
	}
}

func TestCompareScores(t *testing.T) {
	of := func(name string, share float64, gap, late, rtt time.Duration) PathScore {
		return PathScore{name, Score{Share: share, Gap: gap, Lateness: late}, rtt}
	}
	for _, c := range []struct {
		name string
		list []PathScore
	}{
		{"pictures first", []PathScore{of("a", 0.9, 300*ms, 300*ms, 300*ms), of("b", 0.7, 33*ms, 20*ms, 10*ms)}},
		{"then gaps", []PathScore{of("a", 0.98, 40*ms, 300*ms, 300*ms), of("b", 1, 300*ms, 20*ms, 10*ms)}},
		{"then lateness", []PathScore{of("a", 1, 33*ms, 40*ms, 90*ms), of("b", 1, 40*ms, 120*ms, 80*ms)}},
		{"then the round trip", []PathScore{of("a", 1, 33*ms, 40*ms, 20*ms), of("b", 0.99, 34*ms, 30*ms, 80*ms)}},
	} {
		got := slices.Clone(c.list)
		slices.Reverse(got)
		slices.SortStableFunc(got, compareScores)
		if got[0].Path != "a" {
			t.Errorf("%s: %v is the best of %v", c.name, got[0], c.list)
		}
	}
}

func TestWhatWasLeftIsForgotten(t *testing.T) {
	l := left{epoch, 0.5, 10 * time.Second}
	for after, want := range map[time.Duration]float64{0: 0.5, 5 * time.Second: 0.75, 20 * time.Second: 1} {
		if got := l.most(epoch.Add(after)); got != want {
			t.Errorf("after %v: %v, want %v", after, got, want)
		}
	}
	if got := (left{}).most(epoch); got != 1 {
		t.Errorf("a path that was never left may have %v, want 1", got)
	}
}

// TestSolo asks what each path alone would have brought, whatever it carries.
func TestSolo(t *testing.T) {
	for _, mode := range []Mode{Aggregate, Hybrid, Redundant, Standby, BestFPS} {
		m := newSim(t, mode, mbit(10, 50*ms), mbit(0.8, 60*ms))
		m.video(3e6, 10*time.Second)
		m.at(epoch.Add(6*time.Second), func() { m.links[0].cut = m.now.Add(time.Hour) })
		check := func(at time.Duration, name string, low, high float64) {
			m.run(epoch.Add(at).Sub(m.now))
			s, ok := m.s.Score(name, m.now)
			if !ok || s.Share < low || s.Share > high || s.FPS < 30*low*0.95 || s.FPS > 30*high+2 {
				t.Errorf("%v: after %v the score of %s is %+v, %v; want a share of %v to %v", mode, at, name, s, ok, low, high)
			}
		}
		check(5*time.Second, "link0", 0.99, 1)
		check(5*time.Second, "link1", 0, 0.6)
		check(9*time.Second, "link0", 0, 0.1)
	}
}

func TestScoreOfFrames(t *testing.T) {
	at := func(d time.Duration) time.Time { return epoch.Add(d) }
	f := &frames{}
	for i := range 20 {
		o := bond.Object{Object: uint64(i)}
		made := at(time.Duration(i) * 50 * ms)
		f.add(frame{object: o, made: made, limit: 500 * ms})
		if i%4 != 3 && i < 16 {
			f.arrived(o, made.Add(40*ms))
		}
	}
	s, ok := f.score(at(1300 * ms)) // those from 800 ms on may still come
	if want := (Score{Share: 12. / 16, FPS: 12 / 1.3, Gap: 100 * ms, Lateness: 40 * ms}); !ok || s != want {
		t.Errorf("score %+v, %v, want %+v", s, ok, want)
	}
	f.missed(bond.Object{Object: 18})
	if s, _ = f.score(at(1300 * ms)); s.Share != 12./17 {
		t.Errorf("with one that came another way the share is %v, want 12/17", s.Share)
	}
	if _, ok = f.score(at(time.Hour)); ok {
		t.Error("there is a score of an hour ago")
	}
	for i := range 2 * maxFrames {
		f.add(frame{made: at(time.Duration(i)), limit: time.Second})
	}
	if len(f.list) > maxFrames {
		t.Errorf("%d pictures are held", len(f.list))
	}
}
