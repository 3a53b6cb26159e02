package bond

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
)

// TestWhatLasts sends a catalog and a picture while no path works: the one comes
// however late, and the relay is told not to wait for the other.
func TestWhatLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := netsim.New(t)
		relay := newTestRelay(t, net)
		links := tenTen(net)
		b := startBond(relay, Config{Mode: Hybrid}, links...)
		b.joined(2)
		for _, l := range links {
			l.Blackout(5 * time.Second)
		}
		b.Send(Object{Alias: 1, Group: 1, Payload: []byte("catalog"), Class: Vital, Lasting: true})
		b.Send(Object{Alias: 2, Group: 1, Payload: []byte("picture"), Class: Ordinary})
		b.Send(Object{Alias: 3, Group: 1, Payload: []byte("key frame"), Class: Vital})
		time.Sleep(4 * time.Second)
		delivered := make(chan struct{})
		go func() {
			defer close(delivered)
			b.Delivered(t.Context(), 1)
		}()
		synctest.Wait()
		select {
		case <-delivered:
			t.Error("the catalog is said to have arrived before it could")
		default:
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		select {
		case <-delivered:
		default:
			t.Error("nobody is told that the catalog has arrived")
		}
		relay.mu.Lock()
		defer relay.mu.Unlock()
		for alias, want := range map[uint64]bool{1: true, 2: false, 3: false} {
			o := bond.Object{Alias: alias, Group: 1}
			got := relay.objects[o]
			if whole := got != nil && !got.at.IsZero(); want && !whole || relay.gone[o] == want {
				t.Errorf("the object of track %d has arrived: %v, is given up: %v", alias, whole, relay.gone[o])
			}
		}
	})
}

// TestEndOfWhatIsNotAllSent ends a subgroup of which the rest is not to be sent, one
// of which nothing was, and one that goes on although it has ended.
func TestEndOfWhatIsNotAllSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := netsim.New(t)
		relay := newTestRelay(t, net)
		b := startBond(relay, Config{}, tenTen(net)...)
		b.joined(2)
		b.put(1, 1, 0, 100, Vital)
		b.put(1, 1, 1, 100, Ordinary)
		b.EndSubgroup(1, 1, 0, 2, false)
		b.put(1, 1, 2, 100, Ordinary) // is not sent
		b.EndSubgroup(1, 2, 0, 7, true)
		b.put(1, 3, 4, 100, Vital) // begins in the middle
		b.put(1, 3, 6, 100, Ordinary)
		b.EndSubgroup(1, 3, 0, 9, true)
		time.Sleep(time.Second)
		relay.mu.Lock()
		defer relay.mu.Unlock()
		at := func(group, id uint64) bond.Object { return bond.Object{Alias: 1, Group: group, Object: id} }
		want := map[bond.Object]bond.Header{
			at(1, 0): {}, at(1, 1): {Previous: 1}, at(1, 2): {Previous: 1, End: true},
			at(3, 4): {Previous: 1, Begins: true}, at(3, 6): {Previous: 2}, at(3, 9): {Previous: 3, End: true, Last: true},
		}
		for o, h := range want {
			got := relay.objects[o]
			if got == nil {
				t.Errorf("object %v has not come", o)
			} else if g := got.header; g.Previous != h.Previous || g.Begins != h.Begins || g.End != h.End || g.Last != h.Last {
				t.Errorf("object %v is told as %+v, want %+v", o, g, h)
			}
		}
		if len(relay.objects) != len(want) {
			t.Errorf("%d objects have come, want %d", len(relay.objects), len(want))
		}
		if n := len(b.streams); n != 0 {
			t.Errorf("%d subgroups are remembered", n)
		}
	})
}

// TestPermanentErrorEndsTheBond, with that error; another does not.
func TestPermanentErrorEndsTheBond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := netsim.New(t)
		relay := newTestRelay(t, net)
		taken, passing := errors.New("the name is taken"), errors.New("no matter")
		served := 0
		b := startBond(relay, Config{Serve: func(context.Context, *transport.Session, bool) error {
			if served++; served < 4 {
				return passing
			}
			return &Permanent{taken}
		}}, tenTen(net)[:1]...)
		time.Sleep(time.Minute)
		select {
		case err := <-b.ended:
			if !errors.Is(err, taken) || served != 4 {
				t.Errorf("the bond ended after %d sessions with %v", served, err)
			}
			b.ended <- err
		default:
			t.Error("the bond goes on")
		}
	})
}

