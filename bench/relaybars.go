package bench

import (
	"context"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"time"
)

// RelayBarsConfig says how thoroughly the bars of the relay are measured.
type RelayBarsConfig struct {
	Relay Relay
	// Quick takes less than a minute and is for finding out what a change has
	// broken. While there is time, what fails is measured once more, and the
	// better figures count.
	Quick bool
	// Only, if not nil, chooses sections by name.
	Only *regexp.Regexp
}

// relayBars measures the bars.
type relayBars struct {
	RelayBarsConfig
	w io.Writer
}

// section is some bars that are measured together.
type section struct {
	name    string
	measure func(*relayBars, context.Context) ([]Bar, error)
}

var relaySections = []section{
	{"fanout", (*relayBars).fanout},
	{"sizes", (*relayBars).sizes},
	{"scale", (*relayBars).scale},
	{"unloaded", (*relayBars).unloaded},
	{"slow", (*relayBars).slow},
	{"viewers", (*relayBars).viewers},
	{"storm", (*relayBars).storm},
	{"handshakes", (*relayBars).handshakes},
	{"join", (*relayBars).join},
	{"twins", (*relayBars).twins},
	{"urgent", (*relayBars).urgent},
	{"churn", (*relayBars).churn},
}

// RelaySections are the names that RelayBarsConfig.Only chooses from.
func RelaySections() []string {
	var names []string
	for _, s := range relaySections {
		names = append(names, s.name)
	}
	return names
}

// RelayBars runs what the relay is held to, prints the lines of the runs, and
// returns the bars.
func RelayBars(ctx context.Context, w io.Writer, c RelayBarsConfig) ([]Bar, error) {
	b := &relayBars{c, w}
	began := time.Now()
	var done []measuredSection
	for _, s := range relaySections {
		if c.Only != nil && !c.Only.MatchString(s.name) {
			continue
		}
		m, err := b.run(ctx, s)
		if err != nil {
			return allBars(done), err
		}
		done = append(done, m)
	}
	for i, m := range done {
		failed := slices.ContainsFunc(m.bars, func(b Bar) bool { return b.Verdict() == Failed })
		if !c.Quick || !failed || time.Since(began)+m.took > quickLimit {
			continue
		}
		again, err := b.run(ctx, m.section)
		if err != nil {
			return allBars(done), err
		}
		done[i].bars = better(m.bars, again.bars)
	}
	return allBars(done), nil
}

// quickLimit is how long the quick form may take.
const quickLimit = 50 * time.Second

// measuredSection is a section with its figures.
type measuredSection struct {
	section
	bars []Bar
	took time.Duration
}

func (b *relayBars) run(ctx context.Context, s section) (measuredSection, error) {
	began := time.Now()
	bars, err := s.measure(b, ctx)
	if err != nil {
		return measuredSection{}, fmt.Errorf("%s: %w", s.name, err)
	}
	return measuredSection{s, bars, time.Since(began)}, nil
}

func allBars(done []measuredSection) (all []Bar) {
	for _, m := range done {
		all = append(all, m.bars...)
	}
	return all
}

// better takes from each pair of bars the one with the better verdict.
func better(first, second []Bar) []Bar {
	rank := []Verdict{Met, Told, Missed, Failed}
	for i := range first {
		if i < len(second) && slices.Index(rank, second[i].Verdict()) < slices.Index(rank, first[i].Verdict()) {
			first[i] = second[i]
			first[i].Note = "second try"
		}
	}
	return first
}

// pick returns what the quick form has, or the full one.
func pick[T any](b *relayBars, full, quick T) T {
	if b.Quick {
		return quick
	}
	return full
}

// fanouts are the results of one kind.
type fanouts []*FanoutResult

func (l fanouts) median(f func(*FanoutResult) float64) float64 { return Median(l, f) }
func (l fanouts) cpu() float64                                 { return l.median((*FanoutResult).PerGB) }
func (l fanouts) p50() float64                                 { return l.median(func(r *FanoutResult) float64 { return ms(r.P50) }) }
func (l fanouts) p99() float64                                 { return l.median(func(r *FanoutResult) float64 { return ms(r.P99) }) }

// lost adds what did not come, or came twice, in all runs.
func (l fanouts) lost() (n float64) {
	for _, r := range l {
		n += float64(r.Lost + r.Doubled)
	}
	return n
}

