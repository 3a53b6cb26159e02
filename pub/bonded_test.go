package pub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/pub/bond"
	"github.com/tributary-live/tributary/pub/clip"
	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// bondTest is a relay on a simulated network, a publisher that goes there over
// several links, and a subscriber whose own link costs nothing.
type bondTest struct {
	t      *testing.T
	net    *netsim.Network
	relay  *relay.Relay
	url    string
	cfg    *transport.Config // of the relay's sessions
	dialer *transport.Dialer
	links  []*netsim.Link
	pub    *Publisher

	media       func() Source // what is published, from its beginning at each call
	connections int           // of each path; 0 as the bond likes
	log         *slog.Logger
	ended       chan error
	stop        context.CancelFunc

	mu   sync.Mutex // guards what follows
	got  map[string]map[moqt.Location]got
	over map[string]over // of tracks that have ended
}

// over is how and when the subscriber was told of a track's end.
type over struct {
	err error // nil if it ended well
	at  time.Time
}

// got is an object as the subscriber got it.
type got struct {
	payload []byte
	at      time.Time
	times   int
}

func newBondTest(t *testing.T, extensions bool, links ...[]netsim.Option) *bondTest {
	b := &bondTest{t: t, net: netsim.New(t, netsim.Seed(11)), relay: relay.New(relay.Config{}), ended: make(chan error, 1), got: make(map[string]map[moqt.Location]got), over: make(map[string]over)}
	b.media = func() Source {
		src, err := clip.Open()
		if err != nil {
			t.Fatal(err)
		}
		return src
	}
	for _, o := range links {
		b.links = append(b.links, b.net.Link(o...))
	}
	serverTLS, clientTLS := transporttest.TLS(t)
	srv := &transport.Server{TLSConfig: serverTLS, Handler: b.relay}
	b.cfg = &srv.Config
	if extensions {
		b.cfg.Extensions = b.relay.Extensions()
	}
	pc := b.net.Listen()
	b.url, b.dialer = "moqt://"+pc.LocalAddr().String(), &transport.Dialer{TLSConfig: clientTLS}
	var wg sync.WaitGroup
	wg.Go(func() { srv.Serve(context.Background(), pc) })
	synctest.Wait() // it has read its configuration
	t.Cleanup(func() {
		b.relay.Close()
		srv.Close()
		wg.Wait()
	})
	return b
}

func (b *bondTest) path(i int) bond.Path {
	return bond.Path{Name: fmt.Sprint("link", i), Connections: b.connections, ListenPacket: transporttest.ListenPacket(b.links[i])}
}

// publish runs the publisher over all links.
func (b *bondTest) publish(mode bond.Mode) {
	b.pub = NewPublisher(PublisherConfig{
		Namespace: testNS, Source: b.media(), Packager: PackagerConfig{FirstGroup: 1000},
		Bond: &bond.Config{URL: b.url, Dialer: b.dialer, Mode: mode, Logger: b.log},
	})
	for i := range b.links {
		b.pub.Bond().AddPath(b.path(i))
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.ended <- b.pub.Run(ctx)
	}()
	b.t.Cleanup(func() {
		cancel()
		<-done
	})
}

// watch subscribes to tracks as a viewer does.
func (b *bondTest) watch(names ...string) {
	d := *b.dialer
	d.ListenPacket = transporttest.ListenPacket(b.net.Link(netsim.Delay(time.Millisecond)))
	sess, err := d.Dial(b.t.Context(), b.url)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	b.t.Cleanup(func() {
		cancel()
		wg.Wait()
		sess.Close()
	})
	for _, name := range names {
		tr, err := sess.Subscribe(ctx, testNS.Track(name), nil)
		for err != nil { // the publisher has not announced it yet
			var refused *transport.RequestError
			if !errors.As(err, &refused) {
				b.t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
			tr, err = sess.Subscribe(ctx, testNS.Track(name), nil)
		}
		objects := make(map[moqt.Location]got)
		b.got[name] = objects
		wg.Go(func() {
			end := func(err error) {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.over[name] = over{err, time.Now()}
			}
			for o, err := range tr.Objects(ctx) {
				if err != nil {
					end(err)
					return
				}
				b.mu.Lock()
				have := objects[o.Location]
				objects[o.Location] = got{bytes.Clone(o.Payload), time.Now(), have.times + 1}
				b.mu.Unlock()
			}
			end(nil)
		})
	}
}

// expected returns what a packager makes of the media: a pure function of it.
func expected(t *testing.T, src Source, groups int) map[string]map[moqt.Location][]byte {
	in, err := src.Init()
	if err != nil {
		t.Fatal(err)
	}
	pk, err := NewPackager(in, PackagerConfig{FirstGroup: 1000})
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]map[moqt.Location][]byte)
	for {
		c, err := src.Next()
		if err == io.EOF {
			return want
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range pk.Add(c) {
			if want[i.Track] == nil {
				want[i.Track] = make(map[moqt.Location][]byte)
			}
			want[i.Track][i.Location] = bytes.Clone(i.Data)
			if i.Group >= 1000+uint64(groups) {
				return want
			}
		}
	}
}

// check compares what came of the groups from..to-1 with what was published, and
// returns the longest time without a new object of the first track.
func (b *bondTest) check(from, to uint64, names ...string) (gap time.Duration) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	want := expected(b.t, b.media(), int(to-1000)+2)
	for n, name := range names {
		missing := 0
		var at []time.Time
		for _, l := range slices.SortedFunc(maps.Keys(want[name]), moqt.Location.Compare) {
			if l.Group < from || l.Group >= to {
				continue
			}
			g, ok := b.got[name][l]
			switch {
			case !ok:
				missing++
				if missing < 6 {
					b.t.Errorf("%s %v did not come", name, l)
				}
				continue
			case g.times > 1:
				b.t.Errorf("%s %v came %d times", name, l, g.times)
			case !bytes.Equal(g.payload, want[name][l]):
				b.t.Errorf("%s %v has other bytes", name, l)
			}
			at = append(at, g.at)
		}
		if missing > 0 {
			b.t.Errorf("%d objects of %s did not come", missing, name)
		}
		slices.SortFunc(at, time.Time.Compare)
		for i := 1; i < len(at) && n == 0; i++ {
			gap = max(gap, at[i].Sub(at[i-1]))
		}
	}
	return gap
}

