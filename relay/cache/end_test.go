package cache

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

func TestFirstBitIsExact(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	b := openWith(t, tr.Source(nil), moqt.Subgroup{})
	put(t, b, true, 2)
	if cursor(t, all(tr)).Header().First {
		t.Error("First without anybody saying so")
	}
	a := open(t, tr.Source(nil), 0)
	put(t, a, false, 2) // First: the subgroup begins at 2
	put(t, a, true, 3)
	if !cursor(t, all(tr)).Header().First {
		t.Error("First is not set after a source said so")
	}
	if cursor(t, tr.Reader(loc(0, 3), LastGroup)).Header().First {
		t.Error("First for a reader that starts in the middle")
	}
	if !cursor(t, tr.Reader(loc(0, 1), LastGroup)).Header().First {
		t.Error("First is not set for a reader that starts before the subgroup")
	}
}

func TestFINOnlyAfterTheLastObject(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	a, b := open(t, tr.Source(nil), 0), open(t, tr.Source(nil), 0)
	put(t, a, true, 0, 1, 2)
	put(t, b, false, 0, 1, 2)
	c := cursor(t, all(tr))
	b.Abort()
	wantRead(t, c, "[0 1 2]", nil)
	finish(t, a)
	wantRead(t, c, "[]", io.EOF)
}

func TestEndOfGroupCountsOnlyWithFIN(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	a := open(t, tr.Source(nil), 0) // END_OF_GROUP
	put(t, a, true, 0)
	c := cursor(t, all(tr))
	a.Abort()
	wantRead(t, c, "[0]", ErrReset)
	b := openWith(t, tr.Source(nil), moqt.Subgroup{})
	put(t, b, false, 0)
	put(t, b, true, 1) // a's bit said nothing
	finish(t, b)
	// The header had the bit, but who sent FIN did not.
	wantRead(t, cursor(t, tr.Reader(loc(0, 1), LastGroup)), "[1]", ErrReset)
}

func TestResetOnlyWhenAllSourcesHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := NewTrack(Options{})
		defer tr.Close()
		sa, sb, sc := tr.Source(nil), tr.Source(nil), tr.Source(nil)
		a, b := open(t, sa, 0), open(t, sb, 0)
		put(t, a, true, 0)
		put(t, b, false, 0)
		c := cursor(t, all(tr))
		a.Abort()
		a.Abort() // again: nothing
		sb.Close()
		time.Sleep(900 * time.Millisecond)
		wantRead(t, c, "[0]", nil) // sc has not brought this subgroup yet
		w := open(t, sc, 0)
		put(t, w, false, 0)
		put(t, w, true, 1)
		time.Sleep(time.Minute)
		wantRead(t, c, "[1]", nil)
		sc.Close()
		wantRead(t, c, "[]", ErrReset)
		if _, err := w.Append(object(0, 2)); err != ErrClosed {
			t.Errorf("Append after Source.Close = %v", err)
		}
		if err := b.Close(); err != ErrClosed {
			t.Errorf("Close after Source.Close = %v", err)
		}
	})
}

func TestGraceEndsWithoutAnotherSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := NewTrack(Options{})
		defer tr.Close()
		a := open(t, tr.Source(nil), 0)
		tr.Source(nil) // brings nothing
		put(t, a, true, 0)
		c := cursor(t, all(tr))
		a.Abort()
		begin := time.Now()
		if o, err := c.Next(t.Context()); err != nil || o.Meta.Object != 0 {
			t.Fatal(o, err)
		}
		if _, err := c.Next(t.Context()); err != ErrReset {
			t.Errorf("Next() = %v, want ErrReset", err)
		}
		if got := time.Since(begin); got != time.Second {
			t.Errorf("reset after %v, want 1s", got)
		}
	})
}

