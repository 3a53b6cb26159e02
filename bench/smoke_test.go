package bench_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
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

// line is a line of the Go benchmark format.
type line struct {
	name    string
	n       int
	metrics map[string]float64
}

var barLine = regexp.MustCompile(`^bar  .*\S {2,}(\S.*?) {2,}target (\S.*?) {2,}fails (\S.*?) {2,}(ok|missed|FAIL|-)(  # .*)?$`)

// measure runs moq-bench and returns its lines, and how many bars it printed. Whether
// a bar was met is a matter of the machine and not of this test.
func measure(t *testing.T, args ...string) (lines []line, bars int) {
	t.Helper()
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
		if strings.HasPrefix(text, "# ") {
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
	lines, bars := measure(t, "session", "--size", "1000", "--size", "65536", "--streams", "1", "--streams", "3", "--runs", "1", "--duration", "50ms", "--warm-up", "10ms")
	if len(lines) != 8 || bars != 4 {
		t.Fatalf("%d lines and %d bars, want 8 and 4", len(lines), bars)
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
