package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tributary-live/tributary/internal/tasks"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Client keeps what a program has at a server when that moves. It follows
// redirects. At GOAWAY it opens a session at the new URI, moves its subscriptions,
// publications and announcements there, each before the old one is ended, and
// then leaves the old session. It does not come back to a server that was lost.
//
// The zero value with a URL works; the fields must not be changed once it is
// used. Methods may be called concurrently. ("Session Migration")
type Client struct {
	// URL is that of the server.
	URL string
	// Dial opens a session. If nil, it is [Dial] with no Config. It is called with
	// URIs that servers name, too, and may refuse them: what it sends in SETUP, as
	// tokens, those servers get.
	Dial func(ctx context.Context, url string) (*Session, error)
	// MaxHops is how many redirects in a row are followed. If zero, it is 5.
	MaxHops int
	// Overlap is how long the old of two subscriptions goes on after the new one
	// has brought something. If zero, it is 2 s.
	Overlap time.Duration
	// Logger gets what the client has to say. If nil, nothing is logged.
	Logger *slog.Logger

	start    sync.Once
	ctx      context.Context // ends with the client
	cancel   context.CancelFunc
	wg       tasks.Group // all goroutines of the client
	requests chan Request

	mu       sync.Mutex // guards what follows
	url      string     // where new requests go: URL, until GOAWAY names another
	sessions map[string]*clientSession
}

// clientSession is a session of a client with who uses it.
type clientSession struct {
	url    string
	ready  chan struct{} // closed when sess or err is set
	sess   *Session
	err    error
	unused chan struct{} // closed when nobody uses it, nor will

	// Guarded by Client.mu:
	users int
	left  bool // nothing more is asked for here
}

func (c *Client) init() {
	c.start.Do(func() {
		c.ctx, c.cancel = context.WithCancel(context.Background())
		c.requests = make(chan Request)
		c.url = c.URL
		c.sessions = make(map[string]*clientSession)
	})
}

// Close ends everything that the client has, and waits.
func (c *Client) Close() error {
	c.init()
	c.cancel()
	c.wg.Wait()
	return nil
}

