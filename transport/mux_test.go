package transport_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
	"github.com/tributary-live/tributary/transport/wire"
)

// muxed runs test in a bubble with a session at the client's end, whose peer
// has a shared control stream and admits requests below limit.
func muxed(t *testing.T, limit uint64, test func(t *testing.T, s *transport.Session, p *peer)) {
	synctest.Test(t, func(t *testing.T) {
		client, server := transporttest.Pipe(t, &transporttest.PipeOptions{Version: moqt.Draft16})
		s, p, err := meet(t, client, server, nil, func(p *peer) {
			setup := p.setup()
			setup.MaxRequestID = wire.Some(limit)
			p.openControl(p.bytes(setup))
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		test(t, s, p)
	})
}

// nextOf reads the next message on the shared control stream, which must be an M.
func nextOf[M wire.Message](p *peer) (m M) {
	p.t.Helper()
	st, _ := p.shared()
	got := p.read(st, wire.On{})
	m, ok := got.(M)
	if !ok {
		p.t.Fatalf("message = %+v, want %T", got, m)
	}
	return m
}

// quiet checks that nothing more is on the shared control stream for a second.
func (p *peer) quiet() {
	p.t.Helper()
	st, _ := p.shared()
	st.SetReadDeadline(time.Now().Add(time.Second))
	defer st.SetReadDeadline(time.Time{})
	r := p.streams[st]
	if m, err := p.profile.ReadMessage(r, wire.On{Control: true}); err == nil {
		p.t.Errorf("message = %+v, want none", m)
	}
	*r = *wire.NewReader(st) // it remembers the deadline
}

// say writes messages to the control stream and waits until all is done with them.
func (p *peer) say(messages ...wire.Message) {
	p.t.Helper()
	p.write(p.control, p.bytes(messages...))
	synctest.Wait()
}

// TestRequestsWaitForCredit makes more requests than the peer admits.
func TestRequestsWaitForCredit(t *testing.T) {
	muxed(t, 2, func(t *testing.T, s *transport.Session, p *peer) {
		status := func(ctx context.Context) func() (transport.TrackInfo, error) {
			return async(func() (transport.TrackInfo, error) { return s.Status(ctx, clock) })
		}
		first := status(t.Context())
		if m := nextOf[*wire.TrackStatus](p); m.RequestID != 0 {
			t.Errorf("request id = %d, want 0", m.RequestID)
		}
		second, third := status(t.Context()), status(t.Context())
		if m := nextOf[*wire.RequestsBlocked](p); m.Max != 2 {
			t.Errorf("REQUESTS_BLOCKED %d, want 2", m.Max)
		}
		// Who waits longest is told why, and costs no id.
		_, err := status(contextAfter(t, time.Second))()
		if !errors.Is(err, context.DeadlineExceeded) || err.Error() == context.DeadlineExceeded.Error() {
			t.Errorf("Status() without credit = %v, want a deadline and a sentence", err)
		}
		p.quiet() // it was said once
		p.say(&wire.MaxRequestID{Max: 4})
		if m := nextOf[*wire.TrackStatus](p); m.RequestID != 2 {
			t.Errorf("request id = %d, want 2", m.RequestID)
		}
		if m := nextOf[*wire.RequestsBlocked](p); m.Max != 4 {
			t.Errorf("REQUESTS_BLOCKED %d, want 4", m.Max)
		}
		p.say(&wire.RequestOK{RequestID: 2}, &wire.RequestOK{RequestID: 0})
		if _, err := first(); err != nil {
			t.Errorf("Status() = %v", err)
		}
		// A peer that goes away admits nothing more.
		p.say(&wire.Goaway{})
		_, e2 := second()
		_, e3 := third()
		if !(e2 == nil && e3 == transport.ErrGoaway || e3 == nil && e2 == transport.ErrGoaway) {
			t.Errorf("Status() = %v and %v, want one answer and ErrGoaway", e2, e3)
		}
	})
}

// TestRequestIDsAreInOrder makes requests and updates at once, and some that
// cannot be sent: their ids are not used up.
func TestRequestIDsAreInOrder(t *testing.T) {
	muxed(t, 1000, func(t *testing.T, s *transport.Session, p *peer) {
		wait := async(func() (*transport.TrackReader, error) { return s.Subscribe(t.Context(), clock, nil) })
		p.say(&wire.SubscribeOK{RequestID: nextOf[*wire.Subscribe](p).RequestID})
		r, err := wait()
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			go s.Status(t.Context(), moqt.NS("a").Track(fmt.Sprint(i)))
			go r.Update(t.Context(), transport.SubscribeUpdate{Priority: ptr(moqt.Priority(i))})
			go func() {
				if _, err := s.Status(t.Context(), moqt.NS().Track("x")); err == nil {
					t.Error("Status() of a track without a namespace succeeded")
				}
			}()
		}
		st, _ := p.shared()
		for want := uint64(2); want < 402; want += 2 {
			var id uint64
			switch m := p.read(st, wire.On{}).(type) {
			case *wire.TrackStatus:
				id = m.RequestID
			case *wire.RequestUpdate:
				id = m.RequestID
				if m.Existing != 0 {
					t.Errorf("update of request %d, want 0", m.Existing)
				}
			}
			if id != want {
				t.Fatalf("request id = %d, want %d", id, want)
			}
		}
		p.quiet()
	})
}

// TestAnswersByID answers updates in another order than they came in.
func TestAnswersByID(t *testing.T) {
	muxed(t, 1000, func(t *testing.T, s *transport.Session, p *peer) {
		wait := async(func() (*transport.TrackReader, error) { return s.Subscribe(t.Context(), clock, nil) })
		p.say(&wire.SubscribeOK{RequestID: nextOf[*wire.Subscribe](p).RequestID})
		r, err := wait()
		if err != nil {
			t.Fatal(err)
		}
		update := func(priority moqt.Priority) func() (int, error) {
			wait := async(func() (int, error) {
				return 0, r.Update(t.Context(), transport.SubscribeUpdate{Priority: &priority})
			})
			synctest.Wait()
			return wait
		}
		a, b := update(1), update(2)
		ida, idb := nextOf[*wire.RequestUpdate](p).RequestID, nextOf[*wire.RequestUpdate](p).RequestID
		p.say(&wire.RequestError{RequestID: idb, Code: moqt.RequestNotSupported}, &wire.RequestOK{RequestID: ida})
		if _, err := a(); err != nil {
			t.Errorf("first Update() = %v", err)
		}
		if _, err := b(); !errors.Is(err, &transport.RequestError{Code: moqt.RequestNotSupported}) {
			t.Errorf("second Update() = %v, want NOT_SUPPORTED", err)
		}
	})
}

// TestCreditRises has the peer make many more requests, and updates, than may
// be open at once.
func TestCreditRises(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, most := range []int{1, 3, 100} {
			s, p := against(t, &transport.Config{Limits: transport.Limits{MaxRequests: most, RequestRate: 1 << 20}}, &transporttest.PipeOptions{Version: moqt.Draft16})
			go take(t.Context(), s)
			st, _ := p.shared()
			setup, err := p.profile.ReadMessage(wire.NewReader(oneMessage{st}), wire.On{Control: true})
			if err != nil {
				t.Fatal(err)
			}
			limit := setup.(*wire.Setup).MaxRequestID.Value
			if limit != uint64(2*most) {
				t.Errorf("MAX_REQUEST_ID = %d, want %d", limit, 2*most)
			}
			answers := 0
			for id := uint64(0); id < 1000; id += 2 {
				for id >= limit {
					switch m := p.read(st, wire.On{}).(type) {
					case *wire.MaxRequestID:
						if m.Max > uint64(2*(answers+most)) {
							t.Fatalf("MAX_REQUEST_ID = %d after %d answers, want at most %d open", m.Max, answers, most)
						}
						limit = m.Max
					case *wire.RequestOK, *wire.RequestError: // one that comes too fast is refused
						answers++
					default:
						t.Fatalf("message = %+v", m)
					}
				}
				p.write(p.control, p.bytes(&wire.TrackStatus{RequestID: id, Track: clock}))
			}
			s.Close()
		}
	})
}

