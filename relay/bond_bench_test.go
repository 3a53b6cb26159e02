package relay_test

import (
	"context"
	"io"
	"testing"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// BenchmarkBond takes in frames of 20 Mbit/s in chunks: over two members by halves,
// and whole over each of two. Ordinary is the same on one stream for each group.
// The publisher's part, and reading at a subscriber, count with it.
func BenchmarkBond(b *testing.B) {
	payload := random(1, 0, 83_000)
	for _, c := range []struct {
		name string
		send func(m []*bondMember, group, object uint64)
	}{
		{"ordinary", nil},
		{"halves", func(m []*bondMember, group, object uint64) {
			h := piece(group, object, payload)
			all := cut(0, len(payload))
			m[0].send(h, payload, all[:len(all)/2]...).Close()
			m[1].send(h, payload, all[len(all)/2:]...).Close()
		}},
		{"copies", func(m []*bondMember, group, object uint64) {
			h := piece(group, object, payload)
			for _, m := range m {
				m.send(h, payload, cut(0, len(payload))...).Close()
			}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := relay.New(relay.Config{})
			b.Cleanup(func() { r.Close() })
			members, _ := newBond(b, r, moqt.Draft18, 2)
			tr, err := connect(b, r, nil).Subscribe(b.Context(), track, nil)
			if err != nil {
				b.Fatal(err)
			}
			defer tr.Close()
			var w *transport.TrackWriter
			for w == nil {
				members[0].mu.Lock()
				if len(members[0].writers) > 0 {
					w = members[0].writers[0]
				}
				members[0].mu.Unlock()
			}
			objects := make(chan int, 1)
			go func() {
				for {
					sg, err := tr.AcceptSubgroup(context.Background())
					if err != nil {
						return
					}
					go func() {
						for {
							_, size, err := sg.Next()
							if err != nil {
								return
							}
							n, _ := io.Copy(io.Discard, io.LimitReader(sg, size))
							objects <- int(n)
						}
					}()
				}
			}()
			var sg *transport.SubgroupWriter
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			i := uint64(0)
			for b.Loop() {
				group, object := 1+i/60, i%60
				if c.send != nil {
					c.send(members, group, object)
				} else {
					if object == 0 {
						if sg != nil {
							sg.Close()
						}
						if sg, err = w.OpenSubgroup(context.Background(), moqt.Subgroup{Group: group, First: true, DefaultPriority: true}); err != nil {
							b.Fatal(err)
						}
					}
					sg.WriteObject(moqt.Object{Location: moqt.Location{Group: group, Object: object}, Payload: payload})
				}
				if c.send != nil && object == 59 {
					members[0].end(group, 60)
				}
				if n := <-objects; n != len(payload) {
					b.Fatalf("%d bytes came", n)
				}
				i++
			}
		})
	}
}
