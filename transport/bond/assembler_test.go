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
	alone   []uint64 // members that had sent all of an object
	notYet  bool
	opening error // what Open says
	refuse  error // what writers say
	wrong   byte  // that they refuse, if it is not 0
	again   bool  // they want the object from its beginning, once
	has     func(Object) bool
}

type recorded struct {
	header  Header
	payload []byte
	skipped bool
}

func (r *record) note(format string, args ...any) {
	r.log = append(r.log, fmt.Sprintf(format, args...))
}

func (r *record) Open(h *Header) (SubgroupWriter, error) {
	if r.notYet {
		return nil, ErrNotYet
	}
	if r.opening != nil {
		return nil, r.opening
	}
	r.note("open %d", h.Group)
	return &recorder{record: r, group: h.Group}, nil
}

func (r *record) Has(o Object) bool { return r.has != nil && r.has(o) }

func (r *record) Alone(member uint64, _ Object, _ int64, _ time.Time) {
	r.alone = append(r.alone, member)
}

var errWrong = errors.New("these bytes are wrong")

type recorder struct {
	*record
	group uint64
	at    *recorded
}

func (w *recorder) Begin(h *Header) error {
	w.at = &recorded{header: *h}
	w.objects = append(w.objects, w.at)
	w.note("%d/%d", h.Group, h.Object.Object)
	return w.refuse
}

func (w *recorder) Extend(b []byte) error {
	if w.again {
		w.again = false
		return ErrAgain
	}
	w.at.payload = append(w.at.payload, b...)
	if w.wrong != 0 && bytes.IndexByte(b, w.wrong) >= 0 {
		return errWrong
	}
	return w.refuse
}

func (w *recorder) Skip(h *Header) {
	if w.at == nil || w.at.header.Object != h.Object {
		w.note("skip %d/%d", h.Group, h.Object.Object)
		return
	}
	w.at.skipped = true
}

func (w *recorder) Abort()              { w.note("abort %d", w.group) }
func (w *recorder) Close(*Header) error { w.note("close %d", w.group); return nil }

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

