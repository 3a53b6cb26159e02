package sub

import (
	"testing"

	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/transport/moqt"
)

// TestReelHoldsBounded has sound without bytes, and no picture that it waits for.
func TestReelHoldsBounded(t *testing.T) {
	b := &Broadcast{Tracks: []catalog.Track{{Name: "video", Role: catalog.RoleVideo}, {Name: "audio"}}, Inits: [][]byte{nil, nil}}
	r := newReel(b, nil)
	most := 0
	for i := range uint64(1 << 19) {
		r.hold(Object{Track: "audio", Object: moqt.Object{Location: moqt.Location{Object: i}}}, true)
		most = max(most, len(r.held))
	}
	if bound := 2*maxHeld/objectSize + 1; most > bound {
		t.Errorf("%d objects are held, want %d at most", most, bound)
	}
}
