package pub

import (
	"time"

	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/pub/fmp4"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Item is one object of a track, ready to be published in subgroup 0.
//
// The items of one track come in rising order, and a group has no gaps: its
// objects are 0, 1, 2 and so on. A group is complete when the next one of the
// track begins, or at once if Last is set.
type Item struct {
	Track         string // track name in the broadcast's namespace
	moqt.Location        // group and object id
	First         bool   // begins its group: Object is 0
	Last          bool   // no object will follow in the group; only known for the catalog
	Key           bool   // decodable without the objects before it
	// Data is the payload. It is shared with nobody else, except that all
	// catalog items have the same bytes; do not write to it.
	Data []byte
	// Time is the decode time of the first sample, and Duration that of all
	// samples. Both are of the media, not of the wall clock.
	Time, Duration time.Duration
	Capture        time.Time // of the first sample, if the input tells it
}

// TrackInfo is what is known of a track before its first object.
type TrackInfo struct {
	Name     string
	Kind     fmp4.Kind // fmp4.Other for the catalog
	Priority moqt.Priority
}

// Publisher priorities: the catalog first, for nothing plays without it, then
// sound, where a gap hurts more than one in the picture.
const (
	PriorityCatalog moqt.Priority = 16
	PriorityAudio   moqt.Priority = 32
	PriorityText    moqt.Priority = 48
	PriorityVideo   moqt.Priority = 64
)

// Stats count what became of the chunks.
type Stats struct {
	Objects uint64 // media items made
	Dropped uint64 // chunks before the first key frame, or without a group to be in
	Ignored uint64 // chunks of tracks that are not published, such as time codes
}

var catalogInfo = TrackInfo{Name: catalog.TrackName, Priority: PriorityCatalog}
