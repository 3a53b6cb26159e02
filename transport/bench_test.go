package transport_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// subscription returns both ends of one over a connection in memory.
func subscription(t testing.TB) (*transport.TrackWriter, *transport.TrackReader) {
	t.Helper()
	client, server := transporttest.Pipe(t, nil)
	sessions := make(chan *transport.Session, 1)
	go func() {
		s, err := transport.NewSession(t.Context(), server, nil)
		if err != nil {
			t.Error(err)
		}
		sessions <- s
	}()
	up, err := transport.NewSession(t.Context(), client, nil)
	if err != nil {
		t.Fatal(err)
	}
	down := <-sessions
	t.Cleanup(func() { up.Close(); down.Close() })
	readers := make(chan *transport.TrackReader, 1)
	go func() {
		defer close(readers)
		req, err := down.Accept(context.Background())
		if err != nil {
			return
		}
		if tr, err := req.(*transport.PublishRequest).Accept(nil); err == nil {
			readers <- tr
		}
	}()
	w, err := up.Publish(t.Context(), moqt.NS("bench").Track("t"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return w, <-readers
}

// steadySubgroup returns what writes and reads one object of size bytes on a
// stream that has begun.
func steadySubgroup(t testing.TB, size int, write func(*transport.SubgroupWriter, moqt.Object) error) (step func()) {
	w, r := subscription(t)
	g, err := w.OpenGroup(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	payload, buf := make([]byte, size), make([]byte, size)
	var sg *transport.SubgroupReader
	id := uint64(0)
	step = func() {
		if err := write(g, moqt.Object{Location: moqt.Location{Object: id}, Payload: payload}); err != nil {
			t.Fatal(err)
		}
		id++
		if sg == nil {
			if sg, err = r.AcceptSubgroup(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if _, n, err := sg.Next(); err != nil || n != int64(size) {
			t.Fatalf("Next() = %d bytes, %v", n, err)
		}
		if _, err := io.ReadFull(sg, buf); err != nil {
			t.Fatal(err)
		}
	}
	step()
	return step
}

// steadyStream is the same for bytes on a stream of the connection itself.
func steadyStream(t testing.TB, size int) (step func()) {
	client, server := transporttest.Pipe(t, nil)
	out, err := client.OpenUniStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	payload, buf := make([]byte, size), make([]byte, size)
	var in transport.ReceiveStream
	return func() {
		if _, err := out.Write(payload); err != nil {
			t.Fatal(err)
		}
		if in == nil {
			if in, err = server.AcceptUniStream(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := io.ReadFull(in, buf); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoAllocationsPerObject holds a session to what it costs a relay: an object
// that is passed on leaves nothing for the garbage collector but what the
// connection does.
func TestNoAllocationsPerObject(t *testing.T) {
	const size = 1200
	conn := testing.AllocsPerRun(1000, steadyStream(t, size))
	if n := testing.AllocsPerRun(1000, steadySubgroup(t, size, writePlain)); n > conn {
		t.Errorf("%v allocations for an object, want the %v of the connection", n, conn)
	}
	if n := testing.AllocsPerRun(1000, steadySubgroup(t, size, writeFramed(size))); n > conn {
		t.Errorf("%v allocations for an object with room for its header, want the %v of the connection", n, conn)
	}
}

func writePlain(g *transport.SubgroupWriter, o moqt.Object) error { return g.WriteObject(o) }

// writeFramed writes payloads of size bytes that have room for a header.
func writeFramed(size int) func(*transport.SubgroupWriter, moqt.Object) error {
	f := &roomy{room: 8, buf: make([]byte, 8+size)}
	return func(g *transport.SubgroupWriter, o moqt.Object) error {
		copy(f.buf[f.room:], o.Payload)
		o.Payload = f.buf[f.room:]
		return g.WriteFramed(o, f)
	}
}

// roomy is a payload behind room for a header.
type roomy struct {
	buf  []byte
	room int
}

func (r *roomy) Framed(head []byte) ([]byte, bool) {
	if len(head) > r.room {
		return nil, false
	}
	p := r.buf[r.room-len(head):]
	copy(p, head)
	return p, true
}

// TestWriteFramed sends the same objects with their header before them, copied,
// and without.
func TestWriteFramed(t *testing.T) {
	w, r := subscription(t)
	g, err := w.OpenGroup(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	payloads := []string{"all in one piece", "no room", "plain", "", strings.Repeat("large ", 5000)}
	go func() {
		for i, p := range payloads {
			o := moqt.Object{Location: moqt.Location{Object: uint64(10 * i)}, Payload: []byte(p)}
			err := error(nil)
			switch p {
			case "plain":
				err = g.WriteObject(o)
			case "no room":
				err = g.WriteFramed(o, &roomy{buf: o.Payload})
			default:
				err = writeFramed(len(p))(g, o)
			}
			if err != nil {
				t.Errorf("object %d: %v", o.Object, err)
			}
		}
		g.Close()
	}()
	sg, err := r.AcceptSubgroup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range payloads {
		o, _, err := sg.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(sg); string(got) != want || o.Object != uint64(10*i) || err != nil {
			t.Errorf("object %d = %q, %v, want %d, %q", o.Object, got, err, 10*i, want)
		}
	}
}

func BenchmarkObject(b *testing.B) {
	for _, size := range []int{1200, 8192, 60 << 10} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			step := steadySubgroup(b, size, writePlain)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				step()
			}
		})
	}
}