// oneMessage gives one byte at a time, so that a reader takes no more than it
// needs.
type oneMessage struct{ transport.ReceiveStream }

func (o oneMessage) Read(b []byte) (int, error) { return o.ReceiveStream.Read(b[:1]) }

// TestSlowRequestHoldsNobodyUp leaves a request unanswered, with many updates
// behind it: others are served, until it is too much.
func TestSlowRequestHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := against(t, nil, &transporttest.PipeOptions{Version: moqt.Draft16})
		p.say(subscribe(0))
		req := accept[*transport.SubscribeRequest](t, s)
		id := uint64(2)
		update := func(size int) {
			token := wire.Token{AliasType: wire.TokenUseValue, Value: make([]byte, size)}
			p.say(&wire.RequestUpdate{RequestID: id, Params: wire.Params{Tokens: []wire.Token{token}}})
			id += 2
		}
		for range 60 {
			update(1000)
		}
		p.say(&wire.TrackStatus{RequestID: id, Track: moqt.NS(".").Track("")})
		if m := nextOf[*wire.RequestError](p); m.RequestID != id {
			t.Errorf("answer to request %d, want %d", m.RequestID, id)
		}
		id += 2
		// All are answered as soon as the request is.
		if _, err := req.Accept(nil); err != nil {
			t.Fatal(err)
		}
		nextOf[*wire.SubscribeOK](p)
		for want := uint64(2); want < 122; want += 2 {
			if m := nextOf[*wire.RequestOK](p); m.RequestID != want {
				t.Fatalf("answer to update %d, want %d", m.RequestID, want)
			}
		}
		p.say(&wire.Subscribe{RequestID: id, Track: moqt.NS("a").Track("b")})
		slow := id
		id += 2
		for range 10 {
			p.write(p.control, p.bytes(&wire.RequestUpdate{RequestID: id, Existing: slow, Params: wire.Params{
				Tokens: []wire.Token{{AliasType: wire.TokenUseValue, Value: make([]byte, 10_000)}}}}))
			id += 2
		}
		p.wantClosed(moqt.SessionTooManyRequests)
	})
}

