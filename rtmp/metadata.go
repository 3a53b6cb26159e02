package rtmp

import (
	"encoding/binary"

	"github.com/bluenviron/gortmplib/pkg/amf0"
)

// Metadata returns the body of the Data message that tells a server what will
// come: onMetaData, in the @setDataFrame that has it kept for viewers.
func Metadata(encoder string, formats ...*Format) ([]byte, error) {
	m := amf0.ECMAArray{{Key: "duration", Value: 0.0}}
	add := func(key string, v any) { m = append(m, amf0.ObjectEntry{Key: key, Value: v}) }
	for _, f := range formats {
		t := f.track
		if f.Kind == Video {
			add("width", float64(t.Width))
			add("height", float64(t.Height))
			if t.FrameRate > 0 {
				add("framerate", t.FrameRate)
			}
			add("videodatarate", float64(t.Bitrate)/1000)
			add("videocodecid", f.codecID())
			continue
		}
		add("audiodatarate", float64(t.Bitrate)/1000)
		add("audiosamplerate", float64(t.SampleRate))
		add("audiosamplesize", 16.0)
		add("stereo", t.Channels > 1)
		add("audiocodecid", f.codecID())
	}
	add("encoder", encoder)
	return amf0.Data{"@setDataFrame", "onMetaData", m}.Marshal()
}

// codecID is the codec's number in FLV, or its four characters as a number
// (Enhanced RTMP, "Enhancing onMetaData").
func (f *Format) codecID() float64 {
	switch f.FourCC {
	case "avc1":
		return codecAVC
	case "mp4a":
		return codecAAC >> 4
	}
	return float64(binary.BigEndian.Uint32([]byte(f.FourCC)))
}
