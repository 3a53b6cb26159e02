package bond

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

var someHeader = Header{
	Object: Object{Alias: 7, Group: 300, Object: 2}, Subgroup: 1, Previous: 2, Last: true, Begins: true,
	Priority: moqt.Priority(128), Size: 5, Properties: []byte{0x02, 0x05},
}

// someStream is that header with two chunks, worked out by hand.
const someStream = "07 812c 01 02 02 0b 80 05 02 0205" + "00 03 02 6465" + "812c 00 03 616263"

func readAll(b []byte) (*Header, []Chunk, error) {
	r, err := NewChunkReader(iotest.OneByteReader(bytes.NewReader(b)))
	if err != nil {
		return nil, nil, err
	}
	var chunks []Chunk
	for {
		c, err := r.Next()
		if err == io.EOF {
			return r.Header(), chunks, nil
		}
		if err != nil {
			return r.Header(), chunks, err
		}
		c.Bytes = bytes.Clone(c.Bytes)
		chunks = append(chunks, c)
	}
}

func TestChunkStreamVector(t *testing.T) {
	want := unhex(t, someStream)
	chunks := []Chunk{{0, 3, []byte("de")}, {300, 0, []byte("abc")}}
	got := AppendHeader(nil, &someHeader)
	for i := range chunks {
		got = AppendChunk(got, &chunks[i])
	}
	if !bytes.Equal(got, want) {
		t.Errorf("it is sent as\n%x, want\n%x", got, want)
	}
	h, read, err := readAll(want)
	if err != nil || !reflect.DeepEqual(h, &someHeader) || !reflect.DeepEqual(read, chunks) {
		t.Errorf("it is read as %+v, %+v, %v", h, read, err)
	}
}

