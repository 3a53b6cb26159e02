package transport_test

import (
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
