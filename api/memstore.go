package api

import (
	"container/heap"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tributary-live/tributary/internal/prefix"
	"github.com/tributary-live/tributary/transport/moqt"
)

// MemStore is a [Store] in the memory of one process. Records that have ended
// are not seen, and each new one clears away all that have: it has no
// goroutine. The zero value is empty and ready.
type MemStore struct {
	// MaxRecords is how many records there may be. If zero, it is 100,000.
	MaxRecords int

	mu      sync.Mutex // guards all below
	names   prefix.Tree[map[string]*record]
	byLease leaseHeap
}

type record struct {
	Origin
	digest [sha256.Size]byte
	index  int // in the heap
}

// Put implements [Store].
func (s *MemStore) Put(_ context.Context, o Origin, l Lease) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweepLocked(time.Now())
	digest := Digest(l.Key)
	nodes, _ := s.names.Get(o.Namespace)
	if r := nodes[o.Node]; r != nil {
		if subtle.ConstantTimeCompare(r.digest[:], digest[:]) == 0 {
			return ErrConflict
		}
		r.URL = o.URL
		s.renewLocked(r, l.TTL)
		return nil
	}
	most := s.MaxRecords
	if most == 0 {
		most = 100_000
	}
	if len(s.byLease) >= most || len(nodes) >= MaxPerNamespace {
		return ErrFull
	}
	if nodes == nil {
		nodes = make(map[string]*record)
		s.names.Set(o.Namespace, nodes)
	}
	r := &record{Origin: o, digest: digest}
	r.Expires = time.Now().Add(l.TTL)
	nodes[o.Node] = r
	heap.Push(&s.byLease, r)
	return nil
}

// Refresh implements [Store].
func (s *MemStore) Refresh(_ context.Context, ns moqt.Namespace, node string, l Lease) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.heldLocked(ns, node, l.Key)
	if err != nil {
		return err
	}
	s.renewLocked(r, l.TTL)
	return nil
}

// Delete implements [Store].
func (s *MemStore) Delete(_ context.Context, ns moqt.Namespace, node, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.heldLocked(ns, node, key)
	if err != nil {
		return err
	}
	s.removeLocked(r)
	return nil
}

// Lookup implements [Store].
func (s *MemStore) Lookup(_ context.Context, ns moqt.Namespace) ([]Origin, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, nodes := range s.names.PrefixesOf(ns) {
		if found := live(nodes, now); len(found) > 0 {
			return found, nil
		}
	}
	return nil, ErrNotFound
}

// List implements [Store].
func (s *MemStore) List(_ context.Context, prefix moqt.Namespace, limit int) ([]Origin, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var found []Origin
	for _, nodes := range s.names.Under(prefix) {
		found = append(found, live(nodes, now)...)
	}
	slices.SortStableFunc(found, func(a, b Origin) int { return strings.Compare(a.Namespace.String(), b.Namespace.String()) })
	return found[:min(limit, len(found))], nil
}

// Ping implements [Store].
func (s *MemStore) Ping(context.Context) error { return nil }

// Len returns the number of records that have not ended.
func (s *MemStore) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweepLocked(time.Now())
	return len(s.byLease)
}

// live returns the origins among nodes that have not ended, by node.
func live(nodes map[string]*record, now time.Time) []Origin {
	var found []Origin
	for _, node := range slices.Sorted(maps.Keys(nodes)) {
		if r := nodes[node]; now.Before(r.Expires) {
			found = append(found, r.Origin)
		}
	}
	return found
}

func (s *MemStore) heldLocked(ns moqt.Namespace, node, key string) (*record, error) {
	nodes, _ := s.names.Get(ns)
	r := nodes[node]
	if r == nil || !time.Now().Before(r.Expires) {
		return nil, ErrNotFound
	}
	digest := Digest(key)
	if subtle.ConstantTimeCompare(r.digest[:], digest[:]) == 0 {
		return nil, ErrForbidden
	}
	return r, nil
}

func (s *MemStore) renewLocked(r *record, ttl time.Duration) {
	r.Expires = time.Now().Add(ttl)
	heap.Fix(&s.byLease, r.index)
}

func (s *MemStore) removeLocked(r *record) {
	heap.Remove(&s.byLease, r.index)
	nodes, _ := s.names.Get(r.Namespace)
	delete(nodes, r.Node)
	if len(nodes) == 0 {
		s.names.Delete(r.Namespace)
	}
}

func (s *MemStore) sweepLocked(now time.Time) {
	for len(s.byLease) > 0 && !now.Before(s.byLease[0].Expires) {
		s.removeLocked(s.byLease[0])
	}
}

// leaseHeap has the record that ends first at its root.
type leaseHeap []*record

func (h leaseHeap) Len() int           { return len(h) }
func (h leaseHeap) Less(i, j int) bool { return h[i].Expires.Before(h[j].Expires) }
func (h leaseHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *leaseHeap) Push(x any) {
	r := x.(*record)
	r.index = len(*h)
	*h = append(*h, r)
}

func (h *leaseHeap) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return r
}