// TestControlStreamNobodyReads has a peer ask and ask, and read no answer.
func TestControlStreamNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := against(t, nil, &transporttest.PipeOptions{Version: moqt.Draft16, Window: 1 << 10})
		start := time.Now()
		for id := uint64(0); id < 2048; id += 2 {
			p.write(p.control, p.bytes(&wire.TrackStatus{RequestID: id, Track: moqt.NS(".").Track("")}))
		}
		p.wantClosed(moqt.SessionControlMessageTimeout)
		wantSession(t, "this end", done(s.Context()), moqt.SessionControlMessageTimeout, false)
		if d := time.Since(start); d < 9*time.Second || d > 11*time.Second {
			t.Errorf("closed after %v, want 10s", d)
		}
	})
}

// TestCancelledByMessage ends requests of each kind from both sides, and looks
// at the words for it.
func TestCancelledByMessage(t *testing.T) {
	name, ns := moqt.NS("a").Track("b"), moqt.NS("a")
	type ask = func(ctx context.Context, s *transport.Session) (cancel func(), err error)
	asks := map[string]struct {
		ask    ask
		ok     wire.Message
		before wire.Message // its cancellation before the answer
		after  wire.Message
	}{
		"SUBSCRIBE": {func(ctx context.Context, s *transport.Session) (func(), error) {
			r, err := s.Subscribe(ctx, name, nil)
			return func() { r.Close() }, err
		}, &wire.SubscribeOK{}, &wire.Unsubscribe{}, &wire.Unsubscribe{}},
		"FETCH": {func(ctx context.Context, s *transport.Session) (func(), error) {
			f, err := s.Fetch(ctx, name, transport.Range{}, nil)
			return func() { f.Close() }, err
		}, &wire.FetchOK{End: at(1, 0)}, &wire.FetchCancel{}, &wire.FetchCancel{}},
		"PUBLISH": {func(ctx context.Context, s *transport.Session) (func(), error) {
			w, err := s.Publish(ctx, name, nil)
			return func() { w.Close() }, err
		}, &wire.RequestOK{Publish: true}, &wire.PublishDone{Streams: wire.UnknownStreams, Reason: "the publisher has given up"}, &wire.PublishDone{Code: moqt.DoneTrackEnded}},
		"PUBLISH_NAMESPACE": {func(ctx context.Context, s *transport.Session) (func(), error) {
			a, err := s.Announce(ctx, ns)
			return func() { a.Close() }, err
		}, &wire.RequestOK{}, &wire.PublishNamespaceDone{}, &wire.PublishNamespaceDone{}},
		"TRACK_STATUS": {func(ctx context.Context, s *transport.Session) (func(), error) {
			_, err := s.Status(ctx, name)
			return func() {}, err
		}, &wire.RequestOK{}, nil, nil},
	}
	want := func(t *testing.T, p *peer, m wire.Message) {
		t.Helper()
		if m == nil {
			p.quiet()
			return
		}
		st, _ := p.shared()
		if got := p.read(st, wire.On{}); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", m) {
			t.Errorf("message = %+v, want %+v", got, m)
		}
	}
	for kind, tt := range asks {
		t.Run(kind+" before the answer", func(t *testing.T) {
			muxed(t, 100, func(t *testing.T, s *transport.Session, p *peer) {
				_, err := tt.ask(contextAfter(t, time.Second), s)
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("request = %v", err)
				}
				nextOf[wire.Message](p)
				want(t, p, tt.before)
				p.say(tt.ok) // crossed with it
				p.quiet()
				if err := s.Context().Err(); err != nil {
					t.Errorf("the session ended: %v", context.Cause(s.Context()))
				}
			})
		})
		t.Run(kind, func(t *testing.T) {
			muxed(t, 100, func(t *testing.T, s *transport.Session, p *peer) {
				wait := async(func() (func(), error) { return tt.ask(t.Context(), s) })
				nextOf[wire.Message](p)
				p.say(tt.ok)
				cancel, err := wait()
				if err != nil {
					t.Fatal(err)
				}
				go cancel()
				want(t, p, tt.after)
				p.quiet()
			})
		})
	}
	// The other side's.
	answer := func(request wire.Message, do func(t *testing.T, req transport.Request), messages ...wire.Message) {
		t.Run(fmt.Sprintf("answer to %v, then %d", request.Kind(), len(messages)), func(t *testing.T) {
			muxed(t, 100, func(t *testing.T, s *transport.Session, p *peer) {
				p.say(request)
				req, err := s.Accept(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				go do(t, req)
				for _, m := range messages {
					want(t, p, m)
				}
				p.quiet()
			})
		})
	}
	answer(&wire.PublishNamespace{RequestID: 1, Namespace: ns}, func(t *testing.T, req transport.Request) {
		r := req.(*transport.AnnounceRequest)
		r.Accept()
		r.Revoke(moqt.StreamExpiredToken)
	}, &wire.RequestOK{RequestID: 1}, &wire.PublishNamespaceCancel{RequestID: 1, Code: moqt.RequestExpiredToken, Reason: "the namespace is not wanted any more"})
	answer(&wire.Publish{RequestID: 1, Track: name}, func(t *testing.T, req transport.Request) {
		r, err := req.(*transport.PublishRequest).Accept(nil)
		if err != nil {
			t.Error(err)
			return
		}
		r.Close()
	}, &wire.RequestOK{RequestID: 1, Publish: true, Params: wire.Params{Forward: wire.Some(true)}}, &wire.Unsubscribe{RequestID: 1})
	answer(&wire.Fetch{RequestID: 1, Type: wire.FetchStandalone, Track: name}, func(t *testing.T, req transport.Request) {
		w, err := req.(*transport.FetchRequest).Accept(transport.FetchInfo{})
		if err != nil {
			t.Error(err)
			return
		}
		w.Cancel(moqt.StreamInternalError) // its stream says so
	}, &wire.FetchOK{RequestID: 1})
	answer(&wire.Subscribe{RequestID: 1, Track: name}, func(t *testing.T, req transport.Request) {
		req.Reject(moqt.RequestTimeout, "no")
	}, &wire.RequestError{RequestID: 1, Code: moqt.RequestTimeout, Reason: "no"})
}