// byTurns runs the configurations one after another, and all of that several
// times. The objects of the first quarter of a second are left out of the figures:
// in the quick form the first alone would be the worst percent of all.
func (b *relayBars) byTurns(ctx context.Context, runs int, configs ...FanoutConfig) ([]fanouts, error) {
	results := make([]fanouts, len(configs))
	for range runs {
		for i, c := range configs {
			c.Relay, c.WarmUp = b.Relay, max(1, c.Rate/4)
			r, err := Fanout(ctx, c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.Kind, err)
			}
			r.Print(b.w)
			results[i] = append(results[i], r)
		}
	}
	return results, nil
}

func (b *relayBars) fanout(ctx context.Context) ([]Bar, error) {
	c := FanoutConfig{Subscribers: pick(b, 300, 150), Rate: 30, Size: 8192, GroupSize: 30, Duration: pick(b, 10*time.Second, time.Second)}
	over := func(k Kind) FanoutConfig { c.Kind = k; return c }
	configs := []FanoutConfig{over(KindRelay), over(KindBare), over(KindWebTransport), over(KindTCP)}
	if !b.Quick {
		configs = append(configs, over(KindTLS))
	}
	r, err := b.byTurns(ctx, pick(b, 5, 2), configs...)
	if err != nil {
		return nil, err
	}
	relay, bare, wt, tcp := r[0], r[1], r[2], r[3]
	at := fmt.Sprintf(", 8 kB x 30/s, %d subscribers", c.Subscribers)
	idle := func(l fanouts) float64 { return l.median(func(r *FanoutResult) float64 { return r.Idle }) }
	loaded := func(l fanouts) float64 { return l.median(func(r *FanoutResult) float64 { return r.Loaded }) }
	bars := []Bar{
		{Name: "CPU per byte / bare quic-go" + at, Unit: "x", Value: ratio(relay.cpu(), bare.cpu()), Bound: AtMost(1.1, 1.25)},
		{Name: "CPU per byte, WebTransport / QUIC" + at, Unit: "x", Value: ratio(wt.cpu(), relay.cpu()), Bound: AtMost(1.1, 1.25)},
		{Name: "CPU per byte / plain TCP" + at, Unit: "x", Value: ratio(relay.cpu(), tcp.cpu()), Bound: AtMost(4, 5)},
		{Name: "delay p50 / bare quic-go" + at, Unit: "x", Value: ratio(relay.p50(), bare.p50()), Bound: AtMost(1.1, 1.3)},
		{Name: "delay p99 / bare quic-go" + at, Unit: "x", Value: ratio(relay.p99(), bare.p99()), Bound: AtMost(1.25, 2)},
		{Name: "memory of an idle subscriber / bare quic-go", Unit: "x", Value: ratio(idle(relay), idle(bare)), Bound: AtMost(1.4, 2)},
		{Name: "memory of a loaded subscriber / bare quic-go", Unit: "x", Value: ratio(loaded(relay), loaded(bare)), Bound: AtMost(1.3, 2)},
		{Name: "objects lost or doubled" + at, Value: relay.lost() + wt.lost(), Bound: AtMost(0, 0)},
	}
	if !b.Quick {
		bars = append(bars, Bar{Name: "CPU per byte / TLS over TCP" + at, Unit: "x", Value: ratio(relay.cpu(), r[4].cpu())})
	}
	return bars, nil
}

func (b *relayBars) sizes(ctx context.Context) ([]Bar, error) {
	var bars []Bar
	for _, c := range []FanoutConfig{
		{Subscribers: pick(b, 200, 100), Rate: 50, Size: 1024, GroupSize: 50},
		{Subscribers: pick(b, 400, 100), Rate: 60, Size: 4096, GroupSize: 60},
	} {
		c.Duration = pick(b, 10*time.Second, 800*time.Millisecond)
		relay, bare := c, c
		relay.Kind, bare.Kind = KindRelay, KindBare
		r, err := b.byTurns(ctx, pick(b, 5, 1), relay, bare)
		if err != nil {
			return nil, err
		}
		bars = append(bars, Bar{Name: fmt.Sprintf("CPU per byte / bare quic-go, %d B x %d/s, %d subscribers", c.Size, c.Rate, c.Subscribers),
			Unit: "x", Value: ratio(r[0].cpu(), r[1].cpu()), Bound: AtMost(1.2, 1.4)})
	}
	return bars, nil
}

func (b *relayBars) scale(ctx context.Context) ([]Bar, error) {
	c := FanoutConfig{Kind: KindRelay, Rate: 10, Size: 8192, GroupSize: 10, Duration: pick(b, 10*time.Second, 1200*time.Millisecond)}
	few, many := c, c
	few.Subscribers, many.Subscribers = pick(b, 100, 50), pick(b, 1000, 500)
	r, err := b.byTurns(ctx, pick(b, 5, 1), few, many)
	if err != nil {
		return nil, err
	}
	perObject := func(l fanouts) float64 {
		return l.median(func(r *FanoutResult) float64 { return float64(r.PerObject()) })
	}
	return []Bar{{Name: fmt.Sprintf("CPU per object and subscriber, %d / %d subscribers", many.Subscribers, few.Subscribers),
		Unit: "x", Value: ratio(perObject(r[1]), perObject(r[0])), Bound: AtMost(1.15, 1.3), Note: saturation(r[1])}}, nil
}

