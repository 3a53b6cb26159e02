package fmp4

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"
)

// Unpacker takes the chunks of one track apart into samples, for those who put
// them into another container.
type Unpacker struct {
	// Track is what the header says.
	Track Track
	// Entry is the type of the sample entry, such as "avc1", "hev1" or "mp4a";
	// "encv" and "enca" if the samples are encrypted.
	Entry string
	// Config is what a decoder needs before the first sample, without any box
	// around it: the record of avcC, hvcC, av1C, vpcC or dOps, or the
	// AudioSpecificConfig of MPEG-4 audio. It is nil where there is none, or where
	// this package does not know it.
	Config []byte

	track *track
	shift time.Duration // from decode times to the presentation, by the edit list
}

// Sample is one sample of a track.
type Sample struct {
	// DTS and PTS are the decode and the presentation time. They are on the
	// presentation's time line, which all tracks of a broadcast have in common: the
	// edit list is applied. The first samples may lie before its zero.
	DTS, PTS time.Duration
	Duration time.Duration
	// Key says that the sample can be decoded without any other. It is true for
	// every sample of a track that is not video.
	Key bool
	// Data is a part of the chunk, never empty.
	Data []byte
}

// NewUnpacker reads the CMAF header of one track, as in [Track.Header]. It keeps
// no reference to it.
func NewUnpacker(header []byte) (*Unpacker, error) {
	moov, t, err := soleTrack(header)
	if err != nil {
		return nil, err
	}
	u := &Unpacker{Track: t.Track, track: t}
	boxes, _ := moov.children(0)
	var edts *box
	var movie uint32 // timescale of the movie
	for _, b := range boxes {
		switch b.name {
		case "mvhd":
			f := fields{b: b.body()}
			v, _ := f.full()
			f.uint(v)
			f.uint(v)
			movie = f.u32()
		case "trak":
			t, err := parseTrak(b)
			if err != nil {
				return nil, err
			}
			if err := u.readEntry(t.stsd); err != nil {
				return nil, err
			}
			edts = t.edts
		}
	}
	if edts != nil {
		u.shift = u.edit(*edts, movie)
	}
	return u, nil
}

// Bodies of sample entries before the boxes in them (ISO/IEC 14496-12, "Sample
// Description Box").
const (
	visualEntry = 78
	audioEntry  = 28
)

// readEntry finds the decoder's configuration.
func (u *Unpacker) readEntry(stsd box) error {
	entries, err := stsd.children(8)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return stsd.fail("no sample description")
	}
	u.Entry = entries[0].name
	skip := visualEntry
	switch u.Track.Kind {
	case Video:
	case Audio:
		skip = audioEntry
	default:
		return nil
	}
	boxes, err := entries[0].children(skip)
	if err != nil {
		return err
	}
	for _, b := range boxes {
		switch b.name {
		case "avcC", "hvcC", "av1C", "dOps":
			u.Config = append([]byte(nil), b.body()...)
		case "vpcC":
			if len(b.body()) < 4 {
				return b.fail("%d bytes are too few", len(b.data))
			}
			u.Config = append([]byte(nil), b.body()[4:]...) // without version and flags
		case "esds":
			entry, err := sampleEntry(stsd.data)
			if err != nil {
				return stsd.fail("%w", err)
			}
			if e, ok := entry.(*mp4.AudioSampleEntryBox); ok && e.Esds != nil && e.Esds.DecConfigDescriptor != nil &&
				e.Esds.DecConfigDescriptor.DecSpecificInfo != nil {
				u.Config = append([]byte(nil), e.Esds.DecConfigDescriptor.DecSpecificInfo.DecConfig...)
			}
		}
	}
	return nil
}

// maxShift bounds what an edit list does to the times.
const maxShift = 24 * time.Hour

