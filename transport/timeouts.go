package transport

import (
	"slices"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// timeouts are the two delivery timeouts of a subscription, or what one side of
// it says of them; 0 is none. The object's bounds the age at which an object is
// handed to the transport; the subgroup's how long after the subgroup is
// complete the transport may take to deliver it.
// ("Delivery Timeouts and Data Reliability")
type timeouts struct{ object, subgroup time.Duration }

// with returns the timeouts that hold if the other side of the subscription
// says o.
func (t timeouts) with(o timeouts) timeouts {
	return timeouts{shorter(t.object, o.object), shorter(t.subgroup, o.subgroup)}
}

// shorter returns the smaller of two timeouts, of which 0 is none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// override returns t with what props, those of a track or of the first object of
// a subgroup, say instead. A 0 there takes a timeout away.
func (t timeouts) override(p *wire.Profile, props moqt.Properties) timeouts {
	if v, ok := property(p, props, moqt.PropObjectDeliveryTimeout); ok {
		t.object = millis(v)
	}
	if v, ok := property(p, props, moqt.PropSubgroupDeliveryTimeout); ok && p.SubgroupTimeout() {
		t.subgroup = millis(v)
	}
	return t
}

// apply takes over what a subscriber's message says.
func (t *timeouts) apply(p *wire.Params) {
	if p.ObjectTimeout.Set {
		t.object = p.ObjectTimeout.Value
	}
	if p.SubgroupTimeout.Set {
		t.subgroup = p.SubgroupTimeout.Value
	}
}

// doneWaitLocked returns how long streams may be late after PUBLISH_DONE: at
// least as long as the publisher may still send them, within reason.
func (t *TrackReader) doneWaitLocked() time.Duration {
	limits := &t.s.cfg.Limits
	e := t.asked.with(timeouts{}.override(t.s.profile, t.props))
	return max(limits.DoneWait, min(max(e.object, e.subgroup), limits.StallTimeout))
}

// property returns the value of a property of an even type, also where it is
// among the immutable ones. ("Immutable Properties")
func property(p *wire.Profile, props moqt.Properties, typ uint64) (uint64, bool) {
	if v, ok := props.Value(typ); ok {
		return v, true
	}
	for i := range props {
		if props[i].Type == moqt.PropImmutable {
			inner, err := p.ParseProperties(props[i].Bytes)
			if err != nil {
				return 0, false
			}
			return inner.Value(typ)
		}
	}
	return 0, false
}

// millis is n milliseconds, or as long as a timeout is in practice.
func millis(n uint64) time.Duration {
	return time.Duration(min(n, uint64(longest/time.Millisecond))) * time.Millisecond
}

// published returns the track's timeouts as its publisher gives them.
func (t *TrackWriter) published() timeouts {
	return timeouts{}.override(t.s.profile, t.opts.Properties)
}

// effective returns the timeouts that hold now, where the publisher says pub.
func (t *TrackWriter) effective(pub timeouts) timeouts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return pub.with(timeouts{t.state.ObjectTimeout, t.state.SubgroupTimeout})
}

// lateDatagram reports whether o is too old to be sent as a datagram, for which
// both timeouts mean the same.
func (t *TrackWriter) lateDatagram(o *moqt.Object) bool {
	if o.Received.IsZero() {
		return false
	}
	e := t.effective(t.published())
	limit := shorter(e.object, e.subgroup)
	return limit != 0 && time.Since(o.Received) > limit
}

// errTimedOut is how a subgroup ends that has exceeded a delivery timeout.
var errTimedOut = &StreamError{Code: moqt.StreamDeliveryTimeout}

// timedOut are the last subgroups of a track that have exceeded a timeout: no
// stream is opened for them any more.
type timedOut struct {
	ring []subgroupID // at most maxTimedOut
	n    int
}

const maxTimedOut = 32

type subgroupID struct{ group, id uint64 }

func (d *timedOut) add(s subgroupID) {
	if len(d.ring) < maxTimedOut {
		d.ring = append(d.ring, s)
	} else {
		d.ring[d.n%maxTimedOut] = s
	}
	d.n++
}

func (d *timedOut) has(s subgroupID) bool {
	return slices.Contains(d.ring, s)
}

// deadline returns until when o may be handed to the transport, or zero.
func (w *SubgroupWriter) deadline(o *moqt.Object) time.Time {
	limit := w.t.effective(w.pub).object
	if limit == 0 {
		return time.Time{}
	}
	from := o.Received
	if from.IsZero() {
		from = time.Now()
	}
	return from.Add(min(limit, longest))
}

// longest is as long as a timeout is in practice: clocks cannot add what a peer
// may say.
const longest = 365 * 24 * time.Hour

// Timeouts returns the delivery timeouts that hold for the subgroup at the
// moment, 0 for none. Those that the publisher gives with the first object are
// known when that has been written.
func (w *SubgroupWriter) Timeouts() (object, subgroup time.Duration) {
	w.t.mu.Lock()
	pub := w.pub
	w.t.mu.Unlock()
	e := w.t.effective(pub)
	return e.object, e.subgroup
}

// Complete says that all objects of the subgroup exist since at, whether they
// have been written yet or not: the subgroup delivery timeout counts from then.
// Close implies it. It may be called concurrently with the other methods, and
// only the first call counts.
func (w *SubgroupWriter) Complete(at time.Time) {
	_, limit := w.Timeouts()
	w.t.mu.Lock()
	defer w.t.mu.Unlock()
	if limit == 0 || w.late != nil || w.end != nil {
		return
	}
	w.late = time.AfterFunc(time.Until(at.Add(min(limit, longest))), w.expire)
	w.t.s.unacked.add(w.late)
}

// expire ends the subgroup because of a delivery timeout. If all of it was
// written before, what has not arrived by now is not sent again; QUIC does not
// tell whether that is anything.
func (w *SubgroupWriter) expire() {
	t := w.t
	t.mu.Lock()
	st, closed := w.st, w.end == ErrClosed
	over := w.end != nil && !closed
	t.mu.Unlock()
	switch {
	case over:
	case closed:
		if st != nil {
			w.reset(st, moqt.StreamDeliveryTimeout)
		}
	default:
		if st, ok := w.finish(errTimedOut); ok && st != nil {
			w.reset(st, moqt.StreamDeliveryTimeout)
		}
	}
}

// unacked bounds what subgroups that were written whole hold on to until their
// timeout: of a session only the newest are watched.
type unacked struct {
	mu    sync.Mutex // guards what follows
	ring  []*time.Timer
	next  int
	ended bool
}

const maxUnacked = 128

// add takes note of a timer, and stops the oldest if there are too many.
func (u *unacked) add(t *time.Timer) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.ended:
		t.Stop()
	case len(u.ring) < maxUnacked:
		u.ring = append(u.ring, t)
	default:
		u.ring[u.next].Stop()
		u.ring[u.next] = t
		u.next = (u.next + 1) % maxUnacked
	}
}

// stop ends all timers, with the session.
func (u *unacked) stop() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
	for _, t := range u.ring {
		t.Stop()
	}
	u.ring = nil
}
