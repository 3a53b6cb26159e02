package forward

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/pub/fmp4"
	"github.com/tributary-live/tributary/rtmp"
	"github.com/tributary-live/tributary/sub"
	"github.com/tributary-live/tributary/transport/moqt"
)

// broadcast returns a broadcast of a film's header, each track changed by change,
// and its objects: groups begin at key frames, sound has a group for each second.
func broadcast(t *testing.T, length time.Duration, change func(header []byte) []byte, kinds ...fmp4.Kind) (*sub.Broadcast, []sub.Object) {
	t.Helper()
	f := newFilm(t, length)
	in, err := f.Init()
	if err != nil {
		t.Fatal(err)
	}
	b := &sub.Broadcast{Namespace: testNS}
	names := make(map[uint32]string)
	for _, tr := range in.Tracks {
		for _, k := range kinds {
			if tr.Kind == k {
				names[tr.ID] = k.String()
				b.Tracks = append(b.Tracks, catalog.Track{Name: k.String()})
				b.Inits = append(b.Inits, change(tr.Header))
			}
		}
	}
	var list []sub.Object
	at := make(map[string]moqt.Location)
	for {
		c, err := f.Next()
		if err == io.EOF {
			return b, list
		}
		if err != nil {
			t.Fatal(err)
		}
		name, ok := names[c.Track]
		if !ok {
			continue
		}
		l := at[name]
		if name == "video" && c.Key || name == "audio" && l.Object == 16 {
			l = moqt.Location{Group: l.Group + 1}
		}
		list = append(list, sub.Object{Track: name, Object: moqt.Object{Location: l, Payload: c.Data}})
		l.Object++
		at[name] = l
	}
}

func same(header []byte) []byte { return header }

