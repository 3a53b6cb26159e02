package relay

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/transport/moqt"
)

const (
	// dialTimeout bounds the dialling of another relay.
	dialTimeout = 5 * time.Second
	// peerIdle is how long a session to another relay stays without tracks.
	peerIdle = 30 * time.Second
	// lookupTimeout bounds a question to the origins' table.
	lookupTimeout = 3 * time.Second
)

// upstreams are the sessions to other relays: one for each, shared by all
// tracks that come from there.
type upstreams struct {
	r     *Relay
	mu    sync.Mutex
	byURL map[string]*upstream
}

type upstream struct {
	url   string
	ready chan struct{} // closed when peer or err is set
	peer  *peer
	err   error
	users int // guarded by upstreams.mu
	idle  *time.Timer
}

func (u *upstreams) init(r *Relay) { u.r, u.byURL = r, make(map[string]*upstream) }

// get returns the session to url and dials it if there is none. The caller must
// give it back by put.
func (u *upstreams) get(ctx context.Context, url string) (*upstream, error) {
	u.mu.Lock()
	up := u.byURL[url]
	if up == nil {
		up = &upstream{url: url, ready: make(chan struct{})}
		u.byURL[url] = up
		if !u.r.wg.Go(func() { u.dial(up) }) {
			up.err = errors.New("relay: shutting down")
			close(up.ready)
		}
	}
	up.users++
	if up.idle != nil {
		up.idle.Stop()
		up.idle = nil
	}
	u.mu.Unlock()
	select {
	case <-up.ready:
	case <-ctx.Done():
		u.put(up)
		return nil, ctx.Err()
	}
	if up.err != nil {
		u.put(up)
		return nil, up.err
	}
	return up, nil
}

// put gives a session back. The last user's leaves it open for a while.
func (u *upstreams) put(up *upstream) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if up.users--; up.users > 0 {
		return
	}
	if u.byURL[up.url] != up { // nobody will ask it for more
		u.leave(up)
		return
	}
	up.idle = time.AfterFunc(peerIdle, func() {
		u.mu.Lock()
		unused := up.users == 0 && u.byURL[up.url] == up
		if unused {
			delete(u.byURL, up.url)
		}
		u.mu.Unlock()
		if unused {
			u.leave(up)
		}
	})
}

// leave ends the session, if it was opened, without waiting for that.
func (u *upstreams) leave(up *upstream) {
	select {
	case <-up.ready:
		if up.peer != nil {
			u.r.wg.Go(func() { up.peer.sess.Close() })
		}
	default:
	}
}

// dial opens the session and serves it until it ends.
func (u *upstreams) dial(up *upstream) {
	r := u.r
	ctx, cancel := context.WithTimeout(r.ctx, dialTimeout)
	sess, err := r.cfg.Dial(ctx, up.url)
	cancel()
	if err == nil {
		if up.peer = r.newPeer(r.ctx, sess, true); up.peer == nil {
			sess.Close()
			err = errors.New("relay: shutting down")
		}
	}
	up.err = err
	if err != nil {
		r.log.Warn("relay not reached", "remote", up.url, "err", err)
	}
	close(up.ready)
	if err == nil {
		// A relay that goes away is not asked for more.
		stop := context.AfterFunc(up.peer.sess.Context(), func() { u.drop(up) })
		go func() {
			select {
			case <-sess.GoawayReceived():
				if u.drop(up) {
					u.leave(up)
				}
			case <-sess.Context().Done():
			}
		}()
		up.peer.serve(r.ctx)
		stop()
	}
	u.drop(up)
}

// drop takes care that nobody asks for more by up, and reports whether nobody
// uses it any more.
func (u *upstreams) drop(up *upstream) (unused bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.byURL[up.url] == up {
		delete(u.byURL, up.url)
	}
	if up.idle != nil {
		up.idle.Stop()
	}
	return up.users == 0
}

// lookup returns the other relays that have ns.
func (r *Relay) lookup(ctx context.Context, ns moqt.Namespace) ([]api.Origin, error) {
	if r.cfg.Origins == nil || r.cfg.Dial == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	all, err := r.cfg.Origins.Lookup(ctx, ns)
	if errors.Is(err, api.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var others []api.Origin
	for _, o := range all {
		if o.Node != r.cfg.Node && o.URL != r.cfg.Node {
			others = append(others, o)
		}
	}
	return others, nil
}
