package fmp4

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sameSamples compares what an Unpacker makes of a track with the packets that
// ffprobe tells; see packets.
func sameSamples(t *testing.T, tr Track, chunks []*Chunk, want []string) {
	t.Helper()
	u, err := NewUnpacker(tr.Header)
	if err != nil {
		t.Fatal(err)
	}
	if len(u.Config) == 0 && tr.Codec != "flac" {
		t.Errorf("%s: no decoder configuration", tr.Codec)
	}
	var list []Sample
	var shift time.Duration // ffprobe lets no frame be seen before it is decoded
	for _, c := range chunks {
		if c.Track != tr.ID {
			continue
		}
		samples, err := u.Samples(c.Data)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range samples {
			shift = max(shift, s.DTS-s.PTS)
		}
		list = append(list, samples...)
	}
	if len(list) != len(want) || len(list) == 0 {
		t.Fatalf("%d samples, want %d", len(list), len(want))
	}
	for i, s := range list {
		f := strings.Split(want[i], ",")
		pts, dts := probed(t, f[0]), probed(t, f[1])
		key := strings.HasPrefix(f[3], "K")
		got := fmt.Sprintf("%d,MD5:%x", len(s.Data), md5.Sum(s.Data))
		if (s.PTS+shift-pts).Abs() > time.Microsecond || (s.DTS-dts).Abs() > time.Microsecond || s.Key != key || got != f[2]+","+f[4] {
			t.Errorf("sample %d is at %v+%v (%v), key %v, %s, want %s", i, s.PTS, shift, s.DTS, s.Key, got, want[i])
			return
		}
	}
}

func probed(t *testing.T, s string) time.Duration {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(math.Round(v * 1e9))
}

// headerWith returns the header of a fixture's track with boxes put before its
// mdia.
func headerWith(t *testing.T, header []byte, boxes ...byte) []byte {
	t.Helper()
	at, _ := where(t, header, "moov/trak/mdia")
	b := bytes.Join([][]byte{header[:at], boxes, header[at:]}, nil)
	for _, p := range []string{"moov/trak", "moov"} {
		outer, n := where(t, header, p)
		binary.BigEndian.PutUint32(b[outer:], uint32(n+len(boxes)))
	}
	return b
}

func edts(version byte, fields ...uint32) []byte {
	body := []byte{version, 0, 0, 0}
	for _, f := range fields {
		body = binary.BigEndian.AppendUint32(body, f)
	}
	return rawBox("edts", rawBox("elst", body...)...)
}

// The times of samples are those of the presentation: what the edit list says
// counts. The fixture's video has 10240 units a second, its movie 1000.
func TestUnpackerEditList(t *testing.T) {
	in, chunks := mustRead(t, fixture(t, "keyframe_empty.mp4"))
	header := in.Tracks[0].Header
	if bytes.Contains(header, []byte("elst")) {
		header = cut(t, header, "moov/trak/edts")
	}
	const one = 0x10000 // the rate
	for _, tt := range []struct {
		name string
		edts []byte
		want time.Duration
	}{
		{"none", nil, 0},
		{"media begins later", edts(0, 1, 0, 1024, one), -100 * time.Millisecond},
		{"64 bits", edts(1, 1, 0, 0, 0, 1024, one), -100 * time.Millisecond},
		{"empty first", edts(0, 2, 500, 0xffffffff, one, 0, 0, one), 500 * time.Millisecond},
		{"empty first, 64 bits", edts(1, 2, 0, 500, 0xffffffff, 0xffffffff, one, 0, 0, 0, 1024, one), 400 * time.Millisecond},
		{"a second one", edts(0, 2, 100, 1024, one, 100, 5120, one), -100 * time.Millisecond},
		{"promises more entries than there are", edts(0, 0xffffffff, 500, 0xffffffff, one), 0},
		{"not believable", edts(1, 1, 0, 0, 0x7fffffff, 0, one), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, err := NewUnpacker(headerWith(t, header, tt.edts...))
			if err != nil {
				t.Fatal(err)
			}
			samples, err := u.Samples(chunks[0].Data)
			if err != nil {
				t.Fatal(err)
			}
			if s := samples[0]; s.DTS != tt.want || s.PTS != tt.want || s.Duration != 1680*time.Second/10240 || !s.Key {
				t.Errorf("first sample at %v (%v) for %v, key %v, want at %v", s.DTS, s.PTS, s.Duration, s.Key, tt.want)
			}
		})
	}
}

func TestUnpackerRefuses(t *testing.T) {
	in, chunks := mustRead(t, fixture(t, "cmaf.mp4"))
	u, err := NewUnpacker(in.Tracks[0].Header)
	if err != nil {
		t.Fatal(err)
	}
	var chunk []byte
	for _, c := range chunks {
		if c.Track == in.Tracks[0].ID {
			chunk = c.Data
			break
		}
	}
	if _, err := u.Samples(chunk); err != nil {
		t.Fatal(err)
	}
	other := chunk
	for _, c := range chunks {
		if c.Track != in.Tracks[0].ID {
			other = c.Data
		}
	}
	for _, tt := range []struct {
		name  string
		chunk []byte
		want  string
	}{
		{"nothing", nil, "no moof"},
		{"not boxes", []byte("hello, world"), "does not fit"},
		{"no mdat", cut(t, chunk, "mdat"), "no mdat"},
		{"no moof", cut(t, chunk, "moof"), "no moof"},
		{"two of them", append(bytes.Clone(chunk), chunk...), "a second one"},
		{"of another track", other, "not in moov"},
		{"no time", cut(t, chunk, "moof/traf/tfdt"), "decode time"},
		{"data before mdat", set(t, chunk, "moof/traf/trun", 16, 0), "not in the mdat"},
		{"a time that cannot be", set(t, chunk, "moof/traf/tfdt", 12, 0x7fffffff), "not believable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if list, err := u.Samples(tt.chunk); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Samples() = %d samples, %v, want %q", len(list), err, tt.want)
			}
		})
	}
	if _, err := NewUnpacker(fixture(t, "cmaf.mp4")); err == nil || !strings.Contains(err.Error(), "2 tracks, not one") {
		t.Errorf("NewUnpacker() of two tracks: %v", err)
	}
}
