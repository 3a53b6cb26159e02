package bonds

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/tributary-live/tributary/internal/tasks"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Config bounds what bonds may cost. The zero value works.
type Config struct {
	// MaxBonds is how many bonds there may be. If zero, it is 256.
	MaxBonds int
	// MaxAddressBonds is how many of them may have been made from one address (of an
	// IPv6 network of 64 bits). If zero, it is 64.
	MaxAddressBonds int
	// MaxMembers is how many connections a bond may have at once: a publisher may
	// use several on each of its paths. If zero, it is 32.
	MaxMembers int
	// MaxHeld is how many bytes of objects that are not whole are held for a bond.
	// If zero, it is 32 MiB.
	MaxHeld int64
	// MaxHeldAll is that for all bonds. Beyond it the bond that holds most loses its
	// oldest object. If zero, it is 256 MiB.
	MaxHeldAll int64
	// Hold is how long an object that is not whole is held. If zero, it is 2 s.
	Hold time.Duration
	// Linger is how long a bond outlives its last member. If zero, it is 10 s.
	Linger time.Duration
	// FailedJoins is how many joins of one address (of an IPv6 network of 64 bits)
	// may fail before others from there are refused unseen. One more is let in every
	// 6 s. If zero, it is 10.
	FailedJoins int
	// URI is where the other connections of a bond are to go. If empty, that is
	// where the first went.
	URI string
	// Logger gets a line for each member that comes or goes. If nil, nothing is
	// logged.
	Logger *slog.Logger
	// Metrics counts. If nil, it counts for nobody.
	Metrics *Metrics
}

func (c Config) withDefaults() Config {
	or := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	or(&c.MaxBonds, 256)
	or(&c.MaxAddressBonds, 64)
	or(&c.MaxMembers, 32)
	or(&c.FailedJoins, 10)
	if c.MaxHeld == 0 {
		c.MaxHeld = 32 << 20
	}
	if c.MaxHeldAll == 0 {
		c.MaxHeldAll = 256 << 20
	}
	if c.Hold == 0 {
		c.Hold = 2 * time.Second
	}
	if c.Linger == 0 {
		c.Linger = 10 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics(nil)
	}
	return c
}

// Registry has the bonds of a relay. Its methods may be called concurrently.
type Registry struct {
	cfg    Config
	log    *slog.Logger
	m      *Metrics
	epoch  time.Time // of the clock that acknowledgements tell
	nobody bond.Secret
	guard  guard
	budget bond.Budget
	joined func(*transport.Session, *Bond)
	wg     tasks.Group // goroutines that belong to no session

	mu       sync.Mutex // guards what follows
	bonds    map[bond.ID]*Bond
	sessions map[*transport.Session]*seat
	past     bond.Stats // of bonds that are over
	closed   bool
}

// seat is what a session is to the registry.
type seat struct {
	asked   bool          // it has opened its bond stream
	member  *member       // nil before it is one
	changed chan struct{} // closed when it is
}

// New returns a Registry. It calls joined, if not nil, in the order in which they
// happen, for each session that has become a member, before the peer is told.
func New(c Config, joined func(*transport.Session, *Bond)) *Registry {
	c = c.withDefaults()
	r := &Registry{
		cfg: c, log: c.Logger, m: c.Metrics, epoch: time.Now(), joined: joined,
		bonds: make(map[bond.ID]*Bond), sessions: make(map[*transport.Session]*seat),
	}
	_, r.nobody = bond.NewBond()
	r.guard.init(c.FailedJoins)
	r.m.watch(r)
	return r
}

// Extension is what sessions are to be configured with to offer bonds.
func (r *Registry) Extension() transport.Extension {
	return transport.Extension{
		Option: bond.OfferOption(), Agree: bond.Offered,
		Streams: []uint64{bond.StreamType, bond.ChunkType},
		Serve: func(s *transport.Session, typ uint64, st transport.ReceiveStream) error {
			if typ == bond.StreamType {
				return r.serveBondStream(s, st)
			}
			return r.serveChunks(s, st)
		},
	}
}

// Close ends all bonds and waits for what the registry has begun. Sessions end by
// themselves.
func (r *Registry) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	for _, b := range r.list() {
		b.close()
	}
	r.wg.Wait()
}

// seat returns what s is here. It is forgotten with the session.
func (r *Registry) seat(s *transport.Session) *seat {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.sessions[s]
	if st == nil {
		st = &seat{changed: make(chan struct{})}
		r.sessions[s] = st
		context.AfterFunc(s.Context(), func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.sessions, s)
		})
	}
	return st
}

// memberOf returns the member that s is, or nil.
func (r *Registry) memberOf(s *transport.Session) *member {
	r.mu.Lock()
	defer r.mu.Unlock()
	if st := r.sessions[s]; st != nil {
		return st.member
	}
	return nil
}

// Held returns how many bytes all bonds hold of objects that are not whole, and the
// most that they ever held.
func (r *Registry) Held() (now, most int64) { return r.budget.Held(), r.budget.Most() }

// relieve makes those bonds that hold most give up objects until all together
// hold what they may.
func (r *Registry) relieve(now time.Time) {
	for r.budget.Held() > r.cfg.MaxHeldAll {
		var largest *Bond
		var most int64
		for _, b := range r.list() {
			if n := b.asm.Held(); n > most {
				largest, most = b, n
			}
		}
		if largest == nil || !largest.asm.Shed(now) {
			return
		}
	}
}

// violation is what a session is ended with whose peer breaks the rules of the
// extension.
func violation(reason string) error {
	return &transport.SessionError{Code: moqt.SessionProtocolViolation, Reason: reason}
}
