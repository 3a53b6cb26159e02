package pub

import (
	"fmt"
	"time"

	"github.com/tributary-live/tributary/pub/fmp4"
	"github.com/tributary-live/tributary/transport/moqt"
)

// track is a published media track.
type track struct {
	name string
	info fmp4.Track

	started bool
	group   uint64 // of the last object
	object  uint64 // the next one's id
	gops    int    // in the group, if it drives by keys

	held    []timed       // chunks whose group is not known yet, oldest first
	last    time.Duration // time of the newest chunk
	silence time.Duration // media of this track since the driver's last chunk

	driving   bool          // begins groups by the second
	gridStart time.Duration // of the second that is running
	meter     meter
}

// timed is a chunk with its times as durations.
type timed struct {
	*fmp4.Chunk
	time, duration time.Duration
	// place decides which group it is in.
	place time.Duration
}

// clock reads the times of a chunk. It belongs to the group that it begins in.
// But if it has several samples, it is where its middle is: encoders cut sound
// into fragments of about a GOP that begin some samples early, and by their
// beginnings alone all of it would lag a group behind the picture. The key
// frames of several video tracks may be a fraction of a frame apart.
func (t *track) clock(c *fmp4.Chunk) timed {
	v := timed{Chunk: c, time: fmp4.Duration(c.DTS, t.info.Timescale), duration: fmp4.Duration(c.Duration, t.info.Timescale)}
	v.time = min(v.time, 1<<62) // so that sums do not overflow
	v.duration = min(v.duration, 1<<60)
	v.place = v.time
	if t.info.Kind == fmp4.Video {
		v.place += v.duration / time.Duration(2*max(1, c.Samples))
	} else if c.Samples > 1 {
		v.place += v.duration / 2
	}
	return v
}

func (t *track) priority() moqt.Priority {
	switch t.info.Kind {
	case fmp4.Video:
		return PriorityVideo
	case fmp4.Audio:
		return PriorityAudio
	}
	return PriorityText
}

// nameTracks names what is published after its kind, with a number from 1 if
// there are several of the kind.
func nameTracks(infos []fmp4.Track) []*track {
	count := make(map[fmp4.Kind]int)
	for _, info := range infos {
		count[info.Kind]++
	}
	number := make(map[fmp4.Kind]int)
	var tracks []*track
	for _, info := range infos {
		if info.Kind == fmp4.Other {
			continue
		}
		name := info.Kind.String()
		if count[info.Kind] > 1 {
			number[info.Kind]++
			name = fmt.Sprintf("%s%d", name, number[info.Kind])
		}
		tracks = append(tracks, &track{name: name, info: info})
	}
	return tracks
}

func location(group, object uint64) moqt.Location {
	return moqt.Location{Group: group, Object: object}
}
