package wire

import "io"

const (
	readerRest    = 64      // while nothing is expected
	readerSize    = 2 << 10 // what most headers and control messages fit into
	maxEmptyReads = 100
)

// Reader reads one stream of the peer: headers through a small buffer, payload
// past it. An io.EOF of the stream is its FIN; any other error of the stream is
// returned as it is and stays. A Reader is used by one goroutine at a time.
//
// A server has thousands of streams on which hardly ever a message comes, so
// between messages the buffer is the one that a Reader has in itself.
type Reader struct {
	src      io.Reader
	buf      []byte
	pos, end int   // buf[pos:end] is read and not yet used
	err      error // of src; comes after what is buffered
	message  int   // bytes of the body of the last control message
	rest     [readerRest]byte
}

// NewReader returns a Reader of r.
func NewReader(r io.Reader) *Reader {
	n := &Reader{src: r}
	n.buf = n.rest[:]
	return n
}

// Reset makes r read src, as if new. What was buffered is dropped.
func (r *Reader) Reset(src io.Reader) {
	r.src, r.pos, r.end, r.err = src, 0, 0, nil
	r.buf = r.rest[:]
}

// Widen gives r a buffer that small objects fit into with their headers, for a
// stream of objects.
func (r *Reader) Widen() {
	if len(r.buf) < readerSize {
		r.grow(readerSize)
	}
}

func (r *Reader) grow(size int) {
	grown := make([]byte, size)
	r.end = copy(grown, r.buf[r.pos:r.end])
	r.buf, r.pos = grown, 0
}

// shrink gives back a buffer that a message has made.
func (r *Reader) shrink() {
	if r.pos == r.end {
		r.buf, r.pos, r.end = r.rest[:], 0, 0
	}
}

// Buffered returns how many bytes were taken from the stream and not yet used.
func (r *Reader) Buffered() int { return r.end - r.pos }

// Read reads payload: what is buffered first, then straight from the stream
// into p. It returns io.EOF at the end of the stream.
func (r *Reader) Read(p []byte) (int, error) {
	if r.pos < r.end {
		n := copy(p, r.buf[r.pos:r.end])
		r.pos += n
		return n, nil
	}
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.src.Read(p)
	r.err = err
	if n > 0 {
		err = nil
	}
	return n, err
}

// Discard drops the next n bytes. It is an [*Error] if the stream ends before.
func (r *Reader) Discard(n int64) error {
	for n > 0 {
		if r.pos == r.end {
			if err := r.fill(1); err != nil {
				return inside("payload", err)
			}
		}
		drop := min(n, int64(r.end-r.pos))
		r.pos += int(drop)
		n -= drop
	}
	return nil
}

// readByte reads one byte of a field that must come.
func (r *Reader) readByte(field string) (byte, error) {
	if err := r.fill(1); err != nil {
		return 0, inside(field, err)
	}
	c := r.buf[r.pos]
	r.pos++
	return c, nil
}

// peek returns the next n bytes without using them up. They are valid until
// the next call of any method.
func (r *Reader) peek(n int) ([]byte, error) {
	if err := r.fill(n); err != nil {
		return nil, err
	}
	return r.buf[r.pos : r.pos+n], nil
}

// fill reads until n bytes are buffered. It never waits for more than that. The
// buffer grows as bytes come, so that a claimed length costs the peer as many
// bytes as it costs memory here.
func (r *Reader) fill(n int) error {
	for empty := 0; r.end-r.pos < n; {
		if r.err != nil {
			return r.err
		}
		if len(r.buf)-r.pos < n && r.pos > 0 || r.pos == r.end {
			r.end = copy(r.buf, r.buf[r.pos:r.end])
			r.pos = 0
		}
		if r.end == len(r.buf) {
			r.grow(max(2*len(r.buf), readerSize))
		}
		got, err := r.src.Read(r.buf[r.end:])
		r.end += got
		r.err = err
		if got > 0 {
			empty = 0
		} else if empty++; empty == maxEmptyReads && err == nil {
			r.err = io.ErrNoProgress
		}
	}
	return nil
}
