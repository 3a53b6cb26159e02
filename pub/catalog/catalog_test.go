package catalog

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func vectors(t testing.TB, pattern string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no vectors %s: %v", pattern, err)
	}
	all := make(map[string][]byte)
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(name), ".json")] = b
	}
	return all
}

func TestValidVectors(t *testing.T) {
	for name, b := range vectors(t, "valid/*.json") {
		t.Run(name, func(t *testing.T) {
			c, err := Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Check(); err != nil {
				t.Error(err)
			}
			roundTrip(t, c)
		})
	}
}

// roundTrip encodes c and reads that.
func roundTrip(t *testing.T, c *Catalog) {
	t.Helper()
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(b)
	if err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	second, err := again.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, second) {
		t.Errorf("encoded once more:\n%s\nwant\n%s", second, b)
	}
}

func TestInvalidVectors(t *testing.T) {
	want := map[string]string{
		"audio_missing_samplerate": "samplerate",
		"bad_cpref":                "contentProtectionRefIDs",
		"bad_initref":              "initRef",
		"delta_with_version":       "version",
		"duplicate_name":           "two tracks",
		"examples":                 "packaging",
		"field_typo":               "", // "sampleRate": taken, as encoding/json matches without case
		"latency_and_buffers":      "targetLatency",
		"trackduration_when_live":  "trackDuration",
	}
	for name, b := range vectors(t, "invalid/*.json") {
		t.Run(name, func(t *testing.T) {
			c, err := Parse(b)
			if err == nil {
				err = c.Check()
			}
			if problem, ok := want[name]; !ok {
				t.Error("no expectation for this vector")
			} else if (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
				t.Errorf("error = %v, want one about %q", err, problem)
			}
		})
	}
}

func TestForeignCatalog(t *testing.T) {
	c, err := Parse(vectors(t, "moqlivemock.json")["moqlivemock"])
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]int)
	for _, tr := range c.Tracks {
		if tr.Packaging != PackagingCMAF {
			continue
		}
		kinds[tr.Role]++
		header, err := c.Init(tr)
		if err != nil {
			t.Errorf("track %s: %v", tr.Name, err)
		} else if !bytes.Contains(header[:12], []byte("ftyp")) {
			t.Errorf("track %s: header begins with % x", tr.Name, header[:12])
		}
	}
	if kinds[RoleVideo] == 0 || kinds[RoleAudio] == 0 || kinds[RoleSubtitle] == 0 {
		t.Errorf("roles = %v", kinds)
	}
	roundTrip(t, c)
}

func TestBuild(t *testing.T) {
	c := New()
	c.Add(Track{Name: "video", Packaging: PackagingCMAF, IsLive: true, Role: RoleVideo, RenderGroup: 1, Codec: "avc1.42C01E",
		Bitrate: 800_000, Width: 640, Height: 360, Framerate: 29.97, Timescale: 90000, TargetLatency: 300}, []byte("<header>"))
	c.Add(Track{Name: "audio", Packaging: PackagingCMAF, IsLive: true, Role: RoleAudio, RenderGroup: 1, Codec: "mp4a.40.2",
		Bitrate: 96_000, SampleRate: 48000, ChannelConfig: "2", TargetLatency: 300}, nil)
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	got, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"version":"draft-01","tracks":[` +
		`{"name":"video","packaging":"cmaf","role":"video","isLive":true,"renderGroup":1,"codec":"avc1.42C01E","bitrate":800000,` +
		`"width":640,"height":360,"framerate":29.97,"timescale":90000,"targetLatency":300,"initRef":"video","initData":"PGhlYWRlcj4="},` +
		`{"name":"audio","packaging":"cmaf","role":"audio","isLive":true,"renderGroup":1,"codec":"mp4a.40.2","bitrate":96000,` +
		`"samplerate":48000,"channelConfig":"2","targetLatency":300}],` +
		`"initDataList":[{"id":"video","type":"inline","data":"PGhlYWRlcj4="}]}`
	if string(got) != want {
		t.Errorf("Encode() =\n%s\nwant\n%s", got, want)
	}
	if b, err := c.Init(c.Tracks[0]); err != nil || string(b) != "<header>" {
		t.Errorf("Init(video) = %q, %v", b, err)
	}
	if _, err := c.Init(c.Tracks[1]); err != ErrNoInit {
		t.Errorf("Init(audio) = %v, want ErrNoInit", err)
	}
}

func TestParse(t *testing.T) {
	const track = `{"name":"v","packaging":"cmaf","isLive":true}`
	for _, tt := range []struct{ name, in, err string }{
		{"plain", `{"version":"draft-01","tracks":[` + track + `]}`, ""},
		{"version as a number", `{"version":1,"tracks":[` + track + `]}`, ""},
		{"later draft, unknown fields", `{"version":"draft-02","x":[{}],"tracks":[{"name":"v","packaging":"cmaf","y":null}]}`, ""},
		{"channels as a number", `{"version":"1","tracks":[{"name":"a","packaging":"loc","channelConfig":2}]}`, ""},
		{"no tracks", `{"version":"draft-01","tracks":[]}`, ""},
		{"nothing", ``, "unexpected end"},
		{"not JSON", `#EXTM3U`, "invalid character"},
		{"not an object", `[1]`, "cannot unmarshal"},
		{"no version", `{"tracks":[]}`, "version"},
		{"version of another kind", `{"version":{}}`, "neither"},
		{"version 7", `{"version":7}`, "not understood"},
		{"no name", `{"version":1,"tracks":[{"packaging":"cmaf"}]}`, "no name"},
		{"no packaging", `{"version":1,"tracks":[{"name":"v"}]}`, "no packaging"},
		{"twice", `{"version":1,"tracks":[` + track + `,` + track + `]}`, "two tracks"},
		{"delta with tracks", `{"deltaUpdate":[{"op":"remove"}],"tracks":[` + track + `]}`, "delta with"},
		{"width of another kind", `{"version":1,"tracks":[{"name":"v","packaging":"cmaf","width":"wide"}]}`, "width"},
		{"too many tracks", `{"version":1,"tracks":[` + strings.Repeat(`{},`, MaxTracks) + `{}]}`, "over the limit"},
		{"too long", `{"version":1}` + strings.Repeat(" ", MaxBytes), "over the limit"},
		{"deep", strings.Repeat(`{"x":`, 1<<17), "depth"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.in))
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error = %v, want %q", err, tt.err)
			}
		})
	}
}

