package relay_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/relay/bonds"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// wantPutOut checks that the relay has ended the member's session as a violation.
func (m *bondMember) wantPutOut(t *testing.T) {
	t.Helper()
	select {
	case <-m.sess.Context().Done():
	case <-time.After(time.Minute):
		t.Error("the session goes on")
		return
	}
	if err := context.Cause(m.sess.Context()); !errors.Is(err, &transport.SessionError{Code: moqt.SessionProtocolViolation, Remote: true}) {
		t.Errorf("the session ended with %v, want PROTOCOL_VIOLATION", err)
	}
}

// TestBondJoinsThatFail gives every stranger the same answer.
func TestBondJoinsThatFail(t *testing.T) {
	bonded(t, 2, func(t *testing.T, r *relay.Relay, m []*bondMember, b *bond.Joined) {
		v := m[0].sess.Version()
		var overheard *bond.Join
		victim := plug(t, r, v, 5)
		overheard = victim.proof(b)
		victim.join(b)
		want := &bond.Refused{Code: moqt.RequestUnauthorized, Reason: "there is no such bond, or this connection is not one of it"}
		for name, make := range map[string]func(m *bondMember) *bond.Join{
			"a proof of zeros": func(m *bondMember) *bond.Join {
				j := m.proof(b)
				clear(j.Proof)
				return j
			},
			"a proof for another number": func(m *bondMember) *bond.Join {
				j := m.proof(b)
				j.Member++
				return j
			},
			"a proof by another secret": func(m *bondMember) *bond.Join {
				_, other := bond.NewBond()
				return m.proof(&bond.Joined{Bond: b.Bond, Secret: other})
			},
			"a proof of another connection": func(*bondMember) *bond.Join { return overheard },
			"a number that was used": func(m *bondMember) *bond.Join {
				m.Number = 1
				return m.proof(b)
			},
			"no such bond": func(m *bondMember) *bond.Join {
				id, secret := bond.NewBond()
				return m.proof(&bond.Joined{Bond: id, Secret: secret})
			},
		} {
			stranger := plug(t, r, v, 9)
			if got := stranger.ask(make(stranger)); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %+v", name, got)
			}
			// Its session goes on without the bond.
			if _, err := stranger.sess.Announce(t.Context(), moqt.NS("another")); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			stranger.sess.Close()
		}
		if s := r.State().Bonds; len(s) != 1 || len(s[0].Members) != 3 {
			t.Errorf("the bonds are %+v", s)
		}
	})
}

// TestBondTokens refuses a member that has other tokens than the first.
func TestBondTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		token := func(s string) []transport.Token { return []transport.Token{{Type: 0, Value: []byte(s)}} }
		first := plugWith(t, r, moqt.Draft18, 0, plugOptions{tokens: token("mine")})
		b := first.found()
		plugWith(t, r, moqt.Draft18, 1, plugOptions{tokens: token("mine")}).join(b)
		for i, tokens := range [][]transport.Token{token("another"), nil} {
			m := plugWith(t, r, moqt.Draft18, uint64(2+i), plugOptions{tokens: tokens})
			if a, ok := m.ask(m.proof(b)).(*bond.Refused); !ok || a.Code != moqt.RequestUnauthorized {
				t.Errorf("tokens %v: %+v", tokens, a)
			}
		}
	})
}

// TestBondGuard lets nobody try proofs for ever.
func TestBondGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{Bonds: bonds.Config{FailedJoins: 3}})
		m, b := newBond(t, r, moqt.Draft18, 1)
		try := func(n uint64, right bool) bond.Message {
			m := plug(t, r, moqt.Draft18, n)
			j := m.proof(b)
			if !right {
				clear(j.Proof)
			}
			return m.ask(j)
		}
		for i := range uint64(5) {
			want := moqt.RequestUnauthorized
			if i >= 3 {
				want = moqt.RequestExcessiveLoad
			}
			if a, ok := try(10+i, false).(*bond.Refused); !ok || a.Code != want {
				t.Errorf("wrong proof %d: %+v, want %v", i, a, want)
			}
		}
		if a, ok := try(20, true).(*bond.Refused); !ok || a.Code != moqt.RequestExcessiveLoad {
			t.Errorf("a right proof after them: %+v", a)
		}
		time.Sleep(6 * time.Second)
		if a, ok := try(21, true).(*bond.Joined); !ok {
			t.Errorf("a right proof later: %+v", a)
		}
		_ = m
	})
}

func TestBondLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{Bonds: bonds.Config{MaxBonds: 2, MaxMembers: 2, URI: "moqt://one.example"}})
		members, b := newBond(t, r, moqt.Draft18, 2)
		if b.MaxMembers != 2 || b.URI != "moqt://one.example" || b.Hold != 2*time.Second || b.MaxHeld != 32<<20 || b.MaxObject != bond.MaxObject {
			t.Errorf("the first member is told %+v", b)
		}
		newBond(t, r, moqt.Draft18, 1)
		third := plug(t, r, moqt.Draft18, 3)
		if a, ok := third.ask(third.proof(b)).(*bond.Refused); !ok || a.Code != moqt.RequestExcessiveLoad {
			t.Errorf("a third member gets %+v", a)
		}
		another := plug(t, r, moqt.Draft18, 0)
		if a, ok := another.ask(&bond.Join{}).(*bond.Refused); !ok || a.Code != moqt.RequestExcessiveLoad {
			t.Errorf("a third bond gets %+v", a)
		}
		members[1].sess.Close()
		synctest.Wait()
		fourth := plug(t, r, moqt.Draft18, 4)
		fourth.join(b)
	})
}

// TestBondViolations breaks the text of the extension in each way. The member goes,
// and nothing else happens.
func TestBondViolations(t *testing.T) {
	payload := random(1, 0, 8_000)
	header := func(change func(*bond.Header)) []byte {
		h := piece(1, 0, payload)
		change(h)
		return bond.AppendHeader(nil, h)
	}
	plain := header(func(*bond.Header) {})
	chunk := func(head []byte, c bond.Chunk) []byte { return bond.AppendChunk(slices.Clone(head), &c) }
	join := bond.AppendMessage(nil, &bond.Join{Member: 77})
	for name, do := range map[string]func(m *bondMember){
		"unknown flags": func(m *bondMember) {
			b := slices.Clone(plain)
			b[5] = 0x80
			m.open(bond.ChunkType, b)
		},
		"a chunk beyond the end": func(m *bondMember) {
			m.open(bond.ChunkType, chunk(plain, bond.Chunk{Offset: 7_999, Bytes: []byte("ab")}))
		},
		"an empty chunk": func(m *bondMember) { m.open(bond.ChunkType, chunk(plain, bond.Chunk{})) },
		"an object above the cap": func(m *bondMember) {
			m.open(bond.ChunkType, header(func(h *bond.Header) { h.Size = bond.MaxObject + 1 }))
		},
		"a header cut":       func(m *bondMember) { m.open(bond.ChunkType, plain[:4]).Close() },
		"a chunk cut":        func(m *bondMember) { m.open(bond.ChunkType, append(slices.Clone(plain), 0, 0, 9, 1)).Close() },
		"another size":       func(m *bondMember) { m.another(payload, func(h *bond.Header) { h.Size++ }) },
		"another subgroup":   func(m *bondMember) { m.another(payload, func(h *bond.Header) { h.Subgroup++ }) },
		"another priority":   func(m *bondMember) { m.another(payload, func(h *bond.Header) { h.Priority++ }) },
		"other properties":   func(m *bondMember) { m.another(payload, func(h *bond.Header) { h.Properties = []byte{2, 5} }) },
		"other bytes":        func(m *bondMember) { m.another(payload, nil) },
		"a second bond":      func(m *bondMember) { m.open(bond.StreamType, join) },
		"a bond stream ends": func(m *bondMember) { m.control.Close() },
		"a bond stream is reset": func(m *bondMember) {
			m.control.CancelWrite(moqt.StreamCancelled)
		},
		"a second join":        func(m *bondMember) { m.control.Write(join) },
		"a message of no type": func(m *bondMember) { m.control.Write([]byte{0x01, 0, 0}) },
		"an acknowledgement":   func(m *bondMember) { m.control.Write(bond.AppendMessage(nil, &bond.Ack{Ranges: []bond.Range{{}}})) },
		"properties of no form": func(m *bondMember) {
			h := piece(2, 0, payload)
			h.Properties = []byte{3, 9}
			m.whole(h, payload)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t, relay.Config{})
				m, _ := newBond(t, r, moqt.Draft18, 3)
				c := watch(t, r)
				synctest.Wait()
				m[0].send(piece(1, 0, payload), payload, cut(0, 4_000)...)
				synctest.Wait()
				do(m[2])
				m[2].wantPutOut(t)
				m[0].send(piece(1, 0, payload), payload, cut(4_000, 8_000)...)
				b := random(1, 1, 20_000)
				m[1].whole(piece(1, 1, b), b)
				synctest.Wait()
				c.wants(t, locations(1, 2)...)
				if n := len(r.State().Bonds[0].Members); n != 2 {
					t.Errorf("%d members are left", n)
				}
			})
		})
	}
}

