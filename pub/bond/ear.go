package bond

import (
	"time"

	"github.com/tributary-live/tributary/transport"
)

// Ear notices when a connection falls silent. Its zero value works. It is not for
// concurrent use.
type Ear struct {
	begun    bool
	heard    bool      // something has come since
	received uint64    // bytes, when something came last
	sent     uint64    // bytes, then
	since    time.Time // when enough was sent after that; zero before
}

// Silence returns for how long an answer is overdue, 0 if none is.
func (e *Ear) Silence(s transport.ConnStats, now time.Time) time.Duration {
	if !e.begun || s.BytesReceived != e.received {
		*e = Ear{begun: true, heard: e.begun, received: s.BytesReceived, sent: s.BytesSent}
		return 0
	}
	if e.since.IsZero() {
		if s.BytesSent-e.sent >= roamBytes {
			e.since = now
		}
		return 0
	}
	patience := roamLongest
	if e.heard {
		patience = min(max(3*s.RTT+4*s.Deviation+25*time.Millisecond, roamShortest), roamLongest)
	}
	return max(0, now.Sub(e.since)-patience)
}
