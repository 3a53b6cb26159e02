package fmp4

import (
	"math"
	"math/bits"
	"time"
)

// Clock tells when the chunks of a track play, for who has them one by one and
// not as a file.
type Clock struct {
	Timescale uint32 // units per second, never zero
	byID      map[uint32]*track
}

// NewClock returns the clock of the track whose header is as in [Track.Header].
func NewClock(header []byte) (*Clock, error) {
	_, t, err := soleTrack(header)
	if err != nil {
		return nil, err
	}
	return &Clock{t.Timescale, map[uint32]*track{t.ID: t}}, nil
}

// Times returns the decode time of the chunk's first sample and the sum of the
// durations of all, in units of the timescale. The chunk is as in [Chunk.Data].
func (c *Clock) Times(chunk []byte) (start, duration uint64, err error) {
	whole := box{name: "chunk", data: chunk}
	boxes, err := whole.children(0)
	if err != nil {
		return 0, 0, err
	}
	for _, b := range boxes {
		if b.name != "moof" {
			continue
		}
		f, err := parseMoof(b, c.byID)
		if err != nil {
			return 0, 0, err
		}
		if len(f.trafs) == 0 {
			return 0, 0, b.fail("has no samples")
		}
		return f.trafs[0].time, f.trafs[0].duration(), nil
	}
	return 0, 0, whole.fail("has no moof")
}

// Duration converts units of a timescale. Equal times in different timescales
// give equal durations; what does not fit is the largest duration.
func Duration(units uint64, timescale uint32) time.Duration {
	hi, lo := bits.Mul64(units, uint64(time.Second))
	if hi >= uint64(timescale) {
		return math.MaxInt64
	}
	d, _ := bits.Div64(hi, lo, uint64(timescale))
	return time.Duration(min(d, math.MaxInt64))
}
