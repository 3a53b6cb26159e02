package cache

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// FuzzTrack does what its input says with up to three sources, honest or not,
// and checks after every step that the books are right and that a reader never
// gets an object twice, out of order on a stream, or with bytes that were not
// the first.
func FuzzTrack(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 1, 1, 2, 0, 8, 1, 0, 1, 1, 9})
	f.Add([]byte{0, 0, 16, 0, 3, 0, 5, 0, 4, 1, 1, 16, 6, 1, 12, 2, 4, 2})
	f.Add([]byte{0, 0, 1, 0, 1, 1, 1, 16, 17, 16, 18, 33, 34, 7, 10, 7, 255})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 2000 {
			return
		}
		synctest.Test(t, func(t *testing.T) { fuzzTrack(t, ops) })
	})
}

func fuzzTrack(t *testing.T, ops []byte) {
	budget := NewBudget(200 << 10)
	tr := NewTrack(Options{MaxGroups: 3, MaxObjects: 16, MaxBytes: 64 << 10, MaxAge: time.Second, Budget: budget})
	next := func() uint64 {
		if len(ops) == 0 {
			return 0
		}
		b := ops[0]
		ops = ops[1:]
		return uint64(b)
	}
	sources := []*Source{tr.Source(nil), tr.Source(nil), tr.Source(nil)}
	writers := make([]*Writer, 8)
	reader := all(tr)
	type stream struct {
		c    *Cursor
		last int
	}
	var streams []*stream
	seen := map[moqt.Location]bool{}
	drain := func() {
		for c := tryCursor(t, reader); c != nil; c = tryCursor(t, reader) {
			streams = append(streams, &stream{c, -1})
		}
		for _, s := range streams {
			for o, ok := s.c.TryNext(); ok; o, ok = s.c.TryNext() {
				l := o.Meta.Location
				if l.Group != s.c.Header().Group || int(l.Object) <= s.last {
					t.Fatalf("object %v after %d on the stream of group %d", l, s.last, s.c.Header().Group)
				}
				s.last = int(l.Object)
				if o.complete() {
					if seen[l] {
						t.Fatalf("object %v twice", l)
					}
					seen[l] = true
				}
			}
		}
	}
	for len(ops) > 0 {
		op := next()
		i := op >> 4 % 8
		w := writers[i]
		var err error
		switch op % 16 {
		case 0:
			if w != nil {
				w.Abort()
			}
			b := next()
			h := moqt.Subgroup{Group: b % 8, ID: b >> 3 % 4, First: b&32 > 0, EndOfGroup: b&64 > 0}
			writers[i], err = sources[next()%3].Open(h)
			if err != nil {
				writers[i] = nil
			}
		case 1, 2, 3:
			if w != nil {
				o := object(w.head.Group, next()%32)
				switch b := next(); {
				case b > 250:
					o.Payload = []byte("other")
				case b > 240:
					o.Status, o.Payload = moqt.StatusEndOfGroup, nil
				case b > 230:
					o.Properties = moqt.Properties{{Type: moqt.PropPriorObjectIDGap, Value: next() % 8}}
				case b > 225:
					o.Properties = moqt.Properties{{Type: moqt.PropPriorGroupIDGap, Value: next() % 4}}
				case b > 224:
					o.Status, o.Payload = moqt.StatusEndOfTrack, nil
				}
				_, err = w.Append(o)
			}
		case 4, 5:
			if w != nil {
				o := object(w.head.Group, next()%32)
				size := int64(len(o.Payload))
				o.Payload = nil
				err = w.Start(o, size)
			}
		case 6, 7:
			if w != nil && w.in {
				p := payload(w.head.Group, w.at)
				if w.size != int64(len(p)) {
					t.Fatalf("size = %d, want %d", w.size, len(p))
				}
				_, err = w.Extend(p[w.off : w.off+min(int64(next()), w.size-w.off)])
			}
		case 8:
			if w != nil {
				err = w.Close()
				writers[i] = nil
			}
		case 9:
			if w != nil {
				w.Abort()
				writers[i] = nil
			}
		case 10:
			sources[i%3].Close()
			sources[i%3] = tr.Source(nil)
		case 11:
			_, err = sources[i%3].Datagram(object(next()%8, next()%32))
		case 12:
			o := object(next()%8, next()%32)
			o.Subgroup = next() % 4
			_, err = sources[i%3].Fill(o)
		case 13:
			time.Sleep(time.Duration(next()) * time.Millisecond)
		case 14:
			tr.Gaps(loc(next()%8, next()%32), loc(next()%8, next()%32))
			r := tr.Range(loc(next()%8, next()%32), loc(next()%8, next()%32), moqt.GroupOrder(next()%3))
			for n := 0; ; n++ {
				if _, ok := r.Next(); !ok {
					break
				}
				if n > 10000 {
					t.Fatal("Range does not end")
				}
			}
		case 15:
			// Whole groups that push others out.
			g := next()
			v, openErr := sources[i%3].Open(moqt.Subgroup{Group: g % 64})
			if err = openErr; err == nil {
				_, err = v.Append(moqt.Object{Location: loc(g%64, 40), Payload: make([]byte, 10<<10)})
				v.Abort()
			}
		}
		if err != nil && !errors.Is(err, ErrContradiction) && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrLimit) && err != ErrClosed {
			t.Fatalf("op %d: %v", op, err)
		}
		drain()
		checkBytes(t, tr)
	}
	for _, s := range sources {
		s.Close()
	}
	time.Sleep(2 * time.Second) // every hold and grace is over
	drain()
	for _, s := range streams {
		if o, ok := s.c.TryNext(); ok {
			t.Fatalf("object %v after all was read", o.Meta.Location)
		}
		if _, err := read(t, s.c); err == nil {
			t.Errorf("a stream of group %d stays open without a source", s.c.Header().Group)
		}
	}
	tr.Close()
	if tr.Bytes() != 0 || budget.Used() != 0 {
		t.Fatalf("after Close: Bytes() = %d, Used() = %d, want 0", tr.Bytes(), budget.Used())
	}
}
