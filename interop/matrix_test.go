package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// relayUnderTest runs our relay with all drafts for a test in a bubble, and
// returns what a client needs of it but the URL's scheme.
func relayUnderTest(t *testing.T) (addr string, c Config, srv *transport.Server) {
	t.Helper()
	link := netsim.New(t).Link(netsim.Delay(2 * time.Millisecond))
	serverTLS, clientTLS := transporttest.TLS(t)
	r := relay.New(relay.Config{})
	srv = &transport.Server{TLSConfig: serverTLS, Handler: r}
	pc := link.Network().Listen()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(t.Context(), pc) }()
	t.Cleanup(func() {
		r.Close()
		srv.Close()
		<-served
	})
	return pc.LocalAddr().String(), Config{TLSConfig: clientTLS, ListenPacket: transporttest.ListenPacket(link)}, srv
}

// schemes are the two transports, as URLs tell them.
var schemes = []string{"moqt", "https"}

// TestMatrix runs all cases against our relay, which offers all drafts, by a
// client that offers one, over raw QUIC and over WebTransport.
func TestMatrix(t *testing.T) {
	for _, v := range transport.Versions() {
		for _, scheme := range schemes {
			t.Run(v.ALPN()+"/"+scheme, func(t *testing.T) {
				runCases(t, scheme, v, v)
			})
		}
	}
}

// TestTranslation has publishers of one draft and subscribers of another at one
// relay.
func TestTranslation(t *testing.T) {
	for _, pub := range transport.Versions() {
		for _, sub := range transport.Versions() {
			if pub != sub {
				t.Run(fmt.Sprintf("%d to %d", pub, sub), func(t *testing.T) { runCases(t, "moqt", pub, sub) })
			}
		}
	}
}

func runCases(t *testing.T, scheme string, pub, sub moqt.Version) {
	synctest.Test(t, func(t *testing.T) {
		addr, c, _ := relayUnderTest(t)
		c.URL = scheme + "://" + addr + "/"
		c.Versions, c.PublisherVersions = []moqt.Version{sub}, []moqt.Version{pub}
		var out strings.Builder
		results, err := Run(t.Context(), &out, c)
		if err != nil {
			t.Fatal(err)
		}
		if len(results) != len(cases) {
			t.Errorf("%d results of %d cases", len(results), len(cases))
		}
		for _, r := range results {
			if r.Err != nil {
				t.Errorf("%s: %v", r.Name, r.Err)
			}
			for _, conn := range r.Connections {
				want := sub
				if strings.HasPrefix(conn.Role, rolePublisher) {
					want = pub
				}
				if conn.Version != want || len(conn.ID) < 16 {
					t.Errorf("%s: connection %+v, want one of %v with an id", r.Name, conn, want)
				}
			}
			if skipped := r.Skipped != ""; skipped != mayLack(r.Name, pub, sub) {
				t.Errorf("%s: skipped is %q", r.Name, r.Skipped)
			}
		}
		if t.Failed() {
			t.Logf("output:\n%s", out.String())
		}
	})
}

// mayLack says which cases a pair of drafts cannot run, by the texts of the
// drafts.
func mayLack(name string, pub, sub moqt.Version) bool {
	either := func(old func(moqt.Version) bool) bool { return old(pub) || old(sub) }
	switch name {
	case "rendezvous", "rendezvous-timeout": // RENDEZVOUS_TIMEOUT is new in draft-18
		return sub < moqt.Draft18 || name == "rendezvous" && pub < moqt.Draft18
	case "fill": // FILL_PARAMETERS took the place of joining FETCH in draft-20
		return either(func(v moqt.Version) bool { return v < moqt.Draft20 })
	case "joining":
		return either(func(v moqt.Version) bool { return v >= moqt.Draft20 })
	}
	return false
}

// TestGoawayOfRelay shuts the relay down, which asks every session to go.
func TestGoawayOfRelay(t *testing.T) {
	for _, v := range transport.Versions() {
		for _, scheme := range schemes {
			t.Run(v.ALPN()+"/"+scheme, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					addr, c, srv := relayUnderTest(t)
					d := &transport.Dialer{TLSConfig: c.TLSConfig, ListenPacket: c.ListenPacket, Config: &transport.Config{Versions: []moqt.Version{v}}}
					sess, err := d.Dial(t.Context(), scheme+"://"+addr+"/")
					if err != nil {
						t.Fatal(err)
					}
					if _, err := sess.Announce(t.Context(), moqt.NS("early")); err != nil { // the relay knows the session now
						t.Fatal(err)
					}
					down := make(chan error, 1)
					go func() {
						ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
						defer cancel()
						down <- srv.Shutdown(ctx)
					}()
					select {
					case <-sess.GoawayReceived():
					case <-sess.Context().Done():
						t.Fatalf("session ended before GOAWAY: %v", context.Cause(sess.Context()))
					}
					if _, err := sess.Announce(t.Context(), moqt.NS("late")); !errors.Is(err, transport.ErrGoaway) {
						t.Errorf("Announce() = %v, want ErrGoaway", err)
					}
					sess.Close()
					if err := <-down; err != nil {
						t.Errorf("Shutdown() = %v", err)
					}
				})
			})
		}
	}
}