func TestPartialObjectIsNotKeptWithoutASource(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	s := tr.Source(nil)
	a := open(t, s, 0)
	put(t, a, true, 0)
	p := payload(0, 1)
	if err := a.Start(object(0, 1), int64(len(p))); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Extend(p[:3]); err != nil {
		t.Fatal(err)
	}
	c := cursor(t, all(tr))
	c.TryNext()
	o, _ := c.TryNext()
	a.Abort()
	if got, done, err := o.Bytes(t.Context(), 0); len(got) != 3 || done || err != nil {
		t.Errorf("Bytes(0) = %q, %v, %v, want what there is", got, done, err)
	}
	if _, _, err := o.Bytes(t.Context(), 3); err != ErrReset {
		t.Errorf("Bytes(3) = %v, want ErrReset", err)
	}
	wantRead(t, c, "[]", ErrReset)
	wantRead(t, cursor(t, all(tr)), "[0]", ErrReset)
	if gaps := tr.Gaps(loc(0, 0), loc(0, 1)); len(gaps) != 1 {
		t.Errorf("Gaps() = %v, want object 1", gaps)
	}
	checkBytes(t, tr)
	// The publisher comes back with it.
	b := open(t, s, 0)
	put(t, b, true, 1)
	b.Abort()
	wantRead(t, cursor(t, tr.Reader(loc(0, 1), LastGroup)), "[1]", ErrReset)

	// The same for a run of nothing else.
	d := open(t, s, 1)
	if err := d.Start(object(1, 0), 5); err != nil {
		t.Fatal(err)
	}
	e := cursor(t, tr.Reader(loc(1, 0), LastGroup))
	d.Abort()
	if got, _ := read(t, e); len(got) > 1 {
		t.Errorf("read %v", got)
	}
	if c := tryCursor(t, tr.Reader(loc(1, 0), LastGroup)); c != nil {
		t.Error("a run without objects is shown")
	}
	checkBytes(t, tr)
}

func TestFINOfAResetRunServesLateJoiners(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	a := open(t, tr.Source(nil), 0)
	put(t, a, true, 0, 1)
	a.Abort()
	b := open(t, tr.Source(nil), 0)
	put(t, b, false, 0, 1)
	finish(t, b)
	wantRead(t, cursor(t, all(tr)), "[0 1]", io.EOF)
}

func TestScatteredObjectsKeepFewRunsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := NewTrack(Options{})
		defer tr.Close()
		honest := open(t, tr.Source(nil), 0)
		put(t, honest, true, 0, 1, 2)
		c := cursor(t, all(tr))
		s := tr.Source(nil)
		tr.Source(nil) // expected, so that runs are kept open
		for id := range uint64(1000) {
			w := openWith(t, s, moqt.Subgroup{})
			put(t, w, true, 100+id*2)
			w.Abort()
		}
		tr.mu.Lock()
		n := len(tr.groups[0].subs[0].open)
		tr.mu.Unlock()
		if n > maxOpenRuns {
			t.Errorf("%d runs are open, want at most %d", n, maxOpenRuns)
		}
		time.Sleep(time.Minute)
		r := tr.Reader(loc(0, 100), LastGroup)
		seen := make(map[uint64]bool)
		for d := tryCursor(t, r); d != nil; d = tryCursor(t, r) {
			ids, _ := read(t, d)
			for _, id := range ids {
				seen[id] = true
			}
		}
		if len(seen) != 1000 {
			t.Errorf("%d objects are shown, want 1000", len(seen))
		}
		put(t, honest, true, 3)
		wantRead(t, c, "[0 1 2 3]", nil)
		checkBytes(t, tr)
	})
}

