package fmp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// MergeHeaders makes one header of several one-track headers as in
// [Track.Header], so that the chunks of all tracks can be written to one file
// behind it. ids[i] is the track ID that headers[i] has in it: its own, or a
// free one if an earlier header has the same; [Retime] gives it to the chunks.
func MergeHeaders(headers [][]byte) (merged []byte, ids []uint32, err error) {
	if len(headers) == 0 {
		return nil, nil, errors.New("fmp4: no header to merge")
	}
	if len(headers) > maxTracks {
		return nil, nil, fmt.Errorf("fmp4: %d headers to merge (at most %d)", len(headers), maxTracks)
	}
	var parts []*headerParts
	used := make(map[uint32]bool)
	for i, h := range headers {
		p, err := splitHeader(h)
		if err != nil {
			return nil, nil, fmt.Errorf("header %d: %w", i, err)
		}
		for p.id == 0 || used[p.id] {
			if p.id++; p.id == math.MaxUint32 {
				p.id = 1
			}
		}
		used[p.id] = true
		parts = append(parts, p)
		ids = append(ids, p.id)
	}
	b := append([]byte(nil), ftyp...)
	b, moov := beginBox(b, "moov")
	b = append(b, parts[0].mvhd.data...)
	next := uint32(1)
	for _, p := range parts {
		next = max(next, p.id+1)
	}
	binary.BigEndian.PutUint32(b[len(b)-4:], next) // next_track_ID ends mvhd
	for _, p := range parts {
		at := len(b) + int(p.tkhd.at-p.trak.at)
		b = append(b, p.trak.data...)
		putTrackID(b[at:at+len(p.tkhd.data)], p.tkhd.hdr, p.id)
	}
	b, mvex := beginBox(b, "mvex")
	for _, p := range parts {
		at := len(b)
		b = append(b, p.trex.data...)
		binary.BigEndian.PutUint32(b[at+p.trex.hdr+4:], p.id)
	}
	b = endBox(b, mvex)
	for _, p := range parts {
		for _, k := range p.pssh {
			b = append(b, k.data...)
		}
	}
	return endBox(b, moov), ids, nil
}

// headerParts are the boxes of a one-track header.
type headerParts struct {
	id                     uint32
	mvhd, trak, tkhd, trex box
	pssh                   []box
}

func splitHeader(header []byte) (*headerParts, error) {
	moov, track, err := soleTrack(header)
	if err != nil {
		return nil, err
	}
	p := &headerParts{id: track.ID}
	boxes, _ := moov.children(0)
	for _, b := range boxes {
		switch b.name {
		case "mvhd":
			p.mvhd = b
		case "trak":
			p.trak = b
		case "pssh":
			p.pssh = append(p.pssh, b)
		case "mvex":
			trex, _ := parseMvex(b)
			p.trex = trex[p.id]
		}
	}
	boxes, _ = p.trak.children(0)
	for _, b := range boxes {
		if b.name == "tkhd" {
			p.tkhd = b
		}
	}
	return p, nil
}

// soleTrack finds and reads the moov of a header with one track. The lengths of
// all that the header of a track has in it are checked then.
func soleTrack(header []byte) (moov *box, t *track, err error) {
	boxes, err := box{name: "header", data: header}.children(0)
	if err != nil {
		return nil, nil, err
	}
	for i, b := range boxes {
		if b.name == "moov" {
			moov = &boxes[i]
		}
	}
	if moov == nil {
		return nil, nil, errors.New("fmp4: no moov in it")
	}
	tracks, err := parseMoov(*moov, true)
	if err != nil {
		return nil, nil, err
	}
	if len(tracks) != 1 {
		return nil, nil, moov.fail("has %d tracks, not one", len(tracks))
	}
	return moov, tracks[0], nil
}

func putTrackID(tkhd []byte, hdr int, id uint32) {
	at := hdr + 12
	if tkhd[hdr] == 1 {
		at = hdr + 20
	}
	binary.BigEndian.PutUint32(tkhd[at:], id)
}
