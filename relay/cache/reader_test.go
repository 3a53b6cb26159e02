package cache

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

// fill writes groups of n objects each, with FIN.
func fill(t testing.TB, s *Source, n uint64, groups ...uint64) {
	t.Helper()
	for _, g := range groups {
		w := open(t, s, g)
		for id := range n {
			put(t, w, true, id)
		}
		finish(t, w)
	}
}

// groups returns the groups of all cursors that the reader has now.
func groupsOf(t testing.TB, r *Reader) (ids []uint64) {
	t.Helper()
	for c := tryCursor(t, r); c != nil; c = tryCursor(t, r) {
		ids = append(ids, c.Header().Group)
	}
	return ids
}

func TestReaderYieldsTheBacklogInOrderThenWhatComes(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	s := tr.Source(nil)
	fill(t, s, 3, 10, 12, 11, 9)
	fill(t, s, 2, 8)
	for _, test := range []struct {
		from moqt.Location
		end  uint64
		want string
	}{
		{loc(0, 0), LastGroup, "[8 9 10 11 12]"},
		{loc(10, 0), LastGroup, "[10 11 12]"},
		{loc(10, 2), 11, "[10 11]"},
		{loc(10, 3), 11, "[11]"}, // group 10 ended with object 2
		{loc(13, 0), LastGroup, "[]"},
	} {
		if got := fmt.Sprint(groupsOf(t, tr.Reader(test.from, test.end))); got != test.want {
			t.Errorf("Reader(%v, %d) yields groups %v, want %v", test.from, test.end, got, test.want)
		}
	}

	r := tr.Reader(loc(11, 1), 14)
	wantRead(t, cursor(t, r), "[1 2]", io.EOF)
	fill(t, s, 1, 14, 7, 13, 15) // arrives while the backlog is not done
	wantRead(t, cursor(t, r), "[0 1 2]", io.EOF)
	if got := fmt.Sprint(groupsOf(t, r)); got != "[14 13]" {
		t.Errorf("then groups %v, want [14 13]", got)
	}
}

func TestReaderAfterTheLargestStartsWithTheNextObject(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	if _, ok := tr.Largest(); ok {
		t.Error("Largest() of an empty track")
	}
	w := open(t, tr.Source(nil), 3)
	put(t, w, true, 0, 1, 2)
	l, ok := tr.Largest()
	if l != loc(3, 2) || !ok {
		t.Errorf("Largest() = %v, %v, want 3/2", l, ok)
	}
	c := cursor(t, tr.Reader(loc(l.Group, l.Object+1), LastGroup))
	wantRead(t, c, "[]", nil)
	put(t, w, true, 3)
	finish(t, w)
	if c.Header().First {
		t.Error("Header().First in the middle of the subgroup")
	}
	wantRead(t, c, "[3]", io.EOF)
}

func TestSubgroupsAreRunsOfTheirOwn(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	s := tr.Source(nil)
	a := openWith(t, s, moqt.Subgroup{ID: 0, Priority: 1, First: true})
	b := openWith(t, s, moqt.Subgroup{ID: 1, Priority: 2, DefaultPriority: true, First: true, EndOfGroup: true})
	for id := range uint64(10) {
		put(t, []*Writer{a, b}[id%2], true, id)
	}
	finish(t, a)
	finish(t, b)
	r := all(tr)
	c, d := cursor(t, r), cursor(t, r)
	if h := c.Header(); h != a.head {
		t.Errorf("Header() = %+v, want %+v", h, a.head)
	}
	if h := d.Header(); h != b.head {
		t.Errorf("Header() = %+v, want %+v", h, b.head)
	}
	wantRead(t, c, "[0 2 4 6 8]", io.EOF)
	wantRead(t, d, "[1 3 5 7 9]", io.EOF)
}

