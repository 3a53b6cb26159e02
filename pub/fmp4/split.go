package fmp4

// split makes the chunks of a fragment. whole is moof and mdat as they were
// read; the chunk takes it over where it is a CMAF chunk already.
func (r *Reader) split(frag *fragment, mdat box, whole []byte) ([]*Chunk, error) {
	body, at := mdat.body(), mdat.at+int64(mdat.hdr)
	var chunks []*Chunk
	for i := range frag.trafs {
		t := &frag.trafs[i]
		known := r.byID[t.id]
		if err := t.inside(mdat); err != nil {
			return nil, err
		}
		if !t.hasTime {
			t.time = known.next
		}
		c := &Chunk{
			Track: t.id, Sequence: frag.sequence, DTS: t.time, Duration: t.duration(), Samples: len(t.samples),
			Key:  known.Kind != Video || isSync(t.samples[0].flags),
			Data: whole,
		}
		if !t.isChunk(frag, mdat) {
			if t.pinned != nil {
				return nil, t.pinned.fail("encrypted fragments must have one track each and default-base-is-moof")
			}
			spec := chunkSpec{t.id, frag.sequence, t.time, t.defaults.description, t.samples, t.groups}
			var pieces [][]byte
			for _, run := range t.runs {
				pieces = append(pieces, body[run.at-at:run.at-at+run.size])
			}
			c = spec.chunk(known, pieces...)
		}
		known.next = t.time + c.Duration
		c.Capture = r.capture(known, c)
		chunks = append(chunks, c)
	}
	return chunks, nil
}

// inside checks that the data of all samples is in mdat.
func (t *traf) inside(mdat box) error {
	from, to := mdat.at+int64(mdat.hdr), mdat.at+int64(len(mdat.data))
	for _, r := range t.runs {
		if r.at < from || r.at+r.size > to {
			return r.trun.fail("its data, bytes %d to %d, is not in the mdat at byte %d with %d bytes",
				r.at, r.at+r.size, mdat.at, len(mdat.data))
		}
	}
	return nil
}

// isChunk reports whether moof and mdat can stay as they are: one track,
// offsets from the moof, a decode time, and mdat right behind.
func (t *traf) isChunk(frag *fragment, mdat box) bool {
	return frag.alone && t.hasTime &&
		t.flags&tfhdDefaultBaseIsMoof != 0 && t.flags&tfhdBaseDataOffset == 0 &&
		mdat.at == frag.moof.at+int64(len(frag.moof.data))
}

// fromTables makes the chunks of the samples that moov describes, one for each
// track, with the data in one mdat.
func (r *Reader) fromTables(mdat box) ([]*Chunk, error) {
	body, at := mdat.body(), mdat.at+int64(mdat.hdr)
	var chunks []*Chunk
	count := 0
	for _, t := range r.tracks {
		if t.table == nil {
			continue
		}
		spec := chunkSpec{track: t.ID}
		var pieces [][]byte
		for {
			s, from, ok, err := t.table.next()
			if err != nil {
				return nil, err
			}
			if !ok {
				break
			}
			if from < at || from+int64(s.size) > at+int64(len(body)) {
				return nil, t.table.stbl.fail("sample %d, bytes %d to %d, is not in the mdat at byte %d with %d bytes",
					t.table.index, from, from+int64(s.size), mdat.at, len(mdat.data))
			}
			if count++; count > maxSamples {
				return nil, t.table.stbl.fail("more than %d samples before the first fragment", maxSamples)
			}
			spec.samples = append(spec.samples, s)
			spec.description = t.table.description
			pieces = append(pieces, body[from-at:from-at+int64(s.size)])
		}
		t.table = nil
		c := spec.chunk(t, pieces...)
		t.next = c.Duration
		c.Capture = r.capture(t, c)
		chunks = append(chunks, c)
	}
	return chunks, nil
}
