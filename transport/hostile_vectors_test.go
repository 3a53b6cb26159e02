package transport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
	"github.com/tributary-live/tributary/transport/wire"
)

// vector is a malformed input of the codec (transport/wire/testdata). Error is
// the name of the session code that it asks for.
type vector struct {
	ID    string
	Until moqt.Version
	On    struct {
		Control          bool
		Request, Answers string
	}
	Order, Hex, Error string

	file string // without _malformed.json
}

// vectorsOf returns the malformed vectors that hold for draft v: those of its own
// directory, and those of earlier ones that it did not change. Draft-16 has all
// of its own.
func vectorsOf(t testing.TB, v moqt.Version) (list []*vector) {
	t.Helper()
	for from := moqt.Draft16; from <= v; from++ {
		if from == moqt.Draft16 && v != moqt.Draft16 {
			continue
		}
		files, err := filepath.Glob(filepath.Join("wire", "testdata", fmt.Sprintf("draft%d", from), "*_malformed.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var found []*vector
			if err := json.Unmarshal(b, &found); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			for _, vec := range found {
				if vec.Until == 0 || v <= vec.Until {
					vec.file = strings.TrimSuffix(filepath.Base(file), "_malformed.json")
					list = append(list, vec)
				}
			}
		}
	}
	return list
}

// sessionCode is the code of a name.
func sessionCode(t *testing.T, name string) moqt.SessionCode {
	for _, c := range moqt.SessionCodes() {
		if c.String() == name {
			return c
		}
	}
	t.Fatalf("no session code is called %q", name)
	return 0
}

// TestHostileVectors sends every malformed vector of the codec through a session,
// at the place where it was written for, and expects the session's end with the
// code that the draft tells.
func TestHostileVectors(t *testing.T) {
	for _, v := range spokenDrafts() {
		for _, vec := range vectorsOf(t, v) {
			t.Run(fmt.Sprintf("%v/%s/%s", v, vec.file, vec.ID), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { vec.run(t, v) })
			})
		}
	}
}

func (vec *vector) run(t *testing.T, v moqt.Version) {
	code, b := sessionCode(t, vec.Error), unhex(vec.Hex)
	client, server := transporttest.Pipe(t, &transporttest.PipeOptions{Version: v})
	mine, theirs := server, client
	if !vec.fromClient() {
		mine, theirs = client, server
	}
	if vec.isSetup() {
		_, p, err := meet(t, mine, theirs, nil, func(p *peer) {
			p.openControl(b)
			p.control.Close()
		})
		wantSession(t, "NewSession()", err, code, false)
		p.wantClosed(code)
		return
	}
	s, p := greeted(t, mine, theirs, nil)
	var st transport.SendStream
	switch {
	case vec.file == "datagrams":
		p.conn.SendDatagram(b)
	case vec.file == "subgroups":
		go view(s.Context(), s)
		p.subscribedTo(p.aliasOf(b))
		st = p.uni(b)
	case vec.file == "fetches":
		go fetchingIn(vec.Order)(s.Context(), s)
		st = p.uni(p.withFetch(b))
	case vec.On.Control:
		p.write(p.control, b)
	case vec.On.Request == "":
		st = p.bidi(b)
	case vec.On.Answers == "":
		go take(s.Context(), s)
		st = p.bidi(append(p.bytes(p.opening(vec.On.Request)), b...))
	default:
		go asking(vec.On.Request)(s.Context(), s)
		accepted := p.accepted
		if strings.HasPrefix(vec.On.Request, "SUBSCRIBE_") {
			accepted = p.acceptStream
		}
		request, _ := accepted()
		if vec.On.Answers != vec.On.Request {
			p.write(request, p.bytes(agreeing(vec.On.Request)))
		}
		p.write(request, b)
		st = request
	}
	synctest.Wait()
	switch {
	case s.Context().Err() != nil: // the bytes alone were enough
	case st != nil:
		st.Close()
	case vec.On.Control:
		p.control.Close()
	}
	if !p.wantClosed(code) {
		s.Close()
		return
	}
	if err := done(s.Context()); strings.Contains(err.Error(), "control stream closed") {
		t.Errorf("the session ended with %v and not for what was on the control stream", err)
	}
	s.Close()
}

// isSetup says that the vector comes in the place of a SETUP.
func (vec *vector) isSetup() bool {
	return vec.On.Control && (strings.HasPrefix(vec.Hex, "af00") || strings.HasPrefix(vec.Hex, "20") || strings.HasPrefix(vec.Hex, "21"))
}

