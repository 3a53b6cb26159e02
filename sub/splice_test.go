package sub

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/pub/fmp4"
	"github.com/tributary-live/tributary/transport/moqt"
)

// footage returns a camera with the tracks of a file, and its chunks.
func footage(t *testing.T, file string) (b *Broadcast, objects []Object) {
	t.Helper()
	f, err := os.Open("../pub/fmp4/testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := fmp4.NewReader(f, nil)
	in, err := r.Init()
	if err != nil {
		t.Fatal(err)
	}
	b = &Broadcast{Namespace: testNS}
	names := make(map[uint32]string)
	for _, tr := range in.Tracks {
		names[tr.ID] = tr.Kind.String()
		b.Tracks = append(b.Tracks, catalog.Track{Name: tr.Kind.String(), Role: tr.Kind.String()})
		b.Inits = append(b.Inits, tr.Header)
	}
	for {
		c, err := r.Next()
		if err == io.EOF {
			return b, objects
		}
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, Object{Track: names[c.Track], Object: moqt.Object{Payload: c.Data}})
	}
}

// What two cameras send behind each other is one file, in which the time of each
// track goes on.
func TestSplice(t *testing.T) {
	a, first := footage(t, "cmaf.mp4")
	b, second := footage(t, "cmaf.mp4")
	var out bytes.Buffer
	s := splice{w: &out, log: slog.New(slog.DiscardHandler)}
	for _, o := range first {
		if err := s.write(a, o); err != nil {
			t.Fatal(err)
		}
	}
	leads := slices.IndexFunc(second, func(o Object) bool { return o.Track == "video" })
	for _, o := range second[leads:] {
		if err := s.write(b, o); err != nil {
			t.Fatal(err)
		}
	}
	if header, _, _ := a.header(); !bytes.HasPrefix(out.Bytes(), header) || bytes.Count(out.Bytes(), []byte("moov")) != 1 {
		t.Error("want one header, at the start")
	}
	r := fmp4.NewReader(&out, nil)
	ends := make(map[uint32]uint64)
	count := make(map[uint32]int)
	for {
		c, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if c.DTS < ends[c.Track] || c.DTS > ends[c.Track]+uint64(3000) && count[c.Track] > 0 {
			t.Errorf("track %d: a chunk at %d, the one before ended at %d", c.Track, c.DTS, ends[c.Track])
		}
		ends[c.Track] = c.DTS + c.Duration
		count[c.Track]++
	}
	video := 0
	for _, o := range first {
		if o.Track == "video" {
			video++
		}
	}
	if video == 0 || count[1] != 2*video {
		t.Errorf("%d chunks of video, want %d", count[1], 2*video)
	}
}

// A camera of the same codecs, with another timescale and encoder, goes on in the
// same file; one whose sound is another begins with a header of its own.
func TestSpliceOthers(t *testing.T) {
	for _, tt := range []struct {
		name    string
		tracks  int // of each camera
		headers int
	}{{"picture", 1, 1}, {"picture and sound", 2, 2}} {
		t.Run(tt.name, func(t *testing.T) {
			a, first := footage(t, "cmaf.mp4")
			b, second := footage(t, "gstreamer.mp4")
			a.Tracks, a.Inits = a.Tracks[:tt.tracks], a.Inits[:tt.tracks]
			b.Tracks, b.Inits = b.Tracks[:tt.tracks], b.Inits[:tt.tracks]
			var out bytes.Buffer
			s := splice{w: &out, log: slog.New(slog.DiscardHandler)}
			written, before := 0, 0
			for i, o := range append(first[:len(first):len(first)], second...) {
				camera := a
				if i >= len(first) {
					camera = b
				}
				if i == len(first) {
					before = out.Len()
				}
				if !slices.ContainsFunc(camera.Tracks, func(t catalog.Track) bool { return t.Name == o.Track }) {
					continue
				}
				if err := s.write(camera, o); err != nil {
					t.Fatal(err)
				}
				written++
			}
			if n := bytes.Count(out.Bytes(), []byte("moov")); n != tt.headers {
				t.Fatalf("%d headers, want %d", n, tt.headers)
			}
			got := 0
			if tt.headers == 2 { // each part is a file of its own
				for _, list := range chunks(t, bytes.NewReader(out.Next(before))) {
					got += len(list)
				}
			}
			for _, list := range chunks(t, &out) {
				got += len(list)
			}
			if got != written {
				t.Errorf("%d chunks, want %d", got, written)
			}
		})
	}
}

func TestUnitsUp(t *testing.T) {
	for _, tt := range []struct {
		d    time.Duration
		want int64
	}{{time.Second, 90000}, {-time.Second, -90000}, {333333333, 30000}, {-1, 0}, {1, 1}, {-1500 * time.Millisecond, -135000}} {
		if got := unitsUp(tt.d, 90000); got != tt.want {
			t.Errorf("unitsUp(%v) = %d, want %d", tt.d, got, tt.want)
		}
	}
}
