package dir

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// session is what the directory keeps of one.
type session struct {
	d   *Directory
	log *slog.Logger

	announced int // guarded by Directory.mu
	watches   atomic.Int32
	listings  atomic.Int32 // subscribed to or fetched
}

// retryAfter is when to ask again for what was refused for lack of room.
const retryAfter = 5 * time.Second

// serve answers one request and returns when that is over.
func (s *session) serve(req transport.Request) {
	switch req := req.(type) {
	case *transport.AnnounceRequest:
		s.serveAnnounce(req)
	case *transport.WatchRequest:
		s.serveWatch(req)
	case *transport.SubscribeRequest:
		s.withListing(req, req.Track, func(l *listing) { l.serveSubscribe(req) })
	case *transport.FetchRequest:
		s.withListing(req, req.Track, func(l *listing) { l.serveFetch(req) })
	case *transport.StatusRequest:
		s.withListing(req, req.Track, func(l *listing) { l.serveStatus(req) })
	case *transport.PublishRequest:
		req.Reject(moqt.RequestNotSupported, "this is a directory: it takes namespaces (PUBLISH_NAMESPACE), not tracks")
	default:
		req.Reject(moqt.RequestNotSupported, "this is a directory: it knows namespaces and listings of them")
	}
}

// take counts one more in n, unless there are most already.
func take(n *atomic.Int32, most int) bool {
	if int(n.Add(1)) > most {
		n.Add(-1)
		return false
	}
	return true
}

// serveAnnounce holds a namespace for as long as its session announces it.
func (s *session) serveAnnounce(req *transport.AnnounceRequest) {
	d, ns := s.d, req.Namespace
	switch {
	case ns.Len() == 0:
		req.Reject(moqt.RequestUnauthorized, "a namespace needs a field: the empty one would claim every track")
		return
	case reserved(ns):
		req.Reject(moqt.RequestDoesNotExist, "the namespace is reserved: its first field begins with a period")
		return
	case ns.HasPrefix(d.cfg.Namespace):
		req.Reject(moqt.RequestUnauthorized, "the namespace is the directory's own")
		return
	}
	size := len(ns.String()) + 1
	if why := s.reserve(size); why != "" {
		s.log.Warn("namespace refused", "ns", ns, "err", why)
		req.RejectRetry(moqt.RequestExcessiveLoad, why, retryAfter)
		return
	}
	defer s.unreserve(size)
	d.names.Add(ns) // before the answer: who has that finds the name in every list
	defer d.names.Remove(ns)
	if err := req.Accept(); err != nil {
		return
	}
	s.log.Info("namespace announced", "ns", ns)
	<-req.Context().Done()
	s.log.Info("namespace withdrawn", "ns", ns)
}

// reserve takes room for a namespace of size bytes in print, or says why there
// is none.
func (s *session) reserve(size int) (why string) {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case s.announced >= d.cfg.MaxSessionNamespaces:
		return "this session has announced too many namespaces"
	case d.announced >= d.cfg.MaxNamespaces, d.nameBytes+size > d.cfg.MaxNameBytes:
		return "the directory is full"
	}
	s.announced++
	d.announced++
	d.nameBytes += size
	return ""
}

func (s *session) unreserve(size int) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	s.announced--
	s.d.announced--
	s.d.nameBytes -= size
}

// serveWatch tells the peer what comes and goes under its prefix.
func (s *session) serveWatch(req *transport.WatchRequest) {
	if !take(&s.watches, s.d.cfg.MaxSessionWatches) {
		req.RejectRetry(moqt.RequestExcessiveLoad, "this session watches too many prefixes", retryAfter)
		return
	}
	defer s.watches.Add(-1)
	out, err := req.Accept()
	if err != nil {
		return
	}
	defer out.Close()
	w := s.d.names.Watch(req.Prefix)
	defer w.Close()
	for {
		changes, err := w.Next(out.Context())
		if err != nil {
			return
		}
		for _, c := range changes {
			tell := out.Add
			if c.Gone {
				tell = out.Remove
			}
			if err := tell(c.Namespace); err != nil {
				s.log.Debug("namespace watcher lost", "ns", req.Prefix, "err", err)
				return
			}
		}
	}
}

// withListing opens the listing that a request names, for as long as serve runs.
func (s *session) withListing(req transport.Request, name moqt.TrackName, serve func(*listing)) {
	d := s.d
	if name.Namespace != d.cfg.Namespace {
		req.Reject(moqt.RequestDoesNotExist, "the directory has no tracks but its listings, in the namespace "+d.cfg.Namespace.String())
		return
	}
	prefix, err := moqt.ParseNamespace(name.Name)
	if err != nil || reserved(prefix) {
		req.Reject(moqt.RequestDoesNotExist, "a listing's name is a prefix in the draft's printed form, such as room-12345")
		return
	}
	if !take(&s.listings, d.cfg.MaxSessionListings) {
		req.RejectRetry(moqt.RequestExcessiveLoad, "this session reads too many listings", retryAfter)
		return
	}
	l := d.open(prefix)
	if l == nil {
		s.listings.Add(-1)
		s.log.Warn("too much is held for listings", "ns", prefix)
		req.RejectRetry(moqt.RequestExcessiveLoad, "the directory holds too many listings", retryAfter)
		return
	}
	serve(l)
	d.release(l)
	s.listings.Add(-1)
}