// run has media make frames of objects.
func run(t *testing.T, m *media, b *sub.Broadcast, list []sub.Object) {
	t.Helper()
	for _, o := range list {
		if err := m.take(b, o); err != nil {
			t.Fatal(err)
		}
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Where an object is missing, video goes on with the next key frame, and sound
// goes on at once.
func TestGap(t *testing.T) {
	b, list := broadcast(t, 3*time.Second, same, fmp4.Video, fmp4.Audio)
	var got []frame
	m := newMedia(discard(), func(f frame) { got = append(got, f) })
	missing := 0
	var kept []sub.Object
	for _, o := range list {
		if o.Group == 2 && o.Object.Object == 1 {
			missing++
			continue
		}
		kept = append(kept, o)
	}
	run(t, m, b, kept)
	m.flush()
	count := make(map[rtmp.Kind]int)
	for _, f := range got {
		count[f.kind]++
	}
	video, audio := 0, 0
	for _, o := range list {
		switch {
		case o.Track == "audio":
			audio++
		case o.Group != 2 || o.Object.Object == 0:
			video++
		}
	}
	if missing != 2 || count[rtmp.Video] != video || count[rtmp.Audio] != audio-1 {
		t.Errorf("%d missing, %d frames and %d of sound, want %d and %d", missing, count[rtmp.Video], count[rtmp.Audio], video, audio-1)
	}
	for i, f := range got[1:] {
		if f.dts < got[i].dts {
			t.Errorf("frame %d is at %v after %v", i+1, f.dts, got[i].dts)
		}
	}
}

// A subscription may begin in the middle of a group.
func TestBeginsInTheMiddle(t *testing.T) {
	b, list := broadcast(t, 2*time.Second, same, fmp4.Video)
	var got []frame
	m := newMedia(discard(), func(f frame) { got = append(got, f) })
	run(t, m, b, list[2:])
	m.flush()
	if len(got) == 0 || !got[0].start || got[0].dts == 0 {
		t.Errorf("begins with %+v, want the second key frame", got[0])
	}
}

// A frame that no message can carry is left out, with what refers to it.
func TestFrameThatIsTooLarge(t *testing.T) {
	b, list := broadcast(t, 2*time.Second, same, fmp4.Video)
	large := list[2].Payload // its one sample grows
	at := bytes.Index(large, []byte("mdat")) - 4
	large = append(bytes.Clone(large), make([]byte, maxFrame)...)
	binary.BigEndian.PutUint32(large[at:], uint32(len(large)-at))
	tfhd := bytes.Index(large, []byte("tfhd")) // flags, track, description, duration, size
	if flags := binary.BigEndian.Uint32(large[tfhd+4:]); flags&0x1b != 0x1a {
		t.Fatalf("tfhd of the fixture has flags %x", flags)
	}
	binary.BigEndian.PutUint32(large[tfhd+20:], uint32(len(large)-at-8))
	list[2].Payload = large
	var got []frame
	m := newMedia(discard(), func(f frame) { got = append(got, f) })
	run(t, m, b, list)
	m.flush()
	if len(got) != len(list)-3 || !got[2].start {
		t.Errorf("%d of %d frames, want all but three, and a key frame then", len(got), len(list))
	}
}

// A publisher that begins anew has another time line, on both tracks.
func TestTimeGoesBack(t *testing.T) {
	b, list := broadcast(t, 5*time.Second, same, fmp4.Video, fmp4.Audio)
	var line timeline
	last := make(map[rtmp.Kind]time.Duration)
	placed, strays := 0, 0
	m := newMedia(discard(), func(f frame) {
		at, ok := line.place(f)
		if !ok {
			strays++
			return
		}
		if placed++; at < last[f.kind] || at-last[f.kind] > 300*time.Millisecond {
			t.Errorf("frame of kind %d at %v after %v", f.kind, at, last[f.kind])
		}
		last[f.kind] = at
	})
	for range 3 {
		run(t, m, b, list)
		for i := range list { // groups go on
			list[i].Group += 100
		}
	}
	m.flush()
	if strays > 10 || placed < 3*len(list)-10 || last[rtmp.Video] < 14*time.Second || last[rtmp.Video] > 16*time.Second {
		t.Errorf("%d frames of %d have no place, the last is at %v", strays, 3*len(list), last)
	}
}

// Where one broadcast takes the place of another, targets are told its headers if
// they differ, and get another connection if the codecs do.
func TestAnotherBroadcast(t *testing.T) {
	level := func(h []byte) []byte {
		return bytes.Replace(h, []byte("avcC\x01\x42\xc0\x0a"), []byte("avcC\x01\x42\xc0\x0b"), 1)
	}
	for _, tt := range []struct {
		name        string
		change      func([]byte) []byte
		kinds       []fmp4.Kind
		connections int
		headers     int // on the last connection
	}{
		{"the same headers", same, []fmp4.Kind{fmp4.Video, fmp4.Audio}, 1, 2},
		{"another level", level, []fmp4.Kind{fmp4.Video, fmp4.Audio}, 1, 4},
		{"no sound", same, []fmp4.Kind{fmp4.Video}, 2, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hosts := newPlatforms(t, "one")
				c, _ := hosts.config(t)
				f, err := New(c)
				if err != nil {
					t.Fatal(err)
				}
				play := func(b *sub.Broadcast, list []sub.Object) func(take func(*sub.Broadcast, sub.Object) error) error {
					return func(take func(*sub.Broadcast, sub.Object) error) error {
						for _, o := range list {
							time.Sleep(30 * time.Millisecond)
							if err := take(b, o); err != nil {
								return err
							}
						}
						return nil
					}
				}
				if err := f.Run(t.Context(), script{
					play(broadcast(t, 4*time.Second, same, fmp4.Video, fmp4.Audio)),
					play(broadcast(t, 4*time.Second, tt.change, tt.kinds...)),
				}); err != nil {
					t.Fatal(err)
				}
				got := hosts["one"].streams()
				if len(got) != tt.connections {
					t.Fatalf("%d connections, want %d", len(got), tt.connections)
				}
				headers, keys := 0, 0
				var end time.Duration
				for _, p := range got[len(got)-1].packets {
					if p.Header {
						headers++
					} else if p.Key {
						keys++
					}
					end = max(end, p.DTS)
				}
				if headers != tt.headers || keys < 6 {
					t.Errorf("%d headers and %d key frames, want %d headers", headers, keys, tt.headers)
				}
				if want := 8 * time.Second / time.Duration(tt.connections); end < want-time.Second || end > want+time.Second {
					t.Errorf("ends at %v, want some %v", end, want)
				}
				if s := f.Status()[0]; s.Dropped > 10 {
					t.Errorf("status %+v, want next to nothing dropped", s)
				}
			})
		})
	}
}

