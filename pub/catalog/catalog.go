// Package catalog builds and reads the catalog of a broadcast, the JSON object
// on track "catalog" that lists its tracks and how to start decoding them.
//
// It follows draft-ietf-moq-msf-01 (MSF) and draft-ietf-moq-cmsf-01 (CMSF, for
// CMAF-packaged tracks), and reads what other publishers write a bit off.
package catalog

// TrackName is the name of the catalog track, in the namespace of the
// broadcast.
const TrackName = "catalog"

// Version is what this package writes. (MSF, "MSF version")
const Version = "draft-01"

// Packagings of tracks.
const (
	PackagingCMAF          = "cmaf"
	PackagingLOC           = "loc"
	PackagingMediaTimeline = "mediatimeline"
	PackagingEventTimeline = "eventtimeline"
	PackagingLog           = "moqlog"
	PackagingMetrics       = "moqmetrics"
)

// Roles of tracks. (MSF, "Track role")
const (
	RoleVideo    = "video"
	RoleAudio    = "audio"
	RoleSubtitle = "subtitle"
)

// Catalog is an independent catalog or, if DeltaUpdate is not empty, a delta.
// (MSF, "Root Catalog Fields")
type Catalog struct {
	Version Text `json:"version,omitempty"` // absent in a delta
	// GeneratedAt is in milliseconds since 1970. A publisher that has a twin
	// leaves it out: the two must write the same bytes.
	GeneratedAt        int64               `json:"generatedAt,omitempty"`
	IsComplete         bool                `json:"isComplete,omitempty"` // nothing new will come, on any track
	ContentProtections []ContentProtection `json:"contentProtections,omitempty"`
	Tracks             []Track             `json:"tracks,omitempty"`
	PublishTracks      []Track             `json:"publishTracks,omitempty"`
	DeltaUpdate        []Operation         `json:"deltaUpdate,omitempty"`
	InitDataList       []InitData          `json:"initDataList,omitempty"` // must come after tracks
}

// Track is one track of the broadcast. A field that is absent has its zero
// value. (MSF, "Track Object Fields"; CMSF, "Max SAP starting types")
type Track struct {
	Namespace   string `json:"namespace,omitempty"` // absent: that of the catalog track
	Name        string `json:"name,omitempty"`
	Packaging   string `json:"packaging,omitempty"`
	EventType   string `json:"eventType,omitempty"`
	Role        string `json:"role,omitempty"`
	IsLive      bool   `json:"isLive"`
	Label       string `json:"label,omitempty"`
	Lang        string `json:"lang,omitempty"`        // BCP 47
	RenderGroup int    `json:"renderGroup,omitempty"` // tracks to render together
	AltGroup    int    `json:"altGroup,omitempty"`    // tracks to choose one from

	Codec         string  `json:"codec,omitempty"` // RFC 6381
	MimeType      string  `json:"mimeType,omitempty"`
	Bitrate       int64   `json:"bitrate,omitempty"`    // bit/s, maximum
	AvgBitrate    int64   `json:"avgBitrate,omitempty"` // bit/s
	Width         int     `json:"width,omitempty"`
	Height        int     `json:"height,omitempty"`
	DisplayWidth  int     `json:"displayWidth,omitempty"`
	DisplayHeight int     `json:"displayHeight,omitempty"`
	Framerate     float64 `json:"framerate,omitempty"`
	Timescale     int64   `json:"timescale,omitempty"`
	SampleRate    int     `json:"samplerate,omitempty"`
	ChannelConfig Text    `json:"channelConfig,omitempty"` // "2"

	TargetLatency    int64    `json:"targetLatency,omitempty"` // ms; not beside Buffers
	Buffers          *Buffers `json:"buffers,omitempty"`
	MaxGopDuration   int64    `json:"maxGopDuration,omitempty"`   // ms
	MaxGroupDuration int64    `json:"maxGroupDuration,omitempty"` // ms
	TrackDuration    int64    `json:"trackDuration,omitempty"`    // ms; only if not live

	Depends    []string `json:"depends,omitempty"` // track names
	TemporalID *int     `json:"temporalId,omitempty"`
	SpatialID  *int     `json:"spatialId,omitempty"`

	MaxGrpSapStartingType   int      `json:"maxGrpSapStartingType,omitempty"`
	MaxObjSapStartingType   int      `json:"maxObjSapStartingType,omitempty"`
	ContentProtectionRefIDs []string `json:"contentProtectionRefIDs,omitempty"`

	// InitRef names an entry of Catalog.InitDataList. InitData is the base64
	// form of older drafts, which some players read first; see [Catalog.Init].
	InitRef  string `json:"initRef,omitempty"`
	InitData string `json:"initData,omitempty"`

	// ParentName and ParentNamespace are those of the track to clone, in a delta.
	ParentName      string `json:"parentName,omitempty"`
	ParentNamespace string `json:"parentNamespace,omitempty"`
}

// Buffers are how much media to hold before decoding, in milliseconds.
type Buffers struct {
	Target int64 `json:"target,omitempty"`
	Min    int64 `json:"min,omitempty"`
	Max    int64 `json:"max,omitempty"`
}

// InitData is an entry of the initialization data list.
type InitData struct {
	ID   string `json:"id"`
	Type string `json:"type"` // "inline"
	Data string `json:"data"` // base64 if inline
}

// ContentProtection describes one DRM system. (CMSF, "Content Protections")
type ContentProtection struct {
	RefID      string    `json:"refID"`
	DefaultKID []string  `json:"defaultKID"`
	Scheme     string    `json:"scheme"` // "cenc" or "cbcs"
	DRMSystem  DRMSystem `json:"drmSystem"`
}

// DRMSystem is how to get a licence.
type DRMSystem struct {
	SystemID   string `json:"systemID"`
	LaURL      *URL   `json:"laURL,omitempty"`
	CertURL    *URL   `json:"certURL,omitempty"`
	PSSH       string `json:"pssh,omitempty"` // base64
	Robustness string `json:"robustness,omitempty"`
}

// URL is where a DRM system is asked, and in which way.
type URL struct {
	URL  string `json:"url"`
	Type string `json:"type,omitempty"`
}
