package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// FanoutConfig is a load of one publisher and many subscribers of one track.
type FanoutConfig struct {
	// Kind is what sends to the subscribers.
	Kind Kind
	// URL is a relay that runs already. If empty, one is started as Relay says,
	// or the server of another kind.
	URL   string
	Relay Relay
	// Dialer is for URL. If nil, every certificate is trusted.
	Dialer *transport.Dialer
	// Subscribers is their number, Rate the objects a second, Size the bytes of
	// one, GroupSize the objects of a group.
	Subscribers, Rate, Size, GroupSize int
	// Duration is how long objects are published: it gives their number.
	Duration time.Duration
	// WarmUp is how many objects are published before those: they count for what
	// is lost or doubled, but neither for CPU nor for delays. The first ones find
	// everything cold, which no track is for long.
	WarmUp int
	// Slow puts the first subscriber behind a link of half the track's rate. It
	// is left out of all figures but its own. It is for relays.
	Slow bool
	// Profile, if not empty, is where a CPU profile of the relay goes.
	Profile string
}

func (c *FanoutConfig) objects() int { return c.WarmUp + int(c.Duration.Seconds()*float64(c.Rate)) }

func (c *FanoutConfig) check() error {
	if c.Subscribers < 1 || c.Rate < 1 || c.Size < stampSize || c.GroupSize < 1 || c.objects() < 1 {
		return fmt.Errorf("a fan-out to %d subscribers, %d objects of %d bytes a second in groups of %d for %v cannot be run (an object has at least %d bytes)",
			c.Subscribers, c.Rate, c.Size, c.GroupSize, c.Duration, stampSize)
	}
	return nil
}

// FanoutResult is what the subscribers saw, and what that cost the server.
type FanoutResult struct {
	FanoutConfig
	Received int           // by all subscribers, after the warm-up
	Lost     int           // objects that a subscriber did not get
	Doubled  int           // objects that a subscriber got twice
	P50, P99 time.Duration // age of an object when a subscriber has all of it
	Join     time.Duration // median, from nothing to a subscription
	// Elapsed is from the first object after the warm-up to the last that a
	// subscriber got; to the last published, if some never came.
	Elapsed time.Duration
	// CPU is what the server used meanwhile, LoadCPU this process.
	CPU, LoadCPU time.Duration
	// Idle and Loaded are the bytes of memory by which the server has grown for
	// each subscriber: before the first object, and after the last.
	Idle, Loaded float64
	RSS          int64 // of the server after the last object, bytes
	// SlowAge is how far behind the slow subscriber is, in groups, p90, and
	// SlowGot how many objects it got.
	SlowAge float64
	SlowGot int
}

// PerObject is the server's CPU for one object and subscriber.
func (r *FanoutResult) PerObject() time.Duration {
	return time.Duration(ratio(float64(r.CPU), float64(r.Received)))
}

// PerGB is the server's CPU in seconds for 10⁹ bytes of payload.
func (r *FanoutResult) PerGB() float64 {
	return ratio(r.CPU.Seconds()*1e9, float64(r.Received)*float64(r.Size))
}

// Busy are the fractions of their cores that server and load were using.
func (r *FanoutResult) Busy() (server, load float64) {
	return ratio(r.CPU.Seconds(), r.Elapsed.Seconds()), ratio(r.LoadCPU.Seconds(), r.Elapsed.Seconds())
}

// Print writes the result as a Go benchmark line.
func (r *FanoutResult) Print(w io.Writer) {
	server, load := r.Busy()
	m := []Metric{
		{float64(r.PerObject()) / 1e3, "cpu-µs/obj"}, {r.PerGB(), "cpu-s/GB"},
		{ms(r.P50), "p50-ms"}, {ms(r.P99), "p99-ms"}, {ms(r.Join), "join-ms"},
		{float64(r.Lost), "lost"}, {float64(r.Doubled), "doubled"},
		{ratio(float64(r.Received)*float64(r.Size)*8/1e6, r.Elapsed.Seconds()), "Mbit/s"},
		{server * 100, "server-%"}, {load * 100, "load-%"},
		{r.Idle / 1024, "idle-KiB/sub"}, {r.Loaded / 1024, "loaded-KiB/sub"}, {float64(r.RSS) / (1 << 20), "rss-MiB"},
	}
	if r.Slow {
		m = append(m, Metric{r.SlowAge, "slow-groups"}, Metric{float64(r.SlowGot), "slow-objects"})
	}
	name := fmt.Sprintf("Fanout/over=%s/subs=%d/size=%d/rate=%d", r.Kind, r.Subscribers, r.Size, r.Rate)
	if r.Slow {
		name += "/slow=1"
	}
	WriteLine(w, name, r.Received, m...)
}

