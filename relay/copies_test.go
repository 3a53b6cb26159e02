package relay_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tributary-live/tributary/relay"
)

// TestCopiesAreMeasured has two publishers of one track, of which the second comes
// 40 ms after the first with each object, and stops half a second before the end:
// the state tells how each fares.
func TestCopiesAreMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		r := newRelay(t, relay.Config{Metrics: relay.NewMetrics(reg)})
		first := publish(t, connect(t, r, nil), track)
		second := publish(t, connect(t, r, nil), track)
		synctest.Wait()
		if _, err := connect(t, r, nil).Subscribe(t.Context(), track, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for g := range uint64(4) {
			for id := range uint64(10) {
				first.write(g, id)
				time.Sleep(40 * time.Millisecond)
				if g < 3 || id < 5 {
					second.write(g, id)
				}
				time.Sleep(60 * time.Millisecond)
			}
		}
		synctest.Wait()
		copies := r.State().Tracks[0].Copies
		if len(copies) != 2 || copies[0].Session >= copies[1].Session {
			t.Fatalf("copies %+v, want those of two sessions", copies)
		}
		a, b := copies[0], copies[1]
		if a.Objects != 40 || a.Picks+b.Picks != 40 || b.Picks > 1 || a.FPS != 10 || a.Gap != 100 || a.Lateness > 1 || a.Groups != 1000 {
			t.Errorf("the first is %+v, want 40 objects, all picked but perhaps the first, 10 a second, 100 ms apart, and a group a second", a)
		}
		if b.Objects != 35 || b.FPS != 7.5 || b.Gap != 560 || b.Lateness < 30 || b.Lateness > 40 || b.Groups != 1000 {
			t.Errorf("the second is %+v, want 35 objects, 7.5 a second with a gap of 560 ms, 40 ms late", b)
		}
		if b.Bytes == 0 || b.Bytes >= a.Bytes {
			t.Errorf("%d and %d bytes", a.Bytes, b.Bytes)
		}
		// Of all copies together, nothing but the distribution is kept.
		if n, sum := distribution(t, reg, "moq_relay_copy_group_seconds"); n != 6 || sum < 5.9 || sum > 6.1 {
			t.Errorf("%d distances of groups, %v s in all; want 3 of each copy, a second each", n, sum)
		}
		time.Sleep(time.Second)
		first.write(3, 10)
		synctest.Wait()
		if n, sum := distribution(t, reg, "moq_relay_copy_gap_seconds"); n != 1 || sum < 1 || sum > 1.2 {
			t.Errorf("%d gaps, %v s in all; want the second before the last object alone", n, sum)
		}
	})
}

// distribution returns the number and the sum of what a histogram has observed.
func distribution(t *testing.T, reg *prometheus.Registry, name string) (uint64, float64) {
	t.Helper()
	h := gathered(t, reg, name).GetHistogram()
	return h.GetSampleCount(), h.GetSampleSum()
}
