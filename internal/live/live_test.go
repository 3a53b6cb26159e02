package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tributary-live/tributary/transport/moqt"
)

func ns(s string) moqt.Namespace {
	n, err := moqt.SplitNamespace(s)
	if err != nil {
		panic(err)
	}
	return n
}

// list is changes as text: "+a/b -c", sorted.
func list(changes []Change) string {
	var words []string
	for _, c := range changes {
		sign := "+"
		if c.Gone {
			sign = "-"
		}
		words = append(words, sign+c.Namespace.Slashed())
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

func TestWatch(t *testing.T) {
	var s Set
	s.Add(ns("room/1/alice"))
	s.Add(ns("rooms"))
	w := s.Watch(ns("room/1"))
	defer w.Close()
	all := s.Watch(ns(""))
	defer all.Close()
	for _, step := range []struct {
		do        string // +name and -name, in order
		room, all string // what the watchers of room/1 and of everything are told
	}{
		{"", "+room/1/alice", "+room/1/alice +rooms"},
		{"", "", ""},
		{"+room/1/bob +room/2/carol", "+room/1/bob", "+room/1/bob +room/2/carol"},
		{"+room/1/bob", "", ""}, // a second holder
		{"-room/1/bob", "", ""},
		{"-room/1/bob", "-room/1/bob", "-room/1/bob"},
		{"+room/1/dave -room/1/dave", "", ""},
		{"-room/1/alice +room/1/alice", "", ""},
		{"+room/1", "+room/1", "+room/1"}, // the prefix itself
		{"-room/1 -rooms +room/1/erin +room", "+room/1/erin -room/1", "+room +room/1/erin -room/1 -rooms"},
	} {
		for _, word := range strings.Fields(step.do) {
			if name := ns(word[1:]); word[0] == '+' {
				s.Add(name)
			} else {
				s.Remove(name)
			}
		}
		if got := list(w.Take()); got != step.room {
			t.Errorf("after %q, watcher of room/1: Take() = %q, want %q", step.do, got, step.room)
		}
		if got := list(all.Take()); got != step.all {
			t.Errorf("after %q, watcher of everything: Take() = %q, want %q", step.do, got, step.all)
		}
	}
	if got := s.List(ns("room"), 2); len(got) != 2 || got[0] != ns("room") || got[1] != ns("room/1/alice") {
		t.Errorf("List(room, 2) = %v, want room and room/1/alice", got)
	}
}

func TestCounts(t *testing.T) {
	var s Set
	a := ns("a")
	if !s.Add(a) || s.Add(a) {
		t.Error("Add reports another than the first")
	}
	if s.Remove(a) || !s.Has(a) || s.Len() != 1 {
		t.Errorf("after one of two Removes: Has = %v, Len = %d, want true, 1", s.Has(a), s.Len())
	}
	if !s.Remove(a) || s.Has(a) || s.Len() != 0 {
		t.Errorf("after both Removes: Has = %v, Len = %d, want false, 0", s.Has(a), s.Len())
	}
	defer func() {
		if recover() == nil {
			t.Error("Remove of what is not there did not panic")
		}
	}()
	s.Remove(a)
}

// A watcher that looks now and then knows, when it looks, exactly what is live,
// and meanwhile holds no more than what it was told and what there is.
func TestWatcherFollows(t *testing.T) {
	const seed = 4
	r := rand.New(rand.NewPCG(seed, seed))
	var s Set
	w := s.Watch(ns("x"))
	defer w.Close()
	known := make(map[moqt.Namespace]bool)
	held := make(map[moqt.Namespace]int)
	for i := range 20_000 {
		name := ns(fmt.Sprintf("x/%d", r.IntN(40)))
		if held[name] > 0 && r.IntN(2) == 0 {
			s.Remove(name)
			held[name]--
		} else {
			s.Add(name)
			held[name]++
		}
		if len(w.dirty) > len(w.told)+s.Len() {
			t.Fatalf("step %d (seed %d): %d dirty, with %d told and %d live", i, seed, len(w.dirty), len(w.told), s.Len())
		}
		if r.IntN(50) > 0 {
			continue
		}
		for _, c := range w.Take() {
			if known[c.Namespace] != c.Gone {
				t.Fatalf("step %d (seed %d): told twice: %+v", i, seed, c)
			}
			known[c.Namespace] = !c.Gone
		}
		for name, n := range held {
			if known[name] != (n > 0) {
				t.Fatalf("step %d (seed %d): watcher knows %v as live %v, want %v", i, seed, name, known[name], n > 0)
			}
		}
		if len(w.Told()) != s.Len() {
			t.Fatalf("step %d (seed %d): Told() has %d, want %d", i, seed, len(w.Told()), s.Len())
		}
	}
}

// Names that nobody sees come and go leave nothing behind in a watcher.
func TestIdleWatcherDoesNotGrow(t *testing.T) {
	var s Set
	w := s.Watch(moqt.Namespace{})
	defer w.Close()
	for i := range 10_000 {
		name := ns(fmt.Sprint(i))
		s.Add(name)
		s.Remove(name)
	}
	if len(w.dirty) != 0 {
		t.Errorf("%d names are kept that are gone and were never told", len(w.dirty))
	}
}

func TestNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Set
		w := s.Watch(ns("a"))
		defer w.Close()
		ctx, cancel := context.WithCancelCause(t.Context())
		got := make(chan string)
		go func() {
			defer close(got)
			for {
				changes, err := w.Next(ctx)
				if err != nil {
					got <- err.Error()
					return
				}
				got <- list(changes)
			}
		}()
		s.Add(ns("b"))
		synctest.Wait()
		select {
		case c := <-got:
			t.Errorf("Next returned %q for a name that is not under the prefix", c)
		default:
		}
		s.Add(ns("a/1"))
		if c := <-got; c != "+a/1" {
			t.Errorf("Next = %q, want +a/1", c)
		}
		cancel(errors.New("enough"))
		if c := <-got; c != "enough" {
			t.Errorf("Next = %q, want the cause of the context", c)
		}
	})
}

func TestCloseForgets(t *testing.T) {
	var s Set
	a, b := s.Watch(ns("a")), s.Watch(ns("a"))
	a.Close()
	s.Add(ns("a"))
	if got := list(b.Take()); got != "+a" {
		t.Errorf("the watcher that is left: Take() = %q, want +a", got)
	}
	b.Close()
	if n := s.watchers.Len(); n != 0 {
		t.Errorf("%d prefixes are watched after the last Close, want 0", n)
	}
}
