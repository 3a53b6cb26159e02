package interop

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// source publishes one track on one session: whoever subscribes gets what is
// published from then on, whoever fetches what was published before.
type source struct {
	t          *trial
	sess       *transport.Session
	name       moqt.TrackName
	subscribed chan *transport.TrackWriter // a token for each, of the first few

	mu      sync.Mutex // guards what follows
	objects []moqt.Object
	writers []*transport.TrackWriter
	open    map[stream]*transport.SubgroupWriter
}

// stream is one subgroup on its way to one subscription.
type stream struct {
	to              *transport.TrackWriter
	group, subgroup uint64
}

// newSource serves what the relay asks for on sess until that is closed. The
// objects are those that were published before.
func (t *trial) newSource(sess *transport.Session, name moqt.TrackName, before ...moqt.Object) *source {
	s := &source{t: t, sess: sess, name: name, objects: before,
		subscribed: make(chan *transport.TrackWriter, 8), open: make(map[stream]*transport.SubgroupWriter)}
	t.wg.Go(s.serve)
	return s
}

// announce opens a session, serves the track on it and announces its namespace.
func (t *trial) announce(role string, name moqt.TrackName, before ...moqt.Object) (*source, error) {
	sess, err := t.dial(role)
	if err != nil {
		return nil, err
	}
	s := t.newSource(sess, name, before...)
	if _, err := sess.Announce(t.ctx, name.Namespace); err != nil {
		return nil, failed("REQUEST_OK to PUBLISH_NAMESPACE", err)
	}
	return s, nil
}

func (s *source) serve() {
	for {
		req, err := s.sess.Accept(context.Background()) // ends with the session
		if err != nil {
			return
		}
		s.answer(req)
	}
}

func (s *source) answer(req transport.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch req := req.(type) {
	case *transport.SubscribeRequest:
		if req.Track != s.name {
			req.Reject(moqt.RequestDoesNotExist, "this publisher has the track "+s.name.String())
			return
		}
		if w, err := req.Accept(&transport.PublishOptions{Largest: s.largestLocked}); err == nil {
			s.addLocked(w)
		}
	case *transport.FetchRequest:
		s.serveFetchLocked(req)
	case *transport.StatusRequest:
		l, some := s.largestLocked()
		req.Accept(transport.TrackInfo{Largest: l, HasLargest: some})
	default:
		req.Reject(moqt.RequestNotSupported, "this publisher serves SUBSCRIBE, FETCH and TRACK_STATUS")
	}
}

func (s *source) addLocked(w *transport.TrackWriter) {
	s.writers = append(s.writers, w)
	select {
	case s.subscribed <- w:
	default:
	}
}

func (s *source) largestLocked() (l moqt.Location, some bool) {
	for _, o := range s.objects {
		if l.Less(o.Location) {
			l = o.Location
		}
	}
	return l, len(s.objects) > 0
}

func (s *source) serveFetchLocked(req *transport.FetchRequest) {
	largest, some := s.largestLocked()
	if req.Track != s.name || !some || largest.Less(req.Range.Start) {
		req.Reject(moqt.RequestInvalidRange, "nothing is published there")
		return
	}
	end := req.Range.End
	if largest.Less(end) {
		end = largest
	}
	w, err := req.Accept(transport.FetchInfo{End: end})
	if err != nil {
		return
	}
	objects := slices.Clone(s.objects)
	slices.SortFunc(objects, func(a, b moqt.Object) int {
		if req.Order == moqt.Descending && a.Group != b.Group {
			return b.Location.Compare(a.Location)
		}
		return a.Location.Compare(b.Location)
	})
	for _, o := range objects {
		if o.Less(req.Range.Start) || end.Less(o.Location) {
			continue
		}
		if w.WriteObject(o) != nil {
			return
		}
	}
	w.Close()
}

// awaitSubscription waits until the relay has subscribed and wants objects.
func (s *source) awaitSubscription() error {
	const expected = "SUBSCRIBE of the relay to the publisher"
	select {
	case w := <-s.subscribed:
		return s.awaitForward(w)
	case <-s.sess.Context().Done():
		return failed(expected, context.Cause(s.sess.Context()))
	case <-s.t.ctx.Done():
		return failed(expected, s.t.ctx.Err())
	}
}

// awaitForward waits until a subscription has FORWARD 1.
func (s *source) awaitForward(w *transport.TrackWriter) error {
	const expected = "FORWARD 1 of the relay to the publisher"
	for !w.State().Forward {
		select {
		case <-w.Changed():
		case <-w.Context().Done():
			return failed(expected, context.Cause(w.Context()))
		case <-s.t.ctx.Done():
			return failed(expected, s.t.ctx.Err())
		}
	}
	return nil
}

// write publishes objects. Their groups go on until end.
func (s *source) write(objects ...moqt.Object) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range objects {
		first := !slices.ContainsFunc(s.objects, func(b moqt.Object) bool { return b.Group == o.Group && b.Subgroup == o.Subgroup })
		s.objects = append(s.objects, o)
		for _, w := range s.writers {
			if w.Context().Err() != nil {
				continue // the relay has left it
			}
			if err := s.sendLocked(w, o, first); err != nil && w.Context().Err() == nil {
				return failed(fmt.Sprintf("the relay to take object %v", o.Location), err)
			}
		}
	}
	return nil
}

func (s *source) sendLocked(w *transport.TrackWriter, o moqt.Object, first bool) error {
	if o.Datagram {
		return w.SendDatagram(o)
	}
	at := stream{w, o.Group, o.Subgroup}
	sub := s.open[at]
	if sub == nil {
		var err error
		sub, err = w.OpenSubgroup(s.t.ctx, moqt.Subgroup{Group: o.Group, ID: o.Subgroup, Priority: o.Priority, First: first})
		if err != nil {
			return err
		}
		sub.WithProperties()
		s.open[at] = sub
	}
	return sub.WriteObject(o)
}

// end ends the subgroups of a group.
func (s *source) end(group uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, sub := range s.open {
		if at.group == group {
			sub.Close()
			delete(s.open, at)
		}
	}
}

// group publishes whole groups, in order.
func (s *source) group(ids ...uint64) error {
	for _, id := range ids {
		if err := s.write(group(id)...); err != nil {
			return err
		}
		s.end(id)
	}
	return nil
}

// done ends the track.
func (s *source) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.writers {
		w.Close()
	}
}

// perGroup is how many objects the groups of the cases have.
const perGroup = 4

// group returns the objects of one group: two subgroups of different priority,
// and properties that nobody but the publisher knows. They are a function of
// their location, so that two publishers have the same.
func group(id uint64) []moqt.Object {
	objects := make([]moqt.Object, perGroup)
	for i := range objects {
		objects[i] = object(id, uint64(i))
	}
	return objects
}

func object(group, id uint64) moqt.Object {
	o := moqt.Object{
		Location: moqt.Location{Group: group, Object: id},
		Subgroup: id % 2, Priority: moqt.DefaultPriority,
		Payload: fmt.Appendf(nil, "object %d of group %d", id, group),
	}
	if o.Subgroup == 1 {
		o.Priority++
		o.Properties = moqt.Properties{{Type: propEven, Value: id}, {Type: propOdd, Bytes: fmt.Appendf(nil, "%d/%d", group, id)}}
	}
	return o
}

// Types of properties that belong to the application in every draft.
const (
	propEven = 0x3802
	propOdd  = 0x3803
)