// another sends a stream for an object that another member has begun, with a header
// that was changed or else with other bytes.
func (m *bondMember) another(payload []byte, change func(h *bond.Header)) {
	m.t.Helper()
	h := piece(1, 0, payload)
	if change != nil {
		change(h)
	} else {
		payload = make([]byte, len(payload))
	}
	m.send(h, payload, cut(0, 4_000)...)
}

// TestBondFirstMessages begins bond streams with what is no join.
func TestBondFirstMessages(t *testing.T) {
	for name, do := range map[string]func(m *bondMember){
		"BOND_REFUSED": func(m *bondMember) { m.open(bond.StreamType, bond.AppendMessage(nil, &bond.Refused{})) },
		"no message":   func(m *bondMember) { m.open(bond.StreamType, nil).Close() },
		"half of one":  func(m *bondMember) { m.open(bond.StreamType, bond.AppendMessage(nil, &bond.Join{})[:7]).Close() },
		"a short proof": func(m *bondMember) {
			m.open(bond.StreamType, []byte{0xf0, 0x4d, 0x42, 0x50, 0x40, 0, 6, 1, 0, 0, 1, 7, 0})
		},
		"a chunk stream": func(m *bondMember) {
			m.open(bond.ChunkType, bond.AppendHeader(nil, piece(1, 0, []byte("x"))))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t, relay.Config{})
				m := plug(t, r, moqt.Draft18, 0)
				do(m)
				m.wantPutOut(t)
				if n := len(r.State().Bonds); n != 0 {
					t.Errorf("there are %d bonds", n)
				}
			})
		})
	}
}

