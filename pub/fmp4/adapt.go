package fmp4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Adapter rewrites the chunks of a track so that they can follow those of another
// one behind its header, as where a file goes on with another camera. Timescales
// may differ, and of H.264 and HEVC everything that parameter sets tell: these
// are put before each key frame.
type Adapter struct {
	from       *track
	from2to    float64
	sets       []byte // parameter sets as they stand in a sample
	lengthSize int    // of the lengths before NAL units; 0 if there are none
	hevc       bool
}

// NewAdapter makes an adapter from a track to that behind whose header its chunks
// are to play, both as in [Track.Header]. It fails where a decoder would need a new
// header.
func NewAdapter(from, to []byte) (*Adapter, error) {
	f, err := NewUnpacker(from)
	if err != nil {
		return nil, err
	}
	t, err := NewUnpacker(to)
	if err != nil {
		return nil, err
	}
	if f.Entry != t.Entry {
		return nil, fmt.Errorf("fmp4: %s cannot follow %s", f.Entry, t.Entry)
	}
	a := &Adapter{from: f.track, from2to: float64(t.Track.Timescale) / float64(f.Track.Timescale)}
	switch f.Entry {
	case "avc1", "avc3", "hvc1", "hev1":
		a.hevc = f.Entry[0] == 'h'
		read := avcSets
		if a.hevc {
			read = hevcSets
		}
		if a.sets, a.lengthSize, err = read(f.Config); err != nil {
			return nil, err
		}
		if _, n, err := read(t.Config); err != nil || n != a.lengthSize {
			return nil, fmt.Errorf("fmp4: NAL units with lengths of %d bytes cannot follow such with %d", a.lengthSize, n)
		}
	case "vp08", "vp09", "av01": // their key frames tell everything
	default:
		if f.Config == nil || !bytes.Equal(f.Config, t.Config) {
			return nil, fmt.Errorf("fmp4: %s of another kind cannot follow", f.Entry)
		}
	}
	return a, nil
}

// Chunk returns a chunk, as in [Chunk.Data], with another track ID and sequence
// number. at tells the decode time in the other track of one in this, and must
// rise. The result shares no memory with chunk.
func (a *Adapter) Chunk(chunk []byte, id, sequence uint32, at func(uint64) uint64) ([]byte, error) {
	boxes, err := box{name: "chunk", data: chunk}.children(0)
	if err != nil {
		return nil, err
	}
	if len(boxes) != 2 || boxes[0].name != "moof" || boxes[1].name != "mdat" {
		return nil, errors.New("fmp4: the chunk is not one moof and one mdat")
	}
	frag, err := parseMoof(boxes[0], map[uint32]*track{a.from.ID: a.from})
	if err != nil {
		return nil, err
	}
	if len(frag.trafs) != 1 || frag.trafs[0].pinned != nil {
		return nil, boxes[0].fail("has not one track fragment in the clear")
	}
	t := &frag.trafs[0]
	if err := t.inside(boxes[1]); err != nil {
		return nil, err
	}
	spec := chunkSpec{track: id, sequence: sequence, time: at(t.time)}
	var pieces [][]byte
	now, end := t.time, spec.time
	for _, r := range t.runs {
		data := chunk[r.at : r.at+r.size]
		for _, s := range r.samples {
			now += uint64(s.duration)
			next := at(now)
			duration, composition := next-end, math.Round(float64(s.composition)*a.from2to)
			if next < end || duration > math.MaxUint32 || math.Abs(composition) > math.MaxInt32 {
				return nil, r.trun.fail("a sample of %d units of time, %d after its decoding, is not believable", s.duration, s.composition)
			}
			body := data[:s.size:s.size]
			data = data[s.size:]
			if isSync(s.flags) && len(a.sets) > 0 {
				n := a.delimiter(body)
				pieces = append(pieces, body[:n], a.sets)
				body = body[n:]
				s.size += uint32(len(a.sets))
			}
			pieces = append(pieces, body)
			s.duration, s.composition, end = uint32(duration), int32(composition), next
			spec.samples = append(spec.samples, s)
		}
	}
	return spec.chunk(a.from, pieces...).Data, nil
}

// delimiter returns the length of the access unit delimiter that a sample begins
// with, before which there must be nothing; 0 if there is none.
func (a *Adapter) delimiter(sample []byte) int {
	if len(sample) <= a.lengthSize {
		return 0
	}
	var length uint64
	for _, b := range sample[:a.lengthSize] {
		length = length<<8 | uint64(b)
	}
	first := sample[a.lengthSize]
	if !a.hevc && first&0x1f != 9 || a.hevc && first>>1&0x3f != 35 || length > uint64(len(sample)-a.lengthSize) {
		return 0
	}
	return a.lengthSize + int(length)
}

// maxSets bounds the parameter sets of a track, in bytes.
const maxSets = 64 << 10

// avcSets returns the parameter sets of an AVCDecoderConfigurationRecord (ISO/IEC
// 14496-15) as they stand in a sample, and the size of the lengths before them.
func avcSets(config []byte) (sets []byte, lengthSize int, err error) {
	f := fields{b: config}
	f.skip(4)
	lengthSize = int(f.u8()&3) + 1
	sets = f.appendUnits(nil, int(f.u8()&0x1f), lengthSize)
	sets = f.appendUnits(sets, int(f.u8()), lengthSize)
	return sets, lengthSize, setsError(f, sets)
}

// hevcSets is avcSets of an HEVCDecoderConfigurationRecord.
func hevcSets(config []byte) (sets []byte, lengthSize int, err error) {
	f := fields{b: config}
	f.skip(16)
	f.skip(5)
	lengthSize = int(f.u8()&3) + 1
	for arrays := f.u8(); arrays > 0 && !f.short; arrays-- {
		f.skip(1)
		sets = f.appendUnits(sets, int(f.u16()), lengthSize)
	}
	return sets, lengthSize, setsError(f, sets)
}

func setsError(f fields, sets []byte) error {
	if f.short || len(sets) == 0 || len(sets) > maxSets {
		return fmt.Errorf("fmp4: the decoder's configuration has no parameter sets to use (%d bytes)", len(sets))
	}
	return nil
}

func (f *fields) u8() uint8 { return f.take(1)[0] }

// appendUnits appends n NAL units that have 16 bits of length each, with lengths
// of lengthSize bytes.
func (f *fields) appendUnits(sets []byte, n, lengthSize int) []byte {
	for ; n > 0 && !f.short && len(sets) <= maxSets; n-- {
		size := int(f.u16())
		if size > len(f.b) || size >= 1<<(8*lengthSize) {
			f.short = true
			return sets
		}
		sets = append(sets, binary.BigEndian.AppendUint32(nil, uint32(size))[4-lengthSize:]...)
		sets = append(sets, f.b[:size]...)
		f.b = f.b[size:]
	}
	return sets
}
