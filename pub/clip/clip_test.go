package clip

import (
	"bytes"
	"testing"
	"time"

	"github.com/tributary-live/tributary/pub"
	"github.com/tributary-live/tributary/pub/fmp4"
)

func TestClip(t *testing.T) {
	l, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	if l.Period() != 8*time.Second {
		t.Errorf("Period() = %v, want 8s", l.Period())
	}
	if size := len(mp4); size > 500_000 {
		t.Errorf("the clip has %d bytes, want at most 500000", size)
	}
	in, err := l.Init()
	if err != nil {
		t.Fatal(err)
	}
	if len(in.Tracks) != 2 {
		t.Fatalf("%d tracks, want 2", len(in.Tracks))
	}
	video, audio := in.Tracks[0], in.Tracks[1]
	if video.Kind != fmp4.Video || video.Width != 640 || video.Height != 360 || video.Codec != "avc1.4D401F" || video.Bitrate == 0 {
		t.Errorf("video = %v %dx%d %s, %d bit/s", video.Kind, video.Width, video.Height, video.Codec, video.Bitrate)
	}
	if audio.Kind != fmp4.Audio || audio.SampleRate != 48000 || audio.Channels != 2 || audio.Codec != "mp4a.40.2" || audio.Bitrate == 0 {
		t.Errorf("audio = %v %d Hz, %d channels %s, %d bit/s", audio.Kind, audio.SampleRate, audio.Channels, audio.Codec, audio.Bitrate)
	}
	var first []byte
	counts, next := make(map[uint32]int), make(map[uint32]uint64)
	for range 2 * (240 + 375) { // two rounds
		c, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		if c.Samples != 1 || c.DTS != next[c.Track] {
			t.Fatalf("track %d, chunk %d: %d samples at %d, want one at %d", c.Track, counts[c.Track], c.Samples, c.DTS, next[c.Track])
		}
		if c.Track == video.ID && c.Key != (counts[c.Track]%30 == 0) {
			t.Errorf("frame %d: Key = %v", counts[c.Track], c.Key)
		}
		if first == nil {
			first = c.Data
		}
		next[c.Track] += c.Duration
		counts[c.Track]++
	}
	if counts[video.ID] != 2*240 || counts[audio.ID] != 2*375 {
		t.Errorf("chunks = %v, want 480 and 750", counts)
	}
	if !bytes.Contains(mp4, first) {
		t.Error("the first chunk is not as it is in the file")
	}
	if v, a := next[video.ID]/uint64(video.Timescale), next[audio.ID]/uint64(audio.Timescale); v != 16 || a != 16 {
		t.Errorf("two rounds last %d s and %d s, want 16", v, a)
	}
}

// TestClipAsBroadcast has the catalog come with the first frame, and a group
// every second.
func TestClipAsBroadcast(t *testing.T) {
	l, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	in, err := l.Init()
	if err != nil {
		t.Fatal(err)
	}
	p, err := pub.NewPackager(in, pub.PackagerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	groups := make(map[string]uint64)
	for i := range 2 * (240 + 375) {
		c, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		items := p.Add(c)
		if i == 0 && (len(items) != 2 || items[1].Track != "catalog") {
			t.Errorf("the first chunk gives %d items, want video and catalog", len(items))
		}
		for _, it := range items {
			groups[it.Track] = it.Group
		}
	}
	if groups["video"] != 15 || groups["audio"] != 15 || groups["catalog"] != 14 {
		t.Errorf("newest groups after 16 s = %v, want 15, 15 and 14", groups)
	}
}
