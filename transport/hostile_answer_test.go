package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// answered answers the session's request with bytes in hex.
func answered(hex string) func(p *peer) {
	return func(p *peer) {
		st, _ := p.accepted()
		p.write(st, unhex(hex))
	}
}

// answeredBy answers it with messages.
func answeredBy(messages ...wire.Message) func(p *peer) {
	return func(p *peer) {
		st, _ := p.accepted()
		p.write(st, p.bytes(messages...))
	}
}

// failing is an application whose request must fail so that check is content.
func failing(call func(context.Context, *transport.Session) error, check func(err error) bool) func(context.Context, *transport.Session) error {
	return func(ctx context.Context, s *transport.Session) error {
		err := call(ctx, s)
		if !check(err) {
			return fmt.Errorf("the request = %v", err)
		}
		<-ctx.Done()
		return nil
	}
}

// refusedWith is a check for RequestErrors.
func refusedWith(code moqt.RequestCode) func(error) bool {
	return func(err error) bool { return errors.Is(err, &transport.RequestError{Code: code}) }
}

func subscribing(ctx context.Context, s *transport.Session) error {
	return second(s.Subscribe(ctx, clock, nil))
}

// the following are applications that make a request and follow it.

func watching(ctx context.Context, s *transport.Session) error {
	r, err := s.WatchNamespaces(ctx, moqt.NS("a"))
	for err == nil {
		_, err = r.Next(ctx)
	}
	<-ctx.Done()
	return nil
}

func publishing(ctx context.Context, s *transport.Session) error {
	w, err := s.Publish(ctx, clock, nil)
	if err == nil {
		<-w.Context().Done()
	}
	<-ctx.Done()
	return nil
}

func announcing(ctx context.Context, s *transport.Session) error {
	s.Announce(ctx, moqt.NS("a"))
	<-ctx.Done()
	return nil
}

func subscribingTracks(ctx context.Context, s *transport.Session) error {
	s.SubscribeTracks(ctx, moqt.NS("a"), nil)
	<-ctx.Done()
	return nil
}

