package qlog_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/qlog"
	"github.com/tributary-live/tributary/transport/transporttest"
	"github.com/tributary-live/tributary/transport/wire"
)

var name = moqt.NS("room", "\xffraw\x00", "quote\"\x1e\nline").Track("camera <1>")

// serve answers the one subscription, fetch and announcement of use. It waits for
// a step of use before and after the datagram, which might be lost.
func serve(t *testing.T, s *transport.Session, step <-chan struct{}) {
	for {
		req, err := s.Accept(t.Context())
		if err != nil {
			return
		}
		switch req := req.(type) {
		case *transport.SubscribeRequest:
			w, err := req.Accept(&transport.PublishOptions{Properties: moqt.Properties{{Type: moqt.PropDefaultPriority, Value: 9}}})
			if err != nil {
				t.Errorf("Accept() = %v", err)
				return
			}
			<-step
			must(t, w.SendDatagram(moqt.Object{Location: moqt.Location{Group: 1, Object: 3}, Priority: 9, Payload: []byte("hidden datagram")}))
			<-step
			g, err := w.OpenSubgroup(t.Context(), moqt.Subgroup{Group: 2, ID: 5, Priority: 7, EndOfGroup: true})
			must(t, err)
			must(t, g.WriteObject(moqt.Object{Location: moqt.Location{Object: 6}, Properties: moqt.Properties{{Type: 0x3e, Value: 1 << 60}, {Type: 0x41, Bytes: []byte("hidden property")}}, Payload: []byte("hidden payload")}))
			must(t, g.WriteObject(moqt.Object{Location: moqt.Location{Object: 9}, Status: moqt.StatusEndOfGroup}))
			must(t, g.Close())
			must(t, w.CloseWithError(moqt.DoneTrackEnded, "that was \x1eall"))
		case *transport.FetchRequest:
			w, err := req.Accept(transport.FetchInfo{End: req.Range.End})
			must(t, err)
			must(t, w.WriteObject(moqt.Object{Location: moqt.Location{Group: 1, Object: 2}, Subgroup: 4, Priority: 3, Payload: []byte("hidden past")}))
			must(t, w.WriteUnknown(moqt.Location{Group: 1, Object: 8}))
			must(t, w.Close())
		default:
			must(t, req.Reject(moqt.RequestNotSupported, "not \"here\""))
		}
	}
}

// use does a little of everything.
func use(t *testing.T, s *transport.Session, step chan<- struct{}) {
	r, err := s.Subscribe(t.Context(), name, &transport.SubscribeOptions{Filter: moqt.Filter{Kind: moqt.FilterAbsoluteRange, EndGroup: 30}})
	must(t, err)
	step <- struct{}{}
	if _, err := r.ReceiveDatagram(t.Context()); err != nil {
		t.Errorf("ReceiveDatagram() = %v", err)
	}
	step <- struct{}{}
	for range r.Objects(t.Context()) { // ends with the track
	}
	f, err := s.Fetch(t.Context(), name, transport.Range{End: moqt.Location{Group: 1, Object: 8}}, nil)
	must(t, err)
	for err = nil; err == nil; {
		_, err = f.ReadObject(t.Context())
	}
	if _, err := s.Announce(t.Context(), moqt.NS("mine")); err == nil {
		t.Error("Announce() succeeded")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// talk makes a session of two connections and uses it.
func talk(t *testing.T, client, server transport.Conn, cc, sc *transport.Config) {
	t.Helper()
	served, step := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(served)
		s, err := transport.NewSession(t.Context(), server, sc)
		if err != nil {
			t.Errorf("server: %v", err)
			return
		}
		defer s.Close()
		serve(t, s, step)
	}()
	c, err := transport.NewSession(t.Context(), client, cc)
	if err != nil {
		t.Fatalf("client: %v", err)
	}
	use(t, c, step)
	c.Close()
	<-served
}

// spoken are the drafts of sessions.
func spoken() (vs []moqt.Version) {
	for v := moqt.Draft16; v <= moqt.Draft22; v++ {
		if _, ok := wire.ProfileFor(v); ok {
			vs = append(vs, v)
		}
	}
	return vs
}

func TestSessionEvents(t *testing.T) {
	for _, v := range spoken() {
		t.Run(v.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cd, clientDir := open(t, qlog.Config{})
				sd, serverDir := open(t, qlog.Config{})
				a, b := transporttest.Pipe(t, &transporttest.PipeOptions{Version: v, Path: "/live?token=hidden"})
				talk(t, a, b, &transport.Config{Tracer: cd.Trace}, &transport.Config{Tracer: sd.Trace})
				cd.Close()
				sd.Close()
				header, client := readTrace(t, traces(t, clientDir)[0])
				_, server := readTrace(t, traces(t, serverDir)[0])
				if got := fmt.Sprint(header["trace"]); !strings.Contains(got, qlog.EventSchema) || !strings.Contains(got, "vantage_point:map[type:client]") {
					t.Errorf("header of the client's trace: %v", got)
				}
				compare(t, "client to server", client, server)
				compare(t, "server to client", server, client)
				wantEvents(t, v, client)
				for _, e := range append(client, server...) {
					if s := fmt.Sprint(e); strings.Contains(s, "hidden") {
						t.Errorf("what is hidden is in %s", s)
					}
				}
			})
		})
	}
}