func TestApply(t *testing.T) {
	base, err := Parse([]byte(`{"version":"draft-01","tracks":[
		{"name":"hd","packaging":"cmaf","isLive":true,"width":1280,"height":720,"bitrate":3000000,"initRef":"i","depends":["x"]},
		{"name":"old","packaging":"cmaf","isLive":true}],"initDataList":[{"id":"i","type":"inline","data":"QUJD"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	before, _ := base.Encode()
	for _, tt := range []struct{ name, delta, tracks, err string }{
		{"add", `[{"op":"add","tracks":[{"name":"new","packaging":"loc"}]}]`, "hd old new", ""},
		{"remove", `[{"op":"remove","tracks":[{"name":"old"}]}]`, "hd", ""},
		{"clone", `[{"op":"clone","tracks":[{"parentName":"hd","name":"sd","width":640,"depends":["y"]}]}]`, "hd old sd", ""},
		{"update", `[{"op":"update","tracks":[{"name":"hd","bitrate":1}]}]`, "hd old", ""},
		{"in order", `[{"op":"clone","tracks":[{"parentName":"hd","name":"sd"}]},{"op":"remove","tracks":[{"name":"hd"}]}]`, "old sd", ""},
		{"remove what is not there", `[{"op":"remove","tracks":[{"name":"new"}]}]`, "", "no track"},
		{"add what is there", `[{"op":"add","tracks":[{"name":"hd","packaging":"loc"}]}]`, "", "two tracks"},
		{"unknown", `[{"op":"rename","tracks":[{"name":"hd"}]}]`, "", "not understood"},
		{"not a track", `[{"op":"add","tracks":[7]}]`, "", "cannot unmarshal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			delta, err := Parse([]byte(`{"deltaUpdate":` + tt.delta + `}`))
			if err != nil {
				t.Fatal(err)
			}
			got, err := base.Apply(delta)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error = %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, tr := range got.Tracks {
				names = append(names, tr.Name)
				if tr.Name == "sd" && tr.Height != 720 {
					t.Errorf("clone has height %d, want 720", tr.Height)
				}
			}
			if s := strings.Join(names, " "); s != tt.tracks {
				t.Errorf("tracks = %s, want %s", s, tt.tracks)
			}
			if after, _ := base.Encode(); !bytes.Equal(before, after) {
				t.Errorf("the base has changed to %s", after)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"valid/*.json", "invalid/*.json", "moqlivemock.json"} {
		for _, b := range vectors(f, pattern) {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b)
		if err != nil {
			return
		}
		_ = c.Check() // must not panic on anything that parsed
		out, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(out)
		if err != nil && json.Valid(out) && len(out) <= MaxBytes {
			t.Fatalf("%v in what was written: %s", err, out)
		}
		if err == nil && len(c.DeltaUpdate) == 0 && !reflect.DeepEqual(len(again.Tracks), len(c.Tracks)) {
			t.Fatalf("%d tracks, want %d", len(again.Tracks), len(c.Tracks))
		}
		if len(c.DeltaUpdate) > 0 {
			_, _ = New().Apply(c)
		}
	})
}
