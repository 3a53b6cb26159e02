// Package relay takes tracks from publishers, keeps their newest groups, and
// fans them out to subscribers. It knows sessions and objects and nothing of
// sockets or of media.
//
// Whatever the number of its subscribers, a track has one subscription to each
// of its publishers; copies of an object from several of them are merged by
// group and object, the first one wins. A track that has no publisher here is
// looked up among the cluster's origins and subscribed to there.
//
// docs/architecture.md lists the goroutines and the order of locks:
// Relay.mu before track.mu; neither is held while anything is sent.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/internal/live"
	"github.com/tributary-live/tributary/internal/tasks"
	"github.com/tributary-live/tributary/relay/bonds"
	"github.com/tributary-live/tributary/relay/cache"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Origins is the cluster's table of who has which namespace. Its methods may be
// called concurrently and must not block for long: Register and Unregister do
// their work in the background.
type Origins interface {
	// Register keeps telling the cluster that this relay has ns, until
	// Unregister.
	Register(ns moqt.Namespace)
	Unregister(ns moqt.Namespace)
	// Lookup returns the relays that have ns or the longest prefix of it that
	// anybody has.
	Lookup(ctx context.Context, ns moqt.Namespace) ([]api.Origin, error)
}

// Config is what a relay is told. The zero value is a relay on its own.
type Config struct {
	// Node is the name of this relay in the cluster: the URL at which the
	// others dial it.
	Node string
	// Cache bounds what is kept of each track.
	Cache cache.Options
	// Origins finds tracks that have no publisher here. If nil, there is no
	// cluster.
	Origins Origins
	// Dial opens a session to another relay or to the directory. If nil, there
	// are none.
	Dial func(ctx context.Context, url string) (*transport.Session, error)
	// Directory is the URL of the directory that is told of the namespaces
	// here and tells those elsewhere. If empty, there is none.
	Directory string
	// Linger is how long a track outlives its last subscriber, and a
	// subscription its last publisher. If zero, it is 5 s.
	Linger time.Duration
	// MaxRendezvous is the longest that a SUBSCRIBE is held for a publisher to
	// come. If zero, it is 30 s.
	MaxRendezvous time.Duration
	// MaxNamespaces is how many namespaces one session may announce. If zero,
	// it is 1000.
	MaxNamespaces int
	// MaxSubscriptions is how many subscriptions one session may have, those that
	// wait for a publisher and those that SUBSCRIBE_TRACKS makes among them. If
	// zero, it is 500.
	MaxSubscriptions int
	// MaxMatches is how many namespaces may be live under the prefix of a
	// SUBSCRIBE_NAMESPACE when it comes. If zero, it is 10,000; a shorter prefix is
	// refused with NAMESPACE_TOO_LARGE.
	MaxMatches int
	// MaxSources is how many publishers of one track are heard. If zero, it is 4.
	MaxSources int
	// StrictMalformed ends a track for everybody when two of its publishers
	// contradict each other, which is the letter of the draft ("Malformed
	// Tracks"). Otherwise the later of the two is cut off and the track goes on,
	// so that nobody can end the track of another.
	StrictMalformed bool
	// Bonds bounds what publishers on several connections cost. Its Logger and
	// Metrics are those of the relay if they are nil. See [Relay.Extensions].
	Bonds bonds.Config
	// Redirects are what other relays serve: clients that ask for it here are sent
	// there.
	Redirects []Elsewhere
	// Logger gets what the relay has to say. If nil, nothing is logged.
	Logger *slog.Logger
	// Metrics counts what the relay does. If nil, it counts for nobody.
	Metrics *Metrics
}

func (c Config) withDefaults() Config {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	if c.Linger == 0 {
		c.Linger = 5 * time.Second
	}
	if c.MaxRendezvous == 0 {
		c.MaxRendezvous = 30 * time.Second
	}
	def(&c.MaxNamespaces, 1000)
	def(&c.MaxSubscriptions, 500)
	def(&c.MaxMatches, 10_000)
	def(&c.MaxSources, 4)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics(nil)
	}
	if c.Bonds.Logger == nil {
		c.Bonds.Logger = c.Logger
	}
	if c.Bonds.Metrics == nil {
		c.Bonds.Metrics = c.Metrics.bonds
	}
	return c
}

// OptionNode is the setup option by which a relay tells another its name. What
// it asks for is answered from publishers of the asked relay alone, so that no
// request goes round in circles. Peers that are no relays of this kind ignore
// the option.
const OptionNode = 0x54524e01

// Relay is a [transport.Handler].
type Relay struct {
	cfg    Config
	log    *slog.Logger
	m      *Metrics
	ctx    context.Context
	cancel context.CancelFunc
	wg     tasks.Group // every goroutine that belongs to no session
	nextID atomic.Uint64
	up     upstreams
	bonds  *bonds.Registry
	live   live.Set // namespaces announced here or elsewhere
	local  live.Set // those announced here

	mu       sync.Mutex // guards what follows
	peers    map[*peer]struct{}
	names    map[moqt.Namespace]map[*announcement]struct{} // announced on sessions here
	remote   map[moqt.Namespace]struct{}                   // announced elsewhere, by the directory
	interest map[*interest]struct{}                        // SUBSCRIBE_TRACKS
	tracks   map[moqt.TrackName]*track
	watching bool // watchMoves runs
	draining bool
	next     string // where sessions are to go that come while it drains
	closed   bool
}

