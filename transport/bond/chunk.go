package bond

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// Bounds of a chunk stream. MaxChunk is how large one chunk may be: it is read
// as a whole.
const (
	MaxChunk      = 64 << 10
	MaxObject     = 8 << 20
	maxProperties = 16 << 10
)

// Codes that a relay stops a chunk stream with, in STOP_SENDING.
const (
	// StopAll: nothing more of the object is wanted, by any connection.
	StopAll = moqt.StreamCancelled
	// StopHere: there is no room for what comes of it by this connection. It is the
	// extension's own code, which all drafts leave alone.
	StopHere moqt.StreamCode = 0x4D425045
)

const (
	flagProperties = 0x01
	flagLast       = 0x02
	flagBegins     = 0x08
	flagEnd        = 0x10
	flagGone       = 0x20
	flagsKnown     = flagProperties | flagLast | flagBegins | flagEnd | flagGone
)

// Header begins a chunk stream: it tells the object that its chunks are of.
type Header struct {
	Object
	Subgroup   uint64
	Previous   uint64 // how far back the object before it in the subgroup is; 0 if it is the first
	Begins     bool   // no object before it in the subgroup is sent
	Last       bool   // of its group
	End        bool   // there is no such object: see [Sink]
	Gone       bool   // the object is given up: nobody is to wait for it
	Priority   moqt.Priority
	Size       int64  // of the payload, bytes
	Properties []byte // as in an object, without their length
}

// Chunk is a piece of an object.
type Chunk struct {
	Sequence uint64 // on its connection
	Offset   int64
	Bytes    []byte
}

// AppendHeader appends the beginning of a chunk stream behind its type.
func AppendHeader(b []byte, h *Header) []byte {
	var flags byte
	if len(h.Properties) > 0 {
		flags |= flagProperties
	}
	if h.Last {
		flags |= flagLast
	}
	if h.Begins {
		flags |= flagBegins
	}
	if h.End {
		flags |= flagEnd
	}
	if h.Gone {
		flags |= flagGone
	}
	for _, v := range []uint64{h.Alias, h.Group, h.Subgroup, h.Object.Object, h.Previous} {
		b = wire.AppendVarint(b, v)
	}
	b = append(b, flags, byte(h.Priority))
	b = wire.AppendVarint(b, uint64(h.Size))
	if len(h.Properties) > 0 {
		b = appendBytes(b, h.Properties, maxProperties)
	}
	return b
}

// AppendChunk appends a chunk.
func AppendChunk(b []byte, c *Chunk) []byte {
	b = wire.AppendVarint(b, c.Sequence)
	b = wire.AppendVarint(b, uint64(c.Offset))
	b = wire.AppendVarint(b, uint64(len(c.Bytes)))
	return append(b, c.Bytes...)
}

// ChunkReader reads a chunk stream whose type has been read. An error is a
// *[wire.Error] where the peer broke the rules, and otherwise the stream's.
type ChunkReader struct {
	r      io.Reader
	header Header
	buf    []byte
	any    bool // a chunk was read
}

// NewChunkReader reads the header of a stream from r, which it reads in small
// pieces: give it one that is buffered.
func NewChunkReader(r io.Reader) (*ChunkReader, error) {
	c := &ChunkReader{r: r}
	h := &c.header
	for _, f := range []*uint64{&h.Alias, &h.Group, &h.Subgroup, &h.Object.Object, &h.Previous} {
		var err error
		if *f, err = readVarint(c.r); err != nil {
			return nil, cut(err)
		}
	}
	var b [2]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return nil, cut(err)
	}
	flags := b[0]
	h.Priority = moqt.Priority(b[1])
	h.Last, h.Begins = flags&flagLast != 0, flags&flagBegins != 0
	h.End, h.Gone = flags&flagEnd != 0, flags&flagGone != 0
	size, err := readVarint(c.r)
	switch {
	case err != nil:
		return nil, cut(err)
	case flags&^byte(flagsKnown) != 0:
		return nil, violation("flags 0x%x of a chunk stream do not exist", flags)
	case h.Previous > h.Object.Object:
		return nil, violation("object %d has none %d before it", h.Object.Object, h.Previous)
	case (h.End || h.Gone) && (size > 0 || flags&flagProperties != 0):
		return nil, violation("the end of a subgroup, or an object that is given up, has bytes or properties")
	case h.End && h.Gone:
		return nil, violation("the end of a subgroup is no object that could be given up")
	case size > MaxObject:
		return nil, violation("an object of %d bytes is larger than %d", size, MaxObject)
	}
	h.Size = int64(size)
	if flags&flagProperties != 0 {
		n, err := readVarint(c.r)
		if err != nil {
			return nil, cut(err)
		}
		if n == 0 || n > maxProperties {
			return nil, violation("properties of %d bytes are not from 1 to %d", n, maxProperties)
		}
		if h.Properties, err = appendFrom(nil, r, int(n)); err != nil {
			return nil, cut(err)
		}
	}
	return c, nil
}

