package transport_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// TestUrgentObject sends an object of 8 KB beside ten bulk tracks on a link of
// 10 Mbit/s. With a better priority it overtakes what waits of them; with the
// same it gets its share and comes much later.
func TestUrgentObject(t *testing.T) {
	pairs := map[string]func(testing.TB, *netsim.Link, ...moqt.Version) (client, server transport.Conn){
		"quic": transporttest.QUICPair, "webtransport": transporttest.WebTransportPair,
	}
	// How the urgent track is preferred.
	ways := map[string]struct {
		sub moqt.Priority // of the subscriber
		pub moqt.Priority // of the publisher
	}{
		"by nobody": {128, 128}, "by the subscriber": {1, 128}, "by the publisher": {128, 1},
	}
	for name, pair := range pairs {
		t.Run(name, func(t *testing.T) {
			took := make(map[string]time.Duration)
			for way, p := range ways {
				synctest.Test(t, func(t *testing.T) {
					link := netsim.New(t).Link(netsim.Rate(10*netsim.Mbit), netsim.Delay(10*time.Millisecond), netsim.Queue(40<<10))
					a, b := pair(t, link)
					c, s := setup(t, a, b, nil, nil)
					took[way] = urgent(t, c, s, p.sub, p.pub)
				})
			}
			t.Logf("8 KB took %v", took)
			for _, way := range []string{"by the subscriber", "by the publisher"} {
				// 6.5 ms for itself, 10 ms under way, up to 33 ms in the link's
				// queue, which no priority orders, and what a loss costs there.
				if d := took[way]; d > 100*time.Millisecond {
					t.Errorf("preferred %s it took %v, want 100ms at most", way, d)
				}
				if took["by nobody"] < 2*took[way] {
					t.Errorf("preferred %s it took %v, and %v if not: too little is gained", way, took[way], took["by nobody"])
				}
			}
		})
	}
}

// urgent has s send 8 KB on a track of c's beside ten tracks that fill the link,
// and returns how long that takes.
func urgent(t *testing.T, c, s *transport.Session, sub, pub moqt.Priority) time.Duration {
	const bulk = 10
	subscribe := func(name string, o *transport.SubscribeOptions) (*transport.TrackReader, *transport.TrackWriter) {
		wait := async(func() (*transport.TrackReader, error) { return c.Subscribe(t.Context(), moqt.NS("a").Track(name), o) })
		w, err := accept[*transport.SubscribeRequest](t, s).Accept(nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := wait()
		if err != nil {
			t.Fatal(err)
		}
		return r, w
	}
	for i := range bulk {
		r, w := subscribe(string(rune('a'+i)), nil)
		go func() {
			for range r.Objects(t.Context()) {
			}
		}()
		go func() {
			sg, err := w.OpenGroup(t.Context(), 0)
			for err == nil {
				_, err = sg.Write(make([]byte, 20_000))
			}
		}()
	}
	r, w := subscribe("urgent", &transport.SubscribeOptions{Priority: &sub})
	time.Sleep(3 * time.Second)
	// Requests and their answers do not wait for data.
	start := time.Now()
	status := async(func() (transport.TrackInfo, error) { return c.Status(t.Context(), clock) })
	accept[*transport.StatusRequest](t, s).Accept(transport.TrackInfo{})
	if _, err := status(); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > 150*time.Millisecond {
		t.Errorf("an answer took %v beside data", d)
	}
	start = time.Now()
	sg := open(t, w, moqt.Subgroup{Priority: pub})
	if _, err := sg.Write(make([]byte, 8000)); err != nil {
		t.Fatal(err)
	}
	sg.Close()
	o, err := next(t, r).ReadObject()
	if err != nil || len(o.Payload) != 8000 {
		t.Fatalf("ReadObject() = %d bytes, %v", len(o.Payload), err)
	}
	return time.Since(start)
}

// TestSendOrder has twelve streams of one session, more than there are levels,
// all with something to send at once, and looks at the order in which that
// arrives.
func TestSendOrder(t *testing.T) {
	const n = 12
	type stream struct {
		track    int
		sub, pub moqt.Priority
		group    uint64
		subgroup uint64
	}
	prio := func(i int) moqt.Priority { return moqt.Priority(10 + i) }
	for _, tt := range []struct {
		name   string
		order  moqt.GroupOrder
		stream func(i int) stream // that is to come as number i
	}{
		{"subscriber priority", moqt.Ascending, func(i int) stream { return stream{track: i, sub: prio(i), pub: prio(n - i)} }},
		{"publisher priority", moqt.Ascending, func(i int) stream { return stream{sub: 9, pub: prio(i), group: uint64(n - i)} }},
		{"groups ascending", moqt.Ascending, func(i int) stream { return stream{sub: 9, pub: 9, group: uint64(i), subgroup: uint64(n - i)} }},
		{"groups descending", moqt.Descending, func(i int) stream { return stream{sub: 9, pub: 9, group: uint64(n - i), subgroup: uint64(n - i)} }},
		{"subgroups", moqt.Descending, func(i int) stream { return stream{sub: 9, pub: 9, group: 5, subgroup: uint64(i)} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			overSlow(t, func(t *testing.T, link *netsim.Link, c, s *transport.Session) {
				link.Set(netsim.Queue(16 << 20)) // what is lost comes later, whatever its priority
				arrived := make(chan int, n)
				writers := make(map[int]*transport.TrackWriter)
				var outs [n]*transport.SubgroupWriter
				for k := range n {
					i := k * 7 % n // opened in an order of their own
					st := tt.stream(i)
					w := writers[st.track]
					if w == nil {
						o := &transport.SubscribeOptions{Priority: &st.sub, Order: tt.order, Filter: moqt.Filter{Kind: moqt.FilterAbsoluteStart}}
						name := moqt.NS("a").Track(fmt.Sprint(st.track))
						wait := async(func() (*transport.TrackReader, error) { return c.Subscribe(t.Context(), name, o) })
						var err error
						if w, err = accept[*transport.SubscribeRequest](t, s).Accept(nil); err != nil {
							t.Fatal(err)
						}
						r, err := wait()
						if err != nil {
							t.Fatal(err)
						}
						writers[st.track] = w
						go func() {
							for {
								sg, err := r.AcceptSubgroup(t.Context())
								if err != nil {
									return
								}
								go func() {
									for {
										o, err := sg.ReadObject()
										if err != nil {
											return
										}
										if o.Object == 1 {
											arrived <- int(o.Payload[0])
										}
									}
								}()
							}
						}()
					}
					outs[i] = open(t, w, moqt.Subgroup{Group: st.group, ID: st.subgroup, Priority: st.pub, First: true})
					put(t, outs[i], 0)
				}
				time.Sleep(time.Second) // the link is idle
				for k := range n {
					i := k * 5 % n
					go func() {
						payload := make([]byte, 40<<10)
						payload[0] = byte(i)
						outs[i].WriteObject(moqt.Object{Location: at(0, 1), Payload: payload})
						outs[i].Close()
					}()
				}
				var got, want []int
				for i := range n {
					got, want = append(got, <-arrived), append(want, i)
				}
				if !slices.Equal(got, want) {
					t.Errorf("objects arrived in the order %v", got)
				}
			})
		})
	}
}
