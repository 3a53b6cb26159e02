package bond

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport/wire"
)

// record is a sink that writes down what it is told.
type record struct {
	log     []string
	objects []*recorded
}

type recorded struct {
	sink     *record
	header   Header
	adjacent bool
	payload  []byte
	end      string // "done" or "lost"
}

func (r *record) Begin(h *Header, adjacent bool) ObjectWriter {
	o := &recorded{sink: r, header: *h, adjacent: adjacent}
	r.objects = append(r.objects, o)
	r.log = append(r.log, fmt.Sprintf("begin %d/%d %v", h.Group, h.Object.Object, adjacent))
	return o
}

func (r *record) End(h *Header, whole bool) {
	r.log = append(r.log, fmt.Sprintf("end %d/%d last %v whole %v", h.Group, h.Object.Object, h.Last, whole))
}

func (o *recorded) Extend(b []byte) { o.payload = append(o.payload, b...) }
func (o *recorded) Done()           { o.stop("done") }
func (o *recorded) Lost()           { o.stop("lost") }

func (o *recorded) stop(how string) {
	o.end = how
	o.sink.log = append(o.sink.log, fmt.Sprintf("%s %d/%d", how, o.header.Group, o.header.Object.Object))
}

func head(group, object uint64, size int) *Header {
	h := &Header{Object: Object{Alias: 1, Group: group, Object: object}, Size: int64(size)}
	if object > 0 {
		h.Previous = 1
	}
	return h
}

var start = time.Unix(1000, 0)

// isFault reports whether err puts a member out of the bond.
func isFault(err error) bool {
	_, ok := errors.AsType[*wire.Error](err)
	return ok
}

// TestAnyWayTheChunksCome cuts objects at random, sends pieces twice and in any
// order, and wants every object once, whole and in the order of its subgroup.
func TestAnyWayTheChunksCome(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		sink := &record{}
		a := NewAssembler(Limits{MaxRuns: 1000}, sink)
		type piece struct {
			h *Header
			c Chunk
		}
		var pieces []piece
		payloads := make(map[Object][]byte)
		for group := range uint64(3) {
			for object := range uint64(5) {
				payload := make([]byte, r.IntN(4000))
				for i := range payload {
					payload[i] = byte(r.Uint32())
				}
				h := head(group, object, len(payload))
				payloads[h.Object] = payload
				if len(payload) == 0 {
					pieces = append(pieces, piece{h, Chunk{}})
				}
				for off := 0; off < len(payload); {
					n := min(1+r.IntN(1500), len(payload)-off)
					pieces = append(pieces, piece{h, Chunk{Offset: int64(off), Bytes: payload[off : off+n]}})
					if back := r.IntN(off + 1); r.IntN(3) == 0 { // a copy, cut elsewhere
						pieces = append(pieces, piece{h, Chunk{Offset: int64(back), Bytes: payload[back : off+n]}})
					}
					off += n
				}
			}
		}
		r.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
		for _, p := range pieces {
			if err := a.Add(p.h, p.c, start); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		if len(sink.objects) != len(payloads) || a.Held() != 0 {
			t.Fatalf("seed %d: %d objects taken and %d bytes held, want %d and 0", seed, len(sink.objects), a.Held(), len(payloads))
		}
		next := make(map[uint64]uint64)
		for _, o := range sink.objects {
			if !bytes.Equal(o.payload, payloads[o.header.Object]) || o.end != "done" {
				t.Errorf("seed %d: object %v has other bytes", seed, o.header.Object)
			}
			if o.header.Object.Object != next[o.header.Group] || o.adjacent != (o.header.Object.Object > 0) {
				t.Errorf("seed %d: object %v out of order", seed, o.header.Object)
			}
			next[o.header.Group]++
		}
		if done := a.TakeDone(); len(done) != len(payloads) {
			t.Errorf("seed %d: %d objects told done, want %d", seed, len(done), len(payloads))
		}
	}
}

