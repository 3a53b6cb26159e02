package pub

import (
	"math"
	"time"
)

// meter measures a track until the catalog is made.
type meter struct {
	bytes    int64
	samples  int64
	duration time.Duration
}

func (m *meter) add(c timed) {
	m.bytes += int64(len(c.Data))
	m.samples += int64(c.Samples)
	m.duration += c.duration
}

// bitrate returns bit/s: what the header says or else what was measured,
// rounded up to full kbit/s, or unknown if nothing was.
func (t *track) bitrate(unknown int64) int64 {
	if t.info.Bitrate > 0 {
		return int64(t.info.Bitrate)
	}
	if t.meter.bytes == 0 || t.meter.duration < time.Millisecond {
		return unknown
	}
	perSecond := float64(t.meter.bytes) * 8 / t.meter.duration.Seconds()
	return int64(math.Ceil(perSecond/1000)) * 1000
}

// frameRate returns frames per second with three decimals, or zero if nothing
// tells it.
func (t *track) frameRate() float64 {
	if t.info.FrameRate > 0 {
		return t.info.FrameRate
	}
	if t.meter.samples == 0 || t.meter.duration < time.Millisecond {
		return 0
	}
	return math.Round(float64(t.meter.samples)/t.meter.duration.Seconds()*1000) / 1000
}
