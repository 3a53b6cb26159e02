package forward

import (
	"context"
	"sync"
	"time"
)

// queue holds the frames for one target. Who puts them in never waits: where the
// target is too slow, or not there, the oldest go, up to a frame at which a stream
// can begin.
type queue struct {
	maxBytes int
	maxAge   time.Duration
	wake     chan struct{} // cap 1: a token when something changed
	end      chan struct{} // closed when nothing more comes

	mu      sync.Mutex // guards what follows
	frames  []queued
	bytes   int
	lost    bool   // there was a connection, or a try to have one, and there is none
	waiting bool   // what comes before the next start is not wanted
	dropped uint64 // frames that will not be sent
	late    uint64 // those of them that a connection was too slow for
}

type queued struct {
	frame
	at time.Time // when it was put in
}

func newQueue(maxBytes int, maxAge time.Duration) *queue {
	return &queue{maxBytes: maxBytes, maxAge: maxAge, wake: make(chan struct{}, 1), end: make(chan struct{}), waiting: true}
}

func (q *queue) push(f frame, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting && !f.start {
		q.dropped++
		if !q.lost {
			q.late++
		}
		return
	}
	q.waiting = false
	if q.lost && f.start { // who comes back begins with the newest picture
		q.dropLocked(len(q.frames))
	}
	q.frames = append(q.frames, queued{f, now})
	q.bytes += len(f.body)
	if q.bytes > q.maxBytes || now.Sub(q.frames[0].at) > q.maxAge {
		before := q.dropped
		if q.dropToStartLocked(1); len(q.frames) == 0 {
			q.waiting = true
		}
		if !q.lost {
			q.late += q.dropped - before
		}
	}
	q.notify()
}

// dropToStartLocked drops what is before the last frame from the given one on at
// which a stream can begin, or all if there is none.
func (q *queue) dropToStartLocked(from int) {
	i := len(q.frames) - 1
	for i >= from && !q.frames[i].start {
		i--
	}
	if i < from {
		i = len(q.frames)
	}
	q.dropLocked(i)
}

func (q *queue) dropLocked(n int) {
	for i := range q.frames[:n] {
		q.bytes -= len(q.frames[i].body)
		q.frames[i] = queued{}
	}
	q.frames = q.frames[n:]
	q.dropped += uint64(n)
}

func (q *queue) notify() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// close says that nothing more comes. It is called once.
func (q *queue) close() { close(q.end) }

// found says that frames are being taken for a connection.
func (q *queue) found() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lost = false
}

// lose says that there is no connection, and may not be one for long. The next
// begins with the newest picture.
func (q *queue) lose() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lost = true
	if q.dropToStartLocked(0); len(q.frames) == 0 {
		q.waiting = true
	}
}

// wait waits until there is a frame, and reports false if none will come, or ctx
// or stop ends.
func (q *queue) wait(ctx context.Context, stop <-chan struct{}) bool {
	for q.empty() {
		select {
		case <-q.wake:
		case <-q.end:
			return !q.empty()
		case <-stop:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.frames) == 0
}

// head returns what the next frame belongs to, or nil if there is none.
func (q *queue) head() *head {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.frames) == 0 {
		return nil
	}
	return q.frames[0].head
}

// next returns the next frame. It is for who has seen wait report one, and false
// if that was dropped meanwhile.
func (q *queue) next() (frame, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.frames) == 0 {
		return frame{}, false
	}
	f := q.frames[0].frame
	q.frames[0] = queued{}
	q.frames = q.frames[1:]
	q.bytes -= len(f.body)
	return f, true
}

// over reports whether nothing is left and nothing more comes.
func (q *queue) over() bool {
	select {
	case <-q.end:
		return q.empty()
	default:
		return false
	}
}
