package transport_test

import (
	"io"
	"strings"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// badSubscribe is a SUBSCRIBE with parameters in hex: their count and they.
func badSubscribe(params string) func(p *peer) {
	return func(p *peer) { p.bidi(raw(0x03, "00"+clockNow+params)) }
}

// refused sends a request that must be answered by REQUEST_ERROR.
func refused(m wire.Message, code moqt.RequestCode) func(p *peer) {
	return func(p *peer) { p.wantError(p.request(m), m.Kind(), code) }
}

// request sends a request, waits until it is answered and writes more to its
// stream.
func request(m wire.Message, more []byte) func(p *peer) {
	return func(p *peer) {
		st := p.request(m)
		p.answer(st, m.Kind())
		p.write(st, more)
	}
}

func publishMessage(id, alias uint64, name string, props ...moqt.Property) *wire.Publish {
	return &wire.Publish{RequestID: id, Track: moqt.NS("clock").Track(name), Alias: alias, Properties: props}
}

// hostileRequests is about requests of the peer.
var hostileRequests = []hostile{
	// What a request stream begins with.
	pv("request stream begins with SUBSCRIBE_OK", onBidi("04 0003 00 00")),
	pv("request stream begins with an unknown message", onBidi("bfff 0000")),
	pv("request stream begins with SETUP", onBidi("af00 0000")),
	pv("request stream begins with GOAWAY", onBidi("10 0002 00 00")),
	pv("request stream begins with REQUEST_UPDATE", onBidi("02 0002 00 00")),
	pv("request stream begins with PUBLISH_DONE", onBidi("0b 0003 00 00 00")),
	pv("request stream begins with a reserved message", onBidi("40 0000")),

	// Request ids.
	{name: "request id of the wrong parity", do: func(p *peer) { p.request(subscribe(1)) }, code: moqt.SessionInvalidRequestID},
	{name: "request id of the wrong parity, from a server", do: func(p *peer) { p.request(subscribe(2)) }, code: moqt.SessionInvalidRequestID, asServer: true},
	{name: "request id used twice", do: func(p *peer) {
		p.request(subscribe(4))
		synctest.Wait()
		p.request(subscribeNamespace(4, "a"))
	}, code: moqt.SessionInvalidRequestID},
	{name: "request id of an update used before", do: request(subscribe(0), unhex("02 0002 00 00")), code: moqt.SessionInvalidRequestID, serve: publish},
	{name: "request id of an update of the wrong parity", do: request(subscribe(0), unhex("02 0002 01 00")), code: moqt.SessionInvalidRequestID, serve: publish},
	lives("request ids with gaps", func(p *peer) {
		for id := uint64(3000); id < 30_000; id += 6 {
			st := p.request(&wire.TrackStatus{RequestID: id, Track: moqt.NS(".").Track("")})
			p.answer(st, wire.KindTrackStatus)
			io.Copy(io.Discard, p.streams[st])
		}
		time.Sleep(time.Second) // until requests are let in again
	}),

	// Names.
	pv("namespace of 33 fields", func(p *peer) { p.bidi(raw(0x50, "00 21"+strings.Repeat("0161", 33)+"00")) }),
	pv("namespace with an empty field", func(p *peer) { p.bidi(raw(0x50, "00 02 0161 00 00")) }),
	pv("full track name of 4097 bytes", func(p *peer) {
		p.bidi(raw(0x03, "00 01 05 636c6f636b 8ffc"+strings.Repeat("61", 4092)+"00"))
	}),
	lives("namespace of 32 fields", func(p *peer) { p.bidi(raw(0x50, "00 20"+strings.Repeat("0161", 32)+"00")) }),
	lives("full track name of 4096 bytes", func(p *peer) {
		p.bidi(raw(0x03, "00 01 05 636c6f636b 8ffb"+strings.Repeat("61", 4091)+"00"))
	}),
	lives("reserved namespace", refused(&wire.PublishNamespace{Namespace: moqt.NS(".", "a")}, moqt.RequestDoesNotExist)),
	lives("session-level track", refused(&wire.Subscribe{Track: moqt.NS(".session").Track("")}, moqt.RequestDoesNotExist)),

	// Framing.
	pv("SUBSCRIBE with a byte too many", badSubscribe("00 00")),
	pv("SUBSCRIBE that ends too early", func(p *peer) { p.bidi(raw(0x03, "00 01 05 636c")) }),
	pv("SUBSCRIBE cut off by the stream's end", func(p *peer) { p.bidi(raw(0x03, "00"+clockNow+"00")[:9]).Close() }),
	pv("SUBSCRIBE cut off inside its length", func(p *peer) { p.bidi(unhex("03 00")).Close() }),
	lives("numbers in more bytes than needed", func(p *peer) {
		p.bidi(append(unhex("8003 000f 8000"), unhex(clockNow+"8000")...))
	}),

	// Parameters.
	pv("unknown parameter", badSubscribe("01 77 00")),
	pv("EXPIRES in SUBSCRIBE", badSubscribe("01 08 01")),
	pv("FORWARD of 2", badSubscribe("01 10 02")),
	pv("GROUP_ORDER of 0", badSubscribe("01 22 00")),
	pv("GROUP_ORDER of 3", badSubscribe("01 22 03")),
	pv("parameter twice", badSubscribe("02 10 01 00 01")),
	pv("parameter type that overflows", badSubscribe("02 10 01 ff ffffffffffffffff 00")),
	pv("fewer parameters than counted", badSubscribe("02 10 01")),
	pv("filter of an unknown type", badSubscribe("01 21 01 05")).in(taggedFilters),
	pv("filter with a byte too many", badSubscribe("01 21 02 01 00")).in(taggedFilters),
	pv("filter that ends too early", badSubscribe("01 21 02 03 01")).in(taggedFilters),
	pv("filter whose end group overflows", badSubscribe("01 21 0c 04 ff ffffffffffffffff 00 01")).in(taggedFilters),
	pv("FORWARD in an update of SUBSCRIBE_NAMESPACE", request(subscribeNamespace(0, "a"), unhex("02 0004 02 01 10 01"))).serving(take),
	{name: "token that is none", do: badSubscribe("01 03 02 04 01"), code: moqt.SessionKeyValueFormatting},
	{name: "token without an alias", do: badSubscribe("01 03 01 02"), code: moqt.SessionKeyValueFormatting},
	{name: "token registered twice", do: badSubscribe("02 03 04 01 01 00 aa 00 04 01 01 00 bb"), code: moqt.SessionDuplicateTokenAlias},
	{name: "more tokens than there is room for", do: func(p *peer) {
		m := subscribe(p.id())
		for alias := range uint64(6) {
			m.Params.Tokens = append(m.Params.Tokens, wire.Token{AliasType: wire.TokenRegister, Alias: alias, Value: make([]byte, 1400)})
		}
		p.bidi(p.bytes(m))
	}, code: moqt.SessionTokenCacheOverflow},
	{name: "token alias used", do: badSubscribe("01 03 02 02 01"), code: moqt.SessionUnknownTokenAlias},
	{name: "token alias deleted", do: badSubscribe("01 03 02 00 01"), code: moqt.SessionUnknownTokenAlias},
	{name: "token alias used in an update", do: request(subscribe(0), unhex("02 0006 02 01 03 02 02 01")), code: moqt.SessionUnknownTokenAlias, serve: publish},
	lives("tokens by value", func(p *peer) {
		p.wantError(p.bidi(raw(0x03, "00 01 012e 00 02 03 02 03 00 00 03 03 00 ff")), wire.KindSubscribe, moqt.RequestDoesNotExist)
	}),

	// The same twice.
	lives("overlapping SUBSCRIBE_NAMESPACE", func(p *peer) {
		p.answer(p.request(subscribeNamespace(0, "a")), wire.KindSubscribeNamespace)
		p.wantError(p.request(subscribeNamespace(2, "a", "b")), wire.KindSubscribeNamespace, moqt.RequestPrefixOverlap)
	}).serving(take),
	lives("track subscribed to twice", func(p *peer) {
		p.answer(p.request(subscribe(0)), wire.KindSubscribe)
		p.wantError(p.request(subscribe(2)), wire.KindSubscribe, moqt.RequestDuplicateSubscription)
	}).serving(publish).in(oneSubscription),
	lives("track published twice", func(p *peer) {
		p.answer(p.request(publishMessage(0, 1, "a")), wire.KindPublish)
		p.wantError(p.request(publishMessage(2, 2, "a")), wire.KindPublish, moqt.RequestDuplicateSubscription)
	}).serving(take).in(oneSubscription),
	lives("track published anew while its end is on its way", func(p *peer) {
		old := p.request(publishMessage(0, 1, "a"))
		p.answer(old, wire.KindPublish)
		st := p.request(publishMessage(2, 2, "a"))
		time.Sleep(100 * time.Millisecond)
		done := &wire.PublishDone{Code: moqt.DoneTrackEnded}
		p.write(old, p.bytes(done))
		if m, ok := p.answer(st, wire.KindPublish).(*wire.RequestOK); !ok {
			p.t.Errorf("answer = %+v, want REQUEST_OK", m)
		}
	}).serving(take),
	lives("prefix that is given up a moment later", func(p *peer) {
		old := p.request(subscribeNamespace(0, "a"))
		p.answer(old, wire.KindSubscribeNamespace)
		st := p.request(subscribeNamespace(2, "a", "b"))
		time.Sleep(100 * time.Millisecond)
		old.CancelWrite(moqt.StreamCancelled)
		if m, ok := p.answer(st, wire.KindSubscribeNamespace).(*wire.RequestOK); !ok {
			p.t.Errorf("answer = %+v, want REQUEST_OK", m)
		}
	}).serving(take),
	lives("subscription that is given up a moment later", func(p *peer) {
		old := p.request(subscribe(0))
		p.answer(old, wire.KindSubscribe)
		st := p.request(subscribe(2))
		time.Sleep(100 * time.Millisecond)
		old.CancelRead(moqt.StreamCancelled)
		if m, ok := p.answer(st, wire.KindSubscribe).(*wire.SubscribeOK); !ok {
			p.t.Errorf("answer = %+v, want SUBSCRIBE_OK", m)
		}
	}).serving(take),
	{name: "alias of another live track", do: func(p *peer) {
		p.answer(p.request(publishMessage(0, 1, "a")), wire.KindPublish)
		p.request(publishMessage(2, 1, "b"))
	}, code: moqt.SessionDuplicateTrackAlias, serve: take},
	lives("alias of a track that has ended", func(p *peer) {
		st := p.request(publishMessage(0, 1, "a"))
		p.answer(st, wire.KindPublish)
		p.write(st, p.bytes(&wire.PublishDone{Code: moqt.DoneTrackEnded, Streams: 5})) // the streams never come
		synctest.Wait()
		p.answer(p.request(publishMessage(2, 1, "b")), wire.KindPublish)
	}).serving(take),

	// Track properties.
	lives("mandatory property", refused(publishMessage(0, 1, "a", moqt.Property{Type: 0x4000, Value: 1}), moqt.RequestUnsupportedExtension)),
	pv("DEFAULT_PUBLISHER_PRIORITY of 256", func(p *peer) { p.bidi(raw(0x1d, "00"+clockNow+"01 00 0e 8100")) }),
	pv("DEFAULT_PUBLISHER_GROUP_ORDER of 3", func(p *peer) { p.bidi(raw(0x1d, "00"+clockNow+"01 00 22 03")) }),
	pv("DYNAMIC_GROUPS of 2", func(p *peer) { p.bidi(raw(0x1d, "00"+clockNow+"01 00 30 02")) }),
	pv("properties that end too early", func(p *peer) { p.bidi(raw(0x1d, "00"+clockNow+"01 00 0b 05 00")) }),

	// FETCH.
	pv("FETCH of an unknown type", func(p *peer) { p.bidi(raw(0x16, "00 04")) }),
	pv("FETCH of type 0", func(p *peer) { p.bidi(raw(0x16, "00 00")) }),
	lives("FETCH that ends before its start", refused(&wire.Fetch{Type: wire.FetchStandalone, Track: clock, Start: at(2, 0), End: at(1, 0)}, moqt.RequestInvalidRange)).in(joiningFetches),
	lives("FETCH that ends before its start in one group", refused(&wire.Fetch{Type: wire.FetchStandalone, Track: clock, Start: at(2, 7), End: at(2, 6)}, moqt.RequestInvalidRange)),
	lives("FETCH of the next object", refused(&wire.Fetch{Type: wire.FetchRelative, Track: clock}, moqt.RequestInvalidRange)).in(fetchesByFilter),
	lives("FETCH of the next group", refused(&wire.Fetch{Type: wire.FetchRelative, Track: clock, Filter: moqt.Filter{Kind: moqt.FilterNextGroup}}, moqt.RequestInvalidRange)).in(fetchesByFilter),
	lives("joining FETCH of a request that never comes", func(p *peer) {
		start := time.Now()
		p.wantError(p.request(&wire.Fetch{Type: wire.FetchRelativeJoining, JoiningID: 8}), wire.KindFetch, moqt.RequestInvalidJoiningID)
		if d := time.Since(start); d != 2*time.Second {
			p.t.Errorf("it was answered after %v, want 2s", d)
		}
	}).in(joiningFetches),
	lives("joining FETCH of another request", func(p *peer) {
		p.answer(p.request(subscribeNamespace(0, "a")), wire.KindSubscribeNamespace)
		p.wantError(p.request(&wire.Fetch{RequestID: 2, Type: wire.FetchRelativeJoining, JoiningID: 0}), wire.KindFetch, moqt.RequestInvalidJoiningID)
	}).serving(take).in(joiningFetches),
	lives("joining FETCH of a request of this end", refused(&wire.Fetch{Type: wire.FetchRelativeJoining, JoiningID: 1}, moqt.RequestInvalidJoiningID)).in(joiningFetches),
	lives("joining FETCH that starts after the largest", func(p *peer) {
		p.answer(p.request(subscribe(0)), wire.KindSubscribe)
		p.wantError(p.request(&wire.Fetch{RequestID: 2, Type: wire.FetchAbsoluteJoining, JoiningID: 0, JoiningStart: 6}), wire.KindFetch, moqt.RequestInvalidRange)
	}).serving(publish).in(joiningFetches),
	lives("joining FETCH of a subscription that is never answered", func(p *peer) {
		p.request(subscribe(0))
		start := time.Now()
		p.wantError(p.request(&wire.Fetch{RequestID: 2, Type: wire.FetchRelativeJoining, JoiningID: 0}), wire.KindFetch, moqt.RequestTimeout)
		if d := time.Since(start); d != 30*time.Second {
			p.t.Errorf("it was answered after %v, want 30s", d)
		}
	}).in(joiningFetches),

	// After the request.
	pv("second SUBSCRIBE on one stream", request(subscribe(0), raw(0x03, "02"+clockNow+"00"))).serving(publish),
	pv("SUBSCRIBE_OK from the subscriber", request(subscribe(0), unhex("04 0002 00 00"))).serving(publish),
	pv("PUBLISH_STATE_NOTIFY from the subscriber", request(subscribe(0), unhex("22 0001 00"))).serving(publish),
	pv("PUBLISH_DONE from the subscriber", request(subscribe(0), unhex("0b 0003 00 00 00"))).serving(publish),
	pv("REQUEST_OK that answers nothing", request(subscribe(0), unhex("07 0001 00"))).serving(publish),
	pv("REQUEST_ERROR that answers nothing", request(subscribe(0), unhex("05 0003 00 00 00"))).serving(publish),
	pv("REQUEST_UPDATE of TRACK_STATUS", func(p *peer) {
		p.bidi(append(raw(0x0d, "00"+clockNow+"00"), unhex("02 0002 02 00")...))
	}).serving(take),
	pv("NAMESPACE from the watcher", request(subscribeNamespace(0, "a"), unhex("08 0001 00"))).serving(take),
	pv("second GOAWAY on a request", request(subscribe(0), unhex("10 0002 00 00 10 0002 00 00"))).serving(publish),
	pv("GOAWAY with a URI on a client's request", request(subscribe(0), unhex("10 0003 01 61 00"))).serving(publish),
	pv("update cut off by the stream's end", func(p *peer) {
		st := p.request(subscribe(0))
		p.answer(st, wire.KindSubscribe)
		p.write(st, unhex("02 0002 02"))
		st.Close()
	}).serving(publish),
	lives("GOAWAY on a request", request(subscribe(0), unhex("10 0002 00 05"))).serving(publish),
	lives("update of a prefix", func(p *peer) {
		st := p.request(subscribeNamespace(0, "a"))
		p.answer(st, wire.KindSubscribeNamespace)
		p.write(st, p.bytes(&wire.RequestUpdate{RequestID: 2, Params: wire.Params{Prefix: wire.Some(moqt.NS("b"))}}))
		m := p.read(st, wire.On{Request: wire.KindSubscribeNamespace, Answers: wire.KindRequestUpdate})
		if e, ok := m.(*wire.RequestError); !ok || e.Code != moqt.RequestNotSupported {
			p.t.Errorf("answer = %+v, want NOT_SUPPORTED", m)
		}
		if _, err := io.ReadAll(p.streams[st]); err != nil {
			p.t.Errorf("the stream ended with %v, want its end", err)
		}
	}).serving(take),
	lives("updates before the answer", func(p *peer) {
		st := p.bidi(p.bytes(subscribe(0), &wire.RequestUpdate{RequestID: 2}, &wire.RequestUpdate{RequestID: 4}))
		if m, ok := p.answer(st, wire.KindSubscribe).(*wire.SubscribeOK); !ok {
			p.t.Errorf("first answer = %+v, want SUBSCRIBE_OK", m)
		}
		for range 2 {
			m := p.read(st, wire.On{Request: wire.KindSubscribe, Answers: wire.KindRequestUpdate})
			if m, ok := m.(*wire.RequestOK); !ok {
				p.t.Errorf("answer to an update = %+v, want REQUEST_OK", m)
			}
		}
	}).serving(publish),
	lives("updates of a request that is refused", func(p *peer) {
		p.wantError(p.bidi(p.bytes(&wire.Subscribe{RequestID: 0, Track: moqt.NS(".").Track("")}, &wire.RequestUpdate{RequestID: 2})), wire.KindSubscribe, moqt.RequestDoesNotExist)
	}),
	lives("SUBSCRIBE and the end of the stream", func(p *peer) {
		st := p.request(subscribe(0))
		st.Close()
		p.answer(st, wire.KindSubscribe)
		synctest.Wait()
		p.wantError(p.request(subscribe(2)), wire.KindSubscribe, moqt.RequestDuplicateSubscription) // it goes on
	}).serving(take).in(oneSubscription),
	lives("SUBSCRIBE and a reset", func(p *peer) {
		st := p.request(subscribe(0))
		p.answer(st, wire.KindSubscribe)
		st.CancelWrite(moqt.StreamCancelled)
		p.wantReset(st, moqt.StreamCancelled)
		p.answer(p.request(subscribe(2)), wire.KindSubscribe)
	}).serving(take),
	lives("SUBSCRIBE and STOP_SENDING", func(p *peer) {
		st := p.request(subscribe(0))
		p.answer(st, wire.KindSubscribe)
		st.CancelRead(moqt.StreamCancelled)
		synctest.Wait()
		p.answer(p.request(subscribe(2)), wire.KindSubscribe)
	}).serving(take),
	lives("FETCH and a reset", func(p *peer) {
		st := p.request(&wire.Fetch{Type: wire.FetchStandalone, Track: clock, End: at(1, 1)})
		p.answer(st, wire.KindFetch)
		data := p.acceptUni("0500") // FETCH_HEADER
		st.CancelWrite(moqt.StreamCancelled)
		p.wantReset(data, moqt.StreamCancelled)
		p.wantReset(st, moqt.StreamCancelled)
	}).serving(take),
	lives("more requests than may be open", func(p *peer) {
		var last uint64
		var open transport.Stream
		for i := range uint64(1024) {
			last = 2000 + 2*i
			open = p.request(subscribeNamespace(last, "a", string(rune('a'+i/32)), string(rune('a'+i%32))))
		}
		synctest.Wait()
		for i := range uint64(20) {
			st := p.request(subscribeNamespace(last+2+2*i, "z"))
			e, ok := p.answer(st, wire.KindSubscribeNamespace).(*wire.RequestError)
			if !ok || e.Code != moqt.RequestExcessiveLoad || !e.Retry.Set {
				p.t.Fatalf("request %d = %+v, want EXCESSIVE_LOAD and when to retry", 1024+i, e)
			}
		}
		// Room is made by cancelling.
		open.CancelWrite(moqt.StreamCancelled)
		open.CancelRead(moqt.StreamCancelled)
		time.Sleep(time.Second) // and until requests are let in again
	}),
}
