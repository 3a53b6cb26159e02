package pub

import (
	"encoding/binary"
	"log/slog"
	"time"

	"github.com/tributary-live/tributary/pub/fmp4"
)

// advisor looks at the input on its way and warns, once for each reason and
// track, of what viewers of it would complain about.
type advisor struct {
	log    *slog.Logger
	tracks map[uint32]*advised
	begun  bool
	first  time.Duration // media time of the first chunk
	last   time.Duration // of the newest
	told   bool          // that nothing can be published
}

// advised is what was seen of a video track.
type advised struct {
	scale    uint32
	key      time.Duration // time of the last key frame
	anyKey   bool
	far      bool // told that key frames are far apart
	offset   int32
	anyTime  bool // offset is set
	reorders bool // told that there are B-frames
}

// maxGOP is the distance of key frames above which a viewer who joins, or a
// path that loses a group, waits too long.
const maxGOP = 2 * time.Second

// startsWithin is how much media may pass before something of it is published.
const startsWithin = 3 * time.Second

func newAdvisor(log *slog.Logger, in *fmp4.Init) *advisor {
	a := &advisor{log: log, tracks: make(map[uint32]*advised)}
	for _, t := range in.Tracks {
		if t.Kind == fmp4.Video {
			a.tracks[t.ID] = &advised{scale: t.Timescale}
		}
	}
	return a
}

// look takes note of a chunk.
func (a *advisor) look(c *fmp4.Chunk) {
	t := a.tracks[c.Track]
	if t == nil {
		return
	}
	now := fmp4.Duration(c.DTS, t.scale)
	if !a.begun || now < a.first {
		a.begun, a.first = true, now
	}
	a.last = now
	switch {
	case c.Key:
		t.key, t.anyKey = now, true
	case t.anyKey && !t.far && now-t.key > maxGOP:
		t.far = true
		a.log.Warn("key frames are far apart: viewers wait for one when they join; set the encoder to one a second or two", "dur", now-t.key)
	}
	if t.reorders {
		return
	}
	for offset := range compositionOffsets(c.Data) {
		if t.anyTime && offset != t.offset {
			t.reorders = true
			a.log.Warn("the video has B-frames, which add to the latency; turn them off in the encoder (x264: -bf 0 or -tune zerolatency)")
			return
		}
		t.offset, t.anyTime = offset, true
	}
}

// judge warns if media comes and nothing of it can be published.
func (a *advisor) judge(s Stats) {
	if a.told || s.Objects > 0 || s.Dropped == 0 || a.last-a.first < startsWithin {
		return
	}
	a.told = true
	a.log.Warn("no fragment begins with a key frame, so nothing can be published; let the encoder begin fragments at key frames (ffmpeg: -movflags frag_keyframe or frag_every_frame)")
}

// compositionOffsets yields, for each sample of a chunk, the distance between
// its decode and its presentation time. A chunk is as package fmp4 makes it or
// lets it pass, so what does not fit ends the walk and no more.
func compositionOffsets(chunk []byte) func(yield func(int32) bool) {
	return func(yield func(int32) bool) {
		moof := child(chunk, "moof")
		trun := child(child(moof, "traf"), "trun")
		if len(trun) < 8 {
			return
		}
		flags, count := binary.BigEndian.Uint32(trun)&0xffffff, binary.BigEndian.Uint32(trun[4:])
		at := 8
		for _, f := range []uint32{0x1, 0x4} { // data offset, first sample's flags
			if flags&f != 0 {
				at += 4
			}
		}
		size, offset := 0, 0
		for _, f := range []uint32{0x100, 0x200, 0x400, 0x800} { // duration, size, flags, composition offset
			if flags&f != 0 {
				offset = size
				size += 4
			}
		}
		if flags&0x800 == 0 {
			for range min(count, 1) {
				yield(0)
			}
			return
		}
		for ; count > 0 && at+size <= len(trun); count-- {
			if !yield(int32(binary.BigEndian.Uint32(trun[at+offset:]))) {
				return
			}
			at += size
		}
	}
}

// child returns the body of the first box of a name in b, or nil.
func child(b []byte, name string) []byte {
	for len(b) >= 8 {
		size := uint64(binary.BigEndian.Uint32(b))
		if size < 8 || size > uint64(len(b)) {
			return nil
		}
		if string(b[4:8]) == name {
			return b[8:size]
		}
		b = b[size:]
	}
	return nil
}
