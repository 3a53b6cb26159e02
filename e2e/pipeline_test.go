package e2e

import (
	"slices"
	"testing"
	"time"
)

// What ffmpeg wrote arrives through two relays from its first frame to its last:
// as packets with their times in the file of one subscriber, and byte for byte in
// the objects of another. Both came before the publisher.
func TestEveryByteArrives(t *testing.T) {
	need(t, "ffmpeg", "ffprobe")
	c := newCluster(t)
	var file, lines buffer
	subscribers := []*proc{
		c.client(t, nil, &file, "moq-sub", 1, "--name", "room/camera"),
		c.client(t, nil, &lines, "moq-sub", 1, "--name", "room/camera", "--json"),
	}
	for _, s := range subscribers {
		s.await(`msg="session open"`)
	}
	pub, record := c.publish(t, 0, encode(6, cmaf, picture("640x360"), tone(), x264(), aac()), "--name", "room/camera")
	ended(t, 20*time.Second, append(subscribers, pub)...)

	sent := record.Bytes()
	comparePackets(t, file.Bytes(), sent)
	got, want := objects(t, lines.Bytes()), chunkHashes(t, sent)
	for id, track := range map[uint32]string{1: "video", 2: "audio"} {
		if len(want[id]) < 150 {
			t.Fatalf("the encoder wrote %d chunks of %s", len(want[id]), track)
		}
		equalLists(t, track+" objects", hashes(got[track]), want[id])
		checkSequence(t, track, got[track], true)
	}
	t.Logf("%d bytes, %d video and %d audio objects, all equal", len(sent), len(got["video"]), len(got["audio"]))
}

// Inputs as people have them. Where moq-pub must rewrite them, what a decoder is
// given stays the same.
func TestInputs(t *testing.T) {
	need(t, "ffmpeg", "ffprobe")
	c := newCluster(t)
	const seconds = 4
	small := picture("320x180")
	for _, tt := range []struct {
		name   string
		ffmpeg []string
		warns  string // what moq-pub says of it
	}{
		{"fragment-per-gop", encode(seconds, "frag_keyframe+empty_moov", small, tone(), x264(), aac()), ""},
		{"first-gop-in-moov", encode(seconds, "frag_keyframe", small, tone(), x264(), aac()), ""},
		{"sound-alone", encode(seconds, cmaf, tone(), aac()), ""},
		{"picture-alone", encode(seconds, cmaf, small, x264()), ""},
		{"b-frames-long-gop", encode(seconds, "frag_keyframe+empty_moov+default_base_moof", small, tone(),
			[]string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "75", "-pix_fmt", "yuv420p"}, aac()), "B-frames"},
		{"faster-than-it-plays", encode(seconds, cmaf, []string{"-f", "lavfi", "-i", "testsrc2=s=320x180:r=30", "-f", "lavfi", "-i", "sine=r=48000"}, x264(), aac()), ""},
		{"hevc", encode(seconds, cmaf, small, tone(), x265(), aac()), ""},
		{"av1-opus", encode(seconds, cmaf, picture("160x90"), tone(),
			[]string{"-c:v", "libsvtav1", "-preset", "12", "-g", "30", "-svtav1-params", "pred-struct=1", "-pix_fmt", "yuv420p", "-c:a", "libopus"}), ""},
		{"vp9-opus", encode(seconds, cmaf, small, tone(),
			[]string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "30", "-pix_fmt", "yuv420p", "-c:a", "libopus"}), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var file buffer
			sub := c.client(t, nil, &file, "moq-sub", 1, "--name", "in/"+tt.name)
			sub.await(`msg="session open"`)
			began := time.Now()
			pub, record := c.publish(t, 0, tt.ffmpeg, "--name", "in/"+tt.name)
			ended(t, 40*time.Second, pub, sub)
			// Of what comes faster than it plays, moq-pub sends a second ahead.
			if took := time.Since(began); took < (seconds*1000-1200)*time.Millisecond {
				t.Errorf("%d seconds of media took %v", seconds, took)
			}
			comparePackets(t, file.Bytes(), record.Bytes())
			if tt.warns != "" {
				pub.await(tt.warns)
			}
		})
	}
}

// A name that nobody gave is made up, told, and plays.
func TestMadeUpName(t *testing.T) {
	c := newCluster(t)
	name := c.client(t, nil, nil, "moq-pub", 0, append(quiet, "--test")...).await(`^moq-pub: publishing as (live/[a-z0-9]{8})$`)[1]
	var out buffer
	c.client(t, nil, &out, "moq-sub", 1, "--name", name, "--json")
	eventually(t, 10*time.Second, "media of "+name, func() bool { return count(&out, "video") > 0 })
}

// The flags of moq-sub that choose: a track, a time, and how far to go back.
func TestSubscriberFlags(t *testing.T) {
	c := newCluster(t)
	c.client(t, nil, nil, "moq-pub", 0, "--name", "room/camera", "--test").await("msg=publishing")
	var wait buffer
	c.client(t, nil, &wait, "moq-sub", 1, "--name", "room/camera", "--json")
	eventually(t, 10*time.Second, "4 s of media", func() bool { return count(&wait, "video") > 120 })

	var one, back buffer
	ended(t, 10*time.Second, c.client(t, nil, &one, "moq-sub", 0, "--name", "/room/camera/", "--json", "--track", "audio", "--duration", "3s"))
	got := objects(t, one.Bytes())
	if len(got) != 1 || len(got["audio"]) < 40 {
		t.Errorf("--track audio: %d tracks, %d audio objects in 3 s, and less for the start", len(got), len(got["audio"]))
	}
	began := time.Now()
	ended(t, 10*time.Second, c.client(t, nil, &back, "moq-sub", 1, "--name", "room/camera", "--json", "--back", "2", "--duration", "2s"))
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("--duration 2s took %v", took)
	}
	video := objects(t, back.Bytes())["video"]
	if len(video) < 75 { // two groups of 30, what there is of the third, and some of two seconds
		t.Errorf("--back 2: %d objects in two seconds, want those of two groups more", len(video))
	}
	checkSequence(t, "--back 2", video, true)
	if i := slices.IndexFunc(video, func(o object) bool { return o.Group != video[0].Group }); i != 30 {
		t.Errorf("--back 2: the first group has %d objects, want 30", i)
	}
}
