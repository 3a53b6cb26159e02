package bench_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// bin is where TestMain has built moq-bench and the relay that it measures.
var bin string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	build := exec.Command("go", "build", "-o", dir+"/", "../cmd/moq-bench", "../cmd/moq-relay")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %v\n%s", build.Args, err, out)
		return 1
	}
	return m.Run()
}

// lookAtSources stats every source file. The go command keeps a result for as long
// as the files that a test has looked at stay the same, and does not see what
// TestMain builds.
var lookAtSources = sync.OnceFunc(func() {
	filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "node_modules" {
			return fs.SkipDir
		}
		if filepath.Ext(name) == ".go" {
			os.Stat(name)
		}
		return nil
	})
})

// line is a line of the Go benchmark format.
type line struct {
	name    string
	n       int
	metrics map[string]float64
}

var barLine = regexp.MustCompile(`^bar  .*\S {2,}(\S.*?) {2,}target (\S.*?) {2,}fails (\S.*?) {2,}(ok|missed|FAIL|-)(  # .*)?$`)

// keyLine tells something of the machine.
var keyLine = regexp.MustCompile(`^[a-z]+: \S`)

// measure runs moq-bench and returns its lines, and how many bars it printed. Whether
// a bar was met is a matter of the machine and not of this test.
func measure(t *testing.T, args ...string) (lines []line, bars int) {
	t.Helper()
	lookAtSources()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "moq-bench"), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && !strings.Contains(stderr.String(), "beyond the bound") {
		t.Fatalf("moq-bench %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	for text := range strings.Lines(string(out)) {
		text = strings.TrimSuffix(text, "\n")
		if strings.HasPrefix(text, "bar ") {
			if !barLine.MatchString(text) {
				t.Errorf("bar cannot be read: %q", text)
			}
			bars++
			continue
		}
		if keyLine.MatchString(text) {
			continue
		}
		lines = append(lines, parse(t, text))
	}
	return lines, bars
}

func parse(t *testing.T, text string) line {
	t.Helper()
	fields := strings.Split(text, "\t")
	name, ok := strings.CutPrefix(fields[0], "Benchmark")
	if !ok || len(fields) < 3 {
		t.Fatalf("%q is no line of a benchmark", text)
	}
	l := line{name: name, metrics: make(map[string]float64)}
	var err error
	if l.n, err = strconv.Atoi(fields[1]); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	for _, f := range fields[2:] {
		value, unit, ok := strings.Cut(f, " ")
		v, err := strconv.ParseFloat(value, 64)
		if !ok || err != nil {
			t.Fatalf("%q: metric %q cannot be read", text, f)
		}
		l.metrics[unit] = v
	}
	return l
}

func (l line) want(t *testing.T, unit string, want float64) {
	t.Helper()
	if got, ok := l.metrics[unit]; !ok || got != want {
		t.Errorf("%s: %v %s, want %v", l.name, got, unit, want)
	}
}

func TestFanout(t *testing.T) {
	t.Parallel()
	kinds := []string{"relay", "webtransport", "bare", "tcp", "tls"}
	lines, _ := measure(t, "fanout", "--over", strings.Join(kinds, ","), "--subs", "3", "--size", "200", "--rate", "40", "--group", "7", "--duration", "500ms")
	if len(lines) != len(kinds) {
		t.Fatalf("%d lines, want one for each of %v", len(lines), kinds)
	}
	for i, l := range lines {
		if want := "Fanout/over=" + kinds[i] + "/subs=3/size=200/rate=40"; l.name != want {
			t.Errorf("line %d is %s, want %s", i, l.name, want)
		}
		if l.n != 3*20 {
			t.Errorf("%s: %d objects received, want 60", l.name, l.n)
		}
		l.want(t, "lost", 0)
		l.want(t, "doubled", 0)
		if l.metrics["cpu-µs/obj"] <= 0 || l.metrics["rss-MiB"] <= 0 {
			t.Errorf("%s: %v, want the server's CPU and memory", l.name, l.metrics)
		}
	}
}

func TestFanoutWithSlow(t *testing.T) {
	t.Parallel()
	lines, _ := measure(t, "fanout", "--slow", "--subs", "3", "--size", "4000", "--rate", "40", "--duration", "1s")
	if len(lines) != 1 || lines[0].n != 2*40 {
		t.Fatalf("%v, want one line with the 80 objects of two subscribers", lines)
	}
	lines[0].want(t, "lost", 0)
	if _, ok := lines[0].metrics["slow-groups"]; !ok {
		t.Errorf("%v, want how far behind the slow subscriber was", lines[0])
	}
}

func TestSession(t *testing.T) {
	t.Parallel()
	lines, bars := measure(t, "session", "--size", "1000", "--size", "65536", "--streams", "1", "--streams", "3", "--runs", "1", "--duration", "500ms", "--warm-up", "50ms")
	if len(lines) != 8 || bars != 3*4 {
		t.Fatalf("%d lines and %d bars, want 8 and 12", len(lines), bars)
	}
	for _, l := range lines {
		if l.n < 1 || l.metrics["MB/s"] <= 0 {
			t.Errorf("%+v, want objects and a rate", l)
		}
	}
}

func TestUrgent(t *testing.T) {
	t.Parallel()
	lines, bars := measure(t, "urgent", "--runs", "1", "--duration", "400ms", "--interval", "100ms", "--warm-up", "200ms", "--rtt", "4ms")
	if len(lines) != 6 || bars != 3+3+2+2 {
		t.Fatalf("%d lines and %d bars, want 6 and 10", len(lines), bars)
	}
	for _, l := range lines {
		if l.n != 4 {
			t.Errorf("%s: %d urgent objects, want 4", l.name, l.n)
		}
	}
}

