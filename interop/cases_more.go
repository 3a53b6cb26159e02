package interop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Cases beyond those of the runner: what media needs of a relay.

// rendezvous has a SUBSCRIBE wait for its publisher.
func rendezvous(t *trial) error {
	sess, err := t.dial(roleSubscriber)
	if err != nil {
		return err
	}
	asked := inBackground(t, func() (*transport.TrackReader, error) {
		return sess.Subscribe(t.ctx, t.track(), &transport.SubscribeOptions{Rendezvous: 2 * time.Second})
	})
	src, err := t.announce(rolePublisher, t.track())
	if err != nil {
		return err
	}
	a := <-asked // which ends with t.ctx
	if a.err != nil {
		return failed("SUBSCRIBE_OK once the publisher is there", a.err)
	}
	return t.deliver(src, t.read(a.value), 0)
}

// deliver publishes groups and waits until they have come.
func (t *trial) deliver(src *source, f *feed, ids ...uint64) error {
	if err := src.awaitSubscription(); err != nil {
		return err
	}
	return t.deliverMore(src, f, ids...)
}

func (t *trial) deliverMore(src *source, f *feed, ids ...uint64) error {
	if err := src.group(ids...); err != nil {
		return err
	}
	var wanted []moqt.Object
	for _, id := range ids {
		wanted = append(wanted, group(id)...)
	}
	return f.want(wanted...)
}

// subscribe opens the session of a subscriber and subscribes to the trial's track
// on it.
func (t *trial) subscribe(role string, o *transport.SubscribeOptions) (*transport.TrackReader, error) {
	sess, err := t.dial(role)
	if err != nil {
		return nil, err
	}
	r, err := sess.Subscribe(t.ctx, t.track(), o)
	if err != nil {
		return nil, failed("SUBSCRIBE_OK", err)
	}
	return r, nil
}

// live announces a track and subscribes to it.
func (t *trial) live() (*source, *transport.TrackReader, error) {
	src, err := t.announce(rolePublisher, t.track())
	if err != nil {
		return nil, nil, err
	}
	r, err := t.subscribe(roleSubscriber, nil)
	return src, r, err
}

// groups brings three groups with two subgroups, properties and priorities.
func groups(t *trial) error {
	src, r, err := t.live()
	if err != nil {
		return err
	}
	return t.deliver(src, t.read(r), 0, 1, 2)
}

// datagram publishes objects as datagrams until one has come: they may be lost.
func datagram(t *trial) error {
	src, r, err := t.live()
	if err != nil {
		return err
	}
	if err := src.awaitSubscription(); err != nil {
		return err
	}
	gram := func(id uint64) moqt.Object {
		o := object(id, 0)
		o.Datagram = true
		return o
	}
	came := inBackground(t, func() (moqt.Object, error) { return r.ReceiveDatagram(t.ctx) })
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for id := uint64(0); ; id++ {
		if err := src.write(gram(id)); err != nil {
			return err
		}
		select {
		case a := <-came:
			if a.err != nil {
				return failed("a datagram", a.err)
			}
			if want := describe(gram(a.value.Group)); a.value.Group > id || describe(a.value) != want {
				return got(want, "%s", describe(a.value))
			}
			return nil
		case <-tick.C:
		}
	}
}

// publish offers a track by PUBLISH, without a namespace.
func publish(t *trial) error {
	src, err := t.offer()
	if err != nil {
		return err
	}
	r, err := t.subscribe(roleSubscriber, nil)
	if err != nil {
		return err
	}
	return t.deliver(src, t.read(r), 0, 1)
}

// offer opens a publisher's session and publishes the track on it by PUBLISH.
func (t *trial) offer() (*source, error) {
	sess, err := t.dial(rolePublisher)
	if err != nil {
		return nil, err
	}
	src := t.newSource(sess, t.track())
	w, err := sess.Publish(t.ctx, t.track(), nil)
	if err != nil {
		return nil, failed("REQUEST_OK to PUBLISH", err)
	}
	src.mu.Lock()
	src.addLocked(w)
	src.mu.Unlock()
	return src, nil
}

