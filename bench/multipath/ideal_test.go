package multipath

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
)

// TestIdeal compares with what the traces were found to allow when they were
// chosen, percent of pictures that take more than 200, 500 and 1000 ms.
func TestIdeal(t *testing.T) {
	folder := Traces(os.Getenv("TRIBUTARY_TRACES"))
	if folder == "" {
		t.Skip("TRIBUTARY_TRACES names no folder of traces")
	}
	want := map[string][2][3]float64{ // best single link, all
		"A-cbr-4-verizon-tmobile":   {{9.3, 6.7, 5.7}, {0.08, 0, 0}},
		"A-cbr-8-verizon-tmobile":   {{24.7, 22.4, 21.9}, {2.8, 1.8, 0.6}},
		"B-cbr-2-att-verizon":       {{8.8, 6.0, 4.8}, {0.5, 0, 0}},
		"B-cbr-4-att-verizon":       {{23.1, 19.0, 15.7}, {8.1, 4.8, 3.1}},
		"C-cbr-4-starlink-verizon":  {{5.9, 5.2, 4.3}, {0.34, 0, 0}},
		"C-cbr-8-starlink-verizon":  {{24.0, 21.5, 19.7}, {8.5, 5.8, 3.6}},
		"D-cbr-2-starlink-att-umts": {{4.3, 3.5, 2.6}, {0, 0, 0}},
		"D-cbr-4-starlink-att-umts": {{5.9, 5.2, 4.3}, {1.7, 0.9, 0}},
		"E-cbr-2-5g-att":            {{11.8, 8.2, 4.1}, {1.1, 0.4, 0}},
	}
	for _, s := range replays() {
		if s.Load.Adaptive {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			for i, limit := range []time.Duration{200 * ms, 500 * ms, time.Second} {
				best, most, err := s.bounds(folder, limit)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("late@%v: best %.2f, all %.2f; told %.2f, %.2f", limit, best, most, want[s.Name][0][i], want[s.Name][1][i])
				if math.Abs(best-want[s.Name][0][i]) > 1 || math.Abs(most-want[s.Name][1][i]) > 1 {
					t.Errorf("late@%v: best %.2f, all %.2f, want %v", limit, best, most, want[s.Name])
				}
			}
		})
	}
}

// TestDeliverable has a link that carries 12 Mbit/s for a second and nothing for the
// next 400 ms, again and again: what comes in 1.4 s has to go in one.
func TestDeliverable(t *testing.T) {
	folder := t.TempDir()
	var lines strings.Builder
	for ms := range 1000 {
		fmt.Fprintln(&lines, ms)
	}
	fmt.Fprintln(&lines, 1400)
	if err := os.WriteFile(filepath.Join(folder, "gaps.up"), []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &Scenario{Links: []Link{{Trace: "gaps.up", RTT: 40 * ms}}, Length: 60 * time.Second}
	mbit, err := s.deliverable(Traces(folder), judged)
	if err != nil {
		t.Fatal(err)
	}
	if most := 12. / 1.4; mbit < most/2 || mbit > most {
		t.Errorf("%.2f Mbit/s can be delivered of %.2f, want at least half", mbit, most)
	}
	for share, want := range map[float64]bool{0.95: true, 1.1: false} {
		all, _ := s.ways(Traces(folder))
		if late := ideal(all, share*mbit, s.Length, judged); late <= lateAllowed != want {
			t.Errorf("%.2f %% are late at %.2f of that", late, share)
		}
	}
}

// TestIdealIsInTime has a chance a second, which is enough for what was made in the
// half of a second before, if it arrives in time.
func TestIdealIsInTime(t *testing.T) {
	trace, err := netsim.Mahimahi(strings.NewReader("1000\n"))
	if err != nil {
		t.Fatal(err)
	}
	const bitrate = 50 * 8 * (gop - 1 + keySize) * fps / gop / 1e6 // pictures of 50 bytes
	for delay, want := range map[time.Duration]int{0: 15 + 15 + 14, 100 * ms: 13 + 13 + 12} {
		late := ideal([]way{{trace, delay}}, bitrate, 3*time.Second, 500*ms)
		if got := percent(90-want, 90); math.Abs(late-got) > 0.01 {
			t.Errorf("with a delay of %v %.2f %% are late, want %.2f", delay, late, got)
		}
	}
}
