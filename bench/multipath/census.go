package multipath

import (
	"context"
	"time"
)

// census is what lives: goroutines, and bytes on the heap.
type census struct {
	goroutines int
	heap       int64
}

// arrival is how long all paths may take to be there, which senders do not wait
// for.
const arrival = 5 * time.Second

// counted plays the load and counts what lives before, with all paths there, and
// after it, when all has settled.
func (st *stage) counted(ctx context.Context) (*Outcome, error) {
	if err := pause(ctx, arrival); err != nil {
		return nil, err
	}
	before, err := st.ground.count(ctx)
	if err != nil {
		return nil, err
	}
	o, err := st.play(ctx)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, st.Settle); err != nil {
		return nil, err
	}
	after, err := st.ground.count(ctx)
	o.Left = census{after.goroutines - before.goroutines, after.heap - before.heap}
	return o, err
}

func leftGoroutines(o *Outcome) float64 { return float64(o.Left.goroutines) }
func leftHeap(o *Outcome) float64       { return mib(o.Left.heap) }

// leftRows are what a run may leave behind. The heap has the book of all that was
// sent, the newest groups in the relay's cache, and buffers that have been as large
// as they had to be; a hundred sessions would be as much again.
func (j *judgement) leftRows() []row {
	return []row{
		j.row("goroutines left", "", leftGoroutines, highest, atMost(8, 50)),
		j.row("heap left", "MiB", leftHeap, highest, atMost(6, 10)),
	}
}
