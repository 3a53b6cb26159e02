package live

import (
	"context"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Watcher is somebody who wants to know which namespaces under a prefix are
// live. Only one goroutine may use it.
type Watcher struct {
	set    *Set
	prefix moqt.Namespace
	wake   chan struct{} // cap 1: a token when dirty has grown

	// What follows is guarded by set.mu. A namespace is dirty if what was told
	// of it is not so: dirty holds exactly the difference of told and the set.
	told  map[moqt.Namespace]struct{}
	dirty map[moqt.Namespace]struct{}
}

// Change is a namespace that has become live, or is so no more.
type Change struct {
	Namespace moqt.Namespace // with the watcher's prefix
	Gone      bool
}

// Watch returns a watcher of the namespaces under prefix, that itself included.
// Those that are live already are its first changes. It must be closed.
func (s *Set) Watch(prefix moqt.Namespace) *Watcher {
	w := &Watcher{set: s, prefix: prefix, wake: make(chan struct{}, 1),
		told: make(map[moqt.Namespace]struct{}), dirty: make(map[moqt.Namespace]struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	for ns := range s.holders.Under(prefix) {
		w.dirty[ns] = struct{}{}
	}
	peers, _ := s.watchers.Get(prefix)
	if peers == nil {
		peers = make(map[*Watcher]struct{})
		s.watchers.Set(prefix, peers)
	}
	peers[w] = struct{}{}
	return w
}

// Close ends the watch. Nobody may be in Next.
func (w *Watcher) Close() {
	s := w.set
	s.mu.Lock()
	defer s.mu.Unlock()
	peers, _ := s.watchers.Get(w.prefix)
	delete(peers, w)
	if len(peers) == 0 {
		s.watchers.Delete(w.prefix)
	}
}

// flipLocked notes that ns came or went; what does so twice has not changed.
func (w *Watcher) flipLocked(ns moqt.Namespace) {
	if _, dirty := w.dirty[ns]; dirty {
		delete(w.dirty, ns)
		return
	}
	w.dirty[ns] = struct{}{}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Take returns what has changed since the last Take or Next, each namespace
// once and in no order, and nil if nothing has.
func (w *Watcher) Take() []Change {
	w.set.mu.Lock()
	defer w.set.mu.Unlock()
	if len(w.dirty) == 0 {
		return nil
	}
	changes := make([]Change, 0, len(w.dirty))
	for ns := range w.dirty {
		_, gone := w.told[ns]
		if gone {
			delete(w.told, ns)
		} else {
			w.told[ns] = struct{}{}
		}
		changes = append(changes, Change{ns, gone})
	}
	w.dirty = make(map[moqt.Namespace]struct{}) // a map that was large stays so
	return changes
}

// Next waits until something has changed and returns it as Take does. The error
// is the cause of ctx, if that ends.
func (w *Watcher) Next(ctx context.Context) ([]Change, error) {
	for {
		if changes := w.Take(); changes != nil {
			return changes, nil
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Told returns what Take and Next have told to be live, in no order.
func (w *Watcher) Told() []moqt.Namespace {
	w.set.mu.Lock()
	defer w.set.mu.Unlock()
	list := make([]moqt.Namespace, 0, len(w.told))
	for ns := range w.told {
		list = append(list, ns)
	}
	return list
}
