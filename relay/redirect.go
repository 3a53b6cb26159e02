package relay

import (
	"errors"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Elsewhere sends what clients ask for under a prefix of namespaces to another
// relay.
type Elsewhere struct {
	Prefix moqt.Namespace
	URL    string // of the other relay
}

// redirectable is a request that can be sent elsewhere, which all are.
type redirectable interface {
	Redirect(to transport.Redirect) error
}

// sendOn redirects a client's request that another relay is to serve, and reports
// whether it did. Relays are not sent on, as the cluster's table tells them where
// to ask, nor are clients that cannot be told. ("Redirect Structure")
func (p *peer) sendOn(req transport.Request) bool {
	if len(p.r.cfg.Redirects) == 0 || !p.isClient() || !p.sess.Redirects() {
		return false
	}
	ns := namespaceOf(req)
	for _, e := range p.r.cfg.Redirects {
		if ns.HasPrefix(e.Prefix) {
			p.log.Debug("request sent on", "ns", ns, "uri", e.URL)
			p.r.m.redirects.Inc()
			req.(redirectable).Redirect(transport.Redirect{URI: elsewhere(p.sess, e.URL), Same: true})
			return true
		}
	}
	return false
}

// namespaceOf returns what a request is about.
func namespaceOf(req transport.Request) moqt.Namespace {
	switch req := req.(type) {
	case *transport.AnnounceRequest:
		return req.Namespace
	case *transport.WatchRequest:
		return req.Prefix
	case *transport.TracksRequest:
		return req.Prefix
	case *transport.SubscribeRequest:
		return req.Track.Namespace
	case *transport.PublishRequest:
		return req.Track.Namespace
	case *transport.FetchRequest:
		return req.Track.Namespace
	case *transport.StatusRequest:
		return req.Track.Namespace
	}
	return moqt.Namespace{}
}

// maxHops is how many redirects in a row a relay follows for a track.
const maxHops = 3

// follow goes where a relay has sent s instead of answering, if it has.
func (s *source) follow(err error) {
	var re *transport.RequestError
	if s.url == "" || s.hops >= maxHops || !errors.As(err, &re) || re.Code != moqt.RequestRedirect || re.Redirect == nil {
		return
	}
	if to := re.Redirect; to.URI != "" && (to.Same || to.Track == s.t.name) {
		s.t.attachRelay(api.Origin{URL: to.URI}, s.hops+1)
	}
}

// passOn refuses a request as its publisher did who redirects it. Another name on
// the same session is what the subscriber can ask for here as well; another server
// is where the publisher would have the relay go, and not the subscriber.
func passOn(req transport.Request, to *transport.Redirect) {
	if to != nil && to.URI == "" && !to.Same {
		req.(redirectable).Redirect(transport.Redirect{Track: to.Track})
		return
	}
	req.RejectRetry(moqt.RequestDoesNotExist, "the publisher of the track has moved", retryAfter)
}
