package prefix

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

var ns = moqt.NS

// model is Tree done slowly: every question looks at all entries.
type model map[moqt.Namespace]int

func (m model) prefixesOf(n moqt.Namespace) (out []string) {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b moqt.Namespace) int { return b.Len() - a.Len() })
	for _, k := range keys {
		if n.HasPrefix(k) {
			out = append(out, fmt.Sprint(k, "=", m[k]))
		}
	}
	return out
}

func (m model) under(p moqt.Namespace) (out []string) {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b moqt.Namespace) int { return slices.Compare(a.Fields(), b.Fields()) })
	for _, k := range keys {
		if k.HasPrefix(p) {
			out = append(out, fmt.Sprint(k, "=", m[k]))
		}
	}
	return out
}

func list(seq func(func(moqt.Namespace, int) bool)) (out []string) {
	for k, v := range seq {
		out = append(out, fmt.Sprint(k, "=", v))
	}
	return out
}

func TestAgainstModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	// Fields that are prefixes of each other as bytes, few enough to collide.
	fields := []string{"a", "ab", "abc", "b", "\x00", "\xff", "-", "/"}
	pick := func() moqt.Namespace {
		f := make([]string, r.IntN(5))
		for i := range f {
			f[i] = fields[r.IntN(len(fields))]
		}
		return ns(f...)
	}
	var tree Tree[int]
	m := model{}
	for step := range 5000 {
		k := pick()
		switch r.IntN(4) {
		case 0, 1:
			tree.Set(k, step)
			m[k] = step
		case 2:
			_, want := m[k]
			if got := tree.Delete(k); got != want {
				t.Fatalf("step %d: Delete(%v) = %v, want %v", step, k, got, want)
			}
			delete(m, k)
		case 3:
			if len(m) > 60 { // else the tree only grows
				for k := range m {
					tree.Delete(k)
				}
				clear(m)
			}
		}
		q := pick()
		wantV, wantOK := m[q]
		if v, ok := tree.Get(q); v != wantV || ok != wantOK {
			t.Fatalf("step %d: Get(%v) = %v, %v, want %v, %v", step, q, v, ok, wantV, wantOK)
		}
		if got, want := list(tree.PrefixesOf(q)), m.prefixesOf(q); !slices.Equal(got, want) {
			t.Fatalf("step %d: PrefixesOf(%v) = %v, want %v", step, q, got, want)
		}
		if got, want := list(tree.Under(q)), m.under(q); !slices.Equal(got, want) {
			t.Fatalf("step %d: Under(%v) = %v, want %v", step, q, got, want)
		}
		var got, want []string
		if k, v, ok := tree.Longest(q); ok {
			got = append(got, fmt.Sprint(k, "=", v))
		}
		if all := m.prefixesOf(q); len(all) > 0 {
			want = all[:1]
		}
		if !slices.Equal(got, want) {
			t.Fatalf("step %d: Longest(%v) = %v, want %v", step, q, got, want)
		}
		if tree.Len() != len(m) {
			t.Fatalf("step %d: Len() = %d, want %d", step, tree.Len(), len(m))
		}
	}
}

func TestEmpty(t *testing.T) {
	var tree Tree[int]
	if _, ok := tree.Get(ns()); ok || tree.Len() != 0 || tree.Delete(ns("a")) {
		t.Error("the zero Tree has an entry")
	}
	tree.Set(ns(), 1)
	if k, v, ok := tree.Longest(ns("a", "b")); !ok || v != 1 || k != ns() {
		t.Errorf("Longest = %v, %v, %v, want the entry of the empty namespace", k, v, ok)
	}
}

// Deleting gives the nodes back: a tree that saw many names does not keep them.
func TestDeleteFreesNodes(t *testing.T) {
	var tree Tree[int]
	for i := range 100 {
		tree.Set(ns("x", fmt.Sprint(i), "y", "z"), i)
	}
	tree.Set(ns("x", "7"), 7)
	for i := range 100 {
		tree.Delete(ns("x", fmt.Sprint(i), "y", "z"))
	}
	if x := tree.root.children["x"]; len(x.children) != 1 || len(x.children["7"].children) != 0 {
		t.Errorf("nodes are left below x: %v", slices.Sorted(maps.Keys(x.children)))
	}
	tree.Delete(ns("x", "7"))
	if len(tree.root.children) != 0 {
		t.Error("nodes are left below the root")
	}
}

// A loop over the tree may end early.
func TestBreak(t *testing.T) {
	var tree Tree[int]
	for i, n := range []moqt.Namespace{ns(), ns("a"), ns("a", "b"), ns("c")} {
		tree.Set(n, i)
	}
	count := 0
	for range tree.Under(ns()) {
		if count++; count == 2 {
			break
		}
	}
	for range tree.PrefixesOf(ns("a", "b")) {
		count++
		break
	}
	if count != 3 {
		t.Errorf("%d entries seen, want 3", count)
	}
}

func BenchmarkLongest(b *testing.B) {
	var tree Tree[int]
	for i := range 10000 {
		tree.Set(ns("live", fmt.Sprint(i), "cam"), i)
	}
	q := ns("live", "77", "cam", "video")
	b.ReportAllocs()
	for b.Loop() {
		tree.Longest(q)
	}
}