// TestOutput compares what is printed with what the runner reads: "MoQT Test
// Client Interface Specification".
func TestOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		addr, c, _ := relayUnderTest(t)
		c.URL = "moqt://" + addr
		c.Versions = []moqt.Version{moqt.Draft18}
		c.Cases = []string{"setup-only", "fill", "groups"}
		var out strings.Builder
		results, err := Run(t.Context(), &out, c)
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`TAP version 14
# moq-interop-client (tributary)
# Relay: moqt://%s
# Drafts offered: draft-18
1..3
ok 1 - setup-only
  ---
  duration_ms: %d
  connection_id: %q
  draft: draft-18
  ...
ok 2 - fill # SKIP draft-18 has no FILL_PARAMETERS
ok 3 - groups
  ---
  duration_ms: %d
  publisher_connection_id: %q
  publisher_draft: draft-18
  subscriber_connection_id: %q
  subscriber_draft: draft-18
  ...
`, addr, results[0].Duration.Milliseconds(), results[0].Connections[0].ID,
			results[2].Duration.Milliseconds(), results[2].Connections[0].ID, results[2].Connections[1].ID)
		if out.String() != want {
			t.Errorf("output:\n%s\nwant:\n%s", out.String(), want)
		}
	})
}

// TestFailures runs cases against servers that do wrong, and looks at what is
// said of it.
func TestFailures(t *testing.T) {
	answerWith := func(f func(transport.Request)) transport.HandlerFunc {
		return func(ctx context.Context, s *transport.Session) error {
			for {
				req, err := s.Accept(ctx)
				if err != nil {
					return nil
				}
				f(req)
			}
		}
	}
	for _, tt := range []struct {
		name, test, expected, received string
		handler                        transport.HandlerFunc
	}{
		{"refused", "announce-only", "REQUEST_OK to PUBLISH_NAMESPACE", "REQUEST_ERROR UNAUTHORIZED: no",
			answerWith(func(r transport.Request) { r.Reject(moqt.RequestUnauthorized, "no") })},
		{"no answer", "announce-only", "REQUEST_OK to PUBLISH_NAMESPACE", "timeout",
			answerWith(func(transport.Request) {})},
		{"closed", "announce-only", "REQUEST_OK to PUBLISH_NAMESPACE", "session closed by the relay with UNAUTHORIZED: who are you?",
			func(ctx context.Context, s *transport.Session) error {
				s.Accept(ctx)
				return s.CloseWithError(moqt.SessionUnauthorized, "who are you?")
			}},
		{"success", "subscribe-error", "REQUEST_ERROR to SUBSCRIBE to a track that nobody has", "success",
			answerWith(func(r transport.Request) { r.(*transport.SubscribeRequest).Accept(nil) })},
		{"another code", "rendezvous-timeout", "REQUEST_ERROR TIMEOUT to SUBSCRIBE after RENDEZVOUS_TIMEOUT", "REQUEST_ERROR DOES_NOT_EXIST: none",
			answerWith(func(r transport.Request) { r.Reject(moqt.RequestDoesNotExist, "none") })},
		{"too soon", "rendezvous-timeout", "REQUEST_ERROR after RENDEZVOUS_TIMEOUT of 500ms", "it after 4ms",
			answerWith(func(r transport.Request) { r.Reject(moqt.RequestTimeout, "none") })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				addr, c, srv := relayUnderTest(t)
				srv.Handler = tt.handler
				c.URL, c.Cases = "moqt://"+addr, []string{tt.test}
				var out strings.Builder
				results, err := Run(t.Context(), &out, c)
				if err != nil {
					t.Fatal(err)
				}
				f := results[0].Err
				if f == nil || f.Expected != tt.expected || f.Received != tt.received {
					t.Errorf("failure = %v, want: expected %s, received %s", f, tt.expected, tt.received)
				}
				for _, line := range []string{"not ok 1 - " + tt.test, "  expected: " + quote(tt.expected), "  received: " + quote(tt.received), "  connection_id: "} {
					if !strings.Contains(out.String(), "\n"+line) {
						t.Errorf("output has no line %q:\n%s", line, out.String())
					}
				}
			})
		})
	}
}

// TestNoRelay gives up after the first case where nobody answers.
func TestNoRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, _ := relayUnderTest(t)
		c.URL = "moqt://192.0.2.1:4443"
		var out strings.Builder
		results, err := Run(t.Context(), &out, c)
		if err != nil {
			t.Fatal(err)
		}
		if len(results) != 1 || results[0].Err == nil {
			t.Errorf("results = %+v, want one failure", results)
		}
		if !strings.Contains(out.String(), "\nnot ok 1 - setup-only\n") || !strings.Contains(out.String(), "\nBail out! ") {
			t.Errorf("output = %s, want a failure and Bail out!", out.String())
		}
	})
}

func TestUnknownCase(t *testing.T) {
	_, err := Run(t.Context(), nil, Config{Cases: []string{"setup-only", "nonsense"}})
	if !errors.Is(err, ErrUnknownCase) || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("Run() = %v, want ErrUnknownCase with the name", err)
	}
	names := Cases()
	slices.Sort(names)
	if len(slices.Compact(names)) != len(cases) {
		t.Error("two cases have one name")
	}
}

// TestGuide compares the table of cases in the guide with what there is.
func TestGuide(t *testing.T) {
	text, err := os.ReadFile("../docs/guides/interop.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		told = append(told, m[1])
	}
	if !slices.Equal(told, Cases()) {
		t.Errorf("the guide has the cases\n%q, want\n%q", told, Cases())
	}
}
