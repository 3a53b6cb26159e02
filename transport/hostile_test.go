package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
	"github.com/tributary-live/tributary/transport/wire"
)

// hostile is one thing that a peer does and the reaction it meets. The session
// is the server's end unless asServer is set, which makes the peer the server.
type hostile struct {
	name     string
	asServer bool
	// serve is what the application at the session does, if anything. It ends
	// with the session.
	serve func(ctx context.Context, s *transport.Session) error
	// do is what the peer does and sees.
	do func(p *peer)
	// code is what the session is closed with. If alive, it is not closed.
	code  moqt.SessionCode
	alive bool
	// when tells the drafts for which the row holds. If nil, it is all that have
	// a stream for each request.
	when func(p *wire.Profile) bool
}

// hostileTables hold what peers may do wrong, beside the codec's vectors.
var hostileTables = [][]hostile{hostileControl, hostileRequests, hostileAnswers, hostileData, hostileFetches, hostileTimes, hostileShared}

// holds reports whether the row is about the draft of p.
func (h *hostile) holds(p *wire.Profile) bool {
	if h.when != nil {
		return h.when(p)
	}
	return p.RequestStreams()
}

// Drafts that some rows are about.

// everyDraft makes rows that name no drafts hold for all: their streams look the
// same in each.
func everyDraft(rows []hostile) []hostile {
	for i := range rows {
		if rows[i].when == nil {
			rows[i].when = func(*wire.Profile) bool { return true }
		}
	}
	return rows
}

// requestStreams is where each request has a stream, and where integers have a
// form of their own and not that of QUIC.
func requestStreams(p *wire.Profile) bool { return p.RequestStreams() }

// oneSubscription is where a session has one subscription to a track at most.
func oneSubscription(p *wire.Profile) bool { return p.RequestStreams() && !p.SeveralSubscriptions() }

// taggedFilters is where the type of a filter is a number of its own.
func taggedFilters(p *wire.Profile) bool { return p.RequestStreams() && !p.RelativeFilters() }

// joiningFetches is where a FETCH may name a subscription.
func joiningFetches(p *wire.Profile) bool { return p.RequestStreams() && !p.FetchByFilter() }

func fetchesByFilter(p *wire.Profile) bool { return p.FetchByFilter() }

// noTimedOut is where a fetch has no gaps of objects that did not come in time.
func noTimedOut(p *wire.Profile) bool { return p.RequestStreams() && !p.Gap(wire.GapTimedOut) }

// spokenDrafts are the drafts that sessions speak.
func spokenDrafts() (list []moqt.Version) {
	for v := moqt.Draft16; v <= moqt.Draft22; v++ {
		if _, ok := wire.ProfileFor(v); ok {
			list = append(list, v)
		}
	}
	return list
}

// pv is a row whose session ends with PROTOCOL_VIOLATION.
func pv(name string, do func(p *peer)) hostile {
	return hostile{name: name, do: do, code: moqt.SessionProtocolViolation}
}

// lives is a row whose session goes on.
func lives(name string, do func(p *peer)) hostile {
	return hostile{name: name, do: do, alive: true}
}

func (h hostile) with(code moqt.SessionCode) hostile       { h.code = code; return h }
func (h hostile) in(when func(*wire.Profile) bool) hostile { h.when = when; return h }
func (h hostile) fromServer() hostile                      { h.asServer = true; return h }
func (h hostile) serving(f func(context.Context, *transport.Session) error) hostile {
	h.serve = f
	return h
}

// TestHostilePeers checks that whatever a peer does meets the draft's reaction,
// and that another session of the same process does not notice.
func TestHostilePeers(t *testing.T) {
	for _, v := range spokenDrafts() {
		profile, _ := wire.ProfileFor(v)
		for _, table := range hostileTables {
			for _, tt := range table {
				if tt.holds(profile) {
					t.Run(fmt.Sprintf("%v/%s", v, tt.name), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { tt.run(t, v) })
					})
				}
			}
		}
	}
}

func (h hostile) run(t *testing.T, v moqt.Version) {
	bc, bs := pipe(t, nil, nil) // the bystander
	br, bw := subscribed(t, bc, bs, nil, nil)

	client, server := transporttest.Pipe(t, &transporttest.PipeOptions{Version: v, MaxStreams: 3000, MaxUniStreams: 3000})
	mine, theirs := server, client
	if h.asServer {
		mine, theirs = client, server
	}
	s, p := greeted(t, mine, theirs, &transport.Config{Limits: transport.Limits{MaxObjectSize: 1 << 20}})
	served := make(chan error, 1)
	go func() {
		if h.serve != nil {
			served <- h.serve(s.Context(), s)
		} else {
			served <- nil
		}
	}()
	h.do(p)
	if h.alive {
		synctest.Wait()
		if err := context.Cause(s.Context()); err != nil {
			t.Errorf("the session ended: %v", err)
		} else {
			p.wantAlive(false)
		}
	} else if p.wantClosed(h.code) {
		wantSession(t, "this end", done(s.Context()), h.code, false)
	}
	s.Close()
	if err := <-served; err != nil {
		t.Errorf("the application got %v", err)
	}

	write(t, bw, 0, []string{"still here"})
	wantPayloads(t, next(t, br), "still here")
	bw.Close()
}

