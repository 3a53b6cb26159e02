package fmp4

import "encoding/binary"

// ftyp says CMAF and nothing of the input's brands, since the header is made
// here.
var ftyp = []byte("\x00\x00\x00\x1cftypiso6\x00\x00\x00\x00iso6cmfcmp41")

// oneTrackHeader returns the CMAF header of one track: ftyp, and moov with that
// track and no samples. Durations are zero, for those of the input count what
// stood in its moov or what it once was going to be.
func oneTrackHeader(mvhd box, t *trak, x defaults, keep []box) []byte {
	b := append([]byte(nil), ftyp...)
	b, moov := beginBox(b, "moov")
	b = appendZeroed(b, mvhd, durationField(mvhd, 16, 24))
	b = appendTrak(b, t)
	b, mvex := beginBox(b, "mvex")
	b = appendTrex(b, t.ID, x)
	b = endBox(b, mvex)
	for _, k := range keep {
		b = append(b, k.data...)
	}
	return endBox(b, moov)
}

func appendTrak(b []byte, t *trak) []byte {
	b, trak := beginBox(b, "trak")
	b = appendZeroed(b, t.tkhd, durationField(t.tkhd, 20, 28))
	if t.edts != nil {
		b = appendEdts(b, *t.edts)
	}
	b, mdia := beginBox(b, "mdia")
	b = appendZeroed(b, t.mdhd, durationField(t.mdhd, 16, 24))
	b = append(b, t.hdlr.data...)
	if t.elng != nil {
		b = append(b, t.elng.data...)
	}
	b, minf := beginBox(b, "minf")
	for _, m := range t.media {
		b = append(b, m.data...)
	}
	b, stbl := beginBox(b, "stbl")
	b = append(b, t.stsd.data...)
	for _, name := range []string{"stts", "stsc", "stsz", "stco"} {
		var at int
		b, at = beginFull(b, name, 0, 0)
		b = append(b, 0, 0, 0, 0)
		if name == "stsz" {
			b = append(b, 0, 0, 0, 0)
		}
		b = endBox(b, at)
	}
	b = endBox(b, stbl)
	b = endBox(b, minf)
	b = endBox(b, mdia)
	return endBox(b, trak)
}

func appendTrex(b []byte, id uint32, x defaults) []byte {
	b, at := beginFull(b, "trex", 0, 0)
	b = binary.BigEndian.AppendUint32(b, id)
	b = binary.BigEndian.AppendUint32(b, max(1, x.description))
	b = binary.BigEndian.AppendUint32(b, x.duration)
	b = binary.BigEndian.AppendUint32(b, x.size)
	b = binary.BigEndian.AppendUint32(b, x.flags)
	return endBox(b, at)
}

// span is a part of a body.
type span struct{ from, to int }

// durationField returns where a duration stands in the body of a versioned
// box: 4 bytes in version 0, 8 in version 1.
func durationField(b box, v0, v1 int) span {
	if b.body()[0] == 1 {
		return span{v1, v1 + 8}
	}
	return span{v0, v0 + 4}
}

// appendZeroed appends a box and clears a part of its body.
func appendZeroed(b []byte, src box, s span) []byte {
	at := len(b) + src.hdr
	b = append(b, src.data...)
	if at+s.to <= len(b) {
		clear(b[at+s.from : at+s.to])
	}
	return b
}

// appendEdts appends an edit list with the duration of its last entry cleared,
// which in a fragmented file means "until the end". ffmpeg with frag_keyframe
// writes the duration of the first fragment there. An edit list that cannot be
// read is left out.
func appendEdts(b []byte, edts box) []byte {
	boxes, err := edts.children(0)
	if err != nil {
		return b
	}
	b, at := beginBox(b, "edts")
	for _, c := range boxes {
		if c.name != "elst" || len(c.body()) < 8 {
			continue
		}
		entry, field := 12, 4
		if c.body()[0] == 1 {
			entry, field = 20, 8
		}
		n := uint64(binary.BigEndian.Uint32(c.body()[4:]))
		if n == 0 || n > uint64(len(c.body())-8)/uint64(entry) {
			continue
		}
		last := 8 + int(n-1)*entry
		b = appendZeroed(b, c, span{last, last + field})
	}
	if len(b) == at+8 {
		return b[:at]
	}
	return endBox(b, at)
}
