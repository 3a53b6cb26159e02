package transporttest

import (
	"context"
	"io"
	"os"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// half carries the bytes of a stream one way.
type half struct {
	from, to *pipeConn
	id       uint64
	ctx      context.Context // the writer's
	cancel   context.CancelCauseFunc

	// What the connection wants to know, each called once and without mu.
	announce func() // something has been sent: the peer may see the stream
	consumed func() // the reader has met the end, or has cancelled
	ended    func() // the writer has ended, or has been stopped

	announced, consumedOnce, endedOnce sync.Once

	mu            sync.Mutex    // guards what follows
	changed       chan struct{} // closed, when somebody waits, at every change
	waiting       bool
	buf           []byte // written and not yet read
	written       int64
	boundary      int64 // of what a reset leaves
	closed        bool
	reset         *transport.StreamError // by the writer
	stopped       *transport.StreamError // by the reader
	readDeadline  time.Time
	writeDeadline time.Time
}

func newHalf(from, to *pipeConn, id uint64) *half {
	h := &half{from: from, to: to, id: id, changed: make(chan struct{})}
	h.ctx, h.cancel = context.WithCancelCause(from.ctx)
	return h
}

// changeLocked wakes whoever waits for a change.
func (h *half) changeLocked() {
	if h.waiting {
		h.waiting = false
		close(h.changed)
		h.changed = make(chan struct{})
	}
}

// waitLocked unlocks h and waits for a change, the deadline, or the end of conn.
func (h *half) waitLocked(conn *pipeConn, deadline time.Time) {
	h.waiting = true
	changed := h.changed
	h.mu.Unlock()
	var expired <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-changed:
	case <-expired:
	case <-conn.ctx.Done():
	}
}

func over(deadline time.Time) bool { return !deadline.IsZero() && !time.Now().Before(deadline) }

// pipeSend is the writer's view of a half.
type pipeSend struct{ h *half }

func (w pipeSend) Write(p []byte) (int, error) {
	h, n := w.h, 0
	for {
		h.mu.Lock()
		if err := h.writeErrorLocked(); err != nil {
			h.mu.Unlock()
			return n, err
		}
		if room := min(h.from.opts.Window-len(h.buf), len(p)-n); room > 0 {
			h.buf = append(h.buf, p[n:n+room]...)
			h.written += int64(room)
			n += room
			h.from.sent.Add(uint64(room))
			h.changeLocked()
		}
		h.mu.Unlock()
		if n > 0 {
			h.show()
		}
		if n == len(p) {
			return n, nil
		}
		h.mu.Lock()
		if h.writeErrorLocked() != nil || len(h.buf) < h.from.opts.Window {
			h.mu.Unlock()
			continue
		}
		h.waitLocked(h.from, h.writeDeadline)
	}
}

func (h *half) writeErrorLocked() error {
	switch {
	case h.from.ctx.Err() != nil:
		return context.Cause(h.from.ctx)
	case h.reset != nil:
		return &transport.StreamError{Code: h.reset.Code}
	case h.closed:
		return transport.ErrClosed
	case h.stopped != nil:
		return &transport.StreamError{Code: h.stopped.Code, Remote: true}
	case over(h.writeDeadline):
		return os.ErrDeadlineExceeded
	}
	return nil
}

func (h *half) show() { h.announced.Do(h.announce) }

func (w pipeSend) Close() error {
	h := w.h
	h.mu.Lock()
	var err error
	switch {
	case h.stopped != nil && !h.closed && h.reset == nil:
		err = &transport.StreamError{Code: h.stopped.Code, Remote: true}
	case h.reset != nil:
		err = &transport.StreamError{Code: h.reset.Code}
	case h.from.ctx.Err() == nil:
		h.closed = true
		h.changeLocked()
	}
	h.mu.Unlock()
	if err != nil {
		return err
	}
	h.finish(transport.ErrClosed)
	return nil
}

func (w pipeSend) CancelWrite(code moqt.StreamCode) {
	h := w.h
	h.mu.Lock()
	done := h.closed || h.reset != nil || h.stopped != nil
	if !done && h.from.ctx.Err() == nil { // what comes after the connection's end is not sent
		h.reset = &transport.StreamError{Code: code, Remote: true}
		read := h.written - int64(len(h.buf))
		h.buf = h.buf[:max(0, h.boundary-read)]
		h.changeLocked()
	}
	h.mu.Unlock()
	if !done {
		h.finish(&transport.StreamError{Code: code})
	}
}

// finish is called when the writer will write no more.
func (h *half) finish(cause error) {
	h.cancel(cause)
	h.endedOnce.Do(h.ended)
	if h.from.ctx.Err() == nil {
		h.show()
	}
}

func (w pipeSend) StreamID() uint64         { return w.h.id }
func (r pipeReceive) StreamID() uint64      { return r.h.id }
func (s *pipeStream) StreamID() uint64      { return s.pipeSend.h.id }
func (w pipeSend) Context() context.Context { return w.h.ctx }

// SetPriority does nothing: all streams are sent at once.
func (w pipeSend) SetPriority(int8, bool) {}

func (w pipeSend) SetReliableBoundary() {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	w.h.boundary = w.h.written
}

func (w pipeSend) SetWriteDeadline(t time.Time) error {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	w.h.writeDeadline = t
	w.h.changeLocked()
	return nil
}

// pipeReceive is the reader's view of a half.
type pipeReceive struct{ h *half }

func (r pipeReceive) Read(p []byte) (int, error) {
	h := r.h
	for {
		h.mu.Lock()
		n, ok, err := h.readLocked(p)
		if ok {
			h.mu.Unlock()
			if err == io.EOF || h.isReset(err) {
				h.consumedOnce.Do(h.consumed)
			}
			return n, err
		}
		h.waitLocked(h.to, h.readDeadline)
	}
}

// readLocked reads what there is, or reports false if there is nothing to say.
func (h *half) readLocked(p []byte) (n int, ok bool, err error) {
	switch {
	case h.to.ctx.Err() != nil:
		return 0, true, context.Cause(h.to.ctx)
	case h.stopped != nil:
		return 0, true, &transport.StreamError{Code: h.stopped.Code}
	case over(h.readDeadline):
		return 0, true, os.ErrDeadlineExceeded
	case len(p) == 0:
		return 0, true, nil
	case len(h.buf) > 0:
		n = copy(p, h.buf)
		h.buf = h.buf[n:]
		if len(h.buf) == 0 {
			h.buf = nil
		}
		h.to.taken.Add(uint64(n))
		h.changeLocked()
		return n, true, nil
	case h.reset != nil:
		return 0, true, h.reset
	case h.closed:
		return 0, true, io.EOF
	}
	return 0, false, nil
}

func (h *half) isReset(err error) bool {
	e, ok := err.(*transport.StreamError)
	return ok && e.Remote
}

func (r pipeReceive) CancelRead(code moqt.StreamCode) {
	h := r.h
	h.mu.Lock()
	met := h.stopped != nil || len(h.buf) == 0 && h.closed || h.to.ctx.Err() != nil
	if !met {
		h.stopped = &transport.StreamError{Code: code}
		h.buf = nil
		h.changeLocked()
	}
	h.mu.Unlock()
	h.consumedOnce.Do(h.consumed)
	if !met {
		h.cancel(&transport.StreamError{Code: code, Remote: true})
		h.endedOnce.Do(h.ended)
	}
}

func (r pipeReceive) SetReadDeadline(t time.Time) error {
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	r.h.readDeadline = t
	r.h.changeLocked()
	return nil
}

// pipeStream is both halves.
type pipeStream struct {
	pipeSend
	pipeReceive
}
