package fmp4

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/Eyevinn/mp4ff/bits"
	"github.com/Eyevinn/mp4ff/hevc"
	"github.com/Eyevinn/mp4ff/mp4"
)

// maxStsd bounds the sample descriptions of one track. Real ones have some
// hundred bytes; encrypted ones with several entries have some thousand.
const maxStsd = 64 << 10

// describe fills in what the sample description of a track says.
func (t *Track) describe(stsd box) error {
	if len(stsd.data) > maxStsd {
		return stsd.fail("size %d is over the limit of %d bytes", len(stsd.data), maxStsd)
	}
	entry, err := sampleEntry(stsd.data)
	if err != nil {
		return stsd.fail("%w", err)
	}
	switch e := entry.(type) {
	case *mp4.VisualSampleEntryBox:
		t.describeVideo(e)
	case *mp4.AudioSampleEntryBox:
		t.describeAudio(e)
	default: // wvtt, stpp and what is not known
		t.Codec = entry.Type()
	}
	return nil
}

// sampleEntry decodes the first sample entry. A panic in the decoder is taken
// for what it is at this place, a description that cannot be read: the bytes
// come from outside, and the process may publish other broadcasts.
func sampleEntry(stsd []byte) (entry mp4.Box, err error) {
	defer func() {
		if p := recover(); p != nil {
			entry, err = nil, fmt.Errorf("sample description cannot be read: %v", p)
		}
	}()
	b, err := mp4.DecodeBoxSR(0, bits.NewFixedSliceReader(stsd))
	if err != nil {
		return nil, err
	}
	d, ok := b.(*mp4.StsdBox)
	if !ok || len(d.Children) == 0 {
		return nil, errors.New("no sample description")
	}
	return d.Children[0], nil
}

func (t *Track) describeVideo(e *mp4.VisualSampleEntryBox) {
	t.Width, t.Height = int(e.Width), int(e.Height)
	if e.Btrt != nil {
		t.Bitrate = bitrate(e.Btrt.MaxBitrate, e.Btrt.AvgBitrate)
	}
	name := originalFormat(e.Type(), e.Sinf)
	t.Codec = name
	switch {
	case e.AvcC != nil:
		c := e.AvcC
		t.Codec = fmt.Sprintf("%s.%02X%02X%02X", name, c.AVCProfileIndication, c.ProfileCompatibility, c.AVCLevelIndication)
	case e.HvcC != nil:
		c := e.HvcC
		t.Codec = hevc.CodecString(name, &hevc.SPS{ProfileTierLevel: hevc.ProfileTierLevel{
			GeneralProfileSpace:              c.GeneralProfileSpace,
			GeneralTierFlag:                  c.GeneralTierFlag,
			GeneralProfileIDC:                c.GeneralProfileIDC,
			GeneralProfileCompatibilityFlags: c.GeneralProfileCompatibilityFlags,
			GeneralConstraintIndicatorFlags:  c.GeneralConstraintIndicatorFlags,
			GeneralLevelIDC:                  c.GeneralLevelIDC,
		}})
	case e.Av1C != nil:
		t.Codec = e.Av1C.CodecString(name)
	case e.VppC != nil:
		t.Codec = fmt.Sprintf("%s.%02d.%02d.%02d", name, e.VppC.Profile, e.VppC.Level, e.VppC.BitDepth)
	}
}

func (t *Track) describeAudio(e *mp4.AudioSampleEntryBox) {
	t.SampleRate, t.Channels = int(e.SampleRate), int(e.ChannelCount)
	if e.Btrt != nil {
		t.Bitrate = bitrate(e.Btrt.MaxBitrate, e.Btrt.AvgBitrate)
	}
	name := originalFormat(e.Type(), e.Sinf)
	t.Codec = name
	switch {
	case e.Esds != nil && e.Esds.DecConfigDescriptor != nil:
		t.describeES(name, e.Esds.DecConfigDescriptor)
	case name == "Opus":
		t.Codec = "opus"
		t.SampleRate = 48000 // Opus always decodes to this
	case name == "fLaC":
		t.Codec = "flac"
		if e.DfLa != nil && len(e.DfLa.MetadataBlocks) > 0 { // rates over 65535 fit only there
			if b := e.DfLa.MetadataBlocks[0].BlockData; len(b) >= 13 {
				t.SampleRate = int(b[10])<<12 | int(b[11])<<4 | int(b[12])>>4
			}
		}
	}
}

// describeES reads the MPEG-4 decoder configuration: object type and, for AAC,
// the audio object type and rate of AudioSpecificConfig (ISO/IEC 14496-3).
func (t *Track) describeES(name string, d *mp4.DecoderConfigDescriptor) {
	if t.Bitrate == 0 {
		t.Bitrate = bitrate(d.MaxBitrate, d.AvgBitrate)
	}
	t.Codec = fmt.Sprintf("%s.%02X", name, d.ObjectType)
	if d.ObjectType != mp4.ObjectTypeAAC || d.DecSpecificInfo == nil || len(d.DecSpecificInfo.DecConfig) < 2 {
		return
	}
	c := d.DecSpecificInfo.DecConfig
	object := int(c[0] >> 3)
	rate := int(c[0]&7)<<1 | int(c[1]>>7)
	if object == 31 { // escape: six more bits
		object = 32 + int(c[0]&7)<<3 + int(c[1]>>5)
		rate = -1
	}
	t.Codec = fmt.Sprintf("%s.40.%d", name, object)
	if rate >= 0 && rate < len(aacRates) {
		t.SampleRate = aacRates[rate]
		// The sample entry says two channels whatever there are.
		if channels := int(c[1]>>3) & 15; channels > 0 && channels <= 6 {
			t.Channels = channels
		} else if channels == 7 {
			t.Channels = 8
		}
	}
}

var aacRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// originalFormat looks behind the names of encrypted sample entries.
func originalFormat(name string, sinf *mp4.SinfBox) string {
	if sinf != nil && sinf.Frma != nil {
		return sinf.Frma.DataFormat
	}
	return name
}

func bitrate(most, average uint32) int {
	return int(min(max(most, average), math.MaxInt32))
}

// roundRate keeps three decimals, and nothing that cannot be a rate.
func roundRate(r float64) float64 {
	if !(r > 0 && r <= 1000) {
		return 0
	}
	return math.Round(r*1000) / 1000
}

// language returns the BCP 47 tag of elng, or the three letters of mdhd.
func language(packed uint16, elng string) string {
	if elng = strings.TrimRight(elng, "\x00"); elng != "" && len(elng) <= 35 {
		for _, c := range elng {
			if !(c == '-' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z') {
				return ""
			}
		}
		return elng
	}
	var s [3]byte
	for i := range s {
		c := byte(packed>>(10-5*i))&31 + 0x60
		if c < 'a' || c > 'z' {
			return ""
		}
		s[i] = c
	}
	if string(s[:]) == "und" {
		return ""
	}
	return string(s[:])
}
