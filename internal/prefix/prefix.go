// Package prefix is a map from namespaces to values that can be asked by
// prefix. Prefixes are of whole fields, as everywhere in MOQT.
package prefix

import (
	"iter"
	"maps"
	"slices"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Tree maps namespaces to values. The zero value is empty and ready. It must
// not be used by several goroutines at once unless all of them only read.
//
// Set, Delete and Get take time in proportion to the number of fields.
type Tree[V any] struct {
	root node[V]
	size int
}

type node[V any] struct {
	value    *V // nil: a namespace with entries below it, but none itself
	children map[string]*node[V]
}

// Len returns the number of entries.
func (t *Tree[V]) Len() int { return t.size }

// Set makes v the value of ns.
func (t *Tree[V]) Set(ns moqt.Namespace, v V) {
	n := &t.root
	for _, field := range ns.Fields() {
		child := n.children[field]
		if child == nil {
			if n.children == nil {
				n.children = make(map[string]*node[V])
			}
			child = new(node[V])
			n.children[field] = child
		}
		n = child
	}
	if n.value == nil {
		t.size++
	}
	n.value = &v
}

// Get returns the value of ns itself.
func (t *Tree[V]) Get(ns moqt.Namespace) (v V, ok bool) {
	if n := t.find(ns); n != nil && n.value != nil {
		return *n.value, true
	}
	return v, false
}

// Delete removes ns, not what is below it, and reports whether it was there.
func (t *Tree[V]) Delete(ns moqt.Namespace) bool {
	fields := ns.Fields()
	way := make([]*node[V], 0, len(fields)+1)
	n := &t.root
	way = append(way, n)
	for _, field := range fields {
		if n = n.children[field]; n == nil {
			return false
		}
		way = append(way, n)
	}
	if n.value == nil {
		return false
	}
	n.value = nil
	t.size--
	for i := len(fields); i > 0 && way[i].value == nil && len(way[i].children) == 0; i-- {
		delete(way[i-1].children, fields[i-1])
	}
	return true
}

// Longest returns the entry with the most fields that is a prefix of ns, which
// may be ns itself.
func (t *Tree[V]) Longest(ns moqt.Namespace) (key moqt.Namespace, v V, ok bool) {
	for key, v = range t.PrefixesOf(ns) {
		ok = true
		break
	}
	return key, v, ok
}

// PrefixesOf yields the entries that are prefixes of ns, ns itself included,
// the longest first. The tree must not change meanwhile.
func (t *Tree[V]) PrefixesOf(ns moqt.Namespace) iter.Seq2[moqt.Namespace, V] {
	return func(yield func(moqt.Namespace, V) bool) {
		fields := ns.Fields()
		way := append(make([]*node[V], 0, len(fields)+1), &t.root)
		for _, field := range fields {
			n := way[len(way)-1].children[field]
			if n == nil {
				break
			}
			way = append(way, n)
		}
		key := ns
		for range len(fields) + 1 - len(way) { // fields that the way does not reach
			key = key.Parent()
		}
		for i := len(way) - 1; i >= 0; i-- {
			if n := way[i]; n.value != nil && !yield(key, *n.value) {
				return
			}
			key = key.Parent()
		}
	}
}

// Under yields the entries of which prefix is a prefix, itself included, in
// order of their fields, a parent before its children. The tree must not
// change meanwhile.
func (t *Tree[V]) Under(prefix moqt.Namespace) iter.Seq2[moqt.Namespace, V] {
	return func(yield func(moqt.Namespace, V) bool) {
		if n := t.find(prefix); n != nil {
			n.walk(prefix.Fields(), yield)
		}
	}
}

func (t *Tree[V]) find(ns moqt.Namespace) *node[V] {
	n := &t.root
	for _, field := range ns.Fields() {
		if n = n.children[field]; n == nil {
			return nil
		}
	}
	return n
}

func (n *node[V]) walk(fields []string, yield func(moqt.Namespace, V) bool) bool {
	if n.value != nil && !yield(moqt.NS(fields...), *n.value) {
		return false
	}
	for _, field := range slices.Sorted(maps.Keys(n.children)) {
		if !n.children[field].walk(append(fields, field), yield) {
			return false
		}
	}
	return true
}