// compare checks that what one end has created the other has parsed, to the
// last field. Streams may come in another order than they were opened in.
func compare(t *testing.T, way string, from, to []record) {
	t.Helper()
	list := func(events []record, suffix string) (l []string) {
		for _, e := range events {
			if kind, ok := strings.CutSuffix(e.Name, suffix); ok {
				data, _ := json.Marshal(e.Data)
				l = append(l, kind+" "+string(data))
			}
		}
		slices.Sort(l)
		return l
	}
	created, parsed := list(from, "_created"), list(to, "_parsed")
	if !slices.Equal(created, parsed) {
		t.Errorf("%s: created\n%s\nparsed\n%s", way, strings.Join(created, "\n"), strings.Join(parsed, "\n"))
	}
}

// wantEvents checks what the client's trace says of what [use] and [serve] do.
func wantEvents(t *testing.T, v moqt.Version, events []record) {
	t.Helper()
	got := make(map[string]int)
	find := func(name string, with map[string]any) map[string]any {
		for _, e := range events {
			message, _ := e.Data["message"].(map[string]any)
			if e.Name != name {
				continue
			}
			match := true
			for k, want := range with {
				have, ok := e.Data[k]
				if !ok {
					have = message[k]
				}
				match = match && fmt.Sprint(have) == fmt.Sprint(want)
			}
			if match {
				return e.Data
			}
		}
		t.Errorf("no event %s with %v", name, with)
		return nil
	}
	for _, e := range events {
		got[e.Name]++
	}
	for name, n := range map[string]int{
		"moqt:object_datagram_parsed": 1, "moqt:subgroup_header_parsed": 1, "moqt:subgroup_object_parsed": 2,
		"moqt:fetch_header_parsed": 1, "moqt:fetch_object_parsed": 2,
	} {
		if got[name] != n {
			t.Errorf("%d events %s, want %d", got[name], name, n)
		}
	}
	setup := find("moqt:control_message_created", map[string]any{"type": "setup", "draft": v})
	if s := fmt.Sprint(setup); !strings.Contains(s, "map[name:path value:/live?…]") {
		t.Errorf("SETUP of the client: %s", s)
	}
	subscribe := find("moqt:control_message_created", map[string]any{"type": "subscribe", "request_id": 0})
	message := subscribe["message"].(map[string]any)
	if got, want := fmt.Sprint(message["track_namespace"]), fmt.Sprint([]any{map[string]any{"value": "room"},
		map[string]any{"value_bytes": "ff72617700"}, map[string]any{"value": "quote\"\x1e\nline"}}); got != want {
		t.Errorf("namespace of SUBSCRIBE = %s, want %s", got, want)
	}
	if got := fmt.Sprint(message["parameters"]); !strings.Contains(got, "end_group_delta:30") {
		t.Errorf("parameters of SUBSCRIBE = %s", got)
	}
	find("moqt:control_message_parsed", map[string]any{"type": "subscribe_ok", "request_id": 0, "stream_id": subscribe["stream_id"]})
	find("moqt:control_message_parsed", map[string]any{"type": "publish_done", "request_id": 0, "status_code": uint64(moqt.DoneTrackEnded), "reason": "that was \x1eall"})
	find("moqt:control_message_parsed", map[string]any{"type": "fetch_ok", "request_id": 2})
	find("moqt:control_message_parsed", map[string]any{"type": "request_error", "request_id": 4, "reason": `not "here"`})
	find("moqt:object_datagram_parsed", map[string]any{"group_id": 1, "object_id": 3, "object_payload": "map[length:15]", "publisher_priority": nil})
	header := find("moqt:subgroup_header_parsed", map[string]any{"group_id": 2, "subgroup_id_mode": 2, "subgroup_id": 5, "publisher_priority": 7, "contains_end_of_group": true})
	find("moqt:stream_type_set", map[string]any{"owner": "remote", "stream_type": "subgroup_header", "stream_id": header["stream_id"]})
	find("moqt:subgroup_object_parsed", map[string]any{"stream_id": header["stream_id"], "object_id_delta": 6, "object_payload_length": 14,
		"properties": "[map[type:62 value:1152921504606846976] map[length:15 type:65]]"})
	find("moqt:subgroup_object_parsed", map[string]any{"object_id_delta": 2, "object_id": 9, "object_payload_length": 0, "object_status": 3})
	fetch := find("moqt:fetch_header_parsed", map[string]any{"request_id": 2})
	find("moqt:fetch_object_parsed", map[string]any{"stream_id": fetch["stream_id"], "group_id": 1, "object_id": 2, "subgroup_id": 4, "object_payload_length": 11})
	find("moqt:fetch_object_parsed", map[string]any{"end_of_unknown_range": true, "object_id": 8})
}