// fanout is a run of [Fanout].
type fanout struct {
	FanoutConfig
	track moqt.TrackName
	addr  string // of the server
	url   string // of the relay
	srv   *server
	up    *transport.Session
	w     *transport.TrackWriter

	published atomic.Int64
	slow      *tally
	tallies   []*tally
	feeds     []feed
	joins     []time.Duration
}

// Fanout runs the load. It fails if a session or subscription does.
func Fanout(ctx context.Context, c FanoutConfig) (*FanoutResult, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &fanout{FanoutConfig: c, track: moqt.NS("bench", strings.ToLower(rand.Text()[:8])).Track("load")}
	defer f.close()
	defer cancel()
	if err := f.start(ctx); err != nil {
		return nil, err
	}
	r := &FanoutResult{FanoutConfig: c}
	before := f.usage()
	if err := f.join(ctx); err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for i, feed := range f.feeds {
		wg.Go(func() { receive(ctx, feed, c.Size, f.tallies[i]) })
	}
	idle := f.usage()
	stopProfile := f.profile(ctx)
	warm := make(chan mark, 1)
	warmUp := time.Duration(c.WarmUp) * time.Second / time.Duration(c.Rate)
	wg.Go(func() {
		// When the last object of the warm-up is there and the next is not.
		pause(ctx, warmUp-time.Second/time.Duration(4*c.Rate))
		warm <- f.mark()
	})
	late := time.Now().Add(warmUp + c.Duration + 10*time.Second)
	if err := f.publish(ctx); err != nil {
		return nil, err
	}
	to := f.mark()
	if f.await(ctx, late) {
		to = f.mark()
	}
	from, after := <-warm, f.usage()
	r.Elapsed = to.at.Sub(from.at)
	r.CPU, r.LoadCPU = to.server.CPU-from.server.CPU, to.own.CPU-from.own.CPU
	r.Idle = float64(idle.RSS-before.RSS) / float64(c.Subscribers)
	r.Loaded = float64(after.RSS-before.RSS) / float64(c.Subscribers)
	r.RSS = after.RSS
	stopProfile()
	f.count(r)
	return r, ctx.Err()
}

// start brings up the server, and the publisher where that is not the server.
func (f *fanout) start(ctx context.Context) (err error) {
	if f.Dialer == nil {
		f.Dialer = newDialer()
	}
	scheme := "moqt"
	switch {
	case f.URL != "":
		f.url = f.URL
	case f.Kind == KindRelay || f.Kind == KindWebTransport:
		if f.srv, err = startRelay(ctx, f.Relay); err != nil {
			return err
		}
		f.addr = f.srv.addr
		if f.Kind == KindWebTransport {
			scheme = "https"
		}
		f.url = scheme + "://" + f.addr + "/"
	default:
		f.srv, err = startSelf(ctx, f.Kind, "--size", fmt.Sprint(f.Size), "--rate", fmt.Sprint(f.Rate),
			"--group", fmt.Sprint(f.GroupSize), "--objects", fmt.Sprint(f.objects()))
		if err != nil {
			return err
		}
		f.addr = f.srv.addr
		return nil
	}
	up := f.url
	if f.addr != "" {
		up = "moqt://" + f.addr + "/" // the publisher is the same in all comparisons
	}
	if f.up, err = f.Dialer.Dial(ctx, up); err != nil {
		return err
	}
	f.w, err = f.up.Publish(ctx, f.track, nil)
	return err
}

// mark is a moment, and what was used until then.
type mark struct {
	at          time.Time
	server, own usage
}

func (f *fanout) mark() mark { return mark{time.Now(), f.usage(), ownUsage()} }

func (f *fanout) usage() usage {
	if f.srv == nil {
		return usage{}
	}
	return f.srv.usage()
}

// join connects the subscribers, some at once.
func (f *fanout) join(ctx context.Context) error {
	f.feeds = make([]feed, f.Subscribers)
	f.joins = make([]time.Duration, f.Subscribers)
	for i := range f.Subscribers {
		t := newTally(f.objects())
		t.warmUp = f.WarmUp
		if f.Slow && i == 0 {
			t.newest = func() int { return int(f.published.Load()) }
			f.slow = t
		}
		f.tallies = append(f.tallies, t)
	}
	return InParallel(f.Subscribers, 16, func(i int) error {
		began := time.Now()
		feed, err := f.connect(ctx, i)
		if err != nil {
			return fmt.Errorf("subscriber %d: %w", i, err)
		}
		f.feeds[i], f.joins[i] = feed, time.Since(began)
		return nil
	})
}

