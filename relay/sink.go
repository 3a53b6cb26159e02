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

	// Used by serve alone.
	rd        *cache.Reader
	state     transport.SubscriptionState // as it was seen last
	datagrams <-chan struct{}             // closed when sendDatagrams is needed; nil once it runs
	wg        sync.WaitGroup              // sendDatagrams
	senders   sync.WaitGroup

	mu     sync.Mutex         // guards what follows
	stop   context.CancelFunc // of serve, once it runs
	ending bool
	code   moqt.DoneCode
	why    string
}

func (p *peer) serveSubscribe(ctx context.Context, req *transport.SubscribeRequest) {
	if int(p.subs.Add(1)) > p.r.cfg.MaxSubscriptions {
		p.subs.Add(-1)
		req.RejectRetry(moqt.RequestExcessiveLoad, "this session has too many subscriptions", retryAfter)
		return
	}
	t, err := p.r.hold(req.Track)
	if err != nil {
		p.subs.Add(-1)
		refuse(req, err)
		return
	}
	over := func() {
		t.release()
		p.subs.Add(-1)
	}
	k, w := t.accept(p, req)
	if k == nil {
		over()
		return
	}
	p.wg.Detach(func() {
		defer over()
		k.serve(ctx, w)
	})
}

// accept answers a SUBSCRIBE when the track is there, and returns nil if it
// cannot.
func (t *track) accept(p *peer, req *transport.SubscribeRequest) (*sink, *transport.TrackWriter) {
	if req.NewGroup != nil {
		t.wantGroup(*req.NewGroup)
	}
	if req.Rendezvous > 0 { // up to where it is a sink, for subscribedBy
		t.wait(p, +1)
		defer t.wait(p, -1)
	}
	if err := t.await(req.Context(), p, req.Rendezvous); err != nil {
		p.log.Debug("subscription refused", "track", req.Track, "err", err)
		refuse(req, err)
		return nil, nil
	}
	k := t.newSink(p, req.Forward)
	w, err := req.Accept(&transport.PublishOptions{Properties: t.properties(), Largest: t.largest})
	if err != nil {
		k.leave()
		return nil, nil
	}
	if req.Filter.Kind == moqt.FilterNone || req.Filter == (moqt.Filter{Kind: moqt.FilterAbsoluteStart}) {
		// All that is published: for somebody who comes now, from the newest
		// group on.
		if l, ok := t.largest(); ok {
			w.Narrow(moqt.Location{Group: l.Group})
		}
	}
	p.log.Debug("subscription", "track", req.Track)
	return k, w
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
	k := &sink{t: t, p: p, done: make(chan struct{}), lag: newLag()}
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
	first, stop := !k.ending, k.stop
	if first {
		k.ending, k.code, k.why = true, code, why
	}
	k.mu.Unlock()
	if first && stop != nil && code != moqt.DoneTrackEnded {
		stop()
	}
}

// serve sends the track until the subscriber or the track ends.
func (k *sink) serve(ctx context.Context, w *transport.TrackWriter) {
	defer k.leave()
	k.w = w
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.Context(), cancel)()
	k.begins(cancel)
	for {
		c, err := k.next(ctx)
		if err != nil {
			break
		}
		k.begin(ctx, c)
	}
	k.drain(ctx, cancel)
}

// begins sets up what serve needs, which stop ends.
func (k *sink) begins(stop context.CancelFunc) {
	k.mu.Lock()
	k.stop = stop
	late := k.ending && k.code != moqt.DoneTrackEnded
	k.mu.Unlock()
	if late {
		stop()
	}
	k.state = k.w.State()
	if k.forward.Swap(k.state.Forward) != k.state.Forward {
		k.t.touch()
	}
	k.rd = k.t.log.Reader(k.state.Start, k.state.End.Group)
	k.datagrams = k.rd.Datagrams()
}

// drain waits until all is sent that is to be, and ends the subscription.
func (k *sink) drain(ctx context.Context, stop context.CancelFunc) {
	if k.w.Context().Err() != nil || ctx.Err() != nil {
		stop()
	}
	select {
	case <-k.datagrams: // the last ones, perhaps
		k.startDatagrams(ctx)
	default:
	}
	k.letGo()
	k.senders.Wait()
	stop()
	k.wg.Wait()
	k.mu.Lock()
	code, why, ending := k.code, k.why, k.ending
	k.mu.Unlock()
	if !ending {
		code, why = moqt.DoneTrackEnded, ""
	}
	k.w.CloseWithError(code, why)
}

// wait waits for news, or for anything else that serve has to look after, which
// it does. One goroutine for all of that is what makes an idle subscriber cheap.
func (k *sink) wait(ctx context.Context, news <-chan struct{}) error {
	select {
	case <-news:
	case <-k.lag.held:
	case <-k.w.Changed():
		k.updated()
	case <-k.datagrams:
		k.startDatagrams(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// updated takes note of what the subscriber has changed.
func (k *sink) updated() {
	was := k.state
	k.state = k.w.State()
	if k.forward.Swap(k.state.Forward) != k.state.Forward {
		k.t.touch()
	}
	if k.state.Start != was.Start || k.state.End != was.End {
		k.rd.Bound(k.state.Start, k.state.End.Group)
	}
	if k.state.NewGroup != was.NewGroup {
		k.t.requestGroup(k.state.NewGroupValue)
	}
}

func (k *sink) startDatagrams(ctx context.Context) {
	k.datagrams = nil
	k.wg.Go(func() { k.sendDatagrams(ctx) })
}

// touch has those look again who wait for the track to change.
func (t *track) touch() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changedLocked()
}

// sendDatagrams sends the objects that came as datagrams. QUIC takes them only as
// fast as the path does; meanwhile the newest of the track wait in its log, and a
// subscriber that does not keep up loses the oldest.
func (k *sink) sendDatagrams(ctx context.Context) {
	counted := uint64(0)
	for {
		obj, err := k.rd.NextDatagram(ctx)
		if missed := k.rd.Missed(); missed > counted {
			k.t.r.m.datagramsDropped.Add(float64(missed - counted))
			counted = missed
		}
		if err != nil {
			return
		}
		if k.t.expired(obj) {
			continue
		}
		o := obj.Meta
		o.Payload, _ = obj.Payload()
		if err := k.w.SendDatagram(o); err != nil {
			k.t.r.m.datagramsDropped.Inc()
			k.p.log.Debug("datagram not sent", "track", k.t.name, "err", err)
		}
	}
}
