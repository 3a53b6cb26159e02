package sub

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/pub"
	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// site is a relay with cameras, and one who watches them.
type site struct {
	t     *testing.T
	relay *relay.Relay
	ctx   context.Context
	wg    sync.WaitGroup
	ended chan error // of Receive

	mu    sync.Mutex // guards what follows
	shots []shot
}

// shot is an object that the viewer got.
type shot struct {
	camera string
	Object
}

func newSite(t *testing.T) *site {
	ctx, cancel := context.WithCancel(context.Background())
	s := &site{t: t, relay: relay.New(relay.Config{}), ctx: ctx, ended: make(chan error, 1)}
	t.Cleanup(func() {
		cancel()
		s.relay.Close()
		s.wg.Wait()
	})
	return s
}

// dial returns a session with the relay.
func (s *site) dial() *transport.Session {
	client, server := transporttest.Pipe(s.t, nil)
	s.wg.Go(func() {
		if sess, err := transport.NewSession(s.ctx, server, nil); err == nil {
			s.relay.ServeSession(s.ctx, sess)
		}
	})
	sess, err := transport.NewSession(s.ctx, client, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return sess
}

// filming is a camera that runs: a picture and a sound at a time, 25 to a group.
type filming struct {
	name  string
	b     *pub.Broadcast
	sess  *transport.Session
	every time.Duration

	mu     sync.Mutex
	paused bool
	over   bool
}

// film starts a camera of 25 pictures a second, with group ids of its own.
func (s *site) film(name string, group uint64) *filming {
	return s.filmSlowly(name, group, 40*time.Millisecond)
}

func (s *site) filmSlowly(name string, group uint64, every time.Duration) *filming {
	f := &filming{name: name, b: pub.NewBroadcast(moqt.NS("room", name)), sess: s.dial(), every: every}
	publishCatalog(s.t, f.b, "video", "audio")
	video, audio := f.b.Track("video", pub.PriorityVideo), f.b.Track("audio", pub.PriorityAudio)
	f.b.Complete()
	s.wg.Go(func() { f.b.Serve(s.ctx, f.sess) })
	s.wg.Go(func() {
		for n := 0; s.ctx.Err() == nil; {
			g := group + uint64(n/25)
			f.mu.Lock()
			paused, over := f.paused, f.over
			f.mu.Unlock()
			if over {
				return
			}
			if !paused {
				video.Append(g, fmt.Appendf(nil, "%s video %d/%d", name, g, n%25))
				audio.Append(g, fmt.Appendf(nil, "%s audio %d/%d", name, g, n%25))
				n++
			}
			time.Sleep(f.every)
		}
	})
	return f
}

// silent stops or starts what the camera sends; its session stays, as that of a
// publisher that was killed does until it is missed.
func (f *filming) silent(paused bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paused = paused
}

// end ends the broadcast well.
func (f *filming) end() {
	f.mu.Lock()
	f.over = true
	f.mu.Unlock()
	f.b.End()
}

// kill ends the camera's session.
func (f *filming) kill() {
	f.silent(true)
	f.sess.Close()
}

// watch begins to receive cameras.
func (s *site) watch(wait time.Duration, names ...string) {
	var list []moqt.Namespace
	for _, n := range names {
		list = append(list, moqt.NS("room", n))
	}
	sess := s.dial()
	s.t.Cleanup(func() { sess.Close() })
	c := NewCameras(sess, Config{Namespace: list[0], Spares: list[1:], Wait: wait})
	s.wg.Go(func() {
		s.ended <- c.Receive(s.ctx, func(b *Broadcast, o Object) error {
			name := b.Namespace.Fields()[1]
			s.mu.Lock()
			defer s.mu.Unlock()
			s.shots = append(s.shots, shot{name, o})
			return nil
		})
	})
}

// cuts checks what was received and returns it as the cameras in the order in
// which they were shown: of each the objects are whole, begin with a group, and
// have none of another camera between them.
func (s *site) cuts() (cuts []cut) {
	s.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var last map[string]moqt.Location
	for i, shot := range s.shots {
		if want := fmt.Sprintf("%s %s %v", shot.camera, shot.Track, shot.Location); string(shot.Payload) != want {
			s.t.Fatalf("object %d is %q, want %q", i, shot.Payload, want)
		}
		if i == 0 || shot.camera != s.shots[i-1].camera {
			c := cut{camera: shot.camera, first: shot.Location, at: shot.Arrival}
			if i > 0 {
				c.gap = shot.Arrival.Sub(s.shots[i-1].Arrival)
			}
			cuts, last = append(cuts, c), make(map[string]moqt.Location)
			if shot.Track != "video" {
				s.t.Errorf("%s begins with %s", shot.camera, shot.Track)
			}
		}
		now, before, begun := shot.Location, last[shot.Track], false
		if _, begun = last[shot.Track]; begun {
			if next := (moqt.Location{Group: before.Group, Object: before.Object + 1}); now != next && now != (moqt.Location{Group: before.Group + 1}) {
				s.t.Errorf("%s: after %s %v comes %v", shot.camera, shot.Track, before, now)
			}
		} else if now.Object != 0 {
			s.t.Errorf("%s: %s begins with %v, want the first object of a group", shot.camera, shot.Track, now)
		}
		last[shot.Track] = now
	}
	return cuts
}

// cut is a stretch of one camera.
type cut struct {
	camera string
	first  moqt.Location
	at     time.Time
	gap    time.Duration // without anything before it
}

func (s *site) wantCuts(want string) []cut {
	s.t.Helper()
	cuts := s.cuts()
	var names []string
	for _, c := range cuts {
		names = append(names, c.camera)
	}
	if got := strings.Join(names, " "); got != want {
		s.t.Fatalf("cameras shown: %q, want %q", got, want)
	}
	return cuts
}

// A camera that falls silent in the middle of a group is left within the bound,
// for the running group of the next from its first object on; and it is cut back
// to when it has been back for some seconds.
func TestCutAndCutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		a, b := s.film("a", 100), s.film("b", 7000)
		time.Sleep(300 * time.Millisecond)
		s.watch(0, "a", "b")
		time.Sleep(3500 * time.Millisecond)
		s.wantCuts("a")
		a.silent(true)
		time.Sleep(2 * time.Second)
		cuts := s.wantCuts("a b")
		if most := silence + 2*tick + b.every; cuts[1].gap > most {
			t.Errorf("nothing for %v, want %v at most", cuts[1].gap, most)
		}
		a.silent(false)
		back := time.Now()
		time.Sleep(steady - time.Second)
		s.wantCuts("a b")
		time.Sleep(3 * time.Second)
		cuts = s.wantCuts("a b a")
		if took := cuts[2].at.Sub(back); took < steady || took > steady+time.Second+2*a.every {
			t.Errorf("back after %v, want at the first group after %v", took, steady)
		}
		if cuts[2].gap > a.every {
			t.Errorf("nothing for %v when a camera is cut back to", cuts[2].gap)
		}
	})
}

