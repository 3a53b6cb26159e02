package figures

import (
	"encoding/xml"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const printed = `goos: linux
cpu: Some CPU
cores: 2
load: 0.10 0.20 0.30
BenchmarkFanout/over=relay/subs=300/size=8192/rate=30	90000	55 cpu-µs/obj	1.5 p50-ms	9 p99-ms	120 idle-KiB/sub	180 loaded-KiB/sub
BenchmarkFanout/over=relay/subs=300/size=8192/rate=30	90000	57 cpu-µs/obj	1.7 p50-ms	11 p99-ms	120 idle-KiB/sub	180 loaded-KiB/sub
BenchmarkFanout/over=bare/subs=300/size=8192/rate=30	90000	54 cpu-µs/obj	1.4 p50-ms	8 p99-ms	100 idle-KiB/sub	140 loaded-KiB/sub
BenchmarkFanout/over=relay/subs=1200/size=6250/rate=10	90000	54 cpu-µs/obj	80 server-%
BenchmarkFanout/over=relay/subs=300/size=6250/rate=10	90000	54 cpu-µs/obj	20 server-%
BenchmarkSession/over=bulk/size=65536/streams=1	900	480 MB/s
BenchmarkSession/over=bare-bulk/size=65536/streams=1	900	500 MB/s
BenchmarkMultipath/scenario=bulk-10+2/peer=bond/on=netsim	900	93 %-of-links	0 %-late@500	40 gap-ms
BenchmarkMultipath/scenario=bulk-10+2/peer=single/on=netsim	900	79 %-of-links	0 %-late@500	40 gap-ms
BenchmarkMultipath/scenario=bulk-5+3/peer=bond/on=netsim	900	92 %-of-links	0 %-late@500	40 gap-ms
bar  CPU per byte / bare quic-go  1.200 x  target <= 1.100  fails > 1.250  missed
bar  handshakes  701.5 /s  target -  fails -  -  # 0 refused
bar  CPU per byte / bare quic-go  1.013 x  target <= 1.100  fails > 1.250  ok
`

func TestWrite(t *testing.T) {
	r, err := Read(strings.NewReader(printed))
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := r.median("Fanout/over=relay/subs=300/size=8192/rate=30", "cpu-µs/obj"); !ok || v != 56 {
		t.Errorf("median = %v, %v, want 56", v, ok)
	}
	dir := t.TempDir()
	page := filepath.Join(dir, "page.md")
	if err := os.WriteFile(page, []byte("before\n<!-- figures -->\nold\n<!-- end of figures -->\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it replaces itself
		written, err := r.Write(dir, page)
		if err != nil || len(written) != 7 {
			t.Fatalf("Write() = %v, %v, want six charts and the page", written, err)
		}
	}
	text, _ := os.ReadFile(page)
	want := "before\n<!-- figures -->\n\nMeasured on Some CPU (2 cores), Linux , Go , Tributary ; load of the machine before: 0.10 0.20 0.30.\n\n" +
		"| measure | figure | target | fails | verdict |\n| --- | --- | --- | --- | --- |\n" +
		"| CPU per byte / bare quic-go | 1.013 x | <= 1.100 | > 1.250 | ok |\n| handshakes | 701.5 /s | - | - | - (0 refused) |\n\n" +
		"<!-- end of figures -->\nafter\n"
	if string(text) != want {
		t.Errorf("page is\n%s\nwant\n%s", text, want)
	}
	for _, name := range []string{"cpu.svg", "delay.svg", "memory.svg", "viewers.svg", "session.svg", "bulk.svg"} {
		svg, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		d := xml.NewDecoder(strings.NewReader(string(svg)))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Errorf("%s is no XML: %v", name, err)
				break
			}
		}
		if strings.Contains(string(svg), "NaN") || strings.Contains(string(svg), "Inf") {
			t.Errorf("%s has a coordinate that is no number:\n%s", name, svg)
		}
	}
	viewers, _ := os.ReadFile(filepath.Join(dir, "viewers.svg"))
	if i, j := strings.Index(string(viewers), ">300<"), strings.Index(string(viewers), ">1200<"); i < 0 || j < i {
		t.Errorf("viewers are not in order of their number:\n%s", viewers)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, text := range []string{"hello", "BenchmarkX\t1", "BenchmarkX\t1\tx ms", "BenchmarkX\t1\t3", "bar  too  few"} {
		if _, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("Read(%q) = %v, want an error with the line", text, err)
		}
	}
}

func TestPageWithoutPlace(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	os.WriteFile(page, []byte("nothing"), 0o600)
	if _, err := (&Results{}).Write(t.TempDir(), page); err == nil {
		t.Error("a page without the comments was taken")
	}
}

func TestScale(t *testing.T) {
	for _, most := range []float64{0, 0.003, 1, 9.99, 55, 100, 512} {
		top, step := scale(most)
		if lines := top / step; top < most || lines > 12 || math.Abs(lines-math.Round(lines)) > 1e-9 {
			t.Errorf("scale(%v) = %v, %v", most, top, step)
		}
	}
}
