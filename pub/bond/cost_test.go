package bond

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport/bond"
)

// costly plugs in a link whose path costs something.
func (m *sim) costly(l *simLink, cost bond.Cost) {
	l.id, l.name, l.up = uint64(len(m.links)), cost.String(), true
	m.links = append(m.links, l)
	m.s.AddMember(l.id, l.name, cost, m.now)
	m.observe(l)
}

// TestCosts has paths of each cost: the dearer ones carry something where the others
// are short, and little more than probes where they are not.
func TestCosts(t *testing.T) {
	type share struct{ least, most float64 } // percent of all that was sent
	spared := share{0, 5}
	for _, mode := range []Mode{Aggregate, Hybrid} {
		for _, c := range []struct {
			primary, secondary float64 // Mbit/s
			want               [3]share
		}{
			{10, 10, [3]share{{90, 100}, spared, spared}},
			{4.6, 10, [3]share{{20, 90}, {10, 80}, spared}},
			{1.5, 1.5, [3]share{{5, 50}, {5, 50}, {20, 90}}},
		} {
			m := newSim(t, mode)
			m.costly(mbit(c.primary, 40*ms), bond.Primary)
			m.costly(mbit(c.secondary, 50*ms), bond.Secondary)
			m.costly(mbit(10, 60*ms), bond.Backup)
			m.video(4e6, 25*time.Second)
			m.run(5 * time.Second) // in which rates are found out
			var before [3]int64
			for i, l := range m.links {
				before[i] = l.sent
			}
			m.run(20 * time.Second)
			var sum int64
			for i, l := range m.links {
				sum += l.sent - before[i]
			}
			for i, l := range m.links {
				if got, want := 100*float64(l.sent-before[i])/float64(sum), c.want[i]; got < want.least || got > want.most {
					t.Errorf("%v, primary %v, secondary %v: the %s path carries %.1f %%, want %v to %v", mode, c.primary, c.secondary, l.name, got, want.least, want.most)
				}
			}
			if r := m.report(5*time.Second, 24*time.Second); r.late[500] > 0 {
				t.Errorf("%v, primary %v, secondary %v: %v", mode, c.primary, c.secondary, r)
			}
		}
	}
}

// TestCap has a path that may carry less than it can, in a bond from end to end: it
// carries that, and no more.
func TestCap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := netsim.New(t)
		relay := newTestRelay(t, net)
		links := tenTen(net)
		b := startBond(relay, Config{Mode: Aggregate}, links[0])
		capped := pathOver(1, links[1])
		capped.Cap = 800_000
		b.AddPath(capped)
		b.joined(2)
		bulk := func(d time.Duration) (sent int64) {
			up, _ := links[1].Stats()
			before := up.SentBytes
			end := time.Now().Add(d)
			for group := uint64(time.Now().UnixMilli()); time.Now().Before(end); group++ {
				b.put(1, group, 0, 40_000, Ordinary) // 16 Mbit/s
				b.EndSubgroup(1, group, 0, 1, true)
				time.Sleep(20 * ms)
			}
			up, _ = links[1].Stats()
			return up.SentBytes - before
		}
		bulk(3 * time.Second)
		const d = 10 * time.Second
		got := float64(bulk(d)) * 8 / d.Seconds()
		if limit := float64(capped.Cap); got < 0.7*limit || got > 1.25*limit { // headers, acknowledgements and all
			t.Errorf("%.0f bits/s went up a path that may carry %.0f of payload", got, limit)
		}
		if i := slices.IndexFunc(b.Status().Paths, func(p PathStatus) bool { return p.Name == capped.Name }); b.Status().Paths[i].Rate > 2*capped.Cap {
			t.Errorf("the path is said to carry %d bits/s", b.Status().Paths[i].Rate)
		}
	})
}