// Who ends well, or loses its session, is left at once.
func TestCutAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(f *filming)
		most time.Duration
	}{
		{"ended", (*filming).end, 0},
		{"session lost", (*filming).kill, silence + tick},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				a, b := s.film("a", 100), s.film("b", 7000)
				time.Sleep(100 * time.Millisecond)
				s.watch(0, "a", "b")
				time.Sleep(3500 * time.Millisecond)
				tt.end(a)
				time.Sleep(20 * time.Second)
				if cuts := s.wantCuts("a b"); cuts[1].gap > tt.most+2*b.every {
					t.Errorf("nothing for %v, want %v at most", cuts[1].gap, tt.most+2*b.every)
				}
				b.end()
				time.Sleep(time.Second)
				select {
				case err := <-s.ended:
					if err != nil {
						t.Errorf("Receive() = %v, want nil: what was shown last has ended well", err)
					}
				default:
					t.Error("Receive goes on when all cameras are gone")
				}
			})
		})
	}
}

// When what is shown ends well, one that was silent is given another chance before
// all is over, and no more.
func TestLastChance(t *testing.T) {
	for _, returns := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t)
			a, b := s.film("a", 100), s.film("b", 7000)
			time.Sleep(100 * time.Millisecond)
			s.watch(0, "a", "b")
			time.Sleep(5 * time.Second)
			a.silent(true)
			time.Sleep(5 * time.Second)
			b.end()
			if returns {
				time.Sleep(time.Second)
				a.silent(false)
				time.Sleep(2 * time.Second)
				s.wantCuts("a b a")
				return
			}
			select {
			case err := <-s.ended:
				if err != nil {
					t.Errorf("Receive() = %v, want nil", err)
				}
			case <-time.After(answer + time.Second):
				t.Error("Receive goes on although no camera answers")
			}
		})
	}
}

