package pub

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/transport"
)

// Viewers learn once a second how the publisher's paths do, from a track that
// the catalog describes.
func TestPublisherTellsPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		src := newSource(t, "VA")
		src.add("V0k A0 V100 A100 V200k")
		dials := make(chan *transport.Session, 1)
		asked := 0
		p := NewPublisher(PublisherConfig{
			Namespace: testNS, Source: src, Packager: PackagerConfig{FirstGroup: 7},
			Paths: func() Paths {
				asked++
				return Paths{Mode: "hybrid", Capacity: int64(asked), Paths: []Path{{Name: "wlan0", State: "live", RTT: 31.5}}}
			},
			Dial: func(context.Context) (*transport.Session, error) {
				publisher, relay := sessions(t, nil)
				dials <- relay
				return publisher, nil
			},
		})
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		s := &served{relay: <-dials}
		s.accept(t)
		synctest.Wait()

		_, f := s.join(t, catalog.TrackName, 0)
		o, err := f.ReadObject(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c, err := catalog.Parse(o.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Check(); err != nil {
			t.Error(err)
		}
		if n := len(c.Tracks); n != 3 || c.Tracks[2].Name != PathsTrack || c.Tracks[2].EventType != PathsEventType ||
			!slices.Equal(c.Tracks[2].Depends, []string{"video", "audio"}) {
			t.Errorf("the catalog has %d tracks, the last is %+v", n, c.Tracks[n-1])
		}

		tr, _ := s.join(t, PathsTrack, 0)
		began := time.Now()
		want := uint64(8) // after FirstGroup
		for o, err := range tr.Objects(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			var records []pathsRecord
			if err := json.Unmarshal(o.Payload, &records); err != nil {
				t.Fatalf("%s: %v", o.Payload, err)
			}
			if len(records) != 1 || records[0].T != time.Now().UnixMilli() || records[0].Data.Capacity != int64(want-6) ||
				records[0].Data.Paths[0].Name != "wlan0" || o.Group != want || o.Object != 0 {
				t.Errorf("object %v = %s", o.Location, o.Payload)
			}
			if want++; want == 11 {
				break
			}
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("three objects took %v", took)
		}
		cancel()
		<-ended
		close(src.chunks)
	})
}
