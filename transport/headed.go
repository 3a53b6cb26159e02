package transport

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// headed is a stream that may owe its peer a header, which goes out with what is
// written first. Written by itself it would be a frame of its own; and since a
// packet has at most one frame of each stream, what is less urgent would fill the
// packet, and an object would take one more.
//
// The header is delivered even if the stream is reset: the peer could else not tell
// what it was. There is one case in which it is not, that of a reset while the first
// Write waits and none of it has gone. [headed.lost] tells.
type headed struct {
	SendStream
	owes   atomic.Bool
	mu     sync.Mutex // held by the first Write; guards header
	header []byte     // nil unless it is owed
}

// owe gives the stream a header. Nothing may have been written yet.
func (h *headed) owe(header []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.header = header
	h.owes.Store(true)
}

// Of what is written first, up to wholeFirst bytes are copied behind the header,
// and of more than that, partFirst.
const (
	wholeFirst = 20 << 10
	partFirst  = 16 << 10
)

func (h *headed) Write(p []byte) (n int, err error) {
	if h.owes.Load() {
		if n, err = h.writeFirst(p); err != nil || n == len(p) {
			return n, err
		}
	}
	m, err := h.SendStream.Write(p[n:])
	return n + m, err
}

// writeFirst writes the header and at least the first bytes of p.
func (h *headed) writeFirst(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.header == nil { // a reset was faster
		return h.SendStream.Write(p)
	}
	if len(p) > wholeFirst {
		p = p[:partFirst]
	}
	buf := scratch.Get().(*[]byte)
	defer scratch.Put(buf)
	b := append(append((*buf)[:0], h.header...), p...)
	*buf = b[:0]
	n, err := h.SendStream.Write(b)
	if n == 0 {
		return 0, err
	}
	n = max(0, n-len(h.header))
	h.paidLocked()
	return n, err
}

// paidLocked notes that the header is on its way.
func (h *headed) paidLocked() {
	h.header = nil
	h.SendStream.SetReliableBoundary()
	h.owes.Store(false)
}

// pay sends a header that is owed by itself, unless a Write is about to. That does
// not block: the transport buffers what is less than a packet.
func (h *headed) pay() {
	if !h.owes.Load() || !h.mu.TryLock() {
		return
	}
	defer h.mu.Unlock()
	if h.header != nil {
		h.SendStream.SetWriteDeadline(time.Time{})
		h.SendStream.Write(h.header)
		h.paidLocked()
	}
}

// Close ends the stream well.
func (h *headed) Close() error {
	h.pay()
	return h.SendStream.Close()
}

// CancelWrite resets the stream. When it returns, lost is right.
func (h *headed) CancelWrite(code moqt.StreamCode) {
	h.pay()
	if h.owes.Load() { // a Write that waits; what has gone of it is delivered
		h.SendStream.SetReliableBoundary()
		h.SendStream.CancelWrite(code)
		h.mu.Lock() // it returns presently
		defer h.mu.Unlock()
		return
	}
	h.SendStream.CancelWrite(code)
}

// SetReliableBoundary has what was written so far delivered even if the stream is
// reset.
func (h *headed) SetReliableBoundary() {
	h.pay()
	h.SendStream.SetReliableBoundary()
}

// StreamID returns the transport's id of the stream, for traces.
func (h *headed) StreamID() uint64 { return streamID(h.SendStream) }

// lost reports whether a stream that was reset has gone without its header.
func (h *headed) lost() bool { return h.owes.Load() }