// publishDone ends a track: all of it comes, then PUBLISH_DONE.
func publishDone(t *trial) error {
	src, r, err := t.live()
	if err != nil {
		return err
	}
	f := t.read(r)
	if err := src.awaitSubscription(); err != nil {
		return err
	}
	if err := src.group(0, 1); err != nil {
		return err
	}
	src.done()
	if err := f.want(append(group(0), group(1)...)...); err != nil {
		return err
	}
	return f.wantEnd()
}

// subscribeTracks asks for all tracks under a prefix, of which one is published
// after that.
func subscribeTracks(t *trial) error {
	sess, err := t.dial(roleSubscriber)
	if err != nil {
		return err
	}
	if _, err := sess.SubscribeTracks(t.ctx, t.ns, nil); err != nil {
		return failed("REQUEST_OK to SUBSCRIBE_TRACKS", err)
	}
	src, err := t.offer()
	if err != nil {
		return err
	}
	expected := "PUBLISH of " + t.track().String()
	req, err := sess.Accept(t.ctx)
	if err != nil {
		return failed(expected, err)
	}
	p, ok := req.(*transport.PublishRequest)
	if !ok {
		return got(expected, "%T", req)
	}
	if p.Track != t.track() {
		return got(expected, "PUBLISH of %v", p.Track)
	}
	r, err := p.Accept(nil)
	if err != nil {
		return failed("an answer to PUBLISH to be possible", err)
	}
	return t.deliver(src, t.read(r), 0, 1)
}

// trackStatus asks about a track that is there and one that is not.
func trackStatus(t *trial) error {
	if _, err := t.announce(rolePublisher, t.track(), group(7)...); err != nil {
		return err
	}
	sess, err := t.dial(roleSubscriber)
	if err != nil {
		return err
	}
	want := moqt.Location{Group: 7, Object: perGroup - 1}
	expected := fmt.Sprintf("REQUEST_OK to TRACK_STATUS with LARGEST_OBJECT %v", want)
	info, err := sess.Status(t.ctx, t.track())
	switch {
	case err != nil:
		return failed(expected, err)
	case !info.HasLargest:
		return got(expected, "REQUEST_OK without LARGEST_OBJECT")
	case info.Largest != want:
		return got(expected, "LARGEST_OBJECT %v", info.Largest)
	}
	_, err = sess.Status(t.ctx, nonexistent.Track(trackName))
	return wantRefusal("TRACK_STATUS of a track that nobody has", err)
}

// update changes the forward state of one of two subscriptions: what is
// published while it is 0 comes to the other alone.
func update(t *trial) error {
	src, err := t.announce(rolePublisher, t.track())
	if err != nil {
		return err
	}
	r, err := t.subscribe(roleSubscriber1, &transport.SubscribeOptions{Paused: true})
	if err != nil {
		return err
	}
	forward := func(v bool) error {
		if err := r.Update(t.ctx, transport.SubscribeUpdate{Forward: &v}); err != nil {
			return failed("REQUEST_OK to REQUEST_UPDATE of FORWARD", err)
		}
		return nil
	}
	f := t.read(r)
	if err := forward(true); err != nil {
		return err
	}
	if err := t.deliver(src, f, 0); err != nil {
		return err
	}
	other, err := t.subscribe(roleSubscriber2, nil)
	if err != nil {
		return err
	}
	witness := t.read(other)
	if err := forward(false); err != nil {
		return err
	}
	if err := t.deliverMore(src, witness, 1); err != nil {
		return err
	}
	if err := forward(true); err != nil {
		return err
	}
	if err := t.deliverMore(src, f, 2); err != nil {
		return err
	}
	priority := moqt.Priority(7)
	if err := r.Update(t.ctx, transport.SubscribeUpdate{Priority: &priority}); err != nil {
		return failed("REQUEST_OK to REQUEST_UPDATE of SUBSCRIBER_PRIORITY", err)
	}
	return t.deliverMore(src, f, 3)
}

