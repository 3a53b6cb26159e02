package bond

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// TestSessionMovesToAnotherPath cuts the link that a broadcast goes by, at relays
// that want one publisher, then the other one, then takes a path away. The session
// stays the same, and so does the viewer's subscription.
func TestSessionMovesToAnotherPath(t *testing.T) {
	for _, policy := range []Treatment{NewestWins, OldestWins, Refuses} {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := netsim.New(t, netsim.Seed(9))
				f := newForeign(t, n, policy)
				links := []*netsim.Link{
					n.Link(netsim.Rate(10*netsim.Mbit), netsim.Delay(20*ms)),
					n.Link(netsim.Rate(10*netsim.Mbit), netsim.Delay(40*ms)),
				}
				var c clockwork
				b := startRoaming(t, f, n, &c, pathOver(0, links[0]), pathOver(1, links[1]))
				time.Sleep(8 * time.Second) // the relay is probed meanwhile
				var v viewer
				v.watch(t, f, n)
				time.Sleep(5 * time.Second)
				if ended, gap := v.saw(t); ended != 0 || gap > 100*ms {
					t.Fatalf("before anything happens the subscription ended %d times and there was a gap of %v", ended, gap)
				}
				before := f.count()
				check := func(what string, migrations int64, setups int) {
					t.Helper()
					ended, gap := v.saw(t)
					t.Logf("%s: gap %v, %d setups", what, gap, f.count()-before)
					if s := b.Status(); s.Migrations != migrations || ended != 0 || gap > 1500*ms || f.count() > before+setups {
						t.Errorf("%s: %d migrations, %d subscriptions ended, a gap of %v, %d new sessions; want %d, 0, at most 1.5 s and %d",
							what, s.Migrations, ended, gap, f.count()-before, migrations, setups)
					}
				}
				links[0].Cut()
				time.Sleep(5 * time.Second)
				check("the first link is cut", 1, 0)
				links[0].Restore()
				links[1].Cut()
				time.Sleep(5 * time.Second)
				check("the second is cut", 2, 1) // one waits where the session came from
				links[1].Restore()
				time.Sleep(20 * time.Second)
				if c.sessions != 1 {
					t.Errorf("%d sessions have published, want one", c.sessions)
				}
				if policy != NewestWins {
					return
				}
				// The QUIC of this relay follows a connection twice. Then the session
				// that waits takes over, as at one that does not follow at all.
				links[0].Cut()
				time.Sleep(15 * time.Second)
				_, gap := v.saw(t)
				t.Logf("the first link is cut again: gap %v", gap)
				if c.sessions < 2 || gap > 6*time.Second {
					t.Errorf("%d sessions have published, want another; a gap of %v", c.sessions, gap)
				}
			})
		})
	}
}

// TestSessionLeavesAPathThatIsGone unplugs the path that a broadcast goes by, and
// plugs it in again.
func TestSessionLeavesAPathThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := netsim.New(t, netsim.Seed(9))
		f := newForeign(t, n, NewestWins)
		links := []*netsim.Link{n.Link(netsim.Delay(10 * ms)), n.Link(netsim.Delay(30 * ms))}
		var c clockwork
		b := startRoaming(t, f, n, &c, pathOver(0, links[0]), pathOver(1, links[1]))
		time.Sleep(15 * time.Second)
		var v viewer
		v.watch(t, f, n)
		time.Sleep(2 * time.Second)
		links[0].Cut()
		b.RemovePath("a")
		time.Sleep(10 * time.Second)
		links[0].Restore()
		b.AddPath(pathOver(0, links[0]))
		time.Sleep(10 * time.Second)
		links[1].Cut()
		b.RemovePath("b")
		time.Sleep(10 * time.Second)
		ended, gap := v.saw(t)
		t.Logf("gap %v", gap)
		if s := b.Status(); s.Migrations != 2 || ended != 0 || gap > 500*ms || c.sessions != 1 {
			t.Errorf("%d migrations, %d subscriptions ended, a gap of %v, %d sessions; want 2, 0, at most 500 ms and one", s.Migrations, ended, gap, c.sessions)
		}
	})
}

// TestSessionGoesHome has a path that costs more connect first. The session moves
// to the one that costs less when that is there, and back while it is dark.
func TestSessionGoesHome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := netsim.New(t, netsim.Seed(9))
		f := newForeign(t, n, NewestWins)
		cheap := n.Link(netsim.Rate(10*netsim.Mbit), netsim.Delay(20*ms))
		dear := n.Link(netsim.Rate(10*netsim.Mbit), netsim.Delay(20*ms))
		var c clockwork
		b := startRoaming(t, f, n, &c, Path{Name: "dear", Cost: Backup, ListenPacket: transporttest.ListenPacket(dear)})
		time.Sleep(2 * time.Second)
		var v viewer
		v.watch(t, f, n)
		b.AddPath(Path{Name: "cheap", ListenPacket: transporttest.ListenPacket(cheap)})
		time.Sleep(25 * time.Second)
		carried := func(l *netsim.Link) int64 {
			up, _ := l.Stats()
			defer l.Stats()
			return up.SentBytes
		}
		was := carried(dear)
		time.Sleep(5 * time.Second)
		if by := carried(dear) - was; by > 50_000 {
			t.Errorf("the dear path carried %d bytes in 5 s, though the other is there", by)
		}
		cheap.Blackout(5 * time.Second)
		time.Sleep(25 * time.Second)
		was = carried(dear)
		time.Sleep(5 * time.Second)
		if by := carried(dear) - was; by > 50_000 {
			t.Errorf("the dear path carried %d bytes in 5 s, though the other is back", by)
		}
		ended, gap := v.saw(t)
		if s := b.Status(); s.Migrations != 3 || ended != 0 || gap > 1500*ms {
			t.Errorf("%d migrations, %d subscriptions ended, a gap of %v; want 3, 0 and at most 1.5 s", s.Migrations, ended, gap)
		}
	})
}

