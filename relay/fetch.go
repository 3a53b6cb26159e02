package relay

import (
	"context"
	"slices"
	"time"

	"github.com/tributary-live/tributary/relay/cache"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// maxFill is how long a fetch waits in all for what the cache lacks.
const maxFill = 10 * time.Second

// serveFetch answers a FETCH from the cache. What that lacks is fetched from a
// publisher, once for all who ask for it.
func (p *peer) serveFetch(ctx context.Context, req *transport.FetchRequest) {
	t, err := p.r.hold(req.Track)
	if err != nil {
		refuse(req, err)
		return
	}
	defer t.release()
	if err := t.await(req.Context(), p, 0); err != nil {
		refuse(req, err)
		return
	}
	largest, any := t.largest()
	if !any || largest.Less(req.Range.Start) {
		req.RejectRetry(moqt.RequestInvalidRange, "nothing is published in the range yet", 0)
		return
	}
	req.Resolve(largest)
	end := req.Range.End
	if largest.Less(end) {
		end = largest
	}
	p.r.m.fetches.Inc()
	final, ended := t.log.Final()
	w, err := req.Accept(transport.FetchInfo{End: end, EndOfTrack: ended && final == end, Properties: t.properties()})
	if err != nil {
		return
	}
	a := answer{ctx: req.Context(), t: t, w: w, local: p.node != "", order: req.Order, left: maxFill}
	if req.FillTimeout != nil {
		a.left = min(a.left, *req.FillTimeout)
	}
	err = a.write(req.Range.Start, end)
	switch {
	case t.isMalformed():
		w.Cancel(moqt.StreamMalformedTrack)
	case err != nil:
		w.Cancel(moqt.StreamInternalError)
		p.log.Debug("fetch not served", "track", t.name, "err", err)
	default:
		w.Close()
	}
}

func (t *track) isMalformed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.over && t.overCode == moqt.DoneMalformedTrack
}

// has reports whether the cache has all that there is from start to end.
func (t *track) has(start, end moqt.Location) bool {
	largest, any := t.log.Largest()
	return any && !largest.Less(end) && len(t.log.Gaps(start, end)) == 0
}

// holds reports whether the cache has all of that and may serve it.
func (t *track) holds(start, end moqt.Location) bool {
	return t.has(start, end) && !t.expiredIn(start, end)
}

// answer is what a fetch is answered with.
type answer struct {
	ctx   context.Context // of the request
	t     *track
	w     *transport.FetchWriter
	local bool // for another relay: only publishers of this one are asked
	order moqt.GroupOrder
	left  time.Duration // that may be spent waiting for publishers
}

