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

// StormConfig is many subscribers that come to a track which nobody has asked
// for yet, within a short time.
type StormConfig struct {
	Relay       Relay
	Subscribers int
	Within      time.Duration
	Rate, Size  int // of the track
}

// StormResult is what came of it.
type StormResult struct {
	StormConfig
	P50, P99   time.Duration // from SUBSCRIBE to its answer
	Subscribes int           // at the publisher
	Copies     float64       // of each object, from the publisher to the relay
	Lost       int           // objects after somebody's first
	Doubled    int
}

// Print writes the result as a Go benchmark line.
func (r *StormResult) Print(w io.Writer) {
	WriteLine(w, fmt.Sprintf("Storm/subs=%d/within-ms=%d", r.Subscribers, r.Within.Milliseconds()), r.Subscribers,
		Metric{ms(r.P50), "p50-ms"}, Metric{ms(r.P99), "p99-ms"}, Metric{float64(r.Subscribes), "upstream-subscribes"},
		Metric{r.Copies, "upstream-copies"}, Metric{float64(r.Lost), "lost"}, Metric{float64(r.Doubled), "doubled"})
}

// Storm runs the load. The sessions are open before it begins.
func Storm(ctx context.Context, c StormConfig) (*StormResult, error) {
	s, err := newStage(ctx, c.Relay)
	if err != nil {
		return nil, err
	}
	defer s.close()
	sessions, err := s.sessions(ctx, c.Subscribers)
	if err != nil {
		return nil, err
	}
	defer closeAll(sessions)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o, err := newOrigin(ctx, s.up, moqt.NS("bench", "storm").Track("load"))
	if err != nil {
		return nil, err
	}
	defer o.wg.Wait()
	defer cancel()
	objects := int((c.Within + time.Second).Seconds() * float64(c.Rate))
	var published sync.WaitGroup
	published.Go(func() { o.publish(ctx, c.Rate, c.Size, objects) })
	tallies := make([]*tally, c.Subscribers)
	answers := make([]time.Duration, c.Subscribers)
	began := time.Now()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	err = together(c.Subscribers, func(i int) error {
		if err := pause(ctx, time.Until(began.Add(c.Within*time.Duration(i)/time.Duration(c.Subscribers)))); err != nil {
			return err
		}
		asked := time.Now()
		tr, err := sessions[i].Subscribe(ctx, o.track, nil)
		if err != nil {
			return fmt.Errorf("subscriber %d: %w", i, err)
		}
		answers[i], tallies[i] = time.Since(asked), newTally(objects)
		wg.Go(func() { receive(ctx, &trackFeed{sessions[i], tr}, c.Size, tallies[i]) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	published.Wait()
	late, cancelLate := context.WithTimeout(ctx, 5*time.Second)
	defer cancelLate()
	r := &StormResult{StormConfig: c, P50: quantile(answers, 0.5), P99: quantile(answers, 0.99),
		Subscribes: int(o.subscribes.Load()), Copies: float64(o.objects.Load()) / float64(objects)}
	for _, t := range tallies {
		select {
		case <-t.last:
		case <-late.Done():
		}
		// An earlier object, of another stream, may come after the last.
		for t.gaps() > 0 && pause(late, 10*time.Millisecond) == nil {
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		r.Lost += t.gaps()
		r.Doubled += t.doubled
	}
	return r, nil
}

// publish gives everybody who has asked the same objects from then on, until all
// have gone. Objects begin with the first SUBSCRIBE.
func (o *origin) publish(ctx context.Context, rate, size, total int) {
	var groups []*transport.SubgroupWriter
	var writers []*transport.TrackWriter
	select {
	case w := <-o.served:
		writers = append(writers, w)
	case <-ctx.Done():
		return
	}
	payload := make([]byte, size)
	pace := newPacer(rate)
	for n := 0; n < total && pace.wait(ctx) == nil; n++ {
		for more := true; more; {
			select {
			case w := <-o.served:
				writers = append(writers, w)
			default:
				more = false
			}
		}
		if n%rate == 0 {
			for _, g := range groups {
				g.Close()
			}
			groups = nil
			for _, w := range writers {
				if g, err := w.OpenGroup(ctx, uint64(n/rate)); err == nil {
					groups = append(groups, g)
				}
			}
		}
		stamp(payload, n)
		for _, g := range groups {
			if _, err := g.Write(payload); err == nil {
				o.objects.Add(1)
			}
		}
	}
	for _, g := range groups {
		g.Close()
	}
}
