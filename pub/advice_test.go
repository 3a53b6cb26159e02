package pub

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/pub/fmp4"
)

func TestAdvice(t *testing.T) {
	const keys, frames, nothing = "key frames are far apart", "B-frames", "no fragment begins with a key frame"
	for _, tt := range []struct {
		name   string
		chunks string
		want   []string
	}{
		{"well made", "V0k A0 V100 V200k V300 V2100 V2200k", nil},
		{"long groups", "V0k V1000 V2000 V2100 V4000 V6000k V9000", []string{keys}},
		{"long groups of two tracks", "V0k W0k V2500 W2500", []string{keys, keys}},
		{"no key frame", "V0 A0 V1000 A1000 V2900 V3000 V4000", []string{nothing}},
		{"a late key frame", "V0 V1000 V2000k V3000", nil},
		{"sound alone", "A0 A1000 A5000 A9000", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			in := testInit("VWA")
			if tt.name == "sound alone" {
				in = testInit("A")
			}
			a := newAdvisor(slog.New(slog.NewTextHandler(&log, nil)), in)
			pk, err := NewPackager(in, PackagerConfig{})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range strings.Fields(tt.chunks) {
				c := testChunk(t, s)
				a.look(c)
				pk.Add(c)
				a.judge(pk.Stats())
			}
			checkAdvice(t, log.String(), tt.want, keys, frames, nothing)
		})
	}
}

func checkAdvice(t *testing.T, log string, want []string, known ...string) {
	t.Helper()
	counts := make(map[string]int)
	for _, w := range want {
		counts[w]++
	}
	for _, k := range known {
		if got := strings.Count(log, k); got != counts[k] {
			t.Errorf("%q is told %d times, want %d; log:\n%s", k, got, counts[k], log)
		}
	}
}

// What encoders write: no offsets, equal ones, or those of B-frames.
func TestCompositionOffsets(t *testing.T) {
	for _, tt := range []struct {
		file string
		want bool
	}{
		{"cmaf.mp4", false},
		{"keyframe.mp4", false},
		{"gstreamer.mp4", false},
	} {
		t.Run(tt.file, func(t *testing.T) {
			f, err := os.Open("fmp4/testdata/" + tt.file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var log bytes.Buffer
			adviseOn(t, &log, fmp4.NewReader(f, nil))
			if got := strings.Contains(log.String(), "B-frames"); got != tt.want {
				t.Errorf("B-frames: %v, want %v", got, tt.want)
			}
		})
	}
	// Three samples of 4 bytes each: duration and composition offset.
	trun := func(offsets ...byte) []byte {
		b := []byte{0, 0, 0, 0, 't', 'r', 'u', 'n', 1, 0, 0x09, 1, 0, 0, 0, byte(len(offsets)), 0, 0, 0, 0}
		for _, o := range offsets {
			b = append(b, 0, 0, 0, 10, 0, 0, 0, o)
		}
		b[3] = byte(len(b))
		return wrap("moof", wrap("traf", append(wrap("tfhd", make([]byte, 8)), b...)))
	}
	for _, tt := range []struct {
		name  string
		chunk []byte
		want  []int32
	}{
		{"equal", trun(7, 7, 7), []int32{7, 7, 7}},
		{"reordered", trun(10, 30, 0), []int32{10, 30, 0}},
		{"none", trun(), nil},
		{"count too high", wrap("moof", wrap("traf", []byte{0, 0, 0, 20, 't', 'r', 'u', 'n', 0, 0, 8, 0, 255, 255, 255, 255, 0, 0, 0, 1})), []int32{1}},
		{"short trun", wrap("moof", wrap("traf", wrap("trun", []byte{0, 0, 8}))), nil},
		{"size too large", []byte{0, 0, 1, 0, 'm', 'o', 'o', 'f'}, nil},
		{"size too small", []byte{0, 0, 0, 1, 'm', 'o', 'o', 'f', 0}, nil},
		{"empty", nil, nil},
	} {
		var got []int32
		for o := range compositionOffsets(tt.chunk) {
			got = append(got, o)
		}
		if len(got) != len(tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			}
		}
	}
}

func TestBFramesAreTold(t *testing.T) {
	var log bytes.Buffer
	a := newAdvisor(slog.New(slog.NewTextHandler(&log, nil)), testInit("V"))
	for i, offset := range []byte{10, 30, 0, 10} { // a chunk for each frame
		c := testChunk(t, "V0k")
		c.DTS = uint64(100 * i)
		c.Data = wrap("moof", wrap("traf", wrap("trun", []byte{0, 0, 8, 0, 0, 0, 0, 1, 0, 0, 0, offset})))
		a.look(c)
	}
	checkAdvice(t, log.String(), []string{"B-frames"}, "B-frames")
}

func wrap(name string, body []byte) []byte {
	return append([]byte{0, 0, 0, byte(8 + len(body)), name[0], name[1], name[2], name[3]}, body...)
}

func adviseOn(t *testing.T, log io.Writer, r *fmp4.Reader) {
	t.Helper()
	in, err := r.Init()
	if err != nil {
		t.Fatal(err)
	}
	a := newAdvisor(slog.New(slog.NewTextHandler(log, nil)), in)
	for {
		c, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		a.look(c)
	}
}
