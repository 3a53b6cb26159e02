package pub

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/pub/fmp4"
)

func readFixture(t testing.TB, name string) (*fmp4.Init, []*fmp4.Chunk) {
	t.Helper()
	f, err := os.Open(filepath.Join("fmp4", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := fmp4.NewReader(f, nil)
	in, err := r.Init()
	if err != nil {
		t.Fatal(err)
	}
	var chunks []*fmp4.Chunk
	for {
		c, err := r.Next()
		if err == io.EOF {
			return in, chunks
		}
		if err != nil {
			t.Fatal(err)
		}
		chunks = append(chunks, c)
	}
}

func TestCatalogContent(t *testing.T) {
	in, chunks := readFixture(t, "cmaf.mp4")
	p, err := NewPackager(in, PackagerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var payload []byte
	for _, c := range chunks {
		for _, it := range p.Add(c) {
			if it.Track == catalog.TrackName {
				payload = it.Data
			}
		}
	}
	c, err := catalog.Parse(payload)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	if c.GeneratedAt != 0 || len(c.Tracks) != 2 {
		t.Errorf("catalog = %s", payload)
	}
	for i, tr := range c.Tracks {
		header, err := c.Init(tr)
		if err != nil || !bytes.Equal(header, in.Tracks[i].Header) {
			t.Errorf("header of %s has %d bytes, %v; want %d", tr.Name, len(header), err, len(in.Tracks[i].Header))
		}
		tr.InitData, tr.InitRef = "", ""
		// The first GOP is half a second long and has 5 frames.
		want := catalog.Track{
			Name: "video", Packaging: "cmaf", Role: "video", IsLive: true, RenderGroup: 1, Codec: "avc1.42C00A", Timescale: 10240,
			Width: 64, Height: 48, Framerate: 10, Bitrate: firstGOPBitrate(chunks), TargetLatency: 300, MaxGrpSapStartingType: 2,
		}
		if i == 1 {
			want = catalog.Track{
				Name: "audio", Packaging: "cmaf", Role: "audio", IsLive: true, RenderGroup: 1, Codec: "mp4a.40.2", Timescale: 16000,
				SampleRate: 16000, ChannelConfig: "1", Bitrate: 8000, TargetLatency: 300, MaxGrpSapStartingType: 1, MaxObjSapStartingType: 1,
			}
		}
		if fmt.Sprintf("%+v", tr) != fmt.Sprintf("%+v", want) {
			t.Errorf("track\n got %+v\nwant %+v", tr, want)
		}
	}
}

func firstGOPBitrate(chunks []*fmp4.Chunk) int64 {
	size := 0
	for n := 0; n < 5; chunks = chunks[1:] {
		if chunks[0].Track == 1 {
			size += len(chunks[0].Data)
			n++
		}
	}
	return int64((size*8*2+999)/1000) * 1000 // in half a second
}

// TestCatalogWaits says when the first catalog comes.
func TestCatalogWaits(t *testing.T) {
	silent := func(letters string) *fmp4.Init {
		in := testInit(letters)
		for i := range in.Tracks {
			in.Tracks[i].Bitrate, in.Tracks[i].FrameRate = 0, 0
		}
		return in
	}
	for _, tt := range []struct {
		name   string
		in     *fmp4.Init
		chunks []string
		after  int // chunks
		group  uint64
	}{
		{"all in the header", testInit("VA"), []string{"A0", "V0k", "A50"}, 2, 0},
		{"all in the header, two videos", testInit("VW"), []string{"V0k", "V100", "W0k"}, 3, 0},
		{"first GOP complete", silent("V"), []string{"V0k", "V100", "V200", "V300k", "V400"}, 4, 1},
		{"a second of a long GOP", silent("V"), []string{"V0k+900/9", "V900+50/1", "V950+50/1", "V1000"}, 3, 0},
		{"whole GOP, sound comes after", silent("VA"), []string{"V0k+2000/20", "A0+2000/40", "V2000k+2000/20"}, 2, 0},
		{"no sound comes", silent("VA"), []string{"V0k+2000/20", "V2000k+2000/20"}, 2, 1},
		{"end of the input", silent("V"), []string{"V0k", "V100"}, 3, 0},
		{"audio alone", silent("A"), []string{"A0+500/10", "A500+500/10", "A1000+500/10"}, 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := NewPackager(tt.in, PackagerConfig{})
			if err != nil {
				t.Fatal(err)
			}
			at, group := 0, uint64(0)
			for i := 0; i <= len(tt.chunks) && at == 0; i++ {
				var items []Item
				if i == len(tt.chunks) {
					items = p.Flush()
				} else {
					items = p.Add(testChunk(t, tt.chunks[i]))
				}
				for _, it := range items {
					if it.Track == catalog.TrackName {
						at, group = i+1, it.Group
					}
				}
			}
			if at != tt.after || group != tt.group {
				t.Errorf("catalog after %d chunks in group %d, want %d and %d", at, group, tt.after, tt.group)
			}
		})
	}
}

func TestCatalogRepeats(t *testing.T) {
	for _, tt := range []struct {
		gop, longest time.Duration // of a GOP; between two catalogs
		count        int           // in 24 s
	}{
		{500 * time.Millisecond, 2 * time.Second, 12},
		{800 * time.Millisecond, 1600 * time.Millisecond, 15},
		{time.Second, 2 * time.Second, 12},
		{1200 * time.Millisecond, 1200 * time.Millisecond, 20},
		{2 * time.Second, 2 * time.Second, 12},
		{4 * time.Second, 4 * time.Second, 6},
	} {
		t.Run(tt.gop.String(), func(t *testing.T) {
			p, err := NewPackager(testInit("VA"), PackagerConfig{FirstGroup: 50})
			if err != nil {
				t.Fatal(err)
			}
			var catalogs []Item
			var video uint64 // newest group of the video track
			for ms := 0; ms < 24000; ms += 100 {
				key := ""
				if ms%int(tt.gop.Milliseconds()) == 0 {
					key = "k"
				}
				for _, s := range []string{fmt.Sprintf("V%d%s", ms, key), fmt.Sprintf("A%d", ms), fmt.Sprintf("A%d", ms+50)} {
					items := p.Add(testChunk(t, s))
					for _, it := range items {
						if it.Track == "video" {
							video = it.Group
						}
					}
					for _, it := range items {
						if it.Track == catalog.TrackName {
							if it.Group != video || it.Object != 0 {
								t.Errorf("catalog at %v while video is in group %d", it.Location, video)
							}
							catalogs = append(catalogs, it)
						}
					}
				}
			}
			if len(catalogs) != tt.count {
				t.Errorf("%d catalogs, want %d", len(catalogs), tt.count)
			}
			for i := 1; i < len(catalogs); i++ {
				if gap := catalogs[i].Time - catalogs[i-1].Time; gap > tt.longest {
					t.Errorf("%v between two catalogs, want at most %v", gap, tt.longest)
				}
				if catalogs[i].Group <= catalogs[i-1].Group || !bytes.Equal(catalogs[i].Data, catalogs[0].Data) {
					t.Errorf("catalog %d in group %d after %d, or with other bytes", i, catalogs[i].Group, catalogs[i-1].Group)
				}
			}
		})
	}
}

func TestAlternates(t *testing.T) {
	in := testInit("VWAB")
	in.Tracks[3].Language = "fra"
	p, err := NewPackager(in, PackagerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 1, 0, 0} {
		if got := p.catalogTrack(p.order[i]).AltGroup; got != want {
			t.Errorf("%s: altGroup = %d, want %d", p.order[i].name, got, want)
		}
	}
}
