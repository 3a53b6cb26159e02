package bond

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
)

// Cost is what a path costs its owner.
type Cost = bond.Cost

// Costs of a path.
const (
	Primary   = bond.Primary   // used whenever there is something to send
	Secondary = bond.Secondary // used when the primary paths are short
	Backup    = bond.Backup    // used when they fail
)

// Config says what a [Bond] connects to, and how it sends.
type Config struct {
	// URL is that of the relay. It is required.
	URL string
	// Dialer opens the connections. It is copied; its ListenPacket is that of the
	// path. If nil, it is the zero Dialer.
	Dialer *transport.Dialer
	// Serve publishes on a session until that or ctx ends. joined tells whether the
	// session is one of the bond, so that what its peer subscribes to is to go by
	// [Bond.Send]. Otherwise the session is on its own, and everything goes by it.
	// The session is closed afterwards, and dialled again but for an error that is
	// [Permanent]. It is required.
	Serve func(ctx context.Context, sess *transport.Session, joined bool) error
	// Mode says what goes over more than one path.
	Mode Mode
	// Deadline is how old an object may become before nobody wants it. If zero, it
	// is 2 s.
	Deadline time.Duration
	// Report is called every second with how the bond fares, and at once when the
	// encoder makes too much, on a goroutine of the bond, which waits for it. An
	// encoder can be told what to make by it. If nil, [Bond.Status] tells when asked.
	Report func(Status)
	// Logger gets what the bond has to say. If nil, nothing is logged.
	Logger *slog.Logger
}

// Path is a network way to the relay.
type Path struct {
	// Name is what operators know it by, such as that of its interface: printable
	// ASCII, of which the relay is told 64 bytes.
	Name string
	Cost Cost
	// Cap is how many bits a second of payload the path may carry. 0 is as many as
	// it can.
	Cap int64
	// Connections is how many connections the path gets, 1 to 8. If zero, there are
	// as many as its losses ask for: see docs/adr/0006-connections.md.
	Connections int
	// ListenPacket opens the socket of one connection, which closes it. If nil, it
	// is a UDP socket on any address.
	ListenPacket func(ctx context.Context) (net.PacketConn, error)
	// URL is that of the relay if it is another than the bond's, of the same cluster.
	// There the path has a publication of its own, of everything: what is made of
	// several is up to the relays between it and the viewers. One that costs something
	// publishes there while the cheaper paths fail or are short, and some seconds
	// longer; and Cap is of all that the path sends.
	URL string
}

// Permanent is an error of Config.Serve that another connection would end with as
// well. It ends the bond.
type Permanent struct{ Err error }

func (p *Permanent) Error() string { return p.Err.Error() }
func (p *Permanent) Unwrap() error { return p.Err }

// Bond is a publisher's connections to one relay. Its methods may be called
// concurrently.
type Bond struct {
	cfg Config
	log *slog.Logger
	wg  sync.WaitGroup // of everything that runs
	ok  chan struct{}  // closed when a session was there for the first time

	stripes atomic.Bool // see Stripes

	mu       sync.Mutex // guards what follows
	ctx      context.Context
	cancel   context.CancelCauseFunc
	paths    []*route
	members  map[uint64]*connection
	last     uint64 // number of the newest member
	reached  bool   // a session was there once
	id       identity
	uri      string        // where all but the first connection go, if the relay says so
	largest  int64         // bytes that the relay takes of an object
	creating chan struct{} // closed when the attempt to make the bond has ended; nil if there is none
	sched    *Scheduler
	objects  map[bond.Object]*object
	streams  map[place]*subgroup
	epoch    int
	wake     chan struct{} // closed and replaced when there may be something to do
	ending   []ending      // streams that are to be ended once mu is free
	solo     solo

	// Of a relay that does not know bonds:
	treatment Treatment
	asked     time.Time     // when it was probed
	merging   chan struct{} // closed when it is known to merge publishers

	singles    map[*connection]*route // that publish on their own, and the path that each goes by
	migrations int64                  // of connections, from path to path

	past    Stats // of schedulers before this one
	figures figures
}

// identity is what the relay calls the bond.
type identity struct {
	made   bool
	id     bond.ID
	secret bond.Secret
}

// route is a path with its connections.
type route struct {
	Path
	ctx    context.Context    // of all of it; nil before Run
	cancel context.CancelFunc // ends ctx
	retry  chan struct{}      // holds a token to dial at once
	err    error              // why the last attempt failed; nil if it did not
	tried  bool
	alone  *connection        // whose session is at a relay that may not like two publishers; nil if none
	sess   *transport.Session // of alone, while that waits for its turn
	want   int                // connections
	slots  int                // that are kept by a goroutine
	steer  steer
	sample sample
}