func TestLimitsDropTheObjectOnly(t *testing.T) {
	tr := NewTrack(Options{MaxObjectBytes: 100})
	defer tr.Close()
	s := tr.Source(nil)
	a := open(t, s, 0)
	put(t, a, true, 0)
	_, err := a.Append(moqt.Object{Location: loc(0, 1), Payload: make([]byte, 101)})
	wantFault(t, "Append(101 bytes)", err, ErrLimit)
	wantFault(t, "Start(2^62 bytes)", a.Start(object(0, 2), 1<<62), ErrLimit)
	put(t, a, true, 3)
	finish(t, a) // of no meaning, as the stream's objects are not all known
	r := all(tr)
	wantRead(t, cursor(t, r), "[0]", ErrReset)
	wantRead(t, cursor(t, r), "[3]", ErrReset)
	put(t, openWith(t, s, moqt.Subgroup{ID: 1}), true, 4)
}

func TestEmptyObjectsAndMarkers(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	a := open(t, tr.Source(nil), 0)
	if err := a.Start(moqt.Object{}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Append(moqt.Object{Location: loc(0, 1), Status: moqt.StatusEndOfGroup}); err != nil {
		t.Fatal(err)
	}
	finish(t, a)
	c := cursor(t, all(tr))
	for want, status := range []moqt.Status{moqt.StatusNormal, moqt.StatusEndOfGroup} {
		o, ok := c.TryNext()
		if !ok {
			t.Fatalf("object %d is missing", want)
		}
		p, whole := o.Payload()
		if len(p) != 0 || !whole || o.Meta.Status != status {
			t.Errorf("object %d: %q, %v, %v", want, p, whole, o.Meta.Status)
		}
		if _, done, err := o.Bytes(t.Context(), 0); !done || err != nil {
			t.Errorf("Bytes(0) = %v, %v", done, err)
		}
	}
	if _, err := c.Next(t.Context()); err != io.EOF {
		t.Errorf("Next() = %v, want EOF", err)
	}
}

func TestReadersBlockUntilThereIsSomething(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := NewTrack(Options{})
		s := tr.Source(nil)
		got := make(chan any, 100)
		go func() {
			defer close(got)
			r := all(tr)
			for {
				c, err := r.Next(t.Context())
				if err != nil {
					got <- err
					return
				}
				for {
					o, err := c.Next(t.Context())
					if err != nil {
						got <- err
						break
					}
					n, done := 0, false
					for !done {
						var p []byte
						if p, done, err = o.Bytes(t.Context(), int64(n)); err != nil {
							t.Errorf("Bytes(%d) = %v", n, err)
							return
						}
						n += len(p)
						got <- len(p)
					}
				}
			}
		}()
		want := func(want ...any) {
			t.Helper()
			synctest.Wait()
			for _, w := range want {
				select {
				case g := <-got:
					if g != w {
						t.Errorf("reader got %v, want %v", g, w)
					}
				default:
					t.Fatalf("reader got nothing, want %v", w)
				}
			}
			select {
			case g, ok := <-got:
				if ok {
					t.Errorf("reader got %v, want nothing", g)
				}
			default:
			}
		}
		want()
		w := open(t, s, 0)
		want()
		put(t, w, true, 0)
		want(15)
		if err := w.Start(object(0, 1), 10); err != nil {
			t.Fatal(err)
		}
		want()
		for _, n := range []int{3, 7} {
			if _, err := w.Extend(make([]byte, n)); err != nil {
				t.Fatal(err)
			}
			want(n)
		}
		finish(t, w)
		want(io.EOF)
		v := open(t, s, 1)
		put(t, v, true, 0)
		v.Abort()
		want(15, ErrReset)
		tr.End()
		want(io.EOF)
		tr.Close()

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		tr = NewTrack(Options{})
		defer tr.Close()
		if _, err := all(tr).Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Reader.Next() = %v, want the deadline", err)
		}
		w = open(t, tr.Source(nil), 0)
		if err := w.Start(object(0, 0), 10); err != nil {
			t.Fatal(err)
		}
		c := cursor(t, all(tr))
		o, _ := c.TryNext()
		if _, _, err := o.Bytes(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Bytes() = %v, want the deadline", err)
		}
		if _, err := c.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Cursor.Next() = %v, want the deadline", err)
		}
	})
}
