package bond

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
)

// TestBondSurvivesACut cuts one of two links for three seconds in the middle of a
// key frame.
func TestBondSurvivesACut(t *testing.T) {
	for _, c := range []struct {
		mode Mode
		gap  time.Duration // that is allowed beyond the usual one
	}{{Aggregate, 200 * ms}, {Hybrid, 200 * ms}, {Redundant, 50 * ms}, {Standby, 250 * ms}, {BestFPS, 250 * ms}} {
		t.Run(c.mode.String(), func(t *testing.T) {
			run := func(cut bool) (r result) {
				synctest.Test(t, func(t *testing.T) {
					net := netsim.New(t, netsim.Seed(5))
					relay := newTestRelay(t, net)
					links := tenTen(net)
					b := startBond(relay, Config{Mode: c.mode}, links...)
					b.joined(2)
					begin := time.Now()
					length := 6 * time.Second
					if cut {
						length = 9 * time.Second
					}
					b.video(4e6, length, func(frame int) {
						if cut && frame == 120 {
							time.AfterFunc(13*ms, func() { links[0].Blackout(3 * time.Second) })
						}
					})
					time.Sleep(3 * time.Second)
					r = b.result(begin.Add(time.Second), time.Now())
					if cut {
						b.joined(2)
						time.Sleep(time.Second)
						for _, p := range b.Status().Paths {
							if p.State != "live" && p.State != "wary" {
								t.Errorf("path %s is %s at the end", p.Name, p.State)
							}
						}
					}
				})
				return r
			}
			usual, r := run(false), run(true)
			t.Logf("%v; usual gap %v", r, usual.gap)
			if gap := r.gap - usual.gap; gap > c.gap || r.lost > 0 || r.late[1000] > 0 {
				t.Errorf("%v, want no object lost and a gap of at most %v more than %v", r, c.gap, usual.gap)
			}
		})
	}
}

// logLines counts what a log says.
type logLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logLines) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), s)
}

// TestPathThatStaysAwayIsToldSeldom has a path end, and dials that fail for minutes
// after that: the log does not fill with them, nor forget the path.
func TestPathThatStaysAwayIsToldSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := netsim.New(t, netsim.Seed(8))
		links := tenTen(net)
		var lines logLines
		log := slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelWarn}))
		b := startBond(newTestRelay(t, net), Config{Logger: log}, links...)
		b.joined(2)
		links[0].Cut()
		time.Sleep(5*time.Minute + 30*time.Second)
		if n := lines.count(`msg="path lost" path=a`); n < 5 || n > 7 {
			t.Errorf("in five minutes a path was said to be lost %d times, want about once a minute:\n%s", n, lines.text.String())
		}
		if n := lines.count("path=b"); n > 0 {
			t.Errorf("the log tells of the other path %d times", n)
		}
	})
}

// TestBondIsReplugged takes one of two paths away and gives it back.
func TestBondIsReplugged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := netsim.New(t, netsim.Seed(6))
		relay := newTestRelay(t, net)
		links := tenTen(net)
		b := startBond(relay, Config{Mode: Aggregate}, links...)
		b.joined(2)
		begin := time.Now()
		var before int64
		b.video(4e6, 12*time.Second, func(frame int) {
			switch frame {
			case 120:
				b.RemovePath("a")
			case 180:
				up, _ := links[0].Stats()
				before = up.SentBytes
				b.AddPath(pathOver(0, links[0]))
			}
		})
		time.Sleep(2 * time.Second)
		b.joined(2)
		r := b.result(begin, time.Now())
		t.Logf("%v; %+v", r, b.Status())
		if r.lost > 0 || r.late[500] > 0 {
			t.Errorf("%v", r)
		}
		up, _ := links[0].Stats()
		if n := up.SentBytes - before; n < 200<<10 {
			t.Errorf("the path that came back carried %d bytes after", n)
		}
	})
}