func TestBehindCountsNewerGroups(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	s := tr.Source(nil)
	w := open(t, s, 10)
	put(t, w, true, 0)
	r := all(tr)
	c := cursor(t, r)
	check := func(wantReader, wantCursor int) {
		t.Helper()
		if got := r.Behind(); got != wantReader {
			t.Errorf("Reader.Behind() = %d, want %d", got, wantReader)
		}
		if got := c.Behind(); got != wantCursor {
			t.Errorf("Cursor.Behind() = %d, want %d", got, wantCursor)
		}
	}
	check(0, 0)
	fill(t, s, 1, 11)
	check(0, 1)
	fill(t, s, 1, 1000, 12)
	check(1, 2)
	r.SkipTo(1000)
	r.SkipTo(5) // never back
	check(0, 2)
	c = cursor(t, r)
	if c.Header().Group != 1000 {
		t.Errorf("after SkipTo(1000): group %d", c.Header().Group)
	}
	check(0, 0)
	if got := groupsOf(t, r); len(got) > 0 {
		t.Errorf("then groups %v, want none", got)
	}
}

func TestReadersEndWithTheTrack(t *testing.T) {
	tr := NewTrack(Options{})
	s := tr.Source(nil)
	w := open(t, s, 1)
	put(t, w, true, 0)
	r := all(tr)
	c := cursor(t, r)
	fill(t, s, 1, 2)
	tr.End()
	cursor(t, r)
	if _, err := r.Next(t.Context()); err != io.EOF {
		t.Errorf("Reader.Next() after End = %v, want EOF", err)
	}
	put(t, w, true, 1) // what is open goes on
	wantRead(t, c, "[0 1]", nil)
	tr.Close()
	tr.Close()
	wantRead(t, c, "[]", ErrClosed)
	if _, err := r.Next(t.Context()); err != ErrClosed {
		t.Errorf("Reader.Next() after Close = %v, want ErrClosed", err)
	}
	if _, err := w.Append(object(1, 2)); err != ErrClosed {
		t.Errorf("Append after Close = %v, want ErrClosed", err)
	}
	if _, err := w.Extend(nil); err != ErrClosed {
		t.Errorf("Extend after Close = %v, want ErrClosed", err)
	}
	if err := w.Start(object(1, 2), 5); err != ErrClosed {
		t.Errorf("Start after Close = %v, want ErrClosed", err)
	}
	if _, err := tr.Source(nil).Open(moqt.Subgroup{}); err != ErrClosed {
		t.Errorf("Open after Close = %v, want ErrClosed", err)
	}
	if tr.Bytes() != 0 || tr.Groups() != 0 {
		t.Errorf("after Close: %d bytes in %d groups", tr.Bytes(), tr.Groups())
	}
}

func TestClosedWriter(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	w := open(t, tr.Source(nil), 1)
	finish(t, w) // without an object: nothing is known, nothing kept
	if _, err := w.Append(object(1, 0)); !errors.Is(err, ErrClosed) {
		t.Errorf("Append after Close = %v", err)
	}
	if tr.Bytes() != 0 {
		t.Errorf("Bytes() = %d, want 0", tr.Bytes())
	}
}

