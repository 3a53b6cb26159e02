package fmp4

import "time"

// reference is what a prft box says: the sample of track with this decode time
// belongs to this time of day.
type reference struct {
	track uint32
	media uint64
	when  time.Time
}

// maxReferences bounds the prft boxes before one fragment.
const maxReferences = maxTracks

const ntpToUnix = 2208988800 // seconds from 1900 to 1970

func (r *Reader) readPrft(h header) error {
	b, err := r.in.appendBox(nil, h, 64)
	if err != nil {
		return err
	}
	f := fields{b: b[h.hdr:]}
	v, _ := f.full()
	ref := reference{track: f.u32()}
	ntp := f.u64()
	ref.media = f.uint(v)
	if f.short {
		return h.fail("%d bytes are too few", h.size)
	}
	// Seconds below the offset are those of the era that begins in 2036.
	seconds := int64(uint32(ntp>>32) - ntpToUnix&0xffffffff)
	ref.when = time.Unix(seconds, int64((ntp&0xffffffff*1e9+1<<31)>>32))
	if r.init != nil && len(r.prft) < maxReferences {
		r.prft = append(r.prft, ref)
	}
	return nil
}

// capture returns the time of day of the first sample of c. A prft of another
// track of the same fragment serves as well, moved by the distance of the two
// in media time.
func (r *Reader) capture(t *track, c *Chunk) time.Time {
	var when time.Time
	for _, ref := range r.prft {
		other := r.byID[ref.track]
		switch {
		case other == t:
			return ref.when
		case other != nil && when.IsZero():
			apart := float64(c.DTS)/float64(t.Timescale) - float64(ref.media)/float64(other.Timescale)
			if apart > -10 && apart < 10 { // else the two tracks have no common time
				when = ref.when.Add(time.Duration(apart * float64(time.Second)))
			}
		}
	}
	return when
}
