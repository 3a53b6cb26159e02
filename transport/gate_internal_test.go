package transport

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// slowStream takes a piece when it is told to.
type slowStream struct {
	SendStream
	ctx    context.Context
	cancel context.CancelFunc
	inside atomic.Bool
	took   atomic.Int64
	let    chan struct{}
}

func newSlowStream() *slowStream {
	ctx, cancel := context.WithCancel(context.Background())
	return &slowStream{ctx: ctx, cancel: cancel, let: make(chan struct{})}
}

func (s *slowStream) Write(p []byte) (int, error) {
	s.inside.Store(true)
	defer s.inside.Store(false)
	select {
	case <-s.let:
		s.took.Add(int64(len(p)))
		return len(p), nil
	case <-s.ctx.Done():
		return 0, &StreamError{Code: moqt.StreamCancelled}
	}
}

func (s *slowStream) SetPriority(int8, bool)           {}
func (s *slowStream) CancelWrite(moqt.StreamCode)      { s.cancel() }
func (s *slowStream) Close() error                     { s.cancel(); return nil }
func (s *slowStream) Context() context.Context         { return s.ctx }
func (s *slowStream) SetWriteDeadline(time.Time) error { return nil }

// crowd is a session with more ranks than levels. Its streams are named by rank,
// those that need not pass the gate first.
type crowd struct {
	t     *testing.T
	s     *sched
	slow  []*slowStream
	outer []*schedStream
	done  []chan error
}

func newCrowd(t *testing.T, n int) *crowd {
	c := &crowd{t: t, s: &sched{first: levelWebTransport}, done: make([]chan error, n)}
	for i := range n {
		st := newSlowStream()
		c.slow = append(c.slow, st)
		c.outer = append(c.outer, c.s.add(st, func() schedKey { return schedKey{sub: moqt.Priority(i)} }))
	}
	return c
}

// write has stream i write n bytes.
func (c *crowd) write(i, n int) {
	c.done[i] = make(chan error, 1)
	go func() {
		_, err := c.outer[i].Write(make([]byte, n))
		c.done[i] <- err
	}()
	synctest.Wait()
}

// let has the transport take a piece of stream i.
func (c *crowd) let(i int) {
	c.slow[i].let <- struct{}{}
	synctest.Wait()
}

// result returns how stream i's Write has ended, and whether it has.
func (c *crowd) result(i int) (err error, done bool) {
	select {
	case err = <-c.done[i]:
		return err, true
	default:
		return nil, false
	}
}

// want checks which streams the transport has a piece of.
func (c *crowd) want(when string, streams ...int) {
	c.t.Helper()
	synctest.Wait()
	var got []int
	for i, st := range c.slow {
		if st.inside.Load() {
			got = append(got, i)
		}
	}
	if !slices.Equal(got, streams) {
		c.t.Errorf("%s: streams %v are being written, want %v", when, got, streams)
	}
}

func (c *crowd) close() {
	for _, st := range c.outer {
		st.CancelWrite(moqt.StreamCancelled)
	}
	synctest.Wait()
	if len(c.s.gate.want) != 0 || len(c.s.active) != 0 {
		c.t.Errorf("%d streams are left at the gate, %d in all", len(c.s.gate.want), len(c.s.active))
	}
}

func TestGateKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 8)
		defer c.close()
		c.write(1, 100)
		c.write(0, 100)
		c.write(6, 2*gatePiece)
		c.want("ranks with a level of their own, and one at the gate", 0, 1, 6)
		c.write(7, 100)
		c.write(4, gatePiece+1)
		c.want("a better rank", 0, 1, 4, 6)
		c.let(6)
		c.want("the worse one has written a piece", 0, 1, 4)
		c.let(4)
		c.want("the better one has written a piece", 0, 1, 4)
		c.let(4)
		c.want("the better one is done", 0, 1, 6)
		c.let(6)
		c.want("the second is done", 0, 1, 7)
		c.let(7)
		c.let(0)
		c.let(1)
		c.want("at the end")
		for i, want := range []int{100, 100, 0, 0, gatePiece + 1, 0, 2 * gatePiece, 100} {
			err, done := c.result(i)
			if took := c.slow[i].took.Load(); took != int64(want) || done != (want > 0) || err != nil {
				t.Errorf("stream %d wrote %d bytes, done %v, %v, want %d", i, took, done, err, want)
			}
		}
	})
}

func TestGateOpensWhenRanksChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 6)
		defer c.close()
		c.write(4, 100)
		c.write(5, 3*gatePiece)
		c.want("at first", 4)
		c.outer[0].Close()
		c.want("six ranks have become five", 4)
		c.outer[1].Close()
		c.want("five ranks have become four, one for each level", 4, 5)
		c.let(5)
		c.let(5)
		if _, done := c.result(5); !done {
			t.Errorf("%d bytes went as two pieces, want all %d", c.slow[5].took.Load(), 3*gatePiece)
		}
	})
}

// TestGateDoesNotWaitForTheDead lets others pass a stream whose reader takes
// nothing, but none that is only slow, or that waits for better levels.
func TestGateDoesNotWaitForTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const patience = gateStuck * gateLook
		c := newCrowd(t, 7)
		defer c.close()
		c.write(3, 3*gatePiece)
		c.write(4, 100)
		for range 2 {
			time.Sleep(patience - 1)
			c.want("shortly before patience ends", 3)
			c.let(3)
		}
		c.write(0, 20*freePiece)
		for range 10 {
			time.Sleep(gateLook)
			c.want("while a better level fills the path", 0, 3)
			c.let(0)
		}
		time.Sleep(patience - 1)
		c.want("shortly before patience ends again", 0, 3)
		time.Sleep(gateLook + 1)
		c.want("when nothing has moved for so long", 0, 3, 4)
	})
}

func TestGateWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 7)
		defer c.close()
		c.write(3, 100)
		c.outer[4].SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		c.write(4, 100)
		c.write(5, 100)
		time.Sleep(299 * time.Millisecond)
		c.want("shortly before the deadline", 3)
		if err, done := c.result(4); done {
			t.Errorf("Write() = %v before its deadline", err)
		}
		time.Sleep(time.Millisecond)
		c.want("at the deadline", 3)
		if err, _ := c.result(4); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write() = %v, want its deadline exceeded", err)
		}
		c.outer[5].CancelWrite(moqt.StreamCancelled)
		synctest.Wait()
		if err, _ := c.result(5); !errors.Is(err, &StreamError{Code: moqt.StreamCancelled}) {
			t.Errorf("Write() = %v of a stream that was reset meanwhile", err)
		}
		c.want("at the end", 3)
	})
}

// TestGateHeap drops and pushes in all orders and checks that the first is the
// best.
func TestGateHeap(t *testing.T) {
	var g gate
	streams := make([]*schedStream, 40)
	for i := range streams {
		streams[i] = &schedStream{rank: i * 7 % 20}
	}
	check := func(what string) {
		var list []string
		for i, e := range g.want {
			list = append(list, fmt.Sprint(e.rank))
			if e.place != i+1 || e.rank < g.want[0].rank {
				t.Fatalf("%s: place %d of rank %d at %d, first rank %d", what, e.place, e.rank, i, g.want[0].rank)
			}
			if i > 0 && g.want[(i-1)/2].rank > e.rank {
				t.Fatalf("%s: no heap: %s", what, strings.Join(list, " "))
			}
		}
	}
	for i, e := range streams {
		g.pushLocked(e)
		check(fmt.Sprint("push ", i))
	}
	for i := range streams {
		g.dropLocked(streams[i*13%40])
		g.dropLocked(streams[i*13%40])
		check(fmt.Sprint("drop ", i*13%40))
	}
	if len(g.want) != 0 {
		t.Errorf("%d are left", len(g.want))
	}
}
