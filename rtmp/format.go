package rtmp

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/tributary-live/tributary/pub/fmp4"
)

// Kind is the type of a message that carries media (RTMP 1.0, "Types of RTMP
// Messages").
type Kind uint8

const (
	Audio Kind = 8
	Video Kind = 9
	Data  Kind = 18 // AMF0, such as onMetaData
)

// Format is how the samples of one track travel.
type Format struct {
	Kind Kind
	// FourCC names the codec: "avc1", "hvc1", "av01", "vp09", "mp4a" or "Opus".
	FourCC string

	track  fmp4.Track
	config []byte
}

// legacy reports whether the codec has a number in FLV and needs nothing of
// Enhanced RTMP.
func (f *Format) legacy() bool { return f.FourCC == "avc1" || f.FourCC == "mp4a" }

// NewFormat returns how the samples of a track travel, or a sentence that says
// why they cannot and what to encode in their place.
func NewFormat(u *fmp4.Unpacker) (*Format, error) {
	f := &Format{Kind: Video, track: u.Track, config: u.Config}
	switch u.Entry {
	case "avc1", "avc3":
		f.FourCC = "avc1"
	case "hvc1", "hev1":
		f.FourCC = "hvc1"
	case "av01":
		f.FourCC = "av01"
	case "vp09":
		f.FourCC = "vp09"
	case "mp4a":
		f.Kind, f.FourCC = Audio, "mp4a"
		if !strings.HasPrefix(u.Track.Codec, "mp4a.40.") {
			return nil, refuse(u)
		}
	case "Opus":
		f.Kind, f.FourCC = Audio, "Opus"
		head, err := opusHead(u.Config)
		if err != nil {
			return nil, err
		}
		f.config = head
	case "encv", "enca":
		return nil, fmt.Errorf("the %s is encrypted, which RTMP cannot carry: forward the broadcast that is in the clear", u.Track.Kind)
	default:
		return nil, refuse(u)
	}
	if why := unusable(f.FourCC, f.config); why != "" {
		return nil, fmt.Errorf("the header of the %s %s", u.Track.Kind, why)
	}
	return f, nil
}

func refuse(u *fmp4.Unpacker) error {
	if u.Track.Kind == fmp4.Audio {
		return fmt.Errorf("RTMP cannot carry the sound, which is %s: encode it as AAC, or as Opus where the platform takes Enhanced RTMP", u.Track.Codec)
	}
	return fmt.Errorf("RTMP cannot carry the %s, which is %s: encode it as H.264, or as HEVC or AV1 where the platform takes Enhanced RTMP", u.Track.Kind, u.Track.Codec)
}

// unusable says what is missing in a decoder's configuration, or "".
func unusable(fourCC string, config []byte) string {
	const inBand = "has no parameter sets, they come with the frames: have the encoder put them there (avc1 or hvc1, not avc3 or hev1)"
	least := map[string]int{"avc1": 7, "hvc1": 23, "av01": 4, "vp09": 8, "mp4a": 2, "Opus": 19}[fourCC]
	if len(config) < least {
		return fmt.Sprintf("has no configuration of its decoder (%d bytes)", len(config))
	}
	switch fourCC {
	case "avc1":
		if config[4]&3 != 3 {
			return fmt.Sprintf("says that NAL units have lengths of %d bytes, and platforms want 4", config[4]&3+1)
		}
		if config[5]&31 == 0 {
			return inBand
		}
	case "hvc1":
		if config[21]&3 != 3 {
			return fmt.Sprintf("says that NAL units have lengths of %d bytes, and platforms want 4", config[21]&3+1)
		}
		if config[22] == 0 {
			return inBand
		}
	}
	return ""
}

// opusHead makes the identification header (RFC 7845) of the record in a dOps
// box: a name in front, another version, and the other order of bytes.
func opusHead(dOps []byte) ([]byte, error) {
	if len(dOps) < 11 || dOps[0] != 0 {
		return nil, fmt.Errorf("the header of the audio has no configuration of Opus that is known (%d bytes)", len(dOps))
	}
	b := append([]byte("OpusHead"), 1, dOps[1])
	b = binary.LittleEndian.AppendUint16(b, binary.BigEndian.Uint16(dOps[2:])) // pre-skip
	b = binary.LittleEndian.AppendUint32(b, binary.BigEndian.Uint32(dOps[4:])) // input sample rate
	b = binary.LittleEndian.AppendUint16(b, binary.BigEndian.Uint16(dOps[8:])) // gain
	return append(b, dOps[10:]...), nil
}

// First bytes of bodies (FLV, "Audio Tags" and "Video Tags"; Enhanced RTMP,
// "ExVideoTagHeader" and "ExAudioTagHeader").
const (
	keyFrame   = 1 << 4
	interFrame = 2 << 4
	codecAVC   = 7
	codecAAC   = 10<<4 | 0xf // 44.1 kHz, 16 bits, stereo, whatever the sound is

	exVideo       = 1 << 7
	exAudio       = 9 << 4
	sequenceStart = 0
	codedFrames   = 1
)

// Header returns the body of the message that goes before the first sample: the
// sequence header.
func (f *Format) Header() []byte {
	var b []byte
	switch {
	case f.FourCC == "avc1":
		b = []byte{keyFrame | codecAVC, sequenceStart, 0, 0, 0}
	case f.FourCC == "mp4a":
		b = []byte{codecAAC, sequenceStart}
	case f.Kind == Video:
		b = append([]byte{exVideo | keyFrame | sequenceStart}, f.FourCC...)
	default:
		b = append([]byte{exAudio | sequenceStart}, f.FourCC...)
	}
	return append(b, f.config...)
}

// Body returns the body of the message for a sample. Composition, which is
// presentation time less decode time, is rounded to milliseconds; only H.264 and
// HEVC have it. The data is copied.
func (f *Format) Body(key bool, composition time.Duration, data []byte) []byte {
	b := make([]byte, 0, len(data)+8)
	frame := byte(interFrame)
	if key {
		frame = keyFrame
	}
	switch {
	case f.FourCC == "avc1":
		b = append(b, frame|codecAVC, codedFrames)
		b = appendInt24(b, milliseconds(composition))
	case f.FourCC == "mp4a":
		b = append(b, codecAAC, codedFrames)
	case f.Kind == Video:
		b = append(b, exVideo|frame|codedFrames)
		b = append(b, f.FourCC...)
		if f.FourCC == "hvc1" {
			b = appendInt24(b, milliseconds(composition))
		}
	default:
		b = append(b, exAudio|codedFrames)
		b = append(b, f.FourCC...)
	}
	return append(b, data...)
}

// milliseconds rounds, and keeps what fits in 24 bits with a sign: 2.3 hours.
func milliseconds(d time.Duration) int32 {
	return int32(max(-1<<23, min(1<<23-1, d.Round(time.Millisecond).Milliseconds())))
}

func appendInt24(b []byte, v int32) []byte { return append(b, byte(v>>16), byte(v>>8), byte(v)) }
