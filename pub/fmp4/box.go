package fmp4

import (
	"encoding/binary"
	"fmt"
)

// FormatError says what is wrong with the input, in which box, and where.
type FormatError struct {
	Box    string // four characters; "input" where no box is concerned
	Offset int64  // of the box's first byte in the input
	Err    error  // what is wrong
}

// Error returns one sentence.
func (e *FormatError) Error() string {
	return fmt.Sprintf("fmp4: %s at byte %d: %v", e.Box, e.Offset, e.Err)
}

// Unwrap returns the cause, which is io.ErrUnexpectedEOF where the input ended
// inside a box.
func (e *FormatError) Unwrap() error { return e.Err }

// box is one box that is in memory as a whole.
type box struct {
	name string
	at   int64  // offset of data in the input
	data []byte // header and body
	hdr  int    // length of the header
}

func (b box) body() []byte { return b.data[b.hdr:] }

// fail returns an error about b.
func (b box) fail(format string, args ...any) error {
	return &FormatError{b.name, b.at, fmt.Errorf(format, args...)}
}

// children splits what follows the first skip bytes of b's body into boxes.
func (b box) children(skip int) ([]box, error) {
	if len(b.body()) < skip {
		return nil, b.fail("%d bytes are too few", len(b.data))
	}
	rest, at := b.body()[skip:], b.at+int64(b.hdr+skip)
	var boxes []box
	for len(rest) > 0 {
		if len(rest) < 8 {
			if b.name == "udta" || allZero(rest) { // QuickTime ends lists with a zero
				break
			}
			return nil, b.fail("%d stray bytes at its end", len(rest))
		}
		size, hdr := uint64(binary.BigEndian.Uint32(rest)), 8
		if size == 1 && len(rest) >= 16 {
			size, hdr = binary.BigEndian.Uint64(rest[8:]), 16
		}
		c := box{name: printable(rest[4:8]), at: at, hdr: hdr}
		if size < uint64(hdr) {
			return nil, c.fail("size %d is less than its header", size)
		}
		if size > uint64(len(rest)) {
			return nil, c.fail("size %d does not fit in %s, which has %d bytes left", size, b.name, len(rest))
		}
		if len(boxes) == maxChildren {
			return nil, b.fail("more than %d boxes in it", maxChildren)
		}
		c.data = rest[:size:size]
		boxes = append(boxes, c)
		rest, at = rest[size:], at+int64(size)
	}
	return boxes, nil
}

// maxChildren bounds what a box of nothing but empty boxes costs.
const maxChildren = 4096

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// printable makes a box type fit for messages.
func printable(b []byte) string {
	for _, c := range b {
		if (c < ' ' || c > '~') && c != 0xa9 {
			return fmt.Sprintf("0x%x", b)
		}
	}
	return string(b)
}

// fields reads numbers one after the other. Reading past the end gives zeros
// and sets short, which is checked once at the end.
type fields struct {
	b     []byte
	short bool
}

func (f *fields) take(n int) []byte {
	if n > len(f.b) {
		f.short, f.b = true, nil
		return make([]byte, n) // n is a constant of at most 16 at every call
	}
	v := f.b[:n]
	f.b = f.b[n:]
	return v
}

func (f *fields) skip(n int)  { f.take(n) }
func (f *fields) u16() uint16 { return binary.BigEndian.Uint16(f.take(2)) }
func (f *fields) u32() uint32 { return binary.BigEndian.Uint32(f.take(4)) }
func (f *fields) u64() uint64 { return binary.BigEndian.Uint64(f.take(8)) }

// full reads version and flags of a full box.
func (f *fields) full() (version byte, flags uint32) {
	v := f.u32()
	return byte(v >> 24), v & 0xffffff
}

// uint reads 32 bits, or 64 in version 1 boxes.
func (f *fields) uint(version byte) uint64 {
	if version == 1 {
		return f.u64()
	}
	return uint64(f.u32())
}

// beginBox appends a box header whose size endBox fills in.
func beginBox(b []byte, name string) ([]byte, int) {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	return append(b, name...), at
}

func endBox(b []byte, at int) []byte {
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at))
	return b
}

// beginFull appends the header of a full box.
func beginFull(b []byte, name string, version byte, flags uint32) ([]byte, int) {
	b, at := beginBox(b, name)
	return binary.BigEndian.AppendUint32(b, uint32(version)<<24|flags), at
}
