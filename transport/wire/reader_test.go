package wire

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReaderPayload(t *testing.T) {
	const text = "\x05some payload that is longer than the header"
	for how, r := range readers([]byte(text)) {
		if v, err := draft18.readVarint(r); v != 5 || err != nil {
			t.Fatalf("%s: readVarint = %d, %v", how, v, err)
		}
		if err := r.Discard(5); err != nil {
			t.Fatalf("%s: Discard: %v", how, err)
		}
		if got, err := io.ReadAll(r); string(got) != text[6:] || err != nil {
			t.Errorf("%s: read %q, %v, want %q", how, got, err, text[6:])
		}
		if err := r.Discard(1); !isViolation(err) {
			t.Errorf("%s: Discard past the end: %v, want a violation", how, err)
		}
		if err := r.Discard(0); err != nil {
			t.Errorf("%s: Discard(0): %v", how, err)
		}
	}
}

// Payload goes straight into the caller's slice once the buffer is empty, and
// no read waits for more than was asked for.
func TestReaderReadsStraight(t *testing.T) {
	src := &sizes{src: strings.NewReader(strings.Repeat("x", 10_000))}
	r := NewReader(src)
	r.Widen()
	if _, err := r.peek(1); err != nil || r.Buffered() != readerSize {
		t.Fatalf("peek(1): %v, %d bytes buffered", err, r.Buffered())
	}
	p := make([]byte, 5000)
	if n, err := r.Read(p); n != readerSize || err != nil || r.Buffered() != 0 {
		t.Errorf("Read = %d, %v, want the %d that are buffered", n, err, readerSize)
	}
	if n, err := r.Read(p); n != 5000 || err != nil || r.Buffered() != 0 {
		t.Errorf("Read = %d, %v, want 5000 past the buffer", n, err)
	}
	if want := []int{readerSize, 5000}; len(src.asked) != 2 || src.asked[0] != want[0] || src.asked[1] != want[1] {
		t.Errorf("the stream was asked for %v, want %v", src.asked, want)
	}
}

type sizes struct {
	src   io.Reader
	asked []int
}

func (s *sizes) Read(p []byte) (int, error) {
	s.asked = append(s.asked, len(p))
	return s.src.Read(p)
}

func TestReaderKeepsErrors(t *testing.T) {
	reset := errors.New("stream was reset")
	r := NewReader(io.MultiReader(strings.NewReader("\x03\x00"), iotest.ErrReader(reset)))
	if _, err := draft18.ReadMessage(r, On{}); err != reset {
		t.Errorf("ReadMessage: %v, want the stream's own error", err)
	}
	if _, err := r.Read(make([]byte, 10)); err != nil {
		t.Errorf("Read of what is buffered: %v", err)
	}
	for range 2 {
		if _, err := r.Read(make([]byte, 10)); err != reset {
			t.Errorf("Read: %v, want the stream's own error", err)
		}
	}
	if err := r.Discard(1); err != reset {
		t.Errorf("Discard: %v, want the stream's own error", err)
	}
	r = new(Reader)
	r.Reset(strings.NewReader("\x10"))
	if v, err := draft18.readVarint(r); v != 0x10 || err != nil {
		t.Errorf("after Reset: readVarint = %d, %v", v, err)
	}
}

// A stream that never gives a byte nor an error does not hold us for ever.
func TestReaderWithoutProgress(t *testing.T) {
	r := NewReader(idle{})
	if _, err := draft18.readVarint(r); err != io.ErrNoProgress {
		t.Errorf("readVarint: %v, want %v", err, io.ErrNoProgress)
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestReaderGrowsAndShrinks(t *testing.T) {
	body := bytes.Repeat([]byte{7}, maxMessageSize)
	r := NewReader(iotest.HalfReader(bytes.NewReader(body)))
	if b, err := r.peek(maxMessageSize); err != nil || !bytes.Equal(b, body) {
		t.Fatalf("peek = %d bytes, %v", len(b), err)
	}
	if len(r.buf) > 2*maxMessageSize {
		t.Errorf("the buffer grew to %d for %d bytes", len(r.buf), maxMessageSize)
	}
	r.Reset(bytes.NewReader(message(0x10, prefixed(string(body[:8000])), []byte{0})))
	if len(r.buf) != readerRest {
		t.Errorf("a buffer of %d bytes is kept for the next stream", len(r.buf))
	}
	option := message(setupType, AppendVarint(nil, 0x9d), prefixed(string(body[:60000])))
	r.Reset(bytes.NewReader(slices.Concat(option, option, []byte("x"))))
	for n := range 2 {
		if _, err := draft18.ReadMessage(r, onControl); err != nil {
			t.Errorf("message %d: %v", n, err)
		}
	}
	if b, err := r.peek(1); string(b) != "x" || err != nil {
		t.Errorf("peek after two messages = %q, %v", b, err)
	}
	r.Reset(bytes.NewReader(option))
	if _, err := draft18.ReadMessage(r, onControl); err != nil || len(r.buf) != readerRest {
		t.Errorf("after a large message: %v, a buffer of %d bytes is kept", err, len(r.buf))
	}
}
