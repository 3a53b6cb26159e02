package bond

import (
	"context"
	"errors"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/moqt"
)

// chunkStream is a stream that an object's chunks go on.
type chunkStream struct {
	st      transport.SendStream // nil until it is open
	closed  bool                 // its last chunk was given out
	stopped bool                 // nothing is to go on it any more
	writing bool                 // a chunk is being written
}

// ending is a stream that nothing more goes on.
type ending struct {
	st    transport.SendStream
	reset bool // what is on its way is not to be sent again
}

func (e ending) end() {
	if e.reset {
		e.st.CancelWrite(moqt.StreamCancelled)
	} else {
		e.st.Close()
	}
}

// stopLocked ends the stream of an object that nobody waits for any more. What was
// written of it may arrive where the path works, and shows that it does; where that
// is in doubt, it would only be in the way later.
func (b *Bond) stopLocked(c *connection, cs *chunkStream, id bond.Object) {
	cs.stopped = true
	switch {
	case cs.st == nil: // whoever opens it finds out
	case b.sched.Abandon(c.id, id):
		b.ending = append(b.ending, ending{cs.st, true})
	default:
		b.finishLocked(cs)
	}
}

// finishLocked closes a stream that nothing more goes on, unless its writer will.
func (b *Bond) finishLocked(cs *chunkStream) {
	if cs.stopped && !cs.closed && !cs.writing {
		cs.closed = true
		b.ending = append(b.ending, ending{cs.st, false})
	}
}

// work asks the scheduler for a chunk and writes it, again and again. A write
// takes as long as the path's congestion control wants, so a connection asks as
// soon as it can send, and no sooner.
func (c *connection) work(ctx context.Context) error {
	b := c.b
	var buf []byte
	var written *chunkStream // by the last round
	again := time.NewTimer(0)
	defer again.Stop()
	for ctx.Err() == nil {
		stats := c.sess.Stats()
		b.mu.Lock()
		now := time.Now()
		if written != nil {
			written.writing = false
			b.finishLocked(written)
			written = nil
		}
		b.sched.Observe(c.id, figuresOf(stats))
		if c.retiring && b.sched.Idle(c.id) {
			b.unlock()
			return errUnwanted
		}
		var a Assignment
		ok := false
		if !c.retiring {
			a, ok = b.sched.Pick(c.id, now)
		}
		b.settleLocked(now)
		if !ok {
			wake, next := b.wake, b.sched.Next(now)
			b.unlock()
			again.Reset(next.Sub(now))
			select {
			case <-wake:
			case <-again.C:
			case <-ctx.Done():
			}
			continue
		}
		o := b.objects[a.Object]
		o.begun = true
		header := o.header
		cs := c.open[a.Object]
		first := cs == nil || cs.closed
		if first {
			cs = &chunkStream{}
			c.open[a.Object] = cs
		}
		cs.closed, cs.writing = a.Last, true
		written = cs
		b.unlock()
		buf = buf[:0]
		if first {
			buf = bond.AppendHeader(buf, &header)
		}
		buf = bond.AppendChunk(buf, &bond.Chunk{Sequence: a.Sequence, Offset: a.Offset, Bytes: o.payload[a.Offset : a.Offset+a.Length]})
		began := time.Now()
		err := c.write(ctx, cs, buf, a.Last)
		c.busy.Add(int64(time.Since(began)))
		if err != nil && !c.unsent(a, cs, err) {
			return err
		}
	}
	return context.Cause(ctx)
}

// errStopped says that an object has become whole, or was given up, before its
// stream was open.
var errStopped = errors.New("nobody waits for the object any more")

// write writes a chunk, which is the last of its stream or not.
func (c *connection) write(ctx context.Context, cs *chunkStream, chunk []byte, last bool) error {
	st := cs.st
	if st == nil {
		var err error
		if st, err = c.sess.OpenExtensionStream(ctx, bond.ChunkType); err != nil {
			return err
		}
		c.b.mu.Lock()
		stopped := cs.stopped
		cs.st = st
		c.b.mu.Unlock()
		if stopped {
			st.CancelWrite(moqt.StreamCancelled)
			return errStopped
		}
	}
	if _, err := st.Write(chunk); err != nil {
		return err
	}
	if last {
		return st.Close()
	}
	return nil
}

// unsent takes in that a chunk could not be written, and reports whether that is due
// to its stream alone. Otherwise the connection is over, though its session may not
// have noticed, and would take one chunk after the other and send none.
func (c *connection) unsent(a Assignment, cs *chunkStream, err error) bool {
	var stopped *transport.StreamError
	if !errors.As(err, &stopped) && err != errStopped {
		return false
	}
	b := c.b
	now := time.Now()
	b.mu.Lock()
	defer b.unlock()
	b.sched.Lost(c.id, a.Sequence)
	if c.open[a.Object] == cs {
		delete(c.open, a.Object)
	}
	switch {
	case stopped == nil || !stopped.Remote:
	case stopped.Code == bond.StopHere:
		b.sched.Refused(c.id, a.Object, now)
	default:
		b.sched.GiveUp(a.Object)
	}
	b.settleLocked(now)
	b.wakeLocked()
	return true
}

// acked takes in what the relay says has arrived.
func (b *Bond) acked(a *bond.Ack) error {
	b.mu.Lock()
	defer b.unlock()
	now := time.Now()
	if _, ok := b.members[a.Member]; ok {
		if last := a.Ranges[0].Last; last >= b.sched.Sent(a.Member) {
			return violation("BOND_ACK tells of chunk %d of connection %d, which was not sent", last, a.Member)
		}
		b.sched.Acked(a.Member, a.Ranges, a.Received, now)
	}
	for _, id := range a.Done {
		if o := b.objects[id]; o != nil && o.begun {
			b.sched.Done(id)
		}
	}
	b.settleLocked(now)
	b.wakeLocked()
	return nil
}
