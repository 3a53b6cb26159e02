package bench

import (
	"math"
	"strings"
	"testing"
)

func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		name  string
		value float64
		bound *Bound
		want  Verdict
	}{
		{"at the target", 1.1, AtMost(1.1, 1.25), Met},
		{"between", 1.2, AtMost(1.1, 1.25), Missed},
		{"at the fail bound", 1.25, AtMost(1.1, 1.25), Missed},
		{"beyond", 1.26, AtMost(1.1, 1.25), Failed},
		{"never fails", 100, AtMost(1.1, Never), Missed},
		{"at least, met", 0.95, AtLeast(0.95, 0.8), Met},
		{"at least, missed", 0.9, AtLeast(0.95, 0.8), Missed},
		{"at least, failed", 0.7, AtLeast(0.95, 0.8), Failed},
		{"nothing may be lost", 0, AtMost(0, 0), Met},
		{"something was", 1, AtMost(0, 0), Failed},
		{"no bound", 7, nil, Told},
		{"no figure", math.NaN(), AtMost(1, 2), Told},
	} {
		b := Bar{Name: tt.name, Value: tt.value, Bound: tt.bound}
		if got := b.Verdict(); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		var out strings.Builder
		if good := PrintBars(&out, []Bar{b}); good != (tt.want != Failed) || !strings.Contains(out.String(), "  "+string(tt.want)+"\n") {
			t.Errorf("%s: PrintBars() = %v and %q", tt.name, good, out.String())
		}
	}
}

func TestQuantileAndMedian(t *testing.T) {
	list := []int{5, 1, 4, 2, 3}
	for q, want := range map[float64]int{0: 1, 0.5: 3, 0.9: 5, 1: 5} {
		if got := quantile(list, q); got != want {
			t.Errorf("quantile(%v) = %v, want %v", q, got, want)
		}
	}
	if got := quantile([]int(nil), 0.5); got != 0 {
		t.Errorf("quantile of nothing = %v, want 0", got)
	}
	same := func(v float64) float64 { return v }
	for _, tt := range []struct {
		list []float64
		want float64
	}{{nil, 0}, {[]float64{7}, 7}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := Median(tt.list, same); got != tt.want {
			t.Errorf("Median(%v) = %v, want %v", tt.list, got, tt.want)
		}
	}
}

func TestTally(t *testing.T) {
	ty := newTally(3)
	p := make([]byte, stampSize)
	for _, n := range []int{2, 0, 2, 3, -1} { // one twice, two that are not counted
		stamp(p, n)
		ty.take(p)
	}
	if ty.count != 2 || ty.doubled != 1 || ty.lost() != 1 || len(ty.ages) != 2 {
		t.Errorf("count %d, doubled %d, lost %d, %d ages; want 2, 1, 1, 2", ty.count, ty.doubled, ty.lost(), len(ty.ages))
	}
	select {
	case <-ty.full:
		t.Error("full with one missing")
	default:
	}
	stamp(p, 1)
	ty.take(p)
	<-ty.full
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 12: "12", -3: "-3", 0.12345: "0.1235", 1.23456: "1.235", 1234.56: "1234.6", math.Inf(1): "+Inf"} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
}