// TestLost takes back what was given out: it goes out again, and counts no more as
// on its way.
func TestLost(t *testing.T) {
	s := NewScheduler(Aggregate)
	s.AddMember(1, "a", Primary, epoch)
	s.Observe(1, Figures{RTT: 40 * ms, MinRTT: 40 * ms, Window: 1 << 20})
	o := bond.Object{Alias: 1}
	s.Add(Unit{Object: o, Size: 3000, Class: Vital, Made: epoch, Deadline: epoch.Add(2 * time.Second)}, epoch)
	first, ok := s.Pick(1, epoch)
	if !ok || first.Offset != 0 {
		t.Fatalf("Pick = %+v, %v", first, ok)
	}
	rest, _ := s.Pick(1, epoch)
	s.Lost(1, first.Sequence)
	s.Lost(1, first.Sequence) // once
	again, ok := s.Pick(1, epoch)
	if !ok || again.Offset != 0 || again.Length != first.Length || again.Sequence != rest.Sequence+1 {
		t.Errorf("after %+v was lost comes %+v, %v", first, again, ok)
	}
	if way := s.members[1].inFlight; way != rest.Length+again.Length {
		t.Errorf("%d bytes are on their way, want %d", way, rest.Length+again.Length)
	}
	s.Acked(1, []bond.Range{{First: rest.Sequence, Last: again.Sequence}}, 0, epoch.Add(40*ms))
	if over := s.Over(); len(over) != 1 || over[0] != o || !s.Idle(1) {
		t.Errorf("with all acknowledged these are over: %v", over)
	}
}

// TestRelayHasNoRoom has the relay stop the streams of an object: it is given up at
// once, and the rest comes.
func TestRelayHasNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := netsim.New(t)
		relay := newTestRelay(t, net)
		stopped := bond.Object{Alias: 1, Group: 1, Object: 1}
		relay.stops = map[bond.Object]bool{stopped: true}
		b := startBond(relay, Config{Mode: Aggregate}, tenTen(net)...)
		b.joined(2)
		b.put(1, 1, 0, 20_000, Vital)
		b.put(1, 1, 1, 200_000, Vital)
		b.put(1, 1, 2, 20_000, Vital)
		b.EndSubgroup(1, 1, 0, 3, true)
		time.Sleep(time.Second)
		relay.mu.Lock()
		defer relay.mu.Unlock()
		if !relay.gone[stopped] || relay.objects[stopped] != nil {
			t.Errorf("the object that was stopped is told to be given up: %v, and came all the same: %v", relay.gone[stopped], relay.objects[stopped] != nil)
		}
		for _, id := range []uint64{0, 2, 3} {
			if got := relay.objects[bond.Object{Alias: 1, Group: 1, Object: id}]; got == nil || got.at.IsZero() {
				t.Errorf("object %d has not arrived", id)
			}
		}
		if n := len(relay.joins); n != 2 {
			t.Errorf("there were %d joins: a session has ended", n)
		}
	})
}

// TestNoRoomByOneConnection has the relay take nothing by one of two connections for
// a while: everything comes by the other, in time.
func TestNoRoomByOneConnection(t *testing.T) {
	for _, mode := range []Mode{Hybrid, Aggregate, Redundant, Standby, BestFPS} {
		for member := range uint64(2) {
			synctest.Test(t, func(t *testing.T) {
				net := netsim.New(t)
				relay := newTestRelay(t, net)
				b := startBond(relay, Config{Mode: mode}, tenTen(net)...)
				b.joined(2)
				const objects = 90
				for id := range uint64(objects) {
					relay.mu.Lock()
					relay.full = map[uint64]bool{member: id >= 30 && id < 60}
					relay.mu.Unlock()
					class, size := Ordinary, 15_000
					if id%30 == 0 { // more than is under way when the relay's word comes
						class, size = Vital, 200_000
					}
					b.put(1, 1, id, size, class)
					time.Sleep(33 * time.Millisecond)
				}
				b.EndSubgroup(1, 1, 0, objects, true)
				time.Sleep(time.Second)
				relay.mu.Lock()
				defer relay.mu.Unlock()
				for id := range uint64(objects) {
					o := bond.Object{Alias: 1, Group: 1, Object: id}
					if got := relay.objects[o]; got == nil || got.at.IsZero() {
						t.Errorf("%v without connection %d: object %d has not come, given up: %v", mode, member, id, relay.gone[o])
					} else if took := got.at.Sub(b.made[o]); took > 800*time.Millisecond {
						t.Errorf("%v without connection %d: object %d came after %v", mode, member, id, took)
					}
				}
			})
		}
	}
}