// TestAllPathsAreGone cuts both links for a while: what is younger than the
// deadline when they are back is delivered, and nothing of it twice.
func TestAllPathsAreGone(t *testing.T) {
	for _, dark := range []time.Duration{time.Second, 8 * time.Second, 40 * time.Second} {
		t.Run(dark.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := netsim.New(t, netsim.Seed(7))
				relay := newTestRelay(t, net)
				links := tenTen(net)
				b := startBond(relay, Config{Mode: Hybrid}, links...)
				b.joined(2)
				begin := time.Now()
				b.video(2e6, 5*time.Second+dark+10*time.Second, func(frame int) {
					if frame == 150 {
						for _, l := range links {
							l.Blackout(dark)
						}
					}
				})
				time.Sleep(3 * time.Second)
				before := b.result(begin, begin.Add(4*time.Second))
				after := b.result(begin.Add(5*time.Second+dark+6*time.Second), time.Now())
				t.Logf("before: %v", before)
				t.Logf("after: %v; %+v", after, b.Status())
				if before.lost > 0 || after.lost > 0 || after.n == 0 {
					t.Errorf("lost %d before and %d of %d after", before.lost, after.lost, after.n)
				}
				b.mu.Lock()
				defer b.mu.Unlock()
				if len(b.objects) > 0 || len(b.sched.queue) > 0 {
					t.Errorf("%d objects and %d units are held at the end", len(b.objects), len(b.sched.queue))
				}
			})
		})
	}
}

// TestFlapping takes each of two paths away and back a hundred times, by turns.
func TestFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := netsim.New(t, netsim.Seed(8))
		relay := newTestRelay(t, net)
		links := tenTen(net)
		b := startBond(relay, Config{Mode: Hybrid}, links...)
		b.joined(2)
		begin := time.Now()
		b.video(2e6, 60*time.Second, func(frame int) {
			if frame%9 != 0 || frame < 30 {
				return
			}
			switch n := frame / 9 % 4; n {
			case 0, 2:
				b.RemovePath(pathOver(n/2, nil).Name)
			default:
				b.AddPath(pathOver(n/2, links[n/2]))
			}
		})
		time.Sleep(3 * time.Second)
		b.joined(1)
		r := b.result(begin, time.Now())
		t.Logf("%v", r)
		if r.lost > 0 || r.late[1000] > 0 {
			t.Errorf("%v", r)
		}
		relay.mu.Lock()
		t.Logf("%d joins", len(relay.joins))
		relay.mu.Unlock()
	})
}

// TestFourMixedPaths publishes over a wire, a radio, a phone and a satellite.
func TestFourMixedPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := netsim.New(t, netsim.Seed(9))
		relay := newTestRelay(t, net)
		b := startBond(relay, Config{Mode: Aggregate},
			net.Link(netsim.Rate(4*netsim.Mbit), netsim.Delay(8*ms)),
			net.Link(netsim.Rate(3*netsim.Mbit), netsim.Delay(20*ms), netsim.Jitter(8*ms)),
			net.Link(netsim.Rate(2*netsim.Mbit), netsim.Delay(45*ms), netsim.Jitter(10*ms), netsim.Loss(0.001)),
			net.Link(netsim.Rate(1*netsim.Mbit), netsim.Delay(120*ms)))
		b.joined(4)
		time.Sleep(time.Second)
		begin := time.Now()
		b.video(6e6, 20*time.Second, nil)
		time.Sleep(3 * time.Second)
		r := b.result(begin.Add(2*time.Second), time.Now())
		t.Logf("%v; %+v", r, b.Status())
		if r.lost > 0 || r.late[1000] > 0 {
			t.Errorf("%v", r)
		}
	})
}

// TestRelayIsBack ends the relay and begins another at its address, which knows
// nothing of the bond: the publisher makes a new one.
func TestRelayIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := netsim.New(t, netsim.Seed(12))
		relay := newTestRelay(t, net)
		b := startBond(relay, Config{Mode: Hybrid}, tenTen(net)...)
		b.joined(2)
		epoch := b.Epoch()
		begin := time.Now()
		b.video(2e6, 20*time.Second, func(frame int) {
			switch frame {
			case 150:
				relay.stop()
				relay.mu.Lock()
				clear(relay.members)
				relay.secret[0]++
				relay.mu.Unlock()
			case 240:
				relay.start()
			}
		})
		time.Sleep(3 * time.Second)
		b.joined(2)
		if b.Epoch() == epoch {
			t.Error("the bond is still that of the relay that is gone")
		}
		before, after := b.result(begin, begin.Add(4*time.Second)), b.result(begin.Add(16*time.Second), time.Now())
		t.Logf("before: %v", before)
		t.Logf("after: %v; %+v", after, b.Status())
		if before.lost > 0 || after.lost > 0 || after.n == 0 {
			t.Errorf("lost %d before and %d of %d after", before.lost, after.lost, after.n)
		}
	})
}