// New starts a relay. It owns goroutines until Close.
func New(c Config) *Relay {
	c = c.withDefaults()
	r := &Relay{
		cfg: c, log: c.Logger, m: c.Metrics,
		peers:    make(map[*peer]struct{}),
		names:    make(map[moqt.Namespace]map[*announcement]struct{}),
		remote:   make(map[moqt.Namespace]struct{}),
		interest: make(map[*interest]struct{}),
		tracks:   make(map[moqt.TrackName]*track),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.bonds = bonds.New(c.Bonds, r.joined)
	r.up.init(r)
	if c.Directory != "" && c.Dial != nil {
		r.wg.Go(r.followDirectory)
	}
	return r
}

// peer is one session.
type peer struct {
	r       *Relay
	id      uint64
	sess    *transport.Session
	node    string // name of the relay at the other end, "" if it is none
	origin  bool   // this end dialled it to get tracks
	log     *slog.Logger
	ctx     context.Context
	wg      tasks.Group
	names   atomic.Int32 // announced
	subs    atomic.Int32 // subscriptions
	started time.Time
	bonding bonding
	turns   turns          // of what is subscribed here
	remote  netip.AddrPort // where watchMoves saw it last; its own after newPeer
	moves   atomic.Int32
}

// ServeSession serves one session until it ends or ctx does. It returns why.
func (r *Relay) ServeSession(ctx context.Context, sess *transport.Session) error {
	p := r.newPeer(ctx, sess, false)
	if p == nil {
		return sess.CloseWithError(moqt.SessionNoError, "the relay is shutting down")
	}
	return p.serve(ctx)
}

func (r *Relay) newPeer(ctx context.Context, sess *transport.Session, origin bool) *peer {
	id := r.nextID.Add(1)
	p := &peer{r: r, id: id, sess: sess, origin: origin, log: r.log.With("session", id), ctx: ctx, started: time.Now(), remote: sess.Stats().Remote}
	if o, ok := sess.PeerOption(OptionNode); ok {
		p.node = string(o.Bytes)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.peers[p] = struct{}{}
	r.m.sessions.Inc()
	if !r.watching && p.remote.IsValid() {
		r.watching = r.wg.Go(r.watchMoves)
	}
	if to := r.next; r.draining {
		p.wg.Go(func() { p.sendAway(ctx, to) })
	}
	return p
}

// open tells the log of the session.
func (p *peer) open() {
	info := p.sess.Info()
	p.log.Info("session open", "remote", info.RemoteAddr, "version", info.Version.String(), "transport", transportName(info), "implementation", p.sess.PeerImplementation())
}

// close ends the session and waits for all that belongs to it.
func (p *peer) close() {
	p.sess.Close()
	p.wg.Wait()
	p.r.mu.Lock()
	delete(p.r.peers, p)
	p.r.mu.Unlock()
	p.r.m.sessions.Dec()
	p.log.Info("session closed", "dur", time.Since(p.started).Round(time.Millisecond), "err", context.Cause(p.sess.Context()))
}

// serve accepts the peer's requests, one goroutine each, and waits for all.
func (p *peer) serve(ctx context.Context) error {
	p.open()
	defer p.close()
	for {
		req, err := p.sess.Accept(ctx)
		if err != nil {
			var se *transport.SessionError
			if errors.As(err, &se) && se.Code == moqt.SessionNoError || errors.Is(err, transport.ErrClosed) || ctx.Err() != nil {
				return nil
			}
			return err
		}
		p.wg.Go(func() { p.handle(ctx, req) })
	}
}

func transportName(i transport.ConnInfo) string {
	if i.WebTransport {
		return "webtransport"
	}
	return "quic"
}

func (p *peer) handle(ctx context.Context, req transport.Request) {
	if p.sendOn(req) {
		return
	}
	switch req := req.(type) {
	case *transport.AnnounceRequest:
		p.serveAnnounce(req)
	case *transport.WatchRequest:
		p.serveWatch(req)
	case *transport.TracksRequest:
		p.serveTracks(req)
	case *transport.SubscribeRequest:
		p.serveSubscribe(ctx, req)
	case *transport.PublishRequest:
		p.servePublish(req)
	case *transport.FetchRequest:
		p.serveFetch(ctx, req)
	case *transport.StatusRequest:
		p.serveStatus(ctx, req)
	default:
		req.Reject(moqt.RequestNotSupported, "the relay does not know this request")
	}
}

// Close ends all tracks and sessions and waits for the relay's goroutines.
func (r *Relay) Close() error {
	r.mu.Lock()
	r.closed = true
	peers := make([]*peer, 0, len(r.peers))
	for p := range r.peers {
		peers = append(peers, p)
	}
	tracks := make([]*track, 0, len(r.tracks))
	for _, t := range r.tracks {
		tracks = append(tracks, t)
	}
	r.mu.Unlock()
	for _, t := range tracks {
		t.end(moqt.DoneGoingAway, "the relay is shutting down")
	}
	for _, p := range peers {
		p.sess.Close()
	}
	r.bonds.Close()
	r.cancel()
	r.wg.Wait()
	return nil
}

// retryAfter is after how long most refused requests may be repeated.
const retryAfter = time.Second

func refuse(req transport.Request, err error) {
	var re *transport.RequestError
	switch {
	case errors.As(err, &re) && re.Code == moqt.RequestRedirect:
		passOn(req, re.Redirect)
	case errors.As(err, &re):
		if re.RetryAfter >= 0 {
			req.RejectRetry(re.Code, re.Reason, re.RetryAfter)
			return
		}
		req.Reject(re.Code, re.Reason)
	case errors.Is(err, context.DeadlineExceeded):
		req.RejectRetry(moqt.RequestTimeout, "no publisher answered in time", retryAfter)
	default:
		req.RejectRetry(moqt.RequestInternalError, fmt.Sprint(err), retryAfter)
	}
}