// write sends all that there is from start to end. What nobody brings in time
// is told as unknown.
func (a *answer) write(start, end moqt.Location) error {
	if err := a.awaitHead(start, end); err != nil {
		return err
	}
	seen, above := a.split(start, end)
	parts := []func() error{
		func() error {
			return a.walk(start, seen, func(gap *cache.Gap) error { return a.missing(gap.From, gap.To) })
		},
		func() error { return a.missing(above, end) },
	}
	if a.order == moqt.Descending {
		slices.Reverse(parts)
	}
	for _, part := range parts {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// split parts a range where what was seen here ends: a publisher may have told
// of more. Either part may be empty, which is to say that its end is before its
// start.
func (a *answer) split(start, end moqt.Location) (seen, above moqt.Location) {
	l, any := a.t.log.Largest()
	switch {
	case any && !l.Less(end):
		return end, end.Next()
	case any && !l.Less(start):
		return l, l.Next()
	}
	return start.Prev(), start
}

// awaitHead waits while the head of the newest group is on its way from a
// publisher, which is the usual case: the first subscriber of a track joins it.
func (a *answer) awaitHead(start, end moqt.Location) error {
	most := time.NewTimer(min(a.left, fillTimeout))
	defer most.Stop()
	for {
		a.t.mu.Lock()
		filling, changed := a.t.filling, a.t.changed
		a.t.mu.Unlock()
		if filling == 0 || a.left <= 0 || a.t.holds(start, end) {
			return nil
		}
		began := time.Now()
		select {
		case <-changed:
		case <-most.C:
			return nil
		case <-a.ctx.Done():
			return a.ctx.Err()
		}
		a.left -= time.Since(began)
	}
}

// missing answers for a range of which the cache has nothing, by what a
// publisher brings of it.
func (a *answer) missing(from, to moqt.Location) error {
	at := from
	for a.left > 0 && !to.Less(at) {
		f := a.t.board(at, to, a.local)
		if f == nil {
			break
		}
		next, err := a.fly(f, at, to)
		a.t.alight(f)
		if err != nil {
			return err
		}
		if next == at {
			break
		}
		at = next
	}
	if a.order == moqt.Descending {
		at = from
	}
	return a.copy(at, to)
}

// fly waits for what a flight brings from from to to, and returns how far that
// was. Objects are sent as they come; groups in descending order are not, they
// wait until all are there.
func (a *answer) fly(f *flight, from, to moqt.Location) (moqt.Location, error) {
	for at := from; !to.Less(at); {
		began := time.Now()
		wctx, cancel := context.WithTimeout(a.ctx, a.left)
		next, err := f.wait(wctx, at)
		cancel()
		a.left -= time.Since(began)
		switch {
		case a.ctx.Err() != nil:
			return at, a.ctx.Err()
		case err != nil || next == at:
			return at, nil
		}
		if a.order != moqt.Descending {
			upto := next.Prev()
			if to.Less(upto) {
				upto = to
			}
			if err := a.copy(at, upto); err != nil {
				return at, err
			}
		}
		at = next
		from = at
	}
	return from, nil
}

// copy sends what the cache has of a range. The rest is told as unknown.
func (a *answer) copy(from, to moqt.Location) error {
	seen, above := a.split(from, to)
	tail := func() error {
		if to.Less(above) {
			return nil
		}
		return a.unknown(&cache.Gap{From: above, To: to})
	}
	if a.order == moqt.Descending {
		if err := tail(); err != nil {
			return err
		}
		return a.walk(from, seen, a.unknown)
	}
	if err := a.walk(from, seen, a.unknown); err != nil {
		return err
	}
	return tail()
}

// unknown tells of a range that nobody has brought: that the time is up, or what
// publishers said.
func (a *answer) unknown(gap *cache.Gap) error {
	end := gap.To
	if a.order == moqt.Descending && gap.From.Group < gap.To.Group {
		end = moqt.Location{Group: gap.From.Group, Object: moqt.WholeGroup} // the last in that order
	}
	if a.left <= 0 {
		return a.w.WriteTimedOut(end)
	}
	if gap.From.Group < gap.To.Group && a.order == moqt.Descending {
		return a.w.WriteUnknown(end)
	}
	for at := gap.From; ; {
		upto, timedOut := a.t.timedOut(at, end)
		tell := a.w.WriteUnknown
		if timedOut {
			tell = a.w.WriteTimedOut
		}
		if err := tell(upto); err != nil || upto == end {
			return err
		}
		at = upto.Next()
	}
}

// walk sends the objects that the cache has of a range, and calls missing for each
// of its gaps and for what has expired.
func (a *answer) walk(from, to moqt.Location, missing func(*cache.Gap) error) error {
	if to.Less(from) {
		return nil
	}
	r := a.t.log.Range(from, to, a.order)
	for step, ok := r.Next(); ok; {
		var err error
		switch {
		case step.Gap != nil:
			err = missing(step.Gap)
			step, ok = r.Next()
		case a.t.expired(step.Object):
			var gap cache.Gap
			gap, step, ok = a.t.expiredRun(r, step.Object)
			err = missing(&gap)
		default:
			err = a.send(step.Object)
			step, ok = r.Next()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *answer) send(obj *cache.Object) error {
	o := obj.Meta
	if o.Status != moqt.StatusNormal {
		return nil // a fetch tells what does not exist by leaving it out
	}
	payload, err := whole(a.ctx, obj)
	if err != nil {
		return err
	}
	o.Payload = payload
	return a.w.WriteObject(o)
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
	if err := t.await(req.Context(), p, 0); err != nil {
		refuse(req, err)
		return
	}
	l, ok := t.largest()
	req.Accept(transport.TrackInfo{Largest: l, HasLargest: ok, Properties: t.properties()})
}
