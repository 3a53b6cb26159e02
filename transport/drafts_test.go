package transport_test

import (
	"testing"
	"testing/synctest"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
	"github.com/tributary-live/tributary/transport/wire"
)

// drafts are those that the tests of sessions run for: all that are spoken.
var drafts = spokenDrafts()

// ability returns the wire format of draft v, which tells what the draft has.
func ability(v moqt.Version) *wire.Profile {
	p, _ := wire.ProfileFor(v)
	return p
}

// heard is the code that the peer is told if a stream is cancelled with code.
func heard(v moqt.Version, code moqt.StreamCode) moqt.StreamCode {
	p := ability(v)
	return p.StreamCode(p.StreamNumber(code))
}

// parted is the code that the publisher is told if a subscription is cancelled
// with code.
func parted(v moqt.Version, code moqt.StreamCode) moqt.StreamCode {
	if ability(v).RequestStreams() {
		return code
	}
	return moqt.StreamCancelled // UNSUBSCRIBE has no code
}

// eachDraft runs test in a bubble for each draft.
func eachDraft(t *testing.T, test func(t *testing.T, v moqt.Version)) {
	for _, v := range drafts {
		t.Run(v.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, v) })
		})
	}
}

// over runs test in a bubble for each draft and kind of connection.
func over(t *testing.T, test func(t *testing.T, client, server transport.Conn)) {
	for _, kind := range []struct {
		name string
		pair func(t *testing.T, v moqt.Version) (client, server transport.Conn)
	}{
		{"pipe", func(t *testing.T, v moqt.Version) (a, b transport.Conn) {
			return transporttest.Pipe(t, &transporttest.PipeOptions{Version: v})
		}},
		{"quic", func(t *testing.T, v moqt.Version) (a, b transport.Conn) { return transporttest.QUICPair(t, nil, v) }},
		{"webtransport", func(t *testing.T, v moqt.Version) (a, b transport.Conn) {
			return transporttest.WebTransportPair(t, nil, v)
		}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			eachDraft(t, func(t *testing.T, v moqt.Version) {
				a, b := kind.pair(t, v)
				test(t, a, b)
			})
		})
	}
}

// pipeOf makes a session of draft v in memory.
func pipeOf(t *testing.T, v moqt.Version, cc, sc *transport.Config) (c, s *transport.Session) {
	t.Helper()
	a, b := transporttest.Pipe(t, &transporttest.PipeOptions{Version: v})
	return setup(t, a, b, cc, sc)
}

// eachDraftThat runs test in a bubble for each draft with an ability.
func eachDraftThat(t *testing.T, can func(*wire.Profile) bool, test func(t *testing.T, v moqt.Version)) {
	some := false
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		if p, ok := wire.ProfileFor(v); ok && can(p) {
			some = true
			test(t, v)
		}
	})
	if !some {
		t.Error("no draft has what is tested")
	}
}
