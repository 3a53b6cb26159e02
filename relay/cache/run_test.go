package cache

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

func TestNextObjectComesFromAnySource(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	a, b := open(t, tr.Source(nil), 0), open(t, tr.Source(nil), 0)
	put(t, a, true, 0)
	put(t, b, false, 0)
	put(t, b, true, 1)
	put(t, a, false, 1)
	put(t, a, true, 2)
	r := all(tr)
	wantRead(t, cursor(t, r), "[0 1 2]", nil)
	if c := tryCursor(t, r); c != nil {
		t.Errorf("a second run with header %+v, want one", c.Header())
	}
}

func TestGapOnOneStreamIsProven(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	a := open(t, tr.Source(nil), 0)
	put(t, a, true, 0, 4, 1<<40)
	finish(t, a)
	wantRead(t, cursor(t, all(tr)), "[0 4 1099511627776]", io.EOF)
}

func TestGapIsProvenByALaggingStream(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	a, b := open(t, tr.Source(nil), 0), open(t, tr.Source(nil), 0)
	put(t, a, true, 0, 1, 2)
	put(t, b, false, 0, 1)
	a.Abort()
	put(t, b, true, 9) // nothing after 1 and before 9 on this stream, so nothing after 2
	finish(t, b)
	wantRead(t, cursor(t, all(tr)), "[0 1 2 9]", io.EOF)
}

func TestGapIsProvenByTheObject(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	a, b := open(t, tr.Source(nil), 0), open(t, tr.Source(nil), 0)
	put(t, a, true, 0, 1)
	o := object(0, 5)
	o.Properties = moqt.Properties{{Type: moqt.PropPriorObjectIDGap, Value: 3}}
	if fresh, err := b.Append(o); !fresh || err != nil {
		t.Fatal(fresh, err)
	}
	wantRead(t, cursor(t, all(tr)), "[0 1 5]", nil)
}

// Subgroups whose ids take turns are joined in the middle: what a stream leaves
// out is in the other subgroup, so its first object follows the head that came
// by FETCH, and its end is the end for whoever asked for the rest.
func TestGapIsProvenByAnotherSubgroup(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	s := tr.Source(nil)
	heads := [2]*Writer{openWith(t, s, moqt.Subgroup{First: true}), openWith(t, s, moqt.Subgroup{ID: 1, First: true})}
	put(t, heads[0], true, 0)
	put(t, heads[1], true, 1)
	late := tr.Reader(loc(0, 2), LastGroup)
	rests := [2]*Writer{openWith(t, s, moqt.Subgroup{}), openWith(t, s, moqt.Subgroup{ID: 1})}
	for i, w := range rests {
		put(t, w, true, 2+uint64(i))
		heads[i].Abort()
		finish(t, w)
	}
	wantRead(t, cursor(t, late), "[2]", io.EOF)
	wantRead(t, cursor(t, late), "[3]", io.EOF)
	r := all(tr)
	wantRead(t, cursor(t, r), "[0 2]", io.EOF)
	wantRead(t, cursor(t, r), "[1 3]", io.EOF)
	if c := tryCursor(t, r); c != nil {
		t.Errorf("a third run with header %+v, want two", c.Header())
	}
}

// The object between may come last. Then there are two runs, but the end of the
// second is one for whoever has not asked for what is between.
func TestEndIsProvenByAnotherSubgroup(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	s := tr.Source(nil)
	head := openWith(t, s, moqt.Subgroup{ID: 1, First: true})
	put(t, head, true, 1)
	rest := openWith(t, s, moqt.Subgroup{ID: 1})
	put(t, rest, true, 3)
	head.Abort()
	put(t, openWith(t, s, moqt.Subgroup{}), true, 2)
	late := tr.Reader(loc(0, 2), LastGroup)
	finish(t, rest)
	wantRead(t, cursor(t, late), "[3]", io.EOF)
	wantRead(t, cursor(t, late), "[2]", nil)
}