// A camera that comes and goes is cut back to more and more rarely.
func TestNoFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		a := s.film("a", 100)
		s.film("b", 7000)
		time.Sleep(100 * time.Millisecond)
		s.watch(0, "a", "b")
		for range 40 { // 5 s there, 1 s away
			time.Sleep(5 * time.Second)
			a.silent(true)
			time.Sleep(time.Second)
			a.silent(false)
		}
		if n := len(s.cuts()); n < 2 || n > 4 {
			t.Errorf("%d cameras shown in four minutes, want it to stay at b", n)
		}
		time.Sleep(steadyMost + 2*time.Second)
		if cuts := s.cuts(); cuts[len(cuts)-1].camera != "a" {
			t.Error("a is steady again and not shown")
		}
	})
}

// A spare that is gone as well, although the relay still has its last group, is
// not cut to; and what is not needed is not subscribed.
func TestCutPastOneThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		a, b := s.film("a", 100), s.film("b", 7000)
		s.film("c", 40)
		time.Sleep(1500 * time.Millisecond)
		b.silent(true)
		s.watch(0, "a", "b", "c")
		time.Sleep(3500 * time.Millisecond)
		for _, track := range s.relay.State().Tracks {
			if track.Subscribers > 0 && !strings.HasPrefix(track.Name, "room-a") && !strings.HasSuffix(track.Name, "catalog") {
				t.Errorf("%s is subscribed", track.Name)
			}
		}
		a.silent(true)
		time.Sleep(5 * time.Second)
		cuts := s.wantCuts("a c")
		if most := silence + answer + 4*tick; cuts[1].gap > most {
			t.Errorf("nothing for %v, want %v at most", cuts[1].gap, most)
		}
	})
}

// Objects that are rare in themselves are no failure.
func TestSlowCamera(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.filmSlowly("a", 100, 900*time.Millisecond)
		s.film("b", 7000)
		time.Sleep(time.Second)
		s.watch(0, "a", "b")
		time.Sleep(30 * time.Second)
		s.wantCuts("a")
	})
}

func TestNoCamera(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.watch(5*time.Second, "a", "b")
		start := time.Now()
		err := <-s.ended
		if took := time.Since(start); err == nil || !strings.Contains(err.Error(), "room/b") || took < 5*time.Second || took > 6*time.Second {
			t.Errorf("Receive() = %v after %v, want an error that names both after 5 s", err, took)
		}
		s.watch(time.Minute, "a", "b")
		time.Sleep(10 * time.Second)
		s.film("b", 7000)
		time.Sleep(10 * time.Second)
		s.film("a", 100)
		time.Sleep(10 * time.Second)
		if cuts := s.wantCuts("b a"); cuts[0].first != (moqt.Location{Group: 7000}) {
			t.Errorf("begins with %v, want the first object that there was", cuts[0].first)
		}
	})
}

// A camera that is only watched is asked for with less priority than one that is
// to be shown.
func TestPriorityOfWhatIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		subscriber, publisher := sessions(t)
		c := catalog.New()
		c.Add(catalog.Track{Name: "video", Role: catalog.RoleVideo, Packaging: catalog.PackagingCMAF, IsLive: true}, []byte("header"))
		encoded, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		asked := make(map[string][]moqt.Priority)
		send := func(w *transport.TrackWriter, payload []byte, n int) {
			for g := range n {
				o, err := w.OpenGroup(ctx, uint64(g))
				if err != nil {
					return
				}
				o.Write(payload)
				o.Close()
				time.Sleep(40 * time.Millisecond)
			}
		}
		wg.Go(func() {
			for {
				req, err := publisher.Accept(ctx)
				if err != nil {
					return
				}
				r, ok := req.(*transport.SubscribeRequest)
				if !ok {
					req.Reject(moqt.RequestNotSupported, "")
					continue
				}
				w, err := r.Accept(nil)
				if err != nil {
					t.Error(err)
					return
				}
				camera := r.Track.Namespace.Fields()[1]
				switch {
				case r.Track.Name == catalog.TrackName:
					wg.Go(func() { send(w, encoded, 1) })
					continue
				case camera == "b": // a says nothing
					wg.Go(func() { send(w, []byte("x"), 250) })
				}
				asked[camera] = append(asked[camera], r.Priority)
			}
		})
		cameras := NewCameras(subscriber, Config{Namespace: moqt.NS("room", "a"), Spares: []moqt.Namespace{moqt.NS("room", "b")}})
		wg.Go(func() { cameras.Receive(ctx, func(*Broadcast, Object) error { return nil }) })
		time.Sleep(answer + rest + time.Second)
		synctest.Wait()
		if got := fmt.Sprint(asked); got != fmt.Sprint(map[string][]moqt.Priority{"a": {moqt.DefaultPriority, watched}, "b": {moqt.DefaultPriority}}) {
			t.Errorf("priorities asked for: %v", got)
		}
	})
}
