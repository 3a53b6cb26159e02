package fmp4

import "time"

// Kind is what a track carries.
type Kind uint8

const (
	Other Kind = iota // time codes, hints, metadata
	Video
	Audio
	Text // subtitles and captions
)

// String returns "video", "audio", "text" or "other".
func (k Kind) String() string {
	return [...]string{"other", "video", "audio", "text"}[min(k, Text)]
}

// Track is what the header says about one track. It does not change while a
// [Reader] runs.
type Track struct {
	ID        uint32 // track_ID, as in the input and in the track's chunks
	Kind      Kind
	Timescale uint32 // units of DTS and Duration per second, never zero
	Codec     string // for the codecs parameter of a MIME type (RFC 6381)

	Width, Height int     // of the coded picture, in pixels; zero if not video
	FrameRate     float64 // frames per second if trex tells it, or zero
	SampleRate    int     // zero if not audio
	Channels      int     // zero if not audio
	Bitrate       int     // bit/s at most, if the header tells it, or zero
	Language      string  // BCP 47, or three letters of ISO 639-2; empty if undetermined

	// Header is the CMAF header of this track alone: ftyp and moov with mvex.
	Header []byte
}

// Init is what stands before the first chunk.
type Init struct {
	Tracks []Track // in the order of the input, at least one
}

// Chunk is one CMAF chunk: a moof and a mdat that hold samples of one track.
type Chunk struct {
	Track    uint32 // [Track.ID]
	Sequence uint32 // of mfhd
	DTS      uint64 // decode time of the first sample, in the track's timescale
	Duration uint64 // sum of the samples' durations, in the track's timescale
	Samples  int    // at least one
	// Key says that the first sample can be decoded without any other. It is
	// true for every chunk of a track that is not video.
	Key bool
	// Data is moof and mdat. It belongs to the caller, and the reader keeps no
	// reference to it.
	Data []byte
	// Capture is when the first sample was captured or encoded, from a prft box
	// before the moof. It is zero if there was none.
	Capture time.Time
}
