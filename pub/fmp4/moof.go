package fmp4

import "math"

// maxSamples bounds the samples of one fragment of one track: ten seconds of
// PCM audio at 48 kHz.
const maxSamples = 480_000

// Flags of tfhd and trun (ISO/IEC 14496-12, "Track Fragment Header Box" and
// "Track Fragment Run Box").
const (
	tfhdBaseDataOffset    = 0x1
	tfhdDescription       = 0x2
	tfhdDefaultDuration   = 0x8
	tfhdDefaultSize       = 0x10
	tfhdDefaultFlags      = 0x20
	tfhdDefaultBaseIsMoof = 0x20000

	trunDataOffset  = 0x1
	trunFirstFlags  = 0x4
	trunDuration    = 0x100
	trunSize        = 0x200
	trunSampleFlags = 0x400
	trunComposition = 0x800
)

// Sample flags: a sample is a place to start unless it says that it is none or
// that it depends on others.
const (
	sampleNonSync    = 0x10000
	sampleDependsOn  = 0x3000000
	sampleDepends    = 0x1000000
	sampleDependsNot = 0x2000000
)

func isSync(flags uint32) bool {
	return flags&sampleNonSync == 0 && flags&sampleDependsOn != sampleDepends
}

// sample is one sample of a fragment or table.
type sample struct {
	size, duration, flags uint32
	composition           int32 // composition time offset
}

// fragment is a parsed moof.
type fragment struct {
	moof     box
	sequence uint32
	trafs    []traf // those with samples
	alone    bool   // there is one traf
}

// traf is a parsed track fragment that has samples.
type traf struct {
	at       int64
	id       uint32
	flags    uint32 // of tfhd
	base     int64  // of its first run, absolute in the input
	time     uint64 // tfdt
	hasTime  bool
	defaults defaults
	runs     []run
	samples  []sample // of all runs
	groups   []box    // sbgp, sgpd, subs: kept when the fragment is written anew
	pinned   *box     // a box whose offsets a rewrite would break, or nil
}

// run is a stretch of samples whose data is contiguous.
type run struct {
	trun     box
	at, size int64 // of the data, at is absolute in the input
	samples  []sample
}

func (t *traf) duration() (sum uint64) {
	for _, s := range t.samples {
		sum += uint64(s.duration)
	}
	return sum
}

// parseMoof reads a movie fragment. tracks tells the trex defaults; a fragment
// of a track that moov does not know is an error.
func parseMoof(moof box, tracks map[uint32]*track) (*fragment, error) {
	boxes, err := moof.children(0)
	if err != nil {
		return nil, err
	}
	fr := &fragment{moof: moof}
	end := moof.at // where the data of the traf before ended
	count, trafs := 0, 0
	for _, b := range boxes {
		switch b.name {
		case "mfhd":
			f := fields{b: b.body()}
			f.full()
			if fr.sequence = f.u32(); f.short {
				return nil, b.fail("%d bytes are too few", len(b.data))
			}
		case "traf":
			trafs++
			t, err := parseTraf(b, moof.at, &end, tracks, maxSamples-count)
			if err != nil {
				return nil, err
			}
			if count += len(t.samples); len(t.samples) > 0 {
				fr.trafs = append(fr.trafs, *t)
			}
		}
	}
	fr.alone = trafs == 1
	return fr, nil
}

