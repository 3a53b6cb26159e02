package relay

import (
	"context"
	"fmt"
	"slices"
	"sync"

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

// tooLarge refuses a prefix under which too much is live.
func (p *peer) tooLarge(prefix moqt.Namespace, refuse func(moqt.RequestCode, string)) bool {
	most := p.r.cfg.MaxMatches
	if len(p.r.live.List(prefix, most+1)) <= most {
		return false
	}
	refuse(moqt.RequestNamespaceTooLarge, fmt.Sprintf("more than %d namespaces are live under the prefix; ask for a longer one", most))
	return true
}

func (p *peer) serveWatch(req *transport.WatchRequest) {
	if p.tooLarge(req.Prefix, func(code moqt.RequestCode, why string) { req.Reject(code, why) }) {
		return
	}
	updates := req.PrefixUpdates()
	out, err := req.Accept()
	if err != nil {
		return
	}
	defer out.Close()
	defer context.AfterFunc(p.r.ctx, func() { out.Close() })()
	for prefix := req.Prefix; ; {
		u := p.watch(out, prefix, updates)
		if u == nil || p.tooLarge(u.Prefix, u.Reject) || u.Accept() != nil {
			return
		}
		prefix = u.Prefix
	}
}

// watch tells of the namespaces under a prefix until the request is over, and then
// returns nil, or until its peer wants another prefix.
func (p *peer) watch(out *transport.NamespaceWriter, prefix moqt.Namespace, updates <-chan *transport.PrefixUpdate) (next *transport.PrefixUpdate) {
	ctx, cancel := context.WithCancel(out.Context())
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer cancel()
	waiting.Go(func() {
		select {
		case next = <-updates:
			cancel()
		case <-ctx.Done():
		}
	})
	p.tell(ctx, out, prefix)
	if out.Context().Err() == nil && ctx.Err() == nil {
		out.Close() // it could not be told
	}
	cancel()
	waiting.Wait()
	return next
}

func (p *peer) tell(ctx context.Context, out *transport.NamespaceWriter, prefix moqt.Namespace) {
	w := p.r.live.Watch(prefix)
	defer w.Close()
	for {
		changes, err := w.Next(ctx)
		if err != nil {
			return
		}
		for _, c := range changes {
			tell := out.Add
			if c.Gone {
				tell = out.Remove
			}
			if err := tell(c.Namespace); err != nil {
				p.log.Debug("namespace watcher lost", "ns", prefix, "err", err)
				return
			}
		}
	}
}

// interest is a SUBSCRIBE_TRACKS: every track under the prefix that somebody
// publishes here goes to its peer by PUBLISH.
type interest struct {
	p      *peer
	prefix moqt.Namespace // guarded by Relay.mu
	req    *transport.TracksRequest
}

func (p *peer) serveTracks(req *transport.TracksRequest) {
	r := p.r
	updates := req.PrefixUpdates()
	if err := req.Accept(); err != nil {
		return
	}
	in := &interest{p: p, req: req}
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.interest, in)
	}()
	for prefix := req.Prefix; ; {
		p.publishAll(in, prefix)
		select {
		case u := <-updates:
			if u.Accept() != nil {
				return
			}
			prefix = u.Prefix
		case <-req.Context().Done():
			return
		}
	}
}

// publishAll offers the tracks under a prefix to somebody who wants them all, those
// that are there and those to come.
func (p *peer) publishAll(in *interest, prefix moqt.Namespace) {
	r := p.r
	r.mu.Lock()
	in.prefix = prefix
	r.interest[in] = struct{}{}
	var there []*track
	for name, t := range r.tracks {
		if name.Namespace.HasPrefix(prefix) && t.isPublished(p) {
			there = append(there, t)
		}
	}
	r.mu.Unlock()
	for _, t := range there {
		p.wg.Go(func() { t.publishTo(in) })
	}
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