func TestBytesAreTakenAsTheyGrow(t *testing.T) {
	sink := &record{}
	a := NewAssembler(Limits{}, sink)
	h := head(0, 0, 6)
	a.Add(h, Chunk{Offset: 0, Bytes: []byte("ab")}, start)
	a.Add(h, Chunk{Offset: 4, Bytes: []byte("ef")}, start)
	if got := string(sink.objects[0].payload); got != "ab" {
		t.Fatalf("%q was taken, want %q", got, "ab")
	}
	a.Add(h, Chunk{Offset: 2, Bytes: []byte("cd")}, start)
	if got := string(sink.objects[0].payload); got != "abcdef" || sink.objects[0].end != "done" {
		t.Errorf("%q was taken and %q, want all", got, sink.objects[0].end)
	}
}

func TestFaultsOfAMember(t *testing.T) {
	other := func(change func(*Header)) *Header {
		h := *head(0, 1, 8)
		change(&h)
		return &h
	}
	for name, c := range map[string]struct {
		h *Header
		c Chunk
	}{
		"other bytes":      {head(0, 1, 8), Chunk{Offset: 2, Bytes: []byte("x")}},
		"other size":       {head(0, 1, 9), Chunk{Offset: 4, Bytes: []byte("efgh")}},
		"other subgroup":   {other(func(h *Header) { h.Subgroup = 3 }), Chunk{Offset: 4, Bytes: []byte("e")}},
		"other properties": {other(func(h *Header) { h.Properties = []byte{1} }), Chunk{Offset: 4, Bytes: []byte("e")}},
		"other place":      {other(func(h *Header) { h.Previous = 0 }), Chunk{Offset: 4, Bytes: []byte("e")}},
		"other priority":   {other(func(h *Header) { h.Priority = 7 }), Chunk{Offset: 4, Bytes: []byte("e")}},
	} {
		sink := &record{}
		a := NewAssembler(Limits{}, sink)
		a.Add(head(0, 1, 8), Chunk{Offset: 0, Bytes: []byte("abcd")}, start)
		if err := a.Add(c.h, c.c, start); !isFault(err) {
			t.Errorf("%s: %v, want a violation", name, err)
		}
		// The object comes to its end all the same.
		a.Add(head(0, 0, 1), Chunk{Bytes: []byte("0")}, start)
		a.Add(head(0, 1, 8), Chunk{Offset: 4, Bytes: []byte("efgh")}, start)
		if n := len(sink.objects); n != 2 || string(sink.objects[1].payload) != "abcdefgh" {
			t.Errorf("%s: the object is not what the first member sent", name)
		}
	}
}

func TestTooManyPieces(t *testing.T) {
	a := NewAssembler(Limits{MaxRuns: 3}, &record{})
	var err error
	for i := range int64(4) {
		err = a.Add(head(0, 0, 100), Chunk{Offset: 2 * i, Bytes: []byte("x")}, start)
	}
	if !isFault(err) {
		t.Errorf("4 pieces where 3 are allowed: %v, want a violation", err)
	}
}

func TestHoldEnds(t *testing.T) {
	sink := &record{}
	a := NewAssembler(Limits{Hold: time.Second}, sink)
	a.Add(head(0, 0, 1), Chunk{Bytes: []byte("0")}, start)
	a.Add(head(0, 1, 2), Chunk{Bytes: []byte("1")}, start)
	a.Add(head(0, 3, 1), Chunk{Bytes: []byte("3")}, start.Add(time.Second/2)) // 2 has not come at all
	if next := a.Expire(start.Add(time.Second - 1)); !next.Equal(start.Add(time.Second)) {
		t.Errorf("it wants to be called at %v, want after a second", next.Sub(start))
	}
	a.Expire(start.Add(time.Second))
	a.Add(head(0, 2, 1), Chunk{Bytes: []byte("2")}, start.Add(time.Second))
	want := []string{"begin 0/0 false", "done 0/0", "begin 0/1 true", "lost 0/1", "begin 0/2 false", "done 0/2", "begin 0/3 true", "done 0/3"}
	if !slices.Equal(sink.log, want) {
		t.Errorf("it did %q, want %q", sink.log, want)
	}
	if a.Add(head(0, 1, 2), Chunk{Bytes: []byte("1")}, start.Add(time.Second)); a.Held() != 0 {
		t.Errorf("what was given up is held again")
	}
}

