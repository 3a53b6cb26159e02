package transport_test

import (
	"context"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// sharedControl is where requests share the control stream.
func sharedControl(p *wire.Profile) bool { return !p.RequestStreams() }

// shared is a row of such a draft in which the peer says messages, one after the
// other, on the control stream.
func shared(name string, code moqt.SessionCode, messages ...wire.Message) hostile {
	return hostile{name: name, code: code, when: sharedControl, serve: take, do: func(p *peer) {
		for _, m := range messages {
			p.write(p.control, p.bytes(m))
			synctest.Wait()
		}
	}}
}

// sharedPV is shared that ends with PROTOCOL_VIOLATION, and sharedLives one that
// does not end the session.
func sharedPV(name string, messages ...wire.Message) hostile {
	return shared(name, moqt.SessionProtocolViolation, messages...)
}

func sharedLives(name string, messages ...wire.Message) hostile {
	h := shared(name, 0, messages...)
	h.alive = true
	return h
}

// sharedAsked is a row in which the session makes a request, which has id 1 as
// it is the server's, before the peer says messages.
func sharedAsked(name string, serve func(context.Context, *transport.Session) error, messages ...wire.Message) hostile {
	h := sharedPV(name, messages...)
	h.serve = serve
	say := h.do
	h.do = func(p *peer) {
		p.accepted()
		say(p)
	}
	return h
}

// sharedHex is a row in which the peer writes bytes in hex to the control stream.
func sharedHex(name, hex string) hostile {
	return pv(name, func(p *peer) { p.write(p.control, unhex(hex)) }).in(sharedControl)
}

var (
	clockFetch   = &wire.Fetch{RequestID: 0, Type: wire.FetchStandalone, Track: clock, End: at(1, 1)}
	clockPublish = publishMessage(0, 1, "a")
	announceA    = &wire.PublishNamespace{RequestID: 0, Namespace: moqt.NS("a")}
)

// hostileShared is about drafts whose requests share the control stream.
var hostileShared = []hostile{
	// The stream itself.
	sharedPV("CLIENT_SETUP twice", &wire.Setup{}),
	sharedPV("SERVER_SETUP from a client", &wire.Setup{Server: true}),
	pv("a second shared control stream", func(p *peer) { p.bidi(p.bytes(p.setup())) }).in(sharedControl),
	pv("shared control stream closed", func(p *peer) { p.control.Close() }).in(sharedControl),
	pv("shared control stream reset", func(p *peer) { p.control.CancelWrite(moqt.StreamCancelled) }).in(sharedControl),
	sharedHex("unknown message on the shared control stream", "3f 0000"),
	sharedHex("message of old drafts on the shared control stream", "12 0001 00"),
	sharedHex("SUBSCRIBE_TRACKS of later drafts", "4051 0003 00 00 00"),
	sharedHex("NAMESPACE on the shared control stream", "08 0001 00"),
	sharedHex("NAMESPACE_DONE on the shared control stream", "0e 0001 00"),
	sharedHex("SUBSCRIBE_NAMESPACE on the shared control stream", "11 0005 00 01 01 61 01 00"),
	sharedHex("UNSUBSCRIBE with a byte too many", "0a 0002 00 00"),
	sharedHex("UNSUBSCRIBE of no bytes", "0a 0000"),
	sharedHex("MAX_REQUEST_ID of no bytes", "15 0000"),
	pv("SUBSCRIBE on a stream of its own", func(p *peer) { p.bidi(p.bytes(subscribe(0))) }).in(sharedControl),
	pv("GOAWAY on a stream of its own", func(p *peer) { p.bidi(p.bytes(&wire.Goaway{})) }).in(sharedControl),
	pv("stream of its own with the answer to nothing", func(p *peer) { p.bidi(p.bytes(&wire.RequestOK{})) }).in(sharedControl),
	pv("SETUP of later drafts on a data stream", func(p *peer) { p.uni(unhex("6f00 0000")) }).in(sharedControl),
	pv("padding of later drafts", func(p *peer) { p.uni(unhex("932b3e28 00")) }).in(sharedControl),
	{name: "stall inside a message on the shared control stream", when: sharedControl, code: moqt.SessionControlMessageTimeout,
		do: after(10*time.Second, func(p *peer) { p.write(p.control, unhex("03 0009 00")) })},
	{name: "stall behind a whole message on the shared control stream", when: sharedControl, code: moqt.SessionControlMessageTimeout,
		do: after(10*time.Second, func(p *peer) { p.write(p.control, append(p.bytes(&wire.RequestsBlocked{Max: 5}), 0x03, 0)) })},
	sharedPV("GOAWAY twice on the shared control stream", &wire.Goaway{}, &wire.Goaway{}),
	sharedPV("GOAWAY with a URI from a client on the shared control stream", &wire.Goaway{URI: "moqt://here"}),

	// Request ids and the credit for them.
	shared("shared request id of the wrong parity", moqt.SessionInvalidRequestID, subscribe(1)),
	shared("shared request id used twice", moqt.SessionInvalidRequestID, subscribe(0), clockPublish),
	shared("shared request id that goes back", moqt.SessionInvalidRequestID, subscribe(4), publishMessage(2, 1, "a")),
	shared("shared request id of an update used before", moqt.SessionInvalidRequestID, subscribe(0), &wire.RequestUpdate{RequestID: 0}),
	shared("shared request id of an update of the wrong parity", moqt.SessionInvalidRequestID, subscribe(0), &wire.RequestUpdate{RequestID: 1}),
	shared("request id beyond the credit", moqt.SessionTooManyRequests, subscribe(2*1024)),
	shared("update with a request id beyond the credit", moqt.SessionTooManyRequests, subscribe(0), &wire.RequestUpdate{RequestID: 2 * 1024}),
	shared("largest request id", moqt.SessionTooManyRequests, subscribe(1<<62-2)),
	{name: "SUBSCRIBE_NAMESPACE with a request id beyond the credit", when: sharedControl, code: moqt.SessionTooManyRequests,
		do: func(p *peer) { p.request(subscribeNamespace(1<<20, "a")) }},
	{name: "SUBSCRIBE_NAMESPACE with a request id of the wrong parity", when: sharedControl, code: moqt.SessionInvalidRequestID,
		do: func(p *peer) { p.request(subscribeNamespace(1, "a")) }},
	sharedPV("MAX_REQUEST_ID that falls", &wire.MaxRequestID{Max: 200}, &wire.MaxRequestID{Max: 150}),
	sharedPV("MAX_REQUEST_ID that stays", &wire.MaxRequestID{Max: 200}, &wire.MaxRequestID{Max: 200}),
	sharedPV("MAX_REQUEST_ID below that of SETUP", &wire.MaxRequestID{Max: 1}),
	sharedLives("MAX_REQUEST_ID that rises to the largest number", &wire.MaxRequestID{Max: 200}, &wire.MaxRequestID{Max: 1<<62 - 1}),
	sharedLives("REQUESTS_BLOCKED again and again", &wire.RequestsBlocked{}, &wire.RequestsBlocked{Max: 5}, &wire.RequestsBlocked{Max: 1 << 40}),

	// Answers to what was never asked.
	sharedPV("SUBSCRIBE_OK to nothing", &wire.SubscribeOK{RequestID: 1}),
	sharedPV("SUBSCRIBE_OK to a request of the peer's own", subscribe(0), &wire.SubscribeOK{RequestID: 0}),
	sharedPV("FETCH_OK to nothing", &wire.FetchOK{RequestID: 1}),
	sharedPV("FETCH_OK to a request of the peer's own", clockFetch, &wire.FetchOK{RequestID: 0}),
	sharedPV("REQUEST_OK to nothing", &wire.RequestOK{RequestID: 1}),
	sharedPV("REQUEST_OK to a request of the peer's own", announceA, &wire.RequestOK{RequestID: 0}),
	sharedPV("PUBLISH_OK to nothing", &wire.RequestOK{RequestID: 1, Publish: true}),
	sharedPV("PUBLISH_OK to a request of the peer's own", clockPublish, &wire.RequestOK{RequestID: 0, Publish: true}),
	sharedPV("REQUEST_ERROR to nothing", &wire.RequestError{RequestID: 1}),
	sharedPV("REQUEST_ERROR to a request of the peer's own", subscribe(0), &wire.RequestError{RequestID: 0}),
	sharedPV("PUBLISH_DONE of nothing", &wire.PublishDone{RequestID: 1}),
	sharedPV("PUBLISH_DONE of the peer's own SUBSCRIBE", subscribe(0), &wire.PublishDone{RequestID: 0}),
	sharedPV("UNSUBSCRIBE from nothing", &wire.Unsubscribe{RequestID: 0}),
	sharedPV("UNSUBSCRIBE from the peer's own PUBLISH", clockPublish, &wire.Unsubscribe{RequestID: 0}),
	sharedPV("UNSUBSCRIBE from a FETCH", clockFetch, &wire.Unsubscribe{RequestID: 0}),
	sharedPV("FETCH_CANCEL of nothing", &wire.FetchCancel{RequestID: 0}),
	sharedPV("FETCH_CANCEL of a SUBSCRIBE", subscribe(0), &wire.FetchCancel{RequestID: 0}),
	sharedPV("PUBLISH_NAMESPACE_DONE of nothing", &wire.PublishNamespaceDone{RequestID: 0}),
	sharedPV("PUBLISH_NAMESPACE_DONE of a SUBSCRIBE", subscribe(0), &wire.PublishNamespaceDone{RequestID: 0}),
	sharedPV("PUBLISH_NAMESPACE_CANCEL of nothing", &wire.PublishNamespaceCancel{RequestID: 1}),
	sharedPV("PUBLISH_NAMESPACE_CANCEL of the peer's own", announceA, &wire.PublishNamespaceCancel{RequestID: 0}),
	sharedPV("REQUEST_UPDATE of nothing", &wire.RequestUpdate{RequestID: 0, Existing: 4}),
	sharedPV("REQUEST_UPDATE of nothing of this end", &wire.RequestUpdate{RequestID: 0, Existing: 1}),

	// Answers of another kind.
	sharedAsked("FETCH_OK to a shared SUBSCRIBE", view, &wire.FetchOK{RequestID: 1}),
	sharedAsked("REQUEST_OK to a shared SUBSCRIBE", view, &wire.RequestOK{RequestID: 1}),
	sharedAsked("PUBLISH_OK to a shared SUBSCRIBE", view, &wire.RequestOK{RequestID: 1, Publish: true}),
	sharedAsked("second SUBSCRIBE_OK to a shared SUBSCRIBE", view, &wire.SubscribeOK{RequestID: 1, Alias: 1}, &wire.SubscribeOK{RequestID: 1, Alias: 2}),
	sharedAsked("REQUEST_ERROR after SUBSCRIBE_OK", view, &wire.SubscribeOK{RequestID: 1, Alias: 1}, &wire.RequestError{RequestID: 1}),
	sharedAsked("UNSUBSCRIBE from the publisher", view, &wire.SubscribeOK{RequestID: 1, Alias: 1}, &wire.Unsubscribe{RequestID: 1}),
	sharedAsked("REQUEST_UPDATE from the publisher of a shared SUBSCRIBE", view, &wire.SubscribeOK{RequestID: 1, Alias: 1}, &wire.RequestUpdate{RequestID: 0, Existing: 1}),
	sharedAsked("SUBSCRIBE_OK to a shared PUBLISH", publishing, &wire.SubscribeOK{RequestID: 1}),
	sharedAsked("REQUEST_OK to a shared PUBLISH", publishing, &wire.RequestOK{RequestID: 1}),
	sharedAsked("PUBLISH_DONE from the subscriber of a shared PUBLISH", publishing, &wire.RequestOK{RequestID: 1, Publish: true}, &wire.PublishDone{RequestID: 1}),
	sharedAsked("SUBSCRIBE_OK to a shared FETCH", fetching, &wire.SubscribeOK{RequestID: 1}),
	sharedAsked("FETCH_CANCEL from the publisher", fetching, &wire.FetchOK{RequestID: 1, End: at(9, 0)}, &wire.FetchCancel{RequestID: 1}),
	sharedAsked("FETCH_OK that ends before the start of a shared FETCH", fetching, &wire.FetchOK{RequestID: 1, End: at(0, 5)}),
	sharedAsked("PUBLISH_OK to a shared PUBLISH_NAMESPACE", announcing, &wire.RequestOK{RequestID: 1, Publish: true}),
	sharedAsked("PUBLISH_NAMESPACE_DONE from the subscriber", announcing, &wire.RequestOK{RequestID: 1}, &wire.PublishNamespaceDone{RequestID: 1}),

	// Words that crossed are nobody's fault.
	sharedLives("UNSUBSCRIBE twice", subscribe(0), &wire.Unsubscribe{RequestID: 0}, &wire.Unsubscribe{RequestID: 0}),
	sharedLives("FETCH_CANCEL twice", clockFetch, &wire.FetchCancel{RequestID: 0}, &wire.FetchCancel{RequestID: 0}),
	sharedLives("PUBLISH_NAMESPACE_DONE twice", announceA, &wire.PublishNamespaceDone{RequestID: 0}, &wire.PublishNamespaceDone{RequestID: 0}),
	sharedLives("REQUEST_UPDATE of what was given up", subscribe(0), &wire.Unsubscribe{RequestID: 0}, &wire.RequestUpdate{RequestID: 2, Existing: 0}),
	sharedLives("request ids that leave some out", subscribe(0), publishMessage(6, 1, "a"), publishMessage(100, 2, "b")),

	// Tokens, aliases and codes.
	shared("shared token larger than the cache", moqt.SessionTokenCacheOverflow,
		withToken(wire.Token{AliasType: wire.TokenRegister, Alias: 1, Value: make([]byte, 9<<10)})),
	sharedLives("token registered by one message of the shared control stream and used by the next",
		withToken(wire.Token{AliasType: wire.TokenRegister, Alias: 1, Value: []byte("a")}),
		&wire.RequestUpdate{RequestID: 2, Params: wire.Params{Tokens: []wire.Token{{AliasType: wire.TokenUseAlias, Alias: 1}}}}),
	shared("shared token alias used", moqt.SessionUnknownTokenAlias, withToken(wire.Token{AliasType: wire.TokenUseAlias, Alias: 1})),
	shared("shared token alias deleted", moqt.SessionUnknownTokenAlias, withToken(wire.Token{AliasType: wire.TokenDelete, Alias: 1})),
	shared("shared token alias used in an update", moqt.SessionUnknownTokenAlias, subscribe(0), &wire.RequestUpdate{RequestID: 2,
		Params: wire.Params{Tokens: []wire.Token{{AliasType: wire.TokenUseAlias, Alias: 1}}}}),
	shared("alias of another live track by a shared PUBLISH", moqt.SessionDuplicateTrackAlias, clockPublish, publishMessage(2, 1, "b")),
	{name: "reserved namespace on the shared control stream", when: sharedControl, alive: true,
		do: refused(&wire.PublishNamespace{Namespace: moqt.NS(".", "a")}, moqt.RequestDoesNotExist)},
	{name: "session-level track on the shared control stream", when: sharedControl, alive: true,
		do: refused(&wire.Subscribe{Track: moqt.NS(".session").Track("")}, moqt.RequestDoesNotExist)},
	{name: "track subscribed to twice on the shared control stream", when: sharedControl, alive: true, serve: publish, do: func(p *peer) {
		p.answer(p.request(subscribe(0)), wire.KindSubscribe)
		p.wantError(p.request(subscribe(2)), wire.KindSubscribe, moqt.RequestDuplicateSubscription)
	}},
	{name: "overlapping SUBSCRIBE_NAMESPACE beside a shared control stream", when: sharedControl, alive: true, serve: take, do: func(p *peer) {
		p.answer(p.request(subscribeNamespace(0, "a")), wire.KindSubscribeNamespace)
		p.wantError(p.request(subscribeNamespace(2, "a", "b")), wire.KindSubscribeNamespace, moqt.RequestPrefixOverlap)
	}},
	{name: "joining FETCH of nothing on the shared control stream", when: sharedControl, alive: true, serve: take,
		do: refused(&wire.Fetch{RequestID: 0, Type: wire.FetchRelativeJoining, JoiningID: 100}, moqt.RequestInvalidJoiningID)},
}

// withToken is a SUBSCRIBE with a token.
func withToken(t wire.Token) wire.Message {
	return &wire.Subscribe{Track: clock, Params: wire.Params{Tokens: []wire.Token{t}}}
}
