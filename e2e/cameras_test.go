package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// One camera of two is killed. Who receives both gets whole objects of the one and
// then the other's from the start of a group on, as MP4 that decodes without a word
// of complaint: one file where the cameras encode alike, else a second header.
func TestCameras(t *testing.T) {
	need(t, "ffmpeg", "ffprobe")
	c := newCluster(t)
	for _, tt := range []struct {
		name    string
		spare   [][]string // its picture and encoder
		headers int
	}{
		{"alike", [][]string{colour("blue", "320x180"), tone(), x264(), aac()}, 1},
		{"of-another-size", [][]string{{"-re", "-f", "lavfi", "-i", "color=c=blue:s=640x360:r=25"}, tone(), x264(), aac()}, 1},
		{"of-another-kind", [][]string{colour("blue", "640x360"), tone(), x265(), aac()}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, b := tt.name+"/a", tt.name+"/b"
			first, _ := c.publish(t, 0, encode(60, cmaf, colour("red", "320x180"), tone(), x264(), aac()), "--name", a)
			first.await("msg=input track=video") // else the spare would be shown first
			spare, _ := c.publish(t, 1, encode(14, cmaf, tt.spare...), "--name", b)
			spare.await("msg=input track=video")
			var file, lines buffer
			receive := []*proc{
				c.client(t, nil, &file, "moq-sub", 1, "--name", a, "--name", b),
				c.client(t, nil, &lines, "moq-sub", 1, "--name", a, "--name", b, "--json"),
			}
			for _, r := range receive {
				r.await(`msg="camera shown" ns=` + a)
			}
			eventually(t, 20*time.Second, "5 s of the first camera", func() bool { return bytes.Count(lines.Bytes(), []byte(`"video"`)) > 150 })
			first.kill()
			killed := time.Now()
			for _, r := range receive {
				r.await(`msg="camera shown" ns=` + b)
			}
			took := time.Since(killed)
			ended(t, 40*time.Second, append(receive, spare)...)
			if most := 3 * time.Second; took > most { // 0.7 s of silence, and what a busy machine takes
				t.Errorf("the second camera after %v, want %v at most", took, most)
			}
			gap := checkCameras(t, lines.Bytes(), a, b)

			parts := bytes.SplitAfter(file.Bytes(), []byte("ftypiso6"))
			if n := len(parts) - 1; n != tt.headers {
				t.Fatalf("%d headers, want %d", n, tt.headers)
			}
			var colours []byte
			rest := file.Bytes()
			if tt.headers == 2 {
				cut := len(parts[0]) + len(parts[1]) - 12 // the box begins with its size
				colours = append(colours, decode(t, rest[:cut])...)
				rest = rest[cut:]
			}
			colours = append(colours, decode(t, rest)...)
			red, blue := bytes.Count(colours, []byte("r")), bytes.Count(colours, []byte("b"))
			if want := append(bytes.Repeat([]byte("r"), red), bytes.Repeat([]byte("b"), blue)...); red < 100 || blue < 60 || !bytes.Equal(colours, want) {
				t.Errorf("pictures %s, want red ones and then blue ones", colours)
			}
			t.Logf("the second camera %v after the first was killed, %v without an object; %d pictures, then %d", took, gap, red, blue)
		})
	}
}

func colour(name, size string) []string {
	return []string{"-re", "-f", "lavfi", "-i", "color=c=" + name + ":s=" + size + ":r=30"}
}

// checkCameras checks the objects of two cameras and returns how long there was
// none between them.
func checkCameras(t *testing.T, lines []byte, a, b string) (gap time.Duration) {
	t.Helper()
	byCamera := make(map[string][]byte)
	var last struct {
		Name    string `json:"name"`
		Arrival int64  `json:"arrival_us"`
	}
	for line := range bytes.Lines(lines) {
		now := last
		if err := json.Unmarshal(line, &now); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		if last.Name == b && now.Name == a {
			t.Fatalf("an object of %s after those of %s", a, b)
		}
		if last.Name == a && now.Name == b {
			gap = time.Duration(now.Arrival-last.Arrival) * time.Microsecond
		}
		byCamera[now.Name] = append(byCamera[now.Name], line...)
		last = now
	}
	for _, name := range []string{a, b} {
		got := objects(t, byCamera[name])
		for track, list := range got {
			checkSequence(t, name+" "+track, list, track == "video")
		}
		if len(got["video"]) == 0 || len(got["audio"]) == 0 {
			t.Errorf("%s: %d objects of video, %d of audio", name, len(got["video"]), len(got["audio"]))
		}
	}
	return gap
}

// decode decodes the pictures of an MP4 and returns for each r or b, whether it is
// more red or more blue. Nothing may be wrong with the file.
func decode(t *testing.T, mp4 []byte) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "decode.mp4")
	if err := os.WriteFile(file, mp4, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"ffprobe", "-v", "warning", "-show_packets", "-of", "csv", file},
		{"ffmpeg", "-v", "warning", "-xerror", "-i", file, "-f", "null", "-"},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Run(); err != nil || said.Len() > 0 {
			t.Errorf("%s: %v\n%s", args[0], err, said.Bytes())
		}
	}
	var colours []byte
	pixels := output(t, nil, "ffmpeg", "-v", "error", "-i", file, "-map", "0:v", "-fps_mode", "passthrough", "-vf", "scale=1:1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
	for i := 0; i+3 <= len(pixels); i += 3 {
		if pixels[i] > pixels[i+2] {
			colours = append(colours, 'r')
		} else {
			colours = append(colours, 'b')
		}
	}
	return colours
}