// TestBondBeyondTheEnd has a member send objects of a group that has ended, in
// subgroups of their own, while the others are in the middle of objects, between
// two, and at the end of a group. It is put out each time, and they go on.
func TestBondBeyondTheEnd(t *testing.T) {
	bonded(t, 2, func(t *testing.T, r *relay.Relay, m []*bondMember, b *bond.Joined) {
		c := watch(t, r)
		synctest.Wait()
		number := uint64(10)
		beyond := func() {
			t.Helper()
			bad := plug(t, r, m[0].sess.Version(), number)
			bad.join(b)
			synctest.Wait()
			h := &bond.Header{Object: bond.Object{Alias: bondAlias, Group: 1, Object: 100 + number}, Subgroup: number, Priority: moqt.DefaultPriority, Size: 100}
			bad.send(h, make([]byte, 100), [2]int{0, 50})
			bad.wantPutOut(t)
			number++
		}
		whole := func(group, n uint64) {
			for i := range n {
				p := random(group, i, 6_000)
				m[i%2].whole(piece(group, i, p), p)
			}
		}
		whole(1, 3)
		m[0].end(1, 3)
		whole(2, 2)
		payload := random(2, 2, 20_000)
		m[0].send(piece(2, 2, payload), payload, cut(0, 8_192)...)
		synctest.Wait()
		beyond() // in an object
		m[1].send(piece(2, 2, payload), payload, cut(8_192, 20_000)...).Close()
		synctest.Wait()
		beyond() // between two
		p := random(2, 3, 6_000)
		m[0].whole(piece(2, 3, p), p)
		synctest.Wait()
		beyond() // before the end
		m[1].end(2, 4)
		whole(3, 3)
		synctest.Wait()
		c.wants(t, append(append(locations(1, 3), locations(2, 4)...), locations(3, 3)...)...)
		if n := len(r.State().Bonds[0].Members); n != 2 {
			t.Errorf("%d members are left, want 2", n)
		}
		if info := r.State().Tracks[0]; info.Subscribers != 1 {
			t.Errorf("the track is %+v", info)
		}
	})
}

// TestBondTwoTracksOneAlias publishes another track with the alias that the bond
// has for the first.
func TestBondTwoTracksOneAlias(t *testing.T) {
	bonded(t, 2, func(t *testing.T, r *relay.Relay, m []*bondMember, b *bond.Joined) {
		c := watch(t, r)
		synctest.Wait()
		bad := plugWith(t, r, m[0].sess.Version(), 2, plugOptions{other: true})
		bad.join(b)
		bad.sess.Publish(t.Context(), moqt.NS("live", "other").Track("video"), &transport.PublishOptions{Alias: bondAlias})
		bad.wantPutOut(t)
		payload := random(1, 0, 100)
		m[1].whole(piece(1, 0, payload), payload)
		synctest.Wait()
		c.wants(t, locations(1, 1)...)
	})
}

// TestBondContradictsStream sends in chunks what contradicts an object that came
// whole: the member that sent them goes.
func TestBondContradictsStream(t *testing.T) {
	for _, chunksFirst := range []bool{false, true} {
		bonded(t, 2, func(t *testing.T, r *relay.Relay, m []*bondMember, b *bond.Joined) {
			c := watch(t, r)
			synctest.Wait()
			payload := random(1, 0, 8_000)
			wrong := slices.Clone(payload)
			wrong[4_000]++
			good, bad := m[0], m[1]
			if chunksFirst {
				good, bad = bad, good
				good.whole(piece(1, 0, payload), payload)
				synctest.Wait()
				bad.ordinary(t, 1, wrong)
			} else {
				good.ordinary(t, 1, payload)
				synctest.Wait()
				bad.whole(piece(1, 0, payload), wrong)
			}
			bad.wantPutOut(t)
			next := random(2, 0, 100)
			good.whole(piece(2, 0, next), next)
			synctest.Wait()
			c.wants(t, moqt.Location{Group: 1}, moqt.Location{Group: 2})
		})
	}
}