func (f *fanout) connect(ctx context.Context, i int) (feed, error) {
	switch f.Kind {
	case KindBare:
		return dialBare(ctx, f.addr)
	case KindTCP, KindTLS:
		return dialTCP(ctx, f.addr, f.Kind == KindTLS)
	}
	url := f.url
	if f.Slow && i == 0 {
		rate := int64(f.Rate) * int64(f.Size) * 8 / 2
		link, err := netsim.Forward(f.addr, netsim.Down(netsim.Rate(rate), netsim.Queue(64<<10)), netsim.Delay(10*time.Millisecond))
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { link.Close() })
		scheme, _, _ := strings.Cut(url, "://")
		url = scheme + "://" + link.Addr().String() + "/"
	}
	return subscribe(ctx, f.Dialer, url, f.track)
}

// publish sends all objects at their rate, or has the server do that.
func (f *fanout) publish(ctx context.Context) error {
	if f.w == nil {
		return f.srv.begin()
	}
	if err := awaitForward(ctx, f.w); err != nil {
		return err
	}
	err := publish(ctx, f.w, f.Rate, f.Size, f.GroupSize, f.objects(), func(n int) { f.published.Store(int64(n)) })
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

// awaitForward waits until the subscriber of w wants objects.
func awaitForward(ctx context.Context, w *transport.TrackWriter) error {
	for !w.State().Forward {
		select {
		case <-w.Changed():
		case <-w.Context().Done():
			return context.Cause(w.Context())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// publish writes objects 0 to total-1 at the rate, a stream for each group, and
// tells the number of each before it goes.
func publish(ctx context.Context, w *transport.TrackWriter, rate, size, groupSize, total int, sent func(n int)) error {
	payload := make([]byte, size)
	pace := newPacer(rate)
	var g *transport.SubgroupWriter
	for n := range total {
		if err := pace.wait(ctx); err != nil {
			return err
		}
		if n%groupSize == 0 {
			if g != nil {
				if err := g.Close(); err != nil {
					return err
				}
			}
			var err error
			if g, err = w.OpenGroup(ctx, uint64(n/groupSize)); err != nil {
				return err
			}
		}
		sent(n)
		stamp(payload, n)
		if _, err := g.Write(payload); err != nil {
			return err
		}
	}
	return g.Close()
}

// await returns true when all subscribers but the slow one have everything, and
// false when it is too late for that.
func (f *fanout) await(ctx context.Context, late time.Time) bool {
	timer := time.NewTimer(time.Until(late))
	defer timer.Stop()
	for _, t := range f.tallies {
		if t == f.slow {
			continue
		}
		select {
		case <-t.full:
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// profile has the relay write a profile of the time of publishing. The function
// it returns waits for that.
func (f *fanout) profile(ctx context.Context) (wait func()) {
	if f.Profile == "" || f.srv == nil || f.srv.admin == "" {
		return func() {}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := f.srv.fetch(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", max(1, int(f.Duration.Seconds()))), f.Profile); err != nil {
			fmt.Fprintln(os.Stderr, "moq-bench: no profile:", err)
		}
	})
	return wg.Wait
}

func (f *fanout) count(r *FanoutResult) {
	var ages []time.Duration
	for _, t := range f.tallies {
		t.mu.Lock()
		if t == f.slow {
			r.SlowAge = float64(quantile(t.behind, 0.9)) / float64(f.GroupSize)
			r.SlowGot = t.count
			t.mu.Unlock()
			continue
		}
		r.Received += len(t.ages)
		r.Doubled += t.doubled
		ages = append(ages, t.ages...)
		t.mu.Unlock()
		r.Lost += t.lost()
	}
	r.P50, r.P99, r.Join = quantile(ages, 0.5), quantile(ages, 0.99), quantile(f.joins, 0.5)
}

func (f *fanout) close() {
	if f.w != nil {
		f.w.Close()
	}
	InParallel(len(f.feeds), 64, func(i int) error {
		if f.feeds[i] != nil {
			f.feeds[i].close()
		}
		return nil
	})
	if f.up != nil {
		f.up.Close()
	}
	if f.srv != nil {
		f.srv.close()
	}
}
