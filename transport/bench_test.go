package transport_test

import (
	"context"
	"fmt"
	"io"
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
func steadySubgroup(t testing.TB, size int) (step func()) {
	w, r := subscription(t)
	g, err := w.OpenGroup(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	payload, buf := make([]byte, size), make([]byte, size)
	var sg *transport.SubgroupReader
	step = func() {
		if _, err := g.Write(payload); err != nil {
			t.Fatal(err)
		}
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
	if n := testing.AllocsPerRun(1000, steadySubgroup(t, size)); n > conn {
		t.Errorf("%v allocations for an object, want the %v of the connection", n, conn)
	}
}

func BenchmarkObject(b *testing.B) {
	for _, size := range []int{1200, 8192, 60 << 10} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			step := steadySubgroup(b, size)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				step()
			}
		})
	}
}
