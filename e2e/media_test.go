package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"io"
)

// cmaf are the flags of ffmpeg by which moq-pub passes every chunk through as it
// is.
const cmaf = "cmaf+separate_moof+delay_moov+skip_trailer+frag_every_frame"

// picture and tone are inputs of ffmpeg that come as fast as they play.
func picture(size string) []string {
	return []string{"-re", "-f", "lavfi", "-i", "testsrc2=s=" + size + ":r=30"}
}

func tone() []string {
	return []string{"-re", "-f", "lavfi", "-i", "sine=f=440:r=48000"}
}

// x264, x265 and aac encode as a live encoder should.
func x264() []string {
	return []string{"-c:v", "libx264", "-preset", "veryfast", "-g", "30", "-bf", "0", "-tune", "zerolatency", "-pix_fmt", "yuv420p"}
}

func x265() []string {
	return []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=30:bframes=0:log-level=none", "-tag:v", "hvc1", "-pix_fmt", "yuv420p"}
}

func aac() []string { return []string{"-c:a", "aac", "-b:a", "96k"} }

// encode returns the arguments of ffmpeg for so many seconds of MP4 on stdout.
func encode(seconds float64, movflags string, parts ...[]string) []string {
	args := slices.Concat([]string{"-hide_banner", "-loglevel", "error", "-nostdin"}, slices.Concat(parts...))
	return append(args, "-t", fmt.Sprint(seconds), "-f", "mp4", "-movflags", movflags, "-")
}

// tee runs ffmpeg and returns what it writes, as a pipe and as a record.
func tee(t *testing.T, ffmpeg []string) (*os.File, *buffer) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	record := &buffer{}
	enc := start(t, nil, io.MultiWriter(record, w), "ffmpeg", ffmpeg...)
	go func() {
		<-enc.done
		w.Close()
	}()
	return r, record
}

// publish pipes ffmpeg into moq-pub at a relay. The record is whole when moq-pub
// has ended.
func (c *cluster) publish(t *testing.T, relay int, ffmpeg []string, args ...string) (*proc, *buffer) {
	t.Helper()
	r, record := tee(t, ffmpeg)
	p := c.client(t, r, nil, "moq-pub", relay, args...)
	r.Close()
	return p, record
}

// object is a line that moq-sub --json prints.
type object struct {
	Track   string `json:"track"`
	Group   uint64 `json:"group"`
	Object  uint64 `json:"object"`
	Size    int    `json:"size"`
	Arrival int64  `json:"arrival_us"`
	SHA256  string `json:"sha256"`
}

// objects reads the lines, by track. A last line that is not whole is left out.
func objects(t *testing.T, lines []byte) map[string][]object {
	t.Helper()
	list := make(map[string][]object)
	for line := range bytes.Lines(lines) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			continue
		}
		var o object
		if err := json.Unmarshal(line, &o); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		list[o.Track] = append(list[o.Track], o)
	}
	return list
}

// count returns how many objects of a track the lines tell of.
func count(lines *buffer, track string) int {
	return bytes.Count(lines.Bytes(), []byte(`{"track":"`+track+`"`))
}

func hashes(list []object) []string {
	var h []string
	for _, o := range list {
		h = append(h, o.SHA256)
	}
	return h
}

// checkSequence reports objects that are missing or come twice: in each group
// ids count from 0, and the groups are those between the first and the last.
func checkSequence(t *testing.T, what string, list []object, firstWhole bool) {
	t.Helper()
	for i, o := range list {
		if i == 0 {
			if firstWhole && o.Object != 0 {
				t.Errorf("%s begins with %d/%d, want object 0", what, o.Group, o.Object)
			}
			continue
		}
		last := list[i-1]
		if next := o.Group == last.Group && o.Object == last.Object+1 || o.Group == last.Group+1 && o.Object == 0; !next {
			t.Errorf("%s: after %d/%d comes %d/%d", what, last.Group, last.Object, o.Group, o.Object)
		}
	}
}

