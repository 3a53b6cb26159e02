package wire

import (
	"fmt"
	"io"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

// loop gives the same bytes for ever.
type loop struct {
	b   []byte
	pos int
}

func (l *loop) Read(p []byte) (int, error) {
	n := copy(p, l.b[l.pos:])
	l.pos = (l.pos + n) % len(l.b)
	return n, nil
}

// step is what is done again and again while a stream runs.
type step struct {
	name string
	size int64 // bytes of payload, where there is one
	do   func() error
}

// steadyPath returns the steps of p that are done for each object. Their
// measurement is the benchmark's, that none allocates the test's.
func steadyPath(t testing.TB, p *Profile) []step {
	const size = 1200
	payload := make([]byte, size)
	buf := make([]byte, 0, 2*size)
	must := func(b []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	number := p.appendVarint(nil, 1<<40)
	numbers := NewReader(&loop{b: number})

	header := &SubgroupHeader{Alias: 3, Subgroup: moqt.Subgroup{Group: 1 << 20, ID: 1, Priority: 7}}
	rawHeader := p.AppendSubgroupHeader(nil, header)
	headers := NewReader(&loop{b: rawHeader})
	out := ObjectHeader{Size: size}
	following := append(must(p.AppendObject(nil, header, 0, false, &ObjectHeader{ID: 1, Size: size})), payload...)
	stream := NewReader(&loop{b: following})
	objects := p.SubgroupObjects(header)

	// The first object of a fetch has all fields, those after it the least.
	encoder, decoder := p.FetchEncoder(moqt.Ascending), p.FetchObjects(moqt.Ascending)
	fetched := FetchObject{Size: size}
	first := append(must(encoder.Append(nil, &fetched)), payload...)
	fetched.Object++
	next := append(must(encoder.Append(nil, &fetched)), payload...)
	if _, err := decoder.Next(NewReader(&loop{b: first}), nil); err != nil {
		t.Fatal(err)
	}
	fetchStream := NewReader(&loop{b: next})

	datagram := &Datagram{Alias: 3, Location: moqt.Location{Group: 1 << 20, Object: 9}, Payload: payload}
	rawDatagram := must(p.AppendDatagram(nil, datagram))
	return []step{
		{"varint/encode", 0, func() error { p.appendVarint(buf, 1<<40); return nil }},
		{"varint/decode", 0, func() error {
			v, err := p.readVarint(numbers)
			if err == nil && v != 1<<40 {
				err = fmt.Errorf("%d, want 1<<40", v)
			}
			return err
		}},
		{"header/encode", 0, func() error { p.AppendSubgroupHeader(buf, header); return nil }},
		{"header/decode", 0, func() error {
			_, typ, err := p.ReadStreamType(headers)
			if err == nil {
				_, err = p.ReadSubgroupHeader(headers, typ)
			}
			return err
		}},
		{"object/encode", 0, func() error {
			out.ID++
			_, err := p.AppendObject(buf, header, out.ID-1, false, &out)
			return err
		}},
		{"object/decode", size, func() error {
			o, err := objects.Next(stream, nil)
			if err == nil {
				_, err = io.ReadFull(stream, payload[:o.Size])
			}
			return err
		}},
		{"fetch/encode", 0, func() error { fetched.Object++; _, err := encoder.Append(buf, &fetched); return err }},
		{"fetch/decode", size, func() error {
			o, err := decoder.Next(fetchStream, nil)
			if err == nil {
				_, err = io.ReadFull(fetchStream, payload[:o.Size])
			}
			return err
		}},
		{"datagram/encode", size, func() error { _, err := p.AppendDatagram(buf, datagram); return err }},
		{"datagram/decode", size, func() error { _, _, err := p.ParseDatagram(rawDatagram); return err }},
	}
}

// TestNoAllocations holds the steady path to what it promises.
func TestNoAllocations(t *testing.T) {
	for _, p := range profiles {
		for _, s := range steadyPath(t, p) {
			t.Run(p.version.String()+"/"+s.name, func(t *testing.T) {
				if n := testing.AllocsPerRun(1000, func() {
					if err := s.do(); err != nil {
						t.Fatal(err)
					}
				}); n != 0 {
					t.Errorf("%v allocations, want none", n)
				}
			})
		}
	}
}

func BenchmarkSteadyPath(b *testing.B) {
	for _, p := range profiles {
		for _, s := range steadyPath(b, p) {
			b.Run(p.version.String()+"/"+s.name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(s.size)
				for b.Loop() {
					if err := s.do(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkMessage(b *testing.B) {
	subscribe := messageTests[3]
	p := profile(b, subscribe.version)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 0, 256)
		for b.Loop() {
			if _, err := p.AppendMessage(buf, subscribe.message); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		r := NewReader(&loop{b: unhex(b, subscribe.hex)})
		for b.Loop() {
			if _, err := p.ReadMessage(r, subscribe.on); err != nil {
				b.Fatal(err)
			}
		}
	})
}
