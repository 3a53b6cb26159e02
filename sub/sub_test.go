package sub

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/pub"
	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/pub/fmp4"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// newBroadcast returns a broadcast with a catalog of the named tracks; each
// name is its role.
func newBroadcast(t *testing.T, names ...string) *pub.Broadcast {
	t.Helper()
	b := pub.NewBroadcast(testNS)
	publishCatalog(t, b, names...)
	for _, n := range names {
		b.Track(n, pub.PriorityVideo)
	}
	b.Complete()
	return b
}

func publishCatalog(t *testing.T, b *pub.Broadcast, names ...string) {
	t.Helper()
	c := catalog.New()
	for _, n := range names {
		c.Add(catalog.Track{Name: n, Role: strings.TrimRight(n, "0123456789"), Packaging: catalog.PackagingCMAF, IsLive: true}, []byte("header of "+n))
	}
	encoded, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	tr := b.Track(catalog.TrackName, pub.PriorityCatalog)
	tr.Append(1, encoded)
	tr.CloseGroup()
}

// receive receives a broadcast to its end and returns what came, by track.
func receive(t *testing.T, b *Broadcast) (map[string]string, error) {
	got := make(map[string]string)
	err := b.Receive(t.Context(), func(o Object) error {
		got[o.Track] += " " + o.Location.String()
		return nil
	})
	return got, err
}

func TestReceiveFromTheNewestGroup(t *testing.T) {
	for _, tt := range []struct {
		back uint64
		want string
	}{{0, " 3/0 3/1 4/0"}, {1, " 2/0 3/0 3/1 4/0"}, {9, " 1/0 2/0 3/0 3/1 4/0"}} {
		synctest.Test(t, func(t *testing.T) {
			p := newBroadcast(t, "video")
			video := p.Track("video", 0)
			for g := range uint64(3) {
				video.Append(g+1, []byte("x"))
			}
			b, err := Open(t.Context(), serve(t, p), Config{Namespace: testNS, Back: tt.back})
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(time.Second, func() {
				video.Append(3, []byte("x"))
				video.Append(4, []byte("x"))
				p.End()
			})
			got, err := receive(t, b)
			if err != nil || got["video"] != tt.want {
				t.Errorf("back %d: received %v, %v, want%v", tt.back, got, err, tt.want)
			}
		})
	}
}

// Who was there before the broadcast gets it from its first object on, however
// the beginning went by.
func TestReceiveWhatWasWaitedFor(t *testing.T) {
	for _, tt := range []struct {
		name  string
		begin func(t *testing.T, p *pub.Broadcast)
	}{
		{"the catalog comes late", func(t *testing.T, p *pub.Broadcast) { p.Track(catalog.TrackName, pub.PriorityCatalog) }},
		{"the track comes late", func(t *testing.T, p *pub.Broadcast) {}},
		{"the track is refused first", func(t *testing.T, p *pub.Broadcast) {
			p.Track("other", 0)
			p.Complete()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := pub.NewBroadcast(testNS)
				tt.begin(t, p)
				time.AfterFunc(20*time.Second, func() {
					video := p.Track("video", pub.PriorityVideo)
					for g := range uint64(4) {
						video.Append(g+5, []byte("x"))
						time.Sleep(100 * time.Millisecond)
					}
					publishCatalog(t, p, "video")
					p.Complete()
					time.Sleep(2 * time.Second)
					video.Append(9, []byte("x"))
					p.End()
				})
				b, err := Open(t.Context(), serve(t, p), Config{Namespace: testNS, Wait: 30 * time.Second})
				if err != nil {
					t.Fatal(err)
				}
				got, err := receive(t, b)
				if want := " 5/0 6/0 7/0 8/0 9/0"; err != nil || got["video"] != want {
					t.Errorf("received %v, %v, want%v", got, err, want)
				}
			})
		})
	}
}

func TestWaitIsBounded(t *testing.T) {
	for _, wait := range []time.Duration{0, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			p := pub.NewBroadcast(testNS)
			p.Complete() // and no track
			sess := serve(t, p)
			start := time.Now()
			_, err := Open(t.Context(), sess, Config{Namespace: testNS, Wait: wait})
			took := time.Since(start)
			if !errors.Is(err, &transport.RequestError{Code: moqt.RequestDoesNotExist}) || took < wait || took > wait+retryEvery {
				t.Errorf("wait %v: Open() = %v after %v, want DOES_NOT_EXIST then", wait, err, took)
			}
		})
	}
}

func TestRefusedForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		subscriber, publisher := sessions(t)
		go func() {
			for {
				req, err := publisher.Accept(t.Context())
				if err != nil {
					return
				}
				req.Reject(moqt.RequestUnauthorized, "not for you")
			}
		}()
		start := time.Now()
		_, err := Open(t.Context(), subscriber, Config{Namespace: testNS, Wait: time.Minute})
		if !errors.Is(err, &transport.RequestError{Code: moqt.RequestUnauthorized}) || time.Since(start) != 0 {
			t.Errorf("Open() = %v after %v, want UNAUTHORIZED at once", err, time.Since(start))
		}
	})
}

