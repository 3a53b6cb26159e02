package netif

import (
	"context"
	"time"
)

// poll calls look now and every period until ctx ends, and whenever early has a
// token.
func poll(ctx context.Context, period time.Duration, early <-chan struct{}, look func()) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		look()
		select {
		case <-tick.C:
		case <-early:
		case <-ctx.Done():
			return
		}
	}
}
