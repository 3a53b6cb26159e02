package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// InParallel calls do for 0 to n-1, at most width at once, and returns the first
// error, after which it begins no more.
func InParallel(n, width int, do func(i int) error) error {
	var next atomic.Int64
	var once sync.Once
	var first error
	var failed atomic.Bool
	var wg sync.WaitGroup
	for range min(n, width) {
		wg.Go(func() {
			for !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil {
					once.Do(func() { first = err })
					failed.Store(true)
				}
			}
		})
	}
	wg.Wait()
	return first
}

// together is [InParallel] with all at once.
func together(n int, do func(i int) error) error { return InParallel(n, n, do) }

// pause lets a measurement run for d.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// pacer lets go on at a rate, from its first wait on. Who comes late does not
// wait.
type pacer struct {
	interval time.Duration
	next     time.Time
}

func newPacer(rate int) *pacer { return &pacer{interval: time.Second / time.Duration(rate)} }

func (p *pacer) wait(ctx context.Context) error {
	if p.next.IsZero() {
		p.next = time.Now()
	}
	if d := time.Until(p.next); d > 0 {
		if err := pause(ctx, d); err != nil {
			return err
		}
	}
	p.next = p.next.Add(p.interval)
	return ctx.Err()
}
