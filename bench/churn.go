package bench

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// ChurnConfig is tracks that begin and end and subscribers that come and go, at
// random, with some of both that die.
type ChurnConfig struct {
	Relay    Relay // with the bytes of its cache
	Tracks   int   // at once
	Rate     int64 // bytes a second that all of them publish
	Duration time.Duration
	Mark     time.Duration // when the relay is to have its size
	Every    time.Duration // between two samples
	Kill     float64       // share of publishers and subscribers that die without a word
	Drain    time.Duration // the longest to wait at the end until the relay is as it was
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

// Churn runs the load, and writes the samples to w as Go benchmark lines.
func Churn(ctx context.Context, w io.Writer, c ChurnConfig) (*ChurnResult, error) {
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
	list, err := srv.watch(ctx, w, c.Every, c.Mark, c.Duration-min(c.Duration/10, time.Second))
	if err != nil {
		return nil, err
	}
	r.Marked, r.End = list.around(c.Mark, c.window()), list.around(c.Duration, c.window()+time.Second)
	wg.Wait()
	r.Drained, err = srv.drained(ctx, r.Before, c.Drain)
	return r, err
}

// window is over which samples the size at the mark and at the end is taken: live
// data come and go, and medians of one minute in thirty differ by five in a hundred
// without any growth.
func (c *ChurnConfig) window() time.Duration { return c.Duration / 10 }

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
			d, pc := newDialer(), net.PacketConn(nil)
			d.ListenPacket = func(context.Context) (_ net.PacketConn, err error) {
				pc, err = net.ListenUDP("udp", nil)
				return pc, err
			}
			f, err := subscribe(stay, d, url, name)
			if err != nil {
				return
			}
			defer f.close()
			drop(stay, f)
			if rand.Float64() < c.Kill {
				pc.Close()
			}
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
