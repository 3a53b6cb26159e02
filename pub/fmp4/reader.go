package fmp4

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Options bound what a [Reader] takes into memory. Zero fields and a nil
// pointer mean the defaults.
type Options struct {
	MaxMoov int64 // bytes; if zero, 8 MiB
	MaxMoof int64 // bytes; if zero, 4 MiB
	MaxMdat int64 // bytes; if zero, 64 MiB
}

func (o *Options) withDefaults() Options {
	var v Options
	if o != nil {
		v = *o
	}
	if v.MaxMoov <= 0 {
		v.MaxMoov = 8 << 20
	}
	if v.MaxMoof <= 0 {
		v.MaxMoof = 4 << 20
	}
	if v.MaxMdat <= 0 {
		v.MaxMdat = 64 << 20
	}
	return v
}

// maxSkipped bounds boxes that are passed over unread; anything larger is
// taken for garbage.
const maxSkipped = 64 << 20

// Reader reads one fragmented MP4 from start to end. It must not be used from
// several goroutines at once.
type Reader struct {
	in      input
	opt     Options
	init    *Init
	tracks  []*track
	byID    map[uint32]*track
	moov    []byte
	tables  bool // moov describes samples whose mdat is still to come
	frag    *fragment
	prft    []reference
	pending []*Chunk // made of one mdat, in the order of the trafs
	err     error    // ends Next, sticky
}

// NewReader returns a reader of r, which it reads ahead of by up to 64 KiB of
// what is there. It reads nothing yet.
func NewReader(r io.Reader, opt *Options) *Reader {
	return &Reader{in: input{r: bufio.NewReaderSize(r, 64<<10)}, opt: opt.withDefaults()}
}

// Init reads up to the movie header and returns what it says. It blocks as the
// input does. Errors are those of Next.
func (r *Reader) Init() (*Init, error) {
	for r.init == nil && r.err == nil {
		if err := r.step(); err != nil {
			r.err = err
			if err == io.EOF {
				r.err = &FormatError{"input", r.in.at, r.tooShort()}
			}
		}
	}
	if r.init == nil {
		return nil, r.err
	}
	return r.init, nil
}

// tooShort is why an input is no broadcast that ends before its header.
func (r *Reader) tooShort() error {
	if r.in.at == 0 {
		return errors.New("nothing came: see why the program before the pipe has ended")
	}
	return errors.New("ended before moov")
}

// Next returns the next chunk. It blocks as the input does. Its error is
// io.EOF where the input ends after a whole fragment, a [*FormatError] where
// the input is not fragmented MP4 or ends inside a box, or the error of the
// input; it stays the same from then on.
func (r *Reader) Next() (*Chunk, error) {
	if _, err := r.Init(); err != nil {
		return nil, err
	}
	for len(r.pending) == 0 {
		if r.err == nil {
			r.err = r.step()
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	c := r.pending[0]
	r.pending[0] = nil
	r.pending = r.pending[1:]
	return c, nil
}

// firstBoxes are those with which the input may begin.
var firstBoxes = map[string]bool{
	"ftyp": true, "styp": true, "moov": true, "moof": true, "mdat": true, "free": true, "skip": true,
	"wide": true, "pdin": true, "prft": true, "emsg": true, "sidx": true, "uuid": true,
}

// step reads one box of the outermost level.
func (r *Reader) step() error {
	first := r.in.at == 0
	h, err := r.in.next()
	if err == io.EOF {
		return r.end()
	}
	if err != nil {
		return err
	}
	if first && !firstBoxes[h.name] {
		return h.fail("no MP4 begins with such a box%s", h.hint())
	}
	switch h.name {
	case "moov":
		return r.readMoov(h)
	case "moof":
		return r.readMoof(h)
	case "mdat":
		return r.readMdat(h)
	case "prft":
		return r.readPrft(h)
	}
	if h.size > maxSkipped {
		return h.fail("size %d is over the limit of %d bytes for a box that is not used", h.size, maxSkipped)
	}
	return r.in.skip(h)
}

// end says whether the input may end here.
func (r *Reader) end() error {
	if r.frag != nil && len(r.frag.trafs) > 0 {
		return r.frag.moof.fail("input ended before its mdat: %w", io.ErrUnexpectedEOF)
	}
	if r.tables {
		return &FormatError{"input", r.in.at, errors.New("ended before the mdat of the samples in moov")}
	}
	return io.EOF
}

func (r *Reader) readMoov(h header) error {
	b, err := r.in.appendBox(nil, h, r.opt.MaxMoov)
	if err != nil {
		return err
	}
	if r.init != nil {
		if bytes.Equal(b, r.moov) { // the same file once more
			return nil
		}
		return h.fail("a second one that differs from the first")
	}
	tracks, err := parseMoov(box{h.name, h.at, b, h.hdr}, true)
	if err != nil {
		return err
	}
	r.moov, r.tracks, r.byID, r.init = b, tracks, make(map[uint32]*track), &Init{}
	for _, t := range tracks {
		r.byID[t.ID] = t
		r.init.Tracks = append(r.init.Tracks, t.Track)
		r.tables = r.tables || t.table != nil
	}
	return nil
}

func (r *Reader) readMoof(h header) error {
	switch {
	case r.init == nil:
		return h.fail("comes before moov")
	case r.tables:
		return h.fail("comes before the mdat of the samples in moov")
	case r.frag != nil && len(r.frag.trafs) > 0:
		return r.frag.moof.fail("no mdat follows it, but another moof")
	}
	b, err := r.in.appendBox(nil, h, r.opt.MaxMoof)
	if err != nil {
		return err
	}
	r.frag, err = parseMoof(box{h.name, h.at, b, h.hdr}, r.byID)
	return err
}

func (r *Reader) readMdat(h header) error {
	switch {
	case r.init == nil:
		return h.fail("comes before moov: with ffmpeg, write %s", ffmpegFlags)
	case r.frag != nil:
		frag := r.frag
		r.frag = nil
		b, err := r.in.appendBox(frag.moof.data, h, r.opt.MaxMdat)
		if err != nil {
			return err
		}
		mdat := box{h.name, h.at, b[len(frag.moof.data):], h.hdr}
		if r.pending, err = r.split(frag, mdat, b); err != nil {
			return err
		}
		r.prft = r.prft[:0]
		return nil
	case r.tables:
		b, err := r.in.appendBox(nil, h, r.opt.MaxMdat)
		if err != nil {
			return err
		}
		r.tables = false
		r.pending, err = r.fromTables(box{h.name, h.at, b, h.hdr})
		return err
	}
	return r.in.skip(h) // no moof tells what is in it
}
