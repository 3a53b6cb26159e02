package forward

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/pub/fmp4"
	"github.com/tributary-live/tributary/sub"
)

// samples returns what a film has, by kind, times in milliseconds from its first
// picture.
func samples(t *testing.T, f *film) map[bool][]string {
	t.Helper()
	in, err := f.Init()
	if err != nil {
		t.Fatal(err)
	}
	unpack := make(map[uint32]*fmp4.Unpacker)
	for _, tr := range in.Tracks {
		if unpack[tr.ID], err = fmp4.NewUnpacker(tr.Header); err != nil {
			t.Fatal(err)
		}
	}
	list := make(map[bool][]string)
	for {
		c, err := f.Next()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		u := unpack[c.Track]
		samples, err := u.Samples(c.Data)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range samples {
			video := u.Track.Kind == fmp4.Video
			list[video] = append(list[video], line(s.DTS, s.PTS, s.Data))
		}
	}
}

func line(dts, pts time.Duration, data []byte) string {
	return fmt.Sprintf("%d %d %x", dts.Round(time.Millisecond).Milliseconds(), (pts - dts).Milliseconds(), data)
}

// A target gets all of the broadcast, in order and at the right times, and hears
// when it ends.
func TestForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := newPlatforms(t, "one", "two")
		c, _ := hosts.config(t)
		var last []Status
		c.Report = func(s []Status) { last = s }
		f, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Run(t.Context(), Only(open(t, newFilm(t, 20*time.Second)))); err != nil {
			t.Fatal(err)
		}
		want := samples(t, newFilm(t, 20*time.Second))
		for host, p := range hosts {
			if len(p.streams()) != 1 {
				t.Fatalf("%s: %d connections, want one", host, len(p.streams()))
			}
			s := p.streams()[0]
			video, audio := s.check(t)
			if s.err != io.EOF || s.path != "/app/secretkey?sign=topsecret" {
				t.Errorf("%s: %s ends with %v, want a goodbye", host, s.path, s.err)
			}
			got := make(map[bool][]string)
			for _, x := range s.packets {
				if !x.Header {
					got[x.Video] = append(got[x.Video], line(x.DTS, x.PTS, x.Data))
				}
			}
			for video, list := range want {
				if strings.Join(got[video], "\n") != strings.Join(list, "\n") {
					t.Errorf("%s: video %v: %d packets are not the film's %d", host, video, len(got[video]), len(list))
				}
			}
			for _, st := range last {
				if int(st.Frames) != video+audio || st.Dropped != 0 || st.Reconnects != 0 || st.State != Ended || st.Bytes == 0 ||
					!strings.HasSuffix(st.Target, "/app/***") {
					t.Errorf("status = %+v", st)
				}
			}
		}
	})
}

// A target that is killed and comes back begins with headers and a key frame, of
// what is new by then.
func TestTargetComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := newPlatforms(t, "one", "two")
		c, log := hosts.config(t)
		f, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		from := Only(open(t, newFilm(t, 60*time.Second)))
		one := hosts["one"]
		time.AfterFunc(10*time.Second, func() { one.kill(true) })
		time.AfterFunc(20*time.Second, func() { one.kill(false) })
		if err := f.Run(t.Context(), from); err != nil {
			t.Fatal(err)
		}
		if len(one.streams()) != 2 {
			t.Fatalf("%d connections, want 2", len(one.streams()))
		}
		first, _ := one.streams()[0].check(t)
		second, _ := one.streams()[1].check(t)
		if back := one.streams()[1].began; back < 20*time.Second || back > 40*time.Second {
			t.Errorf("back after %v, want within a doubled wait", back)
		}
		all := len(samples(t, newFilm(t, 60*time.Second))[true])
		if want := int(int64(all) * int64(60*time.Second-one.streams()[1].began) / int64(60*time.Second)); second < want-2 || second > want+8 || first < all/6-5 || first > all/6+5 {
			t.Errorf("%d and %d frames, want some %d and %d", first, second, all/6, want)
		}
		if video, _ := hosts["two"].streams()[0].check(t); video != all || len(hosts["two"].streams()) != 1 {
			t.Errorf("the other has %d frames, want %d", video, all)
		}
		s := f.Status()[0]
		if s.Reconnects != 1 || s.Dropped == 0 || s.State != Ended {
			t.Errorf("status = %+v, want one reconnect, and what was dropped", s)
		}
		if n := strings.Count(log.String(), "target failed, will be tried again"); n < 3 || n > 6 {
			t.Errorf("%d lines about failures, want one for each try:\n%s", n, log)
		}
	})
}

