package relay

import (
	"context"
	"fmt"
	"slices"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// announcement is a namespace that a session here has announced.
type announcement struct {
	p   *peer
	ns  moqt.Namespace
	req *transport.AnnounceRequest
}

// revoke ends the announcement: its publisher is told by a reset that what it
// publishes is not what this name has here.
func (a *announcement) revoke() { a.req.Revoke(moqt.StreamMalformedTrack) }

func (p *peer) serveAnnounce(req *transport.AnnounceRequest) {
	r := p.r
	if req.Namespace.Len() == 0 {
		req.Reject(moqt.RequestUnauthorized, "a namespace needs a field: the empty one would claim every track")
		return
	}
	if int(p.names.Add(1)) > r.cfg.MaxNamespaces {
		p.names.Add(-1)
		req.RejectRetry(moqt.RequestExcessiveLoad, "this session has announced too many namespaces", retryAfter)
		return
	}
	defer p.names.Add(-1)
	a := &announcement{p: p, ns: req.Namespace, req: req}
	r.addName(a) // before the answer: whoever hears of that finds the tracks
	defer r.removeName(a)
	if err := req.Accept(); err != nil {
		return
	}
	p.log.Info("namespace announced", "ns", a.ns)
	<-req.Context().Done()
	p.log.Info("namespace withdrawn", "ns", a.ns)
}

// addName makes a namespace known and offers its publisher to the tracks that
// are asked for. ("Publisher Interactions")
func (r *Relay) addName(a *announcement) {
	r.mu.Lock()
	set := r.names[a.ns]
	first := len(set) == 0
	if set == nil {
		set = make(map[*announcement]struct{})
		r.names[a.ns] = set
	}
	set[a] = struct{}{}
	r.local.Add(a.ns)
	r.live.Add(a.ns)
	var wanted []*track
	for name, t := range r.tracks {
		if name.Namespace.HasPrefix(a.ns) {
			wanted = append(wanted, t)
		}
	}
	r.mu.Unlock()
	if first && r.cfg.Origins != nil {
		r.cfg.Origins.Register(a.ns)
	}
	for _, t := range wanted {
		t.attach(a.p, a)
	}
}

func (r *Relay) removeName(a *announcement) {
	r.mu.Lock()
	set := r.names[a.ns]
	delete(set, a)
	last := len(set) == 0
	if last {
		delete(r.names, a.ns)
	}
	r.local.Remove(a.ns)
	r.live.Remove(a.ns)
	r.mu.Unlock()
	if last && r.cfg.Origins != nil {
		r.cfg.Origins.Unregister(a.ns)
	}
}

// publishersLocked returns the announcements under which ns falls, one for each
// session.
func (r *Relay) publishersLocked(ns moqt.Namespace) []*announcement {
	var found []*announcement
	seen := make(map[*peer]bool)
	for n := ns; ; n = n.Parent() {
		for a := range r.names[n] {
			if !seen[a.p] {
				seen[a.p] = true
				found = append(found, a)
			}
		}
		if n.Len() == 0 {
			break
		}
	}
	slices.SortFunc(found, func(a, b *announcement) int { return int(a.p.id) - int(b.p.id) })
	return found
}

func (p *peer) serveWatch(req *transport.WatchRequest) {
	if most := p.r.cfg.MaxMatches; len(p.r.live.List(req.Prefix, most+1)) > most {
		req.Reject(moqt.RequestNamespaceTooLarge, fmt.Sprintf("more than %d namespaces are live under the prefix; ask for a longer one", most))
		return
	}
	out, err := req.Accept()
	if err != nil {
		return
	}
	defer out.Close()
	defer context.AfterFunc(p.r.ctx, func() { out.Close() })()
	w := p.r.live.Watch(req.Prefix)
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
				p.log.Debug("namespace watcher lost", "ns", req.Prefix, "err", err)
				return
			}
		}
	}
}

// interest is a SUBSCRIBE_TRACKS: every track under the prefix that somebody
// publishes here goes to its peer by PUBLISH.
type interest struct {
	p      *peer
	prefix moqt.Namespace
	req    *transport.TracksRequest
}

func (p *peer) serveTracks(req *transport.TracksRequest) {
	r := p.r
	if err := req.Accept(); err != nil {
		return
	}
	in := &interest{p: p, prefix: req.Prefix, req: req}
	r.mu.Lock()
	r.interest[in] = struct{}{}
	var there []*track
	for name, t := range r.tracks {
		if name.Namespace.HasPrefix(in.prefix) && t.isPublished(p) {
			there = append(there, t)
		}
	}
	r.mu.Unlock()
	for _, t := range there {
		p.wg.Go(func() { t.publishTo(in) })
	}
	<-req.Context().Done()
	r.mu.Lock()
	delete(r.interest, in)
	r.mu.Unlock()
}

// interested returns who wants every track under ns and is not p itself.
func (r *Relay) interested(ns moqt.Namespace, p *peer) []*interest {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*interest
	for in := range r.interest {
		if in.p != p && ns.HasPrefix(in.prefix) {
			found = append(found, in)
		}
	}
	return found
}
