package pub

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Paths is how the paths of a broadcast do, as its track "paths" tells viewers
// once a second. The track is an event timeline of MSF whose records have it as
// their data; see docs/multipath.md.
type Paths struct {
	Mode     string `json:"mode"`     // how objects are spread, as --mode names it
	Bitrate  int64  `json:"bitrate"`  // of the media, bit/s
	Capacity int64  `json:"capacity"` // of all paths, bit/s, as far as it is known
	Paths    []Path `json:"paths"`
}

// Path is one of them.
type Path struct {
	Name  string `json:"name"`
	State string `json:"state"`
	Cost  string `json:"cost"`
	// Bitrate is what is being sent on it, and Capacity what it could carry as
	// far as that is known; both in bit/s.
	Bitrate  int64   `json:"bitrate"`
	Capacity int64   `json:"capacity"`
	RTT      float64 `json:"rtt"`  // ms
	Loss     float64 `json:"loss"` // share of packets, 0 to 1
}

// The track's name and the type of its events.
const (
	PathsTrack     = "paths"
	PathsEventType = "live.tributary.paths.v1"
)

// PriorityPaths comes after all media.
const PriorityPaths moqt.Priority = 192

// pathsEvery is how often the track tells something.
const pathsEvery = time.Second

var pathsInfo = TrackInfo{Name: PathsTrack, Priority: PriorityPaths}

// pathsTrack is the track's entry in the catalog. (MSF, "Event Timeline Catalog
// requirements")
func (p *Packager) pathsTrack() catalog.Track {
	t := catalog.Track{Name: PathsTrack, Packaging: catalog.PackagingEventTimeline, EventType: PathsEventType,
		MimeType: "application/json", IsLive: true}
	for _, media := range p.order {
		t.Depends = append(t.Depends, media.name)
	}
	return t
}

// tellPaths publishes what the configuration's Paths returns until ctx ends.
// Each object is a group of its own that holds one record: older ones mean
// nothing to who joins.
func (p *Publisher) tellPaths(ctx context.Context, t *Track) {
	tick := time.NewTicker(pathsEvery)
	defer tick.Stop()
	group := p.cfg.Packager.FirstGroup
	for {
		now := time.Now()
		b, err := json.Marshal([]pathsRecord{{now.UnixMilli(), p.cfg.Paths()}})
		if err == nil { // as long as no share is infinite
			t.Append(group, b)
			t.CloseGroup()
			group++
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// pathsRecord is a record of the event timeline, indexed by wall clock.
type pathsRecord struct {
	T    int64 `json:"T"` // ms since 1970
	Data Paths `json:"data"`
}
