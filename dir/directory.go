// Package dir is the directory of a cluster: relays and other clients announce
// namespaces to it, and learn from it what is announced anywhere, by
// SUBSCRIBE_NAMESPACE or by listing tracks that any subscriber can read.
//
// The listing of a prefix is the track, in the directory's own namespace, whose
// name is the prefix in the draft's printed form: room-12345 for (room, 12345),
// and the empty name for the empty prefix, that is for everything. Its text is
// described in format.go.
//
// A namespace is live while at least one session announces it. The directory's
// own namespace is in no list: who reads a listing knows it already, and a relay
// that was told of it could not serve it.
package dir

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tributary-live/tributary/internal/live"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Config is what a directory is told. The zero value works; it is copied on use.
type Config struct {
	// Namespace is that of the listing tracks. If empty, it is (directory). Its
	// first field may not begin with a period, as such names belong to the
	// drafts.
	Namespace moqt.Namespace
	// MaxSessionNamespaces is how many namespaces one session may announce. If
	// zero, it is 1000.
	MaxSessionNamespaces int
	// MaxNamespaces is how many announcements all sessions may have together.
	// If zero, it is 100,000.
	MaxNamespaces int
	// MaxNameBytes bounds the sum of their printed forms, and with it the size
	// of a listing. If zero, it is 16 MiB.
	MaxNameBytes int
	// MaxSessionWatches is how many prefixes one session may watch. If zero, it
	// is 100.
	MaxSessionWatches int
	// MaxSessionListings is how many subscriptions and fetches of listings one
	// session may have at once. If zero, it is 100.
	MaxSessionListings int
	// MaxListingBytes bounds what all listings hold together when another one
	// is opened. If zero, it is 256 MiB.
	MaxListingBytes int
	// StallTimeout is how long a subscriber may take for the objects that are
	// there for it, before its subscription is ended with TOO_FAR_BEHIND. If
	// zero, it is 30 s.
	StallTimeout time.Duration
	// Logger gets what the directory has to say. If nil, nothing is logged.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	if c.Namespace.Len() == 0 {
		c.Namespace = moqt.NS("directory")
	}
	def(&c.MaxSessionNamespaces, 1000)
	def(&c.MaxNamespaces, 100_000)
	def(&c.MaxNameBytes, 16<<20)
	def(&c.MaxSessionWatches, 100)
	def(&c.MaxSessionListings, 100)
	def(&c.MaxListingBytes, 256<<20)
	if c.StallTimeout == 0 {
		c.StallTimeout = 30 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Directory is a [transport.Handler]. All that it holds belongs to a session, so
// it needs no Close.
type Directory struct {
	cfg   Config
	log   *slog.Logger
	names live.Set

	listingBytes atomic.Int64 // in the newest groups of all listings

	mu        sync.Mutex // guards what follows
	sessions  int
	lastID    uint64 // of sessions
	announced int    // by all sessions, those of the same name too
	nameBytes int    // of their printed forms
	listings  map[moqt.Namespace]*listing
	lastGroup uint64 // of all listings
}

// New returns a directory. It fails if c.Namespace is reserved.
func New(c Config) (*Directory, error) {
	c = c.withDefaults()
	if reserved(c.Namespace) {
		return nil, fmt.Errorf("dir: namespace %q is reserved: its first field begins with a period", c.Namespace.Slashed())
	}
	return &Directory{cfg: c, log: c.Logger, listings: make(map[moqt.Namespace]*listing)}, nil
}

// reserved reports whether only the drafts may give ns a meaning. ("Reserved
// Namespaces")
func reserved(ns moqt.Namespace) bool {
	return ns.Len() > 0 && strings.HasPrefix(ns.Fields()[0], ".")
}

// State is what a directory holds, for people.
type State struct {
	counts
	Names []string `json:"names"` // the first 1000 namespaces, in printed form
}

type counts struct {
	Sessions   int `json:"sessions"`
	Announced  int `json:"announced"`  // namespaces, by all sessions
	Namespaces int `json:"namespaces"` // of them different
	Listings   int `json:"listings"`   // read at the moment
}

// State returns what d holds.
func (d *Directory) State() State {
	const most = 1000
	s := State{counts: d.count(), Names: []string{}}
	for _, ns := range d.names.List(moqt.Namespace{}, most) {
		s.Names = append(s.Names, ns.String())
	}
	return s
}

func (d *Directory) count() counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	return counts{d.sessions, d.announced, d.names.Len(), len(d.listings)}
}

// ServeSession serves one session until it ends or ctx does. It returns why.
func (d *Directory) ServeSession(ctx context.Context, sess *transport.Session) error {
	d.mu.Lock()
	d.sessions++
	d.lastID++
	s := &session{d: d, log: d.log.With("session", d.lastID)}
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.sessions--
	}()
	started := time.Now()
	s.log.Info("session open", "remote", sess.Info().RemoteAddr, "version", sess.Version().String())
	defer func() {
		s.log.Info("session closed", "dur", time.Since(started).Round(time.Millisecond), "err", context.Cause(sess.Context()))
	}()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer sess.Close()
	for {
		req, err := sess.Accept(ctx)
		if err != nil {
			var closed *transport.SessionError
			if errors.As(err, &closed) && closed.Code == moqt.SessionNoError || errors.Is(err, transport.ErrClosed) || ctx.Err() != nil {
				return nil
			}
			return err
		}
		wg.Go(func() { s.serve(req) })
	}
}