// hostileAnswers is about answers to requests of this end.
var hostileAnswers = []hostile{
	pv("second SUBSCRIBE_OK", answeredBy(&wire.SubscribeOK{Alias: 1}, &wire.SubscribeOK{Alias: 2})).serving(view),
	pv("REQUEST_OK to SUBSCRIBE", answered("07 0001 00")).serving(view),
	pv("FETCH_OK to SUBSCRIBE", answered("18 0004 00 00 00 00")).serving(view),
	pv("PUBLISH_DONE before the answer", answered("0b 0003 00 00 00")).serving(view),
	pv("NAMESPACE to SUBSCRIBE", answered("08 0001 00")).serving(view),
	pv("SUBSCRIBE_OK cut off by the stream's end", func(p *peer) {
		st, _ := p.accepted()
		p.write(st, unhex("04 0005 00"))
		st.Close()
	}).serving(view),
	pv("SUBSCRIBE_OK with a parameter of SUBSCRIBE", answered("04 0004 01 01 10 01")).serving(view),
	pv("EXPIRES that ends too early", answered("04 0003 01 01 08")).serving(view),
	pv("error reason of 1025 bytes", func(p *peer) {
		st, _ := p.accepted()
		p.write(st, append(unhex("05 0405 00 00 8401"), strings.Repeat("a", 1025)...))
	}).serving(view),
	pv("redirect with a URI from a client", answeredBy(&wire.RequestError{Code: moqt.RequestRedirect, Redirect: wire.Some(wire.Redirect{URI: "moqt://there"})})).serving(view),
	pv("redirect with a track name to PUBLISH_NAMESPACE", answered("05 0007 34 00 00 00 00 01 61")).serving(announcing),
	pv("REQUEST_ERROR after the answer", answeredBy(&wire.SubscribeOK{}, &wire.RequestError{})).serving(view),
	pv("REQUEST_OK after the answer", answered("04 0002 00 00 07 0001 00")).serving(view),
	pv("REQUEST_UPDATE from the publisher of a SUBSCRIBE", answeredBy(&wire.SubscribeOK{}, &wire.RequestUpdate{RequestID: 0})).serving(view),
	pv("REQUEST_OK with properties to PUBLISH", answered("07 0003 00 02 01")).serving(publishing),
	pv("PUBLISH_OK with LARGEST_OBJECT", answered("07 0004 01 09 00 00")).serving(publishing),
	pv("SUBSCRIBE_OK to PUBLISH", answered("04 0002 00 00")).serving(publishing),
	pv("PUBLISH_DONE from the subscriber of a PUBLISH", answered("07 0001 00 0b 0003 00 00 00")).serving(publishing),
	pv("NAMESPACE_DONE before NAMESPACE", answered("07 0001 00 0e 0003 01 01 62")).serving(watching),
	pv("NAMESPACE before the answer", answered("08 0003 01 01 62")).serving(watching),
	pv("NAMESPACE that makes a namespace of 33 fields", answered("07 0001 00 08 0041 20"+strings.Repeat("0161", 32))).serving(watching),
	pv("PUBLISH_BLOCKED to SUBSCRIBE_NAMESPACE", answered("07 0001 00 0f 0002 00 00")).serving(watching),
	pv("NAMESPACE to SUBSCRIBE_TRACKS", answered("07 0001 00 08 0001 00")).serving(subscribingTracks),
	pv("PUBLISH_BLOCKED of a name that is too long", answered("07 0001 00 0f 1004 00 9000"+strings.Repeat("61", 4097))).serving(subscribingTracks),
	pv("anything after the answer to PUBLISH_NAMESPACE", answered("07 0001 00 08 0001 00")).serving(announcing),
	{name: "two tracks of one alias", do: func(p *peer) {
		for range 2 {
			st, _ := p.accepted()
			p.write(st, p.bytes(&wire.SubscribeOK{Alias: 1}))
		}
	}, code: moqt.SessionDuplicateTrackAlias, serve: func(ctx context.Context, s *transport.Session) error {
		s.Subscribe(ctx, clock, nil)
		s.Subscribe(ctx, moqt.NS("clock").Track("then"), nil)
		return nil
	}},
	lives("error code that nobody knows", answeredBy(&wire.RequestError{Code: 0x7f*3 + 0x9d, Reason: "grease"})).
		serving(failing(subscribing, refusedWith(0x7f*3+0x9d))),
	lives("redirect to another name", answeredBy(&wire.RequestError{Code: moqt.RequestRedirect, Redirect: wire.Some(wire.Redirect{Track: moqt.NS("b").Track("c")})})).
		serving(failing(subscribing, func(err error) bool {
			e, ok := errors.AsType[*transport.RequestError](err)
			return ok && e.Redirect != nil && e.Redirect.Track == moqt.NS("b").Track("c")
		})),
	lives("redirect to another server", answeredBy(&wire.RequestError{Code: moqt.RequestRedirect, Redirect: wire.Some(wire.Redirect{URI: "moqt://there"})})).
		fromServer().serving(failing(subscribing, func(err error) bool {
		e, ok := errors.AsType[*transport.RequestError](err)
		return ok && e.Redirect != nil && e.Redirect.URI == "moqt://there"
	})),
	lives("GOAWAY instead of an answer", answeredBy(&wire.Goaway{URI: "moqt://there"})).
		fromServer().serving(failing(subscribing, func(err error) bool {
		e, ok := errors.AsType[*transport.RequestError](err)
		return ok && e.Code == moqt.RequestRedirect && e.Redirect != nil && e.Redirect.URI == "moqt://there"
	})),
	pv("GOAWAY with a URI instead of an answer, from a client", answeredBy(&wire.Goaway{URI: "moqt://there"})).serving(view),
	lives("stream ends without an answer", func(p *peer) {
		st, _ := p.accepted()
		st.Close()
	}).serving(failing(subscribing, refusedWith(moqt.RequestInternalError))),
	lives("stream reset without an answer", func(p *peer) {
		st, _ := p.accepted()
		st.CancelWrite(moqt.StreamExcessiveLoad)
	}).serving(failing(subscribing, func(err error) bool {
		return errors.Is(err, &transport.StreamError{Code: moqt.StreamExcessiveLoad})
	})),
	lives("track that needs what is not known", func(p *peer) {
		st, _ := p.accepted()
		p.write(st, p.bytes(&wire.SubscribeOK{Properties: moqt.Properties{{Type: 0x7fff, Bytes: []byte{}}}}))
		p.wantReset(st, moqt.StreamCancelled)
	}).serving(failing(subscribing, refusedWith(moqt.RequestUnsupportedExtension))),
	lives("PUBLISH_DONE with a code that nobody knows", func(p *peer) {
		st := p.subscribedTo(7)
		p.write(st, p.bytes(&wire.PublishDone{Code: 0x9d, Streams: wire.UnknownStreams, Reason: "\x1b[2J"}))
		time.Sleep(3 * time.Second) // the streams may still come
	}).serving(func(ctx context.Context, s *transport.Session) error {
		r, err := s.Subscribe(ctx, clock, nil)
		if err != nil {
			return err
		}
		_, err = r.AcceptSubgroup(ctx)
		if want := `track done: 0x9d: \x1b[2J`; err == nil || err.Error() != want {
			return fmt.Errorf("AcceptSubgroup() = %v, want %s", err, want)
		}
		return nil
	}),
	lives("request ends without PUBLISH_DONE", func(p *peer) { p.subscribedTo(7).Close() }).
		serving(func(ctx context.Context, s *transport.Session) error {
			r, err := s.Subscribe(ctx, clock, nil)
			if err != nil {
				return err
			}
			if err := done(r.Context()); !errors.Is(err, &transport.TrackDone{Code: moqt.DoneInternalError}) {
				return fmt.Errorf("the subscription ended with %v", err)
			}
			return nil
		}),
	lives("update refused", func(p *peer) {
		st := p.subscribedTo(7)
		p.read(st, wire.On{Request: wire.KindSubscribe, Answers: wire.KindRequestUpdate})
		p.write(st, p.bytes(&wire.RequestError{Code: moqt.RequestInvalidRange}, &wire.PublishDone{Code: moqt.DoneUpdateFailed}))
		if _, err := io.ReadAll(p.streams[st]); err != nil {
			p.t.Errorf("the request ended with %v, want its end", err)
		}
	}).serving(func(ctx context.Context, s *transport.Session) error {
		r, err := s.Subscribe(ctx, clock, nil)
		if err != nil {
			return err
		}
		if err := r.Update(ctx, transport.SubscribeUpdate{}); !errors.Is(err, &transport.RequestError{Code: moqt.RequestInvalidRange}) {
			return fmt.Errorf("Update() = %v", err)
		}
		if err := done(r.Context()); !errors.Is(err, &transport.TrackDone{Code: moqt.DoneUpdateFailed}) {
			return fmt.Errorf("the subscription ended with %v", err)
		}
		return nil
	}),
	lives("updates from the publisher of a PUBLISH", func(p *peer) {
		st := p.request(publishMessage(0, 1, "a"))
		p.answer(st, wire.KindPublish)
		p.write(st, p.bytes(&wire.RequestUpdate{RequestID: 2}))
		if m, ok := p.read(st, wire.On{Request: wire.KindPublish, Answers: wire.KindRequestUpdate}).(*wire.RequestOK); !ok {
			p.t.Errorf("answer = %+v, want REQUEST_OK", m)
		}
	}).serving(take),
	lives("more namespaces than are held", func(p *peer) {
		st, _ := p.accepted()
		p.write(st, unhex("07 0001 00"))
		for i := 0; i < 200_000; i++ {
			if _, err := st.Write(p.bytes(&wire.Namespace{Suffix: moqt.NS(fmt.Sprint(i))})); err != nil {
				wantStream(p.t, "Write()", err, moqt.StreamCancelled)
				return
			}
		}
		p.t.Error("200,000 namespaces were taken")
	}).serving(func(ctx context.Context, s *transport.Session) error {
		_, err := s.WatchNamespaces(ctx, moqt.NS("a")) // nobody calls Next
		return err
	}),
	lives("namespaces told twice", func(p *peer) {
		st, _ := p.accepted()
		p.write(st, unhex("07 0001 00 08 0003 01 01 62 08 0003 01 01 62 0e 0003 01 01 62"))
		synctest.Wait()
	}).serving(func(ctx context.Context, s *transport.Session) error {
		r, err := s.WatchNamespaces(ctx, moqt.NS("a"))
		if err != nil {
			return err
		}
		for _, gone := range []bool{false, true} {
			if e, err := r.Next(ctx); err != nil || e.Gone != gone {
				return fmt.Errorf("Next() = %+v, %v, want gone %v", e, err, gone)
			}
		}
		return nil
	}),
}
