package bond

import (
	"testing"
	"time"
)

// strict is a sink that checks what it is told.
type strict struct {
	t     *testing.T
	there map[Object]bool // has come another way
}

func (s *strict) Open(h *Header) (SubgroupWriter, error) {
	switch h.Group % 4 {
	case 1:
		return nil, nil // nobody wants it
	case 2:
		if h.Object.Object%3 == 2 {
			return nil, ErrNotYet
		}
	}
	return &strictWriter{strict: s, place: h.place(), begun: make(map[uint64]bool)}, nil
}

func (s *strict) Alone(uint64, Object, int64, time.Time) {}

func (s *strict) Has(o Object) bool {
	for i := uint64(0); i <= o.Object; i++ {
		if !s.there[Object{o.Alias, o.Group, i}] {
			return false
		}
	}
	return true
}

type strictWriter struct {
	*strict
	place place
	any   bool
	at    uint64
	left  int64
	some  bool            // of the object at hand has come
	took  byte            // how much, and so which byte is next
	again bool            // it is to be begun once more
	begun map[uint64]bool // objects that were
	over  bool
}

func (w *strictWriter) check(ok bool, what string) {
	w.t.Helper()
	if !ok || w.over {
		w.t.Fatalf("%s; after the end: %v; at object %d, of which %d bytes are missing", what, w.over, w.at, w.left)
	}
}

func (w *strictWriter) Begin(h *Header) error {
	if w.again {
		w.check(h.place() == w.place && h.Object.Object == w.at, "another object begins than was asked for once more")
	} else {
		w.check(h.place() == w.place && (w.left == 0 || !w.some) && (!w.any || h.Object.Object > w.at), "an object begins out of order")
	}
	w.any, w.at, w.left, w.some, w.took, w.again = true, h.Object.Object, h.Size, false, 0, false
	return nil
}

func (w *strictWriter) Extend(b []byte) error {
	w.check(len(b) > 0 && int64(len(b)) <= w.left && !w.again, "bytes beyond the end, or before the beginning")
	if w.place.group%4 == 3 && w.some && !w.begun[w.at] {
		w.begun[w.at], w.again = true, true
		return ErrAgain
	}
	for _, c := range b {
		w.check(c == w.took, "a wrong byte")
		w.took++
	}
	w.left, w.some = w.left-int64(len(b)), true
	return nil
}

func (w *strictWriter) Skip(h *Header) {
	w.check(w.left == 0 || !w.some || h.Object.Object == w.at, "another object is skipped")
	w.any, w.at, w.left = true, h.Object.Object, 0
}

func (w *strictWriter) Close(h *Header) error {
	w.check(w.left == 0 && h.End && h.Last, "closed inside an object")
	w.over = true
	return nil
}

func (w *strictWriter) Abort() {
	w.check(true, "")
	w.over = true
}

// FuzzAssembler does what the input says, five bytes for each step, and checks the
// books of what is held and that writers are told what makes sense.
func FuzzAssembler(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x08\x03\x01\x01\x08\x04\x00\x02\x00\x00\x00\x00\x05\x00\x01\x00\x09"))
	f.Add([]byte("\x04\x03\x00\x28\x14\x05\x03\x00\x28\x00\x06\x03\x00\x28\x05\x0e\x03\x00\x28\x0b")) // a piece behind a hole, and once more
	f.Fuzz(func(t *testing.T, in []byte) {
		budget := &Budget{}
		sink := &strict{t: t, there: make(map[Object]bool)}
		a := NewAssembler(Limits{MaxHeld: 8 << 10, MaxOpen: 6, MaxRuns: 4, Hold: time.Second, Budget: budget}, sink)
		now := start
		for ; len(in) >= 5; in = in[5:] {
			do, where, which, size, at := in[0], uint64(in[1]), uint64(in[2]%8), int64(in[3]%64), int64(in[4]%64)
			h := head(where%4, which, int(size))
			h.Subgroup, h.Begins = where/4%2, where&64 != 0
			if which > 0 {
				h.Previous = 1 + where/8%which
			}
			if where&128 != 0 {
				h.End, h.Last, h.Size = true, where&32 != 0, 0
			} else if do&64 != 0 {
				h.Gone, h.Size = true, 0
			}
			switch do % 8 {
			case 0:
				sink.there[h.Object] = true
				a.Whole(uint64(do), h, now)
			case 1:
				a.Expire(now)
			case 2:
				now = now.Add(time.Duration(at) * 100 * time.Millisecond)
				a.Kick(1, now)
			case 3:
				a.Shed(now)
			default:
				off := min(at, h.Size)
				b := make([]byte, min(h.Size-off, int64(do)))
				for i := range b {
					b[i] = byte(int(off) + i)
				}
				a.Add(uint64(do%3), h, Chunk{Offset: off, Bytes: b}, now)
			}
			var held int64
			for _, p := range a.order {
				held += p.cost
				if a.open[p.header.Object] != p || p.sub.passed(&p.header) {
					t.Fatalf("object %v is held and has passed", p.header.Object)
				}
			}
			if held != a.held || held != budget.Held() || len(a.order) != len(a.open) || len(a.open) > 6 || held > 8<<10 {
				t.Fatalf("%d bytes of %d objects are held, counted are %d of %d", held, len(a.order), a.held, len(a.open))
			}
		}
		a.Close()
		if budget.Held() != 0 || len(a.shares) != 0 || budget.Most() > 8<<10 {
			t.Fatalf("%d bytes are held at the end, and %d were at most", budget.Held(), budget.Most())
		}
	})
}
