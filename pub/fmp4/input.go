package fmp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// input reads the boxes of the outermost level and knows where it is.
type input struct {
	r  io.Reader
	at int64 // offset of the next byte
}

// header is the start of a box of the outermost level; its body is still in
// the input.
type header struct {
	name string
	at   int64
	size int64 // of the whole box
	raw  [16]byte
	hdr  int
}

func (h header) fail(format string, args ...any) error {
	return &FormatError{h.name, h.at, fmt.Errorf(format, args...)}
}

// ffmpegFlags make ffmpeg write what is wanted.
const ffmpegFlags = "-f mp4 -movflags cmaf+separate_moof+delay_moov+skip_trailer+frag_every_frame"

// hint is what to do about an input that is no MP4 from its beginning.
func (h header) hint() string {
	if h.at > 0 {
		return ""
	}
	return ": with ffmpeg, write " + ffmpegFlags
}

// next reads a box header. It returns io.EOF where the input ends between
// boxes.
func (in *input) next() (header, error) {
	h := header{name: "input", at: in.at, hdr: 8}
	if n, err := io.ReadFull(in.r, h.raw[:8]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return h, h.fail("%w after %d bytes of a box header", err, n)
		}
		return h, err
	}
	in.at += 8
	for _, c := range h.raw[4:8] {
		if (c < ' ' || c > '~') && c != 0xa9 {
			return h, h.fail("no MP4 box begins here (% x)%s", h.raw[:8], h.hint())
		}
	}
	h.name = printable(h.raw[4:8])
	size := uint64(binary.BigEndian.Uint32(h.raw[:]))
	switch size {
	case 0:
		return h, h.fail("size 0 (until the end of the file) cannot be streamed")
	case 1:
		if _, err := io.ReadFull(in.r, h.raw[8:16]); err != nil {
			return h, h.fail("input ended in its header: %w", unexpected(err))
		}
		in.at += 8
		h.hdr = 16
		size = binary.BigEndian.Uint64(h.raw[8:])
	}
	if size < uint64(h.hdr) {
		return h, h.fail("size %d is less than its header of %d bytes", size, h.hdr)
	}
	if size > 1<<62 {
		return h, h.fail("size %d is not believable", size)
	}
	h.size = int64(size)
	return h, nil
}

// appendBox appends the box to b, header and body. Memory grows with what
// really arrives, so a large size alone costs nothing.
func (in *input) appendBox(b []byte, h header, limit int64) ([]byte, error) {
	if h.size > limit {
		return b, h.fail("size %d is over the limit of %d bytes", h.size, limit)
	}
	b = append(b, h.raw[:h.hdr]...)
	for left := int(h.size) - h.hdr; left > 0; {
		step := min(left, max(64<<10, len(b)))
		if cap(b)-len(b) < step {
			b = append(make([]byte, 0, len(b)+step), b...)
		}
		n, err := io.ReadFull(in.r, b[len(b):len(b)+step])
		b = b[:len(b)+n]
		in.at += int64(n)
		left -= n
		if err != nil {
			return b, h.fail("input ended with %d of its %d bytes missing: %w", left, h.size, unexpected(err))
		}
	}
	return b, nil
}

// skip reads past the body of h.
func (in *input) skip(h header) error {
	n, err := io.CopyN(io.Discard, in.r, h.size-int64(h.hdr))
	in.at += n
	if err != nil {
		return h.fail("input ended with %d of its %d bytes missing: %w", h.size-int64(h.hdr)-n, h.size, unexpected(err))
	}
	return nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
