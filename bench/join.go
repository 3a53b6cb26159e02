package bench

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// JoinConfig is a track that runs, and subscribers that come to it one after
// another.
type JoinConfig struct {
	Relay           Relay
	Joins, Sessions int // how often somebody joins, on how many sessions by turns
	Rate, Size      int // of the track; a group is a second
}

// JoinResult is what those who joined saw, from SUBSCRIBE to the first object of
// the newest group: that of a subscription to the track from that group on, and
// that of a joining fetch.
type JoinResult struct {
	JoinConfig
	Stream, Fetch Quantiles
}

// Quantiles are two of many times.
type Quantiles struct{ P50, P99 time.Duration }

func quantiles(list []time.Duration) Quantiles {
	return Quantiles{quantile(list, 0.5), quantile(list, 0.99)}
}

// Print writes the result as two Go benchmark lines.
func (r *JoinResult) Print(w io.Writer) {
	for _, way := range []struct {
		name string
		q    Quantiles
	}{{"stream", r.Stream}, {"fetch", r.Fetch}} {
		WriteLine(w, fmt.Sprintf("Join/by=%s/size=%d/rate=%d", way.name, r.Size, r.Rate), r.Joins, Metric{ms(way.q.P50), "p50-ms"}, Metric{ms(way.q.P99), "p99-ms"})
	}
}

// Join runs the load.
func Join(ctx context.Context, c JoinConfig) (*JoinResult, error) {
	s, err := newStage(ctx, c.Relay)
	if err != nil {
		return nil, err
	}
	defer s.close()
	track := moqt.NS("bench").Track("join")
	w, err := s.up.Publish(ctx, track, nil)
	if err != nil {
		return nil, err
	}
	sessions, err := s.sessions(ctx, c.Sessions+1)
	if err != nil {
		return nil, err
	}
	defer closeAll(sessions)
	// One stays, so that the track runs.
	stays, err := sessions[c.Sessions].Subscribe(ctx, track, nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	const long = 1 << 30
	begun := newTally(2)
	wg.Go(func() { receive(ctx, &trackFeed{sessions[c.Sessions], stays}, c.Size, begun) })
	if err := awaitForward(ctx, w); err != nil {
		return nil, err
	}
	wg.Go(func() { publish(ctx, w, c.Rate, c.Size, c.Rate, long, func(int) {}) })
	select {
	case <-begun.full:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r := &JoinResult{JoinConfig: c}
	for _, way := range []struct {
		join func(context.Context, *transport.Session, moqt.TrackName) error
		to   *Quantiles
	}{{joinByStream, &r.Stream}, {joinByFetch, &r.Fetch}} {
		var times []time.Duration
		for n := range c.Joins {
			began := time.Now()
			if err := way.join(ctx, sessions[n%c.Sessions], track); err != nil {
				return nil, fmt.Errorf("join %d: %w", n, err)
			}
			times = append(times, time.Since(began))
		}
		*way.to = quantiles(times)
	}
	return r, nil
}

// joinByStream subscribes to all that is there, which a relay begins with the
// newest group, reads one object and leaves.
func joinByStream(ctx context.Context, sess *transport.Session, track moqt.TrackName) error {
	tr, err := sess.Subscribe(ctx, track, &transport.SubscribeOptions{Filter: moqt.Filter{Kind: moqt.FilterNone}})
	if err != nil {
		return err
	}
	defer tr.Close()
	sg, err := tr.AcceptSubgroup(ctx)
	if err != nil {
		return err
	}
	_, err = sg.ReadObject()
	return err
}

// joinByFetch subscribes to what comes and fetches the newest group.
func joinByFetch(ctx context.Context, sess *transport.Session, track moqt.TrackName) error {
	tr, f, err := sess.Join(ctx, track, 0, nil)
	if err != nil {
		return err
	}
	defer tr.Close()
	defer f.Close()
	_, err = f.ReadObject(ctx)
	return err
}
