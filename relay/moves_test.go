package relay_test

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// TestClientsMove has the NATs of a publisher and of a subscriber forget them in the
// middle of a group. The sessions go on, nothing is lost, and the moves are told.
func TestClientsMove(t *testing.T) {
	for name, pair := range map[string]func(testing.TB, *netsim.Link, ...moqt.Version) (client, server transport.Conn){
		"QUIC": transporttest.QUICPair, "WebTransport": transporttest.WebTransportPair,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg := prometheus.NewRegistry()
				var log bytes.Buffer // written by the relay, read when it is closed
				r := relay.New(relay.Config{Metrics: relay.NewMetrics(reg), Logger: slog.New(slog.NewTextHandler(&log, nil))})
				n := netsim.New(t)
				var served sync.WaitGroup
				link := func() (*netsim.Link, *transport.Session) {
					l := n.Link(netsim.Rate(5*netsim.Mbit), netsim.Delay(20*time.Millisecond))
					client, server := pair(t, l)
					served.Go(func() {
						if s, err := transport.NewSession(t.Context(), server, nil); err == nil {
							r.ServeSession(t.Context(), s)
						}
					})
					s, err := transport.NewSession(t.Context(), client, nil)
					if err != nil {
						t.Fatal(err)
					}
					return l, s
				}
				pubLink, pubSession := link()
				subLink, subSession := link()
				p := publish(t, pubSession, track)
				time.Sleep(time.Second)
				tr, err := subSession.Subscribe(t.Context(), track, nil)
				if err != nil {
					t.Fatal(err)
				}
				viewer := collect(tr)
				time.Sleep(time.Second)

				var sent []moqt.Location
				for id := range uint64(200) { // 20 s
					p.write(1, id)
					sent = append(sent, moqt.Location{Group: 1, Object: id})
					switch id {
					case 50:
						pubLink.Rebind()
					case 100:
						subLink.Rebind()
					}
					time.Sleep(100 * time.Millisecond)
				}
				time.Sleep(10 * time.Second) // a subscriber says nothing by itself for some seconds
				if got := viewer.locations(); !slices.Equal(got, sent) {
					t.Errorf("%d objects of %d arrived: %v", len(got), len(sent), got)
				}
				if pubSession.Context().Err() != nil || subSession.Context().Err() != nil {
					t.Error("a session has ended")
				}
				if got := counted(t, reg, "moq_relay_migrations_total"); got != 2 {
					t.Errorf("%v migrations were counted, want 2", got)
				}
				for i, s := range r.State().Sessions {
					if s.Migrations != 1 {
						t.Errorf("session %d has moved %d times, want once", i, s.Migrations)
					}
					if !strings.HasSuffix(s.Remote, ":4444") {
						t.Errorf("session %d is said to be at %s, which is not where its NAT has put it", i, s.Remote)
					}
				}
				pubSession.Close()
				subSession.Close()
				served.Wait()
				r.Close()
				if lines := strings.Count(log.String(), `msg="session moved"`); lines != 2 {
					t.Errorf("the log tells of %d moves, want 2:\n%s", lines, log.String())
				}
			})
		})
	}
}
