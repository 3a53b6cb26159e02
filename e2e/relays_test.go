package e2e

import (
	"slices"
	"testing"
	"time"
)

// TestPathsAtTwoRelays publishes over two paths that end at different relays of a
// cluster. A viewer at a third, which takes the broadcast from both, misses nothing
// when one of them is killed.
func TestPathsAtTwoRelays(t *testing.T) {
	need(t, "ffmpeg", "ffprobe")
	c := newCluster(t)
	port := freePort(t)
	args := slices.Clone(c.args[0])
	for i, a := range args {
		switch a {
		case "--bind":
			args[i+1] = "127.0.0.1:" + port
		case "--node":
			args[i+1] = "moqt://127.0.0.1:" + port
		}
	}
	edge := start(t, nil, nil, "moq-relay", args...)
	admin := edge.await(`msg="admin listening" .*addr=(\S+)`)[1]
	edge.await(`msg="relay ready"`)

	var out, file buffer
	var subs []*proc
	for format, to := range map[string]*buffer{"--json=true": &out, "--json=false": &file} {
		flags := append([]string{"--name", "room/two", format}, c.trust()...)
		s := start(t, nil, to, "moq-sub", append(flags, "moqt://127.0.0.1:"+port)...)
		s.await(`msg="session open"`)
		subs = append(subs, s)
	}
	r, record := tee(t, encode(9, cmaf, picture("320x180"), tone(), x264(), aac()))
	defer r.Close()
	pub := c.client(t, r, nil, "moq-pub", 0, "--name", "room/two", "--path", "a=lo", "--path", "b=lo,relay="+c.url(1))
	eventually(t, 20*time.Second, "two seconds of media", func() bool { return count(&out, "video") > 60 })
	sources := 0
	for _, tr := range stateAt(t, admin).Tracks {
		if tr.Name == "room-two--video" {
			sources = tr.Sources
		}
	}
	if sources != 2 {
		t.Errorf("the viewers' relay takes the video from %d relays, want 2", sources)
	}
	eventually(t, 20*time.Second, "three seconds of media and half a group", func() bool { return count(&out, "video") >= 105 })
	c.relays[0].kill()
	ended(t, 30*time.Second, append(subs, pub)...)

	sent := record.Bytes()
	want := chunkHashes(t, sent)
	got := objects(t, out.Bytes())
	for id, track := range map[uint32]string{1: "video", 2: "audio"} {
		equalLists(t, track, hashes(got[track]), want[id])
		checkSequence(t, track, got[track], true)
	}
	comparePackets(t, file.Bytes(), sent)
}