// equalLists reports where two lists differ.
func equalLists(t *testing.T, what string, got, want []string) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("%s: number %d of %d is %s, want %s", what, i, len(want), got[i], want[i])
			return
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d, want %d", what, len(got), len(want))
	}
}

// chunkHashes returns the SHA-256 of each moof with its mdat, by track id, and
// knows nothing of the code under test.
func chunkHashes(t *testing.T, mp4 []byte) map[uint32][]string {
	t.Helper()
	list := make(map[uint32][]string)
	var moof []byte
	for len(mp4) > 0 {
		if len(mp4) < 8 || int(binary.BigEndian.Uint32(mp4)) > len(mp4) {
			t.Fatalf("%d bytes are left that are no box", len(mp4))
		}
		box := mp4[:binary.BigEndian.Uint32(mp4)]
		mp4 = mp4[len(box):]
		switch string(box[4:8]) {
		case "moof":
			moof = box
		case "mdat":
			if i := bytes.Index(moof, []byte("tfhd")); i > 0 {
				id := binary.BigEndian.Uint32(moof[i+8:])
				sum := sha256.Sum256(append(bytes.Clone(moof), box...))
				list[id] = append(list[id], hex.EncodeToString(sum[:]))
			}
			moof = nil
		}
	}
	return list
}

// probed is what ffprobe reads of a packet.
type probed struct {
	Codec   string `json:"codec_type"`
	PTS     int64  `json:"pts"` // in units of the stream
	DTS     int64  `json:"dts"`
	PTSTime string `json:"pts_time"` // in seconds
	DTSTime string `json:"dts_time"`
	Flags   string `json:"flags"`
	Hash    string `json:"data_hash"`
}

// probe returns the packets of a file.
func probe(t *testing.T, file string) []probed {
	t.Helper()
	var all struct{ Packets []probed }
	out := output(t, nil, "ffprobe", "-v", "error", "-show_packets", "-show_data_hash", "SHA256", "-of", "json", file)
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	return all.Packets
}

// writeFile writes a file of the test and returns its name.
func writeFile(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// packets returns the packets of a file, by kind of stream: of each its times, its
// flags and a hash of its data.
func packets(t *testing.T, mp4 []byte) map[string][]string {
	t.Helper()
	list := make(map[string][]string)
	for _, p := range probe(t, writeFile(t, "probe.mp4", mp4)) {
		list[p.Codec] = append(list[p.Codec], fmt.Sprintf("pts %d dts %d %s %s", p.PTS, p.DTS, p.Flags, p.Hash))
	}
	return list
}

// comparePackets reports differences between what a subscriber wrote and what
// the publisher read.
func comparePackets(t *testing.T, got, want []byte) {
	t.Helper()
	if len(got) == 0 || len(want) == 0 {
		t.Fatalf("the subscriber wrote %d bytes, the encoder %d", len(got), len(want))
	}
	g, w := packets(t, got), packets(t, want)
	for kind, list := range w {
		equalLists(t, kind+" packets", g[kind], list)
	}
	if len(g) != len(w) {
		t.Errorf("%d kinds of streams, want %d", len(g), len(w))
	}
}

// ended checks that processes end well within limit.
func ended(t *testing.T, limit time.Duration, procs ...*proc) {
	t.Helper()
	late := time.Now().Add(limit)
	for _, p := range procs {
		if code := p.wait(time.Until(late)); code != 0 {
			t.Errorf("%s exits with %d, want 0:\n%s", p.name, code, tail(p.log(), 10))
		}
	}
}

// oneSentence checks that a process has failed and has said one line.
func oneSentence(t *testing.T, p *proc, limit time.Duration, parts ...string) {
	t.Helper()
	if code := p.wait(limit); code <= 0 {
		t.Errorf("%s exits with %d, want an error", p.name, code)
	}
	text := p.log()
	if strings.Count(text, "\n") != 0 || !strings.HasPrefix(text, p.name+": ") || len(text) > 500 {
		t.Errorf("%s says:\n%s\nwant one sentence", p.name, text)
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s says %q, want %q in it", p.name, text, part)
		}
	}
	t.Log(text)
}
