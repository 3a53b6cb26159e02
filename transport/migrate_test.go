package transport_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// TestMigrate moves a session from a link that is cut to another in the middle of
// a stream. What the stream carries arrives, on the same session, and nothing is
// left open.
func TestMigrate(t *testing.T) {
	for name, pair := range map[string]func(testing.TB, *netsim.Link, ...moqt.Version) (client, server transport.Conn){
		"QUIC": transporttest.QUICPair, "WebTransport": transporttest.WebTransportPair,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := netsim.New(t)
				first := n.Link(netsim.Delay(20 * time.Millisecond))
				second := n.Link(netsim.Delay(30 * time.Millisecond))
				client, server := pair(t, first)
				var relay *transport.Session
				var wg sync.WaitGroup
				wg.Go(func() { relay, _ = transport.NewSession(t.Context(), server, nil) })
				sess, err := transport.NewSession(t.Context(), client, nil)
				wg.Wait()
				if err != nil || relay == nil {
					t.Fatal(err)
				}
				defer relay.Close()
				defer sess.Close()

				if err := sess.Migrate("second"); !errors.Is(err, transport.ErrCannotMigrate) {
					t.Errorf("Migrate to what was not explored = %v, want ErrCannotMigrate", err)
				}
				if err := relay.Explore(t.Context(), "back", transporttest.ListenPacket(second)); !errors.Is(err, transport.ErrCannotMigrate) {
					t.Errorf("Explore by who was dialled = %v, want ErrCannotMigrate", err)
				}
				broken := errors.New("no socket")
				if err := sess.Explore(t.Context(), "broken", func(context.Context) (net.PacketConn, error) { return nil, broken }); !errors.Is(err, broken) {
					t.Errorf("Explore = %v, want %v", err, broken)
				}
				second.Cut()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				if err := sess.Explore(ctx, "second", transporttest.ListenPacket(second)); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Explore of what leads nowhere = %v, want DeadlineExceeded", err)
				}
				cancel()
				second.Restore()
				if err := sess.Explore(t.Context(), "second", transporttest.ListenPacket(second)); err != nil {
					t.Fatal(err)
				}

				// What is written after the cut waits, as nothing is acknowledged.
				name := moqt.NS("a").Track("b")
				wg.Go(func() {
					req, err := sess.Accept(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					w, err := req.(*transport.SubscribeRequest).Accept(nil)
					if err != nil {
						t.Error(err)
						return
					}
					for id := range uint64(2) {
						sg, err := w.OpenGroup(t.Context(), id)
						if err == nil {
							err = sg.WriteObject(moqt.Object{Location: moqt.Location{Group: id}, Payload: make([]byte, 200_000)})
						}
						if err != nil {
							t.Error(err)
							return
						}
						sg.Close()
						if id == 0 {
							time.Sleep(time.Second)
							first.Cut()
						}
					}
				})
				rd, err := relay.Subscribe(t.Context(), name, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer rd.Close()
				var began time.Time
				time.AfterFunc(5*time.Second, func() {
					began = time.Now()
					if err := sess.Migrate("second"); err != nil {
						t.Error(err)
					}
				})
				var at []time.Time
				for o, err := range rd.Objects(t.Context()) {
					if err != nil || len(o.Payload) != 200_000 {
						t.Fatalf("%d bytes and %v", len(o.Payload), err)
					}
					if at = append(at, time.Now()); len(at) == 2 {
						break
					}
				}
				wg.Wait()
				if took := at[1].Sub(began); took < 0 || took > time.Second {
					t.Errorf("the second object came %v after the move, want within a second", took)
				}
				sess.Leave("second") // does nothing to the one in use
				time.Sleep(10 * time.Second)
				if sess.Context().Err() != nil || relay.Context().Err() != nil {
					t.Error("the session has ended")
				}
			})
		})
	}
}
