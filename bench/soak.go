package bench

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"
)

// Sample is how large a relay is.
type Sample struct {
	RSS, Heap, Cache float64 // bytes: resident, live after a collection, of the cache
	Goroutines, FDs  float64
}

// timedSample is one that was taken at a time after the load began.
type timedSample struct {
	at time.Duration
	Sample
}

// samples are taken one after another.
type samples []timedSample

// around returns the medians of those taken within d before at, or at it.
func (l samples) around(at, d time.Duration) Sample {
	var in samples
	for _, s := range l {
		if s.at <= at && s.at >= at-d {
			in = append(in, s)
		}
	}
	of := func(f func(timedSample) float64) float64 { return Median(in, f) }
	return Sample{
		RSS: of(func(s timedSample) float64 { return s.RSS }), Heap: of(func(s timedSample) float64 { return s.Heap }),
		Cache:      of(func(s timedSample) float64 { return s.Cache }),
		Goroutines: of(func(s timedSample) float64 { return s.Goroutines }), FDs: of(func(s timedSample) float64 { return s.FDs }),
	}
}

// watch samples the relay every so often, and at mark, until the load has run for
// length, and writes each sample as a Go benchmark line.
func (s *server) watch(ctx context.Context, w io.Writer, every, mark, length time.Duration) (samples, error) {
	const mib = 1 << 20
	began := time.Now()
	var list samples
	for next := min(every, mark); ; {
		if err := pause(ctx, time.Until(began.Add(next))); err != nil {
			return list, err
		}
		now, err := s.sample(ctx)
		if err != nil {
			return list, err
		}
		list = append(list, timedSample{next, now})
		WriteLine(w, fmt.Sprintf("Soak/second=%d", int(math.Round(next.Seconds()))), 1, Metric{now.RSS / mib, "rss-MiB"}, Metric{now.Heap / mib, "heap-MiB"},
			Metric{now.Cache / mib, "cache-MiB"}, Metric{now.Goroutines, "goroutines"}, Metric{now.FDs, "fds"})
		if next >= length {
			return list, nil
		}
		after := min(next+every, length)
		if next < mark {
			after = min(after, mark)
		}
		next = after
	}
}

// sample measures the relay. Its resident memory is taken before the collection
// that tells what is live.
func (s *server) sample(ctx context.Context) (Sample, error) {
	u := s.usage()
	if err := s.collect(ctx); err != nil {
		return Sample{}, err
	}
	m, err := s.metrics(ctx)
	if err != nil {
		return Sample{}, err
	}
	return Sample{RSS: float64(u.RSS), Heap: m["go_memstats_heap_alloc_bytes"], Cache: m["moq_relay_cache_bytes"],
		Goroutines: m["go_goroutines"], FDs: float64(u.FDs)}, nil
}

// drained samples until the relay has no more goroutines, files and cached bytes
// than before, or it takes too long.
func (s *server) drained(ctx context.Context, before Sample, patience time.Duration) (Sample, error) {
	for end := time.Now().Add(patience); ; {
		now, err := s.sample(ctx)
		if err != nil || now.Goroutines <= before.Goroutines && now.FDs <= before.FDs && now.Cache == 0 || time.Now().After(end) {
			return now, err
		}
		if err := pause(ctx, min(time.Second, patience)); err != nil {
			return now, err
		}
	}
}

// Bars says whether the relay has grown since the mark, and whether all was as
// before when everybody had left.
func (r *ChurnResult) Bars() []Bar {
	left := func(after, before float64) float64 { return math.Max(0, after-before) }
	return []Bar{
		{Name: fmt.Sprintf("live heap after %v / after %v", r.Duration, r.Mark), Unit: "x", Value: ratio(r.End.Heap, r.Marked.Heap), Bound: AtMost(1.05, Never)},
		{Name: fmt.Sprintf("memory after %v / after %v", r.Duration, r.Mark), Unit: "x", Value: ratio(r.End.RSS, r.Marked.RSS), Bound: AtMost(1.05, Never)},
		{Name: "goroutines left when all have gone", Value: left(r.Drained.Goroutines, r.Before.Goroutines), Bound: AtMost(0, Never)},
		{Name: "files left open", Value: left(r.Drained.FDs, r.Before.FDs), Bound: AtMost(0, Never)},
		{Name: "bytes left in the cache", Unit: "B", Value: r.Drained.Cache, Bound: AtMost(0, Never)},
	}
}
