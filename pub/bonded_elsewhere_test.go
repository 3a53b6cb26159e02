package pub

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/pub/bond"
)

// publishElsewhere publishes with the second link to a relay of its own, which here is
// the same: what is different is that it takes what comes there as another's.
func (b *bondTest) publishElsewhere(cost bond.Cost, bits int64) {
	p := b.path(1)
	p.URL, p.Cost, p.Cap = b.url, cost, bits
	links := b.links
	b.links = links[:1]
	b.publish(bond.Hybrid)
	b.links = links
	b.pub.Bond().AddPath(p)
}

// rate returns what a link carries upwards in the time to come, bit/s.
func (b *bondTest) rate(i int, d time.Duration) int64 {
	was := b.carried()[i]
	time.Sleep(d)
	return 8 * (b.carried()[i] - was) * int64(time.Second) / int64(d)
}

// TestBackupElsewhere has a path to a relay of its own stand in when the others fail,
// and leave again when they are back for some time.
func TestBackupElsewhere(t *testing.T) {
	for _, cost := range []bond.Cost{bond.Secondary, bond.Backup} {
		synctest.Test(t, func(t *testing.T) {
			b := newBondTest(t, true, ten(), ten())
			b.publishElsewhere(cost, 0)
			b.watch("video", "audio")
			time.Sleep(5 * time.Second)
			const idle = 20_000
			if r := b.rate(1, 3*time.Second); r > idle {
				t.Errorf("%v: it carries %d bit/s where the other link is well", cost, r)
			}
			b.links[0].Blackout(6 * time.Second)
			time.Sleep(2 * time.Second)
			media := b.rate(1, 4*time.Second)
			if media < 5*idle {
				t.Errorf("%v: it carries %d bit/s where the other link is dead", cost, media)
			}
			time.Sleep(10 * time.Second)
			if r := b.rate(1, 5*time.Second); r < media/2 {
				t.Errorf("%v: it carries %d bit/s when the other is back for ten seconds", cost, r)
			}
			time.Sleep(15 * time.Second)
			if r := b.rate(1, 5*time.Second); r > idle {
				t.Errorf("%v: it carries %d bit/s when the other is well again for long", cost, r)
			}
			if gap := b.check(1002, 1040, "video", "audio"); gap > 2*time.Second {
				t.Errorf("%v: nothing new was there for %v", cost, gap)
			}
			b.pub.Bond().RemovePath("link0")
			time.Sleep(2 * time.Second)
			if r := b.rate(1, 4*time.Second); r < media/2 {
				t.Errorf("%v: it carries %d bit/s where the other link is gone", cost, r)
			}
		})
	}
}

// TestCapElsewhere bounds what goes by it, and leaves the rest to the others.
func TestCapElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 100_000
		b := newBondTest(t, true, ten(), ten())
		b.publishElsewhere(bond.Primary, most)
		b.watch("video", "audio")
		time.Sleep(5 * time.Second)
		if r := b.rate(1, 5*time.Second); r > most*11/10 || r < most/2 {
			t.Errorf("it carries %d bit/s, want %d at most", r, most)
		}
		b.check(1002, 1009, "video", "audio")
	})
}
