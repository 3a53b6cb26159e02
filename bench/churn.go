package bench

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// ChurnConfig is tracks that begin and end and subscribers that come and go, at
// random, with publishers that die at times.
type ChurnConfig struct {
	Relay    Relay // with the bytes of its cache
	Tracks   int   // at once
	Rate     int64 // bytes a second that all of them publish
	Duration time.Duration
	Mark     time.Duration // when the first of two samples is taken
	Kill     float64       // share of the publishers that die without a word
	Drain    time.Duration // the longest to wait at the end until the relay is as it was
}

// Sample is how large a relay is.
type Sample struct {
	RSS, Heap, Cache float64 // bytes: resident, live after a collection, of the cache
	Goroutines, FDs  float64
}

// ChurnResult is how large the relay was before, at the mark, at the end, and
// when all had left.
type ChurnResult struct {
	ChurnConfig
	Before, Marked, End, Drained Sample
	Published                    int // tracks
	Objects                      int
}

// CacheRatio is the memory that the load had taken by the mark, for each byte the
// cache may have.
func (r *ChurnResult) CacheRatio() float64 {
	return ratio(r.Marked.RSS-r.Before.RSS, float64(r.Relay.CacheBytes))
}

// Print writes the result as a Go benchmark line.
func (r *ChurnResult) Print(w io.Writer) {
	const mib = 1 << 20
	WriteLine(w, fmt.Sprintf("Churn/cache-MiB=%d/tracks=%d/seconds=%d", r.Relay.CacheBytes/mib, r.Tracks, int(r.Duration.Seconds())), r.Objects,
		Metric{float64(r.Published), "tracks"}, Metric{r.CacheRatio(), "rss/cache"},
		Metric{r.Marked.RSS / mib, "mark-rss-MiB"}, Metric{r.End.RSS / mib, "rss-MiB"},
		Metric{r.Marked.Heap / mib, "mark-heap-MiB"}, Metric{r.End.Heap / mib, "heap-MiB"}, Metric{r.End.Cache / mib, "cache-MiB"},
		Metric{r.Drained.Goroutines - r.Before.Goroutines, "goroutines-left"}, Metric{r.Drained.FDs - r.Before.FDs, "fds-left"}, Metric{r.Drained.Cache, "cache-left"})
}

// Churn runs the load.
func Churn(ctx context.Context, c ChurnConfig) (*ChurnResult, error) {
	srv, err := startRelay(ctx, c.Relay)
	if err != nil {
		return nil, err
	}
	defer srv.close()
	r := &ChurnResult{ChurnConfig: c}
	if r.Before, err = srv.sample(ctx); err != nil {
		return nil, err
	}
	load, cancel := context.WithTimeout(ctx, c.Duration)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var mu sync.Mutex
	for i := range c.Tracks {
		wg.Go(func() {
			for n := 0; load.Err() == nil; n++ {
				objects := c.track(load, "moqt://"+srv.addr+"/", moqt.NS("bench", "churn").Track(fmt.Sprintf("%d-%d", i, n)))
				mu.Lock()
				r.Published++
				r.Objects += objects
				mu.Unlock()
			}
		})
	}
	if err := pause(ctx, c.Mark); err != nil {
		return nil, err
	}
	if r.Marked, err = srv.sample(ctx); err != nil {
		return nil, err
	}
	if err := pause(ctx, c.Duration-c.Mark-min(c.Duration/10, time.Second)); err != nil {
		return nil, err
	}
	if r.End, err = srv.sample(ctx); err != nil {
		return nil, err
	}
	wg.Wait()
	r.Drained, err = srv.drained(ctx, r.Before, c.Drain)
	return r, err
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

// track publishes one track for some seconds, to one to three subscribers of
// which each stays as long as it likes, and returns how many objects it had.
// Whatever fails ends the track: that is part of the load.
func (c *ChurnConfig) track(ctx context.Context, url string, name moqt.TrackName) (objects int) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second+rand.N(8*time.Second))
	defer cancel()
	m, err := newMortal(ctx, url, name)
	if err != nil {
		return 0
	}
	die := rand.Float64() < c.Kill
	defer func() {
		if !die {
			m.w.Close()
			m.sess.Close()
		}
		m.kill()
	}()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for i := range 1 + rand.N(3) {
		wg.Go(func() {
			stay, cancel := context.WithCancel(ctx)
			defer cancel()
			if i > 0 { // the first stays to the end, so that the track runs
				stay, cancel = context.WithTimeout(ctx, rand.N(5*time.Second))
				defer cancel()
			}
			f, err := subscribe(stay, newDialer(), url, name)
			if err != nil {
				return
			}
			defer f.close()
			drop(stay, f)
		})
	}
	if awaitForward(ctx, m.w) != nil {
		return 0
	}
	const mean = 16 << 10
	pace := &pacer{interval: time.Duration(float64(mean*c.Tracks) / float64(c.Rate) * float64(time.Second))}
	payload := make([]byte, 2*mean)
	for group := uint64(0); ; group++ {
		g, err := m.w.OpenGroup(ctx, group)
		if err != nil {
			return objects
		}
		for range 20 {
			if pace.wait(ctx) != nil {
				return objects
			}
			if _, err := g.Write(payload[:1+rand.N(len(payload))]); err != nil {
				return objects
			}
			objects++
		}
		if g.Close() != nil {
			return objects
		}
	}
}

// drop reads everything that comes and counts nothing.
func drop(ctx context.Context, f *trackFeed) {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer f.tr.Close() // ends the streams that are open
	for {
		sg, err := f.tr.AcceptSubgroup(ctx)
		if err != nil {
			return
		}
		wg.Go(func() {
			for {
				if _, _, err := sg.Next(); err != nil {
					return
				}
			}
		})
	}
}
