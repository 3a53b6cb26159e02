package multipath

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// The video: pictures a second, pictures of a group, and how many ordinary
// pictures a key frame is as large as. The audio: objects a second, bytes of one,
// objects of a group.
const (
	fps       = 30
	gop       = 60
	keySize   = 6
	audioRate = 47
	audioSize = 340
	audioGop  = 94
)

// Bulk objects, bytes, and objects of a group.
const (
	bulkSize = 16 << 10
	bulkGop  = 60
)

// The tracks.
const (
	video = iota
	audio
	tracks
)

// tracks returns how many tracks there are.
func (l Load) tracks() int {
	if l.Audio {
		return tracks
	}
	return tracks - 1
}

// unit is one object of the load.
type unit struct {
	track   int
	n       int // from 0 in its track
	group   uint64
	object  uint64
	last    bool // of its group
	vital   bool // a key frame, or sound
	payload []byte
	made    time.Time
}

// source makes the units of a load.
type source struct {
	noise []byte
	at    int
}

func newSource(seed uint64) *source {
	s := &source{noise: make([]byte, 1<<20)}
	r := rand.NewChaCha8([32]byte{byte(seed)})
	r.Read(s.noise)
	return s
}

// payload returns size bytes that have not been returned before, close enough.
func (s *source) payload(n, size int) []byte {
	b := make([]byte, 0, size)
	for len(b) < size {
		b = append(b, s.noise[s.at:min(len(s.noise), s.at+size-len(b))]...)
		s.at = (s.at + size) % (len(s.noise) - size%977 - 1)
	}
	binary.BigEndian.PutUint64(b, uint64(n))
	return b
}

func (s *source) unit(track, n, group, size int, vital bool) *unit {
	return &unit{track: track, n: n, group: uint64(n / group), object: uint64(n % group), last: n%group == group-1,
		vital: vital, payload: s.payload(n, size), made: time.Now()}
}

// leastBitrate is the least that an encoder makes, Mbit/s.
const leastBitrate = 0.3

// picture returns the bytes of an ordinary picture at the bitrate of l, or as the
// encoder is advised, in bits/s, if that adapts and advice is not 0.
func (l Load) picture(advice int64) float64 {
	bits := l.Bitrate * 1e6
	if l.Adaptive && advice > 0 {
		bits = max(leastBitrate*1e6, float64(advice))
	}
	if l.Audio {
		bits -= audioRate * audioSize * 8
	}
	return bits / 8 * gop / fps / (gop - 1 + keySize)
}

// live gives pictures, and sound if there is any, to send for the time d. advice
// tells what to make, bits/s.
func (s *source) live(ctx context.Context, l Load, d time.Duration, advice func() int64, send func(*unit)) error {
	begin := time.Now()
	picture, sound := 0, 0
	for {
		next, nextSound := time.Duration(picture)*time.Second/fps, time.Duration(sound)*time.Second/audioRate
		isSound := l.Audio && nextSound < next
		if isSound {
			next = nextSound
		}
		if next >= d {
			return nil
		}
		if err := pause(ctx, time.Until(begin.Add(next))); err != nil {
			return err
		}
		delta := l.picture(advice())
		switch {
		case isSound:
			send(s.unit(audio, sound, audioGop, audioSize, true))
			sound++
		case picture%gop == 0:
			send(s.unit(video, picture, gop, int(keySize*delta), true))
			picture++
		default:
			send(s.unit(video, picture, gop, int(delta), false))
			picture++
		}
	}
}

// bulk gives objects to send for the time d, so that ahead bytes are under way.
func (s *source) bulk(ctx context.Context, b *book, ahead int, d time.Duration, send func(*unit)) error {
	const look = 5 * time.Millisecond
	end := time.Now().Add(d)
	for n := 0; time.Now().Before(end); {
		for b.underWay() < ahead {
			send(s.unit(video, n, bulkGop, bulkSize, false))
			n++
		}
		if err := pause(ctx, look); err != nil {
			return err
		}
	}
	return nil
}

// pause waits for d.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
