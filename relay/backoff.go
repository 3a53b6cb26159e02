package relay

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff waits longer after each failure, between half and all of the step so
// that many relays do not knock at once.
type backoff struct {
	step        time.Duration
	first, most time.Duration
}

// wait returns after the next step, or false when ctx ends before.
func (b *backoff) wait(ctx context.Context) bool { return b.waitHint(ctx, nil) }

// waitHint is wait that a hint ends early. Waits are short again after one.
func (b *backoff) waitHint(ctx context.Context, hint <-chan struct{}) bool {
	b.step = min(max(2*b.step, b.first), b.most)
	t := time.NewTimer(b.step/2 + rand.N(b.step/2+1))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-hint:
		b.reset()
		return true
	case <-ctx.Done():
		return false
	}
}

func (b *backoff) reset() { b.step = 0 }