// TestForget begins a track anew whose subgroups were taken, and held, in part.
func TestForget(t *testing.T) {
	r := &record{}
	a := NewAssembler(Limits{}, r)
	add := func(h *Header, b string) {
		t.Helper()
		if _, err := a.Add(1, h, Chunk{Bytes: []byte(b)}, start); err != nil {
			t.Error(err)
		}
	}
	other := head(1, 0, 4)
	other.Alias = 2
	add(head(1, 0, 2), "ab")
	add(head(1, 2, 2), "ef") // 1 is missing
	add(other, "xy")
	a.Forget(1)
	if held := a.Held(); held != partCost+4 {
		t.Errorf("%d bytes are held, want those of the other track alone", held)
	}
	if s := a.Stats(); s.Objects != 1 || s.Lost != 1 {
		t.Errorf("the figures are %+v", s)
	}
	add(head(1, 0, 2), "cd")
	want := []string{"open 1", "1/0", "open 1", "1/0", "abort 1", "open 1", "1/0"}
	if !slices.Equal(r.log, want) {
		t.Errorf("the sink heard %q, want %q", r.log, want)
	}
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
			if _, err := a.Add(0, p.h, p.c, start); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		if len(sink.objects) != len(payloads) || a.Held() != 0 {
			t.Fatalf("seed %d: %d objects taken and %d bytes held, want %d and 0", seed, len(sink.objects), a.Held(), len(payloads))
		}
		next := make(map[uint64]uint64)
		for _, o := range sink.objects {
			if !bytes.Equal(o.payload, payloads[o.header.Object]) {
				t.Errorf("seed %d: object %v has other bytes", seed, o.header.Object)
			}
			if o.header.Object.Object != next[o.header.Group] {
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
	a.Add(0, h, Chunk{Offset: 0, Bytes: []byte("ab")}, start)
	a.Add(0, h, Chunk{Offset: 4, Bytes: []byte("ef")}, start)
	if got := string(sink.objects[0].payload); got != "ab" {
		t.Fatalf("%q was taken, want %q", got, "ab")
	}
	a.Add(0, h, Chunk{Offset: 2, Bytes: []byte("cd")}, start)
	if got := string(sink.objects[0].payload); got != "abcdef" || a.Held() != 0 {
		t.Errorf("%q was taken, and %d bytes are held, want all and none", got, a.Held())
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
		a.Add(0, head(0, 1, 8), Chunk{Offset: 0, Bytes: []byte("abcd")}, start)
		if _, err := a.Add(0, c.h, c.c, start); !isFault(err) {
			t.Errorf("%s: %v, want a violation", name, err)
		}
		// The object comes to its end all the same.
		a.Add(0, head(0, 0, 1), Chunk{Bytes: []byte("0")}, start)
		a.Add(0, head(0, 1, 8), Chunk{Offset: 4, Bytes: []byte("efgh")}, start)
		if n := len(sink.objects); n != 2 || string(sink.objects[1].payload) != "abcdefgh" {
			t.Errorf("%s: the object is not what the first member sent", name)
		}
	}
}

func TestTooManyPieces(t *testing.T) {
	a := NewAssembler(Limits{MaxRuns: 3}, &record{})
	var err error
	for i := range int64(4) {
		_, err = a.Add(0, head(0, 0, 100), Chunk{Offset: 2 * i, Bytes: []byte("x")}, start)
	}
	if err != ErrOverflow {
		t.Errorf("4 pieces where 3 are allowed: %v, want %v", err, ErrOverflow)
	}
	if _, err = a.Add(0, head(0, 0, 100), Chunk{Offset: 1, Bytes: []byte("x")}, start); err != nil {
		t.Errorf("what makes two pieces one: %v", err)
	}
}

func TestHoldEnds(t *testing.T) {
	sink := &record{}
	a := NewAssembler(Limits{Hold: time.Second}, sink)
	a.Add(0, head(0, 0, 1), Chunk{Bytes: []byte("0")}, start)
	a.Add(0, head(0, 1, 2), Chunk{Bytes: []byte("1")}, start)
	a.Add(0, head(0, 3, 1), Chunk{Bytes: []byte("3")}, start.Add(time.Second/2)) // 2 has not come at all
	if next, _ := a.Expire(start.Add(time.Second - 1)); !next.Equal(start.Add(time.Second)) {
		t.Errorf("it wants to be called at %v, want after a second", next.Sub(start))
	}
	a.Expire(start.Add(time.Second))
	a.Add(0, head(0, 2, 1), Chunk{Bytes: []byte("2")}, start.Add(time.Second))
	want := []string{"open 0", "0/0", "0/1", "abort 0", "open 0", "0/2", "0/3"}
	if !slices.Equal(sink.log, want) {
		t.Errorf("it did %q, want %q", sink.log, want)
	}
	if a.Add(0, head(0, 1, 2), Chunk{Bytes: []byte("1")}, start.Add(time.Second)); a.Held() != 0 {
		t.Errorf("what was given up is held again")
	}
}

func TestBeginsInTheMiddle(t *testing.T) {
	sink := &record{}
	a := NewAssembler(Limits{}, sink)
	h := head(0, 5, 1)
	a.Add(0, head(0, 6, 1), Chunk{Bytes: []byte("6")}, start)
	if len(sink.log) != 0 {
		t.Fatalf("object 6 did not wait for 5: %q", sink.log)
	}
	h.Begins = true
	a.Add(0, h, Chunk{Bytes: []byte("5")}, start)
	want := []string{"open 0", "0/5", "0/6"}
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
		a.Add(0, head(0, 0, 1), Chunk{Bytes: []byte("0")}, start)
		a.Add(0, head(0, 3, 1), Chunk{Bytes: []byte("3")}, start)
		if _, err := a.Add(0, end, Chunk{}, start); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Add(0, head(0, 2, 1), Chunk{Bytes: []byte("2")}, start); !isFault(err) {
			t.Errorf("an object in place of the end: %v, want a violation", err)
		}
		a.Add(0, head(0, 1, 1), Chunk{Bytes: []byte("1")}, start)
		a.Add(0, head(0, 4, 1), Chunk{Bytes: []byte("4")}, start)
		want := []string{"open 0", "0/0", "0/1", map[bool]string{true: "close 0", false: "abort 0"}[last]}
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
	a.Add(0, head(0, 0, 2), Chunk{Bytes: []byte("0")}, start)
	a.Add(0, end, Chunk{}, start)
	a.Expire(start.Add(time.Hour))
	if want := []string{"open 0", "0/0", "abort 0"}; !slices.Equal(sink.log, want) {
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
		if _, err := a.Add(0, h, Chunk{Bytes: half}, now); isFault(err) {
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
			if _, err := a.Add(0, h, Chunk{Offset: int64(off), Bytes: payload[off : off+4096]}, start); err != nil {
				b.Fatal(err)
			}
		}
		a.TakeDone()
	}
}

type discard struct{}

func (discard) Open(*Header) (SubgroupWriter, error)   { return discard{}, nil }
func (discard) Has(Object) bool                        { return false }
func (discard) Alone(uint64, Object, int64, time.Time) {}
func (discard) Begin(*Header) error                    { return nil }
func (discard) Extend([]byte) error                    { return nil }
func (discard) Skip(*Header)                           {}
func (discard) Close(*Header) error                    { return nil }
func (discard) Abort()                                 {}

// TestMissingObject holds back what comes after an object that never comes, and
// gives it on, with all that follows, when it has been held for long enough.
func TestMissingObject(t *testing.T) {
	sink := &record{}
	a := NewAssembler(Limits{Hold: time.Second}, sink)
	a.Add(0, head(0, 0, 1), Chunk{Bytes: []byte("0")}, start)
	for i := range uint64(3) { // 1 is missing
		a.Add(0, head(0, 2+i, 1), Chunk{Bytes: []byte("x")}, start.Add(time.Duration(i)*time.Second/4))
	}
	a.Expire(start.Add(time.Second))
	want := []string{"open 0", "0/0", "abort 0", "open 0", "0/2", "0/3", "0/4"}
	if !slices.Equal(sink.log, want) || a.Held() != 0 {
		t.Errorf("it did %q and holds %d bytes, want %q and none", sink.log, a.Held(), want)
	}
}

// TestGivenUp has the publisher give an object up: what comes after it is not held
// for it. A stream that part of it is on ends; any other goes on.
func TestGivenUp(t *testing.T) {
	whole := func(object uint64) func(*Assembler) {
		return func(a *Assembler) { a.Add(0, head(0, object, 1), Chunk{Bytes: []byte("x")}, start) }
	}
	piece := func(off int64) func(*Assembler) {
		return func(a *Assembler) { a.Add(0, head(0, 1, 4), Chunk{Offset: off, Bytes: []byte("ab")}, start) }
	}
	gone := func(object uint64) func(*Assembler) {
		return func(a *Assembler) {
			h := head(0, object, 0)
			h.Gone = true
			if _, err := a.Add(1, h, Chunk{}, start); err != nil {
				t.Error(err)
			}
		}
	}
	end := func(a *Assembler) {
		h := head(0, 3, 0)
		h.End, h.Last = true, true
		a.Add(0, h, Chunk{}, start)
	}
	for name, c := range map[string]struct {
		steps []func(*Assembler)
		want  []string
	}{
		"nothing came":         {[]func(*Assembler){whole(0), whole(2), gone(1)}, []string{"open 0", "0/0", "0/2"}},
		"told first":           {[]func(*Assembler){gone(1), whole(2), whole(0)}, []string{"open 0", "0/0", "0/2"}},
		"its beginning came":   {[]func(*Assembler){whole(0), piece(0), whole(2), gone(1)}, []string{"open 0", "0/0", "0/1", "abort 0", "open 0", "0/2"}},
		"its rest came":        {[]func(*Assembler){whole(0), piece(2), whole(2), gone(1)}, []string{"open 0", "0/0", "0/1", "0/2"}},
		"it comes later":       {[]func(*Assembler){whole(0), gone(1), piece(0), piece(2), whole(2)}, []string{"open 0", "0/0", "0/2"}},
		"it comes too late":    {[]func(*Assembler){gone(1), piece(0), piece(2), whole(0), whole(2)}, []string{"open 0", "0/0", "0/2"}},
		"it had come":          {[]func(*Assembler){piece(0), piece(2), gone(1), whole(0), whole(2)}, []string{"open 0", "0/0", "0/1", "0/2"}},
		"the first":            {[]func(*Assembler){whole(1), gone(0), whole(2)}, []string{"open 0", "0/1", "0/2"}},
		"not all was sent":     {[]func(*Assembler){whole(0), whole(2), gone(1), end}, []string{"open 0", "0/0", "0/2", "abort 0"}},
		"the last, and no end": {[]func(*Assembler){whole(0), whole(1), gone(2), end}, []string{"open 0", "0/0", "0/1", "abort 0"}},
	} {
		sink := &record{}
		a := NewAssembler(Limits{}, sink)
		for _, step := range c.steps {
			step(a)
		}
		if !slices.Equal(sink.log, c.want) || a.Held() != 0 {
			t.Errorf("%s: it did %q and holds %d bytes, want %q and none", name, sink.log, a.Held(), c.want)
		}
	}
}

// TestGivenUpIsWaitedFor has what comes before an object that was given up never
// come: all is gone when it has been held for long enough.
func TestGivenUpIsWaitedFor(t *testing.T) {
	sink := &record{}
	a := NewAssembler(Limits{Hold: time.Second}, sink)
	h := head(0, 1, 0)
	h.Gone = true
	a.Add(0, h, Chunk{}, start)
	a.Add(0, head(0, 2, 1), Chunk{Bytes: []byte("2")}, start)
	a.Expire(start.Add(time.Second))
	if want := []string{"open 0", "0/2"}; !slices.Equal(sink.log, want) || a.Held() != 0 {
		t.Errorf("it did %q and holds %d bytes, want %q and none", sink.log, a.Held(), want)
	}
}

// TestHalfInTheWay sends half of an object far ahead: what comes before it is taken
// all the same when that half is given up.
func TestHalfInTheWay(t *testing.T) {
	sink := &record{}
	a := NewAssembler(Limits{Hold: time.Second}, sink)
	a.Add(1, head(0, 1000, 2), Chunk{Bytes: []byte("x")}, start)
	a.Expire(start.Add(time.Second))
	a.Add(0, head(0, 0, 1), Chunk{Bytes: []byte("0")}, start.Add(time.Second))
	if want := []string{"open 0", "0/0"}; !slices.Equal(sink.log, want) {
		t.Errorf("it did %q, want %q", sink.log, want)
	}
}

func TestNotYet(t *testing.T) {
	sink := &record{notYet: true}
	a := NewAssembler(Limits{}, sink)
	a.Add(0, head(0, 0, 1), Chunk{Bytes: []byte("0")}, start)
	a.Add(0, head(0, 1, 1), Chunk{Bytes: []byte("1")}, start)
	sink.notYet = false
	if err := a.Kick(1, start); err != nil {
		t.Error(err)
	}
	if want := []string{"open 0", "0/0", "0/1"}; !slices.Equal(sink.log, want) {
		t.Errorf("it did %q, want %q", sink.log, want)
	}
}

// TestOtherWay mixes chunks with objects that come whole another way: in the middle
// of one, before its turn, and before any chunk.
func TestOtherWay(t *testing.T) {
	there := make(map[uint64]bool)
	sink := &record{has: func(o Object) bool {
		for i := uint64(3); i <= o.Object; i++ {
			if !there[i] {
				return false
			}
		}
		return true
	}}
	a := NewAssembler(Limits{}, sink)
	whole := func(object uint64) {
		there[object] = true
		if err := a.Whole(0, head(0, object, 0), start); err != nil {
			t.Fatal(err)
		}
	}
	whole(3)
	a.Add(0, head(0, 4, 2), Chunk{Bytes: []byte("4")}, start) // follows that
	whole(6)
	a.Add(0, head(0, 7, 1), Chunk{Bytes: []byte("7")}, start)
	a.Add(0, head(0, 6, 1), Chunk{Bytes: []byte("6")}, start) // too late
	whole(4)
	a.Add(0, head(0, 5, 1), Chunk{Bytes: []byte("5")}, start)
	want := []string{"open 0", "0/4", "0/5", "skip 0/6", "0/7"}
	if !slices.Equal(sink.log, want) || a.Held() != 0 || !sink.objects[0].skipped {
		t.Errorf("it did %q and holds %d bytes, want %q and none, and the rest of 4 skipped", sink.log, a.Held(), want)
	}
	var done []uint64
	for _, o := range a.TakeDone() {
		done = append(done, o.Object)
	}
	if want := []uint64{6, 7, 4, 5}; !slices.Equal(done, want) {
		t.Errorf("done are %v, want %v", done, want)
	}
}

// TestWriterRefuses has the sink find what is wrong with an object: the member that
// sent it is told, and the subgroup goes on with another writer.
func TestWriterRefuses(t *testing.T) {
	sink := &record{}
	a := NewAssembler(Limits{}, sink)
	sink.refuse = errors.New("no")
	_, err := a.Add(2, head(0, 0, 1), Chunk{Bytes: []byte("0")}, start)
	if f, ok := err.(*Fault); !ok || f.Member != 2 || !errors.Is(err, sink.refuse) {
		t.Errorf("%v, want the fault of member 2", err)
	}
	sink.refuse = nil
	if _, err := a.Add(1, head(0, 1, 2), Chunk{Bytes: []byte("ab")}, start); err != nil {
		t.Error(err)
	}
	if want := []string{"open 0", "0/0", "open 0", "0/1"}; !slices.Equal(sink.log, want) || string(sink.objects[1].payload) != "ab" {
		t.Errorf("it did %q, want %q", sink.log, want)
	}
}

// TestWhoseBytesAreWrong has bytes that the sink refuses wait behind a hole, which
// another member fills, between those of others: who has sent them first is told, and
// nobody else.
func TestWhoseBytesAreWrong(t *testing.T) {
	const size = 3 * pageSize
	type piece struct {
		member   uint64
		from, to int
	}
	for name, pieces := range map[string][]piece{
		"behind":      {{2, 30_000, 40_000}, {1, 10_000, 30_000}, {1, 40_000, size}, {3, 0, 10_000}},
		"before":      {{1, 35_000, size}, {2, 25_000, 35_000}, {1, 5_000, 25_000}, {3, 0, 5_000}},
		"overlapping": {{1, 40_000, size}, {1, 20_000, 30_000}, {2, 10_000, 45_000}, {3, 0, 30_000}},
		"copied":      {{2, 30_000, 40_000}, {1, 20_000, 45_000}, {3, 0, 20_000}},
		"at once":     {{2, 30_000, size}, {1, 0, 20_000}, {2, 20_000, 30_000}},
	} {
		payload := make([]byte, size)
		payload[33_000] = 'X'
		sink := &record{wrong: 'X'}
		a := NewAssembler(Limits{}, sink)
		var faults []uint64
		for _, p := range pieces {
			_, err := a.Add(p.member, head(0, 0, size), Chunk{Offset: int64(p.from), Bytes: payload[p.from:p.to]}, start)
			if f, ok := err.(*Fault); ok && f.Err == errWrong {
				faults = append(faults, f.Member)
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if !slices.Equal(faults, []uint64{2}) {
			t.Errorf("%s: the fault of %v, want that of 2", name, faults)
		}
	}
}

// TestTooManySenders alternates between two members: what is remembered of who sent
// what is bounded, and the object is whole all the same.
func TestTooManySenders(t *testing.T) {
	sink := &record{}
	a := NewAssembler(Limits{}, sink)
	payload := bytes.Repeat([]byte("ab"), 500)
	for i := len(payload) - 1; i >= 0; i-- {
		if _, err := a.Add(uint64(1+i%2), head(0, 0, len(payload)), Chunk{Offset: int64(i), Bytes: payload[i : i+1]}, start); err != nil {
			t.Fatal(err)
		}
		if p := a.open[head(0, 0, 0).Object]; p != nil && len(p.senders) > maxSenders {
			t.Fatalf("%d pieces are told apart", len(p.senders))
		}
	}
	if len(sink.objects) != 1 || !bytes.Equal(sink.objects[0].payload, payload) {
		t.Errorf("it did %q", sink.log)
	}
	// Of those that are not told apart, who comes last is to blame.
	sink.wrong = 'b'
	var err error
	for i := len(payload) - 1; i >= 0 && err == nil; i-- {
		_, err = a.Add(uint64(1+i%2), head(1, 0, len(payload)), Chunk{Offset: int64(i), Bytes: payload[i : i+1]}, start)
	}
	if f, ok := err.(*Fault); !ok || f.Member != 1 {
		t.Errorf("%v is at fault, want member 1", err)
	}
}

// TestOvertaken ends a subgroup downstream whose end was never told, once a newer
// group is there.
func TestOvertaken(t *testing.T) {
	sink := &record{}
	a := NewAssembler(Limits{Hold: time.Second}, sink)
	a.Add(0, head(0, 0, 1), Chunk{Bytes: []byte("0")}, start)
	a.Expire(start.Add(time.Minute))
	a.Add(0, head(1, 0, 1), Chunk{Bytes: []byte("0")}, start.Add(time.Minute))
	a.Expire(start.Add(time.Minute + time.Second))
	a.Add(0, head(2, 0, 1), Chunk{Bytes: []byte("0")}, start.Add(2*time.Minute))
	a.Expire(start.Add(2*time.Minute + time.Second))
	if want := []string{"open 0", "0/0", "open 1", "1/0", "abort 0", "open 2", "2/0", "abort 1"}; !slices.Equal(sink.log, want) {
		t.Errorf("it did %q, want %q", sink.log, want)
	}
}

// TestFloodOfOneMember fills an Assembler with what one member sends by halves:
// what another has under way is not given up for it, nor what it has begun itself
// and another goes on with, or what is whole and waits for its turn. What is refused
// of it the other sends.
func TestFloodOfOneMember(t *testing.T) {
	sink := &record{}
	a := NewAssembler(Limits{MaxHeld: 1 << 20}, sink)
	refused, now := 0, start
	for i := range uint64(100) {
		now = now.Add(100 * time.Millisecond)
		for id, size := range map[uint64]int{3*i + 2: 1, 3*i + 1: 3} {
			if _, err := a.Add(2, head(0, id, size), Chunk{Bytes: []byte("b")}, now); err != nil {
				a.Add(1, head(0, id, size), Chunk{Bytes: []byte("b")}, now)
			}
		}
		a.Add(1, head(0, 3*i+1, 3), Chunk{Offset: 1, Bytes: []byte("b")}, now)
		a.Add(1, head(0, 3*i, 2), Chunk{Bytes: []byte("a")}, now)
		for j := range uint64(1000) {
			h := head(7, 1+i*1000+j, 4096)
			if _, err := a.Add(2, h, Chunk{Bytes: make([]byte, 2048)}, now); err == ErrOverflow || err == ErrGivenUp {
				refused++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		a.Add(1, head(0, 3*i, 2), Chunk{Offset: 1, Bytes: []byte("a")}, now)
		a.Add(1, head(0, 3*i+1, 3), Chunk{Offset: 2, Bytes: []byte("b")}, now)
		if a.Held() > 1<<20 {
			t.Fatalf("%d bytes are held", a.Held())
		}
	}
	if n := len(sink.objects); n != 300 {
		t.Errorf("%d of the 300 objects were taken that were whole in the end", n)
	}
	if refused < 90_000 {
		t.Errorf("%d of its 100,000 objects were refused, want nearly all", refused)
	}
	if a.Close(); a.Held() != 0 {
		t.Errorf("%d bytes are held at the end", a.Held())
	}
}

// TestFloodSparesWhatIsYoung has a member begin an object and then fill the Assembler
// at once, before the others have sent anything of that object: they go on with it.
func TestFloodSparesWhatIsYoung(t *testing.T) {
	for name, limits := range map[string]Limits{"objects": {}, "bytes": {MaxHeld: 1 << 20, MaxOpen: 4096}} {
		sink := &record{}
		a := NewAssembler(limits, sink)
		a.Add(1, head(0, 0, 1), Chunk{Bytes: []byte("a")}, start)
		a.Add(2, head(0, 1, 2), Chunk{Bytes: []byte("b")}, start)
		for i := range uint64(5000) {
			now := start.Add(time.Duration(i) * 2 * time.Microsecond)
			if _, err := a.Add(2, head(7, 1+i, 4096), Chunk{Bytes: make([]byte, 2048)}, now); err != nil && err != ErrOverflow && err != ErrGivenUp {
				t.Fatal(err)
			}
		}
		late := start.Add(20 * time.Millisecond)
		a.Add(1, head(0, 2, 1), Chunk{Bytes: []byte("c")}, late)
		a.Add(1, head(0, 1, 2), Chunk{Offset: 1, Bytes: []byte("b")}, late)
		if n := len(sink.objects); n != 3 || string(sink.objects[1].payload) != "bb" {
			t.Errorf("%s: %d objects were taken, want 3, of them the second in two pieces: %q", name, n, sink.log)
		}
	}
}

// TestShedIsNotTakenIn has a member alone send too much: what is given up for a chunk
// of its own is told.
func TestShedIsNotTakenIn(t *testing.T) {
	a := NewAssembler(Limits{MaxHeld: 64 << 10}, &record{})
	taken := make(map[uint64]bool)
	for i := range uint64(100) {
		if _, err := a.Add(1, head(0, i+1, 4096), Chunk{Bytes: make([]byte, 2048)}, start); err == nil {
			taken[i+1] = true
		} else if err != ErrGivenUp && err != ErrOverflow {
			t.Fatal(err)
		}
	}
	if len(taken) < 10 || len(taken) != len(a.open) {
		t.Errorf("%d objects were taken in and %d are held", len(taken), len(a.open))
	}
	for id := range taken {
		if a.open[Object{Alias: 1, Object: id}] == nil {
			t.Errorf("object %d was taken in and is not held", id)
		}
	}
}

// TestTinyChunks has one object come a byte at a time, from both ends and from the
// middle: what is held is a few times what came.
func TestTinyChunks(t *testing.T) {
	const size = 1 << 20
	for name, at := range map[string]func(i int64) int64{
		"ascending":  func(i int64) int64 { return i + 1 },
		"descending": func(i int64) int64 { return size - 1 - i },
		"scattered":  func(i int64) int64 { return (i*7919 + 1) % size },
	} {
		budget := &Budget{}
		a := NewAssembler(Limits{Budget: budget}, &record{})
		for i := range int64(20_000) {
			if _, err := a.Add(0, head(0, 0, size), Chunk{Offset: at(i), Bytes: []byte("x")}, start); err != nil && err != ErrOverflow {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if held := a.Held(); held > size+partCost || held != budget.Held() || held != budget.Most() {
			t.Errorf("%s: %d bytes are held, and the budget has %d, at most %d", name, held, budget.Held(), budget.Most())
		}
		most := budget.Most()
		a.Close()
		if budget.Held() != 0 || budget.Most() != most {
			t.Errorf("%s: the budget has %d at the end, at most %d, want 0 and %d", name, budget.Held(), budget.Most(), most)
		}
	}
}

// TestStats sends a part of an object twice, and leaves another by halves.
func TestStats(t *testing.T) {
	sink := &record{}
	a := NewAssembler(Limits{}, sink)
	if a.Shed(start) {
		t.Error("something was given up where nothing is")
	}
	add := func(member, object uint64, size, from, to int) {
		t.Helper()
		if _, err := a.Add(member, head(0, object, size), Chunk{Offset: int64(from), Bytes: make([]byte, to-from)}, start); err != nil {
			t.Error(err)
		}
	}
	add(1, 0, 10, 0, 6)
	add(2, 0, 10, 4, 10) // and half of that is there
	add(1, 1, 10, 0, 5)
	if got, want := a.Stats(), (Stats{Objects: 1, Bytes: 15, Duplicate: 2}); got != want {
		t.Errorf("the figures are %+v, want %+v", got, want)
	}
	if len(sink.alone) > 0 {
		t.Errorf("members %v had sent all of an object, of which each had sent a part", sink.alone)
	}
	add(2, 1, 10, 5, 8)
	add(1, 1, 10, 5, 10)
	if !slices.Equal(sink.alone, []uint64{1}) {
		t.Errorf("members %v had sent all of an object, want that of 1", sink.alone)
	}
	add(1, 2, 10, 0, 5)
	if a.Shed(start); a.Held() != 0 || a.Shed(start) {
		t.Errorf("%d bytes are held, or more can be given up", a.Held())
	}
	add(1, 3, 10, 0, 5)
	a.Close()
	if got, want := a.Stats(), (Stats{Objects: 2, Lost: 2, Bytes: 30, Duplicate: 5}); got != want {
		t.Errorf("in the end the figures are %+v, want %+v", got, want)
	}
}

// TestSinkRefusesToOpen is the fault of who has sent the header, whoever makes the
// object's turn come.
func TestSinkRefusesToOpen(t *testing.T) {
	sink := &record{}
	a := NewAssembler(Limits{}, sink)
	a.Add(2, head(0, 1, 1), Chunk{Bytes: []byte("b")}, start)
	sink.opening = errors.New("no")
	h := head(0, 0, 1)
	h.Begins = true
	_, err := a.Add(3, h, Chunk{Bytes: []byte("a")}, start)
	if f, ok := err.(*Fault); !ok || f.Member != 3 || !errors.Is(err, sink.opening) {
		t.Errorf("%v, want the fault of member 3", err)
	}
	h = head(1, 0, 2)
	a.Add(2, h, Chunk{Offset: 1, Bytes: []byte("b")}, start)
	if err := a.takeFault(); err != nil {
		t.Errorf("%v is left of the call before", err)
	}
}

// TestRefusedByTheByte has a member that has lost an object go on with another where
// there is room made already, and not where there is none.
func TestRefusedByTheByte(t *testing.T) {
	a := NewAssembler(Limits{MaxHeld: 4*pageSize + 2*partCost}, &record{})
	now := start
	add := func(object uint64, from int) error {
		_, err := a.Add(1, head(0, object, 3*pageSize), Chunk{Offset: int64(from), Bytes: []byte("a")}, now)
		return err
	}
	add(1, 0)
	add(1, pageSize)
	add(2, 0)
	add(2, pageSize) // all there is room for
	if add(2, 2*pageSize); a.Stats().Lost != 1 {
		t.Fatalf("the figures are %+v, want one object lost", a.Stats())
	}
	now = now.Add(time.Second)
	kept := uint64(2)
	if a.open[head(0, 1, 0).Object] != nil {
		kept = 1
	}
	for _, step := range []struct {
		object uint64
		from   int
		want   error
	}{{kept, 5, nil}, {kept, pageSize + 5, nil}, {7, 0, nil}, {7, 1, nil}, {7, pageSize, nil}, {7, 2 * pageSize, ErrOverflow}, {8, 0, ErrOverflow}, {7, 2, nil}} {
		if err := add(step.object, step.from); err != step.want {
			t.Errorf("a byte at %d of object %d: %v, want %v; %d of %d bytes are held", step.from, step.object, err, step.want, a.Held(), a.limits.MaxHeld)
		}
	}
	now = start.Add(a.limits.Hold)
	if err := add(9, 0); err == ErrOverflow {
		t.Error("after the time of hold it is still refused")
	}
}

// TestFromTheBeginning has the sink ask for an object once more when half of it is
// there.
func TestFromTheBeginning(t *testing.T) {
	sink := &record{}
	a := NewAssembler(Limits{}, sink)
	payload := bytes.Repeat([]byte("abc"), pageSize)
	for at := 0; at < len(payload); at += pageSize {
		sink.again = at == 2*pageSize
		if _, err := a.Add(uint64(at%3), head(0, 0, len(payload)), Chunk{Offset: int64(at), Bytes: payload[at : at+pageSize]}, start); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(sink.objects); n != 2 || !bytes.Equal(sink.objects[1].payload, payload) {
		t.Errorf("it was begun %d times, want twice, with all bytes the second time: %q", n, sink.log)
	}
}

// TestPiecesBehindAHole has a piece wait behind a hole while what is before is taken:
// of a sender that is forgotten, as there were too many, or for the second time.
func TestPiecesBehindAHole(t *testing.T) {
	payload := make([]byte, 3*pageSize)
	for i := range payload {
		payload[i] = byte(i * 7)
	}
	for name, pieces := range map[string]int{"forgotten": maxSenders - 1, "again": 0} {
		sink := &record{}
		a := NewAssembler(Limits{}, sink)
		add := func(member uint64, from, to int) {
			t.Helper()
			if _, err := a.Add(member, head(0, 0, len(payload)), Chunk{Offset: int64(from), Bytes: payload[from:to]}, start); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		add(1, 2*pageSize, 2*pageSize+10)
		for i := range pieces {
			add(1, 100+2*i, 101+2*i)
		}
		add(2, 50, 60) // nobody knows who it was, where there were many
		add(1, 0, 40)
		sink.again = name == "again"
		add(2, 40, 50)
		add(1, 60, 2*pageSize)
		add(3, 2*pageSize+10, len(payload))
		if n := len(sink.objects); n == 0 || !bytes.Equal(sink.objects[n-1].payload, payload) {
			t.Errorf("%s: it did %q", name, sink.log)
		}
	}
}

// TestShedWhatOthersHelpWith gives up an object all the same where others have sent
// something of each: the oldest.
func TestShedWhatOthersHelpWith(t *testing.T) {
	a := NewAssembler(Limits{}, &record{})
	for id := range uint64(3) {
		a.Add(1, head(0, 1+id, 3), Chunk{Bytes: []byte("a")}, start)
		a.Add(2, head(0, 1+id, 3), Chunk{Offset: 1, Bytes: []byte("b")}, start)
	}
	for id := range uint64(3) {
		if !a.Shed(start) || a.open[head(0, 1+id, 0).Object] != nil || len(a.open) != int(2-id) {
			t.Errorf("object %d was not the next to go; %d are held", 1+id, len(a.open))
		}
	}
}

// TestNothingAfterClose sends on.
func TestNothingAfterClose(t *testing.T) {
	sink := &record{}
	a := NewAssembler(Limits{}, sink)
	a.Add(1, head(0, 0, 2), Chunk{Bytes: []byte("a")}, start)
	a.Close()
	before := len(sink.log)
	if _, err := a.Add(1, head(0, 0, 2), Chunk{Offset: 1, Bytes: []byte("b")}, start); err != ErrGivenUp || a.Held() != 0 || len(sink.log) != before {
		t.Errorf("after Close: %v, %d bytes are held, and the sink heard %q", err, a.Held(), sink.log[before:])
	}
	if err := a.Whole(1, head(0, 0, 0), start); err != nil || a.Held() != 0 {
		t.Errorf("after Close: %v, %d bytes are held", err, a.Held())
	}
}