// TestBondHalfObjects sends very many objects of which the other half never comes.
// What is held stays below the bound, and the track, and the bond of another, go on.
func TestBondHalfObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 1 << 20
		r := newRelay(t, relay.Config{Bonds: bonds.Config{MaxHeld: most, MaxHeldAll: 3 * most / 2}})
		m, _ := newBond(t, r, moqt.Draft18, 2)
		other := plugWith(t, r, moqt.Draft18, 0, plugOptions{other: true})
		other.found()
		name := moqt.NS("live", "other").Track("video")
		if _, err := other.sess.Publish(t.Context(), name, &transport.PublishOptions{Alias: bondAlias + 1}); err != nil {
			t.Fatal(err)
		}
		tr, err := connect(t, r, nil).Subscribe(t.Context(), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		theirs, c := collect(tr), watch(t, r)
		synctest.Wait()
		half := make([]byte, 1024)
		const per = 1000
		n := uint64(transporttest.Flood(100_000))
		for i := range n {
			h := &bond.Header{Object: bond.Object{Alias: bondAlias, Group: 1, Object: 1000 + i}, Subgroup: i % 3, Previous: 1, Size: 2048}
			m[1].send(h, half, [2]int{0, len(half)}).Close()
			if i%per != 0 {
				continue
			}
			synctest.Wait()
			var held int64
			for _, s := range r.State().Bonds {
				held += s.Held
			}
			if held > most {
				t.Fatalf("%d bytes are held", held)
			}
			at := i / per
			payload := random(1, at, 6_000)
			m[0].whole(piece(1, at, payload), payload)
			h = piece(1, at, payload)
			h.Alias = bondAlias + 1
			other.whole(h, payload)
			time.Sleep(33 * time.Millisecond)
		}
		synctest.Wait()
		c.wants(t, locations(1, n/per)...)
		theirs.wants(t, locations(1, n/per)...)
		time.Sleep(5 * time.Second)
		for _, s := range r.State().Bonds {
			if s.Held != 0 {
				t.Errorf("%d bytes are held at the end", s.Held)
			}
		}
	})
}

// TestBondIsFull has one member fill a bond: its streams are stopped by a code that
// tells whether their object may come by another, and then it does.
func TestBondIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{Bonds: bonds.Config{MaxHeld: 64 << 10}})
		m, _ := newBond(t, r, moqt.Draft18, 2)
		c := watch(t, r)
		synctest.Wait()
		payload := random(1, 0, 6_000)
		m[0].send(piece(1, 0, payload), payload, [2]int{0, 3_000}).Close()
		synctest.Wait()
		half := make([]byte, 1024)
		all, here := 0, 0
		for i := range uint64(200) {
			h := &bond.Header{Object: bond.Object{Alias: bondAlias, Group: 9, Object: 1000 + i}, Previous: 1, Size: 2048}
			st := m[1].send(h, half, [2]int{0, len(half)})
			synctest.Wait()
			switch err := context.Cause(st.Context()); {
			case err == nil:
			case errors.Is(err, &transport.StreamError{Code: bond.StopAll}):
				all++
			case errors.Is(err, &transport.StreamError{Code: bond.StopHere}):
				here++
			default:
				t.Fatalf("a stream is stopped with %v", err)
			}
		}
		if all > 2 || here < 100 {
			t.Errorf("%d streams are stopped for good and %d by that connection, want next to none and most", all, here)
		}
		next := random(1, 1, 3_000)
		st := m[1].send(piece(1, 1, next), next, [2]int{0, 3_000})
		synctest.Wait()
		if err := context.Cause(st.Context()); !errors.Is(err, &transport.StreamError{Code: bond.StopHere}) {
			t.Errorf("an object by the member that has filled the bond: stopped with %v, want %v", err, bond.StopHere)
		}
		m[0].whole(piece(1, 1, next), next)
		m[0].send(piece(1, 0, payload), payload, [2]int{3_000, 6_000}).Close()
		synctest.Wait()
		c.wants(t, locations(1, 2)...)
	})
}

