package pub

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/pub/bond"
	"github.com/tributary-live/tributary/pub/catalog"
)

// Viewers learn once a second how the publisher's paths fare.
func TestTellPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBroadcast(testNS)
		s := serve(t, b, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			tellPaths(ctx, b.Track(PathsTrack, PriorityPaths), 7, func() bond.Status {
				return bond.Status{Mode: "hybrid", Paths: []bond.PathStatus{{Name: "wlan0", State: "good", RTT: 31 * time.Millisecond, Err: "dial 192.0.2.1"}}}
			})
		}()
		synctest.Wait()
		tr, _ := s.join(t, PathsTrack, 0)
		began, group := time.Now(), uint64(8)
		for o, err := range tr.Objects(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if o.Group != group || o.Object != 0 {
				t.Errorf("object %v, want %d/0", o.Location, group)
			}
			var records []struct {
				T    int64
				Data struct {
					Mode  string
					Paths []struct {
						Path, State, Error string
						RTT                int
					}
				}
			}
			if err := json.Unmarshal(o.Payload, &records); err != nil || len(records) != 1 {
				t.Fatalf("%s: %v", o.Payload, err)
			}
			r := records[0]
			if r.T != time.Now().UnixMilli() || r.Data.Mode != "hybrid" || len(r.Data.Paths) != 1 || r.Data.Paths[0].Path != "wlan0" || r.Data.Paths[0].RTT != 31 || r.Data.Paths[0].Error != "" {
				t.Errorf("object %v = %s", o.Location, o.Payload)
			}
			if group++; group == 11 {
				break
			}
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("three objects took %v", took)
		}
		cancel()
		<-done
	})
}

// The catalog names the track where a broadcast has it.
func TestCatalogHasPaths(t *testing.T) {
	p, err := NewPackager(testInit("VA"), PackagerConfig{Paths: true})
	if err != nil {
		t.Fatal(err)
	}
	if all := p.Tracks(); all[len(all)-1] != (TrackInfo{Name: PathsTrack, Priority: PriorityPaths}) {
		t.Errorf("Tracks() = %+v, want the paths as the last", all)
	}
	var payload []byte
	for _, chunk := range []string{"V0k", "A0", "V100", "A100", "V200k"} {
		for _, i := range p.Add(testChunk(t, chunk)) {
			if i.Track == catalog.TrackName {
				payload = i.Data
			}
		}
	}
	c, err := catalog.Parse(payload)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	n := len(c.Tracks)
	if n != 3 || c.Tracks[2].Name != PathsTrack || c.Tracks[2].EventType != PathsEventType || !slices.Equal(c.Tracks[2].Depends, []string{"video", "audio"}) {
		t.Errorf("the catalog has %d tracks: %s", n, payload)
	}
}
