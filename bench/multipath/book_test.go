package multipath

import (
	"hash/crc32"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

func TestOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Scenario{Links: []Link{{Rate: 1}, {Rate: 9, Later: true}}, Length: 10 * time.Second, From: 2 * time.Second}
		began := time.Now()
		var b book
		payload := make([]byte, 12_500)
		sum := crc32.ChecksumIEEE(payload)
		at := func(d time.Duration) { time.Sleep(time.Until(began.Add(d))) }
		for i := range 10 { // one a second, of 12,500 bytes
			at(time.Duration(i) * time.Second)
			b.make(&unit{track: video, n: i, made: time.Now(), payload: payload, vital: i == 5})
			if i == 7 {
				b.take(video, i, sum+1)
				continue // never comes as it was made
			}
			at(time.Duration(i)*time.Second + time.Duration(100*i)*time.Millisecond)
			b.take(video, i, sum+1) // of other bytes
			b.take(video, i, sum)
			b.take(video, i, sum) // counts once
		}
		b.take(video, 10, sum) // was not made
		o := b.outcome(s, began)
		if o.Objects != 8 || o.Lost != 1 || o.VitalLost != 0 {
			t.Errorf("%d objects, %d lost, %d vital; want 8, 1, 0", o.Objects, o.Lost, o.VitalLost)
		}
		// 200, 300, 400, 500, 600, 800, 900 ms and one lost.
		if o.P50 != 500*ms || o.Max != 900*ms || o.VitalMax != 500*ms {
			t.Errorf("p50 %v, max %v, vital %v; want 500 ms, 900 ms, 500 ms", o.P50, o.Max, o.VitalMax)
		}
		if o.Late200 != 87.5 || o.Late500 != 50 || o.Late1000 != 12.5 {
			t.Errorf("late %v, %v, %v %%; want 87.5, 50, 12.5", o.Late200, o.Late500, o.Late1000)
		}
		if o.Gap != 2200*ms { // from the one at 6.6 s to that at 8.8 s
			t.Errorf("gap %v, want 2.2 s", o.Gap)
		}
		// Seven of 100 kbit within 8 s, over a link of 1 Mbit/s.
		if math.Abs(o.Efficiency-100*0.7/8) > 0.01 {
			t.Errorf("efficiency %v %%, want 8.75", o.Efficiency)
		}
		s.Gap = 3 * time.Second
		if o := b.outcome(s, began); o.Gap != 1100*ms {
			t.Errorf("gap around 3 s is %v, want 1.1 s", o.Gap)
		}
	})
}

// TestGap has pictures that begin late, or never do.
func TestGap(t *testing.T) {
	s := &Scenario{Length: 10 * time.Second, From: 2 * time.Second}
	began := time.Now()
	for _, c := range []struct {
		shown []time.Duration
		gap   time.Duration // Scenario.Gap
		want  time.Duration
	}{
		{nil, 0, 8 * time.Second},
		{nil, 9 * time.Second, time.Second},
		{[]time.Duration{6 * time.Second, 7 * time.Second, 9500 * ms}, 0, 4 * time.Second},
		{[]time.Duration{time.Second, 3 * time.Second, 6 * time.Second, 9500 * ms}, 0, 3500 * ms},
	} {
		var shown []time.Time
		for _, d := range c.shown {
			shown = append(shown, began.Add(d))
		}
		s.Gap = c.gap
		if got := s.gap(shown, began); got != c.want {
			t.Errorf("shown at %v, gap from %v: %v, want %v", c.shown, c.gap, got, c.want)
		}
	}
}

func TestUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b book
		for n := range 4 {
			b.make(&unit{track: video, n: n, made: time.Now(), payload: make([]byte, 100)})
		}
		sum := crc32.ChecksumIEEE(make([]byte, 100))
		b.take(video, 0, sum)
		b.take(video, 2, sum)
		if got := b.underWay(); got != 200 {
			t.Errorf("%d bytes are under way, want 200", got)
		}
		time.Sleep(lostAfter + ms)
		if got := b.underWay(); got != 0 {
			t.Errorf("%d bytes are under way long after, want 0", got)
		}
	})
}

func TestLoadHasItsBitrate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, l := range []Load{{Bitrate: 4}, {Bitrate: 4, Audio: true}} {
			const length = 20 * time.Second
			var bytes, count, vital int
			seen := make(map[string]bool)
			err := newSource(1).live(t.Context(), l, length, func() int64 { return 0 }, func(u *unit) {
				bytes += len(u.payload)
				count++
				vital += one(u.vital)
				seen[string(u.payload)] = true
			})
			if err != nil {
				t.Fatal(err)
			}
			if mbit := float64(bytes) * 8 / 1e6 / length.Seconds(); math.Abs(mbit-4) > 0.02 {
				t.Errorf("%+v: %.3f Mbit/s, want 4", l, mbit)
			}
			wantCount, wantVital := 600, 10
			if l.Audio {
				wantCount, wantVital = 600+940, 10+940
			}
			if count != wantCount || vital != wantVital || len(seen) != count {
				t.Errorf("%+v: %d objects, %d of them vital, %d different; want %d, %d, all", l, count, vital, len(seen), wantCount, wantVital)
			}
		}
	})
}

func TestLoadFollowsAdvice(t *testing.T) {
	for _, c := range []struct {
		load   Load
		advice int64
		want   float64 // Mbit/s
	}{
		{Load{Bitrate: 1, Adaptive: true}, 0, 1},
		{Load{Bitrate: 1, Adaptive: true}, 5_000_000, 5},
		{Load{Bitrate: 1, Adaptive: true}, 100_000, leastBitrate},
		{Load{Bitrate: 4}, 100_000, 4},
	} {
		group := c.load.picture(c.advice) * (gop - 1 + keySize)
		if got := group * 8 / 1e6 * fps / gop; math.Abs(got-c.want) > 0.001 {
			t.Errorf("%+v makes %.3f Mbit/s when advised %d, want %v", c.load, got, c.advice, c.want)
		}
	}
}