func TestJoin(t *testing.T) {
	t.Parallel()
	lines, _ := measure(t, "join", "--joins", "6", "--sessions", "2", "--size", "300")
	if len(lines) != 2 || lines[0].n != 6 || lines[1].n != 6 {
		t.Fatalf("%v, want two lines of 6 joins", lines)
	}
}

func TestStorm(t *testing.T) {
	t.Parallel()
	lines, _ := measure(t, "storm", "--subs", "8", "--within", "50ms", "--rate", "40")
	if len(lines) != 1 || lines[0].n != 8 {
		t.Fatalf("%v, want a line of 8 subscribers", lines)
	}
	for unit, want := range map[string]float64{"upstream-subscribes": 1, "upstream-copies": 1, "lost": 0, "doubled": 0} {
		lines[0].want(t, unit, want)
	}
}

func TestHandshakes(t *testing.T) {
	t.Parallel()
	lines, _ := measure(t, "handshakes", "--at-once", "2", "--inside", "2", "--duration", "300ms")
	if len(lines) != 2 {
		t.Fatalf("%v, want a line without bound and one with it", lines)
	}
	for _, l := range lines {
		if l.n < 1 {
			t.Errorf("%s: no session was opened", l.name)
		}
		l.want(t, "failed", 0)
		l.want(t, "lost-inside", 0)
	}
}

func TestTwins(t *testing.T) {
	t.Parallel()
	lines, _ := measure(t, "twins", "--kills", "4", "--at-once", "2", "--objects", "60")
	if len(lines) != 1 || lines[0].n != 4 {
		t.Fatalf("%v, want a line of 4 kills", lines)
	}
	lines[0].want(t, "missing", 0)
	lines[0].want(t, "doubled", 0)
}

func TestSoak(t *testing.T) {
	t.Parallel()
	lines, bars := measure(t, "soak", "--duration", "1500ms", "--mark", "500ms", "--every", "200ms", "--tracks", "3", "--rate", "1000000", "--kill", "0", "--drain", "20s")
	samples, total := 0, lines[len(lines)-1]
	for _, l := range lines[:len(lines)-1] {
		if !strings.HasPrefix(l.name, "Soak/second=") || l.metrics["rss-MiB"] <= 0 || l.metrics["heap-MiB"] <= 0 || l.metrics["goroutines"] <= 0 {
			t.Errorf("%+v is no sample", l)
		}
		samples++
	}
	if samples < 5 || bars != 5 {
		t.Errorf("%d samples and %d bars, want one sample each 200 ms, and 5", samples, bars)
	}
	if total.n < 1 || total.metrics["tracks"] < 3 {
		t.Fatalf("%v, want a line with objects of 3 tracks at least", total)
	}
	total.want(t, "goroutines-left", 0)
	total.want(t, "fds-left", 0)
	total.want(t, "cache-left", 0)
}

func TestSRS(t *testing.T) {
	t.Parallel()
	lines, bars := measure(t, "srs", "--points", "1", "--duration", "500ms")
	if len(lines) != 1 || lines[0].name != "Fanout/over=relay/subs=300/size=6250/rate=10" || bars != 2 {
		t.Errorf("%v and %d bars, want the line of 300 viewers, and their CPU and memory", lines, bars)
	}
}

// TestBarsRelay measures the sections that take the least; that it exits with
// its own code is seen by measure.
func TestBarsRelay(t *testing.T) {
	t.Parallel()
	_, bars := measure(t, "bars", "relay", "--quick", "--only", "^(join|storm|unloaded)$")
	if bars != 2+4+2 {
		t.Errorf("%d bars, want 8", bars)
	}
}

// TestPlot draws what other commands have printed.
func TestPlot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	printed := filepath.Join(dir, "printed.txt")
	session := exec.CommandContext(t.Context(), filepath.Join(bin, "moq-bench"), "session", "--size", "1000", "--streams", "1", "--runs", "1", "--duration", "30ms", "--warm-up", "10ms")
	out, err := session.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(printed, out, 0o600); err != nil {
		t.Fatal(err)
	}
	plot := exec.CommandContext(t.Context(), filepath.Join(bin, "moq-bench"), "plot", "--out", dir, printed)
	if out, err := plot.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != filepath.Join(dir, "session.svg") {
		t.Fatalf("plot: %v, %q; want session.svg", err, out)
	}
	if svg, err := os.ReadFile(filepath.Join(dir, "session.svg")); err != nil || !strings.HasPrefix(string(svg), "<svg ") {
		t.Errorf("session.svg: %v, %.40q", err, svg)
	}
}

func TestMistakesAreTold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, want string }{
		{"fanout --over bare,tls moqt://localhost", "--over"},
		{"fanout --subs 0", "cannot be run"},
		{"fanout --relay /nowhere/moq-relay", "/nowhere/moq-relay"},
		{"fanout --over pigeon", "pigeon"},
		{"urgent --way up", "--way"},
		{"soak --mark 1h", "--mark"},
		{"bars relay --only (", "--only"},
		{"plot", "files"},
	} {
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "moq-bench"), strings.Fields(tt.args)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err == nil || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("moq-bench %s: %v, %q; want a failure that names %q", tt.args, err, stderr.String(), tt.want)
		}
	}
}
