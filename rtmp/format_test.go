package rtmp

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/tributary-live/tributary/pub/fmp4"
)

const (
	avcC = "0142c00affe1000a6742c00ad90c25a8011001000468ce0f2c" // of a picture of 64x48
	hvcC = "0101600000009000000000001ef000fcfdf8f800000f03"
	asc  = "1408"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Bodies are as the specifications have them, bit by bit.
func TestFormat(t *testing.T) {
	video, audio := fmp4.Track{Kind: fmp4.Video}, fmp4.Track{Kind: fmp4.Audio, Codec: "mp4a.40.2"}
	for _, tt := range []struct {
		name, entry, config string
		track               fmp4.Track
		header              string
		key, other          string // bodies of a sample deadbeef, shown 2⅔ frames of 25 Hz later, and -40 ms
	}{
		{"H.264", "avc1", avcC, video, "17 00 000000" + avcC, "17 01 00006b deadbeef", "27 01 ffffd8 deadbeef"},
		{"HEVC", "hev1", hvcC, video, "90 68766331" + hvcC, "91 68766331 00006b deadbeef", "a1 68766331 ffffd8 deadbeef"},
		{"AV1", "av01", "81000c00", video, "90 61763031 81000c00", "91 61763031 deadbeef", "a1 61763031 deadbeef"},
		{"VP9", "vp09", "000a820202020000", video, "90 76703039 000a820202020000", "91 76703039 deadbeef", "a1 76703039 deadbeef"},
		{"AAC", "mp4a", asc, audio, "af 00" + asc, "af 01 deadbeef", "af 01 deadbeef"},
		{"Opus", "Opus", "00 02 0138 0000bb80 0000 00", audio, "90 4f707573 4f70757348656164 01 02 3801 80bb0000 0000 00", "91 4f707573 deadbeef", "91 4f707573 deadbeef"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := NewFormat(&fmp4.Unpacker{Track: tt.track, Entry: tt.entry, Config: unhex(t, tt.config)})
			if err != nil {
				t.Fatal(err)
			}
			data := unhex(t, "deadbeef")
			for what, pair := range map[string][2][]byte{
				"Header()":     {f.Header(), unhex(t, tt.header)},
				"Body(key)":    {f.Body(true, 106666667*time.Nanosecond, data), unhex(t, tt.key)},
				"Body(no key)": {f.Body(false, -40*time.Millisecond, data), unhex(t, tt.other)},
			} {
				if string(pair[0]) != string(pair[1]) {
					t.Errorf("%s = %x, want %x", what, pair[0], pair[1])
				}
			}
		})
	}
}

func TestFormatRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, entry, codec, config string
		kind                       fmp4.Kind
		want                       string
	}{
		{"FLAC", "fLaC", "flac", "", fmp4.Audio, "RTMP cannot carry the sound, which is flac: encode it as AAC"},
		{"MP3", "mp4a", "mp4a.6B", "", fmp4.Audio, "cannot carry the sound, which is mp4a.6B"},
		{"VP8", "vp08", "vp08.00.10.08", "", fmp4.Video, "encode it as H.264"},
		{"encrypted", "encv", "avc1.42C00A", avcC, fmp4.Video, "is encrypted"},
		{"no avcC", "avc1", "avc1", "", fmp4.Video, "no configuration"},
		{"avcC without parameter sets", "avc3", "avc3.42C00A", "0142c00affe000", fmp4.Video, "no parameter sets"},
		{"hvcC without parameter sets", "hev1", "hev1", hvcC[:44] + "00", fmp4.Video, "no parameter sets"},
		{"short lengths", "avc1", "avc1", "0142c00afde100", fmp4.Video, "lengths of 2 bytes"},
		{"no dOps", "Opus", "opus", "", fmp4.Audio, "configuration of Opus"},
		{"another dOps", "Opus", "opus", "0102013800000000000000", fmp4.Audio, "configuration of Opus"},
		{"no AudioSpecificConfig", "mp4a", "mp4a.40.2", "", fmp4.Audio, "no configuration"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewFormat(&fmp4.Unpacker{Track: fmp4.Track{Kind: tt.kind, Codec: tt.codec}, Entry: tt.entry, Config: unhex(t, tt.config)})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("NewFormat() = %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestCompositionFits(t *testing.T) {
	for in, want := range map[time.Duration]string{
		499 * time.Microsecond: "000000", 500 * time.Microsecond: "000001", -time.Millisecond: "ffffff",
		3 * time.Hour: "7fffff", -3 * time.Hour: "800000",
	} {
		if got := hex.EncodeToString(appendInt24(nil, milliseconds(in))); got != want {
			t.Errorf("%v is %s, want %s", in, got, want)
		}
	}
}