// TestBondOfImpostor has a bond publish something else under a name that is in use,
// and a twin of it that sends the same.
func TestBondOfImpostor(t *testing.T) {
	for _, twin := range []bool{false, true} {
		t.Run(fmt.Sprint("twin ", twin), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t, relay.Config{})
				p := publish(t, connect(t, r, nil), track)
				p.content = func(group, id uint64) []byte { return random(group, id, 500) }
				synctest.Wait()
				c := watch(t, r)
				synctest.Wait()
				p.write(1, 0)
				synctest.Wait()
				m, _ := newBond(t, r, moqt.Draft18, 2)
				synctest.Wait()
				for i := range uint64(6) {
					p.write(1, 1+i)
					synctest.Wait()
					payload := random(1, 1+i, 500)
					if !twin {
						payload[7]++
					}
					h := piece(1, 1+i, payload)
					h.Begins = i == 0
					m[i%2].whole(h, payload)
					time.Sleep(100 * time.Millisecond)
				}
				c.wants(t, locations(1, 7)...)
				if s := r.State().Tracks; s[0].Sources != map[bool]int{true: 3, false: 1}[twin] {
					t.Errorf("the track has %d sources", s[0].Sources)
				}
				if !twin {
					return
				}
				p.end() // the bond goes on alone
				time.Sleep(time.Second)
				payload := random(2, 0, 500)
				m[0].whole(piece(2, 0, payload), payload)
				synctest.Wait()
				c.wants(t, append(locations(1, 7), moqt.Location{Group: 2})...)
			})
		})
	}
}

// TestBondStreamThatTakesNothing has members that let the relay say nothing. Their
// sessions end all the same: when they break the rules, and when they do not even
// take the answer to their join.
func TestBondStreamThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		m := plugWith(t, r, moqt.Draft18, 0, plugOptions{window: 128})
		m.found()
		m.deaf.Store(true)
		watch(t, r)
		synctest.Wait()
		for i := range uint64(100) {
			b := random(1, i, 50)
			m.whole(piece(1, i, b), b)
			time.Sleep(20 * time.Millisecond)
		}
		m.control.Close()
		m.wantPutOut(t)
		m.deaf.Store(false)
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{Bonds: bonds.Config{URI: "moqt://" + strings.Repeat("x", 1000)}})
		client, server := transporttest.Pipe(t, &transporttest.PipeOptions{Window: 256})
		go func() {
			if s, err := transport.NewSession(t.Context(), server, &transport.Config{Extensions: r.Extensions()}); err == nil {
				r.ServeSession(t.Context(), s)
			}
		}()
		s, err := transport.NewSession(t.Context(), client, &transport.Config{Extensions: []transport.Extension{{
			Option: bond.OfferOption(), Agree: bond.Offered, Streams: []uint64{bond.StreamType},
			Serve: func(s *transport.Session, _ uint64, _ transport.ReceiveStream) error {
				<-s.Context().Done()
				return nil
			},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		st, err := s.OpenExtensionStream(t.Context(), bond.StreamType)
		if err != nil {
			t.Fatal(err)
		}
		st.Write(bond.AppendMessage(nil, &bond.Join{}))
		select {
		case <-s.Context().Done():
		case <-time.After(time.Minute):
			t.Error("the session goes on")
		}
		if err := context.Cause(s.Context()); !errors.Is(err, &transport.SessionError{Code: moqt.SessionControlMessageTimeout, Remote: true}) {
			t.Errorf("the session ended with %v", err)
		}
	})
}

// TestBondAliasAgain gives the alias of a track that has ended to another, whose
// groups begin anew.
func TestBondAliasAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		m := plugWith(t, r, moqt.Draft18, 0, plugOptions{other: true})
		m.found()
		for i := range 2 {
			name := moqt.NS("live", fmt.Sprint(i)).Track("video")
			w, err := m.sess.Publish(t.Context(), name, &transport.PublishOptions{Alias: bondAlias})
			if err != nil {
				t.Fatal(err)
			}
			tr, err := connect(t, r, nil).Subscribe(t.Context(), name, nil)
			if err != nil {
				t.Fatal(err)
			}
			c := collect(tr)
			synctest.Wait()
			for i := range uint64(3) {
				b := random(1, i, 100)
				m.whole(piece(1, i, b), b)
			}
			synctest.Wait()
			c.wants(t, locations(1, 3)...)
			w.Close()
			tr.Close()
			time.Sleep(time.Minute) // but for the bond, nobody remembers the track
		}
	})
}