// TestRefused has the relay refuse what comes of an object, by one connection after
// the other.
func TestRefused(t *testing.T) {
	o := bond.Object{Alias: 1}
	for _, mode := range []Mode{Hybrid, Aggregate, Redundant} {
		start := func() *Scheduler {
			s := NewScheduler(mode)
			for id, name := range []string{"a", "b"} {
				s.AddMember(uint64(id), name, Primary, epoch)
				s.Observe(uint64(id), Figures{RTT: 40 * ms, MinRTT: 40 * ms, Window: 1 << 20})
			}
			s.Add(Unit{Object: o, Size: 10_000, Class: Vital, Made: epoch, Deadline: epoch.Add(2 * time.Second)}, epoch)
			for id := range uint64(2) { // both have sent something
				if _, ok := s.Pick(id, epoch); !ok {
					t.Fatalf("%v: connection %d gets nothing", mode, id)
				}
			}
			s.Refused(0, o, epoch)
			s.Refused(0, o, epoch)
			s.Refused(0, bond.Object{Alias: 2}, epoch)
			s.Refused(7, o, epoch)
			return s
		}
		s := start()
		if a, ok := s.Pick(0, epoch.Add(ms)); ok {
			t.Errorf("%v: the connection that is refused gets %+v", mode, a)
		}
		if n := s.members[0].inFlight; n != 0 {
			t.Errorf("%v: %d bytes that were refused count as under way", mode, n)
		}
		var sent spans
		for _, f := range s.members[1].flights {
			sent.add(f.span)
		}
		for {
			a, ok := s.Pick(1, epoch.Add(ms))
			if !ok {
				break
			}
			sent.add(span{a.Offset, a.Length + a.Offset})
		}
		if len(s.Shed()) > 0 || sent.size() != 10_000 {
			t.Errorf("%v: the other connection has sent %v, want all", mode, sent)
		}
		s.Refused(1, o, epoch)
		if shed := s.Shed(); len(shed) != 1 || shed[0].Object != o {
			t.Errorf("%v: refused by both, given up are %v", mode, shed)
		}

		s = start()
		s.RemoveMember(1, epoch.Add(ms))
		if shed := s.Shed(); len(shed) != 1 {
			t.Errorf("%v: the connection is gone that was left, given up are %v", mode, shed)
		}

		s = start()
		s.RemoveMember(0, epoch.Add(ms))
		s.RemoveMember(1, epoch.Add(ms))
		s.AddMember(2, "a", Primary, epoch.Add(ms))
		s.Observe(2, Figures{RTT: 40 * ms, MinRTT: 40 * ms, Window: 1 << 20})
		if _, ok := s.Pick(2, epoch.Add(ms)); !ok || len(s.Shed()) > 0 {
			t.Errorf("%v: a new connection of the path gets nothing", mode)
		}
	}
}

// TestAcknowledgedTooSoon has the relay speak of what it cannot know.
func TestAcknowledgedTooSoon(t *testing.T) {
	b := New(Config{})
	b.members[1] = &connection{b: b, open: make(map[bond.Object]*chunkStream)}
	b.sched.AddMember(1, "a", Primary, time.Now())
	b.Send(Object{Alias: 1, Payload: []byte("a")})
	if err := b.acked(&bond.Ack{Member: 1, Ranges: []bond.Range{{}}}); err == nil {
		t.Error("a chunk is acknowledged that is the next to be sent")
	}
	o := bond.Object{Alias: 1}
	if err := b.acked(&bond.Ack{Member: 7, Ranges: []bond.Range{{}}, Done: []bond.Object{o, {Alias: 9}}}); err != nil {
		t.Errorf("of a connection that has gone: %v", err)
	}
	if b.objects[o] == nil {
		t.Error("an object of which nothing was sent counts as arrived")
	}
	a, ok := b.sched.Pick(1, time.Now())
	if !ok || a.Sequence != 0 {
		t.Fatalf("Pick = %+v, %v", a, ok)
	}
	b.objects[o].begun = true
	if err := b.acked(&bond.Ack{Member: 1, Ranges: []bond.Range{{}}, Done: []bond.Object{o}}); err != nil || b.objects[o] != nil {
		t.Errorf("acknowledged in time: %v, and the object is still to be sent: %v", err, b.objects[o] != nil)
	}
}
