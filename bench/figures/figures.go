package figures

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// The figures, by the name of their file.
func (r *Results) charts() map[string]*chart {
	charts := map[string]*chart{
		"session.svg":   r.session(),
		"urgent.svg":    r.byKind("8 kB urgent objects beside a track that fills 10 Mbit/s: age", "ms", regexp.MustCompile(`^Urgent/over=([^/]+)/`), "p50-ms", "p99-ms"),
		"viewers.svg":   r.viewers(),
		"bulk.svg":      r.multipath("Bulk over two links: share of their rate", "%", "%-of-links", "netsim", `bulk-(.*)`),
		"bulk-real.svg": r.multipath("Bulk over two links between network namespaces: share of their rate", "%", "%-of-links", "lab", `bulk-(.*)`),
		"traces.svg":    r.multipath("Real links replayed: pictures that take more than 500 ms, or never come", "%", "%-late@500", "netsim", `([A-E]-cbr-\d)-.*`),
		"cut.svg":       r.multipath("A link of two is cut: longest time without a new picture", "ms", "gap-ms", "netsim", `cut-(.*)`),
		"soak.svg":      r.soak(),
	}
	for _, subs := range []string{"300", "150"} { // the full form, else the quick one
		over := regexp.MustCompile(`^Fanout/over=([^/]+)/subs=` + subs + `/size=8192/rate=30$`)
		if names, _ := r.matching(over); len(names) > 0 {
			charts["cpu.svg"] = r.byKind("CPU of the server for an object of 8 kB and a subscriber, "+subs+" subscribers", "µs", over, "cpu-µs/obj")
			charts["delay.svg"] = r.byKind("Age of an object of 8 kB when a subscriber has it, "+subs+" subscribers", "ms", over, "p50-ms", "p99-ms")
			charts["memory.svg"] = r.byKind("Memory of the server for a subscriber, "+subs+" subscribers", "KiB", over, "idle-KiB/sub", "loaded-KiB/sub")
			break
		}
	}
	for name, c := range charts {
		if c == nil || len(c.labels) == 0 {
			delete(charts, name)
		}
	}
	return charts
}

// byKind has a label for each match of the expression's group, and a series for
// each unit.
func (r *Results) byKind(title, unit string, expr *regexp.Regexp, units ...string) *chart {
	names, parts := r.matching(expr)
	c := &chart{title: title, unit: unit, labels: parts}
	for _, u := range units {
		c.series = append(c.series, r.values(strings.TrimSuffix(strings.TrimSuffix(u, "-ms"), "-KiB/sub"), names, u))
	}
	return c
}

func (r *Results) values(label string, names []string, unit string) series {
	s := series{name: label}
	for _, n := range names {
		v, ok := r.median(n, unit)
		s.values = append(s.values, orNone(v, ok))
	}
	return s
}

// orNone returns v, or what is not drawn if there is none.
func orNone(v float64, ok bool) float64 {
	if !ok {
		return math.NaN()
	}
	return v
}

// session compares the throughputs by size and number of streams.
func (r *Results) session() *chart {
	c := &chart{title: "Throughput over loopback, by size of object and number of streams", unit: "MB/s"}
	for _, kind := range []struct{ kind, name string }{{"bulk", "session"}, {"bare-bulk", "bare quic-go"}} {
		s := series{name: kind.name}
		c.labels = nil
		for _, streams := range []string{"1", "100"} {
			names, sizes := r.matching(regexp.MustCompile(`^Session/over=` + kind.kind + `/size=(\d+)/streams=` + streams + `$`))
			s.values = append(s.values, r.values("", names, "MB/s").values...)
			for _, size := range sizes {
				n, _ := strconv.Atoi(size) // the expression has seen to it
				c.labels = append(c.labels, fmt.Sprintf("%s kB x %s", short(float64(n)/1024), streams))
			}
		}
		c.series = append(c.series, s)
	}
	return c
}

// srsCPU is what SRS 0.5 tells of itself for viewers of 500 kbit/s over RTMP.
var srsCPU = map[string]float64{"300": 18.8, "600": 32.1, "900": 49.9, "1200": 72.4, "1500": 81.9, "1800": 90.2}

func (r *Results) viewers() *chart {
	names, viewers := r.matching(regexp.MustCompile(`^Fanout/over=relay/subs=(\d+)/size=6250/rate=10$`))
	theirs := series{name: "SRS 0.5, RTMP, a laptop of 2013"}
	for _, v := range viewers {
		theirs.values = append(theirs.values, srsCPU[v])
	}
	return &chart{title: "CPU by viewers of 500 kbit/s", unit: "% of a core", labels: viewers, lines: true,
		series: []series{r.values("moq-relay, QUIC", names, "server-%"), theirs}}
}

// maxTimes is how many times there is room for below a chart.
const maxTimes = 16

// soak shows what a relay holds while tracks and subscribers come and go.
func (r *Results) soak() *chart {
	names, seconds := r.matching(regexp.MustCompile(`^Soak/second=(\d+)$`))
	c := &chart{title: "Memory of the relay while tracks and subscribers come, go and die", unit: "MiB", lines: true}
	step := max(1, (len(names)+maxTimes-1)/maxTimes)
	var some []string
	for i := step - 1; i < len(names); i += step {
		some = append(some, names[i])
		n, _ := strconv.Atoi(seconds[i]) // the expression has seen to it
		label := fmt.Sprintf("%d s", n)
		if n >= 60 {
			label = short(float64(n)/60) + " min"
		}
		c.labels = append(c.labels, label)
	}
	for _, s := range []struct{ label, unit string }{{"resident", "rss-MiB"}, {"live heap after a collection", "heap-MiB"}, {"cache", "cache-MiB"}} {
		c.series = append(c.series, r.values(s.label, some, s.unit))
	}
	return c
}

// Write draws all figures for which there are results into dir, and puts the
// table into page, between two comments, <!-- figures --> and
// <!-- end of figures -->. It returns the files it has written.
func (r *Results) Write(dir, page string) (written []string, err error) {
	for name, c := range r.charts() {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(c.svg()), 0o644); err != nil {
			return written, err
		}
		written = append(written, file)
	}
	if page == "" {
		return written, nil
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return written, err
	}
	const begin, end = "<!-- figures -->\n", "<!-- end of figures -->"
	before, rest, found := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return written, fmt.Errorf("%s has no place for the table: %s and %s", page, strings.TrimSpace(begin), end)
	}
	if err := os.WriteFile(page, []byte(before+begin+"\n"+r.Table()+"\n"+end+after), 0o644); err != nil {
		return written, err
	}
	return append(written, page), nil
}
