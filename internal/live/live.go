// Package live is the set of namespaces that are announced at the moment, and
// those who want to know what comes and goes.
//
// A watcher is told differences, not events: what came and went again before it
// looked is nothing, so one that does not look costs no more than the names it
// was told and those there are.
package live

import (
	"sync"

	"github.com/tributary-live/tributary/internal/prefix"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Set is a set of namespaces, each of which is live while at least one of those
// who added it has not removed it. The zero value is empty and ready. Its
// methods may be called concurrently, and do not block.
type Set struct {
	mu       sync.Mutex // guards what follows, and what the watchers have
	holders  prefix.Tree[int]
	watchers prefix.Tree[map[*Watcher]struct{}] // by the prefix that they watch
}

// Add makes ns live for one holder more, and reports whether it was not before.
func (s *Set) Add(ns moqt.Namespace) (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, _ := s.holders.Get(ns)
	s.holders.Set(ns, n+1)
	if n == 0 {
		s.flipLocked(ns)
	}
	return n == 0
}

// Remove takes back one Add, and reports whether it was the last. It panics if
// there was none.
func (s *Set) Remove(ns moqt.Namespace) (last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.holders.Get(ns)
	switch {
	case !ok:
		panic("live: Remove of " + ns.String() + ", which was not added")
	case n > 1:
		s.holders.Set(ns, n-1)
		return false
	}
	s.holders.Delete(ns)
	s.flipLocked(ns)
	return true
}

// Has reports whether ns is live.
func (s *Set) Has(ns moqt.Namespace) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.holders.Get(ns)
	return ok
}

// Len returns how many namespaces are live.
func (s *Set) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holders.Len()
}

// List returns the live namespaces under prefix, that itself included, in order
// of their fields, but at most most of them.
func (s *Set) List(prefix moqt.Namespace, most int) []moqt.Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []moqt.Namespace
	for ns := range s.holders.Under(prefix) {
		if len(list) == most {
			break
		}
		list = append(list, ns)
	}
	return list
}

// flipLocked takes note that ns came or went.
func (s *Set) flipLocked(ns moqt.Namespace) {
	for _, watchers := range s.watchers.PrefixesOf(ns) {
		for w := range watchers {
			w.flipLocked(ns)
		}
	}
}
