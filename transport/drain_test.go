package transport_test

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
	"github.com/tributary-live/tributary/transport/wire"
)

// TestDrained has a publisher leave right after its track has been read to the
// end: over a slow link nothing is lost.
func TestDrained(t *testing.T) {
	for _, pair := range []func(testing.TB, *netsim.Link, ...moqt.Version) (client, server transport.Conn){transporttest.QUICPair, transporttest.WebTransportPair} {
		synctest.Test(t, func(t *testing.T) {
			a, b := pair(t, newLink(t, netsim.Rate(2*netsim.Mbit), netsim.Delay(50*time.Millisecond)))
			c, s := setup(t, a, b, nil, nil)
			r, w := subscribed(t, c, s, nil, nil)
			left := make(chan struct{})
			go func() {
				defer close(left)
				for g := range uint64(5) {
					sg, err := w.OpenGroup(t.Context(), g)
					if err != nil {
						t.Error(err)
						return
					}
					sg.Write(make([]byte, 50_000))
					sg.Close()
				}
				w.Close()
				<-w.Drained()
				s.Close()
			}()
			n := 0
			for o, err := range r.Objects(t.Context()) {
				if err != nil || len(o.Payload) != 50_000 {
					t.Errorf("Objects = %v with %d bytes, %v", o.Location, len(o.Payload), err)
				}
				n++
			}
			if n != 5 {
				t.Errorf("%d objects, want 5", n)
			}
			<-left
		})
	}
}

// TestDrainedByItself has a subscriber that never ends its side.
func TestDrainedByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := against(t, nil, nil)
		st := p.request(subscribe(0))
		w, err := accept[*transport.SubscribeRequest](t, s).Accept(nil)
		if err != nil {
			t.Fatal(err)
		}
		p.answer(st, wire.KindSubscribe)
		w.Close()
		start := time.Now()
		<-w.Drained()
		if d := time.Since(start); d != 4*time.Second {
			t.Errorf("Drained() took %v, want twice DoneWait, 4s", d)
		}
		done, ok := p.read(st, wire.On{Request: wire.KindSubscribe, Answers: wire.KindRequestUpdate}).(*wire.PublishDone)
		if !ok || done.Code != moqt.DoneTrackEnded || done.Streams != 0 {
			t.Errorf("last message = %+v, want PUBLISH_DONE", done)
		}
		if _, err := io.ReadAll(p.streams[st]); err != nil {
			t.Errorf("the request ended with %v, want its end", err)
		}
	})
}

// TestCloseNobodyReads ends a subscription whose subscriber does not read its
// request.
func TestCloseNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := against(t, nil, &transporttest.PipeOptions{Window: 100})
		st := p.request(subscribe(0))
		req := accept[*transport.SubscribeRequest](t, s)
		accepting := async(func() (*transport.TrackWriter, error) { return req.Accept(nil) })
		p.answer(st, wire.KindSubscribe)
		w, err := accepting()
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := w.CloseWithError(moqt.DoneInternalError, string(bytes.Repeat([]byte("a"), 500))); err == nil {
			t.Error("CloseWithError() succeeded although nobody reads")
		}
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("CloseWithError() took %v, want MessageTimeout, 10s", d)
		}
		<-w.Drained()
		p.wantReset(st, moqt.StreamExcessiveLoad)
	})
}
