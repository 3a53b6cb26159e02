package multipath

import (
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
)

// way is a link to who knows its future.
type way struct {
	trace *netsim.Trace
	delay time.Duration
}

// ideal returns percent of the pictures of a bitrate that take longer than limit
// over ways whose future is known: each chance of a way goes to the oldest picture
// that it can still bring in time, and none is lost or held back. A publisher is
// measured by how near it comes. One that gives up a large picture in favour of
// several small ones may have fewer late.
func ideal(ways []way, bitrate float64, length, limit time.Duration) (late float64) {
	pictures := make([]pending, int(length.Seconds()*fps))
	delta := bitrate * 1e6 / 8 * gop / fps / (gop - 1 + keySize)
	for i := range pictures {
		pictures[i] = pending{made: time.Duration(i) * time.Second / fps, left: int(delta)}
		if i%gop == 0 {
			pictures[i].left = int(keySize * delta)
		}
	}
	next := make([]int64, len(ways)) // chance of each way
	first := 0                       // no picture before it can be helped
	for {
		// The earliest chance of all.
		w, at := -1, length+limit
		for i := range ways {
			if c := ways[i].trace.Chance(next[i]); c < at {
				w, at = i, c
			}
		}
		if w < 0 {
			break
		}
		next[w]++
		arrives := at + ways[w].delay
		for first < len(pictures) && (pictures[first].left <= 0 || at >= pictures[first].made+limit) {
			first++
		}
		room := chance
		for i := first; i < len(pictures) && room > 0 && pictures[i].made <= at; i++ {
			p := &pictures[i]
			if p.left > 0 && arrives <= p.made+limit {
				n := min(room, p.left)
				p.left -= n
				room -= n
			}
		}
	}
	n := 0
	for i := range pictures {
		n += one(pictures[i].left > 0)
	}
	return percent(n, len(pictures))
}

// pending is a picture that is not all there.
type pending struct {
	made time.Duration
	left int // bytes
}

// chance is how much of a picture a chance of a trace carries, bytes.
const chance = netsim.TracePacket
