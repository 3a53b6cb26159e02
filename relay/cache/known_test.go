package cache

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// gaps prints what the track does not know of a range.
func gaps(t *Track, from, to moqt.Location) string {
	s := ""
	for _, g := range t.Gaps(from, to) {
		s += fmt.Sprintf("%v–%v ", g.From, g.To)
	}
	return s
}

func fetched(t *testing.T, s *Source, group uint64, ids ...uint64) {
	t.Helper()
	for _, id := range ids {
		if fresh, err := s.Fill(object(group, id)); err != nil || !fresh {
			t.Fatalf("Fill(%d/%d) = %v, %v, want true", group, id, fresh, err)
		}
	}
}

func TestKnow(t *testing.T) {
	end := loc(9, 0)
	last := func(group uint64) moqt.Location { return loc(group, lastID) }
	for _, c := range []struct {
		name string
		know []span
		want string
	}{
		{"nothing", nil, "0/0–2/1 2/3–8/18446744073709551615 "},
		{"from the start", []span{{loc(0, 0), loc(1, 5)}}, "1/6–2/1 2/3–8/18446744073709551615 "},
		{"all", []span{{loc(0, 0), end}}, ""},
		{"inside", []span{{loc(4, 1), loc(4, 3)}}, "0/0–2/1 2/3–4/0 4/4–8/18446744073709551615 "},
		{"one location", []span{{loc(4, 1), loc(4, 1)}}, "0/0–2/1 2/3–4/0 4/2–8/18446744073709551615 "},
		{"neighbours", []span{{loc(1, 0), last(2)}, {loc(4, 0), last(8)}, {loc(3, 0), last(3)}}, "0/0–0/18446744073709551615 "},
		{"overlapping", []span{{loc(1, 0), loc(5, 0)}, {loc(3, 0), loc(7, 0)}, {loc(0, 1), loc(6, 0)}}, "0/0–0/0 7/1–8/18446744073709551615 "},
		{"backwards", []span{{loc(5, 0), loc(1, 0)}}, "0/0–2/1 2/3–8/18446744073709551615 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := NewTrack(Options{})
			defer tr.Close()
			s := tr.Source(nil)
			fetched(t, s, 2, 2)
			put(t, open(t, s, 9), true, 0)
			for _, k := range c.know {
				s.Know(k.from, k.to)
			}
			if got := gaps(tr, loc(0, 0), end); got != c.want {
				t.Errorf("gaps = %q, want %q", got, c.want)
			}
		})
	}
}

// What is known of a range is forgotten with what was held in it.
func TestKnownIsForgottenWithItsObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := NewTrack(Options{MaxAge: time.Second})
		defer tr.Close()
		s := tr.Source(nil)
		w := open(t, s, 5)
		put(t, w, true, 0)
		fetched(t, s, 3, 0, 1)
		fetched(t, s, 4, 0)
		s.Know(loc(3, 0), loc(5, 0))
		if got := gaps(tr, loc(3, 0), loc(5, 0)); got != "" {
			t.Errorf("gaps = %q, want none", got)
		}
		time.Sleep(1500 * time.Millisecond)
		if got := gaps(tr, loc(3, 0), loc(5, 0)); got != "3/0–3/18446744073709551615 " {
			t.Errorf("gaps after group 3 left = %q, want group 3", got)
		}
		// A payload that nobody completes is not there any more.
		if err := w.Start(moqt.Object{Location: loc(5, 4)}, 100); err != nil {
			t.Fatal(err)
		}
		s.Know(loc(5, 1), loc(5, 4))
		w.Abort()
		if got := gaps(tr, loc(4, 0), loc(5, 4)); got != "5/4–5/4 " {
			t.Errorf("gaps after the object was given up = %q, want 5/4", got)
		}
	})
}

// What was fetched again after it had left stays for a while, and what comes
// late on a stream does not.
func TestFillBelowWhatIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := NewTrack(Options{MaxAge: time.Second})
		defer tr.Close()
		s := tr.Source(nil)
		for g := range uint64(8) {
			w := open(t, s, g)
			put(t, w, true, 0, 1)
			finish(t, w)
			time.Sleep(time.Second)
		}
		if n := tr.Groups(); n > 3 {
			t.Fatalf("%d groups are kept", n)
		}
		late := openWith(t, s, moqt.Subgroup{Group: 1})
		if fresh, err := late.Append(object(1, 1)); fresh || err != nil {
			t.Errorf("Append() of what had left = %v, %v, want it dropped", fresh, err)
		}
		fetched(t, s, 1, 0, 1)
		s.Know(loc(1, 0), loc(1, lastID))
		if got := gaps(tr, loc(1, 0), loc(1, lastID)); got != "" {
			t.Errorf("gaps = %q, want none", got)
		}
		rd := tr.Reader(loc(0, 0), LastGroup)
		c, err := rd.Next(t.Context())
		if err != nil || c.Header().Group != 6 {
			t.Errorf("Next() = group %d, %v, want the oldest that has not left, 6", c.Header().Group, err)
		}
		put(t, open(t, s, 8), true, 0)
		time.Sleep(3 * time.Second)
		if n := tr.Groups(); n != keepGroups {
			t.Errorf("%d groups are kept, want %d", n, keepGroups)
		}
		if fresh, err := late.Append(object(1, 2)); fresh || err != nil {
			t.Errorf("Append() below the floor = %v, %v, want it dropped", fresh, err)
		}
	})
}

// The past makes no room for itself at the cost of the present.
func TestFillEvictsNothingNewer(t *testing.T) {
	b := NewBudget(64 << 10)
	tr := NewTrack(Options{Budget: b})
	defer tr.Close()
	s := tr.Source(nil)
	w := open(t, s, 9)
	for id := uint64(0); b.Used() < 60<<10; id++ {
		put(t, w, true, id)
	}
	largest, _ := tr.Largest()
	var err error
	for id := uint64(0); err == nil && id < 1000; id++ {
		_, err = s.Fill(object(5, id))
	}
	if !errors.Is(err, ErrLimit) {
		t.Errorf("Fill() = %v, want ErrLimit", err)
	}
	if got := gaps(tr, loc(9, 0), largest); got != "" {
		t.Errorf("gaps of the newest group = %q, want none", got)
	}
	tr.Close()
	if n := b.Used(); n != 0 {
		t.Errorf("Used() = %d after Close, want 0", n)
	}
}
