package transport

import (
	"os"
	"sync/atomic"
	"time"
)

// gate lets those who share the last level write in the order of their ranks.
// The transport would give each its share of what it has taken, so they may
// hand it no more than a piece at a time, and only while nobody of a better rank
// wants to.
//
// A stream can also be held up because its reader takes nothing. Nobody must
// wait for that, but it looks the same from here as one whose turn has not come
// because better levels fill the path. So those who wait look around now and
// then, and pass when time and again nothing has moved that should have.
type gate struct {
	want  []*schedStream // who has something to write, a heap by rank
	moved uint64         // pieces written

	// Of the streams that have their own level:
	writing  atomic.Int64 // those that are in a Write
	progress atomic.Int64 // pieces written
}

const (
	gatePiece = 16 << 10
	freePiece = 64 << 10 // of streams with their own level
	// gateLook is how often to look around, gateStuck how many times in a row
	// nothing has moved when who waits passes.
	gateLook  = 250 * time.Millisecond
	gateStuck = 4
)

// gated is what a stream needs to pass the gate.
type gated struct {
	last     atomic.Bool // it shares the last level with other ranks
	deadline time.Time   // of writes; used by the writer alone

	// Guarded by sched.mu:
	place int           // in gate.want, from 1; 0 if it is not there
	turn  chan struct{} // cap 1: a token when it is worth looking again; nil before
	timer *time.Timer   // used by the writer alone
}

// Write writes p, and waits for its turn where that is needed.
func (e *schedStream) Write(p []byte) (n int, err error) {
	stays := false // at the gate, between two pieces
	for again := true; again && err == nil; again = n < len(p) {
		var m int
		if e.last.Load() {
			end := min(len(p), n+gatePiece)
			stays = end < len(p)
			m, err = e.writeInTurn(p[n:end], stays)
		} else {
			if stays {
				e.leave()
				stays = false
			}
			g := &e.s.gate
			g.writing.Add(1)
			m, err = e.SendStream.Write(p[n:min(len(p), n+freePiece)])
			g.writing.Add(-1)
			g.progress.Add(1)
		}
		n += m
	}
	if err != nil && !isTimeout(err) {
		e.s.remove(e)
	}
	return n, err
}

// writeInTurn writes a piece. With more to come it stays where it is at the gate, so
// that nobody of a worse rank goes between.
func (e *schedStream) writeInTurn(p []byte, more bool) (n int, err error) {
	if err = e.enter(); err == nil {
		n, err = e.SendStream.Write(p)
	}
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	e.s.gate.moved++
	if more && err == nil {
		e.s.gate.callLocked()
		return n, nil
	}
	e.leaveLocked()
	return n, err
}

// SetWriteDeadline bounds writes and the wait for their turn.
func (e *schedStream) SetWriteDeadline(t time.Time) error {
	e.deadline = t
	return e.SendStream.SetWriteDeadline(t)
}

// enter waits until e may write, and fails with [os.ErrDeadlineExceeded]. What
// else may have ended the stream is left to its Write to tell.
func (e *schedStream) enter() error {
	s := e.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.place == 0 {
		s.gate.pushLocked(e)
	}
	stuck, moved, progress := 0, s.gate.moved, s.gate.progress.Load()
	for e.last.Load() && s.gate.want[0].rank < e.rank {
		s.mu.Unlock()
		looked := e.wait()
		s.mu.Lock()
		switch {
		case e.Context().Err() != nil:
			return nil
		case !e.deadline.IsZero() && !time.Now().Before(e.deadline):
			return os.ErrDeadlineExceeded
		case !looked:
			continue
		}
		before := progress
		progress = s.gate.progress.Load()
		switch {
		case s.gate.moved != moved || s.gate.writing.Load() > 0 && progress != before:
			stuck, moved = 0, s.gate.moved
		case stuck+1 == gateStuck:
			return nil
		default:
			stuck++
		}
	}
	return nil
}

// wait waits for a token, and reports whether it is time to look around instead.
func (e *schedStream) wait() bool {
	d := gateLook
	if !e.deadline.IsZero() {
		d = min(d, time.Until(e.deadline))
	}
	if e.timer == nil {
		e.timer = time.NewTimer(d)
	} else {
		e.timer.Reset(d)
	}
	defer e.timer.Stop()
	select {
	case <-e.turn:
	case <-e.Context().Done():
	case <-e.timer.C:
		return true
	}
	return false
}

// leave says that e has nothing to write.
func (e *schedStream) leave() {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	e.leaveLocked()
}

func (e *schedStream) leaveLocked() {
	e.s.gate.dropLocked(e)
	e.s.gate.callLocked()
}

func (g *gate) pushLocked(e *schedStream) {
	if e.turn == nil {
		e.turn = make(chan struct{}, 1)
	}
	g.want = append(g.want, e)
	e.place = len(g.want)
	g.upLocked(e.place - 1)
}

func (g *gate) dropLocked(e *schedStream) {
	i := e.place - 1
	if i < 0 {
		return
	}
	last := len(g.want) - 1
	g.swapLocked(i, last)
	g.want[last] = nil
	g.want = g.want[:last]
	e.place = 0
	if i < last {
		g.upLocked(i)
		g.downLocked(i)
	}
}

// rankedLocked sorts anew after ranks changed.
func (g *gate) rankedLocked() {
	for i := len(g.want)/2 - 1; i >= 0; i-- {
		g.downLocked(i)
	}
	for _, e := range g.want {
		e.call()
	}
}

// callLocked wakes those of the first rank.
func (g *gate) callLocked() { g.callFromLocked(0) }

func (g *gate) callFromLocked(i int) {
	if i >= len(g.want) || g.want[i].rank != g.want[0].rank {
		return
	}
	g.want[i].call()
	g.callFromLocked(2*i + 1)
	g.callFromLocked(2*i + 2)
}

func (e *schedStream) call() {
	select {
	case e.turn <- struct{}{}:
	default: // it has not looked since the last one
	}
}

func (g *gate) swapLocked(i, j int) {
	g.want[i], g.want[j] = g.want[j], g.want[i]
	g.want[i].place, g.want[j].place = i+1, j+1
}

func (g *gate) upLocked(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if g.want[parent].rank <= g.want[i].rank {
			return
		}
		g.swapLocked(i, parent)
		i = parent
	}
}

func (g *gate) downLocked(i int) {
	for {
		least := i
		for _, child := range [...]int{2*i + 1, 2*i + 2} {
			if child < len(g.want) && g.want[child].rank < g.want[least].rank {
				least = child
			}
		}
		if least == i {
			return
		}
		g.swapLocked(i, least)
		i = least
	}
}