// fromClient says which side sends the vector: a SERVER_SETUP and the answers to
// what a client asks for come from the server.
func (vec *vector) fromClient() bool {
	return !strings.HasPrefix(vec.Hex, "21") || !vec.isSetup()
}

// aliasOf is the alias in the header of a subgroup stream, or 7 if there is none
// to be read.
func (p *peer) aliasOf(b []byte) uint64 {
	r := wire.NewReader(bytes.NewReader(b))
	if _, typ, err := p.profile.ReadStreamType(r); err == nil {
		if h, err := p.profile.ReadSubgroupHeader(r, typ); err == nil {
			return h.Alias
		}
	}
	return 7
}

// withFetch answers the session's FETCH and returns the fetch stream b with its
// request id, if b has one.
func (p *peer) withFetch(b []byte) []byte {
	p.t.Helper()
	st, m := p.accepted()
	p.write(st, p.bytes(&wire.FetchOK{RequestID: m.(*wire.Fetch).RequestID, End: at(9, 0)}))
	r := wire.NewReader(bytes.NewReader(b))
	if kind, _, err := p.profile.ReadStreamType(r); err != nil || kind != wire.StreamFetch {
		return b
	}
	old, err := p.profile.ReadFetchHeader(r)
	if err != nil {
		return b
	}
	rest := b[len(p.profile.AppendFetchHeader(nil, &old)):]
	return append(p.profile.AppendFetchHeader(nil, &wire.FetchHeader{RequestID: m.(*wire.Fetch).RequestID}), rest...)
}

// fetchingIn is an application that fetches in an order of groups and reads all.
func fetchingIn(order string) func(context.Context, *transport.Session) error {
	o := &transport.FetchOptions{}
	if order == "descending" {
		o.Order = moqt.Descending
	}
	return func(ctx context.Context, s *transport.Session) error {
		f, err := s.Fetch(ctx, clock, transport.Range{End: at(9, moqt.WholeGroup)}, o)
		for err == nil {
			_, err = f.ReadObject(ctx)
		}
		return err
	}
}

// opening is a request as it should be, by its name.
func (p *peer) opening(name string) wire.Message {
	id := p.id()
	switch name {
	case "SUBSCRIBE":
		return subscribe(id)
	case "PUBLISH":
		return publishMessage(id, 7, "a")
	case "FETCH":
		return &wire.Fetch{RequestID: id, Type: wire.FetchStandalone, Track: clock, End: at(1, 1)}
	case "TRACK_STATUS":
		return &wire.TrackStatus{RequestID: id, Track: clock}
	case "PUBLISH_NAMESPACE":
		return &wire.PublishNamespace{RequestID: id, Namespace: moqt.NS("a")}
	case "SUBSCRIBE_NAMESPACE":
		return subscribeNamespace(id, "a")
	case "SUBSCRIBE_TRACKS":
		return &wire.SubscribeTracks{RequestID: id, Prefix: moqt.NS("a")}
	}
	p.t.Fatalf("no request is called %q", name)
	return nil
}

// asking is an application that makes a request of a name and follows it.
func asking(name string) func(context.Context, *transport.Session) error {
	switch name {
	case "SUBSCRIBE":
		return view
	case "PUBLISH":
		return publishing
	case "FETCH":
		return fetching
	case "PUBLISH_NAMESPACE":
		return announcing
	case "SUBSCRIBE_NAMESPACE":
		return watching
	case "SUBSCRIBE_TRACKS":
		return subscribingTracks
	}
	return func(ctx context.Context, s *transport.Session) error {
		_, err := s.Status(ctx, clock)
		return err
	}
}

// agreeing is the answer to a request of a name as it should be.
func agreeing(name string) wire.Message {
	switch name {
	case "SUBSCRIBE":
		return &wire.SubscribeOK{Alias: 7}
	case "FETCH":
		return &wire.FetchOK{End: at(9, 0)}
	}
	return &wire.RequestOK{}
}

// TestHostileCount keeps the tables of what peers may do wrong as large as they
// are told to be, for each draft that sessions speak.
func TestHostileCount(t *testing.T) {
	for _, v := range spokenDrafts() {
		profile, _ := wire.ProfileFor(v)
		rows := 0
		for _, table := range hostileTables {
			for _, row := range table {
				if row.holds(profile) {
					rows++
				}
			}
		}
		vectors := len(vectorsOf(t, v))
		if rows+vectors < 300 {
			t.Errorf("%v: %d rows and %d vectors of what a peer may do wrong, want 300", v, rows, vectors)
		}
		t.Logf("%v: %d rows, %d vectors", v, rows, vectors)
	}
}
