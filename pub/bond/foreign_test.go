package bond

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// foreign is somebody else's relay on a simulated network. With NewestWins it ends
// the running subscriptions of a track when another publisher of it appears.
type foreign struct {
	t      *testing.T
	policy Treatment
	url    string
	dialer *transport.Dialer

	mu      sync.Mutex // guards what follows
	setups  int
	sources map[moqt.Namespace][]*transport.Session // in the order in which they came
	running map[moqt.Namespace][]context.CancelFunc // subscriptions
}

func newForeign(t *testing.T, n *netsim.Network, policy Treatment) *foreign {
	f := &foreign{t: t, policy: policy, sources: make(map[moqt.Namespace][]*transport.Session), running: make(map[moqt.Namespace][]context.CancelFunc)}
	server, client := transporttest.TLS(t)
	srv := &transport.Server{TLSConfig: server, Config: transport.Config{Implementation: "other/1"}, Handler: f}
	pc := n.Listen()
	f.url, f.dialer = "moqt://"+pc.LocalAddr().String(), &transport.Dialer{TLSConfig: client}
	var wg sync.WaitGroup
	wg.Go(func() { srv.Serve(context.Background(), pc) })
	t.Cleanup(func() {
		srv.Close()
		wg.Wait()
	})
	return f
}

// ServeSession makes it a [transport.Handler].
func (f *foreign) ServeSession(ctx context.Context, sess *transport.Session) error {
	f.mu.Lock()
	f.setups++
	f.mu.Unlock()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		req, err := sess.Accept(ctx)
		if err != nil {
			return err
		}
		switch req := req.(type) {
		case *transport.AnnounceRequest:
			f.announced(sess, req)
		case *transport.SubscribeRequest:
			w, err := req.Accept(nil)
			if err != nil {
				continue
			}
			wg.Go(func() { f.copy(w, req.Track) })
		}
	}
}

func (f *foreign) announced(sess *transport.Session, req *transport.AnnounceRequest) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ns := req.Namespace
	if f.policy == Refuses && len(f.sources[ns]) > 0 {
		req.Reject(moqt.RequestDuplicateSubscription, "there is one")
		return
	}
	req.Accept()
	f.sources[ns] = append(f.sources[ns], sess)
	if f.policy == NewestWins {
		for _, end := range f.running[ns] {
			end()
		}
		f.running[ns] = nil
	}
	context.AfterFunc(sess.Context(), func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for i, s := range f.sources[ns] {
			if s == sess {
				f.sources[ns] = append(f.sources[ns][:i:i], f.sources[ns][i+1:]...)
			}
		}
	})
}

// copy passes the objects of one publisher on, and ends the subscription with it.
func (f *foreign) copy(w *transport.TrackWriter, name moqt.TrackName) {
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel()
	defer w.Close()
	f.mu.Lock()
	from := f.sources[name.Namespace]
	if len(from) == 0 {
		f.mu.Unlock()
		return
	}
	src := from[0]
	if f.policy == NewestWins {
		src = from[len(from)-1]
	}
	f.running[name.Namespace] = append(f.running[name.Namespace], cancel)
	f.mu.Unlock()
	rd, err := src.Subscribe(ctx, name, nil)
	if err != nil {
		return
	}
	defer rd.Close()
	for o, err := range rd.Objects(ctx) {
		if err != nil {
			return
		}
		if sg, err := w.OpenSubgroup(ctx, moqt.Subgroup{Group: o.Group, First: true}); err == nil {
			sg.WriteObject(o)
			sg.Close()
		}
	}
}

func (f *foreign) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.setups
}

// clockwork publishes 30 groups of an object a second, on whatever session it is
// asked by.
type clockwork struct {
	mu       sync.Mutex // guards what follows
	sessions int        // that have published
}

var clockTrack = moqt.NS("clock").Track("work")

func (c *clockwork) serve(ctx context.Context, sess *transport.Session, _ bool) error {
	c.mu.Lock()
	c.sessions++
	c.mu.Unlock()
	announced, err := sess.Announce(ctx, clockTrack.Namespace)
	if err != nil {
		return err
	}
	defer announced.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		req, err := sess.Accept(ctx)
		if err != nil {
			return err
		}
		sub, ok := req.(*transport.SubscribeRequest)
		if !ok {
			req.Reject(moqt.RequestNotSupported, "")
			continue
		}
		w, err := sub.Accept(nil)
		if err != nil {
			continue
		}
		wg.Go(func() {
			tick := time.NewTicker(time.Second / 30)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
				case <-w.Context().Done():
					return
				case <-ctx.Done():
					return
				}
				if sg, err := w.OpenGroup(ctx, uint64(time.Now().UnixMilli())); err == nil {
					sg.WriteObject(moqt.Object{Payload: make([]byte, 2000), Location: moqt.Location{Group: uint64(time.Now().UnixMilli())}})
					sg.Close()
				}
			}
		})
	}
}

// viewer watches the clock, and subscribes again when its subscription ends.
type viewer struct {
	mu    sync.Mutex // guards what follows
	ended int
	gap   time.Duration // longest time without an object, between two
	last  time.Time
}

func (v *viewer) watch(t *testing.T, f *foreign, n *netsim.Network) {
	d := *f.dialer
	d.ListenPacket = transporttest.ListenPacket(n.Link(netsim.Delay(5 * time.Millisecond)))
	sess, err := d.Dial(t.Context(), f.url)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			rd, err := sess.Subscribe(ctx, clockTrack, nil)
			if err != nil {
				return
			}
			for _, err := range rd.Objects(ctx) {
				if err != nil {
					break
				}
				v.mu.Lock()
				if !v.last.IsZero() {
					v.gap = max(v.gap, time.Since(v.last))
				}
				v.last = time.Now()
				v.mu.Unlock()
			}
			rd.Close()
			v.mu.Lock()
			v.ended++
			v.mu.Unlock()
			pause(ctx, 100*time.Millisecond)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		sess.Close()
	})
}

// saw returns how often the subscription has ended, and the longest gap since the
// last call. Objects must be coming.
func (v *viewer) saw(t *testing.T) (ended int, gap time.Duration) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if since := time.Since(v.last); since > time.Second {
		t.Errorf("nothing has come for %v", since)
	}
	gap, v.gap = v.gap, 0
	return v.ended, gap
}

// startRoaming runs a bond over two links to a foreign relay.
func startRoaming(t *testing.T, f *foreign, n *netsim.Network, c *clockwork, paths ...Path) *Bond {
	b := New(Config{URL: f.url, Dialer: f.dialer, Serve: c.serve, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	for _, p := range paths {
		b.AddPath(p)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return b
}