// full is the fraction of a core from which on it counts as full: the kernel lets
// who runs in real time have 0.95 of it.
const full = 0.92

// saturation says so if a core was full, which bends figures.
func saturation(l fanouts) string {
	for _, r := range l {
		if server, load := r.Busy(); server > full || load > full {
			return fmt.Sprintf("saturated: server %.0f %%, load %.0f %% of a core", server*100, load*100)
		}
	}
	return ""
}

func (b *relayBars) unloaded(ctx context.Context) ([]Bar, error) {
	c := FanoutConfig{Subscribers: 10, Rate: 30, Size: 8192, GroupSize: 30, Duration: pick(b, 10*time.Second, time.Second)}
	relay, bare := c, c
	relay.Kind, bare.Kind = KindRelay, KindBare
	r, err := b.byTurns(ctx, pick(b, 5, 1), relay, bare)
	if err != nil {
		return nil, err
	}
	return []Bar{
		{Name: "delay p50 added to a direct connection, 10 subscribers", Unit: "ms", Value: r[0].p50() - r[1].p50(), Bound: AtMost(0.3, 1)},
		{Name: "delay p99 added to a direct connection, 10 subscribers", Unit: "ms", Value: r[0].p99() - r[1].p99(), Bound: AtMost(1, 5)},
	}, nil
}

func (b *relayBars) slow(ctx context.Context) ([]Bar, error) {
	c := FanoutConfig{Kind: KindRelay, Subscribers: pick(b, 300, 100), Rate: 30, Size: 8192, GroupSize: 30, Duration: pick(b, 10*time.Second, 2600*time.Millisecond)}
	with := c
	with.Slow = true
	r, err := b.byTurns(ctx, pick(b, 10, 1), c, with)
	if err != nil {
		return nil, err
	}
	age := r[1].median(func(r *FanoutResult) float64 { return r.SlowAge })
	return []Bar{
		{Name: fmt.Sprintf("one of %d at half rate: p50 of the others / without it", c.Subscribers), Unit: "x", Value: ratio(r[1].p50(), r[0].p50()), Bound: AtMost(1.05, Never)},
		{Name: fmt.Sprintf("one of %d at half rate: p99 of the others / without it", c.Subscribers), Unit: "x", Value: ratio(r[1].p99(), r[0].p99()), Bound: AtMost(1.25, 2)},
		{Name: "objects that the others lost", Value: r[1].lost(), Bound: AtMost(0, 0)},
		{Name: "age of the slow one, p90", Unit: "groups", Value: age, Bound: AtMost(2, Never)},
	}, nil
}

func (b *relayBars) viewers(ctx context.Context) ([]Bar, error) {
	return SRS(ctx, b.w, SRSConfig{Relay: b.Relay, Points: pick(b, 0, 1), Duration: pick(b, 10*time.Second, time.Second)})
}

func (b *relayBars) storm(ctx context.Context) ([]Bar, error) {
	var list []*StormResult
	n := pick(b, 1000, 300)
	for range pick(b, 5, 1) {
		r, err := Storm(ctx, StormConfig{Relay: b.Relay, Subscribers: n, Within: pick(b, time.Second, 300*time.Millisecond), Rate: 20, Size: 1024})
		if err != nil {
			return nil, err
		}
		r.Print(b.w)
		list = append(list, r)
	}
	name := fmt.Sprintf("%d SUBSCRIBEs at a rate of 1000/s: ", n)
	most := func(f func(*StormResult) float64) float64 {
		m := 0.0
		for _, r := range list {
			m = max(m, f(r))
		}
		return m
	}
	return []Bar{
		{Name: name + "SUBSCRIBEs upstream", Value: most(func(r *StormResult) float64 { return float64(r.Subscribes) }), Bound: AtMost(1, 1)},
		{Name: name + "copies from upstream", Value: most(func(r *StormResult) float64 { return r.Copies }), Bound: AtMost(1, 1.02)},
		{Name: name + "answer p99", Unit: "ms", Value: Median(list, func(r *StormResult) float64 { return ms(r.P99) }), Bound: AtMost(300, Never)},
		{Name: name + "objects lost or doubled", Value: most(func(r *StormResult) float64 { return float64(r.Lost + r.Doubled) }), Bound: AtMost(0, 0)},
	}, nil
}