func TestReorder(t *testing.T) {
	const f = 40 // ms
	type sample struct{ dts, pts int }
	at := func(list ...sample) []sample { return list }
	long := func(head []sample, n int) []sample {
		for i := len(head); i < n; i++ {
			head = append(head, sample{i * f, i * f})
		}
		return head
	}
	for _, tt := range []struct {
		name string
		in   []sample
		want string // the first decode times that come out
	}{
		{"in order", long(nil, 20), "0 40 80 120 160"},
		{"no negative offset", long(at(sample{0, f}, sample{f, 4 * f}, sample{2 * f, 2 * f}, sample{3 * f, 3 * f}), 20), "0 40 80 120 160"},
		{"negative by one", long(at(sample{0, 0}, sample{f, 3 * f}, sample{2 * f, f}, sample{3 * f, 2 * f}), 20), "-40 0 40 80 120"},
		{"pyramid", long(at(sample{0, 0}, sample{f, 4 * f}, sample{2 * f, 2 * f}, sample{3 * f, f}, sample{4 * f, 3 * f}), 20), "-80 -40 0 40 80"},
		{"later", long(append(long(nil, 17), sample{17 * f, 16 * f}), 30), "0 40 80 120 160 200 240 280 320 360 400 440 480 520 560 600 640 640 680 720"},
		{"the end comes first", at(sample{0, 0}, sample{f, 2 * f}, sample{2 * f, f}), "-40 0 40"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r reorder
			var got []string
			last := time.Duration(-1 << 62)
			take := func(list []timed) {
				for _, s := range list {
					if s.DTS > s.PTS && tt.name != "later" || s.DTS < last {
						t.Errorf("decoded at %v, shown at %v, after %v", s.DTS, s.PTS, last)
					}
					last = s.DTS
					got = append(got, fmt.Sprint(s.DTS.Milliseconds()))
				}
			}
			for _, s := range tt.in {
				ms := time.Millisecond
				take(r.put(fmp4.Sample{DTS: time.Duration(s.dts) * ms, PTS: time.Duration(s.pts) * ms}, 0))
			}
			take(r.flush())
			if len(got) != len(tt.in) || !strings.HasPrefix(strings.Join(got, " "), tt.want) {
				t.Errorf("%d of %d come out, at %v, want %s", len(got), len(tt.in), got, tt.want)
			}
		})
	}
}

func TestInterleave(t *testing.T) {
	type in struct {
		lane, at, epoch, now int // ms
	}
	for _, tt := range []struct {
		name  string
		lanes int
		in    []in
		want  string // what comes out at once | what flush gives
	}{
		{"one track", 1, []in{{0, 1, 0, 0}, {0, 2, 0, 0}}, "1 2 |"},
		{"by time", 2, []in{{0, 0, 0, 0}, {0, 30, 0, 0}, {1, 10, 0, 0}, {1, 20, 0, 0}, {1, 40, 0, 0}}, "0 10 20 30 | 40"},
		{"video first", 2, []in{{1, 5, 0, 0}, {0, 5, 0, 0}}, "5v | 5"},
		{"many of one at once", 2, []in{{1, 0, 0, 0}, {0, 0, 0, 0}, {1, 1500, 0, 1}, {1, 3000, 0, 1}, {0, 2000, 0, 900}}, "0 0 1500 2000 | 3000"},
		{"one is silent", 2, []in{{1, 0, 0, 0}, {0, 0, 0, 0}, {0, 500, 0, 500}, {0, 1400, 0, 1400}, {0, 1501, 0, 1501}}, "0 0 500 | 1400 1501"},
		{"one has not begun", 2, []in{{1, 0, 0, 0}, {1, 3000, 0, 3000}, {0, 10, 0, 3000}}, "0 10 | 3000"},
		{"one begins anew before the other", 2, []in{{0, 100, 0, 0}, {0, 0, 1, 0}, {1, 90, 0, 0}, {1, 120, 0, 0}, {1, 5, 1, 0}}, "90 100 120 0 | 5"},
		{"nothing", 2, nil, "|"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			l := newInterleaver(func(f frame) {
				s := fmt.Sprint(f.dts.Milliseconds())
				if tt.name == "video first" && f.kind == rtmp.Video {
					s += "v"
				}
				got = append(got, s)
			})
			l.reset(tt.lanes)
			start := time.Now()
			for _, x := range tt.in {
				kind := rtmp.Video
				if x.lane == 1 {
					kind = rtmp.Audio
				}
				l.put(x.lane, frame{kind: kind, dts: time.Duration(x.at) * time.Millisecond, epoch: x.epoch}, start.Add(time.Duration(x.now)*time.Millisecond))
			}
			got = append(got, "|")
			l.flush()
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got %s, want %s", s, tt.want)
			}
		})
	}
}

// A track that is silent does not make the other's frames pile up.
func TestInterleaveIsBounded(t *testing.T) {
	for name, f := range map[string]frame{"many": {}, "large": {body: make([]byte, spanBytes/4)}} {
		held := 0
		l := newInterleaver(func(frame) { held-- })
		l.reset(2)
		for range 5000 {
			held++
			l.put(0, f, time.Now())
		}
		if most := spanFrames; held > most || name == "large" && held > 4 {
			t.Errorf("%s: %d frames are held", name, held)
		}
	}
}
