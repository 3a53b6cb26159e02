package fmp4

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/Eyevinn/mp4ff/mp4"
)

func TestCMAFPassesUntouched(t *testing.T) {
	src := fixture(t, "cmaf.mp4")
	in, chunks := mustRead(t, src)
	at, size := where(t, src, "moov")
	var got []byte
	for _, c := range chunks {
		got = append(got, c.Data...)
	}
	if want := src[at+size:]; !bytes.Equal(got, want) {
		t.Errorf("chunks are %d bytes and differ from the %d bytes after moov", len(got), len(want))
	}
	video, audio := in.Tracks[0], in.Tracks[1]
	video.Header, audio.Header = nil, nil
	if want := (Track{ID: 1, Kind: Video, Timescale: 10240, Codec: "avc1.42C00A", Width: 64, Height: 48}); fmt.Sprint(video) != fmt.Sprint(want) {
		t.Errorf("video = %+v, want %+v", video, want)
	}
	if want := (Track{ID: 2, Kind: Audio, Timescale: 16000, Codec: "mp4a.40.2", SampleRate: 16000, Channels: 1, Bitrate: 8000}); fmt.Sprint(audio) != fmt.Sprint(want) {
		t.Errorf("audio = %+v, want %+v", audio, want)
	}
}

func TestChunkTimes(t *testing.T) {
	for _, tt := range []struct {
		file         string
		video, audio string // DTS+Duration/Samples of each chunk, k for key
	}{
		{"cmaf.mp4",
			"0+1024/1k 1024+1024/1 2048+1024/1 3072+1024/1 4096+1024/1 5120+1024/1k 6144+1024/1 7168+1024/1 8192+1024/1 9216+1024/1 10240+1024/1k 11264+1024/1",
			"0+1024/1k 1024+1024/1k 2048+1024/1k 3072+1024/1k 4096+1024/1k 5120+1024/1k 6144+1024/1k 7168+1024/1k 8192+1024/1k 9216+1024/1k 10240+1024/1k 11264+1024/1k 12288+1024/1k 13312+1024/1k 14336+1024/1k 15360+1024/1k 16384+1024/1k 17408+1024/1k 18432+1024/1k 19456+768/1k"},
		{"keyframe_empty.mp4", "0+5776/5k 5776+5120/5k 10896+2048/2k", "0+9216/9k 9216+8192/8k 17408+2816/3k"},
		{"keyframe.mp4", "0+5776/5k 5776+5120/5k 10896+2048/2k", "0+9216/9k 9216+8192/8k 17408+2816/3k"},
		{"gstreamer.mp4", "0+500/5k 500+500/5k 1000+200/2k", "0+3072/3k 3072+3072/3k 6144+4096/4k"},
	} {
		t.Run(tt.file, func(t *testing.T) {
			in, chunks := mustRead(t, fixture(t, tt.file))
			for i, want := range []string{tt.video, tt.audio} {
				got := ""
				for _, c := range chunks {
					if c.Track != in.Tracks[i].ID {
						continue
					}
					key := map[bool]string{true: "k"}[c.Key]
					got += fmt.Sprintf(" %d+%d/%d%s", c.DTS, c.Duration, c.Samples, key)
				}
				if got != " "+want {
					t.Errorf("track %d:\n got%s\nwant %s", in.Tracks[i].ID, got, want)
				}
			}
		})
	}
}

// TestSamplesSurvive has mp4ff read what was written, and compares the samples
// of differently packed files of the same encoding.
func TestSamplesSurvive(t *testing.T) {
	in, chunks := mustRead(t, fixture(t, "cmaf.mp4"))
	for i, tr := range in.Tracks {
		want := samplesOf(t, file(tr, chunks))
		for _, name := range []string{"keyframe.mp4", "keyframe_empty.mp4", "progressive.mp4"} {
			got := samplesOf(t, oneTrack(t, name, i))
			if len(got) != len(want) {
				t.Errorf("%s track %d: %d samples, want %d", name, i, len(got), len(want))
				continue
			}
			for n := range got {
				if !bytes.Equal(got[n].Data, want[n].Data) || got[n].IsSync() != want[n].IsSync() {
					t.Errorf("%s track %d sample %d: %d bytes, sync %v; want %d bytes, sync %v",
						name, i, n, len(got[n].Data), got[n].IsSync(), len(want[n].Data), want[n].IsSync())
				}
			}
		}
	}
}

// oneTrack returns a track of a fixture as a file of its own. A progressive
// file goes through a Looper, for one round.
func oneTrack(t *testing.T, name string, i int) []byte {
	if name != "progressive.mp4" {
		in, chunks := mustRead(t, fixture(t, name))
		return file(in.Tracks[i], chunks)
	}
	l, err := NewLooper(bytes.NewReader(fixture(t, name)), nil)
	if err != nil {
		t.Fatal(err)
	}
	in, _ := l.Init()
	var chunks []*Chunk
	for range 12 + 20 {
		c, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		chunks = append(chunks, c)
	}
	return file(in.Tracks[i], chunks)
}

func samplesOf(t *testing.T, b []byte) []mp4.FullSample {
	t.Helper()
	f, err := mp4.DecodeFile(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("mp4ff: %v", err)
	}
	var all []mp4.FullSample
	for _, s := range f.Segments {
		for _, fr := range s.Fragments {
			samples, err := fr.GetFullSamples(f.Moov.Mvex.Trex)
			if err != nil {
				t.Fatalf("mp4ff: %v", err)
			}
			all = append(all, samples...)
		}
	}
	return all
}

