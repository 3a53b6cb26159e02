package fmp4

import (
	"bytes"
	"io"
	"testing"
)

// FuzzReader reads anything. What comes out must come out the same when it is
// read once more: a chunk is CMAF, so it passes untouched.
func FuzzReader(f *testing.F) {
	for _, name := range []string{"cmaf.mp4", "keyframe.mp4", "keyframe_empty.mp4", "gstreamer.mp4", "prft.mp4", "progressive.mp4"} {
		f.Add(fixture(f, name))
	}
	for _, bad := range badInputs(f) {
		if len(bad.data) < 20_000 {
			f.Add(bad.data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(bytes.NewReader(data), &Options{MaxMdat: 1 << 20})
		in, err := r.Init()
		if err != nil {
			return
		}
		tracks := make(map[uint32]Track)
		for _, tr := range in.Tracks {
			tracks[tr.ID] = tr
		}
		for {
			c, err := r.Next()
			if err != nil {
				break
			}
			tr, ok := tracks[c.Track]
			if !ok || c.Samples < 1 {
				t.Fatalf("chunk of track %d with %d samples", c.Track, c.Samples)
			}
			again := NewReader(io.MultiReader(bytes.NewReader(tr.Header), bytes.NewReader(c.Data)), nil)
			got, err := again.Next()
			if err != nil {
				t.Fatalf("chunk cannot be read: %v", err)
			}
			if got.Track != c.Track || got.DTS != c.DTS || got.Duration != c.Duration || got.Samples != c.Samples || got.Key != c.Key || !bytes.Equal(got.Data, c.Data) {
				t.Fatalf("chunk read once more is %v %d+%d/%d %v, want %v %d+%d/%d %v", got.Track, got.DTS, got.Duration, got.Samples, got.Key, c.Track, c.DTS, c.Duration, c.Samples, c.Key)
			}
			if u, err := NewUnpacker(tr.Header); err == nil {
				samples, err := u.Samples(c.Data)
				size := 0
				for _, s := range samples {
					size += len(s.Data)
				}
				if err == nil && (len(samples) != c.Samples || size > len(c.Data)) {
					t.Fatalf("%d samples of %d bytes, want %d of at most %d", len(samples), size, c.Samples, len(c.Data))
				}
			}
			if a, err := NewAdapter(tr.Header, tr.Header); err == nil {
				if adapted, err := a.Chunk(c.Data, c.Track, 1, func(units uint64) uint64 { return units }); err == nil {
					got, err := NewReader(io.MultiReader(bytes.NewReader(tr.Header), bytes.NewReader(adapted)), nil).Next()
					if err != nil || got.DTS != c.DTS || got.Duration != c.Duration || got.Samples != c.Samples {
						t.Fatalf("adapted chunk is %v, %v, want %d+%d/%d", got, err, c.DTS, c.Duration, c.Samples)
					}
				}
			}
			if moved, err := Retime(c.Data, 1, 1<<40, 1); err == nil && len(moved) > len(got.Data)+4 {
				t.Fatalf("retimed chunk has %d bytes, was %d", len(moved), len(got.Data))
			}
		}
		if l, err := NewLooper(bytes.NewReader(data), nil); err == nil {
			for range 50 {
				if _, err := l.Next(); err != nil {
					break
				}
			}
		}
	})
}
