package transport_test

import (
	"testing"
	"testing/synctest"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
	"github.com/tributary-live/tributary/transport/wire"
)

// TestSeveralSubscriptions has two to one track, with filters of their own.
func TestSeveralSubscriptions(t *testing.T) {
	eachDraftThat(t, (*wire.Profile).SeveralSubscriptions, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		early, we := subscribed(t, c, s, &transport.SubscribeOptions{Filter: moqt.Filter{Kind: moqt.FilterAbsoluteRange, EndGroup: 1}}, nil)
		late, wl := subscribed(t, c, s, &transport.SubscribeOptions{Filter: moqt.Filter{Kind: moqt.FilterAbsoluteStart, Start: at(1, 0)}}, nil)
		for _, w := range []*transport.TrackWriter{we, wl} {
			write(t, w, 0, []string{"a"}, []string{"b"}, []string{"c"})
			w.Close()
		}
		got, _ := read(t, early)
		wantObjects(t, got, "0/0 a", "1/0 b")
		got, _ = read(t, late)
		wantObjects(t, got, "1/0 b", "2/0 c")
	})
}

// TestSharedAlias is about a publisher that gives two subscriptions to a track
// one alias: each stream is for the one whose filter it passes, or for each in
// turn.
func TestSharedAlias(t *testing.T) {
	eachDraftThat(t, (*wire.Profile).SeveralSubscriptions, func(t *testing.T, v moqt.Version) {
		s, p := against(t, nil, &transporttest.PipeOptions{Version: v})
		subscribe := func(f moqt.Filter) (*transport.TrackReader, transport.Stream) {
			wait := async(func() (*transport.TrackReader, error) {
				return s.Subscribe(t.Context(), clock, &transport.SubscribeOptions{Filter: f})
			})
			st, _ := p.accepted()
			p.write(st, p.bytes(&wire.SubscribeOK{Alias: 7}))
			r, err := wait()
			if err != nil {
				t.Fatal(err)
			}
			return r, st
		}
		a, sta := subscribe(moqt.Filter{Kind: moqt.FilterAbsoluteRange, EndGroup: 1})
		b, stb := subscribe(moqt.Filter{Kind: moqt.FilterAbsoluteStart, Start: at(1, 0)})
		// Groups 0, 1, 1 and 2, of one object each, and datagrams of the same.
		for _, group := range []string{"00", "01", "01", "02"} {
			p.uni(unhex("70 07 " + group + " 00 01 61")).Close()
			p.conn.SendDatagram(unhex("08 07 " + group + " 05 62"))
			synctest.Wait()
		}
		for _, st := range []transport.Stream{sta, stb} {
			p.write(st, p.bytes(&wire.PublishDone{Code: moqt.DoneTrackEnded, Streams: 2}))
			st.Close()
		}
		got, _ := read(t, a)
		wantObjects(t, got, "0/0 a", "0/5 b", "1/0 a", "1/5 b")
		got, _ = read(t, b)
		wantObjects(t, got, "1/0 a", "1/5 b", "2/0 a", "2/5 b")
	})
}

// TestSharedAliasOfTwoTracks ends the session.
func TestSharedAliasOfTwoTracks(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		s, p := against(t, nil, &transporttest.PipeOptions{Version: v})
		for _, name := range []string{"a", "b"} {
			wait := async(func() (*transport.TrackReader, error) {
				return s.Subscribe(t.Context(), moqt.NS("clock").Track(name), nil)
			})
			st, m := p.accepted()
			p.write(st, p.bytes(&wire.SubscribeOK{RequestID: m.(*wire.Subscribe).RequestID, Alias: 7}))
			wait()
		}
		p.wantClosed(moqt.SessionDuplicateTrackAlias)
	})
}