// TestLateSubscribeOK cancels a subscription whose answer, and first objects,
// are on their way.
func TestLateSubscribeOK(t *testing.T) {
	muxed(t, 100, func(t *testing.T, s *transport.Session, p *peer) {
		if _, err := s.Subscribe(contextAfter(t, time.Second), clock, nil); err == nil {
			t.Fatal("Subscribe() succeeded")
		}
		p.say(&wire.SubscribeOK{Alias: 7})
		start := time.Now()
		st := p.uni(unhex("10 07 00 00 00 01"))
		p.wantStopped(st, moqt.StreamCancelled)
		if d := time.Since(start); d > 0 {
			t.Errorf("the stream was stopped after %v", d)
		}
	})
}

// TestUpdatesAside are those of requests that have ended, and of one that has a
// stream of its own.
func TestUpdatesAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := against(t, nil, &transporttest.PipeOptions{Version: moqt.Draft16})
		go take(t.Context(), s)
		p.answer(p.request(subscribeNamespace(0, "a")), wire.KindSubscribeNamespace)
		p.say(&wire.RequestUpdate{RequestID: 2, Existing: 0})
		if m := nextOf[*wire.RequestOK](p); m.RequestID != 2 {
			t.Errorf("answer to %d, want 2", m.RequestID)
		}
		p.say(&wire.TrackStatus{RequestID: 4, Track: clock})
		nextOf[*wire.RequestOK](p)
		p.say(&wire.RequestUpdate{RequestID: 6, Existing: 4})
		if m := nextOf[*wire.RequestError](p); m.RequestID != 6 || m.Code != moqt.RequestDoesNotExist {
			t.Errorf("answer = %+v, want DOES_NOT_EXIST to 6", m)
		}
		st := p.request(subscribeNamespace(8, "b"))
		p.answer(st, wire.KindSubscribeNamespace)
		p.write(st, p.bytes(&wire.RequestUpdate{RequestID: 10, Existing: 8})) // or there
		if m, ok := p.read(st, wire.On{Request: wire.KindSubscribeNamespace, Answers: wire.KindRequestUpdate}).(*wire.RequestOK); !ok || m.RequestID != 10 {
			t.Errorf("answer = %+v, want to 10", m)
		}
	})
}

