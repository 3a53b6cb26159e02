package transport_test

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
	"github.com/tributary-live/tributary/transport/wire"
)

// The TestFlood tests have a peer do too much of something, and measure that
// memory stays bounded, that the peer is told by the draft's code, and that a
// session beside it goes on. They are named after the threats of
// docs/security.md; those that a relay meets are in package relay.

const kib = 1 << 10

// beside starts a subscription between two other sessions, and returns a
// function that checks that it goes on.
func beside(t *testing.T) (check func()) {
	c, s := pipe(t, nil, nil)
	r, w := subscribed(t, c, s, nil, nil)
	group := uint64(0)
	return func() {
		t.Helper()
		start := time.Now()
		write(t, w, group, []string{"still here"})
		wantPayloads(t, next(t, r), "still here")
		if d := time.Since(start); d > 0 {
			t.Errorf("the bystander's object took %v", d)
		}
		group++
	}
}

// flooded makes a session with a peer that floods it.
func flooded(t *testing.T, v moqt.Version, serve func(context.Context, *transport.Session) error) (*transport.Session, *peer) {
	t.Helper()
	client, server := transporttest.Pipe(t, &transporttest.PipeOptions{Version: v})
	s, p := greeted(t, server, client, nil)
	if serve != nil {
		go serve(s.Context(), s)
	}
	return s, p
}

// Requests that come too fast are refused and leave nothing behind.
func TestFloodT2Requests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		check := beside(t)
		s, p := flooded(t, moqt.Draft18, take)
		ask := func(id uint64) moqt.RequestCode {
			st := p.request(&wire.TrackStatus{RequestID: id, Track: clock})
			defer delete(p.streams, st)
			m := p.answer(st, wire.KindTrackStatus)
			io.Copy(io.Discard, p.streams[st])
			if e, ok := m.(*wire.RequestError); ok {
				return e.Code
			}
			return moqt.RequestInternalError // none
		}
		answered, refused := 0, 0
		var base int64
		for i := range uint64(8_000) {
			if i == 2000 {
				base = transporttest.Heap()
			}
			switch code := ask(2 * i); code {
			case moqt.RequestInternalError:
				answered++
			case moqt.RequestExcessiveLoad:
				refused++
			default:
				t.Fatalf("request %d: %v", i, code)
			}
		}
		check()
		transporttest.HeapGrew(t, "6,000 requests", base, 2*1024*kib)
		if answered != 1024 || refused != 8_000-1024 {
			t.Errorf("%d requests were answered and %d refused, want MaxRequests, 1024, and the rest", answered, refused)
		}
		time.Sleep(time.Second)
		for i := range uint64(201) {
			if code := ask(100_000 + 2*i); (code == moqt.RequestExcessiveLoad) != (i == 200) {
				t.Errorf("a second later, request %d: %v, want RequestRate, 200, let in", i, code)
			}
		}
		s.Close()
	})
}

// More updates ahead of the answers than the draft's credit end the session.
// Where there is none they are answered one by one, and wait in the stream of a
// peer that does not read the answers, which loses its request and nobody else's.
func TestFloodT5Updates(t *testing.T) {
	for _, v := range spokenDrafts() {
		if profile, _ := wire.ProfileFor(v); profile.RequestStreams() {
			t.Run(v.String(), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { floodUpdates(t, v) }) })
		}
	}
}

func floodUpdates(t *testing.T, v moqt.Version) {
	check := beside(t)
	s, p := flooded(t, v, publish)
	st := p.request(subscribe(0))
	p.answer(st, wire.KindSubscribe)
	if p.profile.UpdateCredit() {
		var burst []byte
		for i := range uint64(66) {
			burst = append(burst, p.bytes(&wire.RequestUpdate{RequestID: 2 + 2*i})...)
		}
		p.write(st, burst)
		p.wantClosed(moqt.SessionTooManyRequestUpdates)
		check()
		s.Close()
		return
	}
	base := transporttest.Heap()
	sent := uint64(0)
	for id := uint64(1000); ; id += 2 { // until it is stopped
		if _, err := st.Write(p.bytes(&wire.RequestUpdate{RequestID: id})); err != nil {
			break
		}
		if sent++; sent > 1_000_000 {
			t.Fatal("a million updates were taken without reading an answer")
		}
	}
	transporttest.HeapGrew(t, fmt.Sprintf("%d updates whose answers nobody reads", sent), base, 256*kib)
	check()
	p.wantReset(st, moqt.StreamExcessiveLoad)
	s.Close()
}