// Header returns what the stream began with.
func (c *ChunkReader) Header() *Header { return &c.header }

// Next returns the next chunk, whose bytes are valid until the next call. It
// returns io.EOF after the last, if the stream ended well there.
func (c *ChunkReader) Next() (Chunk, error) {
	seq, err := readVarint(c.r)
	if err == io.EOF && c.any {
		return Chunk{}, err // the end of the stream
	}
	if err != nil {
		return Chunk{}, cut(err)
	}
	off, err := readVarint(c.r)
	if err != nil {
		return Chunk{}, cut(err)
	}
	n, err := readVarint(c.r)
	size := uint64(c.header.Size)
	switch {
	case err != nil:
		return Chunk{}, cut(err)
	case off > size || n > size-off:
		return Chunk{}, violation("a chunk of %d bytes at %d is beyond the object's %d", n, off, size)
	case n > MaxChunk:
		return Chunk{}, violation("a chunk of %d bytes is larger than %d", n, MaxChunk)
	case n == 0 && size > 0:
		return Chunk{}, violation("a chunk of an object of %d bytes is empty", size)
	}
	if c.buf, err = appendFrom(c.buf[:0], c.r, int(n)); err != nil {
		return Chunk{}, cut(err)
	}
	c.any = true
	return Chunk{seq, int64(off), c.buf}, nil
}

// appendStep is for how many bytes room is made before any has come.
const appendStep = 4 << 10

// appendFrom appends n bytes that it reads from r. Room is made as they come: of the
// streams of a connection many may claim much and send nothing.
func appendFrom(b []byte, r io.Reader, n int) ([]byte, error) {
	for end := len(b) + n; len(b) < end; {
		step := min(end-len(b), max(appendStep, len(b)))
		b = slices.Grow(b, step)
		got, err := io.ReadFull(r, b[len(b):len(b)+step])
		if b = b[:len(b)+got]; err != nil {
			return b, inside(err)
		}
	}
	return b, nil
}

// readVarint reads an integer. It returns io.EOF only before its first byte.
func readVarint(r io.Reader) (uint64, error) {
	var b [9]byte
	if _, err := io.ReadFull(r, b[:1]); err != nil {
		return 0, err
	}
	v, n := wire.ParseVarint(b[:1])
	for have := 1; n == 0; have++ {
		if _, err := io.ReadFull(r, b[have:have+1]); err != nil {
			return 0, inside(err)
		}
		v, n = wire.ParseVarint(b[:have+1])
	}
	return v, nil
}

// inside returns err for a place where no stream ends.
func inside(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// cut says that a stream which ended well did so at the wrong place.
func cut(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return violation("a chunk stream ends inside a chunk or its header")
	}
	return fmt.Errorf("read chunk stream: %w", err)
}

// The properties of an object are in the form of draft-18, whatever draft a
// connection speaks: they have to be the same on all.
func properties() *wire.Profile {
	p, _ := wire.ProfileFor(moqt.Draft18)
	return p
}

// ParseProperties reads [Header.Properties]. An error is a *wire.Error.
func ParseProperties(b []byte) (moqt.Properties, error) { return properties().ParseProperties(b) }

// AppendProperties appends props, which are in ascending order of type, as they are
// in [Header.Properties].
func AppendProperties(b []byte, props moqt.Properties) ([]byte, error) {
	return properties().AppendProperties(b, props)
}
