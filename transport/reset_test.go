package transport_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// plainReset is a connection whose transport cannot deliver the head of a stream
// that is reset.
type plainReset struct{ transport.Conn }

func (c plainReset) OpenUniStream(ctx context.Context) (transport.SendStream, error) {
	st, err := c.Conn.OpenUniStream(ctx)
	return plainStream{st}, err
}

type plainStream struct{ transport.SendStream }

func (plainStream) SetReliableBoundary() {}

// TestResetKeepsHeader resets a stream of which nothing has arrived. Where the
// transport can deliver the header all the same, and what went with it, the subscriber sees the reset
// stream and knows the end of the track at once; else it has to wait for a
// stream that never comes.
func TestResetKeepsHeader(t *testing.T) {
	const dark = 500 * time.Millisecond
	for name, pair := range map[string]func(testing.TB, *netsim.Link, ...moqt.Version) (client, server transport.Conn){
		"quic": transporttest.QUICPair, "webtransport": transporttest.WebTransportPair,
	} {
		for _, plain := range []bool{false, true} {
			if plain && name == "webtransport" {
				continue // its own header keeps what goes with it
			}
			t.Run(name+map[bool]string{true: " without RESET_STREAM_AT"}[plain], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					link := newLink(t)
					a, b := pair(t, link)
					if plain {
						b = plainReset{b}
					}
					c, s := setup(t, a, b, nil, nil)
					r, w := subscribed(t, c, s, nil, nil)
					link.Blackout(dark)
					out := open(t, w, moqt.Subgroup{Group: 3, ID: 1, First: true})
					put(t, out, 0)
					out.Cancel(moqt.StreamTooFarBehind)
					w.Close()
					start := time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					in, err := r.AcceptSubgroup(ctx)
					if plain {
						if took := time.Since(start); !errors.Is(err, &transport.TrackDone{Code: moqt.DoneTrackEnded}) || took < 2*time.Second {
							t.Errorf("AcceptSubgroup() = %v after %v, want the end of the track after 2s of waiting", err, took)
						}
						return
					}
					if err != nil || in.Header().Group != 3 || in.Header().ID != 1 {
						t.Fatalf("AcceptSubgroup() = %v, want the stream of 3/1", err)
					}
					wantRest(t, in, &transport.StreamError{Code: moqt.StreamTooFarBehind}, 0) // it went with the header
					if _, err := r.AcceptSubgroup(ctx); !errors.Is(err, &transport.TrackDone{Code: moqt.DoneTrackEnded}) {
						t.Errorf("AcceptSubgroup() = %v, want the end of the track", err)
					}
					if took := time.Since(start); took > 2*time.Second {
						t.Errorf("it took %v to see the end, want no wait", took)
					}
				})
			})
		}
	}
}
