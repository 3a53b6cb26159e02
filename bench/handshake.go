package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/tributary-live/tributary/transport/moqt"
)

// HandshakeConfig is a crowd that dials a relay as fast as it can while others
// watch a track.
type HandshakeConfig struct {
	Relay      Relay
	AtOnce     int // dials
	Inside     int // subscribers that were there before
	Duration   time.Duration
	Rate, Size int // of the track
}

// HandshakeResult is what came of it.
type HandshakeResult struct {
	HandshakeConfig
	Opened, Refused, Failed int           // dials
	P50, P99                time.Duration // of a dial that was not refused
	Lost                    int           // objects of those inside
	PerSecond               float64       // sessions opened
	CPU                     time.Duration // of the relay, for a session
}

// Print writes the result as a Go benchmark line.
func (r *HandshakeResult) Print(w io.Writer) {
	limit := "none"
	if r.Relay.Limited {
		limit = "default"
	}
	WriteLine(w, fmt.Sprintf("Handshake/at-once=%d/limit=%s", r.AtOnce, limit), r.Opened,
		Metric{r.PerSecond, "sessions/s"}, Metric{ms(r.CPU), "cpu-ms/session"}, Metric{ms(r.P50), "p50-ms"}, Metric{ms(r.P99), "p99-ms"},
		Metric{float64(r.Refused), "refused"}, Metric{float64(r.Failed), "failed"}, Metric{float64(r.Lost), "lost-inside"})
}

// Handshakes runs the load.
func Handshakes(ctx context.Context, c HandshakeConfig) (*HandshakeResult, error) {
	s, err := newStage(ctx, c.Relay)
	if err != nil {
		return nil, err
	}
	defer s.close()
	track := moqt.NS("bench").Track("inside")
	w, err := s.up.Publish(ctx, track, nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	objects := max(1, int(c.Duration.Seconds()*float64(c.Rate)))
	var inside []*tally
	for range c.Inside {
		f, err := subscribe(ctx, s.d, s.url, track)
		if err != nil {
			return nil, err
		}
		defer f.close()
		t := newTally(objects)
		inside = append(inside, t)
		wg.Go(func() { receive(ctx, f, c.Size, t) })
	}
	if c.Inside > 0 {
		if err := awaitForward(ctx, w); err != nil {
			return nil, err
		}
	}
	wg.Go(func() { publish(ctx, w, c.Rate, c.Size, c.Rate, objects, func(int) {}) })
	r := &HandshakeResult{HandshakeConfig: c}
	before, began := s.srv.usage(), time.Now()
	s.dialAll(ctx, r)
	r.PerSecond = float64(r.Opened) / time.Since(began).Seconds()
	r.CPU = time.Duration(ratio(float64(s.srv.usage().CPU-before.CPU), float64(r.Opened)))
	late := time.After(10 * time.Second)
	for _, t := range inside {
		select {
		case <-t.full:
		case <-late:
			late = nil
			r.Lost += t.lost()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return r, nil
}

// dialAll opens sessions, and closes each at once, until the time is over.
func (s *stage) dialAll(ctx context.Context, r *HandshakeResult) {
	end := time.Now().Add(r.Duration)
	var refused, failed atomic.Int64
	var mu sync.Mutex
	var times []time.Duration
	together(r.AtOnce, func(int) error {
		for time.Now().Before(end) && ctx.Err() == nil {
			began := time.Now()
			sess, err := s.d.Dial(ctx, s.url)
			took := time.Since(began)
			switch {
			case err == nil:
				sess.Close()
				mu.Lock()
				times = append(times, took)
				mu.Unlock()
			case isRefused(err):
				refused.Add(1)
			default:
				failed.Add(1)
			}
		}
		return nil
	})
	r.Opened, r.Refused, r.Failed = len(times), int(refused.Load()), int(failed.Load())
	r.P50, r.P99 = quantile(times, 0.5), quantile(times, 0.99)
}

// isRefused reports whether the relay has said that it takes no more now.
func isRefused(err error) bool {
	e, ok := errors.AsType[*quic.TransportError](err)
	return ok && e.Remote && e.ErrorCode == quic.ConnectionRefused
}
