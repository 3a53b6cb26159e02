package e2e

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// upstreamBytes returns what relay 1 has received from the one publisher.
func (c *cluster) upstreamBytes(t *testing.T) uint64 {
	t.Helper()
	var bytes uint64
	n := 0
	for _, s := range c.state(t, 0).Sessions {
		if s.Namespaces > 0 {
			bytes += s.BytesReceived
			n++
		}
	}
	if n != 1 {
		t.Fatalf("%d sessions at relay 1 announce something, want 1", n)
	}
	return bytes
}

// The publisher sends the same with fifty subscribers as with one.
func TestUpstreamDoesNotGrow(t *testing.T) {
	const many = 50
	const span = 5 * time.Second
	c := newCluster(t)
	c.client(t, nil, nil, "moq-pub", 0, "--name", "room/camera", "--test").await("msg=publishing")
	var first buffer
	c.client(t, nil, &first, "moq-sub", 1, "--name", "room/camera", "--json")
	video := func(b *buffer) int { return count(b, "video") }
	eventually(t, 10*time.Second, "media at the first subscriber", func() bool { return video(&first) > 30 })

	// Both spans are whole seconds of a clip that is as large in each loop only
	// about; what it differs by is less than what a second copy would be.
	during := func() (bytes uint64, objects int) {
		b, o := c.upstreamBytes(t), video(&first)
		late := time.NewTimer(span)
		<-late.C
		return c.upstreamBytes(t) - b, video(&first) - o
	}
	one, oneObjects := during()
	outs := make([]buffer, many-1)
	for i := range outs {
		c.client(t, nil, &outs[i], "moq-sub", i%2, "--name", "room/camera", "--json", "--log-level", "warn")
	}
	eventually(t, 30*time.Second, "media at all subscribers", func() bool {
		for i := range outs {
			if outs[i].Len() == 0 {
				return false
			}
		}
		return true
	})
	all, allObjects := during()
	t.Logf("publisher to relay 1 in %v: %d bytes with 1 subscriber (%d video objects), %d bytes with %d (%d video objects): ratio %.3f",
		span, one, oneObjects, all, many, allObjects, float64(all)/float64(one))
	if ratio := float64(all) / float64(one); ratio > 1.2 || ratio < 0.8 {
		t.Errorf("with %d subscribers the publisher sends %.2f times as much", many, ratio)
	}
	for i := range outs {
		for track, list := range objects(t, outs[i].Bytes()) {
			checkSequence(t, track, list, true)
		}
	}
	for r, want := range []int{25, 25} {
		for _, tr := range c.state(t, r).Tracks {
			if tr.Name == "room-camera--video" && (tr.Sources != 1 || tr.Subscribers < want) {
				t.Errorf("relay %d: video has %d sources and %d subscribers, want 1 and at least %d", r+1, tr.Sources, tr.Subscribers, want)
			}
		}
	}
}

// Two publishers of the same bytes under one name are one broadcast: every
// subscriber sees each object once, and all of them after one publisher was
// killed.
func TestTwinPublishers(t *testing.T) {
	need(t, "ffmpeg", "ffprobe")
	c := newCluster(t)
	var file buffer
	outs := make([]buffer, 4)
	var subs []*proc
	for i := range outs {
		subs = append(subs, c.client(t, nil, &outs[i], "moq-sub", i%2, "--name", "room/twins", "--json"))
	}
	subs = append(subs, c.client(t, nil, &file, "moq-sub", 1, "--name", "room/twins"))
	for _, s := range subs {
		s.await(`msg="session open"`)
	}

	r, record := tee(t, encode(9, cmaf, picture("320x180"), tone(), x264(), aac()))
	defer r.Close()
	inputs := make([]*os.File, 2)
	pubs := make([]*proc, 2)
	for i := range pubs {
		in, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		inputs[i] = w
		pubs[i] = c.client(t, in, nil, "moq-pub", 0, "--name", "room/twins", "--first-group", "1000")
		in.Close()
		pubs[i].await("msg=publishing")
	}
	var copying sync.WaitGroup
	copying.Go(func() { copyToAll(r, inputs) })
	video := func(b *buffer) int { return count(b, "video") }
	eventually(t, 20*time.Second, "two seconds of media", func() bool { return video(&outs[1]) > 60 })
	for _, tr := range c.state(t, 0).Tracks {
		if tr.Name == "room-twins--video" && tr.Sources != 2 {
			t.Errorf("relay 1 hears %d publishers, want 2", tr.Sources)
		}
	}
	eventually(t, 20*time.Second, "three seconds of media and half a group", func() bool { return video(&outs[1]) >= 105 })
	pubs[0].kill()
	ended(t, 30*time.Second, append(subs, pubs[1])...)
	copying.Wait()

	sent := record.Bytes()
	want := chunkHashes(t, sent)
	for i := range outs {
		got := objects(t, outs[i].Bytes())
		for id, track := range map[uint32]string{1: "video", 2: "audio"} {
			equalLists(t, track, hashes(got[track]), want[id])
			checkSequence(t, track, got[track], true)
		}
	}
	comparePackets(t, file.Bytes(), sent)
	t.Logf("%d video and %d audio objects, each once at %d subscribers; a publisher was killed after %s", len(want[1]), len(want[2]), len(outs), "105 frames")
}

// copyToAll copies r to all pipes until it ends, then closes them. One that is
// broken is left out.
func copyToAll(r *os.File, to []*os.File) {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		for _, w := range to {
			w.Write(buf[:n])
		}
		if err != nil {
			break
		}
	}
	for _, w := range to {
		w.Close()
	}
}

// The same file in a loop, paced by each publisher's own clock, is a twin too.
func TestTwinLoops(t *testing.T) {
	c := newCluster(t)
	clip, err := filepath.Abs("../pub/clip/clip.mp4")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--name", "room/loops", "--loop", clip, "--first-group", "5000"}
	first := c.client(t, nil, nil, "moq-pub", 0, args...)
	first.await("msg=publishing")
	var out buffer
	sub := c.client(t, nil, &out, "moq-sub", 1, "--name", "room/loops", "--json", "--back", "1000")
	video := func() int { return count(&out, "video") }
	eventually(t, 10*time.Second, "half a second of media", func() bool { return video() > 15 })
	second := c.client(t, nil, nil, "moq-pub", 0, args...)
	second.await("msg=publishing")
	n := video()
	eventually(t, 10*time.Second, "two seconds of media", func() bool { return video() > n+60 })
	first.kill()
	n = video()
	eventually(t, 10*time.Second, "two seconds of media after the first was killed", func() bool { return video() > n+60 })
	sub.stop()
	for track, list := range objects(t, out.Bytes()) {
		checkSequence(t, track, list, true)
	}
}