// A publishes from the start and is slower than B, which joins in the middle.
func TestJoiningSourceIsHeldUntilTheGapIsFilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := NewTrack(Options{})
		defer tr.Close()
		a, b := open(t, tr.Source(nil), 0), openWith(t, tr.Source(nil), moqt.Subgroup{EndOfGroup: true})
		put(t, a, true, 0, 1, 2, 3)
		r := all(tr)
		c := cursor(t, r)
		put(t, b, true, 5, 6)
		wantRead(t, c, "[0 1 2 3]", nil)
		time.Sleep(40 * time.Millisecond)
		put(t, a, true, 4)
		wantRead(t, c, "[4 5 6]", nil)
		put(t, a, false, 5)
		put(t, b, true, 7)
		finish(t, b)
		wantRead(t, c, "[7]", io.EOF)
		time.Sleep(time.Minute)
		if c := tryCursor(t, r); c != nil {
			t.Errorf("another run, with header %+v", c.Header())
		}
	})
}

func TestHeldObjectIsShownAfterTheHoldOrTheCount(t *testing.T) {
	for _, byCount := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			tr := NewTrack(Options{})
			defer tr.Close()
			a, b := open(t, tr.Source(nil), 0), open(t, tr.Source(nil), 0)
			put(t, a, true, 0)
			r := all(tr)
			c := cursor(t, r)
			if byCount {
				for id := range uint64(holdObjects) {
					if tryCursor(t, r) != nil {
						t.Fatalf("shown after %d objects, want %d", id, holdObjects)
					}
					put(t, b, true, 2+id)
				}
			} else {
				put(t, b, true, 2)
				time.Sleep(49 * time.Millisecond)
				if tryCursor(t, r) != nil {
					t.Fatal("shown before the hold is over")
				}
				time.Sleep(2 * time.Millisecond)
			}
			d := tryCursor(t, r)
			if d == nil {
				t.Fatal("still hidden")
			}
			if d.Header().First == true && b.head.First == false {
				t.Error("First on a run that starts in the middle")
			}
			// Both go on: the first as long as its source may fill the gap.
			wantRead(t, c, "[0]", nil)
			put(t, a, true, 1)
			wantRead(t, c, "[1]", nil)
			put(t, a, false, 2)
			wantRead(t, c, "[]", ErrReset)
			if _, err := read(t, d); err != nil {
				t.Errorf("second run ended: %v", err)
			}
		})
	}
}

// While the object before the gap is arriving, its bytes keep the hold up.
func TestHoldLastsWhileTheRunBeforeMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := NewTrack(Options{})
		defer tr.Close()
		a, b := open(t, tr.Source(nil), 0), open(t, tr.Source(nil), 0)
		p := payload(0, 0)
		if err := a.Start(object(0, 0), int64(len(p))); err != nil {
			t.Fatal(err)
		}
		r := all(tr)
		c := cursor(t, r)
		put(t, b, true, 1)
		for i := range p {
			time.Sleep(40 * time.Millisecond)
			if tryCursor(t, r) != nil {
				t.Fatalf("shown after %d bytes", i)
			}
			if _, err := a.Extend(p[i : i+1]); err != nil {
				t.Fatal(err)
			}
		}
		wantRead(t, c, "[0 1]", nil)
	})
}

func TestHeldObjectIsShownWhenNobodyCanFillTheGap(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	a, b := open(t, tr.Source(nil), 0), openWith(t, tr.Source(nil), moqt.Subgroup{EndOfGroup: true})
	put(t, a, true, 0, 1)
	put(t, b, true, 3)
	r := all(tr)
	c := cursor(t, r)
	if tryCursor(t, r) != nil {
		t.Fatal("object 3 is not held")
	}
	a.Abort()
	wantRead(t, c, "[0 1]", ErrReset)
	d := cursor(t, r)
	if d.Header().First {
		t.Error("Header().First on object 3")
	}
	put(t, b, true, 4)
	finish(t, b)
	// Object 2 is missing, so FIN would lie to who asked for it, and only to them.
	wantRead(t, d, "[3 4]", ErrReset)
	for _, test := range []struct {
		from uint64
		ids  string
		end  error
	}{{2, "[3 4]", ErrReset}, {3, "[3 4]", io.EOF}, {4, "[4]", io.EOF}} {
		wantRead(t, cursor(t, tr.Reader(loc(0, test.from), LastGroup)), test.ids, test.end)
	}
}

