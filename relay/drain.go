package relay

import (
	"context"
	"net/url"
	"sync"

	"github.com/tributary-live/tributary/transport"
)

// Drain asks every session to go to the relay at to, a URL, or where it likes if
// that is empty, and waits until all publishers and subscribers are gone or ctx
// ends. What they have here goes on until they leave; their new requests are
// refused with GOING_AWAY. ("Graceful Session Migration")
//
// Other relays are not waited for, and find their own way: those that came have
// nothing to get here without publishers, and those that this one dialled serve
// its subscribers until the last has left. Sessions that come later are asked as
// well, but not waited for; see [transport.Server.Refuse].
func (r *Relay) Drain(ctx context.Context, to string) {
	ctx, cancel := context.WithCancel(ctx)
	var asked, left sync.WaitGroup
	r.mu.Lock()
	r.draining, r.next = true, to
	for p := range r.peers {
		if p.isClient() {
			left.Go(func() {
				select {
				case <-p.sess.Context().Done():
				case <-ctx.Done():
				}
			})
		}
		asked.Go(func() { p.sendAway(ctx, to) })
	}
	r.mu.Unlock()
	left.Wait()
	cancel()
	asked.Wait()
}

// sendAway asks the peer to go, and waits until it has or ctx ends.
func (p *peer) sendAway(ctx context.Context, to string) {
	if !p.isClient() {
		to = ""
	}
	p.sess.Goaway(ctx, elsewhere(p.sess, to), 0)
}

// Shutdown drains the relay and closes it.
func (r *Relay) Shutdown(ctx context.Context, to string) error {
	r.Drain(ctx, to)
	return r.Close()
}

// isClient reports whether the peer is neither a relay nor dialled by this one.
func (p *peer) isClient() bool { return p.node == "" && !p.origin }

// elsewhere returns the URL to for whoever is at the other end of a session: over
// the transport it came by, and with the path that it dialled unless to has one.
func elsewhere(sess *transport.Session, to string) string {
	u, err := url.Parse(to)
	if to == "" || err != nil {
		return ""
	}
	scheme, path := "moqt", u.RequestURI()
	if sess.Info().WebTransport {
		scheme = "https"
	}
	if u.Path == "" && u.RawQuery == "" {
		path = sess.Path()
	}
	return scheme + "://" + u.Host + path
}
