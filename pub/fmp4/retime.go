package fmp4

import (
	"encoding/binary"
	"math"
)

// Retime gives a chunk another track ID, base decode time and sequence number.
// It writes into chunk and returns it, or returns a longer copy where the time
// needs 64 bits and the chunk has room for 32. The chunk must be one moof with
// one traf, and one mdat, as in [Chunk.Data].
func Retime(chunk []byte, track uint32, time uint64, sequence uint32) ([]byte, error) {
	p, err := findTimes(chunk)
	if err != nil {
		return nil, err
	}
	if p.tfdt.body()[0] == 0 && time > math.MaxUint32 {
		if chunk, err = p.widen(chunk); err != nil {
			return nil, err
		}
		if p, err = findTimes(chunk); err != nil {
			return nil, err
		}
	}
	binary.BigEndian.PutUint32(p.mfhd.body()[4:], sequence)
	binary.BigEndian.PutUint32(p.tfhd.body()[4:], track)
	if p.tfdt.body()[0] == 1 {
		binary.BigEndian.PutUint64(p.tfdt.body()[4:], time)
	} else {
		binary.BigEndian.PutUint32(p.tfdt.body()[4:], uint32(time))
	}
	return chunk, nil
}

// timeParts are the boxes of a chunk that Retime touches. They share its
// memory.
type timeParts struct {
	moof, mfhd, traf, tfhd, tfdt box
	offsets                      []box // trun and saio, which hold offsets from the moof
}

func findTimes(chunk []byte) (*timeParts, error) {
	p := &timeParts{}
	whole := box{name: "chunk", data: chunk}
	boxes, err := whole.children(0)
	if err != nil {
		return nil, err
	}
	for _, b := range boxes {
		if b.name == "moof" {
			if p.moof.data != nil {
				return nil, b.fail("a second one in the chunk")
			}
			p.moof = b
		}
	}
	if boxes, err = p.moof.children(0); err != nil {
		return nil, err
	}
	for _, b := range boxes {
		switch b.name {
		case "mfhd":
			p.mfhd = b
		case "traf":
			if p.traf.data != nil {
				return nil, b.fail("a second one in the chunk")
			}
			p.traf = b
		}
	}
	if boxes, err = p.traf.children(0); err != nil {
		return nil, err
	}
	for _, b := range boxes {
		switch b.name {
		case "tfhd":
			p.tfhd = b
		case "tfdt":
			p.tfdt = b
		case "trun", "saio":
			p.offsets = append(p.offsets, b)
		}
	}
	if len(p.mfhd.body()) < 8 || len(p.tfhd.body()) < 8 || len(p.tfdt.body()) < 8 {
		return nil, whole.fail("lacks mfhd, tfhd or tfdt")
	}
	if v := p.tfdt.body()[0]; v > 1 || v == 1 && len(p.tfdt.body()) < 12 {
		return nil, p.tfdt.fail("version %d with %d bytes cannot be changed", v, len(p.tfdt.data))
	}
	return p, nil
}

// widen returns a copy of the chunk in which tfdt has 64 bits. What lies
// behind it moves by four bytes, so offsets from the moof grow by four.
func (p *timeParts) widen(chunk []byte) ([]byte, error) {
	const more = 4
	at := int(p.tfdt.at) + p.tfdt.hdr + 4
	b := make([]byte, 0, len(chunk)+more)
	b = append(b, chunk[:at]...)
	b = append(b, 0, 0, 0, 0)
	b = append(b, chunk[at:]...)
	for _, c := range []box{p.moof, p.traf, p.tfdt} {
		if c.hdr != 8 || int64(len(c.data)) > math.MaxUint32-more {
			return nil, c.fail("cannot grow")
		}
		binary.BigEndian.PutUint32(b[c.at:], uint32(len(c.data)+more))
	}
	b[int(p.tfdt.at)+p.tfdt.hdr] = 1
	for _, c := range p.offsets {
		body := b[c.at:][:len(c.data)] // before tfdt
		if c.at > p.tfdt.at {
			body = b[c.at+more:][:len(c.data)]
		}
		if err := moveOffset(box{c.name, c.at, body, c.hdr}, more); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func moveOffset(b box, by uint32) error {
	f := fields{b: b.body()}
	version, flags := f.full()
	at := b.hdr + 8
	switch {
	case b.name == "trun" && flags&trunDataOffset == 0:
		return nil
	case b.name == "saio":
		if flags&1 != 0 {
			f.skip(8)
			at += 8
		}
		if n := f.u32(); n != 1 {
			return b.fail("%d offsets, not one", n)
		}
		if version == 1 {
			f.skip(4)
			at += 4 // the low half of 64 bits
		}
	default:
		f.skip(4)
	}
	f.u32()
	if f.short {
		return b.fail("%d bytes are too few", len(b.data))
	}
	field := b.data[at:]
	binary.BigEndian.PutUint32(field, binary.BigEndian.Uint32(field)+by)
	return nil
}

// Renumber gives a chunk another track ID. It writes into chunk, and returns it
// untouched if it has that ID already. The chunk is as for [Retime].
func Renumber(chunk []byte, track uint32) ([]byte, error) {
	p, err := findTimes(chunk)
	if err != nil {
		return nil, err
	}
	if id := p.tfhd.body()[4:8]; binary.BigEndian.Uint32(id) != track {
		binary.BigEndian.PutUint32(id, track)
	}
	return chunk, nil
}