// publish serves one SUBSCRIBE with a track and keeps it until the session ends.
func publish(ctx context.Context, s *transport.Session) error {
	req, err := s.Accept(ctx)
	if err != nil {
		return nil
	}
	sub, ok := req.(*transport.SubscribeRequest)
	if !ok {
		return fmt.Errorf("request = %T, want a subscription", req)
	}
	if _, err := sub.Accept(&transport.PublishOptions{Largest: func() (moqt.Location, bool) { return at(5, 2), true }}); err != nil && !sessionOver(err) {
		return err
	}
	<-ctx.Done()
	return nil
}

// view subscribes to a track and reads it until the session ends.
func view(ctx context.Context, s *transport.Session) error {
	r, err := s.Subscribe(ctx, clock, nil)
	if err != nil {
		if sessionOver(err) || errors.Is(err, &transport.RequestError{}) {
			return nil
		}
		return err
	}
	for _, err := range r.Objects(ctx) {
		if err != nil && !sessionOver(err) {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

// sessionOver reports whether err is a session's end.
func sessionOver(err error) bool {
	_, ok := errors.AsType[*transport.SessionError](err)
	return ok || err == transport.ErrClosed || errors.Is(err, context.Canceled)
}

// take accepts whatever comes, and reads no tracks.
func take(ctx context.Context, s *transport.Session) error { return takeAll(ctx, s, nil) }

// takeAndRead accepts whatever comes and reads the tracks.
func takeAndRead(ctx context.Context, s *transport.Session) error {
	return takeAll(ctx, s, func(r *transport.TrackReader) {
		for range r.Objects(ctx) {
		}
	})
}

func takeAll(ctx context.Context, s *transport.Session, read func(*transport.TrackReader)) error {
	var readers sync.WaitGroup
	defer readers.Wait()
	for {
		req, err := s.Accept(ctx)
		if err != nil {
			return nil
		}
		switch req := req.(type) {
		case *transport.SubscribeRequest:
			req.Accept(&transport.PublishOptions{Largest: func() (moqt.Location, bool) { return at(5, 2), true }})
		case *transport.PublishRequest:
			if r, err := req.Accept(nil); err == nil && read != nil {
				readers.Go(func() { read(r) })
			}
		case *transport.FetchRequest:
			req.Accept(transport.FetchInfo{End: req.Range.End})
		case *transport.StatusRequest:
			req.Accept(transport.TrackInfo{})
		case *transport.AnnounceRequest:
			req.Accept()
		case *transport.WatchRequest:
			req.Accept()
		case *transport.TracksRequest:
			req.Accept()
		}
	}
}

// id is a request id that the peer has not used in a row.
func (p *peer) id() uint64 {
	id := uint64(1 << 20)
	if !p.profile.RequestStreams() {
		id = 1 << 10 // the session admits no larger ones
	}
	if p.conn.Info().Client {
		return id
	}
	return id + 1
}

// subscribedTo answers the session's SUBSCRIBE with an alias and returns its
// stream.
func (p *peer) subscribedTo(alias uint64) transport.Stream {
	p.t.Helper()
	st, m := p.accepted()
	p.write(st, p.bytes(&wire.SubscribeOK{RequestID: m.(*wire.Subscribe).RequestID, Alias: alias}))
	synctest.Wait()
	return st
}

// afterSetup writes to the control stream.
func afterSetup(b []byte) func(p *peer) { return func(p *peer) { p.write(p.control, b) } }

// onBidi opens a request stream with b.
func onBidi(hex string) func(p *peer) { return func(p *peer) { p.bidi(unhex(hex)) } }

// hostileControl is about control streams and what comes by them.
var hostileControl = []hostile{
	pv("SETUP twice", func(p *peer) { p.write(p.control, p.bytes(&wire.Setup{})) }),
	pv("a second control stream", func(p *peer) { p.uni(p.bytes(&wire.Setup{})) }),
	pv("control stream closed", func(p *peer) { p.control.Close() }),
	pv("control stream reset", func(p *peer) { p.control.CancelWrite(moqt.StreamCancelled) }),
	pv("unknown message", afterSetup(unhex("bfff 0000"))),
	pv("SUBSCRIBE on the control stream", func(p *peer) { p.write(p.control, p.bytes(subscribe(0))) }),
	pv("REQUEST_OK on the control stream", afterSetup(unhex("07 0001 00"))),
	pv("reserved message of an old draft", afterSetup(unhex("20 0000"))),
	pv("GOAWAY cut off by the stream's end", func(p *peer) {
		p.write(p.control, unhex("10 0003 00"))
		p.control.Close()
	}),
	pv("GOAWAY with a byte too many", afterSetup(unhex("10 0004 00 00 01 00"))),
	pv("GOAWAY with a URI from a client", func(p *peer) { p.write(p.control, p.bytes(&wire.Goaway{URI: "moqt://here"})) }),
	pv("GOAWAY with a URI of 8193 bytes", func(p *peer) {
		p.write(p.control, append(unhex("10 2005 a001"), append(bytes.Repeat([]byte("a"), 8193), 0, 0)...))
	}).fromServer(),
	pv("second GOAWAY", func(p *peer) { p.write(p.control, p.bytes(&wire.Goaway{}, &wire.Goaway{})) }),
	pv("GOAWAY with a request id of the wrong side", func(p *peer) {
		p.write(p.control, p.bytes(&wire.Goaway{RequestID: wire.Some(uint64(2))}))
	}).with(moqt.SessionInvalidRequestID).in((*wire.Profile).GoawayRequestID),
	pv("GOAWAY with a request id of the wrong side, from a server", func(p *peer) {
		p.write(p.control, p.bytes(&wire.Goaway{RequestID: wire.Some(uint64(1))}))
	}).with(moqt.SessionInvalidRequestID).in((*wire.Profile).GoawayRequestID).fromServer(),
	lives("GOAWAY as it should be", func(p *peer) { p.write(p.control, p.bytes(&wire.Goaway{RequestID: wire.Some(uint64(1))})) }),
	lives("GOAWAY without a request id", afterSetup(unhex("10 0002 00 00"))),
	lives("padding", func(p *peer) {
		st := p.uni(append(unhex("f0 132b3e28"), make([]byte, 100_000)...))
		p.conn.SendDatagram(append(unhex("f0 132b3e29"), 0, 0, 0))
		st.Close()
		p.uni(unhex("f0 132b3e28")).CancelWrite(moqt.StreamCancelled)
	}),
	lives("streams that are given up at once", func(p *peer) {
		p.uni(nil).Close()
		p.uni(nil).CancelWrite(moqt.StreamCancelled)
		p.uni(unhex("80")).CancelWrite(moqt.StreamCancelled) // half a type
		p.bidi(nil).Close()
		p.bidi(unhex("03 00")).CancelWrite(moqt.StreamCancelled)
	}),
	pv("unknown stream type", func(p *peer) { p.uni(unhex("06")) }),
	pv("unknown long stream type", func(p *peer) { p.uni(unhex("ff 0123456789abcdef")) }),
	pv("unknown datagram type", func(p *peer) { p.conn.SendDatagram(unhex("40 07 00 00")) }),
	pv("empty datagram", func(p *peer) { p.conn.SendDatagram([]byte{}) }),
}

// TestHostileSetup is the table for what a SETUP may not say.
func TestHostileSetup(t *testing.T) {
	option := func(typ uint64, value string) *wire.Setup {
		return &wire.Setup{Unknown: moqt.Properties{{Type: typ, Bytes: []byte(value)}}}
	}
	path := func(s string) *wire.Setup { return &wire.Setup{Path: wire.Some(s), Authority: wire.Some("h")} }
	authority := func(s string) *wire.Setup { return &wire.Setup{Path: wire.Some("/"), Authority: wire.Some(s)} }
	for _, tt := range []struct {
		name     string
		setup    *wire.Setup
		raw      string // instead of setup
		wt       bool
		asServer bool
		code     moqt.SessionCode // NO_ERROR: the session goes on
	}{
		{name: "nothing", setup: &wire.Setup{}},
		{name: "empty path", setup: path("")},
		{name: "path with query", setup: path("/a%20b?c=d&e")},
		{name: "query alone", setup: path("?jwt=x")},
		{name: "host and port", setup: authority("relay.example:4443")},
		{name: "IPv6 and port", setup: authority("[::1]:4443")},
		{name: "host with escape", setup: authority("a%20b")},
		{name: "grease", setup: option(0x9d, "x")},
		{name: "grease twice", setup: &wire.Setup{Unknown: moqt.Properties{{Type: 0x9d, Bytes: []byte("x")}, {Type: 0x9d, Bytes: []byte("y")}}}},
		{name: "token by value", setup: &wire.Setup{Tokens: []wire.Token{{AliasType: wire.TokenUseValue, Value: []byte("t")}}}},
		{name: "token registered", setup: &wire.Setup{Tokens: []wire.Token{{AliasType: wire.TokenRegister, Alias: 1, Value: []byte("t")}}}},

		{name: "path on WebTransport", setup: path("/"), wt: true, code: moqt.SessionInvalidPath},
		{name: "authority on WebTransport", setup: &wire.Setup{Authority: wire.Some("h")}, wt: true, code: moqt.SessionInvalidAuthority},
		{name: "path from a server", setup: path("/"), asServer: true, code: moqt.SessionInvalidPath},
		{name: "authority from a server", setup: &wire.Setup{Authority: wire.Some("h")}, asServer: true, code: moqt.SessionInvalidAuthority},
		{name: "relative path", setup: path("a/b"), code: moqt.SessionMalformedPath},
		{name: "path with a space", setup: path("/a b"), code: moqt.SessionMalformedPath},
		{name: "path with a fragment", setup: path("/a#b"), code: moqt.SessionMalformedPath},
		{name: "path with half an escape", setup: path("/a%2"), code: moqt.SessionMalformedPath},
		{name: "path with a control character", setup: path("/\x00"), code: moqt.SessionMalformedPath},
		{name: "authority with a space", setup: authority("exa mple"), code: moqt.SessionMalformedAuthority},
		{name: "empty authority", setup: authority(""), code: moqt.SessionMalformedAuthority},
		{name: "authority with a path", setup: authority("a/b"), code: moqt.SessionMalformedAuthority},
		{name: "authority with a user", setup: authority("u@h"), code: moqt.SessionMalformedAuthority},
		{name: "authority with a port of letters", setup: authority("h:x"), code: moqt.SessionMalformedAuthority},
		{name: "authority with an open bracket", setup: authority("[::1"), code: moqt.SessionMalformedAuthority},
		{name: "authority of a bare address", setup: authority("::1"), code: moqt.SessionMalformedAuthority},

		{name: "path twice", raw: "af00 0006 01 01 2f 00 01 2f", code: moqt.SessionProtocolViolation},
		{name: "token alias used", raw: "af00 0004 03 02 02 01", code: moqt.SessionProtocolViolation},
		{name: "token alias deleted", raw: "af00 0004 03 02 00 01", code: moqt.SessionProtocolViolation},
		{name: "token of an unknown kind", raw: "af00 0004 03 02 04 01", code: moqt.SessionKeyValueFormatting},
		{name: "option longer than the message", raw: "af00 0002 01 05", code: moqt.SessionProtocolViolation},
		{name: "option of 65536 bytes", raw: "af00 0005 01 c10000 00", code: moqt.SessionProtocolViolation},
		{name: "another message first", raw: "03 0000", code: moqt.SessionProtocolViolation},
		{name: "end inside", raw: "af00 0005 01", code: moqt.SessionProtocolViolation},
		{name: "stall inside", raw: "af00 0005 01", code: moqt.SessionControlMessageTimeout},
	} {
		for _, v := range spokenDrafts() {
			if profile, _ := wire.ProfileFor(v); tt.raw != "" && !profile.RequestStreams() {
				continue // the codec's vectors have the same
			}
			t.Run(fmt.Sprintf("%v/%s", v, tt.name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					client, server := transporttest.Pipe(t, &transporttest.PipeOptions{Version: v, WebTransport: tt.wt})
					mine, theirs := server, client
					if tt.asServer {
						mine, theirs = client, server
					}
					start := time.Now()
					s, p, err := meet(t, mine, theirs, nil, func(p *peer) {
						b := unhex(tt.raw)
						if tt.setup != nil {
							setup := *tt.setup
							setup.Server = tt.asServer
							b = p.bytes(&setup)
						}
						p.openControl(b)
						if tt.name == "end inside" {
							p.control.Close()
						}
					})
					if tt.code == moqt.SessionNoError {
						if err != nil {
							t.Fatalf("NewSession() = %v", err)
						}
						s.Close()
						return
					}
					wantSession(t, "NewSession()", err, tt.code, false)
					p.wantClosed(tt.code)
					if d := time.Since(start); d > 0 && tt.code != moqt.SessionControlMessageTimeout {
						t.Errorf("NewSession() took %v", d)
					}
				})
			})
		}
	}
}

// TestHostileSetupOrder has requests and data come before SETUP: they wait.
func TestHostileSetupOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := transporttest.Pipe(t, nil)
		p := rawPeer(t, client)
		publish := p.request(&wire.Publish{RequestID: 0, Track: clock, Alias: 3})
		p.uni(unhex("70 03 00 00 01 61")).Close()
		wait := async(func() (*transport.Session, error) { return transport.NewSession(t.Context(), server, nil) })
		time.Sleep(time.Second)
		p.control = p.uni(p.bytes(&wire.Setup{}))
		s, err := wait()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		r, err := accept[*transport.PublishRequest](t, s).Accept(nil)
		if err != nil {
			t.Fatal(err)
		}
		p.answer(publish, wire.KindPublish)
		wantPayloads(t, next(t, r), "a")
	})
}
