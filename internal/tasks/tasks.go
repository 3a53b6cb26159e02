// Package tasks counts goroutines for an owner that ends once.
package tasks

import "sync"

// Group is a set of goroutines. Unlike a sync.WaitGroup it may be asked for a
// new one while somebody waits for the last: that is refused then. The zero
// value is ready.
type Group struct {
	mu   sync.Mutex
	over bool
	wg   sync.WaitGroup
}

// Go runs f in a goroutine of the group and reports true, or false, without
// running f, once Wait was called.
func (g *Group) Go(f func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return false
	}
	g.wg.Go(f)
	return true
}

// Detach runs f in a goroutine of the group, or in this one once Wait was called.
// It is for the end of a task that first works and then waits for a long time:
// the stack that the work has grown is given back, and f waits on a small one.
func (g *Group) Detach(f func()) {
	if !g.Go(f) {
		f()
	}
}

// Wait lets no goroutine begin any more and waits for those that run.
func (g *Group) Wait() {
	g.mu.Lock()
	g.over = true
	g.mu.Unlock()
	g.wg.Wait()
}
