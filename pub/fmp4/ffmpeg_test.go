package fmp4

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	cmafFlags = "-movflags cmaf+separate_moof+delay_moov+skip_trailer+frag_every_frame"
	h264      = "-c:v libx264 -preset ultrafast -g 15 -pix_fmt yuv420p"
	aac       = "-c:a aac -b:a 64k"
)

// TestFFmpeg has ffprobe read the tracks as they come out, each alone and all
// merged, and compares packets with those of the input: times, flags, bytes.
func TestFFmpeg(t *testing.T) {
	need(t, "ffmpeg")
	need(t, "ffprobe")
	for _, tt := range []struct {
		name, args string
		codecs     string // by prefix
		untouched  bool   // chunks are the bytes of the input
	}{
		{"per frame", h264 + " -bf 0 -tune zerolatency " + aac + " " + cmafFlags, "avc1.42C00B mp4a.40.2", true},
		{"per frame, B-frames", "-c:v libx264 -preset veryfast -bf 2 -g 15 -pix_fmt yuv420p " + aac + " " + cmafFlags, "avc1.64000B mp4a.40.2", true},
		{"per frame, prft", h264 + " -bf 0 " + aac + " -write_prft wallclock " + cmafFlags, "avc1. mp4a.40.2", true},
		{"GOP, two tracks in a moof", h264 + " -bf 2 " + aac + " -movflags frag_keyframe+empty_moov", "avc1. mp4a.40.2", false},
		{"GOP, default base", h264 + " -bf 2 " + aac + " -movflags frag_keyframe+empty_moov+default_base_moof", "avc1. mp4a.40.2", false},
		{"GOP, first one in moov", h264 + " -bf 0 " + aac + " -movflags frag_keyframe", "avc1. mp4a.40.2", false},
		{"GOP, first one in moov, B-frames", "-c:v libx264 -preset veryfast -bf 2 -g 15 -pix_fmt yuv420p " + aac + " -movflags frag_keyframe", "avc1. mp4a.40.2", false},
		{"100 ms fragments", h264 + " -bf 0 " + aac + " -movflags empty_moov -frag_duration 100000", "avc1. mp4a.40.2", false},
		{"VP9, Opus", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 15 -c:a libopus " + cmafFlags, "vp09.00. opus", true},
		{"AV1, FLAC", "-c:v libsvtav1 -preset 12 -svtav1-params lookahead=0 -g 15 -pix_fmt yuv420p -c:a flac -strict -2 " + cmafFlags, "av01.0. flac", true},
		{"HEVC", "-c:v libx265 -preset ultrafast -x265-params log-level=none -g 15 -pix_fmt yuv420p -tag:v hvc1 " + aac + " " + cmafFlags, "hvc1.1.6.L mp4a.40.2", true},
		{"audio alone", "-map 1 " + aac + " " + cmafFlags, "mp4a.40.2", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			src := filepath.Join(dir, "in.mp4")
			args := "-v error -y -f lavfi -i testsrc2=s=192x108:r=30 -f lavfi -i sine=r=48000 -t 1 " + tt.args + " " + src
			cmd := strings.Fields(args)
			if strings.Contains(args, "libsvtav1") || strings.Contains(args, "libx265") {
				t.Setenv("SVT_LOG", "0") // it writes to stderr whatever -v says
			}
			output(t, "ffmpeg", cmd...)
			data, err := os.ReadFile(src)
			if err != nil {
				t.Fatal(err)
			}
			in, chunks := mustRead(t, data)
			codecs := strings.Fields(tt.codecs)
			if len(in.Tracks) != len(codecs) {
				t.Fatalf("%d tracks, want %d", len(in.Tracks), len(codecs))
			}
			untouched := true
			for _, c := range chunks {
				untouched = untouched && bytes.Contains(data, c.Data)
			}
			if untouched != tt.untouched {
				t.Errorf("chunks untouched = %v, want %v", untouched, tt.untouched)
			}
			var headers [][]byte
			want := packets(t, src)
			for i, tr := range in.Tracks {
				if !strings.HasPrefix(tr.Codec, codecs[i]) {
					t.Errorf("codec = %s, want %s", tr.Codec, codecs[i])
				}
				if tr.Kind == Video && (tr.Width != 192 || tr.Height != 108) || tr.Kind == Audio && (tr.SampleRate != 48000 || tr.Channels != 1) {
					t.Errorf("track = %dx%d, %d Hz, %d channels", tr.Width, tr.Height, tr.SampleRate, tr.Channels)
				}
				headers = append(headers, tr.Header)
				out := filepath.Join(dir, strconv.Itoa(i)+".mp4")
				write(t, out, file(tr, chunks))
				samePackets(t, fmt.Sprintf("track %d alone", i), packets(t, out)[0], want[i])
				sameSamples(t, tr, chunks, want[i])
			}
			merged, _, err := MergeHeaders(headers)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range chunks {
				merged = append(merged, c.Data...)
			}
			out := filepath.Join(dir, "merged.mp4")
			write(t, out, merged)
			got := packets(t, out)
			for i := range in.Tracks {
				samePackets(t, fmt.Sprintf("track %d, merged", i), got[i], want[i])
			}
		})
	}
}

