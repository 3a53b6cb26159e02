package pub

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tributary-live/tributary/pub/bond"
	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/transport/moqt"
)

// PathsTrack is the track by which a publisher on several paths tells viewers how
// these do: an event timeline of MSF, one record a second, whose data are of the
// type PathsEventType. docs/multipath.md describes them.
const (
	PathsTrack     = "paths"
	PathsEventType = "live.tributary.paths.v1"
)

// PriorityPaths comes after all media.
const PriorityPaths moqt.Priority = 192

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

// tellPaths publishes what status returns until ctx ends. Each object is a group
// of its own with one record: older ones mean nothing to who joins.
func tellPaths(ctx context.Context, t *Track, group uint64, status func() bond.Status) {
	tick := time.NewTicker(pathsEvery)
	defer tick.Stop()
	for ; ; group++ {
		b, err := json.Marshal([]pathsRecord{{time.Now().UnixMilli(), newPathsData(status())}})
		if err != nil {
			panic(err) // numbers and strings always encode
		}
		t.Append(group, b)
		t.CloseGroup()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// pathsRecord is a record of the timeline, indexed by wall clock.
type pathsRecord struct {
	T    int64     `json:"T"` // ms since 1970
	Data pathsData `json:"data"`
}

// pathsData is a bond.Status whose paths have their round-trip times, and not the
// errors: they tell addresses of the publisher, and are for its operator.
type pathsData struct {
	bond.Status
	Paths []pathData `json:"paths"`
}

type pathData struct {
	bond.PathStatus
	RTT int64 `json:"rtt"` // ms
}

func newPathsData(s bond.Status) pathsData {
	d := pathsData{Status: s, Paths: []pathData{}}
	for _, p := range s.Paths {
		p.Err = ""
		d.Paths = append(d.Paths, pathData{p, p.RTT.Milliseconds()})
	}
	return d
}