func TestCaptureTime(t *testing.T) {
	in, chunks := mustRead(t, fixture(t, "prft.mp4"))
	var last int64
	for _, c := range chunks {
		if c.Track != in.Tracks[0].ID {
			continue
		}
		if y := c.Capture.UTC().Year(); y != 2026 {
			t.Errorf("Capture = %v, want a time of 2026, when the fixture was made", c.Capture)
		}
		if ms := c.Capture.UnixMilli(); ms < last {
			t.Errorf("Capture goes back from %d to %d", last, ms)
		} else {
			last = ms
		}
	}
	if last == 0 {
		t.Error("no chunk has a capture time")
	}
}

// TestCaptureOfOtherTrack has one prft before a moof of two tracks.
func TestCaptureOfOtherTrack(t *testing.T) {
	src := fixture(t, "keyframe_empty.mp4")
	prft := []byte{1, 0, 0, 0, 0, 0, 0, 1}                  // of track 1
	prft = append(prft, 0xe8, 0x75, 0x68, 0, 0x80, 0, 0, 0) // half a second past some second
	prft = append(prft, 0, 0, 0, 0, 0, 0, 0x16, 0x90)       // its second chunk, at 5776
	at, _ := where(t, src, "moof.1")
	ref := rawBox("prft", prft...)
	src = slices.Insert(src, at, ref...)
	for _, tfhd := range []string{"moof.1/traf.0/tfhd", "moof.1/traf.1/tfhd", "moof.2/traf.0/tfhd", "moof.2/traf.1/tfhd"} {
		moof, _ := where(t, src, tfhd[:6])
		src = set(t, src, tfhd, 20, uint32(moof)) // base data offset, absolute in the file
	}
	_, chunks := mustRead(t, src)
	var seconds []string
	for _, c := range chunks {
		if !c.Capture.IsZero() {
			seconds = append(seconds, fmt.Sprintf("%d@%d %.4f", c.Track, c.DTS, float64(c.Capture.Nanosecond())/1e9))
		}
	}
	// Audio begins at 9216/16000 s, video at 5776/10240 s, 12 ms earlier.
	if got, want := fmt.Sprint(seconds), "[1@5776 0.5000 2@9216 0.5119]"; got != want {
		t.Errorf("captures = %s, want %s", got, want)
	}
}

func TestSkippedBoxes(t *testing.T) {
	src := fixture(t, "cmaf.mp4")
	_, want := mustRead(t, src)
	at, _ := where(t, src, "moof.3")
	junk := bytes.Join([][]byte{
		rawBox("styp", []byte("msdh\x00\x00\x00\x00")...), rawBox("sidx", make([]byte, 40)...), rawBox("emsg", make([]byte, 60)...),
		rawBox("free"), rawBox("abcd", 1, 2, 3), rawBox("mdat", 9, 9, 9), rawBox("mfra", make([]byte, 16)...),
	}, nil)
	_, got := mustRead(t, slices.Insert(bytes.Clone(src), at, junk...))
	if len(got) != len(want) {
		t.Fatalf("%d chunks, want %d", len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i].Data, want[i].Data) {
			t.Errorf("chunk %d differs", i)
		}
	}
}

// TestBoxBetweenMoofAndMdat has data that is no longer where a plain copy
// would leave it.
func TestBoxBetweenMoofAndMdat(t *testing.T) {
	src := fixture(t, "cmaf.mp4")
	_, want := mustRead(t, src)
	at, _ := where(t, src, "mdat")
	src = slices.Insert(bytes.Clone(src), at, rawBox("free", 1, 2, 3, 4)...)
	trun, _ := where(t, src, "moof/traf/trun")
	src[trun+19] += 12
	in, got := mustRead(t, src)
	if got[0].Samples != want[0].Samples || bytes.Equal(got[0].Data, want[0].Data) {
		t.Errorf("first chunk was not written anew")
	}
	a, b := samplesOf(t, file(in.Tracks[0], got)), samplesOf(t, file(in.Tracks[0], want))
	if !bytes.Equal(a[0].Data, b[0].Data) {
		t.Errorf("sample is %x, want %x", a[0].Data, b[0].Data)
	}
}

func TestSameMoovAgain(t *testing.T) {
	src := fixture(t, "cmaf.mp4")
	_, once := mustRead(t, src)
	_, twice := mustRead(t, slices.Concat(src, src))
	if len(twice) != 2*len(once) {
		t.Errorf("%d chunks, want %d", len(twice), 2*len(once))
	}
}

func TestSmallReads(t *testing.T) {
	src := fixture(t, "keyframe_empty.mp4")
	_, want := mustRead(t, src)
	_, got, err := readAll(iotest.OneByteReader(bytes.NewReader(src)))
	if err != nil || len(got) != len(want) {
		t.Errorf("%d chunks, %v; want %d", len(got), err, len(want))
	}
}

func TestInputErrorIsKept(t *testing.T) {
	src := fixture(t, "cmaf.mp4")
	broken := errors.New("the pipe is broken")
	at, size := where(t, src, "mdat.1")
	for _, n := range []int{at + size, at + 4, at + size/2} {
		r := NewReader(io.MultiReader(bytes.NewReader(src[:n]), iotest.ErrReader(broken)), nil)
		var err error
		for err == nil {
			_, err = r.Next()
		}
		if !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v, want %v in it", n, err, broken)
		}
		if _, again := r.Next(); again != err {
			t.Errorf("after %d bytes: second error %v, want the first", n, again)
		}
	}
}
