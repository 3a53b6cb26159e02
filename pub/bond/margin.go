package bond

import "time"

// margin is how far the acknowledgements of a connection are from when they were
// expected. What is expected may be wrong by the same for all, as where a rate is
// not known well, and it may be wrong by a different time for each; a path that
// does as expected is found out sooner when it does not any more.
type margin struct {
	bias   time.Duration // mean of how much later they come, or earlier if it is negative
	spread time.Duration // mean deviation from that
}

const (
	firstMargin = 20 * time.Millisecond // before anything is known
	leastMargin = 4 * time.Millisecond
	settled     = 4 // deviations that are nothing unusual
)

func newMargin() margin { return margin{spread: firstMargin / settled} }

// allowed returns how much later than expected an acknowledgement may come before
// it is late.
func (g *margin) allowed() time.Duration {
	return g.bias + max(leastMargin, settled*g.spread)
}

// learn takes in that an acknowledgement was late by so much. One that was lost on
// the way and sent again by the transport tells nothing of the others: what is
// beyond the margin counts as just there.
func (g *margin) learn(late time.Duration) {
	off := min(late, g.allowed()) - g.bias
	g.bias += off / 8
	g.spread += (max(off, -off) - g.spread) / 4
}