// TestWithoutBonds has a relay whose sessions do not offer the extension.
func TestWithoutBonds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		client, server := transporttest.Pipe(t, nil)
		go func() {
			if s, err := transport.NewSession(t.Context(), server, nil); err == nil {
				r.ServeSession(t.Context(), s)
			}
		}()
		s, err := transport.NewSession(t.Context(), client, &transport.Config{Extensions: []transport.Extension{{
			Option: bond.OfferOption(), Agree: bond.Offered, Streams: []uint64{bond.StreamType},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if s.Agreed(bond.Option) {
			t.Error("the extension is agreed on")
		}
		p := publish(t, s, track)
		c := watch(t, r)
		synctest.Wait()
		p.content = func(group, id uint64) []byte { return random(group, id, 500) }
		p.write(1, 0)
		synctest.Wait()
		c.wants(t, locations(1, 1)...)
		st, err := s.OpenExtensionStream(t.Context(), bond.StreamType)
		if err != nil {
			t.Fatal(err)
		}
		st.Write(bond.AppendMessage(nil, &bond.Join{}))
		<-s.Context().Done()
		if err := context.Cause(s.Context()); !errors.Is(err, &transport.SessionError{Code: moqt.SessionProtocolViolation, Remote: true}) {
			t.Errorf("a bond stream that was not agreed on: %v", err)
		}
	})
}

// TestBondStreamsThatWait opens chunk streams of a track that nobody knows: some wait
// for it for a while, and those beyond are stopped at once. One that comes in time is
// taken; and one whose rest does not come is stopped as well.
func TestBondStreamsThatWait(t *testing.T) {
	bonded(t, 2, func(t *testing.T, r *relay.Relay, m []*bondMember, b *bond.Joined) {
		watch(t, r)
		synctest.Wait()
		open := func(n int) (open []transport.SendStream) {
			for i := range uint64(n) {
				h := piece(1, i, []byte("abc"))
				h.Alias = bondAlias + 5
				open = append(open, m[1].send(h, []byte("abc"), [2]int{0, 2}))
			}
			synctest.Wait()
			return open
		}
		ended := func(list []transport.SendStream) (n int) {
			synctest.Wait()
			for _, st := range list {
				if st.Context().Err() != nil {
					n++
				}
			}
			return n
		}
		first := open(64)
		if n := ended(first); n != 0 {
			t.Errorf("%d of 64 streams are stopped at once", n)
		}
		stopped := func(list []transport.SendStream, want moqt.StreamCode) {
			t.Helper()
			for _, st := range list {
				if err := context.Cause(st.Context()); !errors.Is(err, &transport.StreamError{Code: want}) {
					t.Errorf("a stream is stopped with %v, want %v", err, want)
				}
			}
		}
		beyond := open(10)
		if n := ended(beyond); n != 10 {
			t.Errorf("%d of 10 streams beyond are stopped at once", n)
		}
		stopped(beyond, bond.StopHere)
		time.Sleep(1900 * time.Millisecond)
		if n := ended(first); n != 0 {
			t.Errorf("%d of 64 streams are stopped in time", n)
		}
		time.Sleep(200 * time.Millisecond)
		if n := ended(first); n != 64 {
			t.Errorf("%d of 64 streams are stopped after a while", n)
		}
		stopped(first, bond.StopAll)
		another := open(64) // there is room again
		name := moqt.NS("live", "other").Track("video")
		if _, err := m[0].sess.Publish(t.Context(), name, &transport.PublishOptions{Alias: bondAlias + 5}); err != nil {
			t.Fatal(err)
		}
		tr, err := connect(t, r, nil).Subscribe(t.Context(), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		time.Sleep(3 * time.Second)
		if n := ended(another); n != 0 {
			t.Errorf("%d of 64 streams are stopped though the track has come", n)
		}
		if got, _ := m[1].acknowledged(1); got == 0 {
			t.Error("what came before the track is not acknowledged")
		}
		time.Sleep(30 * time.Second)
		if n := ended(another); n != 64 {
			t.Errorf("%d of 64 streams are stopped whose rest does not come", n)
		}
		m[1].send(piece(1, 0, []byte("abc")), []byte("abc"), [2]int{0, 2}).CancelWrite(moqt.StreamCancelled)
		synctest.Wait()
		if m[1].sess.Context().Err() != nil {
			t.Error("the session has ended")
		}
	})
}

// TestBondOfImpostorAhead has a bond publish groups that come before anybody else's,
// under a name that is in use: nothing of them is taken, and its members are cut off.
func TestBondOfImpostorAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		p := publish(t, connect(t, r, nil), track)
		p.content = func(group, id uint64) []byte { return random(group, id, 500) }
		synctest.Wait()
		c := watch(t, r)
		synctest.Wait()
		p.write(1, 0)
		synctest.Wait()
		m, _ := newBond(t, r, moqt.Draft18, 2)
		synctest.Wait()
		for i := range uint64(50) {
			p.write(1, 1+i)
			large, small := make([]byte, 30_000), make([]byte, 500)
			m[i%2].whole(piece(100+i, 0, large), large)
			m[i%2].whole(piece(100+i, 1, small), small)
			time.Sleep(100 * time.Millisecond)
		}
		c.wants(t, locations(1, 51)...)
		if s := r.State().Tracks[0]; s.Sources != 1 {
			t.Errorf("the track has %d sources", s.Sources)
		}
	})
}

