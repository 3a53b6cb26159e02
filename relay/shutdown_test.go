package relay_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

func asNode(name string) *transport.Config {
	return &transport.Config{Options: moqt.Properties{{Type: relay.OptionNode, Bytes: []byte(name)}}}
}

// TestShutdownWaitsForNoRelay keeps a relay until its viewers have gone, but not
// for another relay, which may have nowhere to go.
func TestShutdownWaitsForNoRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		other := connect(t, r, asNode("moqt://other"))
		if _, err := other.WatchNamespaces(t.Context(), moqt.Namespace{}); err != nil {
			t.Fatal(err)
		}
		viewer := connect(t, r, nil)
		go func() {
			<-viewer.GoawayReceived()
			time.Sleep(3 * time.Second)
			viewer.Close()
		}()
		synctest.Wait()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r.Shutdown(ctx, "")
		if took := time.Since(start); took < 3*time.Second || took > 4*time.Second {
			t.Errorf("Shutdown() took %v, want the 3s that the viewer stays", took)
		}
		select {
		case <-other.GoawayReceived():
		default:
			t.Error("the other relay was not told")
		}
		<-other.Context().Done()
	})
}

// origins has one relay for every namespace.
type origins struct{ node string }

func (o origins) Register(moqt.Namespace)   {}
func (o origins) Unregister(moqt.Namespace) {}
func (o origins) Lookup(context.Context, moqt.Namespace) ([]api.Origin, error) {
	return []api.Origin{{Node: o.node, URL: o.node}}, nil
}

// TestRelayLeavesWhoGoesAway has a relay get a track from another one, which
// goes away: with the track's last subscriber the session between them ends, and
// for the next one there is a new session.
func TestRelayLeavesWhoGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := newRelay(t, relay.Config{Node: "moqt://far"})
		var dialled atomic.Int32
		sessions := make(chan *transport.Session, 2)
		near := newRelay(t, relay.Config{Node: "moqt://near", Linger: time.Second, Origins: origins{"moqt://far"},
			Dial: func(context.Context, string) (*transport.Session, error) {
				dialled.Add(1)
				s := connect(t, far, asNode("moqt://near"))
				sessions <- s
				return s, nil
			}})
		p := publish(t, connect(t, far, nil), track)
		viewer := connect(t, near, nil)
		sub, err := viewer.Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := collect(sub)
		p.write(0, 0)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go far.Shutdown(ctx, "") // waits for the publisher, which stays
		synctest.Wait()
		p.write(0, 1)
		synctest.Wait()
		if n := len(got.locations()); n != 2 {
			t.Errorf("%d objects came, want 2: a session that goes away goes on", n)
		}
		between := <-sessions
		viewer.Close()
		start := time.Now()
		<-between.Context().Done()
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("the session between the relays ended after %v, want the linger of 1s", took)
		}
		connect(t, near, nil).Subscribe(t.Context(), track, nil)
		if n := dialled.Load(); n != 2 {
			t.Errorf("%d sessions were dialled, want a new one after GOAWAY", n)
		}
		near.Close() // before the test's context ends, with which nobody can be dialled
	})
}
