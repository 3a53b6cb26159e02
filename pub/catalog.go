package pub

import (
	"strconv"
	"time"

	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/pub/fmp4"
)

// catalogState is the catalog and when it was published. It is made once and
// never changes, as MSF demands of the attributes of a track.
type catalogState struct {
	bytes []byte // nil until it is made
	sent  bool
	last  time.Duration
}

// catalogEvery is how old the newest catalog may become. A relay that cannot
// fetch serves joining readers by the repetition alone. (MSF, "Catalog")
const catalogEvery = 2 * time.Second

// repeatCatalog publishes the catalog at the start of a group if it would be
// older than catalogEvery when the next group of that length begins. A new
// catalog needs a group of its own, and its id is that of a media group, so
// groups longer than catalogEvery have one each.
func (p *Packager) repeatCatalog(start time.Duration) {
	if p.catalog.bytes == nil {
		return
	}
	age := start - p.catalog.last
	if !p.catalog.sent || age < 0 || age+p.timeline.lasted() > catalogEvery {
		p.emitCatalog(start)
	}
}

// measureFor bounds how long the catalog waits for the bit rates.
const measureFor = time.Second

// measure makes and publishes the catalog as soon as all that it says is known:
// bit rates from the header or, where it is silent, over the first group, or a
// second of it; frame rates from the first chunks.
func (p *Packager) measure() {
	if p.catalog.bytes != nil || p.timeline.empty() {
		return
	}
	told, met := true, true // by the header; in a chunk
	for _, t := range p.order {
		told = told && (t.info.Bitrate > 0 || t.info.Kind == fmp4.Text)
		if t.info.Kind == fmp4.Video || t.info.Kind == fmp4.Audio && t.info.Bitrate == 0 {
			met = met && t.meter.samples > 0
		}
	}
	long := p.driver.meter.duration >= measureFor || p.backup != nil && p.backup.meter.duration >= measureFor
	if met && (told || long) {
		p.finishCatalog()
	}
}

// finishCatalog makes the catalog of what is known if there is none yet, and
// publishes it in the newest group.
func (p *Packager) finishCatalog() {
	if p.catalog.bytes == nil && !p.timeline.empty() {
		p.makeCatalog()
		p.emitCatalog(p.timeline.groups[len(p.timeline.groups)-1].start)
	}
}

func (p *Packager) makeCatalog() {
	c := catalog.New()
	for _, t := range p.order {
		c.Add(p.catalogTrack(t), t.info.Header)
	}
	if p.cfg.Paths {
		c.Add(p.pathsTrack(), nil)
	}
	b, err := c.Encode()
	if err != nil {
		panic(err) // numbers, strings and base64 always encode
	}
	p.catalog.bytes = b
}

func (p *Packager) catalogTrack(t *track) catalog.Track {
	v := catalog.Track{
		Name: t.name, Packaging: catalog.PackagingCMAF, IsLive: true, RenderGroup: 1,
		Codec: t.info.Codec, Lang: t.info.Language, Timescale: int64(t.info.Timescale),
		TargetLatency: p.cfg.TargetLatency.Milliseconds(),
	}
	switch t.info.Kind {
	case fmp4.Video:
		v.Role = catalog.RoleVideo
		v.Width, v.Height, v.Framerate = t.info.Width, t.info.Height, t.frameRate()
		v.Bitrate = t.bitrate(int64(3 * t.info.Width * t.info.Height))
		v.MaxGrpSapStartingType = 2
	case fmp4.Audio:
		v.Role = catalog.RoleAudio
		v.SampleRate, v.ChannelConfig = t.info.SampleRate, catalog.Text(strconv.Itoa(t.info.Channels))
		v.Bitrate = t.bitrate(int64(64_000 * max(1, t.info.Channels)))
		v.MaxGrpSapStartingType, v.MaxObjSapStartingType = 1, 1
	case fmp4.Text:
		v.Role = catalog.RoleSubtitle
	}
	if p.alternates(t) {
		v.AltGroup = int(t.info.Kind)
	}
	return v
}

// alternates reports whether t has others to choose from: of its kind and in
// its language.
func (p *Packager) alternates(t *track) bool {
	for _, o := range p.order {
		if o != t && o.info.Kind == t.info.Kind && o.info.Language == t.info.Language {
			return true
		}
	}
	return false
}