// TestWatchBoth asks for the namespaces and the tracks under a prefix at once.
func TestWatchBoth(t *testing.T) {
	for _, accepted := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s, p := against(t, nil, &transporttest.PipeOptions{Version: moqt.Draft16})
			m := subscribeNamespace(0, "a")
			m.Tracks, m.Params.Forward = true, wire.Some(false)
			st := p.request(m)
			watch := accept[*transport.WatchRequest](t, s)
			if !accepted {
				watch.Reject(moqt.RequestNotSupported, "")
				p.wantError(st, wire.KindSubscribeNamespace, moqt.RequestNotSupported)
				if r, err := s.Accept(contextAfter(t, time.Minute)); err == nil {
					t.Errorf("Accept() = %T after a refusal", r)
				}
				return
			}
			w, err := watch.Accept()
			if err != nil {
				t.Fatal(err)
			}
			tracks := accept[*transport.TracksRequest](t, s)
			if tracks.Prefix != moqt.NS("a") || tracks.Forward {
				t.Errorf("request = %v, forward %v, want a and false", tracks.Prefix, tracks.Forward)
			}
			if err := tracks.Accept(); err != nil {
				t.Errorf("Accept() = %v", err)
			}
			if _, ok := p.answer(st, wire.KindSubscribeNamespace).(*wire.RequestOK); !ok {
				t.Error("no REQUEST_OK")
			}
			w.Add(moqt.NS("a", "b"))
			p.read(st, wire.On{Request: wire.KindSubscribeNamespace, Answers: wire.KindRequestUpdate}) // and no second answer
			st.Close()
			<-tracks.Context().Done()
			<-w.Context().Done()
			p.wantError(p.request(&wire.TrackStatus{RequestID: 2, Track: moqt.NS(".").Track("")}), wire.KindTrackStatus, moqt.RequestDoesNotExist)
		})
	}
}

