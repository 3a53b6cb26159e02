package netsim

import (
	"math/rand/v2"
	"sync"
)

// duplex is the two directions of a link.
type duplex struct{ up, down *direction }

func newDuplex(seed uint64, id int, up, down func(packet), opts []Option) duplex {
	l := duplex{
		up:   newDirection(rand.New(rand.NewPCG(seed, uint64(2*id))), up),
		down: newDirection(rand.New(rand.NewPCG(seed, uint64(2*id+1))), down),
	}
	l.Set(opts...)
	return l
}

// Set changes the link from now on. What opts do not name stays as it was, and
// packets on their way keep the times they have been given.
func (l *duplex) Set(opts ...Option) {
	up, down := l.up.currentShape(), l.down.currentShape()
	for _, o := range opts {
		o(&up, &down)
	}
	l.up.setShape(up)
	l.down.setShape(down)
}

// Cut breaks the link in both directions: what is sent, and what would arrive,
// is lost until Restore.
func (l *duplex) Cut() {
	l.up.setDark(true)
	l.down.setDark(true)
}

// Restore ends what Cut began.
func (l *duplex) Restore() {
	l.up.setDark(false)
	l.down.setDark(false)
}

// Stats returns what the link has done so far to packets of the endpoints behind
// it (up) and to those for them (down).
func (l *duplex) Stats() (up, down Stats) { return l.up.currentStats(), l.down.currentStats() }

// Line is a link without a network: its packets come from somewhere else, and it
// hands them to functions. Its methods may be called concurrently.
type Line struct {
	duplex
	done chan struct{}
	once sync.Once
	wg   sync.WaitGroup
}

// NewLine returns a line that calls up with what has come up it, and down with
// what has come down. Each is called by one goroutine, and owns what it is given.
func NewLine(seed uint64, up, down func([]byte), opts ...Option) *Line {
	l := &Line{done: make(chan struct{})}
	l.duplex = newDuplex(seed, 1, func(p packet) { up(p.data) }, func(p packet) { down(p.data) }, opts)
	l.wg.Go(func() { l.up.run(l.done) })
	l.wg.Go(func() { l.down.run(l.done) })
	return l
}

// SendUp puts b, which belongs to the line then, on its way up, or drops it.
func (l *Line) SendUp(b []byte) { l.up.send(packet{data: b}) }

// SendDown is [Line.SendUp] for the other direction.
func (l *Line) SendDown(b []byte) { l.down.send(packet{data: b}) }

// Close ends the line and waits for its goroutines; what is on its way is lost.
func (l *Line) Close() {
	l.once.Do(func() { close(l.done) })
	l.wg.Wait()
}
