package relay_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// twinPayload is what both twins send as an object. Some are passed on while
// they arrive.
func twinPayload(group, id uint64) []byte {
	size := []int{200, 3_000, 40_000}[(group+id)%3]
	return bytes.Repeat(payload(group, id), size/20)
}

// tear publishes the first half of an object and ends the session.
func (p *publisher) tear(group, id uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := twinPayload(group, id)
	for w, g := range p.writers {
		if g == nil {
			g, _ = w.OpenSubgroup(context.Background(), moqt.Subgroup{Group: group, DefaultPriority: true, First: true, EndOfGroup: true})
		}
		if g == nil {
			continue
		}
		if out, err := g.StartObject(moqt.Object{Location: moqt.Location{Group: group, Object: id}}, int64(len(b))); err == nil {
			out.Write(b[:len(b)/2])
		}
	}
	synctest.Wait() // as much as the relay takes has arrived
	p.sess.Close()
}

// TestTwinKilledMidGroup has two publishers of one track, one of which dies in
// the middle of an object of each group and is replaced by a new one.
func TestTwinKilledMidGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const kills, perGroup, seed = 200, 6, 3
		rnd := rand.New(rand.NewPCG(seed, 0))
		t.Logf("seed %d", seed)
		r := newRelay(t, relay.Config{})
		start := func() *publisher {
			p := publish(t, connect(t, r, nil), track)
			p.content = twinPayload
			synctest.Wait()
			return p
		}
		twins := []*publisher{start(), start()}
		tr, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := collect(tr)
		synctest.Wait()
		var want []moqt.Location
		for g := uint64(1); g <= kills; g++ {
			leader, victim, at := rnd.IntN(2), rnd.IntN(2), rnd.Uint64N(perGroup)
			lag := rnd.Uint64N(3) // objects that the other is behind
			killed := false
			for step := range perGroup + lag {
				for i := range twins {
					id := step
					if i != leader {
						id -= lag // wraps where it has not begun
					}
					switch {
					case id >= perGroup || killed && i == victim:
					case i == victim && id == at:
						twins[i].tear(g, id)
						killed = true
					default:
						twins[i].write(g, id)
					}
				}
				time.Sleep(20 * time.Millisecond)
			}
			twins[victim] = start()
			for id := range uint64(perGroup) {
				want = append(want, moqt.Location{Group: g, Object: id})
			}
		}
		time.Sleep(5 * time.Second)
		got := c.locations()
		slices.SortFunc(got, moqt.Location.Compare)
		count := make(map[moqt.Location]int)
		for _, l := range got {
			count[l]++
		}
		missing, doubled := 0, 0
		for _, l := range want {
			switch n := count[l]; {
			case n == 0:
				missing++
			case n > 1:
				doubled++
			}
		}
		if missing > 0 || doubled > 0 || len(got) != len(want) {
			t.Errorf("%d kills: %d objects of %d, %d missing, %d doubled", kills, len(got), len(want), missing, doubled)
		}
		for _, o := range c.got {
			if !bytes.Equal(o.Payload, twinPayload(o.Group, o.Location.Object)) {
				t.Errorf("object %v: payload of %d bytes differs", o.Location, len(o.Payload))
			}
		}
		tr.Close()
		for _, p := range twins {
			p.end()
		}
	})
}

// A twin that was silent for long, and then is a little ahead of the other, has its
// time to show that it is one.
func TestTwinBeginsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		first, second := publish(t, connect(t, r, nil), track), publish(t, connect(t, r, nil), track)
		synctest.Wait()
		c := collect(subscribe(t, r, nil))
		synctest.Wait()
		for id := range uint64(100) {
			first.write(1, id)
			time.Sleep(50 * time.Millisecond)
		}
		second.write(2, 0)
		time.Sleep(10 * time.Millisecond)
		first.write(2, 0)
		time.Sleep(50 * time.Millisecond)
		first.sess.Close()
		second.write(2, 1)
		synctest.Wait()
		if got := c.locations(); len(got) != 102 || !slices.Contains(got, at2(2, 1)) {
			t.Errorf("got %d objects, want 102 with 2/1, which the second publisher alone has", len(got))
		}
		second.end()
	})
}

// TestStrictMalformed ends a track to the letter of the draft where two
// publishers contradict each other, if the relay is told to.
func TestStrictMalformed(t *testing.T) {
	for _, strict := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRelay(t, relay.Config{StrictMalformed: strict})
			p1, p2 := publish(t, connect(t, r, nil), track), publish(t, connect(t, r, nil), track)
			synctest.Wait()
			tr, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
			if err != nil {
				t.Fatal(err)
			}
			c := collect(tr)
			synctest.Wait()
			p2.content = func(group, id uint64) []byte {
				if id == 3 {
					return []byte("something else")
				}
				return payload(group, id)
			}
			for id := range uint64(6) {
				p1.write(1, id)
				synctest.Wait()
				p2.write(1, id)
				synctest.Wait()
			}
			time.Sleep(3 * time.Second)
			ended := false
			select {
			case <-c.done:
				ended = true
			default:
			}
			got := len(c.locations())
			switch {
			case strict && (!ended || !isDone(c.err, moqt.DoneMalformedTrack)):
				t.Errorf("strict: the track ended: %v, with %v, want MALFORMED_TRACK", ended, c.err)
			case !strict && (ended || got != 6):
				t.Errorf("not strict: %d objects, the track ended: %v with %v, want 6 and that it goes on", got, ended, c.err)
			}
			tr.Close()
		})
	}
}

func isDone(err error, code moqt.DoneCode) bool {
	return errors.Is(err, &transport.TrackDone{Code: code})
}
