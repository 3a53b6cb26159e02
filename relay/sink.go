package relay

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tributary-live/tributary/relay/cache"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// sink is one subscription at a peer: the track's log, read by a cursor for
// each stream. It holds nothing of the track but its places in it.
type sink struct {
	t       *track
	p       *peer
	w       *transport.TrackWriter
	forward atomic.Bool
	done    chan struct{} // closed when the sink has ended

	lag lag // of the subscriber behind the track

	mu     sync.Mutex // guards what follows
	ending bool
	code   moqt.DoneCode
	why    string
	over   chan struct{} // closed when ending is set
}

func (p *peer) serveSubscribe(ctx context.Context, req *transport.SubscribeRequest) {
	if int(p.subs.Add(1)) > p.r.cfg.MaxSubscriptions {
		p.subs.Add(-1)
		req.RejectRetry(moqt.RequestExcessiveLoad, "this session has too many subscriptions", retryAfter)
		return
	}
	defer p.subs.Add(-1)
	t, err := p.r.hold(req.Track)
	if err != nil {
		refuse(req, err)
		return
	}
	defer t.release()
	if req.NewGroup != nil {
		t.wantGroup(*req.NewGroup)
	}
	if err := t.await(req.Context(), p, req.Rendezvous); err != nil {
		p.log.Debug("subscription refused", "track", req.Track, "err", err)
		refuse(req, err)
		return
	}
	k := t.newSink(p, req.Forward)
	w, err := req.Accept(&transport.PublishOptions{Properties: t.properties(), Largest: t.largest})
	if err != nil {
		k.leave()
		return
	}
	if req.Filter.Kind == moqt.FilterNone || req.Filter == (moqt.Filter{Kind: moqt.FilterAbsoluteStart}) {
		// All that is published: for somebody who comes now, from the newest
		// group on.
		if l, ok := t.largest(); ok {
			w.Narrow(moqt.Location{Group: l.Group})
		}
	}
	p.log.Debug("subscription", "track", req.Track)
	k.serve(ctx, w)
}

// publishTimeout bounds how long a subscriber may take to answer PUBLISH.
const publishTimeout = 10 * time.Second

// publishTo offers the track to somebody who wants all tracks of its namespace,
// unless it has, or is about to have, a subscription of its own. What cannot be
// offered is told as skipped, so that it can be subscribed to. ("Publisher
// Interactions", "PUBLISH_SKIPPED")
func (t *track) publishTo(in *interest) {
	if !t.awaitLive(in.req.Context()) || t.subscribedBy(in.p) {
		return
	}
	if int(in.p.subs.Add(1)) > t.r.cfg.MaxSubscriptions {
		in.p.subs.Add(-1)
		in.req.Skip(t.name)
		return
	}
	defer in.p.subs.Add(-1)
	u, err := t.r.hold(t.name)
	if err != nil {
		return
	}
	defer u.release()
	skip := func(why error) {
		in.p.log.Debug("track not published", "track", u.name, "err", why)
		var refused *transport.RequestError
		if !errors.As(why, &refused) && !errors.Is(why, transport.ErrFiltered) && in.req.Context().Err() == nil {
			in.req.Skip(u.name)
		}
	}
	k := u.newSink(in.p, in.req.Forward)
	ctx, cancel := context.WithTimeout(in.req.Context(), publishTimeout)
	w, err := in.p.sess.Publish(ctx, u.name, &transport.PublishOptions{
		Properties: u.properties(), Largest: u.largest, For: in.req})
	cancel()
	if err != nil {
		k.leave()
		skip(err)
		return
	}
	if st := w.State(); st.NewGroup > 0 {
		u.requestGroup(st.NewGroupValue)
	}
	k.serve(in.p.ctx, w)
}

// awaitLive waits until a publisher's answer or offer has told what the track
// is, and reports whether one has.
func (t *track) awaitLive(ctx context.Context) bool {
	for {
		t.mu.Lock()
		live, over, idle, changed := t.live, t.over, t.pending == 0, t.changed
		t.mu.Unlock()
		if live || over || idle {
			return live && !over
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

func (t *track) newSink(p *peer, forward bool) *sink {
	k := &sink{t: t, p: p, done: make(chan struct{}), over: make(chan struct{}), lag: newLag()}
	k.forward.Store(forward)
	t.mu.Lock()
	t.sinks[k] = struct{}{}
	t.changedLocked()
	t.mu.Unlock()
	t.r.m.subscriptions.Inc()
	return k
}

func (k *sink) leave() {
	k.t.mu.Lock()
	delete(k.t.sinks, k)
	k.t.changedLocked()
	k.t.mu.Unlock()
	k.t.r.m.subscriptions.Dec()
	close(k.done)
}

// end makes the sink finish: at the log's end if the track ended well, else at
// once.
func (k *sink) end(code moqt.DoneCode, why string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.ending {
		k.ending, k.code, k.why = true, code, why
		close(k.over)
	}
}

// serve sends the track until the subscriber or the track ends.
func (k *sink) serve(ctx context.Context, w *transport.TrackWriter) {
	defer k.leave()
	k.w = w
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.Context(), cancel)()
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-k.over:
			if k.code != moqt.DoneTrackEnded {
				cancel()
			}
		case <-ctx.Done():
		}
	})
	state := w.State()
	if k.forward.Swap(state.Forward) != state.Forward {
		k.t.touch()
	}
	rd := k.t.log.Reader(state.Start, state.End.Group)
	wg.Go(func() { k.follow(ctx, rd, state) })
	wg.Go(func() { k.sendDatagrams(ctx, rd) })
	var streams sync.WaitGroup
	for {
		c, err := k.next(ctx, rd)
		if err != nil {
			break
		}
		o := k.begin(ctx, c)
		streams.Go(func() {
			defer k.finish(o)
			k.send(o)
		})
	}
	if w.Context().Err() != nil || ctx.Err() != nil {
		cancel()
	}
	streams.Wait()
	cancel()
	wg.Wait()
	k.mu.Lock()
	code, why, ending := k.code, k.why, k.ending
	k.mu.Unlock()
	if !ending {
		code, why = moqt.DoneTrackEnded, ""
	}
	w.CloseWithError(code, why)
}

// follow takes note of what the subscriber changes from state on.
func (k *sink) follow(ctx context.Context, rd *cache.Reader, state transport.SubscriptionState) {
	for {
		select {
		case <-k.w.Changed():
		case <-ctx.Done():
			return
		}
		was := state
		state = k.w.State()
		if k.forward.Swap(state.Forward) != state.Forward {
			k.t.touch()
		}
		if state.Start != was.Start || state.End != was.End {
			rd.Bound(state.Start, state.End.Group)
		}
		if state.NewGroup != was.NewGroup {
			k.t.requestGroup(state.NewGroupValue)
		}
	}
}

// touch has those look again who wait for the track to change.
func (t *track) touch() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changedLocked()
}

// sendDatagrams sends the objects that came as datagrams. A subscriber that does
// not keep up loses the oldest.
func (k *sink) sendDatagrams(ctx context.Context, rd *cache.Reader) {
	for {
		obj, err := rd.NextDatagram(ctx)
		if err != nil {
			return
		}
		if k.t.expired(&obj.Meta) {
			continue
		}
		o := obj.Meta
		o.Payload, _ = obj.Payload()
		if err := k.w.SendDatagram(o); err != nil {
			k.p.log.Debug("datagram not sent", "track", k.t.name, "err", err)
		}
	}
}