// A stream that goes 0, 5 shows that 1 to 4 are not in the subgroup; then an
// object held back for them follows on.
func TestStreamProvesThatAHeldObjectFollows(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	a, b := open(t, tr.Source(nil), 0), open(t, tr.Source(nil), 0)
	put(t, a, true, 0)
	put(t, b, true, 5, 10)
	put(t, a, false, 5)
	r := all(tr)
	wantRead(t, cursor(t, r), "[0 5 10]", nil)
	if tryCursor(t, r) != nil {
		t.Error("a second run")
	}
}

func TestHeldObjectFollowsByItsOwnGap(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	a, b := open(t, tr.Source(nil), 0), open(t, tr.Source(nil), 0)
	put(t, a, true, 0)
	o := object(0, 5)
	o.Properties = moqt.Properties{{Type: moqt.PropPriorObjectIDGap, Value: 3}}
	if fresh, err := b.Append(o); !fresh || err != nil {
		t.Fatal(fresh, err)
	}
	c := cursor(t, all(tr))
	wantRead(t, c, "[0]", nil)
	put(t, a, true, 1)
	wantRead(t, c, "[1 5]", nil)
}

// An object must not follow one that may never be whole.
func TestNextObjectWaitsForThePartialOne(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	a, b := open(t, tr.Source(nil), 0), open(t, tr.Source(nil), 0)
	put(t, a, true, 0)
	if err := a.Start(object(0, 1), 10); err != nil {
		t.Fatal(err)
	}
	r := all(tr)
	c := cursor(t, r)
	put(t, b, true, 2)
	a.Abort()
	if ids, err := read(t, c); len(ids) != 1 || err != ErrReset {
		t.Errorf("first run: %v, %v, want object 0 and ErrReset", ids, err)
	}
	wantRead(t, cursor(t, r), "[2]", nil)
}

// A stream that skips what another brought cannot come back to an older run.
func TestRunEndsWhenItsStreamGoesOnInAnother(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	b := openWith(t, tr.Source(nil), moqt.Subgroup{})
	put(t, b, true, 3, 4)
	a := open(t, tr.Source(nil), 0)
	put(t, a, true, 0, 1)
	r := all(tr)
	c, d := cursor(t, r), cursor(t, r)
	put(t, a, true, 7)
	wantRead(t, c, "[3 4 7]", nil)
	wantRead(t, d, "[0 1]", ErrReset)
}

func TestFINOfAHeldRunIsKept(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	a, b := open(t, tr.Source(nil), 0), open(t, tr.Source(nil), 0)
	put(t, a, true, 0)
	put(t, b, true, 2)
	finish(t, b)
	c := cursor(t, all(tr))
	put(t, a, true, 1)
	wantRead(t, c, "[0 1 2]", io.EOF)

	synctest.Test(t, func(t *testing.T) {
		tr := NewTrack(Options{})
		defer tr.Close()
		a, b := open(t, tr.Source(nil), 0), open(t, tr.Source(nil), 0)
		put(t, a, true, 0)
		put(t, b, true, 2)
		finish(t, b)
		time.Sleep(time.Second)
		r := tr.Reader(loc(0, 2), LastGroup)
		if c := tryCursor(t, r); c != nil { // the first run may still bring 1
			wantRead(t, c, "[]", nil)
		}
		wantRead(t, cursor(t, r), "[2]", io.EOF)
	})
}

func TestLateObjectsGetARunOfTheirOwn(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	b := openWith(t, tr.Source(nil), moqt.Subgroup{})
	put(t, b, true, 3, 4)
	r := all(tr)
	c := cursor(t, r)
	a := open(t, tr.Source(nil), 0)
	put(t, a, true, 0, 1)
	d := cursor(t, r)
	if c.Header().First || !d.Header().First {
		t.Errorf("First = %v, %v, want only the run that starts at 0 to have it", c.Header().First, d.Header().First)
	}
	put(t, a, true, 2)
	put(t, a, false, 3, 4)
	wantRead(t, d, "[0 1 2]", ErrReset) // 3 went on the other stream
	finish(t, a)
	// The hole is filled: with both streams everything was sent. The run's
	// header did not say END_OF_GROUP, so FIN promises no more than it may.
	wantRead(t, c, "[3 4]", io.EOF)
}
