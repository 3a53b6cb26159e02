package cache

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

func TestOldGroupsAgeButNotTheNewestTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := NewBudget(1 << 30)
		tr := NewTrack(Options{MaxAge: 10 * time.Second, Budget: budget})
		s := tr.Source(nil)
		for g := range uint64(5) {
			fill(t, s, 3, g)
			time.Sleep(2 * time.Second)
		}
		// Group g was the newest until 2g+2; now is 10.
		begin := time.Now().Add(-10 * time.Second)
		for _, test := range []struct {
			at   time.Duration
			want string
		}{
			{11900 * time.Millisecond, "[0 1 2 3 4]"}, {12100 * time.Millisecond, "[1 2 3 4]"},
			{15 * time.Second, "[2 3 4]"}, {time.Hour, "[3 4]"},
		} {
			time.Sleep(time.Until(begin.Add(test.at)))
			if got := fmt.Sprint(groupsOf(t, all(tr))); got != test.want {
				t.Errorf("after %v: groups %v, want %v", test.at, got, test.want)
			}
		}
		// Who comes an hour later gets the newest group at once.
		c := cursor(t, tr.Reader(loc(4, 0), LastGroup))
		wantRead(t, c, "[0 1 2]", io.EOF)
		tr.Close()
		if got := budget.Used(); got != 0 {
			t.Errorf("Used() after Close = %d, want 0", got)
		}
	})
}

func TestWritesAgeGroupsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := NewTrack(Options{MaxAge: time.Minute})
		defer tr.Close()
		s := tr.Source(nil)
		fill(t, s, 1, 0, 1)
		time.Sleep(time.Hour)
		if got := tr.Groups(); got != 2 {
			t.Errorf("Groups() = %d, want 2", got)
		}
		fill(t, s, 1, 2)
		if got := fmt.Sprint(groupsOf(t, all(tr))); got != "[1 2]" {
			t.Errorf("groups %v, want [1 2]: 0 was superseded an hour ago", got)
		}
	})
}

func TestGroupsAreBounded(t *testing.T) {
	tr := NewTrack(Options{MaxGroups: 4})
	defer tr.Close()
	s := tr.Source(nil)
	slow := open(t, s, 0)
	put(t, slow, true, 0)
	r := all(tr)
	c := cursor(t, r)
	fill(t, s, 1, 1, 2, 3, 4, 5, 6)
	if got := fmt.Sprint(groupsOf(t, all(tr))); got != "[3 4 5 6]" {
		t.Errorf("groups %v, want [3 4 5 6]", got)
	}
	if got := fmt.Sprint(groupsOf(t, r)); got != "[3 4 5 6]" {
		t.Errorf("a reader that comes back: groups %v, want [3 4 5 6]", got)
	}
	wantRead(t, c, "[]", ErrEvicted)

	// Late objects do not come back, and the streams they are on do no harm.
	put(t, slow, false, 1, 2)
	if err := slow.Start(object(0, 3), 5); err != nil {
		t.Fatal(err)
	}
	if n, err := slow.Extend([]byte("12345")); n != 0 || err != nil {
		t.Errorf("Extend = %d, %v", n, err)
	}
	finish(t, slow)
	put(t, open(t, s, 2), false, 0)
	if fresh, err := s.Datagram(object(1, 9)); fresh || err != nil {
		t.Errorf("Datagram = %v, %v", fresh, err)
	}
	if st := tr.Stats(); st.Late != 5 || st.Evicted != 3 {
		t.Errorf("Stats() = %+v, want 5 late and 3 evicted", st)
	}
	checkBytes(t, tr)
}

func TestRandomGroupIDsStayWithinTheBounds(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	s := tr.Source(nil)
	rnd := rand.New(rand.NewPCG(1, 2))
	peak := int64(0)
	for range 10000 {
		g := rnd.Uint64()
		if _, err := open(t, s, g).Append(object(g, rnd.Uint64())); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Datagram(object(rnd.Uint64(), rnd.Uint64())); err != nil {
			t.Fatal(err)
		}
		peak = max(peak, tr.Bytes())
	}
	if want := int64(257 * (groupCost + subgroupCost + runCost + objectCost + 300)); peak > want {
		t.Errorf("peak of %d bytes, want at most %d", peak, want)
	}
	put(t, open(t, s, LastGroup), true, LastGroup)
	checkBytes(t, tr)
	s.Close()
}