func ten() []netsim.Option {
	return []netsim.Option{netsim.Rate(10 * netsim.Mbit), netsim.Delay(25 * time.Millisecond)}
}

// TestBondThroughTheRelay publishes the clip over two links in each mode, cuts one
// of them for a while, pulls the other and plugs it in again, and wants every object
// downstream, once and unchanged. Pictures are made 33 or 34 ms apart: where
// everything goes over both links, viewers notice nothing.
func TestBondThroughTheRelay(t *testing.T) {
	for mode, longest := range map[bond.Mode]time.Duration{
		bond.Hybrid: 300 * time.Millisecond, bond.Aggregate: 300 * time.Millisecond, bond.Redundant: 50 * time.Millisecond,
		bond.Standby: 300 * time.Millisecond, bond.BestFPS: 300 * time.Millisecond,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBondTest(t, true, ten(), ten())
				b.publish(mode)
				b.watch("video", "audio")
				time.Sleep(5 * time.Second)
				b.links[0].Blackout(3 * time.Second)
				time.Sleep(8 * time.Second)
				b.pub.Bond().RemovePath("link1")
				time.Sleep(2 * time.Second)
				b.pub.Bond().AddPath(b.path(1))
				time.Sleep(4 * time.Second)
				gap := b.check(1002, 1014, "video", "audio")
				t.Logf("gap %v; %+v; relay %+v", gap, b.pub.Bond().Status(), b.relay.State().Bonds)
				if gap > longest {
					t.Errorf("nothing new was there for %v", gap)
				}
			})
		})
	}
}

// TestBestFPSThroughTheRelay throttles the path that groups go over, and lets the
// round trip of the other jump afterwards: the path changes once, the log says why,
// and the viewer has all pictures. The other has the longer round trip by far, so
// that it is not the first; a jump of that is no silence of a path that has failed.
func TestBestFPSThroughTheRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBondTest(t, true, ten(), append(ten(), netsim.Delay(60*time.Millisecond)))
		var mu sync.Mutex
		var lines []string
		b.log = slog.New(slog.NewTextHandler(writer(func(p []byte) {
			if mu.Lock(); bytes.Contains(p, []byte(`msg="best path"`)) {
				lines = append(lines, string(p))
			}
			mu.Unlock()
		}), nil))
		b.publish(bond.BestFPS)
		b.watch("video", "audio")
		time.Sleep(8 * time.Second)
		b.links[0].Set(netsim.Up(netsim.Rate(60 * netsim.Kbit)))
		time.Sleep(8 * time.Second)
		for i := range 4 {
			b.links[1].Set(netsim.Delay(time.Duration(110-50*(i%2)) * time.Millisecond))
			time.Sleep(3 * time.Second)
		}
		gap := b.check(1002, 1026, "video", "audio")
		mu.Lock()
		defer mu.Unlock()
		t.Logf("gap %v; %s", gap, lines)
		if len(lines) != 2 || !regexp.MustCompile("path=link1 before=link0 group=10(09|10|11) ").MatchString(lines[1]) || !strings.Contains(lines[1], "fps") {
			t.Errorf("the log has %q, want link0 and then link1, with scores", lines)
		}
		if gap > 500*time.Millisecond {
			t.Errorf("nothing new was there for %v", gap)
		}
	})
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

// TestBondWithoutAPath cuts all paths, for a moment, for longer than a session
// lives, and for longer than the relay keeps a bond: the broadcast goes on, and
// what came before and comes after is whole.
func TestBondWithoutAPath(t *testing.T) {
	for _, dark := range []time.Duration{time.Second, 7 * time.Second, 30 * time.Second} {
		t.Run(dark.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBondTest(t, true, ten(), ten())
				b.publish(bond.Hybrid)
				b.watch("video", "audio")
				time.Sleep(5 * time.Second)
				for _, l := range b.links {
					l.Blackout(dark)
				}
				time.Sleep(dark + 6*time.Second)
				if dark > 10*time.Second { // the relay had given up the publisher
					b.watch("video", "audio")
				}
				time.Sleep(8 * time.Second)
				t.Logf("%+v; relay %+v", b.pub.Bond().Status(), b.relay.State().Bonds)
				if dark <= 10*time.Second {
					b.check(1001, 1004, "video", "audio")
				}
				back := 1000 + uint64((dark+13*time.Second)/time.Second)
				b.check(back, back+4, "video", "audio")
			})
		})
	}
}

// TestBondOfManyConnections has several connections for each path, of which only
// the first serves requests, and loses packets.
func TestBondOfManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lossy := append(ten(), netsim.Loss(0.02))
		b := newBondTest(t, true, lossy, lossy)
		b.connections = 4
		b.publish(bond.Aggregate)
		b.watch("video", "audio")
		time.Sleep(5 * time.Second)
		b.links[0].Blackout(7 * time.Second)
		time.Sleep(14 * time.Second)
		b.check(1002, 1016, "video", "audio")
		for _, s := range b.relay.State().Bonds {
			if len(s.Members) != 8 || s.Tracks == 0 {
				t.Errorf("the relay has %d members, want 8", len(s.Members))
			}
		}
	})
}
