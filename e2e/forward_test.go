package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tributary-live/tributary/rtmp/rtmptest"
)

// packet is what counts of one: times in milliseconds, whether it is a key frame,
// and a hash of its data.
type packet struct {
	pts, dts float64
	key      bool
	hash     string
}

// timed returns the packets of a file, by kind of stream.
func timed(t *testing.T, file string) map[string][]packet {
	t.Helper()
	ms := func(s string) float64 {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatalf("ffprobe of %s: %v", file, err)
		}
		return 1000 * v
	}
	list := make(map[string][]packet)
	for _, p := range probe(t, file) {
		list[p.Codec] = append(list[p.Codec], packet{ms(p.PTSTime), ms(p.DTSTime), strings.HasPrefix(p.Flags, "K"), p.Hash})
	}
	return list
}

// compareForwarded checks that what a server got is what the encoder made, from a
// key frame to the end: the same data, at the same times from a common zero, which
// is that key frame's decode time.
//
// Where frames are reordered ffprobe shows the encoder's video as much too late as
// decoding takes, and leaves the sound where it is; the server has both right.
func compareForwarded(t *testing.T, got, made map[string][]packet) {
	t.Helper()
	if len(got["video"]) == 0 || len(got) != len(made) {
		t.Fatalf("got %d frames of %d kinds, want %d kinds", len(got["video"]), len(got), len(made))
	}
	first := got["video"][0]
	if !first.key || first.dts != 0 {
		t.Errorf("begins with %+v, want a key frame at 0", first)
	}
	zero := math.NaN()
	for _, p := range made["video"] {
		if p.hash == first.hash && p.key {
			zero = p.dts
		}
	}
	for kind, list := range made {
		shift := 0.0
		if kind == "audio" {
			shift = first.pts
		}
		var want []packet
		for _, p := range list {
			if p.dts += shift - zero; p.dts >= 0 {
				p.pts += shift - zero
				want = append(want, p)
			}
		}
		if len(got[kind]) != len(want) {
			t.Errorf("%s: got %d packets, want %d from %v ms on", kind, len(got[kind]), len(want), zero)
		}
		for i := range min(len(want), len(got[kind])) {
			g, w := got[kind][i], want[i]
			if g.hash != w.hash || math.Abs(g.pts-w.pts) > 1.001 || math.Abs(g.dts-w.dts) > 1.001 || kind == "video" && g.key != w.key {
				t.Errorf("%s packet %d of %d is %+v, want %+v", kind, i, len(want), g, w)
				break
			}
		}
	}
}

// listen has ffmpeg take one stream at a port and write it to a file.
func listen(t *testing.T, port string) (*proc, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "got.flv")
	p := start(t, nil, nil, "ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-listen", "1",
		"-i", "rtmp://127.0.0.1:"+port+"/live/"+streamKey, "-c", "copy", "-f", "flv", "-flush_packets", "1", file)
	return p, file
}

const streamKey = "secretkey-0123"

// target is a line that moq-sub --rtmp prints.
type target struct {
	Target     string `json:"target"`
	State      string `json:"state"`
	Frames     int    `json:"frames"`
	Dropped    int    `json:"dropped"`
	Reconnects int    `json:"reconnects"`
}

// lastLine returns the last line about a target.
func lastLine(t *testing.T, lines []byte, port string) target {
	t.Helper()
	var last target
	for line := range bytes.Lines(lines) {
		var s target
		if !bytes.HasSuffix(line, []byte("\n")) {
			continue
		}
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		if strings.Contains(s.Target, ":"+port+"/") {
			last = s
		}
	}
	return last
}

// forwardTo runs moq-sub with the keys of targets in a file.
func (c *cluster) forwardTo(t *testing.T, names []string, ports ...string) (*proc, *buffer) {
	t.Helper()
	var urls strings.Builder
	for _, p := range ports {
		fmt.Fprintf(&urls, "rtmp://127.0.0.1:%s/live/%s\n", p, streamKey)
	}
	lines := &buffer{}
	args := []string{"--rtmp", "@" + writeFile(t, "targets", []byte(urls.String()))}
	for _, n := range names {
		args = append(args, "--name", n)
	}
	s := c.client(t, nil, lines, "moq-sub", 1, args...)
	t.Cleanup(func() {
		for what, text := range map[string]string{"log": s.log(), "output": string(lines.Bytes()), "command line": strings.Join(s.cmd.Args, " ")} {
			if strings.Contains(text, "secretkey") {
				t.Errorf("the key is in moq-sub's %s", what)
			}
		}
	})
	return s, lines
}

