package pub

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/pub/fmp4"
)

// Tracks of the tests, by letter: V and W video, A and B audio, T text, D data.
// All have a timescale of 1000 and a bit rate, so the catalog comes at once.
var testTracks = map[byte]fmp4.Track{
	'V': {ID: 'V', Kind: fmp4.Video, Timescale: 1000, Codec: "avc1.42C01E", Width: 640, Height: 360, FrameRate: 10, Bitrate: 1e6},
	'W': {ID: 'W', Kind: fmp4.Video, Timescale: 1000, Codec: "avc1.42C00D", Width: 320, Height: 180, FrameRate: 10, Bitrate: 5e5},
	'A': {ID: 'A', Kind: fmp4.Audio, Timescale: 1000, Codec: "mp4a.40.2", SampleRate: 48000, Channels: 2, Bitrate: 96000},
	'B': {ID: 'B', Kind: fmp4.Audio, Timescale: 1000, Codec: "opus", SampleRate: 48000, Channels: 2, Bitrate: 64000},
	'T': {ID: 'T', Kind: fmp4.Text, Timescale: 1000, Codec: "wvtt"},
	'D': {ID: 'D', Kind: fmp4.Other, Timescale: 1000},
}

func testInit(letters string) *fmp4.Init {
	in := &fmp4.Init{}
	for i := range len(letters) {
		in.Tracks = append(in.Tracks, testTracks[letters[i]])
	}
	return in
}

// testChunk reads "V100k": track, DTS in ms, k for a key frame. Video frames
// last 100 ms, audio frames 50 ms, text a second. "V0k+1000/10" lasts 1000 ms
// and has 10 samples.
func testChunk(t *testing.T, s string) *fmp4.Chunk {
	t.Helper()
	c := &fmp4.Chunk{Track: uint32(s[0]), Samples: 1, Data: []byte(s)}
	c.Duration = map[byte]uint64{'V': 100, 'W': 100, 'A': 50, 'B': 50, 'T': 1000}[s[0]]
	rest, more, long := strings.Cut(s[1:], "+")
	rest, c.Key = strings.CutSuffix(rest, "k")
	c.Key = c.Key || strings.IndexByte("VW", s[0]) < 0
	var err error
	if c.DTS, err = strconv.ParseUint(rest, 10, 64); err != nil {
		t.Fatalf("chunk %q: %v", s, err)
	}
	if long {
		if _, err := fmt.Sscanf(more, "%d/%d", &c.Duration, &c.Samples); err != nil {
			t.Fatalf("chunk %q: %v", s, err)
		}
	}
	return c
}

// pack runs chunks through a packager and returns the items but for the
// catalog, each as chunk=group.object.
func pack(t *testing.T, tracks, chunks string, cfg PackagerConfig) (string, *Packager) {
	t.Helper()
	p, err := NewPackager(testInit(tracks), cfg)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	add := func(items []Item) {
		for _, it := range items {
			if it.Track != catalog.TrackName {
				out = append(out, fmt.Sprintf("%s=%d.%d", it.Data, it.Group, it.Object))
			}
		}
	}
	for _, s := range strings.Fields(chunks) {
		add(p.Add(testChunk(t, s)))
	}
	add(p.Flush())
	return strings.Join(out, " "), p
}

