package fmp4

import (
	"encoding/binary"
	"slices"
)

// chunkSpec is what a chunk is written from.
type chunkSpec struct {
	track       uint32
	sequence    uint32
	time        uint64
	description uint32
	samples     []sample
	groups      []box
}

// appendMoof appends the moof of a chunk whose mdat follows it at once and
// holds the samples' data in order. What all samples have in common goes to
// tfhd, as encoders write it.
func (c *chunkSpec) appendMoof(b []byte) []byte {
	b, moof := beginBox(b, "moof")
	b, at := beginFull(b, "mfhd", 0, 0)
	b = binary.BigEndian.AppendUint32(b, c.sequence)
	b = endBox(b, at)
	b, traf := beginBox(b, "traf")

	common := func(v func(sample) uint32, from int) bool {
		s := c.samples[min(from, len(c.samples)-1):]
		return !slices.ContainsFunc(s, func(x sample) bool { return v(x) != v(s[0]) })
	}
	last := c.samples[len(c.samples)-1]
	tfhd := uint32(tfhdDefaultBaseIsMoof | tfhdDescription)
	trun := uint32(trunDataOffset)
	if common(func(s sample) uint32 { return s.duration }, 0) {
		tfhd |= tfhdDefaultDuration
	} else {
		trun |= trunDuration
	}
	if common(func(s sample) uint32 { return s.size }, 0) {
		tfhd |= tfhdDefaultSize
	} else {
		trun |= trunSize
	}
	if common(func(s sample) uint32 { return s.flags }, 1) {
		tfhd |= tfhdDefaultFlags
		if c.samples[0].flags != last.flags {
			trun |= trunFirstFlags
		}
	} else {
		trun |= trunSampleFlags
	}
	version := byte(0)
	for _, s := range c.samples {
		if s.composition != 0 {
			trun |= trunComposition
		}
		if s.composition < 0 {
			version = 1
		}
	}

	b, at = beginFull(b, "tfhd", 0, tfhd)
	b = binary.BigEndian.AppendUint32(b, c.track)
	b = binary.BigEndian.AppendUint32(b, max(1, c.description))
	if tfhd&tfhdDefaultDuration != 0 {
		b = binary.BigEndian.AppendUint32(b, last.duration)
	}
	if tfhd&tfhdDefaultSize != 0 {
		b = binary.BigEndian.AppendUint32(b, last.size)
	}
	if tfhd&tfhdDefaultFlags != 0 {
		b = binary.BigEndian.AppendUint32(b, last.flags)
	}
	b = endBox(b, at)

	b, at = beginFull(b, "tfdt", 1, 0)
	b = binary.BigEndian.AppendUint64(b, c.time)
	b = endBox(b, at)

	b, at = beginFull(b, "trun", version, trun)
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.samples)))
	offset := len(b)
	b = append(b, 0, 0, 0, 0)
	if trun&trunFirstFlags != 0 {
		b = binary.BigEndian.AppendUint32(b, c.samples[0].flags)
	}
	for _, s := range c.samples {
		if trun&trunDuration != 0 {
			b = binary.BigEndian.AppendUint32(b, s.duration)
		}
		if trun&trunSize != 0 {
			b = binary.BigEndian.AppendUint32(b, s.size)
		}
		if trun&trunSampleFlags != 0 {
			b = binary.BigEndian.AppendUint32(b, s.flags)
		}
		if trun&trunComposition != 0 {
			b = binary.BigEndian.AppendUint32(b, uint32(s.composition))
		}
	}
	b = endBox(b, at)
	for _, g := range c.groups {
		b = append(b, g.data...)
	}
	b = endBox(b, traf)
	b = endBox(b, moof)
	binary.BigEndian.PutUint32(b[offset:], uint32(len(b)-moof+8)) // mdat's header is between
	return b
}

// chunk returns the chunk that c and its data make. Data comes in pieces, in
// the order of the samples.
func (c *chunkSpec) chunk(t *track, pieces ...[]byte) *Chunk {
	size := 0
	for _, p := range pieces {
		size += len(p)
	}
	b := make([]byte, 0, size+8+256+16*len(c.samples))
	b = c.appendMoof(b)
	b, mdat := beginBox(b, "mdat")
	for _, p := range pieces {
		b = append(b, p...)
	}
	b = endBox(b, mdat)
	ch := &Chunk{Track: c.track, Sequence: c.sequence, DTS: c.time, Samples: len(c.samples), Data: b}
	for _, s := range c.samples {
		ch.Duration += uint64(s.duration)
	}
	ch.Key = t.Kind != Video || isSync(c.samples[0].flags)
	return ch
}