func TestBadChunkStreams(t *testing.T) {
	for name, c := range map[string]struct{ stream, want string }{
		"unknown flag":            {"07 00 00 00 00 40 80 05", "flags 0x40"},
		"a flag that is free":     {"07 00 00 00 00 05 80 05", "flags 0x5"},
		"an end with a size":      {"07 00 00 02 01 10 80 05", "has bytes or properties"},
		"an end with properties":  {"07 00 00 02 01 11 80 00 01 05", "has bytes or properties"},
		"given up with a size":    {"07 00 00 02 01 20 80 05", "has bytes or properties"},
		"given up, properties":    {"07 00 00 02 01 21 80 00 01 05", "has bytes or properties"},
		"an end given up":         {"07 00 00 02 01 30 80 00", "could be given up"},
		"before the first":        {"07 00 00 01 02 00 80 05", "none 2 before it"},
		"an object of 2^64-1":     {"07 00 00 00 00 00 80 ffffffffffffffffff", "is larger than 8388608"},
		"an object above the cap": {"07 00 00 00 00 00 80 e0800001", "is larger than 8388608"},
		"no properties":           {"07 00 00 00 00 01 80 05 00", "from 1 to 16384"},
		"long properties":         {"07 00 00 00 00 01 80 05 c04001", "from 1 to 16384"},
		"very long properties":    {"07 00 00 00 00 01 80 05 ffffffffffffffffff", "from 1 to 16384"},
		"properties cut":          {"07 00 00 00 00 01 80 05 04 0102", "ends inside"},
		"a chunk beyond the end":  {"07 00 00 00 00 00 80 05 00 04 02 6161", "beyond the object's 5"},
		"an offset of 2^64-1":     {"07 00 00 00 00 00 80 05 00 ffffffffffffffffff 01 61", "beyond the object's 5"},
		"a length of 2^64-1":      {"07 00 00 00 00 00 80 05 00 01 ffffffffffffffffff 61", "beyond the object's 5"},
		"a chunk above the cap":   {"07 00 00 00 00 00 80 c20000 00 00 c10001", "is larger than 65536"},
		"an empty chunk":          {"07 00 00 00 00 00 80 05 00 00 00", "is empty"},
		"a chunk cut":             {"07 00 00 00 00 00 80 05 00 00 03 6161", "ends inside"},
		"no chunk":                {"07 00 00 00 00 00 80 05", "ends inside"},
	} {
		if h, chunks, err := readAll(unhex(t, c.stream)); !isFault(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: read as %+v, %+v, %v, want %q", name, h, chunks, err, c.want)
		}
	}
	whole := unhex(t, someStream)
	ends := map[int]bool{len(whole): true, len(whole) - 7: true} // behind chunks
	for n := 0; n <= len(whole); n++ {
		if _, _, err := readAll(whole[:n]); ends[n] != (err == nil) || (err != nil && !isFault(err)) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

func TestEndVector(t *testing.T) {
	want := unhex(t, "07 09 00 02 01 12 80 00"+"05 00 00")
	h := Header{Object: Object{Alias: 7, Group: 9, Object: 2}, Previous: 1, Last: true, End: true, Priority: 128}
	if got := AppendChunk(AppendHeader(nil, &h), &Chunk{Sequence: 5}); !bytes.Equal(got, want) {
		t.Errorf("it is sent as\n%x, want\n%x", got, want)
	}
	read, chunks, err := readAll(want)
	if err != nil || !reflect.DeepEqual(read, &h) || len(chunks) != 1 {
		t.Errorf("it is read as %+v, %+v, %v", read, chunks, err)
	}
}

func TestGoneVector(t *testing.T) {
	want := unhex(t, "07 09 00 02 01 20 80 00"+"05 00 00")
	h := Header{Object: Object{Alias: 7, Group: 9, Object: 2}, Previous: 1, Gone: true, Priority: 128}
	if got := AppendChunk(AppendHeader(nil, &h), &Chunk{Sequence: 5}); !bytes.Equal(got, want) {
		t.Errorf("it is sent as\n%x, want\n%x", got, want)
	}
	read, chunks, err := readAll(want)
	if err != nil || !reflect.DeepEqual(read, &h) || len(chunks) != 1 {
		t.Errorf("it is read as %+v, %+v, %v", read, chunks, err)
	}
}

// TestClaimsBuyNothing reads chunks and properties that claim much: room is made for
// what has come, and as much again.
func TestClaimsBuyNothing(t *testing.T) {
	for _, sent := range []int{0, 1, appendStep, 3 * appendStep, MaxChunk - 1} {
		b, err := appendFrom(nil, bytes.NewReader(make([]byte, sent)), MaxChunk)
		if most := max(2*appendStep, 5*sent/2+appendStep); err != io.ErrUnexpectedEOF || len(b) != sent || cap(b) > most {
			t.Errorf("of %d bytes sent %d are read, with room for %d, want at most %d; %v", sent, len(b), cap(b), most, err)
		}
	}
	stream := AppendHeader(nil, &Header{Size: MaxChunk})
	stream = AppendChunk(stream, &Chunk{Bytes: make([]byte, MaxChunk)})
	head := len(stream) - MaxChunk
	c, err := NewChunkReader(bytes.NewReader(stream[:head+10]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Next(); !isFault(err) || cap(c.buf) > 2*appendStep {
		t.Errorf("ten bytes of a chunk have room for %d, and %v", cap(c.buf), err)
	}
	if _, chunks, err := readAll(stream); err != nil || len(chunks[0].Bytes) != MaxChunk {
		t.Errorf("a chunk as large as may be: %v", err)
	}
	properties := bytes.Repeat([]byte{1}, maxProperties)
	if h, _, err := readAll(AppendChunk(AppendHeader(nil, &Header{Properties: properties}), &Chunk{})); err != nil || !bytes.Equal(h.Properties, properties) {
		t.Errorf("as many properties as may be: %v", err)
	}
}

// TestResetIsNoFault resets a stream inside a chunk: the chunks before count.
func TestResetIsNoFault(t *testing.T) {
	reset := errors.New("reset")
	whole := unhex(t, someStream)
	r, err := NewChunkReader(io.MultiReader(bytes.NewReader(whole[:len(whole)-1]), iotest.ErrReader(reset)))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := r.Next(); err != nil || string(c.Bytes) != "de" {
		t.Errorf("the first chunk is %q, %v", c.Bytes, err)
	}
	if _, err := r.Next(); !errors.Is(err, reset) || isFault(err) {
		t.Errorf("the second ends with %v, want the reset", err)
	}
}

func FuzzChunkStream(f *testing.F) {
	f.Add([]byte(someStream))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, chunks, err := readAll(b)
		if err != nil {
			return
		}
		again := AppendHeader(nil, h)
		for i := range chunks {
			again = AppendChunk(again, &chunks[i])
		}
		h2, chunks2, err := readAll(again)
		if err != nil || !reflect.DeepEqual(h, h2) || !reflect.DeepEqual(chunks, chunks2) {
			t.Errorf("%+v %+v comes back as %+v %+v, %v", h, chunks, h2, chunks2, err)
		}
	})
}

// TestStopCodes has the codes that chunk streams are stopped with, which are the same
// in all drafts.
func TestStopCodes(t *testing.T) {
	for _, v := range transport.Versions() {
		p, ok := wire.ProfileFor(v)
		if !ok {
			t.Fatalf("%v has no profile", v)
		}
		for code, want := range map[moqt.StreamCode]uint64{StopAll: 0x1, StopHere: 0x4D425045} {
			if n := p.StreamNumber(code); n != want || p.StreamCode(n) != code {
				t.Errorf("%v: %v is 0x%x on the wire, and that is %v", v, code, n, p.StreamCode(n))
			}
		}
	}
}
