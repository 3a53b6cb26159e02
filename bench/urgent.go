package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
)

// UrgentConfig is a link that a bulk track fills, and a track of small urgent
// objects beside it.
type UrgentConfig struct {
	Size     int           // of an urgent object, bytes
	Interval time.Duration // between two
	Rate     int64         // of the link to the subscriber, bit/s
	RTT      time.Duration
	Queue    int           // bytes that wait before the link
	WarmUp   time.Duration // before the first that counts
	Duration time.Duration // of a run
	Runs     int
	// Direct asks for sessions without a relay, Through for those through one.
	Direct, Through bool
	Relay           Relay
}

// The ways an urgent object takes.
const (
	wayIdle         = "idle" // bare quic-go, and no bulk
	wayBare         = "bare" // bare quic-go with SetPriority
	wayQUIC         = "quic"
	wayWebTransport = "webtransport"
	wayRelay        = "relay-quic"
	wayRelayWT      = "relay-webtransport"
)

// Urgent measures how old urgent objects are when they have arrived. All ways
// are measured at once, each over a link of its own, so that what disturbs one
// disturbs all. It prints a line for each and returns the bars.
func Urgent(ctx context.Context, w io.Writer, c UrgentConfig) ([]Bar, error) {
	ways := []string{wayIdle, wayBare}
	if c.Direct {
		ways = append(ways, wayQUIC, wayWebTransport)
	}
	if c.Through {
		ways = append(ways, wayRelay, wayRelayWT)
	}
	all := make(map[string][]time.Duration)
	for range c.Runs {
		ages, err := c.run(ctx, ways)
		if err != nil {
			return nil, err
		}
		for _, way := range ways {
			writeUrgent(w, way, c, ages[way])
			all[way] = append(all[way], ages[way]...)
		}
	}
	idle, bare := all[wayIdle], all[wayBare]
	var bars []Bar
	for _, way := range ways[2:] {
		p50 := ms(quantile(all[way], 0.5))
		late := Bar{Name: fmt.Sprintf("urgent object over %s, p99 / bare quic-go", way), Unit: "x", Value: ratio(p99(all[way]), p99(bare))}
		fail := Never
		if way == wayRelay || way == wayRelayWT {
			fail = 1.5
		} else {
			bars = append(bars, Bar{Name: fmt.Sprintf("urgent object over %s, p50 - idle", way), Unit: "ms",
				Value: p50 - ms(quantile(idle, 0.5)), Bound: AtMost(25, Never)})
		}
		if late.Bound = AtMost(1.1, fail); len(bare) < enoughForP99 {
			late.Bound, late.Note = nil, fmt.Sprintf("%d objects are too few for a bound", len(bare))
		}
		bars = append(bars,
			Bar{Name: fmt.Sprintf("urgent object over %s, p50 / bare quic-go", way), Unit: "x", Value: ratio(p50, ms(quantile(bare, 0.5))), Bound: AtMost(1.1, fail)}, late)
	}
	return bars, nil
}

// enoughForP99 is how many objects a p99 needs to be held to something: one in a
// hundred loses a packet, so of fewer it tells how lucky the run was.
const enoughForP99 = 2000

// p99 is the mean of the ages around the 99th percentile, half a percent to each
// side, in ms. An object that loses a packet comes some 60 ms later than others,
// and about one in a hundred does: the percentile itself would be before that
// step in one run and after it in the next.
func p99(ages []time.Duration) float64 {
	list := slices.Sorted(slices.Values(ages))
	from, to := int(0.985*float64(len(list))), int(0.995*float64(len(list)))
	if from >= to {
		return ms(quantile(list, 0.99))
	}
	var sum time.Duration
	for _, age := range list[from:to] {
		sum += age
	}
	return ms(sum) / float64(to-from)
}

func writeUrgent(w io.Writer, way string, c UrgentConfig, ages []time.Duration) {
	list := slices.Clone(ages)
	WriteLine(w, fmt.Sprintf("Urgent/over=%s/size=%d/rate=%d/rtt-ms=%d/queue=%d", way, c.Size, c.Rate, c.RTT.Milliseconds(), c.Queue), len(list),
		Metric{ms(quantile(list, 0.5)), "p50-ms"}, Metric{ms(quantile(list, 0.9)), "p90-ms"}, Metric{ms(quantile(list, 0.99)), "p99-ms"})
}

// run has every way send once, together.
func (c *UrgentConfig) run(ctx context.Context, ways []string) (map[string][]time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*(c.WarmUp+c.Duration)+time.Minute, errors.New("urgent objects did not get away in twice the time"))
	defer cancel()
	count := max(1, int(c.Duration/c.Interval))
	ages := make([][]time.Duration, len(ways))
	err := together(len(ways), func(i int) error {
		// They take turns within an interval.
		offset := c.Interval * time.Duration(i) / time.Duration(len(ways))
		var err error
		if ages[i], err = c.measure(ctx, ways[i], count, offset); err != nil {
			cancel()
			return fmt.Errorf("%s: %w", ways[i], err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	found := make(map[string][]time.Duration)
	for i, way := range ways {
		found[way] = ages[i]
	}
	return found, nil
}

// urgentSender sends both tracks to whoever comes.
type urgentSender interface {
	addr() string
	// urgent sends one urgent object.
	urgent(ctx context.Context, p []byte) error
	close()
}

// measure sends count urgent objects one way and returns their ages.
func (c *UrgentConfig) measure(ctx context.Context, way string, count int, offset time.Duration) ([]time.Duration, error) {
	s, err := c.sender(ctx, way)
	if err != nil {
		return nil, err
	}
	defer s.close()
	link, err := netsim.Forward(s.addr(), netsim.Delay(c.RTT/2), netsim.Down(netsim.Rate(c.Rate), netsim.Queue(c.Queue)))
	if err != nil {
		return nil, err
	}
	defer link.Close()
	t := newTally(count)
	stop, err := c.receiver(ctx, way, link.Addr().String(), t)
	if err != nil {
		return nil, err
	}
	defer stop()
	if err := pause(ctx, c.WarmUp+offset); err != nil {
		return nil, err
	}
	pace := &pacer{interval: c.Interval}
	p := make([]byte, c.Size)
	for n := range count {
		if err := pace.wait(ctx); err != nil {
			return nil, err
		}
		stamp(p, n)
		if err := s.urgent(ctx, p); err != nil {
			return nil, err
		}
	}
	late := time.NewTimer(10 * time.Second)
	defer late.Stop()
	select {
	case <-t.full:
	case <-late.C:
		return nil, fmt.Errorf("%d of %d urgent objects did not come", t.lost(), count)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ages, nil
}
