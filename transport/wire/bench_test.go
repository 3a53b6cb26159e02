package wire

import (
	"bytes"
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

// TestNoAllocations holds the steady path to what it promises.
func TestNoAllocations(t *testing.T) {
	for _, p := range []*Profile{&draft16, &draft18} {
		t.Run(p.version.String(), func(t *testing.T) { testNoAllocations(t, p) })
	}
}

func testNoAllocations(t *testing.T, p *Profile) {
	buf := make([]byte, 0, 256)
	h := &SubgroupHeader{Alias: 3}
	object := &ObjectHeader{ID: 8, Size: 100}
	objects := p.SubgroupObjects(h)
	stream := NewReader(&loop{b: []byte{0, 1, 'x'}})
	fetched := p.FetchObjects(moqt.Ascending)
	first := NewReader(bytes.NewReader([]byte{0x1c, 0, 0, 1, 0}))
	if _, err := fetched.Next(first, nil); err != nil {
		t.Fatal(err)
	}
	fetchStream := NewReader(&loop{b: []byte{0, 1, 'x'}})
	encoder := p.FetchEncoder(moqt.Ascending)
	fo := &FetchObject{Size: 5}
	datagram := &Datagram{Alias: 3, Location: moqt.Location{Group: 1 << 40, Object: 9}, Payload: make([]byte, 100)}
	raw, err := p.AppendDatagram(nil, datagram)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func() error{
		"AppendVarint":         func() error { AppendVarint(buf, 1<<40); return nil },
		"AppendSubgroupHeader": func() error { p.AppendSubgroupHeader(buf, h); return nil },
		"AppendObject":         func() error { _, err := p.AppendObject(buf, h, 7, false, object); return err },
		"SubgroupObjects.Next": func() error {
			o, err := objects.Next(stream, nil)
			if err != nil {
				return err
			}
			return stream.Discard(int64(o.Size))
		},
		"FetchObjects.Next": func() error {
			o, err := fetched.Next(fetchStream, nil)
			if err != nil {
				return err
			}
			return fetchStream.Discard(int64(o.Size))
		},
		"FetchEncoder.Append": func() error { fo.Object++; _, err := encoder.Append(buf, fo); return err },
		"AppendDatagram":      func() error { _, err := p.AppendDatagram(buf, datagram); return err },
		"ParseDatagram":       func() error { _, _, err := p.ParseDatagram(raw); return err },
	} {
		if n := testing.AllocsPerRun(1000, func() {
			if err := f(); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations, want none", name, n)
		}
	}
}

func BenchmarkVarint(b *testing.B) {
	b.ReportAllocs()
	buf := make([]byte, 0, 16)
	for i := uint64(1); b.Loop(); i = i*31 + 7 {
		if v, _ := ParseVarint(AppendVarint(buf, i)); v != i {
			b.Fatal(v)
		}
	}
}

func BenchmarkAppendMessage(b *testing.B) {
	b.ReportAllocs()
	m := messageTests[3].message
	buf := make([]byte, 0, 256)
	for b.Loop() {
		if _, err := draft18.AppendMessage(buf, m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadMessage(b *testing.B) {
	b.ReportAllocs()
	r := NewReader(&loop{b: unhex(b, messageTests[3].hex)})
	for b.Loop() {
		if _, err := draft18.ReadMessage(r, On{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendObject(b *testing.B) {
	b.ReportAllocs()
	h, buf := &SubgroupHeader{}, make([]byte, 0, 64)
	o := ObjectHeader{Size: 1200}
	for b.Loop() {
		if _, err := draft18.AppendObject(buf, h, o.ID, false, &ObjectHeader{ID: o.ID + 1, Size: o.Size}); err != nil {
			b.Fatal(err)
		}
		o.ID++
	}
}

func BenchmarkReadObject(b *testing.B) {
	const size = 1200
	b.ReportAllocs()
	b.SetBytes(size)
	object, err := draft18.AppendObject(nil, &SubgroupHeader{}, 0, true, &ObjectHeader{Size: size})
	if err != nil {
		b.Fatal(err)
	}
	r := NewReader(&loop{b: append(object, make([]byte, size)...)})
	objects := draft18.SubgroupObjects(&SubgroupHeader{})
	payload := make([]byte, size)
	for b.Loop() {
		if _, err := objects.Next(r, nil); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(r, payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseDatagram(b *testing.B) {
	b.ReportAllocs()
	d, err := draft18.AppendDatagram(nil, &Datagram{Location: moqt.Location{Group: 1 << 40, Object: 9}, Payload: make([]byte, 1000)})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(d)))
	for b.Loop() {
		if _, _, err := draft18.ParseDatagram(d); err != nil {
			b.Fatal(err)
		}
	}
}
