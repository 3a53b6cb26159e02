package fmp4

// maxTracks bounds the tracks of one input.
const maxTracks = 64

// maxPssh bounds the content protection boxes in sum, which are copied into
// the header of every track.
const maxPssh = 64 << 10

// track is what the reader knows about a track besides what it tells others.
type track struct {
	Track
	trex  defaults
	table *sampleTable // samples that moov itself describes, or nil
	next  uint64       // decode time after the last sample seen
	seen  bool         // next is valid
}

// defaults are what trex and tfhd say about samples that do not say it
// themselves.
type defaults struct {
	description, duration, size, flags uint32
}

// parseMoov reads a movie header. Without fragmented, moov need not announce
// fragments: then all samples are in its tables.
func parseMoov(moov box, fragmented bool) ([]*track, error) {
	boxes, err := moov.children(0)
	if err != nil {
		return nil, err
	}
	var (
		mvhd, mvex *box
		traks      []box
		keep       []box // pssh
		keptBytes  int
	)
	for i, b := range boxes {
		switch b.name {
		case "mvhd":
			mvhd = &boxes[i]
		case "mvex":
			mvex = &boxes[i]
		case "trak":
			traks = append(traks, b)
		case "pssh":
			if keptBytes += len(b.data); keptBytes > maxPssh {
				return nil, b.fail("with others over the limit of %d bytes", maxPssh)
			}
			keep = append(keep, b)
		}
	}
	switch {
	case mvhd == nil:
		return nil, moov.fail("has no mvhd")
	case len(mvhd.body()) < 96 || len(mvhd.body()) > 1024:
		return nil, mvhd.fail("size %d is not believable", len(mvhd.data))
	case len(traks) == 0:
		return nil, moov.fail("has no track")
	case len(traks) > maxTracks:
		return nil, moov.fail("has %d tracks (at most %d)", len(traks), maxTracks)
	case mvex == nil && fragmented:
		return nil, moov.fail("has no mvex, so no fragments follow: with ffmpeg, write %s", ffmpegFlags)
	}
	trex := make(map[uint32]box)
	if mvex != nil {
		if trex, err = parseMvex(*mvex); err != nil {
			return nil, err
		}
	}
	var tracks []*track
	ids := make(map[uint32]bool)
	for _, b := range traks {
		p, err := parseTrak(b)
		if err != nil {
			return nil, err
		}
		t := &track{Track: p.Track, table: p.table}
		if ids[t.ID] {
			return nil, p.tkhd.fail("a second track with ID %d", t.ID)
		}
		ids[t.ID] = true
		x, ok := trex[t.ID]
		if !ok && fragmented {
			return nil, mvex.fail("has no trex for track %d", t.ID)
		}
		if ok {
			f := fields{b: x.body()}
			f.skip(8)
			t.trex = defaults{f.u32(), f.u32(), f.u32(), f.u32()}
		}
		if t.Kind == Video && t.FrameRate == 0 && t.trex.duration > 0 {
			t.FrameRate = roundRate(float64(t.Timescale) / float64(t.trex.duration))
		}
		t.Header = oneTrackHeader(*mvhd, p, t.trex, keep)
		tracks = append(tracks, t)
	}
	return tracks, nil
}

func parseMvex(mvex box) (map[uint32]box, error) {
	boxes, err := mvex.children(0)
	if err != nil {
		return nil, err
	}
	trex := make(map[uint32]box)
	for _, b := range boxes {
		if b.name != "trex" {
			continue
		}
		f := fields{b: b.body()}
		f.full()
		id := f.u32()
		f.skip(16)
		if f.short {
			return nil, b.fail("%d bytes are too few", len(b.data))
		}
		trex[id] = b
	}
	return trex, nil
}

// trak is a parsed trak, with the boxes of which a header is made.
type trak struct {
	Track
	tkhd, mdhd, hdlr, stsd box
	edts, elng             *box
	media                  []box // children of minf but stbl: media header, dinf
	table                  *sampleTable
}

// parseTrak walks down to the sample tables. Boxes that a fragmented header
// has no use for are left behind.
func parseTrak(b box) (*trak, error) {
	t := &trak{}
	boxes, err := b.children(0)
	if err != nil {
		return nil, err
	}
	for i, c := range boxes {
		switch c.name {
		case "tkhd":
			t.tkhd = c
			f := fields{b: c.body()}
			v, _ := f.full()
			f.uint(v)
			f.uint(v)
			if t.ID = f.u32(); f.short || t.ID == 0 {
				return nil, c.fail("no track ID")
			}
		case "edts":
			t.edts = &boxes[i]
		case "mdia":
			if err := t.parseMdia(c); err != nil {
				return nil, err
			}
		}
	}
	if t.tkhd.data == nil || t.mdhd.data == nil || t.hdlr.data == nil || t.stsd.data == nil {
		return nil, b.fail("lacks tkhd, mdhd, hdlr or stsd")
	}
	return t, t.describe(t.stsd)
}

func (t *trak) parseMdia(b box) error {
	boxes, err := b.children(0)
	if err != nil {
		return err
	}
	var packed uint16
	var extended string
	for i, c := range boxes {
		f := fields{b: c.body()}
		switch c.name {
		case "mdhd":
			t.mdhd = c
			v, _ := f.full()
			f.uint(v)
			f.uint(v)
			t.Timescale = f.u32()
			f.uint(v)
			packed = f.u16()
			if f.short {
				return c.fail("%d bytes are too few", len(c.data))
			}
			if t.Timescale == 0 {
				return c.fail("timescale is 0")
			}
		case "hdlr":
			t.hdlr = c
			f.full()
			f.skip(4)
			switch string(f.take(4)) {
			case "vide":
				t.Kind = Video
			case "soun":
				t.Kind = Audio
			case "subt", "text", "sbtl", "clcp":
				t.Kind = Text
			}
			if f.short {
				return c.fail("%d bytes are too few", len(c.data))
			}
		case "elng":
			t.elng = &boxes[i]
			f.full()
			extended = string(f.b)
		case "minf":
			if err := t.parseMinf(c); err != nil {
				return err
			}
		}
	}
	t.Language = language(packed, extended)
	return nil
}

func (t *trak) parseMinf(b box) error {
	boxes, err := b.children(0)
	if err != nil {
		return err
	}
	for _, c := range boxes {
		if c.name != "stbl" {
			t.media = append(t.media, c)
			continue
		}
		tables, err := c.children(0)
		if err != nil {
			return err
		}
		for _, d := range tables {
			if d.name == "stsd" {
				t.stsd = d
			}
		}
		if t.table, err = parseTable(c, tables); err != nil {
			return err
		}
	}
	return nil
}