func TestGStreamer(t *testing.T) {
	need(t, "ffprobe")
	src := filepath.Join("testdata", "gstreamer.mp4")
	in, chunks := mustRead(t, fixture(t, "gstreamer.mp4"))
	want := packets(t, src)
	for i, tr := range in.Tracks {
		out := filepath.Join(t.TempDir(), "out.mp4")
		write(t, out, file(tr, chunks))
		samePackets(t, fmt.Sprintf("track %d", i), packets(t, out)[0], want[i])
	}
}

// TestLoopedFile decodes three rounds: the picture must never go back in time.
func TestLoopedFile(t *testing.T) {
	need(t, "ffmpeg")
	need(t, "ffprobe")
	for _, flags := range []string{"", "-movflags faststart", "-movflags frag_keyframe", cmafFlags} {
		t.Run(flags, func(t *testing.T) {
			dir := t.TempDir()
			src := filepath.Join(dir, "in.mp4")
			output(t, "ffmpeg", strings.Fields("-v error -y -f lavfi -i testsrc2=s=192x108:r=30 -f lavfi -i sine=r=44100 -t 1 "+h264+" -bf 2 "+aac+" "+flags+" "+src)...)
			f, err := os.Open(src)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			l, err := NewLooper(f, nil)
			if err != nil {
				t.Fatal(err)
			}
			in, _ := l.Init()
			var chunks []*Chunk
			for l.rounds < 3 {
				c, err := l.Next()
				if err != nil {
					t.Fatal(err)
				}
				if l.rounds < 3 {
					chunks = append(chunks, c)
				}
			}
			out := filepath.Join(dir, "out.mp4")
			write(t, out, file(in.Tracks[0], chunks))
			list := packets(t, out)[0]
			if len(list) != 90 {
				t.Errorf("%d frames, want 90", len(list))
			}
			output(t, "ffmpeg", "-v", "error", "-i", out, "-f", "null", "-")
		})
	}
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// packets returns the packets of a file by stream: times, flags and a hash of the
// bytes of each.
func packets(t *testing.T, name string) map[int][]string {
	t.Helper()
	out := output(t, "ffprobe", "-v", "error", "-show_packets", "-show_data_hash", "md5",
		"-show_entries", "packet=stream_index,pts_time,dts_time,size,flags,data_hash", "-of", "csv=p=0", name)
	list := make(map[int][]string)
	for _, line := range strings.Fields(out) {
		index, packet, _ := strings.Cut(line, ",")
		stream, err := strconv.Atoi(index)
		if err != nil {
			t.Fatalf("ffprobe of %s: %q", name, line)
		}
		list[stream] = append(list[stream], packet)
	}
	return list
}

// samePackets compares streams of two files; what names the first.
func samePackets(t *testing.T, what string, got, want []string) {
	t.Helper()
	if len(got) != len(want) || len(got) == 0 {
		t.Errorf("%s: %d packets, want %d", what, len(got), len(want))
		return
	}
	for n := range got {
		if got[n] != want[n] {
			t.Errorf("%s: packet %d = %s, want %s", what, n, got[n], want[n])
			return
		}
	}
}
