package bench

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// srs is what SRS 0.5 says of itself, over RTMP on a laptop of 2013: viewers of
// 500 kbit/s, percent of a core, memory in MiB. Hardware and protocol are others;
// the shape of the table is what is compared.
var srs = []struct {
	viewers  int
	cpu, rss float64
}{{300, 18.8, 5.8}, {600, 32.1, 9.6}, {900, 49.9, 11}, {1200, 72.4, 15}, {1500, 81.9, 28}, {1800, 90.2, 41}}

// SRSConfig is the load of the table that SRS has published, on a relay: viewers of
// 500 kbit/s, in 10 objects a second.
type SRSConfig struct {
	Relay Relay
	// Points are how many of the table's rows are measured, from the first on. If
	// zero, all.
	Points   int
	Duration time.Duration // of each
}

// SRS measures the rows, prints a line for each, and returns CPU and memory as bars
// without bounds, with SRS's own beside them. Where the core of the relay or that of
// the load was full, the note says so.
func SRS(ctx context.Context, w io.Writer, c SRSConfig) ([]Bar, error) {
	points := srs
	if c.Points > 0 {
		points = srs[:min(c.Points, len(srs))]
	}
	var bars []Bar
	for _, p := range points {
		r, err := Fanout(ctx, FanoutConfig{Kind: KindRelay, Relay: c.Relay, Subscribers: p.viewers, Rate: 10, Size: 6250, GroupSize: 20, Duration: c.Duration})
		if err != nil {
			return bars, fmt.Errorf("%d viewers: %w", p.viewers, err)
		}
		r.Print(w)
		server, _ := r.Busy()
		note := saturation(fanouts{r})
		if lost := (fanouts{r}).lost(); lost > 0 {
			note = strings.TrimPrefix(note+fmt.Sprintf(", %.0f objects skipped", lost), ", ")
		}
		bars = append(bars,
			Bar{Name: fmt.Sprintf("%d viewers of 500 kbit/s: CPU (SRS: %v %%)", p.viewers, p.cpu), Unit: "%", Value: server * 100, Note: note},
			Bar{Name: fmt.Sprintf("%d viewers of 500 kbit/s: memory (SRS: %v MiB)", p.viewers, p.rss), Unit: "MiB", Value: float64(r.RSS) / (1 << 20)})
	}
	return bars, nil
}
