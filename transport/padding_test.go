package transport_test

import (
	"context"
	"errors"
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

// TestPadding sends padding both ways beside an object.
func TestPadding(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		if profile, _ := wire.ProfileFor(c.Version()); !profile.Padding() {
			if c.SendPadding(t.Context(), 1) == nil || s.SendPaddingDatagram(1) == nil {
				t.Errorf("padding was sent in %v, which has none", c.Version())
			}
			return
		}
		r, w := subscribed(t, c, s, nil, nil)
		for _, sess := range []*transport.Session{c, s} {
			for _, n := range []int64{0, 1, 5 << 20} {
				if err := sess.SendPadding(t.Context(), n); err != nil {
					t.Errorf("SendPadding(%d) = %v", n, err)
				}
			}
			for _, n := range []int{0, 64, 1000} {
				if err := sess.SendPaddingDatagram(n); err != nil {
					t.Errorf("SendPaddingDatagram(%d) = %v", n, err)
				}
			}
			if err := sess.SendPaddingDatagram(100_000); err == nil {
				t.Error("SendPaddingDatagram() of 100,000 bytes succeeded")
			}
		}
		out := open(t, w, moqt.Subgroup{First: true})
		put(t, out, 0)
		out.Close()
		wantRest(t, next(t, r), io.EOF, 0)
	})
}

// TestPaddingYields has padding take what objects leave, and no more.
func TestPaddingYields(t *testing.T) {
	overSlow(t, func(t *testing.T, link *netsim.Link, c, s *transport.Session) {
		link.Set(netsim.Queue(16 << 10))
		r, w := subscribed(t, c, s, nil, nil)
		ctx, cancel := context.WithCancel(t.Context())
		padding := async(func() (int, error) { return 0, s.SendPadding(ctx, 100<<20) })
		time.Sleep(5 * time.Second)
		start := time.Now()
		out := open(t, w, moqt.Subgroup{First: true})
		payload := make([]byte, 50<<10)
		if err := out.WriteObject(moqt.Object{Payload: payload}); err != nil {
			t.Fatal(err)
		}
		out.Close()
		if o, err := next(t, r).ReadObject(); err != nil || len(o.Payload) != len(payload) {
			t.Fatalf("ReadObject() = %d bytes, %v", len(o.Payload), err)
		}
		// 400 ms for itself, 130 ms for the link's queue, and what losses cost.
		if took := time.Since(start); took > 1200*time.Millisecond {
			t.Errorf("an object took %v beside padding", took)
		}
		cancel()
		if _, err := padding(); !errors.Is(err, context.Canceled) {
			t.Errorf("SendPadding() = %v, want that it was cancelled", err)
		}
	})
}

// TestPaddingCancelled has the peer stop a padding stream, which means nothing
// else.
func TestPaddingCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := against(t, nil, &transporttest.PipeOptions{Window: 1000})
		sent := async(func() (int, error) { return 0, s.SendPadding(t.Context(), 100_000) })
		st := p.acceptUni("f0132b3e28") // the type as vi64, 0x132B3E28
		st.CancelRead(moqt.StreamCancelled)
		_, err := sent()
		wantStream(t, "SendPadding()", err, moqt.StreamCancelled)
		if s.Context().Err() != nil {
			t.Errorf("the session ended: %v", done(s.Context()))
		}
	})
}

// TestGrease looks at what a SETUP has that means nothing.
func TestGrease(t *testing.T) {
	eachDraftThat(t, (*wire.Profile).Grease, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		for name, sess := range map[string]*transport.Session{"client": c, "server": s} {
			n := 0
			for typ := uint64(0x9d); typ < 0x7f*64+0x9d; typ += 0x7f {
				if _, ok := sess.PeerOption(typ); ok {
					n++
				}
			}
			if n != 1 {
				t.Errorf("the %s has got %d options that mean nothing, want 1", name, n)
			}
		}
	})
}

// TestGreaseInCodes survives codes that nobody knows.
func TestGreaseInCodes(t *testing.T) {
	const unknown = 0x7f*1000 + 0x9d
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		out := open(t, w, moqt.Subgroup{First: true})
		put(t, out, 0)
		in := next(t, r)
		out.Cancel(unknown)
		if _, err := rest(t, in); !errors.Is(err, &transport.StreamError{Code: unknown}) {
			t.Errorf("the stream ended with %v, want code 0x%x", err, unknown)
		}
		w.CloseWithError(unknown, "grease")
		if _, err := r.AcceptSubgroup(t.Context()); !errors.Is(err, &transport.TrackDone{Code: unknown}) {
			t.Errorf("the track ended with %v, want code 0x%x", err, unknown)
		}
		wait := async(func() (*transport.TrackReader, error) {
			return c.Subscribe(t.Context(), moqt.NS("grease").Track("x"), nil)
		})
		accept[*transport.SubscribeRequest](t, s).Reject(unknown, "grease")
		_, err := wait()
		wantRequest(t, "Subscribe()", err, unknown)
		s.CloseWithError(unknown, "grease")
		wantSession(t, "the session's end", done(c.Context()), unknown, true)
	})
}