func TestBeginsInTheMiddle(t *testing.T) {
	sink := &record{}
	a := NewAssembler(Limits{}, sink)
	h := head(0, 5, 1)
	a.Add(head(0, 6, 1), Chunk{Bytes: []byte("6")}, start)
	if len(sink.log) != 0 {
		t.Fatalf("object 6 did not wait for 5: %q", sink.log)
	}
	h.Begins = true
	a.Add(h, Chunk{Bytes: []byte("5")}, start)
	want := []string{"begin 0/5 false", "done 0/5", "begin 0/6 true", "done 0/6"}
	if !slices.Equal(sink.log, want) {
		t.Errorf("it did %q, want %q", sink.log, want)
	}
}

// TestEndOfSubgroup tells that nothing follows before all of what came first is
// there, and sends more all the same.
func TestEndOfSubgroup(t *testing.T) {
	for _, last := range []bool{true, false} {
		sink := &record{}
		a := NewAssembler(Limits{}, sink)
		end := head(0, 2, 0)
		end.End, end.Last = true, last
		a.Add(head(0, 0, 1), Chunk{Bytes: []byte("0")}, start)
		a.Add(head(0, 3, 1), Chunk{Bytes: []byte("3")}, start)
		if err := a.Add(end, Chunk{}, start); err != nil {
			t.Fatal(err)
		}
		if err := a.Add(head(0, 2, 1), Chunk{Bytes: []byte("2")}, start); !isFault(err) {
			t.Errorf("an object in place of the end: %v, want a violation", err)
		}
		a.Add(head(0, 1, 1), Chunk{Bytes: []byte("1")}, start)
		a.Add(head(0, 4, 1), Chunk{Bytes: []byte("4")}, start)
		want := []string{"begin 0/0 false", "done 0/0", "begin 0/1 true", "done 0/1", fmt.Sprintf("end 0/2 last %v whole true", last)}
		if !slices.Equal(sink.log, want) || a.Held() != 0 {
			t.Errorf("it did %q and holds %d bytes, want %q and none", sink.log, a.Held(), want)
		}
		if done := a.TakeDone(); len(done) != 4 {
			t.Errorf("%v are told done, want 0, 1, 2 and 3", done)
		}
	}
	sink := &record{}
	a := NewAssembler(Limits{}, sink)
	end := head(0, 1, 0)
	end.End = true
	a.Add(head(0, 0, 2), Chunk{Bytes: []byte("0")}, start)
	a.Add(end, Chunk{}, start)
	a.Expire(start.Add(time.Hour))
	if want := []string{"begin 0/0 false", "lost 0/0", "end 0/1 last false whole false"}; !slices.Equal(sink.log, want) {
		t.Errorf("it did %q, want %q", sink.log, want)
	}
}

// TestHalfObjects sends what a hostile member may: very many objects that never
// become whole.
func TestHalfObjects(t *testing.T) {
	const most = 128 << 10
	a := NewAssembler(Limits{MaxHeld: most}, &record{})
	now, half := start, make([]byte, 400)
	for i := range uint64(100_000) {
		h := head(i, 0, 800)
		h.Subgroup = i
		if err := a.Add(h, Chunk{Bytes: half}, now); isFault(err) {
			t.Fatal(err)
		}
		if a.Held() > most || len(a.open) > 512 || len(a.places) > maxPlaces || len(a.done) > maxAckDone {
			t.Fatalf("after %d: %d bytes, %d objects, %d subgroups held", i, a.Held(), len(a.open), len(a.places))
		}
		now = now.Add(10 * time.Microsecond)
	}
	if a.Expire(now.Add(time.Hour)); a.Held() != 0 || len(a.open) != 0 {
		t.Errorf("%d bytes are held at the end", a.Held())
	}
}

func BenchmarkAssembler(b *testing.B) {
	const size = 16 << 10
	payload := make([]byte, size)
	a := NewAssembler(Limits{}, discard{})
	b.SetBytes(size)
	b.ReportAllocs()
	for i := range uint64(b.N) {
		h := head(i/60, i%60, size)
		for off := 0; off < size; off += 4096 {
			if err := a.Add(h, Chunk{Offset: int64(off), Bytes: payload[off : off+4096]}, start); err != nil {
				b.Fatal(err)
			}
		}
		a.TakeDone()
	}
}

type discard struct{}

func (discard) Begin(*Header, bool) ObjectWriter { return discard{} }
func (discard) End(*Header, bool)                {}
func (discard) Extend([]byte)                    {}
func (discard) Done()                            {}
func (discard) Lost()                            {}
