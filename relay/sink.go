package relay

import (
	"context"
	"errors"
	"io"
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

	mu      sync.Mutex // guards what follows
	streams map[*outStream]struct{}
	ending  bool
	code    moqt.DoneCode
	why     string
	over    chan struct{} // closed when ending is set
}

// outStream is one downstream subgroup stream.
type outStream struct {
	group  uint64
	newer  int          // groups that began after it, while it was open
	since  atomic.Int64 // UnixNano from when on there was always something left to send, 0 if there is nothing
	cancel context.CancelFunc
}

// behind reports whether the subscriber does not take what there is.
func (o *outStream) behind(now time.Time) bool {
	since := o.since.Load()
	return since != 0 && now.Sub(time.Unix(0, since)) >= patience
}

// groupsBehind is by how many newer groups a stream may be overtaken while its
// subscriber does not keep up. The group is given up then: its viewer gains
// more from the newest one.
const groupsBehind = 2

// patience is how long a stream must have had something left to send for its
// subscriber to be one that does not keep up: groups that come in a burst are no
// reason to give up the first.
const patience = 100 * time.Millisecond

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
	if err := t.await(req.Context(), p, req.Rendezvous); err != nil {
		p.log.Debug("subscription refused", "track", req.Track, "err", err)
		refuse(req, err)
		return
	}
	k := t.newSink(p)
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

// publishTo offers the track to somebody who wants all tracks of its namespace.
func (t *track) publishTo(in *interest) {
	t.r.mu.Lock()
	t.mu.Lock()
	over := t.over
	t.mu.Unlock()
	t.r.mu.Unlock()
	if over {
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
	k := u.newSink(in.p)
	w, err := in.p.sess.Publish(in.req.Context(), u.name, &transport.PublishOptions{
		Properties: u.properties(), Largest: u.largest, For: in.req})
	if err != nil {
		in.p.log.Debug("track not published", "track", u.name, "err", err)
		k.leave()
		return
	}
	k.serve(in.p.ctx, w)
}

func (t *track) newSink(p *peer) *sink {
	k := &sink{t: t, p: p, done: make(chan struct{}), over: make(chan struct{}), streams: make(map[*outStream]struct{})}
	k.forward.Store(true)
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
	wg.Go(func() { k.follow(ctx) })
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
	k.forward.Store(state.Forward)
	rd := k.t.log.Reader(state.Start, state.End.Group)
	wg.Go(func() { k.sendDatagrams(ctx, rd) })
	var streams sync.WaitGroup
	for {
		c, err := rd.Next(ctx)
		if err != nil {
			break
		}
		o := k.begin(ctx, c.Header().Group)
		streams.Go(func() {
			defer k.finish(o)
			k.send(o, c)
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

// follow takes note of what the subscriber changes.
func (k *sink) follow(ctx context.Context) {
	for {
		select {
		case <-k.w.Changed():
			state := k.w.State()
			if k.forward.Swap(state.Forward) != state.Forward {
				k.t.mu.Lock()
				k.t.changedLocked()
				k.t.mu.Unlock()
			}
		case <-ctx.Done():
			return
		}
	}
}

// outContext is a stream's context and place in the sink.
func (k *sink) begin(ctx context.Context, group uint64) *outCtx {
	sctx, cancel := context.WithCancel(ctx)
	o := &outStream{group: group, cancel: cancel}
	k.mu.Lock()
	defer k.mu.Unlock()
	newest := true
	for other := range k.streams {
		if other.group >= group {
			newest = false
		}
	}
	if newest {
		now := time.Now()
		for other := range k.streams {
			other.newer++
			if other.newer >= groupsBehind && other.behind(now) {
				other.cancel()
				k.t.r.m.skipped.Inc()
			}
		}
	}
	k.streams[o] = struct{}{}
	return &outCtx{sctx, o}
}

type outCtx struct {
	ctx context.Context
	*outStream
}

func (k *sink) finish(o *outCtx) {
	k.mu.Lock()
	delete(k.streams, o.outStream)
	k.mu.Unlock()
	o.cancel()
}

// send copies one subgroup from the log to the subscriber. After a gap that
// nobody can fill it goes on with a new stream.
func (k *sink) send(o *outCtx, c *cache.Cursor) {
	for {
		again, err := k.sendRun(o, c)
		if err != nil && !errors.Is(err, context.Canceled) {
			k.p.log.Debug("subgroup not sent", "track", k.t.name, "group", o.group, "err", err)
		}
		if !again {
			return
		}
	}
}

func (k *sink) sendRun(o *outCtx, c *cache.Cursor) (again bool, err error) {
	w, err := k.w.OpenSubgroup(o.ctx, c.Header())
	if err != nil {
		return false, err
	}
	defer context.AfterFunc(o.ctx, func() { w.Cancel(moqt.StreamTooFarBehind) })()
	var timing sync.WaitGroup
	defer timing.Wait()
	ctx, cancel := context.WithCancel(o.ctx)
	defer cancel()
	complete := func() {
		if at, ok := c.Complete(ctx); ok {
			w.Complete(at)
		}
	}
	timed := false
	for {
		if _, limit := w.Timeouts(); limit > 0 && !timed {
			timed = true
			timing.Go(complete)
		}
		obj, there := c.TryNext()
		var err error
		if !there {
			o.since.Store(0)
			obj, err = c.Next(o.ctx)
		}
		switch {
		case err == io.EOF:
			complete() // long ago, perhaps
			return false, w.Close()
		case errors.Is(err, cache.ErrGap):
			w.Break(moqt.StreamCancelled)
			return true, nil
		case errors.Is(err, cache.ErrReset): // what there is of the subgroup is owed
			w.Break(moqt.StreamCancelled)
			return false, err
		case err != nil:
			w.Cancel(moqt.StreamCancelled)
			return false, err
		}
		o.since.CompareAndSwap(0, time.Now().UnixNano())
		if err := k.write(o.ctx, w, obj); err != nil {
			w.Cancel(moqt.StreamCancelled)
			return false, err
		}
	}
}

// write sends one object, while it arrives if it has not.
func (k *sink) write(ctx context.Context, w *transport.SubgroupWriter, obj *cache.Object) error {
	k.t.r.m.egress.Add(float64(obj.Size))
	meta := obj.Meta
	if payload, whole := obj.Payload(); whole {
		meta.Payload = payload
		return w.WriteObject(meta)
	}
	out, err := w.StartObject(meta, obj.Size)
	if err != nil {
		return err
	}
	for off := int64(0); off < obj.Size; {
		p, _, err := obj.Bytes(ctx, off)
		if err != nil {
			return err
		}
		if _, err := out.Write(p); err != nil {
			return err
		}
		off += int64(len(p))
	}
	return nil
}

// sendDatagrams sends the objects that came as datagrams.
func (k *sink) sendDatagrams(ctx context.Context, rd *cache.Reader) {
	for {
		obj, err := rd.NextDatagram(ctx)
		if err != nil {
			return
		}
		o := obj.Meta
		o.Payload, _ = obj.Payload()
		if err := k.w.SendDatagram(o); err != nil {
			k.p.log.Debug("datagram not sent", "track", k.t.name, "err", err)
		}
	}
}
