package docs

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestFFmpeg runs the command lines that are marked "try N" for one and a half
// seconds of media, and publishes what comes out to a relay. N is how many
// objects that has to make at least.
func TestFFmpeg(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		if os.Getenv("TRIBUTARY_REQUIRE") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	relay := "moqt://" + start(t, "relay ready", append([]string{"moq-relay"}, listenFlags(t)...)...).bind
	ffmpeg(t, dir, []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=30", "-f", "lavfi", "-i", "sine=r=48000", "-t", "3",
		"-c:v", "libx264", "-g", "30", "-pix_fmt", "yuv420p", "-c:a", "aac", "film.mp4"})
	count := 0
	for _, p := range pages(t) {
		for _, b := range blocks(p) {
			if len(b.mark) < 5 || b.mark[:4] != "try " {
				continue
			}
			least, err := strconv.Atoi(b.mark[4:])
			if err != nil {
				t.Fatalf("%s: %v", b.where(), err)
			}
			for _, cmd := range invocations(b.text) {
				if cmd[0] == "ffmpeg" {
					count++
					t.Run(b.where(), func(t *testing.T) { tryFFmpeg(t, dir, relay, cmd[1:], least) })
				}
			}
		}
	}
	if count < 3 {
		t.Errorf("tried %d command lines, want at least 3", count)
	}
}

var inputEnded = regexp.MustCompile(`objects=(\d+) dropped=(\d+)`)

func tryFFmpeg(t *testing.T, dir, relay string, args []string, least int) {
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "-re" })
	if args[len(args)-1] != "-" {
		t.Fatalf("%v does not write to stdout", args)
	}
	media := ffmpeg(t, dir, append(append([]string{"-v", "error", "-nostdin"}, args[:len(args)-1]...), "-t", "1.5", "-"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	pub := exec.CommandContext(ctx, filepath.Join(bin, "moq-pub"), "--tls-disable-verify", "--name", "docs/ffmpeg", relay)
	pub.Stdin = bytes.NewReader(media)
	out, err := pub.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	m := inputEnded.FindSubmatch(out)
	if m == nil {
		t.Fatalf("moq-pub does not tell how many objects there were:\n%s", out)
	}
	if n, err := strconv.Atoi(string(m[1])); err != nil || n < least || string(m[2]) != "0" {
		t.Errorf("%s, want at least %d objects and none dropped", m[0], least)
	}
}

func ffmpeg(t *testing.T, dir string, args []string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ffmpeg", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg %v in %s: %v\n%s", args, filepath.Base(dir), err, stderr.Bytes())
	}
	return out
}
