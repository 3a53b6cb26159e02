// Package figures makes pictures and a table of what moq-bench has printed.
package figures

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Results are the lines of one or more runs of moq-bench.
type Results struct {
	machine map[string]string
	runs    map[string]map[string][]float64 // by name of the benchmark, then by unit
	bars    []bar
}

// bar is a figure with its verdict, as text.
type bar struct{ name, value, target, fails, verdict, note string }

var (
	key     = regexp.MustCompile(`^([a-z]+): (.*)$`)
	columns = regexp.MustCompile(` {2,}`)
)

// Read reads what moq-bench has printed. Lines of other form are an error, so
// that a picture does not leave out what could not be read.
func Read(in io.Reader) (*Results, error) {
	r := &Results{machine: make(map[string]string), runs: make(map[string]map[string][]float64)}
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		if err := r.line(strings.TrimSpace(lines.Text())); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return r, lines.Err()
}

func (r *Results) line(text string) error {
	switch m := key.FindStringSubmatch(text); {
	case text == "":
		return nil
	case m != nil:
		if _, ok := r.machine[m[1]]; !ok {
			r.machine[m[1]] = m[2]
		}
		return nil
	case strings.HasPrefix(text, "bar  "):
		return r.bar(text)
	}
	name, ok := strings.CutPrefix(text, "Benchmark")
	fields := strings.Split(name, "\t")
	if !ok || len(fields) < 3 {
		return fmt.Errorf("%q is neither a benchmark nor a bar", text)
	}
	units := r.runs[fields[0]]
	if units == nil {
		units = make(map[string][]float64)
		r.runs[fields[0]] = units
	}
	for _, f := range fields[2:] {
		value, unit, ok := strings.Cut(f, " ")
		v, err := strconv.ParseFloat(value, 64)
		if !ok || err != nil {
			return fmt.Errorf("%q is no figure with a unit", f)
		}
		units[unit] = append(units[unit], v)
	}
	return nil
}

func (r *Results) bar(text string) error {
	text, note, _ := strings.Cut(text, "  # ")
	f := columns.Split(text, -1)
	if len(f) != 6 {
		return fmt.Errorf("%q has not the columns of a bar", text)
	}
	b := bar{name: f[1], value: f[2], target: strings.TrimPrefix(f[3], "target "), fails: strings.TrimPrefix(f[4], "fails "), verdict: f[5], note: note}
	if i := slices.IndexFunc(r.bars, func(old bar) bool { return old.name == b.name }); i >= 0 {
		r.bars[i] = b // the newer one
		return nil
	}
	r.bars = append(r.bars, b)
	return nil
}

// median returns the middle of the figures of a benchmark, or false if there are
// none.
func (r *Results) median(name, unit string) (float64, bool) {
	list := slices.Sorted(slices.Values(r.runs[name][unit]))
	switch n := len(list); {
	case n == 0:
		return 0, false
	case n%2 == 1:
		return list[n/2], true
	default:
		return (list[n/2-1] + list[n/2]) / 2, true
	}
}

// matching returns the names of benchmarks that match, and what the group of the
// expression found in each, in ascending order of that if it is a number.
func (r *Results) matching(expr *regexp.Regexp) (names, parts []string) {
	for name := range r.runs {
		if expr.MatchString(name) {
			names = append(names, name)
		}
	}
	part := func(name string) string { return expr.FindStringSubmatch(name)[1] }
	slices.SortFunc(names, func(a, b string) int {
		x, errX := strconv.Atoi(part(a))
		y, errY := strconv.Atoi(part(b))
		if errX == nil && errY == nil {
			return x - y
		}
		return strings.Compare(part(a), part(b))
	})
	for _, n := range names {
		parts = append(parts, part(n))
	}
	return names, parts
}

// Table returns the bars as Markdown, after a line that says what they were
// measured on.
func (r *Results) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s (%s cores), Linux %s, Go %s, Tributary %s; load of the machine before: %s.\n\n",
		r.machine["cpu"], r.machine["cores"], r.machine["kernel"], r.machine["go"], r.machine["version"], r.machine["load"])
	b.WriteString("| measure | figure | target | fails | verdict |\n| --- | --- | --- | --- | --- |\n")
	for _, row := range r.bars {
		verdict := row.verdict
		if row.note != "" {
			verdict += " (" + row.note + ")"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", row.name, row.value, row.target, row.fails, verdict)
	}
	return b.String()
}
