package sub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/pub"
	"github.com/tributary-live/tributary/pub/fmp4"
	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// place is where a relay is, or is not, that publishers and viewers dial.
type place struct {
	t   *testing.T
	ctx context.Context
	wg  sync.WaitGroup

	mu    sync.Mutex // guards what follows
	relay *relay.Relay
}

var errAway = errors.New("nobody is there")

func newPlace(t *testing.T) *place {
	ctx, cancel := context.WithCancel(context.Background())
	p := &place{t: t, ctx: ctx, relay: relay.New(relay.Config{})}
	t.Cleanup(func() {
		cancel()
		p.leave()
		p.wg.Wait()
	})
	return p
}

// leave ends the relay.
func (p *place) leave() {
	p.mu.Lock()
	r := p.relay
	p.relay = nil
	p.mu.Unlock()
	if r != nil {
		r.Close()
	}
}

// back starts another relay, which knows nothing.
func (p *place) back() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.relay = relay.New(relay.Config{})
}

func (p *place) dial(ctx context.Context) (*transport.Session, error) {
	p.mu.Lock()
	r := p.relay
	p.mu.Unlock()
	if r == nil {
		return nil, errAway
	}
	client, server := transporttest.Pipe(p.t, nil)
	p.wg.Go(func() {
		if sess, err := transport.NewSession(p.ctx, server, nil); err == nil {
			r.ServeSession(p.ctx, sess)
		}
	})
	return transport.NewSession(p.ctx, client, nil)
}

// publish publishes a looped film, from its beginning, until stop is called.
func (p *place) publish(ns moqt.Namespace, dial func(context.Context) (*transport.Session, error)) (stop func()) {
	return p.publishFrom(0, ns, dial)
}

// publishFrom is publish with the id of the first group.
func (p *place) publishFrom(group uint64, ns moqt.Namespace, dial func(context.Context) (*transport.Session, error)) (stop func()) {
	f, err := os.Open("../pub/fmp4/testdata/cmaf.mp4")
	if err != nil {
		p.t.Fatal(err)
	}
	l, err := fmp4.NewLooper(f, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(p.ctx)
	done := make(chan struct{})
	p.wg.Go(func() {
		defer close(done)
		defer f.Close()
		if err := pub.NewPublisher(pub.PublisherConfig{Namespace: ns, Source: l, Dial: dial, Packager: pub.PackagerConfig{FirstGroup: group}}).Run(ctx); !errors.Is(err, context.Canceled) {
			p.t.Errorf("Run() = %v", err)
		}
	})
	return func() { cancel(); <-done }
}

// record receives as MP4 until stop is called, which returns what was written and
// what Receiver.WriteMP4 returned.
func (p *place) record(c ReceiverConfig) (stop func() ([]byte, error)) {
	ctx, cancel := context.WithCancel(p.ctx)
	var out bytes.Buffer
	var err error
	done := make(chan struct{})
	p.wg.Go(func() {
		defer close(done)
		err = NewReceiver(c).WriteMP4(ctx, &out)
	})
	return func() ([]byte, error) {
		cancel()
		<-done
		return out.Bytes(), err
	}
}

// loopGap is what the film's pictures lack at its end.
const loopGap = 65 * time.Millisecond

// gaps checks that file has one header and that the time of each track never goes
// back, and returns of each track how long it plays and the time that is missing.
func gaps(t *testing.T, file []byte) (played, missing map[uint32]time.Duration) {
	t.Helper()
	if n := bytes.Count(file, []byte("moov")); n != 1 {
		t.Errorf("%d headers, want one", n)
	}
	r := fmp4.NewReader(bytes.NewReader(file), nil)
	in, err := r.Init()
	if err != nil {
		t.Fatal(err)
	}
	scale := make(map[uint32]uint32)
	for _, tr := range in.Tracks {
		scale[tr.ID] = tr.Timescale
	}
	played, missing = make(map[uint32]time.Duration), make(map[uint32]time.Duration)
	ends := make(map[uint32]time.Duration)
	for {
		c, err := r.Next()
		if err == io.EOF {
			return played, missing
		}
		if err != nil {
			t.Fatal(err)
		}
		start, length := fmp4.Duration(c.DTS, scale[c.Track]), fmp4.Duration(c.Duration, scale[c.Track])
		end, begun := ends[c.Track]
		if begun {
			if start < end-time.Millisecond {
				t.Errorf("track %d: a chunk at %v, the one before ended at %v", c.Track, start, end)
			}
			if gap := start - end; gap > loopGap {
				missing[c.Track] += gap
			}
		}
		ends[c.Track] = start + length
		played[c.Track] += length
	}
}

// A recording goes on when the relay was away: what the publisher still holds is
// in it, and nothing is in it twice.
func TestRelayComesBack(t *testing.T) {
	for _, tt := range []struct {
		name    string
		away    time.Duration
		missing time.Duration // at most
	}{
		{"at once", 0, 100 * time.Millisecond},
		{"after 3 s", 3 * time.Second, 8 * time.Second},
		{"after 20 s", 20 * time.Second, 30 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t)
				p.publish(testNS, p.dial)
				time.Sleep(time.Second)
				stop := p.record(ReceiverConfig{Config: Config{Namespace: testNS, Wait: time.Minute}, Dial: p.dial})
				time.Sleep(5 * time.Second)
				p.leave()
				time.Sleep(tt.away)
				p.back()
				time.Sleep(15 * time.Second)
				file, err := stop()
				if !errors.Is(err, context.Canceled) {
					t.Errorf("WriteMP4() = %v, want what ended its context", err)
				}
				played, missing := gaps(t, file)
				for id := range played {
					if missing[id] > tt.missing {
						t.Errorf("track %d: %v are missing, want %v at most", id, missing[id], tt.missing)
					}
					if whole := 20*time.Second + tt.away; played[id]+missing[id] < whole-time.Second || played[id] < whole-tt.missing-time.Second {
						t.Errorf("track %d: %v, and %v missing, of %v", id, played[id], missing[id], whole)
					}
				}
			})
		})
	}
}