// TestBondIsOnePublisher has a track for which two publishers are heard: all members
// of a bond are one of them.
func TestBondIsOnePublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{MaxSources: 2})
		newBond(t, r, moqt.Draft18, 3)
		watch(t, r)
		synctest.Wait()
		sources := func() int { return r.State().Tracks[0].Sources }
		if n := sources(); n != 3 {
			t.Errorf("of three members of a bond %d are sources", n)
		}
		for i, want := range []int{4, 4} {
			publish(t, connect(t, r, nil), track)
			synctest.Wait()
			if n := sources(); n != want {
				t.Errorf("with %d other publishers there are %d sources, want %d", i+1, n, want)
			}
		}
	})
}

// TestBondThatHasLeft has the members that publish a track leave, and another
// publisher take the name. What the bond sends then is an impostor's: by a member that
// carries chunks alone, and by one that publishes the track again.
func TestBondThatHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		m, b := newBond(t, r, moqt.Draft18, 2)
		carrier := plugWith(t, r, moqt.Draft18, 7, plugOptions{other: true})
		carrier.join(b)
		c := watch(t, r)
		synctest.Wait()
		payload := random(1, 0, 500)
		m[0].whole(piece(1, 0, payload), payload)
		synctest.Wait()
		m[0].sess.Close()
		m[1].sess.Close()
		synctest.Wait()
		payload = random(2, 0, 500)
		carrier.whole(piece(2, 0, payload), payload) // nobody else has the name yet
		synctest.Wait()
		p := publish(t, connect(t, r, nil), track)
		p.content = func(group, id uint64) []byte { return random(group, id, 500) }
		time.Sleep(3 * time.Second)
		p.write(5, 0)
		synctest.Wait()
		want := []moqt.Location{{Group: 1}, {Group: 2}, {Group: 5}}
		attack := func(m *bondMember, group uint64) {
			t.Helper()
			for i := range uint64(3) {
				p.write(5, uint64(len(want))-2)
				want = append(want, moqt.Location{Group: 5, Object: uint64(len(want)) - 2})
				b := make([]byte, 500)
				m.whole(piece(group+i, 0, b), b)
				time.Sleep(200 * time.Millisecond)
			}
			c.wants(t, want...)
		}
		attack(carrier, 100)
		again := plug(t, r, moqt.Draft18, 8)
		again.join(b)
		synctest.Wait()
		attack(again, 200)
		attack(carrier, 300)
	})
}