func TestGapsAndRange(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	if gaps := tr.Gaps(loc(0, 0), loc(9, 0)); gaps != nil {
		t.Errorf("Gaps() of an empty track = %v", gaps)
	}
	if _, ok := tr.Range(loc(0, 0), loc(9, 0), moqt.Ascending).Next(); ok {
		t.Error("Range() of an empty track has a step")
	}
	s := tr.Source(nil)
	fill(t, s, 3, 4)                                            // 4/0-2, complete
	put(t, openWith(t, s, moqt.Subgroup{Group: 6}), true, 2, 5) // 6/2, 6/5
	w := openWith(t, s, moqt.Subgroup{Group: 9})
	o := object(9, 0)
	o.Properties = moqt.Properties{{Type: moqt.PropPriorGroupIDGap, Value: 1}} // no group 8
	if _, err := w.Append(o); err != nil {
		t.Fatal(err)
	}
	o = object(9, 7)
	o.Properties = moqt.Properties{{Type: moqt.PropPriorObjectIDGap, Value: 4}} // no 9/3-6
	if _, err := w.Append(o); err != nil {
		t.Fatal(err)
	}

	const m = "18446744073709551615"
	for _, test := range []struct {
		from, to moqt.Location
		desc     bool
		want     string
	}{
		{loc(4, 0), loc(4, 2), false, "4/0 4/1 4/2"},
		{loc(4, 1), loc(4, 1), false, "4/1"},
		{loc(4, 2), loc(4, 1), false, ""},
		{loc(4, 3), loc(4, 20), false, ""},
		{loc(4, 2), loc(5, 0), false, "4/2 (5/0-5/0)"},
		{loc(5, 7), loc(6, 2), false, "(5/7-5/" + m + ") (6/0-6/1) 6/2"},
		{loc(6, 3), loc(6, 9), false, "(6/3-6/4) 6/5 (6/6-6/9 tail)"},
		{loc(8, 0), loc(9, 0), false, "9/0"},
		{loc(7, 0), loc(9, 0), false, "(7/0-7/" + m + ") 9/0"},
		{loc(9, 0), loc(20, 0), false, "9/0 (9/1-9/2) 9/7"},
		{loc(10, 0), loc(20, 0), false, ""},
		{loc(0, 5), loc(4, 0), false, "(0/5-3/" + m + ") 4/0"},
		{loc(4, 1), loc(9, 7), true, "9/0 (9/1-9/2) 9/7 (7/0-7/" + m + ") (6/0-6/1) 6/2 (6/3-6/4) 6/5 (6/6-6/" + m + " tail) (5/0-5/" + m + ") 4/1 4/2"},
		{loc(2, 3), loc(4, 1), true, "4/0 4/1 (2/3-3/" + m + ")"},
		{loc(8, 3), loc(9, 0), true, "9/0"},
		{loc(4, 1), loc(4, 2), true, "4/1 4/2"},
	} {
		order := moqt.Ascending
		if test.desc {
			order = moqt.Descending
		}
		got := ""
		r := tr.Range(test.from, test.to, order)
		for step, ok := r.Next(); ok; step, ok = r.Next() {
			if got != "" {
				got += " "
			}
			if step.Object != nil {
				got += step.Object.Meta.Location.String()
				continue
			}
			tail := ""
			if step.Gap.Tail {
				tail = " tail"
			}
			got += fmt.Sprintf("(%v-%v%s)", step.Gap.From, step.Gap.To, tail)
		}
		if got != test.want {
			t.Errorf("Range(%v, %v, desc=%v):\n got %s\nwant %s", test.from, test.to, test.desc, got, test.want)
		}
	}

	want := []Gap{{From: loc(5, 0), To: loc(6, 1)}, {From: loc(6, 3), To: loc(6, 4)},
		{From: loc(6, 6), To: loc(7, LastGroup)}, {From: loc(9, 1), To: loc(9, 2)}}
	if got := tr.Gaps(loc(4, 0), loc(9, 7)); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("Gaps() = %v, want %v", got, want)
	}

	// As many gaps as objects: the list is bounded.
	v := openWith(t, s, moqt.Subgroup{Group: 20})
	for id := range uint64(1000) {
		put(t, v, true, 2*id+1)
	}
	got := tr.Gaps(loc(20, 0), loc(20, 5000))
	if len(got) != maxGaps || got[maxGaps-1].To != loc(20, 1998) {
		t.Errorf("Gaps() has %d, the last is %v, want %d that reach to 20/1998", len(got), got[len(got)-1], maxGaps)
	}
}

func TestFillIsThereForRangesAndNotForReaders(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	s := tr.Source(nil)
	w := openWith(t, s, moqt.Subgroup{Group: 1})
	put(t, w, true, 3)
	r := all(tr)
	for _, fresh := range []bool{true, false} {
		for id := range uint64(3) {
			if got, err := s.Fill(object(1, id)); got != fresh || err != nil {
				t.Errorf("Fill(%d) = %v, %v, want %v", id, got, err, fresh)
			}
		}
	}
	if gaps := tr.Gaps(loc(1, 0), loc(1, 3)); len(gaps) > 0 {
		t.Errorf("Gaps() = %v, want none", gaps)
	}
	wantRead(t, cursor(t, r), "[3]", nil)
	if tryCursor(t, r) != nil {
		t.Error("a reader is told of what was filled in")
	}
	// A stream brings it after all.
	v := open(t, tr.Source(nil), 1)
	put(t, v, false, 0, 1, 2, 3)
	finish(t, v)
	wantRead(t, cursor(t, r), "[0 1 2]", ErrReset)
	checkBytes(t, tr)
	bad := object(1, 0)
	bad.Payload = []byte("x")
	_, err := tr.Source(nil).Fill(bad)
	wantFault(t, "Fill(other payload)", err, ErrContradiction)
}
