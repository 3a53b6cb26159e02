package pub

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/pub/fmp4"
)

// FuzzPackager makes chunks of anything and checks what must hold for any
// input: every chunk comes out once or is counted, in order, with ids that rise
// and have no gaps; and a twin says the same.
func FuzzPackager(f *testing.F) {
	f.Add([]byte("VAVAVAVAVA"), uint8(1), uint64(100))
	f.Add([]byte("\x00\x01\x00\x02\x10\x05\x01\x80\x90\x20\xff\x00\x33\x00"), uint8(2), uint64(0))
	f.Fuzz(func(t *testing.T, data []byte, gops uint8, first uint64) {
		in := testInit("VWABTD")
		cfg := PackagerConfig{FirstGroup: first >> 4, GroupGOPs: int(gops)}
		p, err := NewPackager(in, cfg)
		if err != nil {
			t.Fatal(err)
		}
		twin, err := NewPackager(in, cfg)
		if err != nil {
			t.Fatal(err)
		}
		var chunks, out []*fmp4.Chunk
		var times [6]uint64
		for len(data) >= 2 {
			// Track, key and how time moves: by a step, by a second, far, or back.
			i, by := int(data[0])%6, uint64(data[1])
			tr := in.Tracks[i]
			switch data[0] >> 6 {
			case 0, 1:
				times[i] += by
			case 2:
				times[i] += by << 20
			case 3:
				times[i] -= by << 4
			}
			c := &fmp4.Chunk{
				Track: tr.ID, DTS: times[i], Duration: by, Samples: int(by%3) + 1,
				Key: tr.Kind != fmp4.Video || data[0]&0x20 != 0, Data: binary.BigEndian.AppendUint32(nil, uint32(len(chunks))),
			}
			chunks = append(chunks, c)
			data = data[2:]
		}
		last := make(map[string]Item)
		take := func(items, same []Item) {
			if len(items) != len(same) {
				t.Fatalf("twins: %d items and %d", len(items), len(same))
			}
			for n, it := range items {
				if same[n].Track != it.Track || same[n].Location != it.Location || !bytes.Equal(same[n].Data, it.Data) {
					t.Fatalf("twins: %s %v and %s %v", it.Track, it.Location, same[n].Track, same[n].Location)
				}
				before, seen := last[it.Track]
				last[it.Track] = it
				switch {
				case it.First != (it.Object == 0):
					t.Fatalf("%s %v: First = %v", it.Track, it.Location, it.First)
				case !seen && !it.First, seen && it.First && it.Group <= before.Group:
					t.Fatalf("%s %v after %v", it.Track, it.Location, before.Location)
				case !it.First && (it.Group != before.Group || it.Object != before.Object+1):
					t.Fatalf("%s %v after %v", it.Track, it.Location, before.Location)
				case it.First && !it.Key:
					t.Fatalf("%s %v begins a group and is no key", it.Track, it.Location)
				case it.Group < cfg.FirstGroup:
					t.Fatalf("%s %v is before the first group", it.Track, it.Location)
				case it.Track == catalog.TrackName:
					continue
				case seen && bytes.Compare(it.Data, before.Data) <= 0:
					t.Fatalf("%s %v is out of order", it.Track, it.Location)
				}
				out = append(out, nil)
			}
		}
		for _, c := range chunks {
			take(p.Add(c), twin.Add(c))
		}
		take(p.Flush(), twin.Flush())
		s := p.Stats()
		if got := s.Objects + s.Dropped + s.Ignored; got != uint64(len(chunks)) || s.Objects != uint64(len(out)) {
			t.Fatalf("%d chunks came in: %+v, %d items", len(chunks), s, len(out))
		}
	})
}
