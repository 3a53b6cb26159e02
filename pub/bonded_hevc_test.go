package pub

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/pub/bond"
	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/pub/fmp4"
	"github.com/tributary-live/tributary/transport/moqt"
)

// hevc returns some seconds of H.265 and AAC as an encoder writes them, in groups
// of a second.
func hevc(t *testing.T, seconds string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-nostdin",
		"-f", "lavfi", "-i", "testsrc2=s=640x360:r=30", "-f", "lavfi", "-i", "sine=r=48000", "-t", seconds,
		"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=30:bframes=0:log-level=none", "-tag:v", "hvc1", "-pix_fmt", "yuv420p", "-c:a", "aac",
		"-f", "mp4", "-movflags", "cmaf+separate_moof+delay_moov+skip_trailer+frag_every_frame", "-")
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if _, err := exec.LookPath(cmd.Args[0]); err != nil && os.Getenv("TRIBUTARY_REQUIRE") != "1" {
		t.Skip(err)
	}
	mp4, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, &complaints)
	}
	return mp4
}

// TestBondCarriesHEVC publishes H.265 of ffmpeg over two links, neither of which
// carries it alone all the time, and wants it downstream as ffmpeg wrote it.
func TestBondCarriesHEVC(t *testing.T) {
	mp4 := hevc(t, "6")
	synctest.Test(t, func(t *testing.T) {
		b := newBondTest(t, true, ten(), []netsim.Option{netsim.Rate(3 * netsim.Mbit), netsim.Delay(60 * time.Millisecond), netsim.Loss(0.002)})
		b.media = func() Source { return fmp4.NewReader(bytes.NewReader(mp4), nil) }
		b.publish(bond.Hybrid)
		b.watch(catalog.TrackName, "video", "audio")
		time.Sleep(1500 * time.Millisecond)
		b.links[0].Blackout(time.Second)
		time.Sleep(2 * time.Second)
		b.links[1].Blackout(time.Second)
		if err := <-b.ended; err != nil {
			t.Error(err)
		}
		b.check(1001, 1006, "video", "audio")

		b.mu.Lock()
		defer b.mu.Unlock()
		for _, o := range b.got["video"] {
			if !bytes.Contains(mp4, o.payload) {
				t.Fatal("ffmpeg has not written what came")
			}
		}
		c := b.got[catalog.TrackName]
		newest := slices.MaxFunc(slices.Collect(maps.Keys(c)), moqt.Location.Compare)
		if text := c[newest].payload; !bytes.Contains(text, []byte(`"codec":"hvc1.`)) {
			t.Errorf("the catalog has no hvc1: %s", text)
		}
		t.Logf("%d bytes, %d pictures; %+v", len(mp4), len(b.got["video"]), b.pub.Bond().Status().Stats)
	})
}
