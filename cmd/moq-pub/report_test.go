package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tributary-live/tributary/pub/bond"
)

var someStatus = bond.Status{
	Mode: "hybrid", Demand: 4_000_000, Capacity: 12_500_000, Encoder: 9_000_000,
	Paths: []bond.PathStatus{
		{Name: "wlan0", Cost: "primary", State: "live", Connections: 2, Rate: 3_100_000, Sent: 1000, RTT: 23400 * time.Microsecond, RTTMillis: 23.4, Loss: 0.004, Share: 0.72,
			Solo: bond.Solo{Share: 0.984, FPS: 29.5, Gap: 67, Lateness: 41}},
		{Name: "usb0", Cost: "backup", State: "down", Err: "no answer from 192.0.2.1:4443 (UDP)"},
	},
	Stats: bond.Stats{Unique: 1_000_000, Copied: 90_000, Reinjected: 10_000, Shed: 0},
}

func TestTable(t *testing.T) {
	const want = `
PATH         COST      STATE   CONN        RATE    RTT   LOSS SHARE  SOLO   FPS
wlan0        primary   live       2  3.1 Mbit/s   23ms   0.4%   72%   98%  29.5
usb0         backup    down       0    0 kbit/s     0s   0.0%    0%    0%   0.0
  no answer from 192.0.2.1:4443 (UDP)
hybrid: 4 Mbit/s published, 12.5 Mbit/s possible, encoder at most 9 Mbit/s
10.0 % sent twice, 0.0 % shed
`
	if got := "\n" + tableOf(someStatus, nil, 80); got != want {
		t.Errorf("the table is%s\nwant%s", got, want)
	}
	unknown := someStatus
	unknown.Capacity, unknown.Encoder = 0, 0
	if got := tableOf(unknown, nil, 80); !strings.Contains(got, "\nhybrid: 4 Mbit/s published; what fits shows when somebody watches\n") {
		t.Errorf("before anybody watches the table is %s", got)
	}
	waiting := map[string]string{"wlan1": "wlan1: no address yet", "phone": "usb0 is not there"}
	if got := tableOf(someStatus, waiting, 80); !strings.Contains(got, "\nphone                  waits: usb0 is not there\nwlan1                  waits: wlan1: no address yet\nhybrid: ") {
		t.Errorf("with paths that wait the table is %s", got)
	}
	alone := bond.Status{Paths: []bond.PathStatus{{Name: "wlan0", State: "alone"}, {Name: "usb0", State: "alone"}}}
	if got := tableOf(alone, nil, 80); strings.Contains(got, "published") || !strings.Contains(got, "\nno bond at this relay") {
		t.Errorf("at a relay that knows no bonds the table is %s", got)
	}
	var out strings.Builder
	r := &report{w: &out, table: true, width: func() int { return 80 }}
	r.show(someStatus)
	r.show(someStatus)
	if n := strings.Count(out.String(), "\x1b[6A\x1b[J"); n != 1 {
		t.Errorf("the table was replaced %d times, want once", n)
	}
	before := out.Len()
	fmt.Fprintln(above{&out, r}, "a line of the log")
	if got, want := out.String()[before:], "\x1b[6A\x1b[Ja line of the log"+want; got != want {
		t.Errorf("the log and the table are %q, want the table below: %q", got, want)
	}
}

// TestTableKeepsItsPlace has a relay say something that would move the cursor.
func TestTableKeepsItsPlace(t *testing.T) {
	s := bond.Status{Paths: []bond.PathStatus{{Name: "wlan0", Err: "no\x1b[2J\r\nway\u009b\u202e"}}}
	if got := tableOf(s, nil, 80); strings.Count(got, "\n") != 5 || !strings.Contains(got, "\n  no?[2J??way??\n") {
		t.Errorf("the table is %q", got)
	}
}

// TestTableFits has terminals of any width, none of which may break a line: the
// table is erased by counting them.
func TestTableFits(t *testing.T) {
	s := someStatus
	s.Paths = append(s.Paths, bond.PathStatus{Name: strings.Repeat("n", 64), Cost: "secondary", State: "suspect", Rate: 1 << 60, RTT: time.Hour,
		Err: strings.Repeat("wörd ", 200) + strings.Repeat("x", 500)})
	waiting := map[string]string{"phone": "usb0 is not there", "wlan1": strings.Repeat("no ", 200)}
	for width := 1; width < 200; width++ {
		table := tableOf(s, waiting, width)
		for line := range strings.Lines(table) {
			if n := len([]rune(line)) - 1; n >= width {
				t.Fatalf("in %d columns a line has %d: %q", width, n, line)
			}
		}
		if n := strings.Count(table, "\n"); n > 14 {
			t.Fatalf("in %d columns the table has %d lines", width, n)
		}
	}
	if table := tableOf(s, waiting, 60); strings.Count(table, "wörd") < 20 {
		t.Errorf("too little is said of why: %s", table)
	}
}

func TestJSONLine(t *testing.T) {
	var out strings.Builder
	r := &report{w: &out}
	r.show(someStatus)
	var got struct {
		Mode    string
		Encoder int64
		Paths   []struct {
			Path, State string
			RTT         float64 `json:"rtt_ms"`
			Share       float64
			Solo        struct {
				Share, FPS float64
				Gap        float64 `json:"gap_ms"`
			}
		}
		Bytes struct{ Unique, Shed int64 }
	}
	line := out.String()
	if err := json.Unmarshal([]byte(line), &got); err != nil || strings.Count(line, "\n") != 1 {
		t.Fatalf("%q is no line of JSON: %v", line, err)
	}
	if got.Mode != "hybrid" || got.Encoder != 9_000_000 || len(got.Paths) != 2 || got.Paths[0].Path != "wlan0" || got.Paths[0].RTT != 23.4 || got.Paths[0].Solo.FPS != 29.5 || got.Paths[0].Solo.Gap != 67 || got.Bytes.Unique != 1_000_000 {
		t.Errorf("the line is %s", line)
	}
}

func TestEncoderPage(t *testing.T) {
	r := &report{w: &strings.Builder{}}
	page := httptest.NewRecorder()
	if r.encoder(page, nil); page.Code != 503 {
		t.Errorf("before the first second: %d, want 503", page.Code)
	}
	r.show(someStatus)
	page = httptest.NewRecorder()
	r.encoder(page, nil)
	if got, want := page.Body.String(), `{"bitrate":9000000,"capacity":12500000,"published":4000000}`+"\n"; page.Code != 200 || got != want {
		t.Errorf("%d %q, want 200 %q", page.Code, got, want)
	}
}

func TestBondMetrics(t *testing.T) {
	r := &report{w: &strings.Builder{}}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(r)
	r.show(someStatus)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]int)
	for _, f := range families {
		got[f.GetName()] = len(f.GetMetric())
	}
	for name, n := range map[string]int{
		"moq_bond_path_connections": 2, "moq_bond_path_rtt_seconds": 2, "moq_bond_path_loss_ratio": 2, "moq_bond_path_sent_bytes_total": 2,
		"moq_bond_path_picks_total": 2, "moq_bond_path_solo_ratio": 2, "moq_bond_path_solo_frames_per_second": 2, "moq_bond_path_solo_gap_seconds": 2, "moq_bond_path_solo_lateness_seconds": 2,
		"moq_bond_migrations_total": 1, "moq_bond_bytes_total": 4, "moq_bond_capacity_bytes_per_second": 1, "moq_bond_encoder_bytes_per_second": 1,
	} {
		if got[name] != n {
			t.Errorf("%s has %d series, want %d", name, got[name], n)
		}
	}
}