// TestForward has a broadcast cross two relays and end up, over RTMP, in ffmpeg,
// while another target does not even shake hands.
func TestForward(t *testing.T) {
	need(t, "ffmpeg", "ffprobe")
	c := newCluster(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	_, silentPort, _ := net.SplitHostPort(silent.Addr().String())
	for name, video := range map[string][]string{
		"h264":     x264(),
		"b-frames": {"-c:v", "libx264", "-preset", "veryfast", "-g", "30", "-bf", "2", "-pix_fmt", "yuv420p"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := freePort(t)
			server, file := listen(t, port)
			s, lines := c.forwardTo(t, []string{"live/" + name}, port, silentPort)
			p, record := c.publish(t, 0, encode(5, cmaf, picture("320x180"), tone(), video, aac()), "--name", "live/"+name)
			ended(t, 40*time.Second, p, s)
			server.wait(10 * time.Second) // whatever it thinks of the end
			compareForwarded(t, timed(t, file), timed(t, writeFile(t, "made.mp4", record.Bytes())))
			if l := lastLine(t, lines.Bytes(), port); l.State != "ended" || l.Frames < 300 || l.Dropped > 0 || l.Reconnects != 0 {
				t.Errorf("the target has %+v, want all frames", l)
			}
			if l := lastLine(t, lines.Bytes(), silentPort); l.Frames != 0 {
				t.Errorf("the target that says nothing has %+v", l)
			}
		})
	}
}

// received is what came on one connection.
type received struct {
	headers []string // codecs, in the order of their headers
	packets map[string][]packet
}

// receive serves RTMP until it is waited for, and returns its port.
func receive(t *testing.T) (port string, wait func() []*received) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var list []*received
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			r := &received{packets: make(map[string][]packet)}
			list = append(list, r)
			r.read(t, conn)
			conn.Close()
		}
	})
	wait = func() []*received {
		ln.Close()
		wg.Wait()
		return list
	}
	t.Cleanup(func() { wait() })
	_, port, _ = net.SplitHostPort(ln.Addr().String())
	return port, wait
}

func (r *received) read(t *testing.T, conn net.Conn) {
	s, err := rtmptest.Accept(conn)
	if err != nil {
		t.Error(err)
		return
	}
	for {
		p, err := s.Next()
		if err != nil {
			return
		}
		kind, key := "audio", true
		if p.Video {
			kind, key = "video", p.Key || p.Codec == "hvc1" && isIRAP(p.Data)
		}
		if p.Header {
			r.headers = append(r.headers, p.Codec)
			continue
		}
		sum := fmt.Sprintf("SHA256:%x", sha256.Sum256(p.Data))
		r.packets[kind] = append(r.packets[kind], packet{1000 * p.PTS.Seconds(), 1000 * p.DTS.Seconds(), key, sum})
	}
}

// TestForwardHEVC sends HEVC, with frames out of order, as Enhanced RTMP has it.
func TestForwardHEVC(t *testing.T) {
	need(t, "ffmpeg", "ffprobe")
	c := newCluster(t)
	port, wait := receive(t)
	s, _ := c.forwardTo(t, []string{"live/hevc"}, port)
	x265 := []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=30:min-keyint=30:scenecut=0:open-gop=0:bframes=2:log-level=none", "-tag:v", "hvc1", "-pix_fmt", "yuv420p"}
	p, record := c.publish(t, 0, encode(4, cmaf, picture("320x180"), tone(), x265, aac()), "--name", "live/hevc")
	ended(t, 40*time.Second, p, s)
	got := wait()
	if len(got) != 1 || fmt.Sprint(got[0].headers) != "[hvc1 mp4a]" {
		t.Fatalf("%d connections, want one with headers of hvc1 and mp4a", len(got))
	}
	compareForwarded(t, got[0].packets, timed(t, writeFile(t, "made.mp4", record.Bytes())))
}