func TestBytesEvictOldGroupsThenTheOldPartOfTheNewest(t *testing.T) {
	const kb = 1 << 10
	tr := NewTrack(Options{MaxBytes: 64 * kb})
	defer tr.Close()
	s := tr.Source(nil)
	big := func(g, id uint64) moqt.Object {
		return moqt.Object{Location: loc(g, id), Payload: make([]byte, 9*kb)}
	}
	add := func(w *Writer, id uint64) {
		t.Helper()
		if fresh, err := w.Append(big(w.head.Group, id)); !fresh || err != nil {
			t.Fatalf("Append(%d) = %v, %v", id, fresh, err)
		}
		checkBytes(t, tr)
		if tr.Bytes() > 2*64*kb {
			t.Fatalf("Bytes() = %d, want at most 128 kB", tr.Bytes())
		}
	}
	for g := range uint64(4) {
		add(open(t, s, g), 0)
	}
	w := open(t, s, 4)
	add(w, 0)
	first := cursor(t, tr.Reader(loc(4, 0), LastGroup))
	first.TryNext()
	add(w, 1)
	if got := fmt.Sprint(groupsOf(t, all(tr))); got != "[0 1 2 3 4]" {
		t.Fatalf("groups %v", got)
	}
	add(w, 2)
	if got := fmt.Sprint(groupsOf(t, all(tr))); got != "[1 2 3 4]" {
		t.Errorf("groups %v, want [1 2 3 4]", got)
	}
	for id := range uint64(8) {
		add(w, 3+id)
	}
	if got := fmt.Sprint(groupsOf(t, all(tr))); got != "[3 4]" {
		t.Errorf("groups %v, want the newest two", got)
	}
	for id := range uint64(100) {
		add(w, 11+id)
	}
	if got := fmt.Sprint(groupsOf(t, all(tr))); got != "[4]" {
		t.Errorf("groups %v, want the newest", got)
	}
	// Who stood in the middle is told, and goes on.
	if _, ok := first.TryNext(); ok {
		t.Error("TryNext() over a hole")
	}
	if _, err := first.Next(t.Context()); err != ErrGap {
		t.Errorf("Next() = %v, want ErrGap", err)
	}
	if first.Header().First {
		t.Error("Header().First after the gap")
	}
	put := uint64(0)
	for o, ok := first.TryNext(); ok; o, ok = first.TryNext() {
		if put != 0 && o.Meta.Object != put+1 {
			t.Errorf("object %d after %d", o.Meta.Object, put)
		}
		put = o.Meta.Object
	}
	if put != 110 {
		t.Errorf("read up to %d, want 110", put)
	}
	late := cursor(t, all(tr))
	if late.Header().First {
		t.Error("Header().First for who comes after the first has left")
	}
	if fresh, err := open(t, tr.Source(nil), 4).Append(big(4, 0)); fresh || err != nil {
		t.Errorf("Append of what was trimmed = %v, %v", fresh, err)
	}
	finish(t, w)
	if _, err := first.Next(t.Context()); err != ErrReset {
		t.Errorf("end after a gap = %v, want ErrReset", err)
	}
	for _, ok := late.TryNext(); ok; _, ok = late.TryNext() {
	}
	if _, err := late.Next(t.Context()); err != ErrReset {
		t.Errorf("end without the head = %v, want ErrReset", err)
	}
	inTime := cursor(t, tr.Reader(loc(4, 110), LastGroup))
	wantErr := func() error { inTime.TryNext(); _, err := inTime.Next(t.Context()); return err }()
	if wantErr != io.EOF {
		t.Errorf("end for who asked for the last = %v, want EOF", wantErr)
	}
}

