package cache

import "sync/atomic"

// bell wakes everybody who waits for something to change. It costs one channel
// per ring, and nothing when nobody waits; a waiter that gives up leaves
// nothing behind. The zero value is ready.
//
// A waiter first takes the channel, then looks again at what it waits for, and
// only then blocks: what changes after the look is followed by a ring of that
// channel.
type bell struct {
	ch atomic.Pointer[chan struct{}]
}

// wait returns a channel that the next ring closes.
func (b *bell) wait() <-chan struct{} {
	for {
		if ch := b.ch.Load(); ch != nil {
			return *ch
		}
		ch := make(chan struct{})
		if b.ch.CompareAndSwap(nil, &ch) {
			return ch
		}
	}
}

// ring wakes all who wait. It must follow the change that it announces.
func (b *bell) ring() {
	// The load spares the common case, nobody there, a write to a line that
	// waiters on other processors share.
	if b.ch.Load() == nil {
		return
	}
	if ch := b.ch.Swap(nil); ch != nil {
		close(*ch)
	}
}