func TestGroups(t *testing.T) {
	for _, tt := range []struct {
		name, tracks string
		cfg          PackagerConfig
		in, out      string
		dropped      uint64
	}{
		{name: "a group per GOP", tracks: "VA", cfg: PackagerConfig{FirstGroup: 7},
			in:  "V0k A0 A50 V100 A100 A150 V200k A200 A250 V300 A300",
			out: "V0k=7.0 A0=7.0 A50=7.1 V100=7.1 A100=7.2 A150=7.3 V200k=8.0 A200=8.0 A250=8.1 V300=8.1 A300=8.2"},
		{name: "two GOPs a group", tracks: "V", cfg: PackagerConfig{GroupGOPs: 2},
			in:  "V0k V100 V200k V300 V400k V500 V600k",
			out: "V0k=0.0 V100=0.1 V200k=0.2 V300=0.3 V400k=1.0 V500=1.1 V600k=1.2"},
		{name: "audio comes before the key frame of its time", tracks: "VA",
			in:  "V0k A0 A50 A100 A150 V100 V200k",
			out: "V0k=0.0 A0=0.0 A50=0.1 V100=0.1 A100=0.2 A150=0.3 V200k=1.0"},
		{name: "audio ahead of a key frame waits for it", tracks: "VA",
			in:  "V0k V100 A150 A200 A250 V200k V300",
			out: "V0k=0.0 V100=0.1 A150=0.0 V200k=1.0 A200=1.0 A250=1.1 V300=1.1"},
		{name: "audio that comes after the key frame of another group", tracks: "VA",
			in:  "V0k V100 V200k A100 A150 A200",
			out: "V0k=0.0 V100=0.1 V200k=1.0 A100=0.0 A150=0.1 A200=1.0"},
		{name: "audio track first in the file", tracks: "AV",
			in:  "A0 V0k A50 V100 A200 V200k",
			out: "V0k=0.0 A0=0.0 A50=0.1 V100=0.1 V200k=1.0 A200=1.0"},
		{name: "audio starts before video", tracks: "VA",
			in:  "A0 A50 V60k A100 V160",
			out: "V60k=0.0 A0=0.0 A50=0.1 A100=0.2 V160=0.1"},
		{name: "joined in the middle of a GOP", tracks: "VA", dropped: 13 + 6,
			in: "V0 A0 A50 V100 A100 A150 V200 A200 A250 V300 A1000 A1050 A1100 A1150 A1200 A1250 A1300 V400 V500 V600 V700 V800 V900 V1000 V1100 V1200 V1300k A1350",
			// Audio is kept for a second: from A300 on, had there been one.
			out: "V1300k=0.0 A1000=0.0 A1050=0.1 A1100=0.2 A1150=0.3 A1200=0.4 A1250=0.5 A1300=0.6 A1350=0.7"},
		{name: "whole GOPs", tracks: "VA",
			in:  "V0k+1000/10 A0+1000/20 V1000k+1000/10 A1000+1000/20",
			out: "V0k+1000/10=0.0 A0+1000/20=0.0 V1000k+1000/10=1.0 A1000+1000/20=1.0"},
		{name: "whole GOPs, audio first and some samples early", tracks: "VA",
			in:  "A0+980/46 V0k+1000/10 A980+980/46 V1000k+1000/10 A1960+980/46 V2000k+1000/10 A2940+60/3",
			out: "V0k+1000/10=0.0 A0+980/46=0.0 V1000k+1000/10=1.0 A980+980/46=1.0 V2000k+1000/10=2.0 A1960+980/46=2.0 A2940+60/3=2.1"},
		{name: "audio alone: groups of a second", tracks: "A", cfg: PackagerConfig{FirstGroup: 3},
			in:  "A500 A1000 A1450 A1500 A2490 A2510 A9000 A9999 A10001",
			out: "A500=3.0 A1000=3.1 A1450=3.2 A1500=4.0 A2490=4.1 A2510=5.0 A9000=6.0 A9999=6.1 A10001=7.0"},
		{name: "audio alone, and text", tracks: "TAB",
			in:  "T0 A0 B0 A50 B50 A1000 T1000 B1000 A1050",
			out: "A0=0.0 T0=0.0 B0=0.0 A50=0.1 B50=0.1 A1000=1.0 T1000=1.0 B1000=1.0 A1050=1.1"},
		{name: "text alone", tracks: "T", in: "T0 T1000 T5000", out: "T0=0.0 T1000=1.0 T5000=2.0"},
		{name: "two videos", tracks: "VW",
			in:  "V0k W0k V100 W100 V200k W200k V300 W300",
			out: "V0k=0.0 W0k=0.0 V100=0.1 W100=0.1 V200k=1.0 W200k=1.0 V300=1.1 W300=1.1"},
		{name: "two videos, the second is earlier in the input", tracks: "VW",
			in:  "W0k V0k W100 V100 W200k V200k W300 V300",
			out: "V0k=0.0 W0k=0.0 V100=0.1 W100=0.1 V200k=1.0 W200k=1.0 V300=1.1 W300=1.1"},
		{name: "two videos, times differ by rounding", tracks: "VW",
			in:  "V0k W0k V100 W100 V201k W199k V301 W299",
			out: "V0k=0.0 W0k=0.0 V100=0.1 W100=0.1 V201k=1.0 W199k=1.0 V301=1.1 W299=1.1"},
		{name: "two videos, the second has its own GOPs", tracks: "VW", dropped: 1,
			in:  "V0k W0 V100 W100k V200k W200 V300 W300k V400 W400k",
			out: "V0k=0.0 V100=0.1 W100k=0.0 V200k=1.0 W200=0.1 V300=1.1 W300k=1.0 V400=1.2 W400k=1.1"},
		{name: "time goes back", tracks: "VA",
			in:  "V10000k A10000 V10100 A10100 A10150 V0k A0 A50 V100",
			out: "V10000k=0.0 A10000=0.0 V10100=0.1 A10100=0.1 A10150=0.2 V0k=1.0 A0=1.0 A50=1.1 V100=1.1"},
		{name: "time goes back, audio has waited", tracks: "VA",
			in:  "V10000k A10000 A10200 A10250 V0k A0 V100",
			out: "V10000k=0.0 A10000=0.0 A10200=0.1 A10250=0.2 V0k=1.0 A0=1.0 V100=1.1"},
		{name: "tracks without a common clock", tracks: "VA",
			in:  "V0k A900000 V100 A900050 V200k A900100 V300 A900150",
			out: "V0k=0.0 A900000=0.0 V100=0.1 A900050=0.1 V200k=1.0 A900100=1.0 V300=1.1 A900150=1.1"},
		{name: "tracks without a common clock, audio behind", tracks: "VA",
			in:  "V900000k A0 V900100 A50 V900200k A100",
			out: "V900000k=0.0 A0=0.0 V900100=0.1 A50=0.1 V900200k=1.0 A100=1.0"},
		{name: "data is left out", tracks: "VD", in: "V0k D0 V100", out: "V0k=0.0 V100=0.1"},
		{name: "unknown track", tracks: "V", in: "V0k A0 V100", out: "V0k=0.0 V100=0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, p := pack(t, tt.tracks, tt.in, tt.cfg)
			if got != tt.out {
				t.Errorf("items\n got %s\nwant %s", got, tt.out)
			}
			if d := p.Stats().Dropped; d != tt.dropped {
				t.Errorf("dropped = %d, want %d", d, tt.dropped)
			}
		})
	}
}

