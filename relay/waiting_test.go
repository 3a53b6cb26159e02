package relay_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// table is a cluster's table of origins, which its relays share.
type table struct {
	mu    sync.Mutex
	nodes map[moqt.Namespace]map[string]bool
}

// at is the table as one relay sees it.
type at struct {
	*table
	node string
}

func (a at) Register(ns moqt.Namespace) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.nodes[ns] == nil {
		a.nodes[ns] = make(map[string]bool)
	}
	a.nodes[ns][a.node] = true
}

func (a at) Unregister(ns moqt.Namespace) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.nodes[ns], a.node)
}

func (a at) Lookup(_ context.Context, ns moqt.Namespace) ([]api.Origin, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []api.Origin
	for node := range a.nodes[ns] {
		found = append(found, api.Origin{Namespace: ns, Node: node, URL: node})
	}
	if len(found) == 0 {
		return nil, api.ErrNotFound
	}
	return found, nil
}

// newPair returns two relays of one cluster, without a directory.
func newPair(t *testing.T) (first, second *relay.Relay) {
	t.Helper()
	nodes := &table{nodes: make(map[moqt.Namespace]map[string]bool)}
	first = newRelay(t, relay.Config{Node: "moqt://first:1", Origins: at{nodes, "moqt://first:1"}})
	second = newRelay(t, relay.Config{Node: "moqt://second:1", Origins: at{nodes, "moqt://second:1"},
		Dial: func(ctx context.Context, url string) (*transport.Session, error) {
			client, server := transporttest.Pipe(t, nil)
			go func() {
				if s, err := transport.NewSession(context.Background(), server, nil); err == nil {
					first.ServeSession(context.Background(), s)
				}
			}()
			return transport.NewSession(ctx, client, &transport.Config{
				Options: moqt.Properties{{Type: relay.OptionNode, Bytes: []byte("moqt://second:1")}}})
		}})
	return first, second
}

// A subscriber that waits at one relay is served when the publisher comes to
// another, not only when the wait is over.
func TestRendezvousAcrossRelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPair(t)
		s := connect(t, second, nil)
		const comes = 7 * time.Second
		time.AfterFunc(comes, func() { publish(t, connect(t, first, nil), track) })
		start := time.Now()
		tr, err := s.Subscribe(t.Context(), track, &transport.SubscribeOptions{Rendezvous: 20 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		if took := time.Since(start); took < comes || took > comes+5*time.Second {
			t.Errorf("Subscribe() returned after %v, want within 5 s of the publisher, which came after %v", took, comes)
		}
	})
}