// New returns a bond; [Bond.Run] does the work.
func New(c Config) *Bond {
	if c.Dialer == nil {
		c.Dialer = &transport.Dialer{}
	}
	if c.Deadline == 0 {
		c.Deadline = 2 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	b := &Bond{cfg: c, log: c.Logger, members: make(map[uint64]*connection), singles: make(map[*connection]*route), wake: make(chan struct{}), ok: make(chan struct{}), merging: make(chan struct{}), largest: bond.MaxObject}
	b.anewLocked()
	return b
}

// anewLocked forgets everything that a relay knew.
func (b *Bond) anewLocked() {
	if b.sched != nil {
		b.past.add(b.sched.Stats())
	}
	b.sched = NewScheduler(b.cfg.Mode)
	b.objects = make(map[bond.Object]*object)
	b.streams = make(map[place]*subgroup)
	b.epoch++
}

// Mode returns what goes over more than one path: what Auto has chosen, if that is
// the mode.
func (b *Bond) Mode() Mode {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sched.now
}

// Stripes reports whether sessions that are on their own are to share the objects,
// each of which goes over one: in the mode Aggregate, at a relay that was found to
// merge.
func (b *Bond) Stripes() bool { return b.stripes.Load() }

// ErrNoPath says that none of a bond's paths leads to the relay.
var ErrNoPath = errors.New("no path leads to the relay")

// Run keeps connections over all paths until ctx ends, and returns its cause. It
// returns earlier with a [*Permanent] error of Config.Serve; and with
// [ErrNoPath], if each path failed before any had reached the relay.
func (b *Bond) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b.mu.Lock()
	b.ctx, b.cancel = ctx, cancel
	for _, r := range b.paths {
		b.startLocked(r)
	}
	b.wg.Go(func() { b.watch(ctx) })
	b.mu.Unlock()
	<-ctx.Done()
	b.mu.Lock()
	b.ctx = nil // nothing is started any more
	b.mu.Unlock()
	b.wg.Wait()
	return context.Cause(ctx)
}

// Reached is closed when a path has led to the relay for the first time.
func (b *Bond) Reached() <-chan struct{} { return b.ok }

// AddPath adds a path, before or while the bond runs. If there is one of the name,
// AddPath dials at once where that has no connection: its interface may have come
// back.
func (b *Bond) AddPath(p Path) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.paths {
		if r.Name == p.Name {
			select {
			case r.retry <- struct{}{}:
			default:
			}
			return
		}
	}
	r := &route{Path: p, retry: make(chan struct{}, 1), want: max(1, min(p.Connections, maxConnections))}
	b.paths = append(b.paths, r)
	b.startLocked(r)
}

// RemovePath takes a path out: its connections are closed, and what was on its way
// there is sent again over others.
func (b *Bond) RemovePath(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, r := range b.paths {
		if r.Name == name {
			b.paths = append(b.paths[:i:i], b.paths[i+1:]...)
			if r.cancel != nil {
				r.cancel()
			}
			return
		}
	}
}

// startLocked begins to keep connections over r, if the bond runs.
func (b *Bond) startLocked(r *route) {
	if b.ctx == nil {
		return
	}
	ctx, cancel := context.WithCancel(b.ctx)
	r.ctx, r.cancel = ctx, cancel
	for r.slots < r.want {
		b.keepLocked(ctx, r)
	}
}

// keepLocked adds a connection to r.
func (b *Bond) keepLocked(ctx context.Context, r *route) {
	slot := r.slots
	r.slots++
	b.wg.Go(func() { b.keep(ctx, r, slot) })
}

// fail ends the bond.
func (b *Bond) fail(err error) {
	b.mu.Lock()
	cancel := b.cancel
	b.mu.Unlock()
	cancel(err)
}

// failed notes that a connection over r could not be made. It ends the bond if
// none ever could, over any path.
func (b *Bond) failed(r *route, err error) {
	b.mu.Lock()
	r.err, r.tried = err, true
	hopeless := !b.reached
	all, sep := ErrNoPath, ":"
	for _, o := range b.paths {
		hopeless = hopeless && o.tried
		all, sep = fmt.Errorf("%w%s %s: %w", all, sep, o.Name, o.err), ";"
	}
	b.mu.Unlock()
	if hopeless {
		b.fail(all)
	}
}

// unlock frees mu and ends the streams that were waiting for that.
func (b *Bond) unlock() {
	list, choices := b.ending, b.sched.Choices()
	b.ending = nil
	b.mu.Unlock()
	for _, c := range choices {
		b.log.Info("best path", "path", c.Path, "before", c.Before, "group", c.Group, "scores", c.scores())
	}
	for _, e := range list {
		e.end()
	}
}

// wakeLocked lets all connections look for something to send.
func (b *Bond) wakeLocked() {
	close(b.wake)
	b.wake = make(chan struct{})
}
