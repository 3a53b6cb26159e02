package bond

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// bulk keeps something to send for d and returns what arrived in all but the first
// warm of it, bytes/s.
func (b *bonded) bulk(d, warm time.Duration) float64 {
	begin := time.Now()
	var before int64
	id := uint64(0)
	for time.Since(begin) < d {
		for b.waiting() < 48 {
			if id%60 == 0 && id > 0 {
				b.EndSubgroup(1, id/60-1, 0, 60, true)
			}
			b.put(1, id/60, id%60, 16<<10, Vital)
			id++
		}
		if before == 0 && time.Since(begin) >= warm {
			before = b.arrived()
		}
		time.Sleep(5 * ms)
	}
	return float64(b.arrived()-before) / (d - warm).Seconds()
}

func (b *bonded) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.sched.queue)
}

func (b *bonded) arrived() (n int64) {
	b.relay.mu.Lock()
	defer b.relay.mu.Unlock()
	for _, o := range b.relay.objects {
		n += o.have.size()
	}
	return n
}

// beside runs a single QUIC connection with all it can send over a link, until ctx
// ends, and returns how many bytes the other end has got.
func beside(ctx context.Context, t *testing.T, r *testRelay, l *netsim.Link) func() int64 {
	d := &transport.Dialer{TLSConfig: r.client, ListenPacket: transporttest.ListenPacket(l), Config: &transport.Config{Extensions: []transport.Extension{{
		Option: bond.OfferOption(), Agree: bond.Offered, Streams: []uint64{bond.StreamType},
		Serve: func(s *transport.Session, _ uint64, _ transport.ReceiveStream) error {
			<-s.Context().Done()
			return nil
		},
	}}}}
	sess, err := d.Dial(ctx, r.url)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		payload := make([]byte, 32<<10)
		for i := uint64(0); ctx.Err() == nil; i++ {
			st, err := sess.OpenExtensionStream(ctx, bond.ChunkType)
			if err != nil {
				return
			}
			st.Write(bond.AppendHeader(nil, &bond.Header{Object: bond.Object{Alias: 99, Group: i}, Size: int64(len(payload))}))
			st.Write(bond.AppendChunk(nil, &bond.Chunk{Sequence: i, Bytes: payload}))
			st.Close()
		}
	}()
	context.AfterFunc(ctx, func() { sess.Close(); <-done })
	return func() (n int64) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for o, a := range r.objects {
			if o.Alias == 99 {
				n += a.have.size()
			}
		}
		return n
	}
}

// simLinkSpec is a link of so many Mbit/s.
type simLinkSpec struct {
	mbit float64
	rtt  time.Duration
	loss float64 // of what is sent
}

func (l simLinkSpec) on(net *netsim.Network) *netsim.Link {
	return net.Link(netsim.Rate(int64(l.mbit*1e6)), netsim.Delay(l.rtt/2), netsim.Up(netsim.Loss(l.loss)))
}

// TestBulkOverQUIC sends as much as fits, and wants nearly all that the links can
// carry together, of those too that lose packets.
func TestBulkOverQUIC(t *testing.T) {
	for _, c := range []struct {
		name  string
		links []simLinkSpec
		least float64 // per cent of the links' rates
	}{
		{"10+2", []simLinkSpec{{10, 50 * ms, 0}, {2, 120 * ms, 0}}, 92},
		{"5+5, 1 % lost", []simLinkSpec{{5, 50 * ms, .01}, {5, 50 * ms, .01}}, 70},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := netsim.New(t, netsim.Seed(3))
				relay := newTestRelay(t, net)
				b := startBond(relay, Config{Mode: Aggregate, Deadline: time.Hour})
				var sum float64
				for i, l := range c.links {
					sum += l.mbit
					b.AddPath(pathOver(i, l.on(net)))
				}
				b.joined(len(c.links))
				got := 100 * 8 * b.bulk(14*time.Second, 7*time.Second) / 1e6 / sum
				conns := ""
				for _, p := range b.Status().Paths {
					conns += fmt.Sprintf(" %d connections, RTT %v;", p.Connections, p.RTT.Round(ms))
				}
				t.Logf("%.1f %%;%s %+v", got, conns, b.Status().Stats)
				if got < c.least {
					t.Errorf("%.1f %% of the links' rates arrived, want %.0f", got, c.least)
				}
			})
		})
	}
}