// One that reads nothing holds up neither the other nor the subscription, and
// memory is bounded.
func TestTargetThatNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := newPlatforms(t, "one", "two")
		hosts["one"].pace = time.Hour
		c, log := hosts.config(t)
		c.QueueBytes = 4 << 10
		most := 0
		c.Report = func(s []Status) { most = max(most, s[0].QueueBytes) }
		f, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		from := Only(open(t, newFilm(t, 60*time.Second)))
		start := time.Now()
		if err := f.Run(t.Context(), from); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 60*time.Second+drain+leave {
			t.Errorf("Run() took %v for a minute", took)
		}
		all := len(samples(t, newFilm(t, 60*time.Second))[true])
		if video, _ := hosts["two"].streams()[0].check(t); video != all || len(hosts["two"].streams()) != 1 {
			t.Errorf("the other has %d frames of %d, on %d connections", video, all, len(hosts["two"].streams()))
		}
		s := f.Status()[0]
		if n := len(hosts["one"].streams()); n < 2 || uint64(n) != s.Reconnects+1 || s.Dropped == 0 {
			t.Errorf("%d connections, status %+v, want to have tried again, and drops", n, s)
		}
		if most > c.QueueBytes || most == 0 {
			t.Errorf("the queue had %d bytes, want at most %d", most, c.QueueBytes)
		}
		if !strings.Contains(log.String(), "the bitrate fits the uplink") {
			t.Errorf("the log does not say what to do:\n%s", log)
		}
	})
}

// One that is too slow gets what it can take, in runs that begin with a key frame.
func TestSlowTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := newPlatforms(t, "one")
		p := hosts["one"]
		p.pace = 150 * time.Millisecond // some 26 packets come a second
		c, log := hosts.config(t)
		f, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Run(t.Context(), Only(open(t, newFilm(t, 2*time.Minute)))); err != nil {
			t.Fatal(err)
		}
		p.streams()[0].check(t)
		var before time.Duration
		gaps := 0
		for _, x := range p.streams()[0].packets[2:] {
			if !x.Video {
				continue
			}
			if x.DTS-before > 300*time.Millisecond {
				if gaps++; !x.Key {
					t.Errorf("after a gap of %v comes no key frame", x.DTS-before)
				}
			}
			before = x.DTS
		}
		if s := f.Status()[0]; gaps < 5 || len(p.streams()) != 1 || s.Dropped == 0 || before < 110*time.Second {
			t.Errorf("%d gaps on %d connections, up to %v, status %+v", gaps, len(p.streams()), before, s)
		}
		if n := strings.Count(log.String(), "target is too slow"); n < 1 || n > 4 {
			t.Errorf("%d lines about it in two minutes:\n%s", n, log)
		}
	})
}

// Who stops forwarding does not wait for targets that are away.
func TestForwardStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := newPlatforms(t, "one", "two", "three")
		hosts["two"].down = true
		hosts["three"].pace = time.Hour
		c, _ := hosts.config(t)
		f, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		from := Only(open(t, newFilm(t, time.Hour)))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		start := time.Now()
		if err := f.Run(ctx, from); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run() = %v", err)
		}
		if took := time.Since(start); took < 30*time.Second || took > 30*time.Second+2*leave {
			t.Errorf("Run() took %v, want %v and a goodbye", took, 30*time.Second)
		}
		if s := hosts["one"].streams()[0]; s.err != io.EOF {
			t.Errorf("the target that is there hears %v, want a goodbye", s.err)
		}
	})
}

// script is a source of objects that are there already.
type script []func(take func(*sub.Broadcast, sub.Object) error) error

func (s script) Receive(_ context.Context, take func(*sub.Broadcast, sub.Object) error) error {
	for _, f := range s {
		if err := f(take); err != nil {
			return err
		}
	}
	return nil
}

// What RTMP cannot carry is told in one sentence.
func TestForwardRefuses(t *testing.T) {
	in, err := newFilm(t, time.Second).Init()
	if err != nil {
		t.Fatal(err)
	}
	header := func(i int) []byte { return in.Tracks[i].Header }
	for _, tt := range []struct {
		name    string
		headers [][]byte
		want    string
	}{
		{"no track", nil, "live/van: the broadcast has neither video nor sound"},
		{"two of video", [][]byte{header(0), header(1), header(0)}, `live/van: tracks "0" and "2" are both video`},
		{"not a header", [][]byte{[]byte("rubbish!")}, `live/van: track "0"`},
		{"a codec that RTMP has not", [][]byte{bytes.Replace(header(0), []byte("avc1"), []byte("apcn"), 1)},
			`live/van: track "0": RTMP cannot carry the video, which is apcn: encode it as H.264`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &sub.Broadcast{Namespace: testNS, Inits: tt.headers}
				for i := range tt.headers {
					b.Tracks = append(b.Tracks, catalog.Track{Name: fmt.Sprint(i)})
				}
				hosts := newPlatforms(t, "one")
				c, _ := hosts.config(t)
				f, err := New(c)
				if err != nil {
					t.Fatal(err)
				}
				err = f.Run(t.Context(), script{func(take func(*sub.Broadcast, sub.Object) error) error { return take(b, sub.Object{Track: "0"}) }})
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("Run() = %v, want %q in it", err, tt.want)
				}
				if n := len(hosts["one"].streams()); n != 0 {
					t.Errorf("%d connections, want none", n)
				}
			})
		})
	}
	if _, err := New(Config{}); err == nil {
		t.Error("New() without a target succeeded")
	}
}
