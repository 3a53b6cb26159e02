package dir

import (
	"errors"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// serveSubscribe sends the newest group, and those that come, as far as the
// subscriber's filter lets them pass. It returns when the subscription ends.
func (l *listing) serveSubscribe(req *transport.SubscribeRequest) {
	g, _ := l.current() // before Largest is told, so that nothing is between the two
	track, err := req.Accept(&transport.PublishOptions{Largest: l.largest})
	if err != nil {
		return
	}
	defer track.Close()
	for g != nil {
		if track.State().End.Less(moqt.Location{Group: g.id}) {
			track.CloseWithError(moqt.DoneSubscriptionEnded, "the range asked for is over")
			return
		}
		g = l.sendGroup(track, g)
	}
}

// sendGroup sends g, as it grows, until another group follows it, and returns
// that, or nil if the subscription has ended. Who is slow misses whole groups.
func (l *listing) sendGroup(track *transport.TrackWriter, g *group) *group {
	ctx := track.Context()
	w, err := track.OpenGroup(ctx, g.id)
	if err != nil {
		return nil
	}
	sent := 0
	for {
		objects, newest, changed := l.look(g)
		stalled := time.AfterFunc(l.d.cfg.StallTimeout, func() {
			track.CloseWithError(moqt.DoneTooFarBehind, "the subscriber takes the listing too slowly")
		})
		for ; sent < len(objects); sent++ {
			w = writeObject(track, w, moqt.Location{Group: g.id, Object: uint64(sent)}, objects[sent])
		}
		stalled.Stop()
		if newest != g {
			w.Close()
			return newest
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// writeObject writes an object to w. If w was reset because the subscriber
// wanted no objects for a while, it does so on a new stream, which it returns.
// Other errors are not told: a subscriber may stop a stream, and get the next
// group.
func writeObject(track *transport.TrackWriter, w *transport.SubgroupWriter, l moqt.Location, payload []byte) *transport.SubgroupWriter {
	o := moqt.Object{Location: l, Payload: payload}
	err := w.WriteObject(o)
	var reset *transport.StreamError
	if !errors.As(err, &reset) || reset.Remote {
		return w
	}
	again, err := track.OpenSubgroup(track.Context(), moqt.Subgroup{Group: l.Group, DefaultPriority: true, First: l.Object == 0, EndOfGroup: true})
	if err != nil {
		return w
	}
	again.WriteObject(o)
	return again
}

// farthest is the object at the end of a group that is not held any more; peers
// may not read a larger number.
const farthest = 1<<62 - 1

// serveFetch sends what the range has of the newest group. Older groups are
// told as unknown.
func (l *listing) serveFetch(req *transport.FetchRequest) {
	g, objects := l.current()
	first, last := moqt.Location{Group: g.id}, moqt.Location{Group: g.id, Object: uint64(len(objects) - 1)}
	r := req.Range
	switch {
	case last.Less(r.Start):
		req.Reject(moqt.RequestInvalidRange, "nothing is there yet")
		return
	case r.End.Less(first):
		req.Reject(moqt.RequestInvalidRange, "only the newest group is kept, "+first.String()+" to "+last.String())
		return
	}
	if last.Less(r.End) {
		r.End = last
	}
	w, err := req.Accept(transport.FetchInfo{End: r.End})
	if err != nil {
		return
	}
	stalled := time.AfterFunc(l.d.cfg.StallTimeout, func() { w.Cancel(moqt.StreamTooFarBehind) })
	defer stalled.Stop()
	older := r.Start.Group < g.id
	if older && req.Order == moqt.Ascending {
		if w.WriteUnknown(moqt.Location{Group: g.id - 1, Object: farthest}) != nil {
			return
		}
	}
	for i, payload := range objects {
		at := moqt.Location{Group: g.id, Object: uint64(i)}
		if at.Less(r.Start) || r.End.Less(at) {
			continue
		}
		if w.WriteObject(moqt.Object{Location: at, Priority: moqt.DefaultPriority, Payload: payload}) != nil {
			return
		}
	}
	if older && req.Order == moqt.Descending {
		if w.WriteUnknown(moqt.Location{Group: r.Start.Group, Object: farthest}) != nil {
			return
		}
	}
	w.Close()
}

// serveStatus tells where the listing is.
func (l *listing) serveStatus(req *transport.StatusRequest) {
	largest, ok := l.largest()
	req.Accept(transport.TrackInfo{Largest: largest, HasLargest: ok})
}
