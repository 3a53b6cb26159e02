package interop

import (
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// cases are all that there are. The first eight are those of the MoQT interop
// runner, whose names, tracks and timeouts are fixed by it ("MoQT
// Interoperability Test Cases"); the others are ours.
var cases = []testCase{
	{name: "setup-only", timeout: 2 * time.Second, run: setupOnly},
	{name: "announce-only", timeout: 2 * time.Second, run: announceOnly},
	{name: "publish-namespace-done", timeout: 2 * time.Second, run: publishNamespaceDone},
	{name: "subscribe-error", timeout: 2 * time.Second, run: subscribeError},
	{name: "announce-subscribe", timeout: 3 * time.Second, run: announceSubscribe},
	{name: "subscribe-before-announce", timeout: 3500 * time.Millisecond, run: subscribeBeforeAnnounce},
	{name: "rendezvous-timeout", timeout: 3 * time.Second, run: rendezvousTimeout, needs: (*wire.Profile).Rendezvous, lacks: "RENDEZVOUS_TIMEOUT"},
	{name: "namespace-lifecycle", timeout: 3 * time.Second, run: namespaceLifecycle},

	{name: "rendezvous", timeout: 3 * time.Second, run: rendezvous, needs: (*wire.Profile).Rendezvous, lacks: "RENDEZVOUS_TIMEOUT"},
	{name: "groups", timeout: 3 * time.Second, run: groups},
	{name: "datagram", timeout: 3 * time.Second, run: datagram},
	{name: "publish", timeout: 3 * time.Second, run: publish},
	{name: "publish-done", timeout: 3 * time.Second, run: publishDone},
	{name: "subscribe-tracks", timeout: 3 * time.Second, run: subscribeTracks},
	{name: "track-status", timeout: 3 * time.Second, run: trackStatus},
	{name: "update", timeout: 3 * time.Second, run: update},
	{name: "fetch", timeout: 3 * time.Second, run: fetch},
	{name: "joining", timeout: 3 * time.Second, run: join, needs: joins, lacks: "joining FETCH"},
	{name: "fill", timeout: 3 * time.Second, run: join, needs: (*wire.Profile).Fill, lacks: "FILL_PARAMETERS"},
	{name: "dedup", timeout: 3 * time.Second, run: dedup},
	{name: "goaway", timeout: 3 * time.Second, run: goaway},
}

// joins reports whether a draft has joining fetches, which FILL_PARAMETERS took
// the place of.
func joins(p *wire.Profile) bool { return !p.Fill() }

// Names of the runner's cases.
var (
	runnerNamespace = moqt.NS("moq-test", "interop")
	nonexistent     = moqt.NS("nonexistent", "namespace")
)

const trackName = "test-track"

// track is a track of this trial alone.
func (t *trial) track() moqt.TrackName { return t.ns.Track(trackName) }
