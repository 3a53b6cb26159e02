package relay_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// counted returns the value of a counter without labels.
func counted(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	return gathered(t, reg, name).GetCounter().GetValue()
}

// gathered returns a metric without labels.
func gathered(t *testing.T, reg *prometheus.Registry, name string) *dto.Metric {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0]
		}
	}
	t.Fatalf("there is no metric %s", name)
	return nil
}

// datagrams reads the ids of a track's datagrams until the test ends.
func datagrams(t *testing.T, tr *transport.TrackReader) func() []uint64 {
	var mu sync.Mutex
	var ids []uint64
	go func() {
		for {
			o, err := tr.ReceiveDatagram(context.Background())
			if err != nil {
				return
			}
			mu.Lock()
			ids = append(ids, o.Object)
			mu.Unlock()
		}
	}()
	return func() []uint64 {
		mu.Lock()
		defer mu.Unlock()
		return ids
	}
}

// TestDatagramsOfASlowSubscriber sends datagrams over a path that is far too narrow
// for them: what waits is bounded, the oldest go, the newest come, what went is
// counted, and another subscriber notices nothing.
func TestDatagramsOfASlowSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		r := newRelay(t, relay.Config{Metrics: relay.NewMetrics(reg)})
		p := scripted(t, r, track.Namespace, nil, nil)
		fast := datagrams(t, subscribe(t, r, nil))
		w := <-p.accepted
		link := netsim.New(t).Link(netsim.Rate(400*netsim.Kbit), netsim.Delay(5*time.Millisecond), netsim.Queue(1<<20))
		narrow, err := connectOver(t, r, link).Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		slow := datagrams(t, narrow)
		const n = 1000
		for id := range uint64(n) {
			o := moqt.Object{Location: moqt.Location{Object: id}, Payload: make([]byte, 1000)}
			if err := w.SendDatagram(o); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Millisecond) // 4 Mbit/s
		}
		time.Sleep(time.Minute) // what waits is sent
		if got := len(fast()); got != n {
			t.Errorf("the other subscriber got %d datagrams, want %d", got, n)
		}
		got := slow()
		dropped := counted(t, reg, "moq_relay_datagrams_dropped_total")
		if len(got) == 0 || got[len(got)-1] != n-1 {
			t.Fatalf("the slow subscriber got %d datagrams, want some, and the newest at last", len(got))
		}
		if dropped == 0 || float64(len(got))+dropped > n {
			t.Errorf("%d datagrams came and %v were counted as dropped, of %d", len(got), dropped, n)
		}
		// What was sent while the publisher sent, 256 in the log, 32 in QUIC, and what is in flight.
		if most := 2*400/8 + 256 + 32 + 112; len(got) > most {
			t.Errorf("%d datagrams came, want %d at most: too many waited", len(got), most)
		}
	})
}