// TestVideoFallsSilent has sound go on in groups of a second while there is no
// picture, and ids that rise for both when it comes back.
func TestVideoFallsSilent(t *testing.T) {
	chunks := "V0k"
	for ms := 0; ms < 6000; ms += 500 {
		chunks += fmt.Sprintf(" A%d+500/10", ms)
	}
	got, _ := pack(t, "VA", chunks+" V6000k A6000+500/10 V6100", PackagerConfig{})
	const want = "V0k=0.0 A0+500/10=0.0 A500+500/10=0.1 A1000+500/10=0.2 A1500+500/10=0.3 A2000+500/10=0.4 " +
		"A2500+500/10=1.0 A3000+500/10=1.1 A3500+500/10=2.0 A4000+500/10=2.1 A4500+500/10=3.0 A5000+500/10=3.1 A5500+500/10=4.0 " +
		"V6000k=5.0 V6100=5.1 A6000+500/10=5.0"
	if got != want {
		t.Errorf("items\n got %s\nwant %s", got, want)
	}
}

func TestNeverAnyVideo(t *testing.T) {
	var chunks string
	for ms := 0; ms < 5000; ms += 500 {
		chunks += fmt.Sprintf(" A%d+500/10", ms)
	}
	got, p := pack(t, "VA", chunks, PackagerConfig{})
	if want := "A2500+500/10=0.0 A3000+500/10=0.1 A3500+500/10=1.0 A4000+500/10=1.1 A4500+500/10=2.0"; got != want {
		t.Errorf("items\n got %s\nwant %s", got, want)
	}
	if d := p.Stats().Dropped; d != 5 {
		t.Errorf("dropped = %d, want 5", d)
	}
}

