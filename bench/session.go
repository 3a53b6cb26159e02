package bench

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// SessionConfig compares what a session carries with what a bare connection
// does, both of them as fast as they can.
type SessionConfig struct {
	Sizes, Streams []int         // of objects, in bytes; written at once
	Runs           int           // of each side, by turns
	Duration       time.Duration // of one, after WarmUp
	WarmUp         time.Duration
	Bar            int    // size from which the bar holds, bytes
	Profile        string // if not empty, where a CPU profile of the sending session goes
}

// Session runs the comparison: a server process sends, this one receives. It
// prints a line for each run and returns a bar for each size and number of
// streams.
func Session(ctx context.Context, w io.Writer, c SessionConfig) ([]Bar, error) {
	var bars []Bar
	for _, size := range c.Sizes {
		for _, streams := range c.Streams {
			var shares, sent, received []float64 // session / bare, of each pair
			for run := range c.Runs {
				results := make(map[Kind]*bulkResult)
				order := []Kind{KindBareBulk, KindBulk}
				if run%2 == 1 {
					order = []Kind{KindBulk, KindBareBulk}
				}
				for _, kind := range order {
					r, err := bulkRate(ctx, kind, size, streams, c)
					if err != nil {
						return nil, fmt.Errorf("%s: %w", kind, err)
					}
					results[kind] = r
					WriteLine(w, fmt.Sprintf("Session/over=%s/size=%d/streams=%d", kind, size, streams), r.objects,
						Metric{r.rate / 1e6, "MB/s"}, Metric{r.cpu * 1e9, "send-cpu-s/GB"}, Metric{r.ownCPU * 1e9, "receive-cpu-s/GB"})
				}
				session, bare := results[KindBulk], results[KindBareBulk]
				shares = append(shares, ratio(session.rate, bare.rate))
				sent = append(sent, ratio(session.cpu, bare.cpu))
				received = append(received, ratio(session.ownCPU, bare.ownCPU))
			}
			same := func(v float64) float64 { return v }
			of := fmt.Sprintf(" / bare quic-go, %d B, %d streams", size, streams)
			b := Bar{Name: "session" + of, Unit: "x", Value: Median(shares, same), Bound: AtLeast(0.95, Never)}
			if size < c.Bar {
				b.Bound = nil
			}
			bars = append(bars, b,
				Bar{Name: "CPU per byte to send" + of, Unit: "x", Value: Median(sent, same)},
				Bar{Name: "CPU per byte to receive" + of, Unit: "x", Value: Median(received, same)})
		}
	}
	return bars, nil
}

// bulkResult is how fast a server sent.
type bulkResult struct {
	rate        float64 // bytes/s of payload
	cpu, ownCPU float64 // seconds for a byte, of the sender and of this process
	objects     int
}

// busyTime is how long a measurement goes on in which nothing has come yet: on a
// machine that is busy a process may not run for longer than it was to take.
const busyTime = 10 * time.Second

func bulkRate(ctx context.Context, kind Kind, size, streams int, c SessionConfig) (*bulkResult, error) {
	args := []string{"--size", fmt.Sprint(size), "--streams", fmt.Sprint(streams)}
	if c.Profile != "" && kind == KindBulk {
		args = append(args, "--profile", c.Profile)
	}
	srv, err := startSelf(ctx, kind, args...)
	if err != nil {
		return nil, err
	}
	defer srv.close()
	var f feed
	if kind == KindBulk {
		f, err = subscribe(ctx, newDialer(), "moqt://"+srv.addr+"/", bulkTrack)
	} else {
		f, err = dialBare(ctx, srv.addr)
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer f.close()
	defer cancel()
	var got atomic.Int64
	wg.Go(func() {
		for {
			o, err := f.next(ctx)
			if err != nil {
				return
			}
			wg.Go(func() {
				buf := make([]byte, size)
				for o.read(buf) == nil {
					got.Add(1)
				}
			})
		}
	})
	if err := pause(ctx, c.WarmUp); err != nil {
		return nil, err
	}
	first, began := got.Load(), time.Now()
	cpu, ownCPU := srv.usage().CPU, ownUsage().CPU
	n, elapsed := int64(0), time.Duration(0)
	for n == 0 && elapsed < max(c.Duration, busyTime) {
		if err := pause(ctx, c.Duration); err != nil {
			return nil, err
		}
		n, elapsed = got.Load()-first, time.Since(began)
	}
	if n == 0 {
		return nil, fmt.Errorf("no object came in %v", elapsed)
	}
	bytes := float64(n) * float64(size)
	return &bulkResult{
		rate: bytes / elapsed.Seconds(), objects: int(n),
		cpu:    (srv.usage().CPU - cpu).Seconds() / bytes,
		ownCPU: (ownUsage().CPU - ownCPU).Seconds() / bytes,
	}, nil
}