// Where the publisher has begun anew meanwhile, with times from zero, the time of
// the output goes on as between two cameras.
func TestPublisherBeganAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		end := p.publish(testNS, p.dial)
		time.Sleep(time.Second)
		stop := p.record(ReceiverConfig{Config: Config{Namespace: testNS, Wait: time.Minute}, Dial: p.dial})
		time.Sleep(5 * time.Second)
		p.leave()
		end()
		p.back()
		p.publish(testNS, p.dial)
		time.Sleep(10 * time.Second)
		file, _ := stop()
		played, missing := gaps(t, file)
		for id := range played {
			if played[id] < 13*time.Second || missing[id] > 200*time.Millisecond {
				t.Errorf("track %d: %v, and %v missing, want 14 s and a seam", id, played[id], missing[id])
			}
		}
	})
}

// A relay that goes away is left for the one that it names, or for that which is
// dialled next, and nothing is missing.
func TestGoaway(t *testing.T) {
	for _, tt := range []struct {
		name, to string
		there    bool // the relay that it names
		dials    string
	}{
		{"names another", "moqt://two", true, "one moqt://two"},
		{"names one that is not there", "moqt://three", false, "one moqt://three two"},
		{"names none", "", false, "one two"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				one, two := newPlace(t), newPlace(t)
				one.publishFrom(1000, testNS, one.dial)
				two.publishFrom(1000, testNS, two.dial)
				var dials []string
				c := ReceiverConfig{Config: Config{Namespace: testNS, Wait: time.Minute}}
				c.Dial = func(ctx context.Context) (*transport.Session, error) {
					if len(dials) == 0 {
						dials = append(dials, "one")
						return one.dial(ctx)
					}
					dials = append(dials, "two")
					return two.dial(ctx)
				}
				c.DialTo = func(ctx context.Context, uri string) (*transport.Session, error) {
					dials = append(dials, uri)
					if !tt.there {
						return nil, errAway
					}
					return two.dial(ctx)
				}
				time.Sleep(time.Second)
				stop := one.record(c)
				time.Sleep(5 * time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				one.wg.Go(func() { one.relay.Drain(ctx, tt.to) })
				time.Sleep(5 * time.Second)
				file, err := stop()
				if !errors.Is(err, context.Canceled) {
					t.Errorf("WriteMP4() = %v, want what ended its context", err)
				}
				if got := strings.Join(dials, " "); got != tt.dials {
					t.Errorf("dialled %s, want %s", got, tt.dials)
				}
				played, missing := gaps(t, file)
				for id := range played {
					if played[id] < 9500*time.Millisecond || missing[id] > time.Millisecond {
						t.Errorf("track %d: %v, and %v missing, want 10 s and nothing", id, played[id], missing[id])
					}
				}
			})
		})
	}
}

// Cameras go on at the next session as well: with the preferred one that is there.
func TestCamerasAtTheNextSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		a, b := moqt.NS("room", "a"), moqt.NS("room", "b")
		p.publish(a, p.dial)
		end := p.publish(b, p.dial)
		time.Sleep(time.Second)
		stop := p.record(ReceiverConfig{Config: Config{Namespace: b, Spares: []moqt.Namespace{a}, Wait: time.Minute}, Dial: p.dial})
		time.Sleep(5 * time.Second)
		p.leave()
		end()
		time.Sleep(2 * time.Second)
		p.back()
		time.Sleep(10 * time.Second)
		file, _ := stop()
		played, missing := gaps(t, file)
		for id := range played {
			if played[id] < 11*time.Second || missing[id] > 200*time.Millisecond {
				t.Errorf("track %d: %v, and %v missing, want 11 s at least and a seam", id, played[id], missing[id])
			}
		}
	})
}