func parseTraf(b box, moofAt int64, end *int64, tracks map[uint32]*track, room int) (*traf, error) {
	boxes, err := b.children(0)
	if err != nil {
		return nil, err
	}
	t := &traf{at: b.at}
	for i, c := range boxes {
		switch c.name {
		case "tfhd":
			if t.id != 0 {
				return nil, c.fail("a second one in the same traf")
			}
			if err := t.parseTfhd(c, moofAt, *end, tracks); err != nil {
				return nil, err
			}
			*end = t.base
		case "tfdt":
			f := fields{b: c.body()}
			v, _ := f.full()
			t.time, t.hasTime = f.uint(v), true
			if f.short {
				return nil, c.fail("%d bytes are too few", len(c.data))
			}
			if t.time > math.MaxInt64 {
				return nil, c.fail("decode time %d is not believable", t.time)
			}
		case "trun":
			if t.id == 0 {
				return nil, c.fail("comes before tfhd")
			}
			if err := t.parseTrun(c, end, room-len(t.samples)); err != nil {
				return nil, err
			}
		case "sbgp", "sgpd", "subs":
			t.groups = append(t.groups, c)
		case "senc", "saiz", "saio", "uuid":
			t.pinned = &boxes[i]
		}
	}
	if t.id == 0 {
		return nil, b.fail("has no tfhd")
	}
	return t, nil
}

func (t *traf) parseTfhd(b box, moofAt, end int64, tracks map[uint32]*track) error {
	f := fields{b: b.body()}
	_, t.flags = f.full()
	t.id = f.u32()
	known, ok := tracks[t.id]
	if !ok {
		return b.fail("track %d is not in moov", t.id)
	}
	t.defaults = known.trex
	t.base = end // without a flag: the moof, or where the last traf's data ended
	switch {
	case t.flags&tfhdBaseDataOffset != 0:
		base := f.u64()
		if base > 1<<62 {
			return b.fail("base data offset %d is not believable", base)
		}
		t.base = int64(base)
	case t.flags&tfhdDefaultBaseIsMoof != 0:
		t.base = moofAt
	}
	for _, d := range []struct {
		flag  uint32
		field *uint32
	}{
		{tfhdDescription, &t.defaults.description},
		{tfhdDefaultDuration, &t.defaults.duration},
		{tfhdDefaultSize, &t.defaults.size},
		{tfhdDefaultFlags, &t.defaults.flags},
	} {
		if t.flags&d.flag != 0 {
			*d.field = f.u32()
		}
	}
	if f.short {
		return b.fail("%d bytes are too few for its flags 0x%x", len(b.data), t.flags)
	}
	return nil
}

// parseTrun adds a run. end is where the data before ended and moves on.
func (t *traf) parseTrun(b box, end *int64, room int) error {
	f := fields{b: b.body()}
	_, flags := f.full()
	n := f.u32()
	r := run{trun: b, at: *end}
	if flags&trunDataOffset != 0 {
		r.at = t.base + int64(int32(f.u32()))
	}
	first, hasFirst := uint32(0), flags&trunFirstFlags != 0
	if hasFirst {
		first = f.u32()
	}
	each := 0
	for _, flag := range []uint32{trunDuration, trunSize, trunSampleFlags, trunComposition} {
		if flags&flag != 0 {
			each += 4
		}
	}
	if f.short || uint64(n)*uint64(each) > uint64(len(f.b)) {
		return b.fail("%d samples do not fit in its %d bytes", n, len(b.data))
	}
	if int64(n) > int64(room) {
		return b.fail("%d samples are over the limit of %d in a fragment", n, maxSamples)
	}
	t.samples = append(t.samples, make([]sample, n)...)
	samples := t.samples[len(t.samples)-int(n):]
	for i := range samples {
		s := sample{size: t.defaults.size, duration: t.defaults.duration, flags: t.defaults.flags}
		if flags&trunDuration != 0 {
			s.duration = f.u32()
		}
		if flags&trunSize != 0 {
			s.size = f.u32()
		}
		if flags&trunSampleFlags != 0 {
			s.flags = f.u32()
		}
		if i == 0 && hasFirst {
			s.flags = first
		}
		if flags&trunComposition != 0 {
			s.composition = int32(f.u32())
		}
		samples[i] = s
		r.size += int64(s.size)
	}
	r.samples = samples
	*end = r.at + r.size
	if n > 0 {
		t.runs = append(t.runs, r)
	}
	return nil
}
