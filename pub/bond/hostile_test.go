package bond

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/moqt"
)

// serving notes what Config.Serve was called with, and how often at once.
type serving struct {
	mu            sync.Mutex
	joined, alone int // now
	most          int // alone, at once
}

func (s *serving) serve(ctx context.Context, _ *transport.Session, joined bool) error {
	count := func(n int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if joined {
			s.joined += n
		} else {
			s.alone += n
			s.most = max(s.most, s.alone)
		}
	}
	count(+1)
	defer count(-1)
	<-ctx.Done()
	return context.Cause(ctx)
}

func (s *serving) now() (joined, alone, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.joined, s.alone, s.most
}

// TestRelayRefuses has a relay say no in each way there is.
func TestRelayRefuses(t *testing.T) {
	refuse := func(code moqt.RequestCode) func(*bond.Join) bond.Message {
		return func(*bond.Join) bond.Message { return &bond.Refused{Code: code, Reason: "no"} }
	}
	for _, c := range []struct {
		name          string
		set           func(*testRelay)
		joined, alone int  // sessions that are served after a while
		fails         bool // the bond ends
	}{
		{"it does not know the extension, and merges", func(r *testRelay) { r.without = true }, 0, 2, false},
		{"it is somebody else's", func(r *testRelay) { r.without, r.name = true, "other/1" }, 0, 1, false},
		{"not now", func(r *testRelay) { r.answer = refuse(moqt.RequestNotSupported) }, 0, 2, false},
		{"nobody may join", func(r *testRelay) { r.answer = refuse(moqt.RequestUnauthorized) }, 0, 0, true},
		{"it has too many", func(r *testRelay) { r.answer = refuse(moqt.RequestExcessiveLoad) }, 0, 0, true},
		{"it takes one member", func(r *testRelay) {
			r.answer = func(j *bond.Join) bond.Message {
				if j.Proof != nil {
					return &bond.Refused{Code: moqt.RequestUnauthorized, Reason: "no"}
				}
				return nil
			}
		}, 1, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := netsim.New(t)
				relay := newTestRelay(t, net)
				c.set(relay)
				var s serving
				b := startBond(relay, Config{Serve: s.serve}, tenTen(net)...)
				time.Sleep(15 * time.Second)
				if joined, alone, _ := s.now(); joined != c.joined || alone != c.alone {
					t.Errorf("%d sessions are served as members and %d alone, want %d and %d; %+v", joined, alone, c.joined, c.alone, b.Status())
				}
				select {
				case err := <-b.ended:
					if !c.fails || !errors.Is(err, ErrNoPath) || !strings.Contains(err.Error(), "no path leads to the relay: ") {
						t.Errorf("the bond ended: %v", err)
					}
					b.ended <- err
				default:
					if c.fails {
						t.Error("the bond goes on")
					}
				}
			})
		})
	}
}

// TestRelayBreaksTheRules has a relay do what it must not, once. Its session ends,
// and the publisher comes back and loses nothing by it.
func TestRelayBreaksTheRules(t *testing.T) {
	once := func(f func()) func() { return sync.OnceFunc(f) }
	for _, c := range []struct {
		name string
		set  func(*testRelay)
	}{
		{"chunks acknowledged that were not sent", func(r *testRelay) {
			var a *bond.Ack
			lie := once(func() { a.Ranges = slices.Insert(a.Ranges, 0, bond.Range{First: 1 << 40, Last: 1 << 41}) })
			r.ack = func(ack *bond.Ack) { a = ack; lie() }
		}},
		{"a second answer", func(r *testRelay) {
			said := false
			r.answer = func(*bond.Join) bond.Message {
				if said {
					return nil
				}
				said = true
				id, secret := bond.NewBond()
				return twice{&bond.Joined{Bond: id, Secret: secret, MaxObject: bond.MaxObject}}.first(r)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := netsim.New(t)
				relay := newTestRelay(t, net)
				c.set(relay)
				b := startBond(relay, Config{Mode: Hybrid}, tenTen(net)...)
				b.joined(2)
				begin := time.Now()
				b.video(2e6, 12*time.Second, nil)
				time.Sleep(3 * time.Second)
				b.joined(2)
				relay.mu.Lock()
				joins := len(relay.joins)
				relay.mu.Unlock()
				if joins < 3 {
					t.Errorf("there were %d joins: no session has ended", joins)
				}
				if r := b.result(begin.Add(6*time.Second), time.Now()); r.lost > 0 || r.n == 0 {
					t.Errorf("%v", r)
				}
			})
		})
	}
}