func TestChoice(t *testing.T) {
	for _, tt := range []struct {
		there, asked, want string
		fails              bool
	}{
		{"video audio", "", "video audio", false},
		{"video1 video2 audio1 audio2", "", "video1 audio1", false},
		{"video1 video2 audio1 audio2", "video2 audio1", "video2 audio1", false},
		{"video audio", "text", `no CMAF track "text"`, true},
		{"video audio", "audio audio", "audio", false},
		{"", "", "no CMAF track", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newBroadcast(t, strings.Fields(tt.there)...)
			b, err := Open(t.Context(), serve(t, p), Config{Namespace: testNS, Tracks: strings.Fields(tt.asked)})
			if tt.fails {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%q of %q: Open() = %v, want %q", tt.asked, tt.there, err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for i, tr := range b.Tracks {
				names = append(names, tr.Name)
				if got := string(b.Inits[i]); got != "header of "+tr.Name {
					t.Errorf("header of %s is %q", tr.Name, got)
				}
			}
			if got := strings.Join(names, " "); got != tt.want {
				t.Errorf("%q of %q: chosen %q, want %q", tt.asked, tt.there, got, tt.want)
			}
		})
	}
}

func TestBadCatalog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pub.NewBroadcast(testNS)
		p.Track(catalog.TrackName, 0).Append(1, []byte("{"))
		if _, err := Open(t.Context(), serve(t, p), Config{Namespace: testNS}); err == nil || !strings.Contains(err.Error(), "catalog of live/van") {
			t.Errorf("Open() = %v, want an error that names the catalog", err)
		}
		p = newBroadcast(t)
		p.End()
		if _, err := Open(t.Context(), serve(t, p), Config{Namespace: testNS}); err == nil {
			t.Error("Open() of a broadcast without tracks succeeded")
		}
	})
}

// One track's end is not the other's, and an error of the taker ends all.
func TestReceiveEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newBroadcast(t, "video", "audio")
		p.Track("video", 0).Append(1, []byte("x"))
		p.Track("audio", 0).Append(1, []byte("x"))
		sess := serve(t, p)
		b, err := Open(t.Context(), sess, Config{Namespace: testNS})
		if err != nil {
			t.Fatal(err)
		}
		full := errors.New("disk full")
		if err := b.Receive(t.Context(), func(Object) error { return full }); !errors.Is(err, full) {
			t.Errorf("Receive() = %v, want %v", err, full)
		}
		time.AfterFunc(time.Second, func() { sess.Close() })
		if _, err := receive(t, b); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("Receive() on a session that ends = %v, want %v", err, transport.ErrClosed)
		}
	})
}

// publishFile publishes a file through a Publisher and opens what it publishes.
func publishFile(t *testing.T, file string) *Broadcast {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	subscriber, publisher := sessions(t)
	done := make(chan error, 1)
	p := pub.NewPublisher(pub.PublisherConfig{Namespace: testNS, Source: fmp4.NewReader(f, nil), Ahead: time.Second,
		Dial: transportOnce(publisher)})
	go func() { done <- p.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	req, err := subscriber.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	req.(*transport.AnnounceRequest).Accept()
	b, err := Open(t.Context(), subscriber, Config{Namespace: testNS, Back: 9})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWriteMP4(t *testing.T) {
	for _, file := range []string{"cmaf.mp4", "keyframe_empty.mp4", "keyframe.mp4", "gstreamer.mp4"} {
		t.Run(file, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := publishFile(t, "../pub/fmp4/testdata/"+file)
				var out bytes.Buffer
				if err := b.WriteMP4(t.Context(), &out); err != nil {
					t.Fatal(err)
				}
				in, err := os.Open("../pub/fmp4/testdata/" + file)
				if err != nil {
					t.Fatal(err)
				}
				defer in.Close()
				want, got := chunks(t, in), chunks(t, &out)
				if len(want) == 0 || fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("written:\n%v\nwant:\n%v", got, want)
				}
			})
		})
	}
}

// Tracks that have the same id in their own headers get different ones.
func TestWriteMP4RenumbersTracks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := os.Open("../pub/fmp4/testdata/cmaf.mp4")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r := fmp4.NewReader(f, nil)
		in, err := r.Init()
		if err != nil {
			t.Fatal(err)
		}
		chunk, err := r.Next()
		if err != nil || chunk.Track != in.Tracks[0].ID {
			t.Fatalf("first chunk of track %d, %v, want %d", chunk.Track, err, in.Tracks[0].ID)
		}
		p := pub.NewBroadcast(testNS)
		c := catalog.New()
		for _, n := range []string{"video", "video2"} {
			c.Add(catalog.Track{Name: n, Role: "video", Packaging: catalog.PackagingCMAF, IsLive: true}, in.Tracks[0].Header)
			p.Track(n, 0).Append(1, chunk.Data)
		}
		encoded, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		p.Track(catalog.TrackName, 0).Append(1, encoded)
		p.End()
		b, err := Open(t.Context(), serve(t, p), Config{Namespace: testNS, Tracks: []string{"video", "video2"}})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := b.WriteMP4(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		got := chunks(t, &out)
		if len(got) != 2 {
			t.Errorf("tracks %v, want two", got)
		}
		for id, list := range got {
			if len(list) != 1 {
				t.Errorf("track %d has %d chunks, want 1", id, len(list))
			}
		}
	})
}

// chunks reads an MP4 and returns its chunks by track, as time, duration, samples
// and size.
func chunks(t *testing.T, r io.Reader) map[uint32][]string {
	t.Helper()
	rd := fmp4.NewReader(r, nil)
	list := make(map[uint32][]string)
	for {
		c, err := rd.Next()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list[c.Track] = append(list[c.Track], fmt.Sprintf("%d+%d/%d %d", c.DTS, c.Duration, c.Samples, len(c.Data)))
	}
}