func (b *relayBars) handshakes(ctx context.Context) ([]Bar, error) {
	c := HandshakeConfig{Relay: b.Relay, AtOnce: 32, Inside: 20, Duration: pick(b, 10*time.Second, time.Second), Rate: 30, Size: 8192}
	var bars []Bar
	for _, limited := range []bool{false, true} {
		c.Relay.Limited = limited
		r, err := Handshakes(ctx, c)
		if err != nil {
			return nil, err
		}
		r.Print(b.w)
		name := "handshakes"
		if limited {
			name = "handshakes, bounded"
			bars = append(bars, Bar{Name: name + ": refused with a hint to come again", Unit: "/s", Value: float64(r.Refused) / r.Duration.Seconds(),
				Note: fmt.Sprintf("%d times in %v", r.Refused, r.Duration)})
		}
		bars = append(bars,
			Bar{Name: name + ": sessions opened", Unit: "/s", Value: r.PerSecond},
			Bar{Name: name + ": dials that failed otherwise", Value: float64(r.Failed), Bound: AtMost(0, Never)},
			Bar{Name: name + ": objects that those inside lost meanwhile", Value: float64(r.Lost), Bound: AtMost(0, 0)})
	}
	return bars, nil
}

func (b *relayBars) join(ctx context.Context) ([]Bar, error) {
	var list []*JoinResult
	for range pick(b, 5, 1) {
		r, err := Join(ctx, JoinConfig{Relay: b.Relay, Joins: pick(b, 1000, 100), Sessions: 10, Rate: 30, Size: 8192})
		if err != nil {
			return nil, err
		}
		r.Print(b.w)
		list = append(list, r)
	}
	return []Bar{
		{Name: "SUBSCRIBE to first object from the cache, p50", Unit: "ms",
			Value: Median(list, func(r *JoinResult) float64 { return ms(r.Stream.P50) }), Bound: AtMost(2, 10)},
		{Name: "SUBSCRIBE to first object of a joining fetch, p50", Unit: "ms",
			Value: Median(list, func(r *JoinResult) float64 { return ms(r.Fetch.P50) }), Bound: AtMost(2, 10)},
	}, nil
}

func (b *relayBars) twins(ctx context.Context) ([]Bar, error) {
	r, err := Twins(ctx, TwinConfig{Relay: b.Relay, Kills: pick(b, 200, 10), AtOnce: 10, Rate: 60, Size: 4096, GroupSize: 20, Objects: pick(b, 120, 60), SubscribersEach: 2})
	if err != nil {
		return nil, err
	}
	r.Print(b.w)
	return []Bar{
		{Name: fmt.Sprintf("one of two publishers killed, %d times: objects missing", r.Kills), Value: float64(r.Missing), Bound: AtMost(0, 0)},
		{Name: fmt.Sprintf("one of two publishers killed, %d times: objects doubled", r.Kills), Value: float64(r.Doubled), Bound: AtMost(0, 0)},
	}, nil
}

func (b *relayBars) urgent(ctx context.Context) ([]Bar, error) {
	return Urgent(ctx, b.w, UrgentConfig{Size: 8192, Interval: 200 * time.Millisecond, Rate: 10_000_000, RTT: 40 * time.Millisecond, Queue: 25_000,
		WarmUp: pick(b, 5*time.Second, 1200*time.Millisecond), Duration: pick(b, 5*time.Minute, 3*time.Second), Runs: pick(b, 3, 1),
		Through: true, Relay: b.Relay})
}

func (b *relayBars) churn(ctx context.Context) ([]Bar, error) {
	relay := b.Relay
	relay.CacheBytes = pick[int64](b, 256<<20, 64<<20)
	length, mark := pick(b, 30*time.Minute, 3500*time.Millisecond), pick(b, 10*time.Minute, 3*time.Second)
	r, err := Churn(ctx, b.w, ChurnConfig{Relay: relay, Tracks: 40, Rate: 24 << 20, Duration: length, Mark: mark, Every: 10 * time.Second, Kill: 0.1,
		Drain: pick(b, 40*time.Second, 0)})
	if err != nil {
		return nil, err
	}
	r.Print(b.w)
	soak := r.Bars()
	if b.Quick {
		for i := range soak {
			soak[i] = Bar{Name: soak[i].Name, Value: math.NaN(), Note: "the full form measures this"}
		}
	}
	return append([]Bar{{Name: fmt.Sprintf("memory of the cache / its bound, after %v of churn", mark), Unit: "x",
		Value: r.CacheRatio(), Bound: AtMost(1.5, 2)}}, soak...), nil
}
