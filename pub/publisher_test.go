package pub

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/pub/fmp4"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// source is media that the test makes up: chunks as of testChunk, given at once
// and then an error.
type source struct {
	t      *testing.T
	tracks string
	chunks chan string // nil ends with err
	err    error
	opened error // of Init
}

func (s *source) Init() (*fmp4.Init, error) {
	if s.opened != nil {
		return nil, s.opened
	}
	return testInit(s.tracks), nil
}

func (s *source) Next() (*fmp4.Chunk, error) {
	c, ok := <-s.chunks
	if !ok {
		return nil, s.err
	}
	return testChunk(s.t, c), nil
}

// newSource returns a source that a test can fill, and that ends with it.
func newSource(t *testing.T, tracks string) *source {
	return &source{t: t, tracks: tracks, chunks: make(chan string, 1000), err: io.EOF}
}

func (s *source) add(chunks string) {
	for _, c := range strings.Fields(chunks) {
		s.chunks <- c
	}
}

// published is a Publisher that runs.
type published struct {
	t     *testing.T
	dials chan *transport.Session // the relay's ends, as they are dialled
	fail  chan error              // makes the next dial fail
	moved chan string             // URIs of other relays that were dialled
	ended chan error
	log   *bytes.Buffer
	pub   *Publisher
}

func run(t *testing.T, ctx context.Context, src Source) *published {
	p := &published{t: t, dials: make(chan *transport.Session, 8), fail: make(chan error, 8), moved: make(chan string, 8), ended: make(chan error, 1), log: &bytes.Buffer{}}
	dial := func(context.Context) (*transport.Session, error) {
		select {
		case err := <-p.fail:
			return nil, err
		default:
		}
		publisher, relay := sessions(t, nil)
		p.dials <- relay
		return publisher, nil
	}
	pb := NewPublisher(PublisherConfig{
		Namespace: testNS, Source: src, Packager: PackagerConfig{FirstGroup: 100},
		Dial: dial,
		DialTo: func(ctx context.Context, uri string) (*transport.Session, error) {
			p.moved <- uri
			return dial(ctx)
		},
		Logger: slog.New(slog.NewTextHandler(p.log, nil)),
	})
	p.pub = pb
	go func() { p.ended <- pb.Run(ctx) }()
	return p
}

// accept takes the next session and its announcement.
func (p *published) accept() (*served, *transport.AnnounceRequest) {
	p.t.Helper()
	s := &served{relay: <-p.dials}
	return s, s.accept(p.t)
}

// A subscriber that waits for the broadcast gets the catalog and then the media
// from its first object on.
func TestPublisherWhomSomebodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource(t, "VA")
		p := run(t, t.Context(), src)
		s, _ := p.accept()
		tr, f := s.join(t, catalog.TrackName, 0)
		if f != nil {
			t.Error("something was published before the media")
		}
		src.add("V0k A0 A50 V100 V200k")
		sg, err := tr.AcceptSubgroup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if o, err := sg.ReadObject(); err != nil || o.Location != location(100, 0) {
			t.Fatalf("catalog %v, %v, want object 100/0", o.Location, err)
		}
		if _, err := sg.ReadObject(); err != io.EOF {
			t.Errorf("after the catalog: %v, want the end of its group", err)
		}
		tr, f = s.join(t, "video", 2)
		close(src.chunks)
		var got []string
		for f != nil {
			o, err := f.ReadObject(t.Context())
			if err != nil {
				break
			}
			got = append(got, o.Location.String()+" "+string(o.Payload))
		}
		for o, err := range tr.Objects(t.Context()) {
			if err != nil {
				t.Errorf("the track ended with %v", err)
			}
			got = append(got, o.Location.String()+" "+string(o.Payload))
		}
		if strings.Join(got, ", ") != "100/0 V0k, 100/1 V100, 101/0 V200k" {
			t.Errorf("fetched and received %q", got)
		}
		if err := <-p.ended; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
}

func TestPublisherReconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		src := newSource(t, "V")
		defer close(src.chunks)
		p := run(t, ctx, src)
		s, _ := p.accept()
		src.add("V0k V100")
		tr, _ := s.join(t, "video", 0)
		c := collect(t, tr)
		synctest.Wait()

		lost := time.Now()
		for range 3 {
			p.fail <- errors.New("connection refused")
		}
		s.relay.Close()
		src.add("V200k V300")
		s, _ = p.accept()
		// 250 ms, 500 ms, 1 s and 2 s, of each at least a half
		if took := time.Since(lost); took < 1800*time.Millisecond || took > 3750*time.Millisecond {
			t.Errorf("redialled after %v, want after four growing pauses", took)
		}
		<-c.end
		tr, f := s.join(t, "video", 5)
		c = collect(t, tr)
		src.add("V400 V500k")
		synctest.Wait()
		var got []string
		for f != nil {
			o, err := f.ReadObject(t.Context())
			if err != nil {
				break
			}
			got = append(got, o.Location.String())
		}
		if strings.Join(got, " ")+c.String() != "100/0 100/1 101/0 101/1[101/2 102/0]" {
			t.Errorf("fetched %v, then received %v", got, c)
		}
		cancel()
		if err := <-p.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run() = %v, want %v", err, context.Canceled)
		}
		if log := p.log.String(); strings.Count(log, "relay not reached") != 3 || strings.Count(log, "relay lost") != 1 {
			t.Errorf("log:\n%s", log)
		}
	})
}

// A relay that goes away is left at once, and dialled again; if it names another,
// that is dialled, once.
func TestPublisherFollowsGoaway(t *testing.T) {
	for _, uri := range []string{"", "moqt://next.example"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			src := newSource(t, "V")
			defer close(src.chunks)
			p := run(t, ctx, src)
			s, _ := p.accept()
			start := time.Now()
			if err := s.relay.Goaway(ctx, uri, 0); err != nil { // returns when the session has ended
				t.Fatal(err)
			}
			s, _ = p.accept()
			if took := time.Since(start); took > redialFirst || uri != "" && took > 0 {
				t.Errorf("%q: dialled after %v, want within %v, and at once where it was told to go", uri, took, redialFirst)
			}
			if err := s.relay.Goaway(ctx, uri, 0); err != nil {
				t.Fatal(err)
			}
			p.accept()
			moved := 0
			for len(p.moved) > 0 {
				if to := <-p.moved; to != uri {
					t.Errorf("moved to %q, want %q", to, uri)
				}
				moved++
			}
			if want := min(1, len(uri)); moved != want {
				t.Errorf("%q: moved %d times, want %d", uri, moved, want)
			}
			cancel()
			<-p.ended
		})
	}
}

func TestPublisherEnds(t *testing.T) {
	unauthorized := &transport.RequestError{Code: moqt.RequestUnauthorized}
	broken := errors.New("mdat: input ended")
	for _, tt := range []struct {
		name string
		src  func(s *source)
		do   func(p *published)
		want error
	}{
		{"refused for good", nil, func(p *published) {
			req, _ := (<-p.dials).Accept(p.t.Context())
			req.Reject(moqt.RequestUnauthorized, "no")
		}, unauthorized},
		{"name taken", nil, func(p *published) {
			_, a := p.accept()
			synctest.Wait()
			a.Revoke(moqt.StreamMalformedTrack)
		}, ErrNameTaken},
		{"bad header", func(s *source) { s.opened = broken }, func(p *published) { p.accept() }, broken},
		{"breaks off", func(s *source) { s.err = broken; s.add("V0k"); close(s.chunks) }, func(p *published) { p.accept() }, broken},
		{"ends", func(s *source) { s.add("V0k"); close(s.chunks) }, func(p *published) { p.accept() }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := newSource(t, "V")
				if tt.src != nil {
					tt.src(src)
				}
				p := run(t, t.Context(), src)
				tt.do(p)
				if err := <-p.ended; !errors.Is(err, tt.want) {
					t.Errorf("Run() = %v, want %v", err, tt.want)
				}
				if tt.src == nil {
					close(src.chunks)
				}
			})
		})
	}
}

// The first dial must succeed, and there must be something to publish.
func TestPublisherThatCannotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("connection refused")
		pb := NewPublisher(PublisherConfig{Namespace: testNS, Source: newSource(t, "V"),
			Dial: func(context.Context) (*transport.Session, error) { return nil, refused }})
		if err := pb.Run(t.Context()); err != refused {
			t.Errorf("Run() without a relay = %v, want %v", err, refused)
		}
		p := run(t, t.Context(), newSource(t, "D"))
		p.accept()
		if err := <-p.ended; err == nil || !strings.Contains(err.Error(), "no video, audio or text track") {
			t.Errorf("Run() without a track = %v", err)
		}
	})
}