func TestReaderThatKeepsUpIsNotDisturbedByTrimming(t *testing.T) {
	tr := NewTrack(Options{MaxObjects: 100})
	defer tr.Close()
	w := open(t, tr.Source(nil), 0)
	put(t, w, true, 0)
	c := cursor(t, all(tr))
	for id := range uint64(1000) {
		if o, ok := c.TryNext(); !ok || o.Meta.Object != id {
			t.Fatalf("object %d: %v, %v", id, o, ok)
		}
		put(t, w, true, id+1)
		if n := len(tr.groups[0].index); n > 100 {
			t.Fatalf("%d objects in the group, want at most 100", n)
		}
	}
	finish(t, w)
	wantRead(t, c, "[1000]", io.EOF)
	checkBytes(t, tr)
}

func TestOutgrownGroupOfManyRuns(t *testing.T) {
	tr := NewTrack(Options{MaxObjects: 32})
	defer tr.Close()
	s := tr.Source(nil)
	fill(t, s, 1, 0)
	var before *Cursor
	for id := range uint64(500) {
		// An object each: subgroups whose only object leaves.
		w := openWith(t, s, moqt.Subgroup{Group: 1, ID: id})
		put(t, w, true, id)
		if id == 0 {
			before = cursor(t, tr.Reader(loc(1, 0), LastGroup))
		}
		if id%2 == 0 {
			finish(t, w)
		}
		checkBytes(t, tr)
	}
	if n := tr.Groups(); n != 1 {
		t.Errorf("Groups() = %d, want 1", n)
	}
	wantRead(t, before, "[]", ErrEvicted)
	if n := len(groupsOf(t, all(tr))); n < 16 || n > 32 {
		t.Errorf("%d runs, want those of the objects that are left", n)
	}
	// A writer whose subgroup has left goes on.
	tr.mu.Lock()
	subs := len(tr.groups[0].subs)
	tr.mu.Unlock()
	if subs > 300 {
		t.Errorf("%d subgroups are remembered", subs)
	}
}

func TestTrimmedStreamGoesOn(t *testing.T) {
	tr := NewTrack(Options{MaxObjects: 16})
	defer tr.Close()
	s := tr.Source(nil)
	a, b := openWith(t, s, moqt.Subgroup{ID: 0}), openWith(t, s, moqt.Subgroup{ID: 1})
	put(t, a, true, 0)
	if err := b.Start(object(0, 1), 100); err != nil {
		t.Fatal(err)
	}
	r := all(tr)
	cursor(t, r)
	o, _ := cursor(t, r).TryNext()
	for id := range uint64(40) {
		put(t, openWith(t, s, moqt.Subgroup{ID: 2}), true, 2+id)
	}
	if _, _, err := o.Bytes(t.Context(), 0); err != ErrEvicted {
		t.Errorf("Bytes() of an evicted object = %v", err)
	}
	if n, err := b.Extend(make([]byte, 100)); n != 0 || err != nil {
		t.Errorf("Extend = %d, %v", n, err)
	}
	put(t, a, true, 100)
	put(t, b, true, 101)
	finish(t, a)
	finish(t, b)
	checkBytes(t, tr)
}

func TestBudgetIsSharedAndReturnsToZero(t *testing.T) {
	const kb, n = 1 << 10, 8
	budget := NewBudget(1 << 20)
	tracks := make([]*Track, n)
	for i := range tracks {
		tracks[i] = NewTrack(Options{Budget: budget})
	}
	for g := range uint64(300) {
		for i, tr := range tracks {
			s := tr.Source(nil)
			w := open(t, s, g)
			for id := range uint64(3) {
				if _, err := w.Append(moqt.Object{Location: loc(g, id), Payload: make([]byte, 4*kb)}); err != nil {
					t.Fatalf("track %d, group %d: %v", i, g, err)
				}
			}
			s.Close()
			if budget.Used() > budget.Capacity() {
				t.Fatalf("Used() = %d of %d", budget.Used(), budget.Capacity())
			}
			checkBytes(t, tr)
		}
	}
	sum := int64(0)
	for i, tr := range tracks {
		sum += tr.Bytes()
		if tr.Groups() < 3 {
			t.Errorf("track %d has %d groups, want its share", i, tr.Groups())
		}
	}
	if used := budget.Used(); used != sum || used < budget.Capacity()/2 {
		t.Errorf("Used() = %d, tracks hold %d, capacity is %d", used, sum, budget.Capacity())
	}
	for _, tr := range tracks {
		tr.Close()
	}
	if used := budget.Used(); used != 0 {
		t.Errorf("Used() after Close = %d, want 0", used)
	}
}

