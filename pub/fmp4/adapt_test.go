package fmp4

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"
	"time"
)

// tracksOf returns the tracks of a file and the chunks of each.
func tracksOf(t *testing.T, name string) (video, audio Track, chunks map[uint32][]*Chunk) {
	t.Helper()
	r := NewReader(bytes.NewReader(fixture(t, name)), nil)
	in, err := r.Init()
	if err != nil {
		t.Fatal(err)
	}
	for _, tr := range in.Tracks {
		switch tr.Kind {
		case Video:
			video = tr
		case Audio:
			audio = tr
		}
	}
	chunks = make(map[uint32][]*Chunk)
	for {
		c, err := r.Next()
		if err != nil {
			return video, audio, chunks
		}
		chunks[c.Track] = append(chunks[c.Track], c)
	}
}

func unpacker(t *testing.T, header []byte) *Unpacker {
	t.Helper()
	u, err := NewUnpacker(header)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// What is adapted reads behind the other header as it did behind its own, with
// the parameter sets in its key frames.
func TestAdapter(t *testing.T) {
	from, _, chunks := tracksOf(t, "gstreamer.mp4")
	to, _, _ := tracksOf(t, "cmaf.mp4")
	if from.Timescale == to.Timescale {
		t.Fatal("the two tracks have the same timescale: this shows nothing")
	}
	a, err := NewAdapter(from.Header, to.Header)
	if err != nil {
		t.Fatal(err)
	}
	in, out := unpacker(t, from.Header), unpacker(t, to.Header)
	sets, size, err := avcSets(in.Config)
	if err != nil || size != 4 || sets[4]&0x1f != 7 {
		t.Fatalf("avcSets() = %x, %d, %v, want a SPS first", sets, size, err)
	}
	at := func(units uint64) uint64 {
		return (units*uint64(to.Timescale) + uint64(from.Timescale) - 1) / uint64(from.Timescale)
	}
	keys, last := 0, time.Duration(-1)
	for _, c := range chunks[from.ID] {
		before := bytes.Clone(c.Data)
		adapted, err := a.Chunk(c.Data, to.ID, 7, at)
		if err != nil || !bytes.Equal(before, c.Data) {
			t.Fatalf("Chunk() = %v, or has changed its input", err)
		}
		want, err := in.Samples(c.Data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := out.Samples(adapted)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d samples, %v, want %d", len(got), err, len(want))
		}
		for i, g := range got {
			w := want[i]
			data := w.Data
			if w.Key {
				keys++
				data = slices.Insert(bytes.Clone(data), a.delimiter(data), sets...)
			}
			dts := w.DTS - in.shift + out.shift
			if g.Key != w.Key || !bytes.Equal(g.Data, data) || (g.DTS-dts).Abs() > time.Second/time.Duration(to.Timescale) || g.DTS < last {
				t.Errorf("sample at %v (key %v, %d bytes), want at %v (%v, %d)", g.DTS, g.Key, len(g.Data), dts, w.Key, len(data))
			}
			last = g.DTS + g.Duration
		}
	}
	if keys == 0 {
		t.Error("no key frame among the samples")
	}
}

func TestAdapterRefuses(t *testing.T) {
	video, audio, chunks := tracksOf(t, "gstreamer.mp4")
	_, other, _ := tracksOf(t, "cmaf.mp4")
	for name, pair := range map[string][2][]byte{
		"sound after a picture": {audio.Header, video.Header},
		"another sample rate":   {audio.Header, other.Header},
		"no header":             {nil, video.Header},
		"nothing to follow":     {video.Header, nil},
	} {
		if _, err := NewAdapter(pair[0], pair[1]); err == nil {
			t.Errorf("%s is adapted", name)
		}
	}
	a, err := NewAdapter(video.Header, video.Header)
	if err != nil {
		t.Fatal(err)
	}
	same := func(units uint64) uint64 { return units }
	chunk := chunks[video.ID][0].Data
	for n := range chunk {
		if _, err := a.Chunk(chunk[:n], 1, 1, same); err == nil {
			t.Errorf("the first %d of %d bytes of a chunk are adapted", n, len(chunk))
		}
	}
	if _, err := a.Chunk(chunk, 1, 1, func(units uint64) uint64 { return 1 << 40 * (1 - min(units, 1)) }); err == nil {
		t.Error("time may run backwards")
	}
}

func TestParameterSets(t *testing.T) {
	avc := decodeHex(t, "0142c01effe10003674142 0100026842")
	hevc := decodeHex(t, "01"+"0000000000000000000000000000000000000000"+"0f"+"03"+"a0 0001 0002 4001"+"a1 0001 0003 420101"+"a2 0001 0002 4401")
	for _, tt := range []struct {
		name   string
		read   func([]byte) ([]byte, int, error)
		config []byte
		want   string
	}{
		{"avc", avcSets, avc, "00000003674142 000000026842"},
		{"hevc", hevcSets, hevc, "000000024001 00000003420101 000000024401"},
	} {
		sets, size, err := tt.read(tt.config)
		if err != nil || size != 4 || !bytes.Equal(sets, decodeHex(t, tt.want)) {
			t.Errorf("%s: %x, %d, %v, want %s with lengths of 4", tt.name, sets, size, err, tt.want)
		}
		for n := range tt.config {
			if sets, _, err := tt.read(tt.config[:n]); err == nil {
				t.Errorf("%s: the first %d bytes give %x", tt.name, n, sets)
			}
		}
	}
	a := Adapter{lengthSize: 4}
	for data, want := range map[string]int{"00000002 09f0 00000001 65": 6, "00000001 65": 0, "00000009 09f0": 0, "000000": 0, "": 0} {
		if got := a.delimiter(decodeHex(t, data)); got != want {
			t.Errorf("delimiter(%s) = %d, want %d", data, got, want)
		}
	}
}

func decodeHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(s), []byte(" "), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