// QUIC's events and MOQT's are in one file, and the stream ids are the same ones.
func TestOneFileForBoth(t *testing.T) {
	for _, scheme := range []string{"moqt", "https"} {
		t.Run(scheme, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cd, clientDir := open(t, qlog.Config{})
				sd, serverDir := open(t, qlog.Config{})
				cc, sc := &transport.Config{Tracer: cd.Trace}, &transport.Config{Tracer: sd.Trace}
				link := netsim.New(t).Link(netsim.Delay(5 * time.Millisecond))
				serverTLS, clientTLS := transporttest.TLS(t)
				l, err := transport.Listen(link.Network().Listen(), serverTLS, &transport.ListenConfig{Config: sc})
				if err != nil {
					t.Fatal(err)
				}
				d := &transport.Dialer{TLSConfig: clientTLS, ListenPacket: transporttest.ListenPacket(link), Config: cc}
				client, err := d.DialConn(t.Context(), scheme+"://"+l.Addr().String()+"/live?token=hidden")
				if err != nil {
					t.Fatal(err)
				}
				server, err := l.Accept(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				talk(t, client, server, cc, sc)
				l.Close()
				cd.Close()
				sd.Close()
				var ends [2][]record
				for i, dir := range []string{clientDir, serverDir} {
					files := traces(t, dir)
					if len(files) != 1 {
						t.Fatalf("%d traces in %s, want one", len(files), dir)
					}
					_, ends[i] = readTrace(t, files[0])
					quicEvents, ours := 0, 0
					for _, e := range ends[i] {
						if strings.HasPrefix(e.Name, "moqt:") {
							ours++
						} else {
							quicEvents++
						}
						if s := fmt.Sprint(e); strings.Contains(s, "hidden") {
							t.Errorf("what is hidden is in %s", s)
						}
					}
					if quicEvents < 20 || ours < 20 {
						t.Errorf("%s has %d events of QUIC and %d of MOQT", files[0], quicEvents, ours)
					}
				}
				compare(t, "client to server", ends[0], ends[1])
				compare(t, "server to client", ends[1], ends[0])
				if client, server := traces(t, clientDir)[0], traces(t, serverDir)[0]; strings.TrimSuffix(client[len(clientDir):], "_client.sqlog") != strings.TrimSuffix(server[len(serverDir):], "_server.sqlog") {
					t.Errorf("the two ends call the connection %s and %s", client, server)
				}
			})
		})
	}
}

// A connection that is not traced costs a session nothing, and says nothing.
func TestNotTraced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, dir := open(t, qlog.Config{Sample: 2})
		for range 3 {
			a, b := transporttest.Pipe(t, nil)
			talk(t, a, b, &transport.Config{Tracer: d.Trace}, nil)
		}
		d.Close()
		if n := len(traces(t, dir)); n != 2 {
			t.Errorf("%d traces of 3 connections, want 2: the first and the third", n)
		}
		if d.Trace(t.Context(), true, quic.ConnectionID{}) != nil {
			t.Error("a trace begins in a directory that was closed")
		}
	})
}
