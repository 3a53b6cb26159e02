package pub

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/pub/fmp4"
)

// PackagerConfig says how a broadcast is cut into groups. All of it must be
// equal for two publishers of the same broadcast.
type PackagerConfig struct {
	// FirstGroup is the id of the first group. A publisher that may be started
	// again uses the wall clock in milliseconds, so that ids keep rising: there
	// are less than a thousand groups in a second.
	FirstGroup uint64
	// GroupGOPs is how many GOPs make a group. If zero, it is 1.
	GroupGOPs int
	// TargetLatency is what the catalog asks players to keep. If zero, it is
	// 300 ms.
	TargetLatency time.Duration
	// Paths adds [PathsTrack] to the catalog.
	Paths bool
}

// Packager turns chunks into objects. The first video track drives: each of
// its key frames begins a group (each GroupGOPs-th), whose id is one more than
// the last. Chunks of the other tracks go into the group that they begin in by
// media time; other video tracks change groups at their own key frames. If
// there is no video, the first audio track drives with groups of a second, and
// so it does while video is silent.
//
// A Packager must not be used from several goroutines at once.
type Packager struct {
	cfg    PackagerConfig
	tracks map[uint32]*track
	order  []*track // in the order of the input
	driver *track   // the first video, or what there is
	backup *track   // the first audio if a video drives, or nil

	timeline timeline
	covered  time.Duration // where the driver's chunks end by now
	catalog  catalogState
	stats    Stats
	out      []Item // what Add returns
}

// NewPackager returns a packager for the tracks of in. It fails if there is
// none to publish or if the ids would not last.
func NewPackager(in *fmp4.Init, cfg PackagerConfig) (*Packager, error) {
	if cfg.GroupGOPs <= 0 {
		cfg.GroupGOPs = 1
	}
	if cfg.TargetLatency <= 0 {
		cfg.TargetLatency = 300 * time.Millisecond
	}
	if cfg.FirstGroup > math.MaxInt64>>2 { // leaves room below what a varint holds
		return nil, fmt.Errorf("pub: first group %d is too large", cfg.FirstGroup)
	}
	p := &Packager{cfg: cfg, tracks: make(map[uint32]*track)}
	p.timeline.next = cfg.FirstGroup
	p.order = nameTracks(in.Tracks)
	for _, t := range p.order {
		p.tracks[t.info.ID] = t
		if p.driver == nil || t.info.Kind == fmp4.Video && p.driver.info.Kind != fmp4.Video {
			p.driver = t
		}
	}
	if p.driver == nil {
		return nil, errors.New("pub: the input has no video, audio or text track")
	}
	if p.driver.info.Kind != fmp4.Video {
		for _, t := range p.order { // text alone drives only if there is no sound
			if t.info.Kind == fmp4.Audio {
				p.driver = t
				break
			}
		}
		return p, nil
	}
	for _, t := range p.order {
		if t.info.Kind == fmp4.Audio && p.backup == nil {
			p.backup = t
		}
	}
	return p, nil
}

// Tracks returns what will be published: the catalog, the media tracks, and that
// of paths if there is one, whose objects do not come from the packager.
func (p *Packager) Tracks() []TrackInfo {
	infos := []TrackInfo{catalogInfo}
	for _, t := range p.order {
		infos = append(infos, TrackInfo{Name: t.name, Kind: t.info.Kind, Priority: t.priority()})
	}
	if p.cfg.Paths {
		infos = append(infos, pathsInfo)
	}
	return infos
}

// Stats returns counts since the start.
func (p *Packager) Stats() Stats { return p.stats }

// Add takes a chunk and returns the objects that can be published now, which
// may be none, or several where chunks had been held back until their group
// was known. The slice is valid until the next call. Add takes c over.
func (p *Packager) Add(c *fmp4.Chunk) []Item {
	p.out = p.out[:0]
	t, ok := p.tracks[c.Track]
	if !ok {
		p.stats.Ignored++
		return nil
	}
	ch := t.clock(c)
	switch {
	case t != p.driver:
		p.follow(t, ch)
	case t.info.Kind == fmp4.Video:
		p.driveByKeys(t, ch)
	default:
		p.driveBySeconds(t, ch)
	}
	p.measure()
	return p.out
}

// Flush returns what is still held back, when the input has ended.
func (p *Packager) Flush() []Item {
	p.out = p.out[:0]
	p.releaseAll()
	p.finishCatalog()
	return p.out
}

// driveByKeys is for the video track that begins the groups.
func (p *Packager) driveByKeys(t *track, c timed) {
	if !t.started && !c.Key {
		p.stats.Dropped++
		return
	}
	p.drove(c)
	if c.Key {
		if t.gops++; !t.started || t.gops >= p.cfg.GroupGOPs {
			t.gops = 0
			p.emit(t, c, p.begin(c.time))
			p.releaseAllReady()
			return
		}
	}
	p.emit(t, c, t.group)
	p.releaseAllReady()
}

// audioGroup is the length of groups that no video key frame begins.
const audioGroup = time.Second

// driveBySeconds is for an audio track when there is no video. Its groups
// begin at whole seconds from the first one.
func (p *Packager) driveBySeconds(t *track, c timed) {
	if t == p.driver {
		p.drove(c)
	}
	id := t.group
	if elapsed := c.time - t.gridStart; !t.driving || elapsed >= audioGroup || elapsed < 0 {
		if !t.driving || elapsed < 0 || elapsed >= 2*audioGroup {
			t.gridStart = c.time
		} else {
			t.gridStart += audioGroup
		}
		t.driving = true
		id = p.begin(c.time)
	}
	p.emit(t, c, id)
	if t == p.driver {
		p.releaseAllReady()
	}
}

// drove notes how far the driver has come.
func (p *Packager) drove(c timed) {
	if c.time < p.driver.last { // the others' chunks belong to what was before
		p.releaseAll()
	}
	p.driver.last, p.covered = c.time, c.time+c.duration
	for _, t := range p.order {
		t.silence, t.driving = 0, t == p.driver && t.driving
	}
}

// begin starts a group for all tracks, with the catalog before it if it is
// time for one.
func (p *Packager) begin(start time.Duration) uint64 {
	if !p.timeline.empty() && p.catalog.bytes == nil {
		p.makeCatalog() // the first group is complete, nothing more to measure
	}
	id := p.timeline.begin(start)
	p.repeatCatalog(start)
	return id
}

// emit makes c an object of a group of its track, which is a new group if id is
// higher than that of the last object.
func (p *Packager) emit(t *track, c timed, id uint64) {
	if !t.started || id > t.group {
		t.started, t.group, t.object = true, id, 0
	}
	p.out = append(p.out, Item{
		Track: t.name, Location: location(t.group, t.object), First: t.object == 0, Key: c.Key,
		Data: c.Data, Time: c.time, Duration: c.duration, Capture: c.Capture,
	})
	t.object++
	t.meter.add(c)
	p.stats.Objects++
}

// emitCatalog publishes the catalog in the newest group.
func (p *Packager) emitCatalog(when time.Duration) {
	p.catalog.last, p.catalog.sent = when, true
	p.out = append(p.out, Item{
		Track: catalog.TrackName, Location: location(p.timeline.newest(), 0), First: true, Last: true, Key: true,
		Data: p.catalog.bytes, Time: when,
	})
}