// A stream for every object costs as much as it takes to read it, and no more
// streams can be open than the peer was allowed.
func TestFloodT6Streams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		check := beside(t)
		s, p := flooded(t, moqt.Draft18, view)
		p.subscribedTo(7)
		var base int64
		for i := range 10_000 {
			if i == 2000 {
				synctest.Wait()
				base = transporttest.Heap()
			}
			p.uni(append(wire.AppendVarint(unhex("30 07"), uint64(i)), 0, 1, 'a')).Close()
			if i%500 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		transporttest.HeapGrew(t, "8,000 streams", base, 4*1024*kib)
		check()
		s.Close()
	})
}

// Streams that nobody reads are as many as the connection allows, each with a
// header and nothing more of it in memory than a buffer.
func TestFloodT6UnreadStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		check := beside(t)
		s, p := flooded(t, moqt.Draft18, func(ctx context.Context, s *transport.Session) error {
			_, err := s.Subscribe(ctx, clock, nil) // and does not accept its subgroups
			return err
		})
		p.subscribedTo(7)
		base := transporttest.Heap()
		opened := 0
		for i := range uint64(10_000) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			st, err := p.conn.OpenUniStream(ctx)
			cancel()
			if err != nil {
				break
			}
			st.Write(append(wire.AppendVarint(unhex("30 07"), i), 0, 1, 'a'))
			opened++
		}
		synctest.Wait()
		transporttest.HeapGrew(t, fmt.Sprintf("%d unread streams", opened), base, 8*1024*kib)
		if opened > 1024 {
			t.Errorf("%d streams are open, want MaxIncomingUniStreams, 1024", opened)
		}
		check()
		s.Close()
	})
}

// What is sent by halves ends the session, however much of it there is.
func TestFloodT7HalfSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, kind := range []struct {
			name  string
			open  func(p *peer)
			serve func(context.Context, *transport.Session) error
			code  moqt.SessionCode
			after time.Duration
		}{
			{"stream types", func(p *peer) { p.uni(unhex("80")) }, nil, moqt.SessionDataStreamTimeout, 10 * time.Second},
			{"subgroup headers", func(p *peer) { p.uni(unhex("30 07")) }, view, moqt.SessionDataStreamTimeout, 10 * time.Second},
			{"object headers", func(p *peer) { p.uni(unhex("30 07 00 00")) }, view, moqt.SessionDataStreamTimeout, 30 * time.Second},
			{"objects", func(p *peer) { p.uni(unhex("30 07 00 00 05 61")) }, view, moqt.SessionDataStreamTimeout, 30 * time.Second},
			{"requests", func(p *peer) { p.bidi(unhex("03 0009 00")) }, nil, moqt.SessionControlMessageTimeout, 10 * time.Second},
			{"request types", func(p *peer) { p.bidi(unhex("80")) }, nil, moqt.SessionControlMessageTimeout, 10 * time.Second},
		} {
			check := beside(t)
			s, p := flooded(t, moqt.Draft18, kind.serve)
			if kind.serve != nil {
				p.subscribedTo(7)
			}
			base, start := transporttest.Heap(), time.Now()
			for range 100 {
				kind.open(p)
			}
			synctest.Wait()
			transporttest.HeapGrew(t, "100 "+kind.name, base, 2*1024*kib)
			check()
			p.wantClosed(kind.code)
			if d := time.Since(start); d != kind.after {
				t.Errorf("half-sent %s ended the session after %v, want %v", kind.name, d, kind.after)
			}
			s.Close()
		}
	})
}

// A connection that says nothing is given up.
func TestFloodT7Silent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base, start := transporttest.Heap(), time.Now()
		var all sync.WaitGroup
		for range 200 {
			client, server := transporttest.Pipe(t, &transporttest.PipeOptions{MaxStreams: 1, MaxUniStreams: 1})
			all.Go(func() {
				_, err := transport.NewSession(t.Context(), server, nil)
				wantSession(t, "NewSession()", err, moqt.SessionControlMessageTimeout, false)
			})
			defer client.CloseWithError(moqt.SessionNoError, "")
		}
		synctest.Wait()
		transporttest.HeapGrew(t, "200 silent connections", base, 8*1024*kib)
		all.Wait()
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("they were given up after %v, want SetupTimeout, 10s", d)
		}
	})
}

