package multipath

import (
	"context"
	"slices"
	"sync"
	"time"
)

// heldSamples is what the relay was seen to hold of objects that are not whole.
type heldSamples struct {
	mu    sync.Mutex // guards what follows
	bytes []int64
	most  int64
}

// sampleEvery is the time between two looks at what is held: no multiple of that
// between two pictures, so that they meet different moments of one.
const sampleEvery = 470 * time.Millisecond

// sample looks now and then while what is made counts.
func (st *stage) sample(ctx context.Context, began time.Time) {
	if pause(ctx, time.Until(began.Add(st.From))) != nil {
		return
	}
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for time.Since(began) < st.Length {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now, most, err := st.ground.held(ctx)
		if err != nil {
			continue
		}
		st.held.mu.Lock()
		st.held.bytes = append(st.held.bytes, now)
		st.held.most = most
		st.held.mu.Unlock()
	}
}

// result returns the median of the samples, and the most that was ever held, which
// the relay keeps.
func (h *heldSamples) result() (typical, most int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.bytes) == 0 {
		return 0, 0
	}
	slices.Sort(h.bytes)
	return h.bytes[len(h.bytes)/2], h.most
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func heldTypical(o *Outcome) float64 { return mib(o.Held) }
func heldMost(o *Outcome) float64    { return mib(o.HeldMost) }

// heldRows are what the relay may hold of objects that are not whole: typically,
// and ever, in any run.
func (j *judgement) heldRows() []row {
	return []row{
		j.row("held by the relay", "MiB", heldTypical, highest, atMost(4, 32)),
		j.told("most ever held by the relay", "MiB", j.worst(heldMost, highest), atMost(32, 64)),
	}
}
