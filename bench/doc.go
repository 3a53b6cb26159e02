// Package bench measures sessions and relays. Its results are printed in the Go
// benchmark format, so that benchstat can compare them, with a line for each bar
// that says whether it was met.
//
// What is measured is a ratio wherever that is possible: the relay to a fan-out
// on bare quic-go, to TCP, to TLS; a session to a bare connection. The two sides
// of a ratio run by turns, several times, and the medians are compared, because
// the same run differs by a seventh on a machine that others use too.
//
// The server of a measurement is a process of its own on one core, and this
// process, which makes the load, is on another ([Isolate]).
package bench

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Metric is one figure of a line.
type Metric struct {
	Value float64
	Unit  string
}

// WriteLine prints one result in the Go benchmark format. n is how many times
// was done what the figures are about.
func WriteLine(w io.Writer, name string, n int, metrics ...Metric) {
	var b strings.Builder
	fmt.Fprintf(&b, "Benchmark%s\t%d", name, n)
	for _, m := range metrics {
		fmt.Fprintf(&b, "\t%s %s", number(m.Value), m.Unit)
	}
	fmt.Fprintln(w, b.String())
}

// number prints v with three digits behind those it needs to be told.
func number(v float64) string {
	switch {
	case v == float64(int64(v)):
		return fmt.Sprintf("%d", int64(v))
	case v >= 100 || v <= -100:
		return fmt.Sprintf("%.1f", v)
	case v >= 1 || v <= -1:
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.4f", v)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// quantile returns the q-quantile of list, which it sorts: the least value that
// is not exceeded by the fraction q of them. It is zero if there are none.
func quantile[T cmp.Ordered](list []T, q float64) T {
	var none T
	if len(list) == 0 {
		return none
	}
	slices.Sort(list)
	return list[min(len(list)-1, int(q*float64(len(list))))]
}

// Median returns the middle of the values that f takes of list.
func Median[R any](list []R, f func(R) float64) float64 {
	values := make([]float64, len(list))
	for i, r := range list {
		values[i] = f(r)
	}
	slices.Sort(values)
	switch n := len(values); {
	case n == 0:
		return 0
	case n%2 == 1:
		return values[n/2]
	default:
		return (values[n/2-1] + values[n/2]) / 2
	}
}

// ratio is a divided by b, 0 where there is nothing to divide by.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