func TestFullBudgetRefusesWhatNobodyCanMakeRoomFor(t *testing.T) {
	budget := NewBudget(100 << 10)
	idle, busy := NewTrack(Options{Budget: budget}), NewTrack(Options{Budget: budget})
	w := open(t, idle.Source(nil), 0)
	if _, err := w.Append(moqt.Object{Payload: make([]byte, 98<<10)}); err != nil {
		t.Fatal(err)
	}
	s := busy.Source(nil)
	v := open(t, s, 0)
	_, err := v.Append(moqt.Object{Payload: make([]byte, 10<<10)})
	wantFault(t, "Append to a full budget", err, ErrLimit)
	_, err = s.Datagram(moqt.Object{Payload: make([]byte, 10<<10)})
	wantFault(t, "Datagram to a full budget", err, ErrLimit)
	idle.Close()
	if fresh, err := v.Append(moqt.Object{Location: loc(0, 1), Payload: make([]byte, 90<<10)}); !fresh || err != nil {
		t.Errorf("Append with room = %v, %v", fresh, err)
	}
	// The track's own old groups make room for its new ones.
	for g := range uint64(5) {
		u := open(t, s, 1+g)
		for id := range uint64(4) {
			if fresh, err := u.Append(moqt.Object{Location: loc(1+g, id), Payload: make([]byte, 15<<10)}); !fresh || err != nil {
				t.Errorf("Append(%d/%d) = %v, %v", 1+g, id, fresh, err)
			}
		}
	}
	busy.Close()
	if used := budget.Used(); used != 0 {
		t.Errorf("Used() after Close = %d, want 0", used)
	}
}

// A claimed length buys little memory.
func TestClaimedLengthIsNotAllocated(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	s := tr.Source(nil)
	for id := range uint64(100) {
		if err := openWith(t, s, moqt.Subgroup{ID: id}).Start(object(0, id), 32<<20); err != nil {
			t.Fatal(err)
		}
	}
	if got := tr.Bytes(); got > 100*(firstPiece+1024)+1024 {
		t.Errorf("Bytes() = %d for 100 claims of 32 MiB", got)
	}
	w := openWith(t, s, moqt.Subgroup{Group: 1})
	if err := w.Start(object(1, 0), 1<<20); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 10<<10)
	for sent := len(p); sent < 1<<20; sent += len(p) {
		if _, err := w.Extend(p); err != nil {
			t.Fatal(err)
		}
		if got, most := tr.groups[1].bytes, int64(4*sent+firstPiece+2048); got > most {
			t.Fatalf("%d bytes held after %d, want at most %d", got, sent, most)
		}
		checkBytes(t, tr)
	}
}

func TestStalledWriterDoesNotHoldOldGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := NewTrack(Options{MaxAge: 5 * time.Second})
		defer tr.Close()
		s := tr.Source(nil)
		w := open(t, s, 0)
		if err := w.Start(object(0, 0), 1000); err != nil {
			t.Fatal(err)
		}
		fill(t, s, 2, 1, 2, 3)
		c := cursor(t, all(tr))
		o, _ := c.TryNext()
		failed := make(chan error)
		go func() {
			off := int64(0)
			for {
				p, _, err := o.Bytes(context.Background(), off)
				if err != nil {
					failed <- err
					return
				}
				off += int64(len(p))
			}
		}()
		for range 20 {
			time.Sleep(time.Second)
			if _, err := w.Extend([]byte{0}); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-failed; err != ErrEvicted {
			t.Errorf("Bytes() = %v, want ErrEvicted", err)
		}
		if got := fmt.Sprint(groupsOf(t, all(tr))); got != "[2 3]" {
			t.Errorf("groups %v, want [2 3]", got)
		}
	})
}