// A subscriber at the end of the input, or of the broadcast before that, gets the
// last object and a good end; a publisher whose context ends says nothing of an end.
func TestPublisherSaysWhetherTheTrackEnded(t *testing.T) {
	for _, how := range []string{"input", "End", "context"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			src := newSource(t, "V")
			p := run(t, ctx, src)
			s, _ := p.accept()
			tr, _ := s.join(t, "video", 0)
			c := collect(t, tr)
			src.add("V0k V100")
			time.Sleep(time.Second)
			told := time.Now()
			switch how {
			case "input":
				close(src.chunks)
			case "End":
				p.pub.End()
				defer close(src.chunks)
			case "context":
				cancel()
				defer close(src.chunks)
			}
			<-c.end
			if len(c.got) != 2 || (c.err == nil) != (how != "context") {
				t.Errorf("ended by %s: received %v, then %v", how, c, c.err)
			}
			if took := time.Since(told); took > time.Second {
				t.Errorf("ended by %s: told after %v, want at once", how, took)
			}
			if err := <-p.ended; (err == nil) != (how != "context") {
				t.Errorf("ended by %s: Run() = %v", how, err)
			}
			if how == "End" { // what comes of the source later is nobody's
				src.add("V200 V300k")
				synctest.Wait()
				if l, _ := p.pub.broadcast.Track("video", 0).Largest(); l != location(100, 1) {
					t.Errorf("%v was published after the end", l)
				}
			}
		})
	}
}

// Somebody who reads nothing, or a relay that is not there, holds up the end of a
// broadcast for a bounded time.
func TestPublisherEndIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, p *published)
		most time.Duration
	}{
		{"a relay that has gone", func(t *testing.T, p *published) {
			s, _ := p.accept()
			for range cap(p.fail) {
				p.fail <- errors.New("connection refused")
			}
			s.relay.Close()
		}, drainQuiet},
		{"a subscriber that reads nothing", func(t *testing.T, p *published) {
			s, _ := p.accept()
			if _, err := s.relay.Subscribe(t.Context(), testNS.Track("video"), nil); err != nil {
				t.Fatal(err)
			}
		}, drainTime},
		{"nobody", func(t *testing.T, p *published) { p.accept() }, drainQuiet},
		{"an announcement that waits", func(t *testing.T, p *published) { <-p.dials }, drainQuiet},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := newSource(t, "V")
				defer close(src.chunks)
				p := run(t, t.Context(), src)
				src.add("V0k V100")
				tt.do(t, p)
				time.Sleep(time.Second)
				told := time.Now()
				p.pub.End()
				p.pub.End()
				if err := <-p.ended; err != nil || time.Since(told) > tt.most {
					t.Errorf("Run() = %v after %v, want nil after %v at most", err, time.Since(told), tt.most)
				}
			})
		})
	}
}

// Before the relay was reached nobody has to be told.
func TestPublisherEndsBeforeItBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pb := NewPublisher(PublisherConfig{Namespace: testNS, Source: newSource(t, "V"),
			Dial: func(ctx context.Context) (*transport.Session, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}})
		began := time.Now()
		time.AfterFunc(time.Second, pb.End)
		if err := pb.Run(t.Context()); err != nil || time.Since(began) != time.Second {
			t.Errorf("Run() = %v after %v, want nil at End", err, time.Since(began))
		}
	})
}

// Media that comes faster than it plays is held back.
func TestPublisherPaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource(t, "V")
		p := run(t, t.Context(), src)
		s, _ := p.accept()
		tr, _ := s.join(t, "video", 0)
		start := time.Now()
		src.add("V0k V100 V200 V300 V400k V500")
		close(src.chunks)
		var at []time.Duration
		for _, err := range tr.Objects(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			at = append(at, time.Since(start))
		}
		for i, d := range at {
			if want := time.Duration(i) * 100 * time.Millisecond; d != want {
				t.Errorf("object %d came after %v, want %v", i, d, want)
			}
		}
		<-p.ended
	})
}
