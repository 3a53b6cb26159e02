// Package backoff spaces the attempts to reach a server that is away.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff waits longer after each failure: First, then twice as much each time
// up to Most, less a random part of up to a half so that many programs do not
// knock at once. It is not for concurrent use.
type Backoff struct {
	First, Most time.Duration
	step        time.Duration
}

// Wait returns true after the next step, or false when ctx ends before.
func (b *Backoff) Wait(ctx context.Context) bool { return b.WaitHint(ctx, nil) }

// WaitHint is Wait that a hint ends early. Waits are short again after one.
func (b *Backoff) WaitHint(ctx context.Context, hint <-chan struct{}) bool {
	b.Skip()
	t := time.NewTimer(b.step/2 + rand.N(b.step/2+1))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-hint:
		b.Reset()
		return true
	case <-ctx.Done():
		return false
	}
}

// Skip counts a step that is not waited for.
func (b *Backoff) Skip() { b.step = min(max(2*b.step, b.First), b.Most) }

// Reset has the next step be the first.
func (b *Backoff) Reset() { b.step = 0 }

// Longest has the steps that follow be Most.
func (b *Backoff) Longest() { b.step = b.Most }

// Fresh reports whether there was no step since the beginning or Reset.
func (b *Backoff) Fresh() bool { return b.step == 0 }