// TestWhatOthersKeep has a bond share a link with one connection of quic-go, both
// with more to send than fits. Where the link loses nothing it is to keep what is its
// due but for some; and a third of what it would have alone where NewReno leaves
// most of the link. Losses are random, so what it keeps is taken over 30 s.
func TestWhatOthersKeep(t *testing.T) {
	for _, c := range []struct {
		name   string
		mbit   float64
		loss   float64
		length time.Duration // of which the first ten seconds do not count
		least  float64       // Mbit/s
	}{
		{"no loss", 5, 0, 40 * time.Second, 1.4},
		{"1 % lost", 10, .01, 40 * time.Second, 1.2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := netsim.New(t, netsim.Seed(5))
				relay := newTestRelay(t, net)
				link := simLinkSpec{c.mbit, 50 * ms, c.loss}.on(net)
				b := startBond(relay, Config{Mode: Aggregate, Deadline: time.Hour}, link)
				b.joined(1)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				other := beside(ctx, t, relay, link)
				var at int64
				time.AfterFunc(10*time.Second, func() { at = other() })
				all := 8 * b.bulk(c.length, 10*time.Second) / 1e6
				kept := 8 * float64(other()-at) / (c.length - 10*time.Second).Seconds() / 1e6
				t.Logf("it keeps %.2f Mbit/s, we have %.2f by %d connections", kept, all-kept, b.Status().Paths[0].Connections)
				if kept < c.least {
					t.Errorf("it keeps %.2f Mbit/s of %.0f, want %.1f", kept, c.mbit, c.least)
				}
			})
		})
	}
}

// TestVideoOverQUIC publishes as much as nearly fits.
func TestVideoOverQUIC(t *testing.T) {
	for _, c := range []struct {
		name  string
		rate  float64 // Mbit/s
		links []simLinkSpec
		check func(result) bool
	}{
		{"6 on 5+3", 6, []simLinkSpec{{5, 50 * ms, 0}, {3, 120 * ms, 0}}, func(r result) bool { return r.p99 <= 300*ms && r.late[500] <= 0.5 }},
		{"9 on 10+2", 9, []simLinkSpec{{10, 50 * ms, 0}, {2, 120 * ms, 0}}, func(r result) bool { return r.p99 <= 220*ms && r.late[500] == 0 }},
		{"2 on 3x0.8", 2, []simLinkSpec{{.8, 60 * ms, 0}, {.8, 60 * ms, 0}, {.8, 60 * ms, 0}}, func(r result) bool { return r.late[1000] == 0 && r.late[500] <= 2 }},
		{"4 on 10+10, 1 % lost", 4, []simLinkSpec{{10, 50 * ms, .01}, {10, 50 * ms, .01}}, func(r result) bool { return r.late[200] <= 1 && r.late[500] == 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := netsim.New(t, netsim.Seed(2))
				relay := newTestRelay(t, net)
				var links []*netsim.Link
				for _, l := range c.links {
					links = append(links, l.on(net))
				}
				b := startBond(relay, Config{Mode: Aggregate}, links...)
				b.joined(len(links))
				begin := time.Now()
				b.video(c.rate*1e6, 12*time.Second, nil)
				time.Sleep(3 * time.Second)
				r := b.result(begin.Add(3*time.Second), time.Now())
				t.Logf("%v; %+v", r, b.Status().Stats)
				if r.lost > 0 || !c.check(r) {
					t.Errorf("%v", r)
				}
			})
		})
	}
}