// Accept waits for the next request of a server, on any session. Programs that
// announce namespaces call it in a loop.
func (c *Client) Accept(ctx context.Context) (Request, error) {
	c.init()
	select {
	case r := <-c.requests:
		return r, nil
	case <-c.ctx.Done():
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// get returns the session with url, which it dials if there is none. It must be
// given back by put.
func (c *Client) get(ctx context.Context, url string) (*clientSession, error) {
	c.mu.Lock()
	cs := c.sessions[url]
	if cs == nil || cs.over() {
		cs = &clientSession{url: url, ready: make(chan struct{}), unused: make(chan struct{})}
		if !c.wg.Go(func() { c.run(cs) }) {
			c.mu.Unlock()
			return nil, ErrClosed
		}
		c.sessions[url] = cs
	}
	cs.users++
	c.mu.Unlock()
	select {
	case <-cs.ready:
	case <-ctx.Done():
		c.put(cs)
		return nil, context.Cause(ctx)
	}
	if cs.err != nil {
		c.put(cs)
		return nil, cs.err
	}
	return cs, nil
}

// over reports whether the session has ended.
func (cs *clientSession) over() bool {
	select {
	case <-cs.ready:
		return cs.err != nil || cs.sess.over()
	default:
		return false
	}
}

// put gives a session back. One that nobody uses is left, but for that of new
// requests.
func (c *Client) put(cs *clientSession) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cs.users--; cs.users == 0 && (cs.left || cs.url != c.url) {
		c.leaveLocked(cs)
	}
}

// leave has nothing more asked for on a session whose peer goes away, and
// returns where to ask instead. New requests go there too, if they would have
// come here.
func (c *Client) leave(cs *clientSession) (url string) {
	url = cs.url
	if g, ok := cs.sess.PeerGoaway(); ok && g.URI != "" {
		url = g.URI
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !cs.left {
		if c.url == cs.url {
			c.url = url
		}
		c.leaveLocked(cs)
	}
	return url
}

func (c *Client) leaveLocked(cs *clientSession) {
	cs.left = true
	if c.sessions[cs.url] == cs {
		delete(c.sessions, cs.url)
	}
	if cs.users == 0 {
		select {
		case <-cs.unused:
		default:
			close(cs.unused)
		}
	}
}

// run dials a session and follows it to its end.
func (c *Client) run(cs *clientSession) {
	dial := c.Dial
	if dial == nil {
		dial = func(ctx context.Context, url string) (*Session, error) { return Dial(ctx, url, nil) }
	}
	cs.sess, cs.err = dial(c.ctx, cs.url)
	if cs.err != nil {
		c.mu.Lock()
		if c.sessions[cs.url] == cs {
			delete(c.sessions, cs.url)
		}
		c.mu.Unlock()
	}
	close(cs.ready)
	if cs.err != nil {
		return
	}
	defer cs.sess.Close() // waits
	c.wg.Go(func() { c.forward(cs.sess) })
	over := cs.sess.Context().Done()
	select {
	case <-cs.sess.GoawayReceived():
		c.log().Info("server goes away", "remote", printable(cs.url))
	case <-cs.unused:
	case <-over:
	case <-c.ctx.Done():
	}
	c.leave(cs)
	select {
	case <-cs.unused:
		cs.sess.awaitServed(c.ctx)
	case <-over:
	case <-c.ctx.Done():
	}
}

// awaitServed waits until no request of the peer is open, who may still be
// reading what it has asked for, but not for ever.
func (s *Session) awaitServed(ctx context.Context) {
	g, _ := s.PeerGoaway()
	limit := time.NewTimer(or(g.Timeout*3/4, 30*time.Second))
	defer limit.Stop()
	for {
		s.mu.Lock()
		served, changed := s.openPeer == 0, s.aliasSet
		s.mu.Unlock()
		if served {
			return
		}
		select {
		case <-changed:
		case <-limit.C:
			return
		case <-s.ctx.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// forward hands the server's requests to Accept.
func (c *Client) forward(s *Session) {
	for {
		r, err := s.Accept(c.ctx)
		if err != nil {
			return
		}
		select {
		case c.requests <- r:
		case <-r.Context().Done():
		case <-c.ctx.Done():
			return
		}
	}
}

func (c *Client) log() *slog.Logger {
	if c.Logger != nil {
		return c.Logger
	}
	return slog.New(slog.DiscardHandler)
}

// ask does a request for name on the session with url, and follows redirects to
// other servers and names. The session that it succeeded on must be given back.
func (c *Client) ask(ctx context.Context, url string, name moqt.TrackName, do func(*Session, moqt.TrackName) error) (*clientSession, moqt.TrackName, error) {
	if url == "" {
		c.mu.Lock()
		url = c.url
		c.mu.Unlock()
	}
	for hops := 0; ; hops++ {
		cs, err := c.get(ctx, url)
		if err != nil {
			return nil, name, err
		}
		if err = do(cs.sess, name); err == nil {
			return cs, name, nil
		}
		var re *RequestError
		redirected := errors.As(err, &re) && re.Code == moqt.RequestRedirect && re.Redirect != nil
		switch {
		case redirected:
			if re.Redirect.URI != "" {
				url = re.Redirect.URI
			}
			if !re.Redirect.Same {
				name = re.Redirect.Track
			}
		case errors.Is(err, ErrGoaway):
			url = c.leave(cs)
		default:
			c.put(cs)
			return nil, name, err
		}
		c.put(cs)
		if hops >= or(c.MaxHops, 5) {
			return nil, name, fmt.Errorf("moqt: sent on more than %d times: %w", hops, err)
		}
	}
}

// moving is something at a session that can be moved.
type moving struct {
	cs    *clientSession
	one   <-chan struct{}       // closed when the peer moves this request alone
	where func() (Goaway, bool) // then says where to
	over  <-chan struct{}       // closed when it has ended by itself
}

// destination is where something is to move.
type destination struct {
	url     string
	patient time.Duration // how long the peer waits; 0 if it does not say
	here    bool          // it is the same session
}

// awaitMove waits until m has to move. It returns false if m or ctx has ended.
func (c *Client) awaitMove(ctx context.Context, m moving) (destination, bool) {
	select {
	case <-m.cs.sess.GoawayReceived():
		g, _ := m.cs.sess.PeerGoaway()
		return destination{url: c.leave(m.cs), patient: g.Timeout}, true
	case <-m.one:
		g, _ := m.where()
		return destination{url: or(g.URI, m.cs.url), patient: g.Timeout, here: g.URI == "" || g.URI == m.cs.url}, true
	case <-m.over:
	case <-ctx.Done():
	}
	return destination{}, false
}

// Tries to move are repeated while the old session lasts.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// persist repeats try until it succeeds. It returns false if m, or ctx, ends
// before.
func (c *Client) persist(ctx context.Context, m moving, try func() error) bool {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := try()
		if err == nil {
			return true
		}
		c.log().Warn("not moved yet", "err", err)
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-m.over:
			pause.Stop()
			return false
		case <-ctx.Done():
			pause.Stop()
			return false
		}
	}
}
