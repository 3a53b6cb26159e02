// Package bench loads a relay and measures what its subscribers get. Results
// are printed in the Go benchmark format, so that benchstat can compare them.
package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// FanoutConfig is a load of one publisher and many subscribers of one track.
type FanoutConfig struct {
	// Dial opens a session with the relay for the publisher and for each
	// subscriber. It is required.
	Dial func(ctx context.Context) (*transport.Session, error)
	// Namespace is that of the track. It is required.
	Namespace moqt.Namespace
	// Subscribers is their number, Rate the objects a second, Size the bytes of
	// one, GroupSize the objects of a group.
	Subscribers, Rate, Size, GroupSize int
	// Duration is how long objects are published.
	Duration time.Duration
}

// FanoutResult is what the subscribers saw.
type FanoutResult struct {
	FanoutConfig
	Published   int           // objects
	Received    int           // by all subscribers
	Lost        int           // objects that a subscriber did not get after its first
	Doubled     int           // objects that a subscriber got twice
	P50, P99    time.Duration // delay of an object from publisher to subscriber
	Join        time.Duration // median from SUBSCRIBE to SUBSCRIBE_OK
	Elapsed     time.Duration
	UpstreamOut uint64 // bytes that the publisher's connection sent
}

// Line returns the result as a Go benchmark line.
func (r *FanoutResult) Line() string {
	return fmt.Sprintf("BenchmarkFanout/subs=%d/size=%d/rate=%d\t%d\t%.3f p50-ms\t%.3f p99-ms\t%.3f join-ms\t%d lost\t%d doubled\t%.1f Mbit/s\t%.2f upstream-copies",
		r.Subscribers, r.Size, r.Rate, r.Received, ms(r.P50), ms(r.P99), ms(r.Join), r.Lost, r.Doubled,
		float64(r.Received)*float64(r.Size)*8/1e6/r.Elapsed.Seconds(),
		float64(r.UpstreamOut)/float64(max(1, r.Published*r.Size)))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// header is what each object begins with: when it was published, in ns since
// 1970. All parts of a fan-out run on one machine and share its clock.
const header = 8

// Fanout runs the load. It fails if a session or subscription does.
func Fanout(ctx context.Context, c FanoutConfig) (*FanoutResult, error) {
	if c.Subscribers < 1 || c.Rate < 1 || c.Size < header || c.GroupSize < 1 || c.Duration <= 0 {
		return nil, fmt.Errorf("bench: fan-out to %d subscribers, %d objects of %d bytes a second in groups of %d for %v cannot be run (an object has at least %d bytes)",
			c.Subscribers, c.Rate, c.Size, c.GroupSize, c.Duration, header)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	up, err := c.Dial(ctx)
	if err != nil {
		return nil, err
	}
	defer up.Close()
	track := c.Namespace.Track("load")
	w, err := up.Publish(ctx, track, nil)
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	r := &FanoutResult{FanoutConfig: c}
	var (
		mu     sync.Mutex
		delays []time.Duration
		joins  []time.Duration
		wg     sync.WaitGroup
		ready  = make(chan error, c.Subscribers)
		dials  = make(chan struct{}, 16) // handshakes at once
	)
	for range c.Subscribers {
		wg.Go(func() {
			dials <- struct{}{}
			sess, err := c.Dial(ctx)
			<-dials
			if err != nil {
				ready <- err
				return
			}
			defer sess.Close()
			began := time.Now()
			tr, err := sess.Subscribe(ctx, track, nil)
			joined := time.Since(began)
			ready <- err
			if err != nil {
				return
			}
			s := receive(ctx, tr, c)
			mu.Lock()
			defer mu.Unlock()
			delays = append(delays, s.delays...)
			joins = append(joins, joined)
			r.Lost += s.lost
			r.Doubled += s.doubled
		})
	}
	for range c.Subscribers {
		if err := <-ready; err != nil {
			cancel(err)
			wg.Wait()
			return nil, fmt.Errorf("subscribe: %w", err)
		}
	}
	began := time.Now()
	if r.Published, err = publish(ctx, w, c); err != nil {
		cancel(err)
	}
	w.Close()
	wg.Wait()
	r.Elapsed = time.Since(began)
	r.UpstreamOut = up.Stats().BytesSent
	r.Received = len(delays)
	r.P50, r.P99, r.Join = quantile(delays, 0.5), quantile(delays, 0.99), quantile(joins, 0.5)
	return r, err
}

// publish writes objects at the rate, a stream for each group.
func publish(ctx context.Context, w *transport.TrackWriter, c FanoutConfig) (int, error) {
	tick := time.NewTicker(time.Second / time.Duration(c.Rate))
	defer tick.Stop()
	end := time.NewTimer(c.Duration)
	defer end.Stop()
	payload := make([]byte, c.Size)
	var g *transport.SubgroupWriter
	n := 0
	for {
		select {
		case <-tick.C:
		case <-end.C:
			if g != nil {
				return n, g.Close()
			}
			return n, nil
		case <-ctx.Done():
			return n, context.Cause(ctx)
		}
		if n%c.GroupSize == 0 {
			if g != nil {
				if err := g.Close(); err != nil {
					return n, err
				}
			}
			var err error
			if g, err = w.OpenGroup(ctx, uint64(n/c.GroupSize)); err != nil {
				return n, err
			}
		}
		binary.BigEndian.PutUint64(payload, uint64(time.Now().UnixNano()))
		if _, err := g.Write(payload); err != nil {
			return n, err
		}
		n++
	}
}

type seen struct {
	delays        []time.Duration
	lost, doubled int
}

// receive reads a subscription to its end.
func receive(ctx context.Context, tr *transport.TrackReader, c FanoutConfig) seen {
	var s seen
	got := make(map[moqt.Location]bool)
	var first, last moqt.Location
	defer tr.Close()
	for o, err := range tr.Objects(ctx) {
		if err != nil {
			if !errors.Is(err, io.EOF) {
				break
			}
			continue
		}
		if len(o.Payload) < header {
			continue
		}
		sent := time.Unix(0, int64(binary.BigEndian.Uint64(o.Payload)))
		s.delays = append(s.delays, time.Since(sent))
		if got[o.Location] {
			s.doubled++
		}
		if len(got) == 0 || o.Location.Less(first) {
			first = o.Location
		}
		if last.Less(o.Location) {
			last = o.Location
		}
		got[o.Location] = true
	}
	if len(got) > 0 {
		index := func(l moqt.Location) int { return int(l.Group)*c.GroupSize + int(l.Object) }
		s.lost = index(last) - index(first) + 1 - len(got)
	}
	return s
}

// quantile returns the q-quantile of d, which it sorts.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, int(q*float64(len(d))))]
}
