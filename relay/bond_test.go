package relay_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/moqt"
)

// bonded runs a test in each draft that matters, with a relay and a bond of n
// members, before anybody has subscribed.
func bonded(t *testing.T, n int, test func(t *testing.T, r *relay.Relay, members []*bondMember, b *bond.Joined)) {
	for _, v := range []moqt.Version{moqt.Draft16, moqt.Draft18, moqt.Draft21, moqt.Draft22} {
		t.Run(v.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t, relay.Config{})
				members, b := newBond(t, r, v, n)
				test(t, r, members, b)
			})
		})
	}
}

// TestBondStripes cuts objects in chunks that go over two members by turns.
func TestBondStripes(t *testing.T) {
	bonded(t, 2, func(t *testing.T, r *relay.Relay, m []*bondMember, _ *bond.Joined) {
		c := watch(t, r)
		synctest.Wait()
		const n = 20
		for i := range uint64(n) {
			payload := random(1, i, 300+int(i)*5_000)
			var parts [2][][2]int
			for j, p := range cut(0, len(payload)) {
				parts[j%2] = append(parts[j%2], p)
			}
			for k := range m {
				if len(parts[k]) > 0 {
					m[k].send(piece(1, i, payload), payload, parts[k]...).Close()
				}
			}
		}
		m[0].end(1, n)
		synctest.Wait()
		c.wants(t, locations(1, n)...)
		time.Sleep(10 * time.Millisecond) // acknowledgements
		for i := range m {
			m[i].mu.Lock()
			sent := m[i].sequence
			m[i].mu.Unlock()
			if got, done := m[i].acknowledged(uint64(i)); got != sent {
				t.Errorf("member %d has sent %d chunks, of which %d are acknowledged; done: %v", i, sent, got, done)
			}
		}
		// All are told done, to one or the other.
		_, done := m[0].acknowledged(0)
		_, more := m[1].acknowledged(0)
		for i := range uint64(n + 1) {
			if o := (bond.Object{Alias: bondAlias, Group: 1, Object: i}); !slices.Contains(append(done, more...), o) {
				t.Errorf("object %d was not told done", i)
			}
		}
	})
}