// fetch asks for parts of the past of a track that nobody has subscribed to.
func fetch(t *trial) error {
	var past []moqt.Object
	for id := range uint64(3) {
		past = append(past, group(id)...)
	}
	if _, err := t.announce(rolePublisher, t.track(), past...); err != nil {
		return err
	}
	sess, err := t.dial(roleSubscriber)
	if err != nil {
		return err
	}
	at := func(g, o uint64) moqt.Location { return moqt.Location{Group: g, Object: o} }
	for _, part := range []struct {
		r     transport.Range
		order moqt.GroupOrder
		want  []moqt.Object
	}{
		{transport.Range{Start: at(0, 1), End: at(1, 2)}, moqt.Ascending, past[1 : perGroup+3]},
		{transport.Range{Start: at(1, 0), End: at(1, moqt.WholeGroup)}, moqt.Ascending, group(1)},
		{transport.Range{Start: at(0, 0), End: at(2, moqt.WholeGroup)}, moqt.Descending, append(append(group(2), group(1)...), group(0)...)},
	} {
		r, err := sess.Fetch(t.ctx, t.track(), part.r, &transport.FetchOptions{Order: part.order})
		if err != nil {
			return failed(fmt.Sprintf("FETCH_OK for %v to %v", part.r.Start, part.r.End), err)
		}
		if err := wantFetched(t.ctx, r, part.want...); err != nil {
			return err
		}
	}
	return nil
}

// join joins a track in the middle of a group, and fetches it from the group
// before: the past and what is live have no gap between them, nor an overlap.
func join(t *trial) error {
	src, err := t.announce(rolePublisher, t.track(), append(group(4), group(5)[:2]...)...)
	if err != nil {
		return err
	}
	sess, err := t.dial(roleSubscriber)
	if err != nil {
		return err
	}
	r, past, err := sess.Join(t.ctx, t.track(), 1, nil)
	if err != nil {
		return failed("SUBSCRIBE_OK", err)
	}
	if past == nil {
		return got("SUBSCRIBE_OK with LARGEST_OBJECT", "SUBSCRIBE_OK without it")
	}
	f := t.read(r)
	if err := wantFetched(t.ctx, past, append(group(4), group(5)[:2]...)...); err != nil {
		return err
	}
	if err := src.awaitSubscription(); err != nil {
		return err
	}
	if err := src.write(group(5)[2:]...); err != nil {
		return err
	}
	src.end(5)
	if err := src.group(6); err != nil {
		return err
	}
	return f.want(append(group(5)[2:], group(6)...)...)
}

// dedup has two publishers send one track: each object comes once, and goes on
// coming when one of them leaves.
func dedup(t *trial) error {
	first, err := t.announce(rolePublisher1, t.track())
	if err != nil {
		return err
	}
	r, err := t.subscribe(roleSubscriber, nil)
	if err != nil {
		return err
	}
	f := t.read(r)
	if err := t.deliver(first, f, 0); err != nil {
		return err
	}
	second, err := t.announce(rolePublisher2, t.track(), group(0)...)
	if err != nil {
		return err
	}
	if err := second.awaitSubscription(); err != nil {
		return err
	}
	for id := uint64(1); id < 4; id++ {
		if err := t.deliverMore(first, f, id); err != nil {
			return err
		}
		if err := second.group(id); err != nil {
			return err
		}
	}
	first.sess.Close()
	return t.deliverMore(second, f, 4, 5)
}

// goaway moves a publisher: it sends GOAWAY, goes on with what it has begun,
// comes back on a new session, and leaves the old one. The subscriber does not
// notice. ("Graceful Publisher Relay Switchover")
func goaway(t *trial) error {
	old, err := t.announce(rolePublisher1, t.track())
	if err != nil {
		return err
	}
	r, err := t.subscribe(roleSubscriber, nil)
	if err != nil {
		return err
	}
	f := t.read(r)
	if err := t.deliver(old, f, 0); err != nil {
		return err
	}
	left := inBackground(t, func() (struct{}, error) { return struct{}{}, old.sess.Goaway(t.ctx, "", 2*time.Second) })
	if err := t.deliverMore(old, f, 1); err != nil {
		return err
	}
	next, err := t.announce(rolePublisher2, t.track(), append(group(0), group(1)...)...)
	if err != nil {
		return err
	}
	if err := next.awaitSubscription(); err != nil {
		return err
	}
	old.sess.Close()
	if err := (<-left).err; err != nil && !errors.Is(err, transport.ErrClosed) && !errors.Is(err, context.Canceled) {
		return failed("GOAWAY to be sent", err)
	}
	return t.deliverMore(next, f, 2, 3)
}
