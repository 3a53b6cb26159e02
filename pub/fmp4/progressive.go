package fmp4

import (
	"errors"
	"io"
)

// progressive reads a file that is not fragmented, whose samples moov
// describes, and makes a chunk of every sample. The samples of all tracks come
// in the order of their decode times.
type progressive struct {
	r       io.ReadSeeker
	init    *Init
	tracks  []*track
	heads   []head // next sample of each track
	number  uint32
	maxSize int64
}

type head struct {
	sample
	at   int64
	ok   bool
	time uint64
}

func newProgressive(r io.ReadSeeker, moov box, opt Options) (*progressive, error) {
	tracks, err := parseMoov(moov, false)
	if err != nil {
		return nil, err
	}
	p := &progressive{r: r, init: &Init{}, tracks: tracks, heads: make([]head, len(tracks)), maxSize: opt.MaxMdat}
	for i, t := range tracks {
		p.init.Tracks = append(p.init.Tracks, t.Track)
		if err := p.advance(i); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *progressive) advance(i int) (err error) {
	h := &p.heads[i]
	h.time += uint64(h.duration)
	if p.tracks[i].table == nil {
		return nil
	}
	h.sample, h.at, h.ok, err = p.tracks[i].table.next()
	return err
}

func (p *progressive) Init() (*Init, error) { return p.init, nil }

func (p *progressive) Next() (*Chunk, error) {
	first := -1
	for i, h := range p.heads {
		if h.ok && (first < 0 || p.seconds(i) < p.seconds(first)) {
			first = i
		}
	}
	if first < 0 {
		return nil, io.EOF
	}
	h, t := p.heads[first], p.tracks[first]
	if int64(h.size) > p.maxSize {
		return nil, t.table.stbl.fail("sample %d of %d bytes is over the limit of %d", t.table.index, h.size, p.maxSize)
	}
	if _, err := p.r.Seek(h.at, io.SeekStart); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(p.r, int64(h.size)))
	if err == nil && len(data) < int(h.size) {
		err = io.ErrUnexpectedEOF
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, t.table.stbl.fail("sample %d, bytes %d to %d, is not in the file: %w", t.table.index, h.at, h.at+int64(h.size), err)
	}
	if err != nil {
		return nil, err
	}
	p.number++
	spec := chunkSpec{track: t.ID, sequence: p.number, time: h.time, description: t.table.description, samples: []sample{h.sample}}
	return spec.chunk(t, data), p.advance(first)
}

func (p *progressive) seconds(i int) float64 {
	return float64(p.heads[i].time) / float64(p.tracks[i].Timescale)
}