// TestForwardCameras kills one of two cameras: the server gets the other on the
// same connection, from a key frame on, and its time goes on.
func TestForwardCameras(t *testing.T) {
	need(t, "ffmpeg", "ffprobe")
	c := newCluster(t)
	port, wait := receive(t)
	first, _ := c.publish(t, 0, encode(60, cmaf, picture("320x180"), tone(), x264(), aac()), "--name", "cam/a")
	s, lines := c.forwardTo(t, []string{"cam/a", "cam/b"}, port)
	s.await(`msg="camera shown" ns=cam/a`)
	spare, record := c.publish(t, 1, encode(14, cmaf, picture("320x180"), tone(), []string{"-vf", "hflip"}, x264(), aac()), "--name", "cam/b")
	spare.await("msg=publishing")
	eventually(t, 20*time.Second, "3 s of the first camera", func() bool { return lastLine(t, lines.Bytes(), port).Frames > 230 })
	first.kill()
	ended(t, 40*time.Second, spare, s)
	got := wait()
	if len(got) != 1 || fmt.Sprint(got[0].headers) != "[avc1 mp4a]" {
		t.Fatalf("%d connections, want one, with headers at its beginning alone", len(got))
	}
	of := make(map[string]bool) // what is of the second camera
	for _, p := range timed(t, writeFile(t, "made.mp4", record.Bytes()))["video"] {
		of[p.hash] = true
	}
	video := got[0].packets["video"]
	second := 0
	for i, p := range video {
		switch {
		case of[p.hash] && second == 0 && !p.key:
			t.Errorf("the second camera begins with %+v, want a key frame", p)
		case second > 0 && !of[p.hash]:
			t.Errorf("frame %d is of the first camera, after %d of the second", i, second)
		}
		if of[p.hash] {
			second++
		}
		if i > 0 && (p.dts < video[i-1].dts || p.dts > video[i-1].dts+200) {
			t.Errorf("frame %d is at %v ms, after %v ms", i, p.dts, video[i-1].dts)
		}
	}
	if len(video)-second < 80 || second < 60 {
		t.Errorf("%d frames, %d of them of the second camera", len(video), second)
	}
}

// isIRAP reports whether HEVC, as NAL units behind their lengths, holds a picture
// that needs no other.
func isIRAP(b []byte) bool {
	for len(b) > 5 {
		n := int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		if kind := b[4] >> 1 & 63; kind >= 16 && kind <= 23 {
			return true
		}
		b = b[min(len(b), 4+n):]
	}
	return false
}

// TestForwardTargetRestarts kills a server in the middle and starts it again.
func TestForwardTargetRestarts(t *testing.T) {
	need(t, "ffmpeg", "ffprobe")
	c := newCluster(t)
	port, otherPort := freePort(t), freePort(t)
	server, file := listen(t, port)
	other, otherFile := listen(t, otherPort)
	s, lines := c.forwardTo(t, []string{"live/restart"}, port, otherPort)
	p, record := c.publish(t, 0, encode(14, cmaf, picture("320x180"), tone(), x264(), aac()), "--name", "live/restart")
	eventually(t, 20*time.Second, "the server has frames", func() bool {
		info, err := os.Stat(file)
		return err == nil && info.Size() > 100_000
	})
	server.kill()
	s.await(`msg="target failed, will be tried again" .*127.0.0.1:` + port)
	again, file := listen(t, port)
	ended(t, 60*time.Second, p, s)
	again.wait(10 * time.Second)
	other.wait(10 * time.Second)
	made := timed(t, writeFile(t, "made.mp4", record.Bytes()))
	compareForwarded(t, timed(t, otherFile), made) // did not notice
	compareForwarded(t, timed(t, file), made)
	if complaints := output(t, nil, "ffmpeg", "-v", "error", "-i", file, "-f", "null", "-"); len(complaints) > 0 {
		t.Errorf("what comes after does not decode: %s", complaints)
	}
	if l := lastLine(t, lines.Bytes(), port); l.Reconnects != 1 || l.Dropped == 0 {
		t.Errorf("the target has %+v, want one reconnect and what was dropped", l)
	}
	if l := lastLine(t, lines.Bytes(), otherPort); l.Reconnects != 0 || l.Dropped != 0 {
		t.Errorf("the other target has %+v", l)
	}
}
