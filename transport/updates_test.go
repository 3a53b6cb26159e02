package transport_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
	"github.com/tributary-live/tributary/transport/wire"
)

// limitedPeer is a client that lets a session send n updates ahead.
func limitedPeer(t *testing.T, v moqt.Version, n uint64) (*transport.Session, *peer) {
	t.Helper()
	client, server := transporttest.Pipe(t, &transporttest.PipeOptions{Version: v})
	p := rawPeer(t, client)
	p.control = p.uni(p.bytes(&wire.Setup{Path: wire.Some("/"), Authority: wire.Some("pipe.test"), MaxRequestUpdates: wire.Some(n)}))
	s, err := transport.NewSession(t.Context(), server, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, p
}

// TestUpdateCredit has the publisher take two updates at a time, and answer
// none until the test says so.
func TestUpdateCredit(t *testing.T) {
	eachDraftThat(t, (*wire.Profile).UpdateCredit, func(t *testing.T, v moqt.Version) {
		s, p := limitedPeer(t, v, 2)
		wait := async(func() (*transport.TrackReader, error) { return s.Subscribe(t.Context(), clock, nil) })
		st, _ := p.accepted()
		p.write(st, p.bytes(&wire.SubscribeOK{}))
		r, err := wait()
		if err != nil {
			t.Fatal(err)
		}
		var results []func() (struct{}, error)
		for range 3 {
			results = append(results, async(func() (struct{}, error) {
				return struct{}{}, r.Update(t.Context(), transport.SubscribeUpdate{Forward: ptr(false)})
			}))
		}
		on := wire.On{Request: wire.KindSubscribe, Answers: wire.KindRequestUpdate}
		p.read(st, on)
		p.read(st, on)
		synctest.Wait()
		if n := p.streams[st].Buffered(); n > 0 {
			t.Fatalf("%d bytes after the two updates that are allowed", n)
		}
		third := async(func() (wire.Message, error) { return p.profile.ReadMessage(p.streams[st], on) })
		p.write(st, p.bytes(&wire.RequestOK{}))
		if _, err := third(); err != nil { // comes now that there is room
			t.Fatal(err)
		}
		p.write(st, p.bytes(&wire.RequestOK{}, &wire.RequestOK{}))
		for _, result := range results {
			if _, err := result(); err != nil {
				t.Errorf("Update() = %v", err)
			}
		}
		// A publisher that answers nothing holds nobody up for ever.
		start := time.Now()
		for range 3 {
			results = append(results, async(func() (struct{}, error) {
				return struct{}{}, r.Update(t.Context(), transport.SubscribeUpdate{Forward: ptr(true)})
			}))
		}
		for _, result := range results[3:] {
			if _, err := result(); err == nil || time.Since(start) != 30*time.Second {
				t.Errorf("Update() = %v after %v, want an error after 30s", err, time.Since(start))
			}
		}
		// Nor one whose context ends, or one of a request that is over.
		if err := r.Update(contextAfter(t, time.Second), transport.SubscribeUpdate{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Update() = %v, want the context's error", err)
		}
		last := async(func() (struct{}, error) {
			return struct{}{}, r.Update(t.Context(), transport.SubscribeUpdate{})
		})
		synctest.Wait()
		r.Close()
		if _, err := last(); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("Update() of what is closed meanwhile = %v, want ErrClosed", err)
		}
	})
}

// TestTooManyUpdates sends updates faster than they can be answered.
func TestTooManyUpdates(t *testing.T) {
	eachDraftThat(t, (*wire.Profile).UpdateCredit, func(t *testing.T, v moqt.Version) {
		for _, tt := range []struct {
			updates int
			ok      bool
		}{{16, true}, {17, false}} {
			s, p := against(t, nil, &transporttest.PipeOptions{Version: v})
			st := p.request(subscribe(0))
			var updates []byte
			for i := range tt.updates {
				updates = append(updates, p.bytes(&wire.RequestUpdate{RequestID: uint64(2 + 2*i), Params: wire.Params{Forward: wire.Some(i%2 == 0)}})...)
			}
			p.write(st, updates)
			w, err := accept[*transport.SubscribeRequest](t, s).Accept(nil)
			if !tt.ok {
				p.wantClosed(moqt.SessionTooManyRequestUpdates)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			p.answer(st, wire.KindSubscribe)
			for range tt.updates {
				if m, ok := p.read(st, wire.On{Request: wire.KindSubscribe, Answers: wire.KindRequestUpdate}).(*wire.RequestOK); !ok {
					t.Errorf("answer = %+v, want REQUEST_OK", m)
				}
			}
			if w.State().Forward {
				t.Error("the last update does not count")
			}
		}
	})
}