// A length costs no memory before the bytes have come.
func TestFloodT8Lengths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, field := range []struct {
			name   string
			before string // hex; then the length
			after  string
			open   func(p *peer, b []byte) transport.SendStream
			serve  func(context.Context, *transport.Session) error
			stop   moqt.StreamCode  // the stream's end, or
			code   moqt.SessionCode // the session's
		}{
			{name: "payload", before: "30 07 00 00", open: (*peer).uni, serve: view, stop: moqt.StreamExcessiveLoad},
			{name: "object properties", before: "31 07 00 00", open: (*peer).uni, serve: view, stop: moqt.StreamExcessiveLoad},
			{name: "payload in a fetch", before: "1c 01 00 01", open: fetchData, serve: fetching, stop: moqt.StreamExcessiveLoad},
			{name: "namespace fields", before: "03 0020 00", open: request16, code: moqt.SessionProtocolViolation},
			{name: "namespace field", before: "03 0020 00 01", open: request16, code: moqt.SessionProtocolViolation},
			{name: "track name", before: "03 0020 00 01 01 61", open: request16, code: moqt.SessionProtocolViolation},
			{name: "parameters", before: "03 0020 00 01 01 61 01 62", open: request16, code: moqt.SessionProtocolViolation},
			{name: "parameter", before: "03 0020 00 01 01 61 01 62 01 03", open: request16, code: moqt.SessionProtocolViolation},
			{name: "track property", before: "1d 0020 00 01 01 61 01 62 07 00 0b", open: request16, code: moqt.SessionProtocolViolation},
			{name: "GOAWAY URI", before: "10 0020", open: func(p *peer, b []byte) transport.SendStream { p.write(p.control, b); return p.control }, code: moqt.SessionProtocolViolation},
		} {
			for _, length := range []uint64{1<<32 - 1, 1 << 32, 1<<62 - 1, 1 << 62, 1<<64 - 1} {
				s, p := flooded(t, moqt.Draft18, field.serve)
				if field.stop == moqt.StreamExcessiveLoad && field.name != "payload in a fetch" {
					p.subscribedTo(7)
				}
				base := transporttest.Heap()
				b := append(wire.AppendVarint(unhex(field.before), length), make([]byte, 32)...)
				st := field.open(p, b)
				if field.code == 0 {
					p.wantStopped(st, field.stop)
				} else {
					p.wantClosed(field.code)
				}
				if d := transporttest.Heap() - base; d > 64*kib {
					t.Errorf("%s of %d bytes: the heap grew by %d KiB, want nothing", field.name, length, d/kib)
				}
				s.Close()
			}
		}
	})
}

// request16 opens a request stream with b, of which the message has 32 bytes.
func request16(p *peer, b []byte) transport.SendStream { return p.bidi(b[:3+32]) }

// fetchData sends b on the stream of the session's fetch.
func fetchData(p *peer, b []byte) transport.SendStream {
	_, data := p.fetchData("")
	p.write(data, b)
	return data
}

// Streams and datagrams of tracks that are not known wait for a moment, as many
// and as much of them as there is a limit for.
func TestFloodT9UnknownAliases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		check := beside(t)
		link := netsim.New(t).Link(netsim.Delay(time.Millisecond))
		client, server := transporttest.QUICPair(t, link)
		s, p := greeted(t, server, client, nil)
		chunk := make([]byte, 64*kib)
		base := transporttest.Heap()
		for i := range uint64(300) {
			go func() {
				st, err := p.conn.OpenUniStream(t.Context())
				if err != nil {
					return
				}
				st.Write(append(wire.AppendVarint(unhex("30"), 100+i), 0, 0))
				st.Write(wire.AppendVarint(nil, uint64(len(chunk))))
				st.Write(chunk)
			}()
		}
		for i := range 1000 {
			p.conn.SendDatagram(append(wire.AppendVarint(unhex("08"), uint64(100+i)), append([]byte{0, 0}, chunk[:1000]...)...))
		}
		time.Sleep(time.Second)
		transporttest.HeapGrew(t, "300 streams of 64 KiB and 1000 datagrams of unknown aliases", base, 12*1024*kib)
		check()
		time.Sleep(3 * time.Second)
		transporttest.HeapGrew(t, "3 s later", base, 4*1024*kib)
		s.Close()
	})
}

// The same before SETUP, which never comes.
func TestFloodT9BeforeSetup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := transporttest.Pipe(t, nil)
		p := rawPeer(t, client)
		wait := async(func() (*transport.Session, error) { return transport.NewSession(t.Context(), server, nil) })
		base := transporttest.Heap()
		chunk := make([]byte, 32*kib)
		waiting := 0
		for i := range uint64(1000) {
			st := p.uni(append(wire.AppendVarint(unhex("30"), 100+i), 0, 0))
			p.write(st, chunk)
			synctest.Wait()
			if st.Context().Err() == nil {
				waiting++
			}
		}
		for i := range uint64(256) {
			p.request(subscribe(2 * i))
		}
		transporttest.HeapGrew(t, fmt.Sprintf("%d streams and 256 requests before SETUP", waiting), base, 8*1024*kib)
		if waiting != 64 {
			t.Errorf("%d streams wait, want MaxUnknownAlias, 64", waiting)
		}
		_, err := wait()
		wantSession(t, "NewSession()", err, moqt.SessionControlMessageTimeout, false)
	})
}