// TestPublishDoneBeforeAnswer ends a track that nobody has accepted yet: what was
// published can be had all the same, unless it was taken back.
func TestPublishDoneBeforeAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := against(t, nil, &transporttest.PipeOptions{Version: moqt.Draft16})
		p.say(publishMessage(0, 1, "a"), publishMessage(2, 2, "b"))
		p.uni(unhex("10 01 00 00 00 01 61")).Close()
		a, b := accept[*transport.PublishRequest](t, s), accept[*transport.PublishRequest](t, s)
		if a.Track.Name == "b" {
			a, b = b, a
		}
		p.say(&wire.PublishDone{RequestID: 0, Code: moqt.DoneTrackEnded, Streams: 1}, &wire.PublishDone{RequestID: 2, Code: moqt.DoneInternalError})
		wantStream(t, "the end of the track that was taken back", done(b.Context()), moqt.StreamCancelled)
		if _, err := b.Accept(nil); err == nil {
			t.Error("Accept() of a track that was taken back succeeded")
		}
		r, err := a.Accept(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := read(t, r)
		if wantObjects(t, got, "0/0 a"); err != nil {
			t.Errorf("Objects ended with %v", err)
		}
	})
}

// TestFirstStream serves clients that have named no draft.
func TestFirstStream(t *testing.T) {
	bidi := func(hex string) func(p *peer) { return func(p *peer) { p.bidi(unhex(hex)) } }
	for _, tt := range []struct {
		name     string
		versions []moqt.Version
		do       func(p *peer)
		want     moqt.Version
		code     moqt.SessionCode
	}{
		{name: "draft-16", do: (*peer).greet, want: moqt.Draft16},
		{name: "draft-18", do: (*peer).greet, want: moqt.Draft18},
		{name: "draft-18 with a request first", want: moqt.Draft18, do: func(p *peer) {
			p.request(subscribe(0))
			synctest.Wait()
			p.greet()
		}},
		{name: "draft-14", do: bidi("20 000b 01 c0000000ff00000e 00 00"), code: moqt.SessionVersionNegotiation},
		{name: "draft-14 of two versions", do: bidi("20 0013 02 c0000000ff00000e c0000000ff00000d 01 02 0a"), code: moqt.SessionVersionNegotiation},
		{name: "draft-7", do: bidi("4040 0a 01 c0000000ff000007 00"), code: moqt.SessionVersionNegotiation},
		{name: "draft-16 that is not listed", versions: []moqt.Version{moqt.Draft18}, do: bidi("20 0001 00"), code: moqt.SessionVersionNegotiation},
		{name: "nothing", do: func(*peer) {}, code: moqt.SessionControlMessageTimeout},
		{name: "a stream without a byte", do: func(p *peer) { p.uni(nil) }, code: moqt.SessionControlMessageTimeout},
		{name: "other streams and no end", code: moqt.SessionProtocolViolation, do: func(p *peer) {
			for range 16 {
				p.uni(unhex("10"))
			}
		}},
		{name: "gone", do: func(p *peer) { p.conn.CloseWithError(moqt.SessionUnauthorized, "") }, code: moqt.SessionUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := tt.want
				if v == 0 {
					v = moqt.Draft18
				}
				client, server := transporttest.Pipe(t, &transporttest.PipeOptions{Version: v, WebTransport: true})
				versions := tt.versions
				if versions == nil {
					versions = []moqt.Version{moqt.Draft18, moqt.Draft16}
				}
				s, p, err := meet(t, unnamed{server}, client, &transport.Config{Versions: versions}, tt.do)
				if tt.want == 0 {
					wantSession(t, "NewSession()", err, tt.code, tt.name == "gone")
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if s.Version() != tt.want || s.Info().Version != tt.want {
					t.Errorf("Version() = %v, want %v", s.Version(), tt.want)
				}
				if slices.Contains([]string{"draft-16", "draft-18"}, tt.name) {
					p.wantAlive(false)
				} else {
					accept[*transport.SubscribeRequest](t, s).Reject(moqt.RequestTimeout, "")
				}
			})
		})
	}
}

// unnamed is a connection of a client that has named no draft.
type unnamed struct{ transport.Conn }

func (c unnamed) Info() transport.ConnInfo {
	i := c.Conn.Info()
	i.Version = 0
	return i
}