// Nothing is waited for longer than Config.Wait, whatever is missing.
func TestReceiverGivesUp(t *testing.T) {
	for _, tt := range []struct {
		name  string
		wait  time.Duration
		back  bool // the relay is, the publisher is not
		wants []string
	}{
		{"not at all", 0, false, nil},
		{"no relay", 10 * time.Second, false, []string{"relay was lost", "10s", errAway.Error()}},
		{"no publisher", 10 * time.Second, true, []string{"catalog of live/van"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t)
				end := p.publish(testNS, p.dial)
				time.Sleep(time.Second)
				ended := make(chan error, 1)
				p.wg.Go(func() {
					c := ReceiverConfig{Config: Config{Namespace: testNS, Wait: tt.wait}, Dial: p.dial}
					ended <- NewReceiver(c).Receive(p.ctx, func(*Broadcast, Object) error { return nil })
				})
				time.Sleep(5 * time.Second)
				end()
				p.leave()
				lost := time.Now()
				if tt.back {
					time.Sleep(3 * time.Second)
					p.back()
				}
				err := <-ended
				if took := time.Since(lost); took < tt.wait || took > tt.wait+time.Second {
					t.Errorf("Receive returned after %v, want %v", took, tt.wait)
				}
				if err == nil {
					t.Fatal("Receive() = nil, want why")
				}
				for _, want := range tt.wants {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("Receive() = %v, want %q in it", err, want)
					}
				}
			})
		})
	}
}

// What a relay that is there refuses is no relay that was lost: it is not dialled
// again.
func TestReceiverIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		config     Config
	}{
		{"no publisher", "no publisher came in time", Config{Namespace: moqt.NS("nobody"), Wait: 5 * time.Second}},
		{"no camera", "no camera is there", Config{Namespace: moqt.NS("nobody"), Spares: []moqt.Namespace{moqt.NS("no", "one")}, Wait: 5 * time.Second}},
		{"no track", `no CMAF track "smell"`, Config{Namespace: testNS, Tracks: []string{"smell"}, Wait: 5 * time.Second}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t)
				defer p.publish(testNS, p.dial)()
				time.Sleep(time.Second)
				dials := 0
				c := ReceiverConfig{Config: tt.config, Dial: func(ctx context.Context) (*transport.Session, error) {
					dials++
					return p.dial(ctx)
				}}
				err := NewReceiver(c).Receive(p.ctx, func(*Broadcast, Object) error { return nil })
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "lost") {
					t.Errorf("Receive() = %v, want %q and nothing of a relay that was lost", err, tt.want)
				}
				if dials != 1 {
					t.Errorf("dialled %d times, want once", dials)
				}
			})
		})
	}
}

// Of streams that fail while their session seems to live, those have lost the relay
// that say so.
func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, err := newPlace(t).dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			err  error
			want bool
		}{
			{nil, false},
			{fmt.Errorf("track %q: %w", "audio", &transport.SessionError{Code: moqt.SessionInternalError, Remote: true}), true},
			{fmt.Errorf("track %q: connection lost: %w", "audio", net.ErrClosed), true},
			{transport.ErrGoaway, true},
			{&transport.TrackDone{Code: moqt.DoneGoingAway}, true},
			{&transport.TrackDone{Code: moqt.DoneTrackEnded}, false},
			{&transport.RequestError{Code: moqt.RequestDoesNotExist}, false},
			{errors.New("no such track"), false},
		} {
			if got := lost(client, tt.err); got != tt.want {
				t.Errorf("lost(%v) = %v, want %v", tt.err, got, tt.want)
			}
		}
		client.Close()
		if !lost(client, errors.New("no such track")) {
			t.Error("a session that has ended is not lost")
		}
	})
}

// A first session must come about, an error of who takes the objects ends all, and
// so does the broadcast's end.
func TestReceiverEnds(t *testing.T) {
	full := errors.New("disk full")
	for _, tt := range []struct {
		name string
		take error
		dial error
		want error
	}{{"no first session", nil, errAway, errAway}, {"taker", full, nil, full}, {"end", nil, nil, nil}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBroadcast(t, "video")
				b.Track("video", 0).Append(1, []byte("x"))
				dials := 0
				c := ReceiverConfig{Config: Config{Namespace: testNS, Wait: time.Minute}}
				c.Dial = func(context.Context) (*transport.Session, error) {
					dials++
					if tt.dial != nil {
						return nil, tt.dial
					}
					return serve(t, b), nil
				}
				time.AfterFunc(time.Second, b.End)
				if err := NewReceiver(c).Receive(t.Context(), func(*Broadcast, Object) error { return tt.take }); !errors.Is(err, tt.want) {
					t.Errorf("Receive() = %v, want %v", err, tt.want)
				}
				if dials != 1 {
					t.Errorf("dialled %d times, want once", dials)
				}
			})
		})
	}
}