// edit returns what an edit list adds to decode times: empty edits come before
// the media, whose first media time is the zero. Later edits are for files that
// were cut, and a live track has none. What cannot be believed counts as none, as
// in players.
func (u *Unpacker) edit(edts box, movie uint32) time.Duration {
	boxes, err := edts.children(0)
	if err != nil {
		return 0
	}
	var shift time.Duration
	for _, b := range boxes {
		if b.name != "elst" {
			continue
		}
		f := fields{b: b.body()}
		version, _ := f.full()
		for n := f.u32(); n > 0; n-- {
			duration := f.uint(version)
			start := int64(int32(f.u32()))
			if version == 1 {
				start = start<<32 | int64(f.u32())
			}
			f.skip(4)
			if f.short {
				return 0
			}
			d, ok := clock(start, u.Track.Timescale)
			if start == -1 {
				d, ok = clock(int64(min(duration, math.MaxInt64)), movie)
				d = -d
			}
			if shift -= d; !ok || shift.Abs() > maxShift {
				return 0
			}
			if start != -1 {
				return shift
			}
		}
	}
	return shift
}

// clock returns a time that is counted in units of which scale make a second, and
// false if that is more than can be told.
func clock(t int64, scale uint32) (time.Duration, bool) {
	const most = 1 << 33 // seconds, some 270 years
	if scale == 0 || t/int64(scale) >= most || t/int64(scale) <= -most {
		return 0, false
	}
	whole, rest := t/int64(scale), t%int64(scale)
	return time.Duration(whole)*time.Second + time.Duration(rest*int64(time.Second)/int64(scale)), true
}

// maxComposition bounds the distance between decode and presentation.
const maxComposition = time.Hour

// Samples returns the samples of a chunk, in decode order. Their data is that of
// chunk.
func (u *Unpacker) Samples(chunk []byte) ([]Sample, error) {
	boxes, err := box{name: "chunk", data: chunk}.children(0)
	if err != nil {
		return nil, err
	}
	var moof, mdat *box
	for i, b := range boxes {
		switch b.name {
		case "moof":
			if moof != nil {
				return nil, b.fail("a second one in the chunk")
			}
			moof = &boxes[i]
		case "mdat":
			if mdat == nil {
				mdat = &boxes[i]
			}
		}
	}
	if moof == nil || mdat == nil {
		return nil, errors.New("fmp4: the chunk has no moof or no mdat")
	}
	frag, err := parseMoof(*moof, map[uint32]*track{u.Track.ID: u.track})
	if err != nil {
		return nil, err
	}
	if len(frag.trafs) != 1 || !frag.trafs[0].hasTime {
		return nil, moof.fail("has not one track fragment with a decode time")
	}
	t := &frag.trafs[0]
	if err := t.inside(*mdat); err != nil {
		return nil, err
	}
	list := make([]Sample, 0, len(t.samples))
	at := t.time
	for _, r := range t.runs {
		data := chunk[r.at : r.at+r.size]
		for _, s := range r.samples {
			x, err := u.sample(s, at)
			if err != nil {
				return nil, r.trun.fail("sample %d: %w", len(list), err)
			}
			x.Data, data = data[:s.size:s.size], data[s.size:]
			at += uint64(s.duration)
			list = append(list, x)
		}
	}
	return list, nil
}

// sample tells the times of a sample.
func (u *Unpacker) sample(s sample, at uint64) (Sample, error) {
	dts, ok := clock(int64(min(at, math.MaxInt64)), u.Track.Timescale)
	composition, _ := clock(int64(s.composition), u.Track.Timescale)
	duration, _ := clock(int64(s.duration), u.Track.Timescale)
	switch {
	case s.size == 0:
		return Sample{}, errors.New("it is empty")
	case !ok || composition.Abs() > maxComposition || duration > maxComposition:
		return Sample{}, fmt.Errorf("decode time %d, duration %d and composition offset %d are not believable", at, s.duration, s.composition)
	}
	dts += u.shift
	return Sample{DTS: dts, PTS: dts + composition, Duration: duration, Key: u.Track.Kind != Video || isSync(s.flags)}, nil
}
