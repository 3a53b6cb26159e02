package multipath

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-live/tributary/bench"
	"github.com/tributary-live/tributary/pub/bond"
)

// play runs s once on simulated links, in a bubble that is not the test's.
func play(t *testing.T, s *Scenario, p Peer) *Outcome {
	t.Helper()
	c := Config{Backend: Virtual}
	o, err := c.play(t.Context(), s, p, 0)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOneLinkCarriesWhatItCan(t *testing.T) {
	s := &Scenario{Name: "one", Links: []Link{{Name: "eth0", Rate: 5, RTT: 40 * ms}}, Length: 16 * time.Second, From: 6 * time.Second}
	o := play(t, s, Single)
	if o.Efficiency < 88 || o.Efficiency > 96 {
		t.Errorf("bulk takes %.1f %% of the link, want 88 to 96", o.Efficiency)
	}
	if o.Wire < 103 || o.Wire > 112 {
		t.Errorf("%.1f %% of the payload went up the link, want 103 to 112", o.Wire)
	}
}

func TestLiveOnOneLink(t *testing.T) {
	s := &Scenario{Name: "one", Links: []Link{{Name: "eth0", Rate: 5, RTT: 40 * ms}}, Load: Load{Bitrate: 2, Audio: true},
		Length: 14 * time.Second, From: 2 * time.Second,
		Steps: []Step{{At: 5 * time.Second, Link: 0, Do: Cut}, {At: 6 * time.Second, Link: 0, Do: Restore}}}
	o := play(t, s, Single)
	if o.Objects != 360+564 || o.Lost > 0 {
		t.Errorf("%d objects, %d lost; want 924, none", o.Objects, o.Lost)
	}
	if o.P50 < 20*ms || o.P50 > 60*ms {
		t.Errorf("p50 %v, want 20 to 60 ms", o.P50)
	}
	if o.Gap < time.Second || o.Late500 == 0 {
		t.Errorf("the longest silence is %v, and %.2f %% are late, with the link cut for a second", o.Gap, o.Late500)
	}
}

func TestBondOnTwoLinks(t *testing.T) {
	s := &Scenario{Name: "two", Links: links(5, 50*ms, 3, 120*ms), Mode: bond.Aggregate, Length: 8 * time.Second, From: 3 * time.Second}
	if o := play(t, s, Bond); o.Efficiency < 85 || o.Efficiency > 96 {
		t.Errorf("bulk takes %.1f %% of the links, want 85 to 96", o.Efficiency)
	}
	s.Load, s.Mode = Load{Bitrate: 2, Audio: true}, bond.Redundant
	s.Steps = []Step{{At: 4 * time.Second, Link: 0, Do: Unplug}, {At: 5 * time.Second, Link: 0, Do: Plug}}
	if o := play(t, s, Bond); o.Lost > 0 || o.Late500 > 0 || o.Copies < 30 || o.Copies > 110 {
		t.Errorf("%d objects lost, %.2f %% late, %.1f %% sent again; want none, none, 30 to 110", o.Lost, o.Late500, o.Copies)
	}
}

// TestThreeSlowLinks is of three sticks of 800 kbit/s that carry a picture of 2 Mbit/s
// together, and TestThreeLinksStack of three lines of 10 Mbit/s that are one of 30.
func TestThreeSlowLinks(t *testing.T) {
	all := Scenarios()
	s := all[slices.IndexFunc(all, func(s *Scenario) bool { return s.Name == "cbr-2-on-3x0.8" })]
	o := play(t, s, Bond)
	for _, r := range s.judge(&judgement{scenario: s, runs: map[Peer][]*Outcome{Bond: {o}}}) {
		if r.Verdict() != bench.Met {
			t.Errorf("%s: %v%s, which is %s", r.Name, r.Value, r.Unit, r.Verdict())
		}
	}
	if o.Lost > 0 {
		t.Errorf("%d objects are lost", o.Lost)
	}
}

func TestThreeLinksStack(t *testing.T) {
	l := append(links(10, 30*ms, 10, 50*ms), Link{Name: "usb0", Rate: 10, RTT: 80 * ms})
	s := &Scenario{Name: "three", Links: l, Mode: bond.Aggregate, Length: 12 * time.Second, From: 5 * time.Second}
	if o := play(t, s, Bond); o.Goodput < 27e6 || o.Goodput > 30e6 {
		t.Errorf("three links of 10 Mbit/s carry %.1f together, want 27 to 30, with headers and all", o.Goodput/1e6)
	}
}

func TestWhatARivalHas(t *testing.T) {
	s := &Scenario{Name: "two", Links: links(10, 50*ms, 0, 0)[:1], Load: Load{Bitrate: 1}, Mode: bond.Aggregate, Rival: true, Length: 8 * time.Second, From: 3 * time.Second}
	if o := play(t, s, Bond); o.Alone < 8.5e6 || o.Alone > 10e6 || o.Kept < 7e6 || o.Kept > o.Alone-0.5e6 {
		t.Errorf("it has %.2f Mbit/s alone, want nearly 10, and %.2f beside 1, want nearly 9", o.Alone/1e6, o.Kept/1e6)
	}
}

func TestStrangersAreHeard(t *testing.T) {
	for name, forge := range map[string]attack{"forged": joins(forged), "replayed": joins(replayed)} {
		s := &Scenario{Name: name, Links: links(10, 50*ms, 10, 50*ms), Load: Load{Bitrate: 1}, Mode: bond.Hybrid, Attack: forge, Length: 12 * time.Second, From: time.Second}
		if o := play(t, s, Bond); o.Harm != (harm{tried: strangers}) || o.Lost > 0 {
			t.Errorf("%s: %+v, %d lost; want %d tries, nothing else, none", name, o.Harm, o.Lost, strangers)
		}
	}
}

func TestHeldIsSeen(t *testing.T) {
	s := &Scenario{Name: "two", Links: links(5, 50*ms, 3, 120*ms), Load: Load{Bitrate: 4}, Mode: bond.Aggregate, Length: 8 * time.Second, From: 2 * time.Second}
	if o := play(t, s, Bond); o.HeldMost < 32<<10 || o.HeldMost > 4<<20 || o.Held > o.HeldMost {
		t.Errorf("the relay held %d bytes at most, %d typically; want some of a key frame", o.HeldMost, o.Held)
	}
}

func TestBarsOfScenarios(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range Scenarios() {
		if seen[s.Name] {
			t.Errorf("two scenarios are called %s", s.Name)
		}
		seen[s.Name] = true
		if s.From >= s.Length || s.Number == "" {
			t.Errorf("%s counts from %v of %v, number %q", s.Name, s.From, s.Length, s.Number)
		}
		at := time.Duration(0)
		for _, step := range s.Steps {
			if step.At < at || step.At > s.Length+grace || step.Link >= len(s.Links) {
				t.Errorf("%s: step %+v has no place", s.Name, step)
			}
			at = step.At
		}
		if strings.ContainsAny(s.Name, " /\t") {
			t.Errorf("%q is no name for a benchmark", s.Name)
		}
		j := &judgement{scenario: s, runs: map[Peer][]*Outcome{Bond: {{}, {}}, Single: {{}}, MPTCP: {{}}}}
		for _, b := range s.judge(j) {
			if b.Bound == nil && !s.Real || b.Bound != nil && b.Verdict() == bench.Told {
				t.Errorf("%s: %s has no bound", s.Name, b.Name)
			}
		}
	}
}

func TestAny(t *testing.T) {
	for expr, want := range map[string]bool{"^bulk-5[+]3$": true, "^relay-cost-aggregate$": false, "^relay-cost$": false, "^1$": true} {
		c := Config{Backend: Virtual, Only: regexp.MustCompile(expr)}
		if got := c.Any(); got != want {
			t.Errorf("simulated links have a scenario %s: %v, want %v", expr, got, want)
		}
	}
}