func TestItemFields(t *testing.T) {
	p, err := NewPackager(testInit("VA"), PackagerConfig{FirstGroup: 9})
	if err != nil {
		t.Fatal(err)
	}
	c := testChunk(t, "V250k")
	c.Capture = time.Unix(1_800_000_000, 0)
	items := p.Add(c)
	if len(items) != 2 {
		t.Fatalf("%d items, want video and catalog", len(items))
	}
	v, cat := items[0], items[1]
	if v.Track != "video" || !v.First || v.Last || !v.Key || v.Time != 250*time.Millisecond || v.Duration != 100*time.Millisecond || !v.Capture.Equal(c.Capture) {
		t.Errorf("video item = %+v", v)
	}
	if cat.Track != "catalog" || cat.Location != v.Location || !cat.First || !cat.Last {
		t.Errorf("catalog item = %+v", cat)
	}
	if items := p.Add(testChunk(t, "V350")); len(items) != 1 || items[0].First || items[0].Key {
		t.Errorf("second chunk = %+v", items)
	}
}

func TestTrackNames(t *testing.T) {
	for tracks, want := range map[string]string{
		"VA":     "catalog@16 video@64 audio@32",
		"A":      "catalog@16 audio@32",
		"VWABTD": "catalog@16 video1@64 video2@64 audio1@32 audio2@32 text@48",
	} {
		p, err := NewPackager(testInit(tracks), PackagerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, info := range p.Tracks() {
			got = append(got, fmt.Sprintf("%s@%d", info.Name, info.Priority))
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: tracks = %s, want %s", tracks, s, want)
		}
	}
}

func TestNewPackagerRefuses(t *testing.T) {
	if _, err := NewPackager(testInit("D"), PackagerConfig{}); err == nil {
		t.Error("no error for an input without media")
	}
	if _, err := NewPackager(testInit("V"), PackagerConfig{FirstGroup: 1 << 62}); err == nil {
		t.Error("no error for a first group of 2^62")
	}
}

// TestHeldMemoryIsBounded has audio that all begins at one time, ahead of the
// video.
func TestHeldMemoryIsBounded(t *testing.T) {
	p, err := NewPackager(testInit("VA"), PackagerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	p.Add(testChunk(t, "V0k"))
	items := 0
	for range 3 * maxWaiting {
		c := testChunk(t, "A500")
		c.Duration = 0
		items += len(p.Add(c))
	}
	if items < 2*maxWaiting {
		t.Errorf("%d of %d chunks came out", items, 3*maxWaiting)
	}
	if n := len(p.tracks['A'].held); n > maxWaiting {
		t.Errorf("%d chunks are held", n)
	}
}

func TestPayloadsSurvive(t *testing.T) {
	for _, name := range []string{"cmaf.mp4", "keyframe.mp4", "gstreamer.mp4"} {
		in, chunks := readFixture(t, name)
		p, err := NewPackager(in, PackagerConfig{FirstGroup: 1})
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string][]byte)
		take := func(items []Item) {
			for _, it := range items {
				got[it.Track] = append(got[it.Track], it.Data...)
			}
		}
		for _, c := range chunks {
			take(p.Add(c))
		}
		take(p.Flush())
		want := make(map[uint32][]byte)
		for _, c := range chunks {
			want[c.Track] = append(want[c.Track], c.Data...)
		}
		for i, track := range []string{"video", "audio"} {
			if !bytes.Equal(got[track], want[in.Tracks[i].ID]) {
				t.Errorf("%s: %s has %d bytes, want %d", name, track, len(got[track]), len(want[in.Tracks[i].ID]))
			}
		}
	}
}
