package bonds

import (
	"context"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
)

// outbox has the acknowledgements that a bond stream is to send. A later one for
// the same member replaces an earlier one, of which it says all: what waits for a
// peer that takes nothing is bounded, and nobody waits for it.
type outbox struct {
	wake chan struct{} // cap 1: a token when there is something

	mu      sync.Mutex  // guards what follows
	acks    []*bond.Ack // at most one for each member
	writing time.Time   // since when a Write has not returned
}

func (o *outbox) init() { o.wake = make(chan struct{}, 1) }

// maxDone is how many finished objects wait to be told at most. Those that came
// last are worth most.
const maxDone = 512

// put queues an acknowledgement, which is not to be changed any more.
func (o *outbox) put(ack *bond.Ack) {
	o.mu.Lock()
	replaced := false
	for i, old := range o.acks {
		if old.Member == ack.Member {
			merged := *ack
			done := make([]bond.Object, 0, len(old.Done)+len(ack.Done))
			done = append(append(done, old.Done...), ack.Done...)
			merged.Done = done[max(0, len(done)-maxDone):]
			o.acks[i], replaced = &merged, true
		}
	}
	if !replaced {
		o.acks = append(o.acks, ack)
	}
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default: // a token is there
	}
}

// send writes what is put, until ctx or the stream ends.
func (o *outbox) send(ctx context.Context, st transport.SendStream) {
	var b []byte
	for {
		select {
		case <-o.wake:
		case <-ctx.Done():
			return
		}
		o.mu.Lock()
		acks := o.acks
		o.acks, o.writing = nil, time.Now()
		o.mu.Unlock()
		b = b[:0]
		for _, ack := range acks {
			b = bond.AppendMessage(b, ack)
		}
		_, err := st.Write(b)
		o.mu.Lock()
		o.writing = time.Time{}
		o.mu.Unlock()
		if err != nil {
			return // of the session, or the peer wants to hear no more
		}
	}
}

// stuckAfter is how long a bond stream takes nothing before others are preferred.
const stuckAfter = 100 * time.Millisecond

// stuck reports whether the peer has taken nothing for a while.
func (o *outbox) stuck(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.writing.IsZero() && now.Sub(o.writing) > stuckAfter
}