// TestSessionWaitsForHome begins on the path that costs less, which is dark for a
// while: the session does not look there before that works again.
func TestSessionWaitsForHome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := netsim.New(t, netsim.Seed(9))
		f := newForeign(t, n, NewestWins)
		cheap := n.Link(netsim.Delay(20 * ms))
		dear := n.Link(netsim.Delay(20 * ms))
		var c clockwork
		b := startRoaming(t, f, n, &c, Path{Name: "cheap", ListenPacket: transporttest.ListenPacket(cheap)})
		time.Sleep(2 * time.Second)
		b.AddPath(Path{Name: "dear", Cost: Backup, ListenPacket: transporttest.ListenPacket(dear)})
		var v viewer
		v.watch(t, f, n)
		time.Sleep(10 * time.Second)
		cheap.Cut()
		time.Sleep(time.Minute)
		if s := b.Status(); s.Migrations != 1 || s.Paths[0].Rate > 0 || s.Paths[1].Rate < 300_000 {
			t.Errorf("while the path is dark there were %d migrations, and the paths are %+v; want one, and all on the dear path", s.Migrations, s.Paths)
		}
		cheap.Restore()
		time.Sleep(30 * time.Second)
		ended, gap := v.saw(t)
		if s := b.Status(); s.Migrations != 2 || ended != 0 || gap > 1500*ms || s.Paths[0].Rate < 300_000 {
			t.Errorf("%d migrations, %d subscriptions ended, a gap of %v, paths %+v; want 2, 0, at most 1.5 s and all on the cheap path", s.Migrations, ended, gap, s.Paths)
		}
	})
}

// TestSessionThatCannotMove has paths that no second socket can be opened on: the
// session that waits takes over.
func TestSessionThatCannotMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := netsim.New(t, netsim.Seed(9))
		f := newForeign(t, n, NewestWins)
		links := tenTen(n)
		once := func(i int) Path {
			p := pathOver(i, links[i])
			listen := p.ListenPacket
			var opened atomic.Int32
			p.ListenPacket = func(ctx context.Context) (net.PacketConn, error) {
				if opened.Add(1) > 1 {
					return nil, errors.New("no more sockets")
				}
				return listen(ctx)
			}
			return p
		}
		var c clockwork
		b := startRoaming(t, f, n, &c, once(0), once(1))
		time.Sleep(20 * time.Second)
		var v viewer
		v.watch(t, f, n)
		time.Sleep(5 * time.Second)
		from, _ := links[0].Stats()
		to, _ := links[1].Stats()
		at := 0
		if to.SentBytes > from.SentBytes {
			at = 1
		}
		links[at].Cut()
		time.Sleep(20 * time.Second)
		ended, gap := v.saw(t)
		t.Logf("gap %v", gap)
		if s := b.Status(); s.Migrations != 0 || ended == 0 || gap > 6*time.Second || c.sessions < 2 {
			t.Errorf("%d migrations, %d subscriptions ended, a gap of %v, %d sessions; want another session and none moved", s.Migrations, ended, gap, c.sessions)
		}
	})
}

func TestEar(t *testing.T) {
	at := func(d time.Duration) time.Time { return epoch.Add(d) }
	stats := func(received, sent uint64) transport.ConnStats {
		return transport.ConnStats{BytesReceived: received, BytesSent: sent, RTT: 40 * ms, Deviation: 5 * ms}
	}
	var e Ear
	for _, c := range []struct {
		after          time.Duration
		received, sent uint64
		silent         bool
	}{
		{0, 100, 1000, false},
		{50 * ms, 200, 9000, false},
		{10 * time.Second, 200, 9100, false}, // an acknowledgement; nobody answers that
		{10050 * ms, 200, 12000, false},      // from here on there should be an answer
		{10150 * ms, 200, 15000, false},      // perhaps a little later
		{10300 * ms, 200, 15000, true},
		{10350 * ms, 240, 15000, false},
	} {
		if got := e.Silence(stats(c.received, c.sent), at(c.after)); (got > 0) != c.silent {
			t.Errorf("after %v the silence is %v, want one: %v", c.after, got, c.silent)
		}
	}
}

// TestPatient loses packets where the network has gone, and tells other faults.
func TestPatient(t *testing.T) {
	fault := func(err error) error { return &net.OpError{Op: "write", Err: err} }
	for _, c := range []struct {
		err  error
		lost bool
	}{{syscall.ENETUNREACH, true}, {syscall.ENODEV, true}, {syscall.EMSGSIZE, false}, {net.ErrClosed, false}} {
		n, err := (&patientConn{}).lost(0, 1200, fault(c.err))
		if c.lost && (n != 1200 || err != nil) || !c.lost && err == nil {
			t.Errorf("a write that fails with %v returns %d, %v", c.err, n, err)
		}
	}
	pc, err := patient(nil, nil)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	if _, ok := pc.(interface {
		WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error)
		SyscallConn() (syscall.RawConn, error)
	}); !ok {
		t.Errorf("a %T has lost what QUIC asks of a socket", pc)
	}
}
