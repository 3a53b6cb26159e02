package fmp4

import "encoding/binary"

// sampleTable walks the samples that moov describes (stbl), in decode order.
// It reads the tables where they lie in moov and expands nothing, so a table
// that promises four billion samples costs no memory.
type sampleTable struct {
	stbl  box
	count uint32 // samples, by stsz
	same  uint32 // size of all, or 0: sizes
	sizes []byte

	times, offsets runs // stts; ctts
	sync           []byte
	allSync        bool // no stss

	toChunk     []byte // stsc entries left to come
	perChunk    uint32 // samples in the chunks now walked
	description uint32
	nextChunk   uint32 // 1-based, where toChunk[0] begins
	chunks      []byte // stco or co64
	width       int    // of an entry of chunks

	index   uint32 // samples returned
	chunk   uint32 // chunks begun
	inChunk uint32 // samples left in the chunk
	at      int64  // of the next sample's data
}

// runs is a run-length coded table: entries of a count and a value.
type runs struct {
	table []byte
	left  uint32
	value uint32
}

func (r *runs) next() (uint32, bool) {
	for r.left == 0 {
		if len(r.table) < 8 {
			return 0, false
		}
		r.left, r.value = binary.BigEndian.Uint32(r.table), binary.BigEndian.Uint32(r.table[4:])
		r.table = r.table[8:]
	}
	r.left--
	return r.value, true
}

// parseTable returns nil where moov describes no samples, as it should be in
// fragmented files.
func parseTable(stbl box, boxes []box) (*sampleTable, error) {
	t := &sampleTable{stbl: stbl, allSync: true}
	for _, b := range boxes {
		var err error
		switch b.name {
		case "stts":
			t.times.table, err = entries(b, 8)
		case "ctts":
			t.offsets.table, err = entries(b, 8)
		case "stss":
			t.sync, err = entries(b, 4)
			t.allSync = false
		case "stsc":
			t.toChunk, err = entries(b, 12)
		case "stco":
			t.chunks, err = entries(b, 4)
			t.width = 4
		case "co64":
			t.chunks, err = entries(b, 8)
			t.width = 8
		case "stsz":
			f := fields{b: b.body()}
			f.full()
			t.same, t.count = f.u32(), f.u32()
			if f.short || t.same == 0 && uint64(t.count)*4 > uint64(len(f.b)) {
				return nil, b.fail("%d samples do not fit in its %d bytes", t.count, len(b.data))
			}
			t.sizes = f.b
		case "stz2":
			return nil, b.fail("compact sample sizes are not supported")
		}
		if err != nil {
			return nil, err
		}
	}
	if t.count == 0 {
		return nil, nil
	}
	if len(t.toChunk) < 12 || len(t.chunks) == 0 || len(t.times.table) == 0 {
		return nil, stbl.fail("describes %d samples but lacks stts, stsc or stco", t.count)
	}
	t.nextChunk = binary.BigEndian.Uint32(t.toChunk)
	if t.nextChunk != 1 {
		return nil, stbl.fail("stsc begins with chunk %d", t.nextChunk)
	}
	return t, nil
}

// entries returns the entries of a table of a 32-bit count and entries of the
// same size.
func entries(b box, size int) ([]byte, error) {
	f := fields{b: b.body()}
	f.full()
	n := f.u32()
	if f.short || uint64(n)*uint64(size) > uint64(len(f.b)) {
		return nil, b.fail("%d entries do not fit in its %d bytes", n, len(b.data))
	}
	return f.b[:int(n)*size], nil
}

// next returns the next sample and where its data begins in the input, and
// false after the last.
func (t *sampleTable) next() (s sample, at int64, ok bool, err error) {
	if t.index == t.count {
		return s, 0, false, nil
	}
	for t.inChunk == 0 {
		if err := t.beginChunk(); err != nil {
			return s, 0, false, err
		}
	}
	if s.size = t.same; s.size == 0 {
		s.size = binary.BigEndian.Uint32(t.sizes[4*t.index:])
	}
	if s.duration, ok = t.times.next(); !ok {
		return s, 0, false, t.stbl.fail("stts ends before sample %d of %d", t.index+1, t.count)
	}
	offset, _ := t.offsets.next()
	s.composition = int32(offset)
	t.index++
	s.flags = sampleDepends | sampleNonSync
	if t.allSync {
		s.flags = sampleDependsNot
	} else if len(t.sync) >= 4 && binary.BigEndian.Uint32(t.sync) == t.index {
		s.flags = sampleDependsNot
		t.sync = t.sync[4:]
	}
	at = t.at
	t.at += int64(s.size)
	t.inChunk--
	return s, at, true, nil
}

func (t *sampleTable) beginChunk() error {
	if len(t.chunks) < t.width {
		return t.stbl.fail("stco ends with chunk %d, before sample %d of %d", t.chunk, t.index+1, t.count)
	}
	t.chunk++
	if len(t.toChunk) >= 12 && t.chunk == t.nextChunk {
		t.perChunk = binary.BigEndian.Uint32(t.toChunk[4:])
		t.description = binary.BigEndian.Uint32(t.toChunk[8:])
		t.toChunk = t.toChunk[12:]
		if len(t.toChunk) >= 12 {
			if t.nextChunk = binary.BigEndian.Uint32(t.toChunk); t.nextChunk <= t.chunk {
				return t.stbl.fail("stsc goes back from chunk %d to %d", t.chunk, t.nextChunk)
			}
		}
	}
	t.inChunk = t.perChunk
	if t.width == 4 {
		t.at = int64(binary.BigEndian.Uint32(t.chunks))
	} else {
		t.at = int64(binary.BigEndian.Uint64(t.chunks) & (1<<62 - 1))
	}
	t.chunks = t.chunks[t.width:]
	return nil
}
