package fmp4

import (
	"bytes"
	"math"
	"testing"
)

func TestRetime(t *testing.T) {
	in, chunks := mustRead(t, fixture(t, "gstreamer.mp4")) // tfdt of 32 bits in the input
	_, plain := mustRead(t, fixture(t, "cmaf.mp4"))
	for _, tt := range []struct {
		name string
		c    *Chunk
		time uint64
	}{
		{"same width", plain[0], 12345},
		{"64 bits", plain[0], math.MaxInt64},
		{"rewritten", chunks[1], 1 << 40},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := bytes.Clone(tt.c.Data)
			got, err := Retime(data, 9, tt.time, 77)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(tt.c.Data) || &got[0] != &data[0] {
				t.Errorf("a chunk with 64 bit times was not changed in place")
			}
			checkTimes(t, got, 9, tt.time, 77)
		})
	}
	if in.Tracks[0].ID != 1 {
		t.Errorf("first track = %d", in.Tracks[0].ID)
	}
}

// narrow makes the tfdt of a one-track chunk 32 bits wide.
func narrow(t *testing.T, chunk []byte) []byte {
	at, size := where(t, chunk, "moof/traf/tfdt")
	if size != 20 {
		t.Fatalf("tfdt has %d bytes", size)
	}
	b := append(bytes.Clone(chunk[:at+12]), chunk[at+16:]...)
	b[at+8], b[at+3] = 0, 16
	for _, p := range []string{"moof", "moof/traf"} {
		a, n := where(t, chunk, p)
		b[a+2], b[a+3] = byte((n-4)>>8), byte(n-4)
	}
	trun, _ := where(t, b, "moof/traf/trun")
	b[trun+19] -= 4
	return b
}

func TestRetimeWidens(t *testing.T) {
	in, chunks := mustRead(t, fixture(t, "cmaf.mp4"))
	chunk := narrow(t, chunks[0].Data)
	if _, err := Retime(chunk, 1, math.MaxUint32, 5); err != nil {
		t.Fatal(err)
	}
	checkTimes(t, chunk, 1, math.MaxUint32, 5)
	wide, err := Retime(chunk, 1, math.MaxUint32+1, 6)
	if err != nil {
		t.Fatal(err)
	}
	checkTimes(t, wide, 1, math.MaxUint32+1, 6)
	want := samplesOf(t, file(in.Tracks[0], chunks[:1]))
	got := samplesOf(t, append(bytes.Clone(in.Tracks[0].Header), wide...))
	if !bytes.Equal(got[0].Data, want[0].Data) {
		t.Errorf("sample = %x, want %x", got[0].Data, want[0].Data)
	}
}

func checkTimes(t *testing.T, chunk []byte, id uint32, time uint64, sequence uint32) {
	t.Helper()
	_, n := where(t, chunk, "moof")
	fr, err := parseMoof(box{"moof", 0, chunk[:n], 8}, map[uint32]*track{id: {}})
	if err != nil {
		t.Fatal(err)
	}
	if tr := fr.trafs[0]; tr.id != id || tr.time != time || fr.sequence != sequence {
		t.Errorf("track %d, time %d, sequence %d; want %d, %d, %d", tr.id, tr.time, fr.sequence, id, time, sequence)
	}
}