// twice is an answer after which the relay says the same again.
type twice struct{ m *bond.Joined }

func (a twice) first(r *testRelay) bond.Message {
	r.id, r.secret = a.m.Bond, a.m.Secret
	r.again = bond.AppendMessage(nil, a.m)
	return a.m
}

// TestRelayDoesNotAnswer leaves the first join without an answer: another path
// makes the bond.
func TestRelayDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := netsim.New(t)
		relay := newTestRelay(t, net)
		first := true
		relay.mute = func() bool {
			was := first
			first = false
			return was
		}
		b := startBond(relay, Config{}, tenTen(net)...)
		begin := time.Now()
		b.joined(2)
		if took := time.Since(begin); took < joinTime || took > 3*joinTime {
			t.Errorf("both paths had joined after %v, want soon after %v", took, joinTime)
		}
	})
}

// TestRelayAlwaysGoesAway has a relay that sends everybody away at once: it is not
// dialled as fast as that.
func TestRelayAlwaysGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := netsim.New(t)
		relay := newTestRelay(t, net)
		serve := func(context.Context, *transport.Session, bool) error { return transport.ErrGoaway }
		startBond(relay, Config{Serve: serve}, tenTen(net)[:1]...)
		time.Sleep(20 * time.Second)
		relay.mu.Lock()
		defer relay.mu.Unlock()
		if n := len(relay.joins); n < 5 || n > 15 {
			t.Errorf("there were %d joins in 20 s, want 5 to 15", n)
		}
	})
}

// TestObjectTooLarge sends what the relay does not take in one piece: it is told
// that the object does not come, and everything else does.
func TestObjectTooLarge(t *testing.T) {
	for _, largest := range []int64{0, 10_000} {
		synctest.Test(t, func(t *testing.T) {
			net := netsim.New(t)
			relay := newTestRelay(t, net)
			relay.largest = largest
			b := startBond(relay, Config{}, tenTen(net)...)
			b.joined(2)
			most := int(cmp.Or(largest, 100_000))
			b.put(1, 7, 0, most, Vital)
			b.put(1, 7, 1, int(cmp.Or(largest, bond.MaxObject))+1, Vital)
			b.put(1, 7, 2, 2_000, Vital)
			b.EndSubgroup(1, 7, 0, 3, true)
			time.Sleep(3 * time.Second)
			relay.mu.Lock()
			defer relay.mu.Unlock()
			for id := range uint64(4) {
				o := bond.Object{Alias: 1, Group: 7, Object: id}
				got := relay.objects[o]
				if whole := got != nil && !got.at.IsZero(); whole != (id != 1) || relay.gone[o] != (id == 1) {
					t.Errorf("largest %d: object %d: whole %v, given up %v", largest, id, whole, relay.gone[o])
				}
			}
			if n := len(relay.joins); n != 2 {
				t.Errorf("largest %d: there were %d joins: a session has ended", largest, n)
			}
			if shed := b.Status().Stats.Shed; shed != int64(len(b.data[bond.Object{Alias: 1, Group: 7, Object: 1}])) {
				t.Errorf("largest %d: %d bytes were shed", largest, shed)
			}
		})
	}
}

// TestStandbyAtOthersRelays has one session publish at a time where the relay may
// not like two, and the cheaper path first.
func TestStandbyAtOthersRelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := netsim.New(t)
		relay := newTestRelay(t, net)
		relay.without, relay.name = true, "other/1"
		links := tenTen(net)
		var s serving
		b := startBond(relay, Config{Serve: s.serve}, links[1])
		time.Sleep(time.Second)
		dear := pathOver(2, links[0])
		dear.Cost = Backup
		b.AddPath(dear)
		b.AddPath(pathOver(1, links[0]))
		time.Sleep(time.Second)
		b.RemovePath("a")
		time.Sleep(time.Second)
		if _, alone, most := s.now(); alone != 1 || most != 1 {
			t.Errorf("%d sessions publish, and %d did at once; want 1", alone, most)
		}
		b.RemovePath("b") // it was the next, and the dear one is the last
		time.Sleep(time.Second)
		if _, alone, most := s.now(); alone != 1 || most != 1 {
			t.Errorf("%d sessions publish after two are gone, and %d did at once; want 1", alone, most)
		}
	})
}
