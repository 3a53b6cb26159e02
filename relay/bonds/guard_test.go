package bonds

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// TestGuardIsBounded fails joins from very many addresses: those beyond what is
// counted apart share a count, and a while later there is room again.
func TestGuardIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g guard
		g.init(2)
		at := func(i int) netip.Prefix {
			return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
		}
		for i := range 3 * maxGuarded {
			g.failed(at(i))
		}
		if len(g.from) > maxGuarded+1 {
			t.Errorf("%d addresses are counted", len(g.from))
		}
		if !g.mayTry(at(0)) {
			t.Error("one failure is too many for an address that is counted apart")
		}
		if g.mayTry(at(2*maxGuarded)) || g.mayTry(at(4*maxGuarded)) {
			t.Error("addresses beyond those may try on after many failures")
		}
		time.Sleep(time.Minute)
		g.failed(at(5 * maxGuarded))
		if len(g.from) > 2 || !g.mayTry(at(5*maxGuarded)) {
			t.Errorf("a minute later %d addresses are counted", len(g.from))
		}
	})
}

func TestGuardCountsNetworks(t *testing.T) {
	for _, c := range []struct{ one, other string }{
		{"[2001:db8::1]:4443", "[2001:db8::ffff:2]:9"},
		{"192.0.2.1:4443", "[::ffff:192.0.2.1]:5"},
	} {
		if x, y := network(c.one), network(c.other); x != y || !x.IsValid() {
			t.Errorf("%s is counted as %v, %s as %v", c.one, x, c.other, y)
		}
	}
	if x, y := network("192.0.2.1:1"), network("192.0.2.2:1"); x == y {
		t.Errorf("two addresses are counted as %v", x)
	}
	if x := network("client"); x.IsValid() {
		t.Errorf("no address is counted as %v", x)
	}
}
