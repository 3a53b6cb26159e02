package forward

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tributary-live/tributary/pub"
	"github.com/tributary-live/tributary/pub/fmp4"
	"github.com/tributary-live/tributary/rtmp"
	"github.com/tributary-live/tributary/rtmp/rtmptest"
	"github.com/tributary-live/tributary/sub"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

var testNS = moqt.NS("live", "van")

// film is a source that ends when so much media has gone by.
type film struct {
	*fmp4.Looper
	length time.Duration
}

// newFilm returns a film of some 9 pictures a second, with a key frame each half
// second, and sound.
func newFilm(t *testing.T, length time.Duration) *film {
	t.Helper()
	data, err := os.ReadFile("../pub/fmp4/testdata/cmaf.mp4")
	if err != nil {
		t.Fatal(err)
	}
	l, err := fmp4.NewLooper(bytes.NewReader(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &film{l, length}
}

func (f *film) Next() (*fmp4.Chunk, error) {
	c, err := f.Looper.Next()
	if err != nil {
		return nil, err
	}
	in, err := f.Init()
	if err != nil {
		return nil, err
	}
	for _, t := range in.Tracks {
		if t.ID == c.Track && time.Duration(c.DTS)*time.Second/time.Duration(t.Timescale) >= f.length {
			return nil, io.EOF
		}
	}
	return c, nil
}

// open publishes a film, and opens the broadcast as one that has just begun.
func open(t *testing.T, source pub.Source) *sub.Broadcast {
	t.Helper()
	client, server := transporttest.Pipe(t, nil)
	var wg sync.WaitGroup
	var publisher *transport.Session
	var err error
	wg.Go(func() { publisher, err = transport.NewSession(t.Context(), server, nil) })
	subscriber, cerr := transport.NewSession(t.Context(), client, nil)
	if wg.Wait(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
	t.Cleanup(func() {
		subscriber.Close()
		publisher.Close()
	})
	dialled := false
	p := pub.NewPublisher(pub.PublisherConfig{Namespace: testNS, Source: source, Ahead: 200 * time.Millisecond,
		Dial: func(context.Context) (*transport.Session, error) {
			if dialled {
				return nil, errors.New("dialled again")
			}
			dialled = true
			return publisher, nil
		}})
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() { _ = p.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	req, err := subscriber.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	req.(*transport.AnnounceRequest).Accept()
	b, err := sub.Open(t.Context(), subscriber, sub.Config{Namespace: testNS, Wait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// platform is a server that takes streams while it is up.
type platform struct {
	start time.Time
	pace  time.Duration // for each packet, to be slow

	mu   sync.Mutex
	down bool
	conn net.Conn
	got  []*streamed
	wg   sync.WaitGroup
}

// streamed is what came on one connection.
type streamed struct {
	began   time.Duration
	path    string
	packets []rtmptest.Packet
	err     error
}

func (p *platform) dial() (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return nil, errors.New("connection refused")
	}
	client, server := net.Pipe()
	p.conn = server
	s := &streamed{began: time.Since(p.start)}
	p.got = append(p.got, s)
	p.wg.Go(func() {
		defer server.Close()
		c, err := rtmptest.Accept(server)
		for err == nil {
			s.path = c.Path
			time.Sleep(p.pace)
			var x rtmptest.Packet
			if x, err = c.Next(); err == nil {
				p.mu.Lock()
				s.packets = append(s.packets, x)
				p.mu.Unlock()
			}
		}
		s.err = err
	})
	return client, nil
}

// streams waits for all connections to end and returns what came.
func (p *platform) streams() []*streamed {
	p.wg.Wait()
	return p.got
}

// kill ends its connection, and refuses others until it is revived.
func (p *platform) kill(dead bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down = dead; dead {
		p.conn.Close()
	}
}

// platforms are servers by host.
type platforms map[string]*platform

func newPlatforms(t *testing.T, hosts ...string) platforms {
	list := make(platforms)
	for _, h := range hosts {
		p := &platform{start: time.Now()}
		list[h] = p
		t.Cleanup(p.wg.Wait)
	}
	return list
}

// config returns a Config with all of them, whose keys are secret, and the log.
func (l platforms) config(t *testing.T) (Config, *record) {
	t.Helper()
	r := &record{}
	c := Config{Logger: slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, host := range []string{"one", "two", "three"} {
		if l[host] == nil {
			continue
		}
		u, err := rtmp.ParseURL("rtmp://" + host + "/app/secretkey?sign=topsecret")
		if err != nil {
			t.Fatal(err)
		}
		c.Targets = append(c.Targets, u)
	}
	c.RTMP = &rtmp.Config{Dial: func(_ context.Context, _, addr string) (net.Conn, error) {
		host, _, _ := strings.Cut(addr, ":")
		return l[host].dial()
	}}
	t.Cleanup(func() {
		if strings.Contains(r.String(), "secret") {
			t.Errorf("the log has a key in it:\n%s", r)
		}
	})
	return c, r
}

// record is a log that is kept.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

// check reports what is wrong with the packets of a connection, and returns how
// many of video and sound there are.
func (s *streamed) check(t *testing.T) (video, audio int) {
	t.Helper()
	last := make(map[bool]time.Duration)
	for i, p := range s.packets {
		switch {
		case i < 2:
			if !p.Header || p.Video != (i == 0) {
				t.Errorf("packet %d is %+v, want a header", i, p)
			}
			continue
		case p.Header:
			t.Errorf("packet %d is a header", i)
		case i == 2 && (!p.Video || !p.Key || p.DTS != 0):
			t.Errorf("begins with %+v, want a key frame at 0", p)
		}
		if p.DTS < last[p.Video] {
			t.Errorf("packet %d is at %v after %v", i, p.DTS, last[p.Video])
		}
		last[p.Video] = p.DTS
		if p.Video {
			video++
		} else {
			audio++
		}
	}
	return video, audio
}