func TestRetimeRefuses(t *testing.T) {
	_, chunks := mustRead(t, fixture(t, "cmaf.mp4"))
	good := chunks[0].Data
	for name, chunk := range map[string][]byte{
		"nothing":   nil,
		"no moof":   rawBox("mdat", 1, 2, 3),
		"no tfdt":   cut(t, good, "moof/traf/tfdt"),
		"two moof":  append(bytes.Clone(good), good...),
		"truncated": good[:50],
		"version 7": set(t, good, "moof/traf/tfdt", 8, 7<<24),
	} {
		if _, err := Retime(bytes.Clone(chunk), 1, 1, 1); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestMergeHeaders(t *testing.T) {
	in, chunks := mustRead(t, fixture(t, "cmaf.mp4"))
	other, others := mustRead(t, fixture(t, "keyframe_empty.mp4"))
	merged, ids, err := MergeHeaders([][]byte{in.Tracks[0].Header, in.Tracks[1].Header, other.Tracks[0].Header})
	if err != nil {
		t.Fatal(err)
	}
	if len(ids) != 3 || ids[0] != 1 || ids[1] != 2 || ids[2] != 3 {
		t.Fatalf("ids = %v, want 1 2 3", ids)
	}
	b := merged
	for _, c := range chunks {
		b = append(b, c.Data...)
	}
	for _, c := range others {
		if c.Track == other.Tracks[0].ID {
			data, err := Retime(c.Data, ids[2], c.DTS, c.Sequence)
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, data...)
		}
	}
	again, all := mustRead(t, b)
	if len(again.Tracks) != 3 || len(all) != 32+3 {
		t.Fatalf("%d tracks and %d chunks, want 3 and 35", len(again.Tracks), len(all))
	}
	for i, want := range []Track{in.Tracks[0], in.Tracks[1], other.Tracks[0]} {
		got := again.Tracks[i]
		if got.Codec != want.Codec || got.Timescale != want.Timescale || len(got.Header) != len(want.Header) {
			t.Errorf("track %d is %s at %d, want %s at %d", i, got.Codec, got.Timescale, want.Codec, want.Timescale)
		}
	}
	if all[34].Track != 3 || all[34].Samples != 2 {
		t.Errorf("last chunk is of track %d with %d samples", all[34].Track, all[34].Samples)
	}
	for name, headers := range map[string][][]byte{
		"none": nil, "empty": {nil}, "garbage": {[]byte("garbage!")}, "two tracks": {merged}, "truncated": {merged[:200]},
	} {
		if _, _, err := MergeHeaders(headers); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestLooper(t *testing.T) {
	for _, name := range []string{"cmaf.mp4", "keyframe.mp4", "keyframe_empty.mp4", "gstreamer.mp4", "progressive.mp4"} {
		t.Run(name, func(t *testing.T) {
			l, err := NewLooper(bytes.NewReader(fixture(t, name)), nil)
			if err != nil {
				t.Fatal(err)
			}
			in, err := l.Init()
			if err != nil {
				t.Fatal(err)
			}
			scale := make(map[uint32]float64)
			for _, tr := range in.Tracks {
				scale[tr.ID] = float64(tr.Timescale)
			}
			end := make(map[uint32]uint64)
			first := make(map[uint32][]uint64) // DTS of the first chunk of each round
			sequence := make(map[uint32]uint32)
			for l.rounds < 5 {
				c, err := l.Next()
				if err != nil {
					t.Fatal(err)
				}
				if c.DTS < end[c.Track] {
					t.Errorf("round %d, track %d: DTS %d is before %d", l.rounds, c.Track, c.DTS, end[c.Track])
				}
				if n, ok := sequence[c.Track]; ok && c.Sequence <= n {
					t.Errorf("round %d, track %d: sequence %d after %d", l.rounds, c.Track, c.Sequence, n)
				}
				end[c.Track], sequence[c.Track] = c.DTS+c.Duration, c.Sequence
				if len(first[c.Track]) == int(l.rounds) {
					first[c.Track] = append(first[c.Track], c.DTS)
					checkTimes(t, c.Data, c.Track, c.DTS, c.Sequence)
				}
			}
			// A round is as long for one track as for the other.
			for id, times := range first {
				for n, dts := range times {
					want := l.Period().Seconds() * float64(n)
					if got := float64(dts) / scale[id]; math.Abs(got-want) > 1.5/scale[id] {
						t.Errorf("track %d, round %d begins at %.6f s, want %.6f", id, n, got, want)
					}
				}
			}
		})
	}
}

func TestLooperRefuses(t *testing.T) {
	cmaf, progressive := fixture(t, "cmaf.mp4"), fixture(t, "progressive.mp4")
	moof, _ := where(t, cmaf, "moof")
	for name, data := range map[string][]byte{
		"nothing":                nil,
		"no samples":             cmaf[:moof],
		"truncated":              cmaf[:len(cmaf)-3],
		"truncated, progressive": progressive[:len(progressive)-3],
		"garbage":                []byte("garbage, and more of it"),
	} {
		if _, err := NewLooper(bytes.NewReader(data), nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
