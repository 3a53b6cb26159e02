package relay

import (
	"context"
	"io"
	"time"

	"github.com/tributary-live/tributary/relay/cache"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// maxFill is the longest that a fetch waits for objects of a publisher.
const maxFill = 10 * time.Second

// serveFetch answers a FETCH from the cache, or from a publisher where the
// cache does not have the whole range.
func (p *peer) serveFetch(ctx context.Context, req *transport.FetchRequest) {
	t, err := p.r.hold(req.Track)
	if err != nil {
		refuse(req, err)
		return
	}
	defer t.release()
	if err := t.await(req.Context(), 0, p.node != ""); err != nil {
		refuse(req, err)
		return
	}
	largest, any := t.largest()
	if !any || largest.Less(req.Range.Start) {
		req.RejectRetry(moqt.RequestInvalidRange, "nothing is published in the range yet", 0)
		return
	}
	end := req.Range.End
	if largest.Less(end) {
		end = largest
	}
	fill := maxFill
	if req.FillTimeout != nil {
		fill = min(fill, *req.FillTimeout)
	}
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	if fill > 0 && !t.awaitFill(ctx, req.Range.Start, end, fill) && p.passThrough(ctx, t, req, end) {
		return
	}
	p.r.m.fetches.Inc()
	w, err := req.Accept(transport.FetchInfo{End: end, Properties: t.properties()})
	if err != nil {
		return
	}
	if err := t.writeRange(ctx, w, req.Range.Start, end, req.Order); err != nil {
		w.Cancel(moqt.StreamInternalError)
		p.log.Debug("fetch not served", "track", t.name, "err", err)
		return
	}
	w.Close()
}

// holds reports whether the cache has all that there is from start to end.
func (t *track) holds(start, end moqt.Location) bool {
	largest, any := t.log.Largest()
	return any && !largest.Less(end) && len(t.log.Gaps(start, end)) == 0
}

// awaitFill reports whether the cache has the range. It waits while the head of
// the newest group is on its way from a publisher, which is the usual case: the
// first subscriber of a track joins it.
func (t *track) awaitFill(ctx context.Context, start, end moqt.Location, fill time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, min(fill, fillTimeout))
	defer cancel()
	for {
		t.mu.Lock()
		filling, changed := t.filling, t.changed
		t.mu.Unlock()
		if t.holds(start, end) {
			return true
		}
		if filling == 0 {
			return false
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// passThrough answers the fetch with a publisher's answer, object by object. It
// reports false if no publisher serves it; nothing has been sent then.
func (p *peer) passThrough(ctx context.Context, t *track, req *transport.FetchRequest, end moqt.Location) bool {
	order := transport.FetchOptions{Order: req.Order, FillTimeout: req.FillTimeout}
	for _, s := range t.others(nil) {
		if s.p == p || !s.trusted.Load() {
			continue
		}
		fctx, cancel := context.WithTimeout(ctx, maxFill)
		f, err := s.p.sess.Fetch(fctx, t.name, transport.Range{Start: req.Range.Start, End: end}, &order)
		cancel()
		if err != nil {
			p.log.Debug("publisher does not serve the fetch", "track", t.name, "err", err)
			continue
		}
		p.r.m.via.Inc()
		defer f.Close()
		last, endOfTrack := f.End()
		w, err := req.Accept(transport.FetchInfo{End: last, EndOfTrack: endOfTrack, Properties: f.Properties()})
		if err != nil {
			return true
		}
		gaps := 0
		for {
			rctx, cancel := context.WithTimeout(ctx, maxFill)
			o, err := f.ReadObject(rctx)
			cancel()
			for _, g := range f.Gaps()[gaps:] {
				gaps++
				if g.Unknown && w.WriteUnknown(g.End) != nil {
					return true
				}
			}
			if err == io.EOF {
				w.Close()
				return true
			}
			if err != nil || w.WriteObject(o) != nil {
				w.Cancel(moqt.StreamUnknownObjectStatus)
				return true
			}
		}
	}
	return false
}

// writeRange sends what the cache has of a range. What it does not know is told
// as unknown.
func (t *track) writeRange(ctx context.Context, w *transport.FetchWriter, start, end moqt.Location, order moqt.GroupOrder) error {
	r := t.log.Range(start, end, order)
	last := start
	for {
		step, ok := r.Next()
		if !ok {
			break
		}
		if step.Gap != nil {
			last = step.Gap.To
			if err := w.WriteUnknown(last); err != nil {
				return err
			}
			continue
		}
		o := step.Object.Meta
		last = o.Location
		if o.Status != moqt.StatusNormal {
			continue // a fetch tells what does not exist by leaving it out
		}
		payload, err := whole(ctx, step.Object)
		if err != nil {
			return err
		}
		o.Payload = payload
		if err := w.WriteObject(o); err != nil {
			return err
		}
	}
	if order != moqt.Descending && last.Less(end) && !t.holds(last, end) {
		return w.WriteUnknown(end)
	}
	return nil
}

// whole waits for all of an object's payload.
func whole(ctx context.Context, o *cache.Object) ([]byte, error) {
	for off := int64(0); off < o.Size; {
		p, _, err := o.Bytes(ctx, off)
		if err != nil {
			return nil, err
		}
		off += int64(len(p))
	}
	p, _ := o.Payload()
	return p, nil
}

// serveStatus answers TRACK_STATUS as a SUBSCRIBE would be.
func (p *peer) serveStatus(ctx context.Context, req *transport.StatusRequest) {
	t, err := p.r.hold(req.Track)
	if err != nil {
		refuse(req, err)
		return
	}
	defer t.release()
	if err := t.await(req.Context(), 0, p.node != ""); err != nil {
		refuse(req, err)
		return
	}
	l, ok := t.largest()
	req.Accept(transport.TrackInfo{Largest: l, HasLargest: ok, Properties: t.properties()})
}
