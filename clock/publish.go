package clock

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Publish announces the clock to the peer and answers what it asks about it,
// until ctx or the session ends, or the peer takes the announcement back or wants
// the session moved ([transport.ErrGoaway]). It returns why. It takes every
// request out of sess.Accept, so nobody else may use that.
func Publish(ctx context.Context, sess *transport.Session, c Config) error {
	name := c.name()
	announced, err := sess.Announce(ctx, name.Namespace)
	if err != nil {
		return fmt.Errorf("announce %s: %w", name.Namespace.Slashed(), err)
	}
	defer announced.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(announced.Context(), func() { cancel(context.Cause(announced.Context())) })()
	wg.Go(func() {
		select {
		case <-sess.GoawayReceived():
			cancel(transport.ErrGoaway)
		case <-ctx.Done():
		}
	})
	for {
		req, err := sess.Accept(ctx)
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return err
		}
		wg.Go(func() { answer(ctx, req, name) })
	}
}

// answer serves one request until it is over.
func answer(ctx context.Context, req transport.Request, name moqt.TrackName) {
	switch req := req.(type) {
	case *transport.SubscribeRequest:
		if req.Track == name {
			tick(ctx, req)
			return
		}
	case *transport.FetchRequest:
		if req.Track == name {
			recall(ctx, req)
			return
		}
	case *transport.StatusRequest:
		if req.Track == name {
			req.Accept(transport.TrackInfo{Largest: At(time.Now()), HasLargest: true})
			return
		}
	default:
		req.Reject(moqt.RequestNotSupported, "a clock has one track to subscribe to, and no more")
		return
	}
	req.Reject(moqt.RequestDoesNotExist, "the only track here is "+name.String())
}

// tick sends the clock to one subscriber. It writes the running minute from its
// start and leaves it to the TrackWriter to drop what the subscriber's filter
// does not let pass, which for most is all that is past.
func tick(ctx context.Context, req *transport.SubscribeRequest) {
	l := moqt.Location{Group: At(time.Now()).Group}
	track, err := req.Accept(&transport.PublishOptions{
		Largest: func() (moqt.Location, bool) { return At(time.Now()), true },
	})
	if err != nil {
		return
	}
	defer track.Close()
	defer context.AfterFunc(ctx, func() { leave(track, context.Cause(ctx)) })()
	var minute *transport.SubgroupWriter
	for ; ; l = after(l) {
		if now := At(time.Now()); now.Group > l.Group+1 { // the machine's clock was set, or it slept
			l = moqt.Location{Group: now.Group}
			if minute != nil {
				minute.Cancel(moqt.StreamTooFarBehind)
			}
		}
		select {
		case <-time.After(time.Until(Time(l))):
		case <-track.Context().Done():
			return
		}
		if minute == nil || l.Object == 0 {
			minute, err = track.OpenSubgroup(ctx, moqt.Subgroup{Group: l.Group, DefaultPriority: true, First: l.Object == 0, EndOfGroup: true})
			if err != nil {
				return
			}
		}
		if err := minute.WriteObject(object(l)); paused(err) {
			minute = nil
		} else if after(l).Object == 0 {
			minute.Close()
		}
	}
}

// leave ends a subscription, whose track goes on elsewhere if the peer asked for
// that.
func leave(track *transport.TrackWriter, why error) {
	code := moqt.DoneTrackEnded
	if why == transport.ErrGoaway {
		code = moqt.DoneGoingAway
	}
	track.CloseWithError(code, "")
}

// paused reports whether a stream was reset at this end, which is what happens
// while the subscriber wants no objects. One that the subscriber stopped stays
// so until the next minute.
func paused(err error) bool {
	var reset *transport.StreamError
	return errors.As(err, &reset) && !reset.Remote
}

// memory is how far back in the past a fetch may reach.
const memory = time.Hour

// recall sends seconds of the past.
func recall(ctx context.Context, req *transport.FetchRequest) {
	now, r := At(time.Now()), req.Range
	oldest := At(time.Now().Add(-memory)).Group
	if now.Less(r.Start) || r.Start.Group < oldest {
		req.Reject(moqt.RequestInvalidRange, fmt.Sprintf("the clock tells the last hour, from %d/0 to %v", oldest, now))
		return
	}
	if now.Less(r.End) {
		r.End = now
	}
	w, err := req.Accept(transport.FetchInfo{End: r.End})
	if err != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { w.Cancel(moqt.StreamCancelled) })()
	for _, l := range seconds(r, req.Order) {
		if err := w.WriteObject(object(l)); err != nil {
			return
		}
	}
	w.Close()
}

// seconds returns the locations of r, with the groups in the order asked for.
func seconds(r transport.Range, order moqt.GroupOrder) []moqt.Location {
	var all []moqt.Location
	for i := range r.End.Group - r.Start.Group + 1 {
		l := moqt.Location{Group: r.Start.Group + i}
		if order == moqt.Descending {
			l.Group = r.End.Group - i
		}
		for ; l.Object < perMinute; l.Object++ {
			if !l.Less(r.Start) && !r.End.Less(l) {
				all = append(all, l)
			}
		}
	}
	return all
}
