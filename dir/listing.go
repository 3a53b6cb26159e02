package dir

import (
	"context"
	"sync"
	"time"

	"github.com/tributary-live/tributary/internal/live"
	"github.com/tributary-live/tributary/transport/moqt"
)

// listing is the track of one prefix. It exists while somebody reads it, and has
// one goroutine then.
type listing struct {
	d      *Directory
	prefix moqt.Namespace
	watch  *live.Watcher // by run alone, once that has begun
	cancel context.CancelFunc
	done   chan struct{} // closed when run has ended
	users  int           // guarded by Directory.mu
	start  sync.Once

	mu      sync.Mutex // guards what follows
	newest  *group
	changed chan struct{} // closed and replaced when there is an object more
}

// group is one group of a listing, guarded by listing.mu. Objects are only
// added, and never changed, so a slice of them may be used without the lock.
type group struct {
	id      uint64
	objects [][]byte
	changes int // bytes in the objects after the first
}

// size returns how many bytes the objects have.
func (g *group) size() int64 { return int64(len(g.objects[0]) + g.changes) }

// settle is the least time between two looks at what has changed: names that
// come and go faster cost their readers nothing.
const settle = 20 * time.Millisecond

// open returns the listing of prefix for one user more, or nil if there is no
// room for it.
func (d *Directory) open(prefix moqt.Namespace) *listing {
	d.mu.Lock()
	l := d.listings[prefix]
	if l == nil {
		if d.listingBytes.Load() > int64(d.cfg.MaxListingBytes) {
			d.mu.Unlock()
			return nil
		}
		l = &listing{d: d, prefix: prefix, done: make(chan struct{}), changed: make(chan struct{})}
		d.listings[prefix] = l
	}
	l.users++
	d.mu.Unlock()
	l.start.Do(l.begin)
	return l
}

// begin makes the first group and starts run. A list of everything takes a
// while, so it is not made under the directory's lock.
func (l *listing) begin() {
	l.watch = l.d.names.Watch(l.prefix)
	l.watch.Take()
	l.newest = &group{id: l.d.nextGroup(), objects: [][]byte{formatList(l.watch.Told(), l.prefix)}}
	l.d.listingBytes.Add(l.newest.size())
	var ctx context.Context
	ctx, l.cancel = context.WithCancel(context.Background())
	go l.run(ctx) // release waits for it
}

// release gives back what open has given. With the last user the listing ends.
func (d *Directory) release(l *listing) {
	d.mu.Lock()
	l.users--
	last := l.users == 0
	if last {
		delete(d.listings, l.prefix)
	}
	d.mu.Unlock()
	if last {
		l.cancel()
		<-l.done
		d.listingBytes.Add(-l.newest.size())
	}
}

// nextGroup returns an id that no group of any listing has had.
func (d *Directory) nextGroup() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lastGroup = max(d.lastGroup+1, uint64(time.Now().UnixMilli()))
	return d.lastGroup
}

// run follows what comes and goes under the prefix.
func (l *listing) run(ctx context.Context) {
	defer close(l.done)
	defer l.watch.Close()
	for {
		changes, err := l.watch.Next(ctx)
		if err != nil {
			return
		}
		l.apply(changes)
		select {
		case <-time.After(settle):
		case <-ctx.Done():
		}
	}
}

// apply adds changes to the newest group, or begins another with the list as it
// is now. Only run calls it.
func (l *listing) apply(changes []live.Change) {
	objects, size := formatChanges(changes, l.prefix)
	g := l.newest // nobody else replaces it
	var next *group
	if outgrown(len(g.objects[0]), g.changes+size) {
		next = &group{id: l.d.nextGroup(), objects: [][]byte{formatList(l.watch.Told(), l.prefix)}}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if next != nil {
		l.d.listingBytes.Add(next.size() - g.size())
		l.newest = next
	} else {
		l.d.listingBytes.Add(int64(size))
		g.objects = append(g.objects, objects...)
		g.changes += size
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// largest returns the location of the newest object; there always is one.
func (l *listing) largest() (moqt.Location, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return moqt.Location{Group: l.newest.id, Object: uint64(len(l.newest.objects) - 1)}, true
}

// current returns the newest group and the objects that it has now.
func (l *listing) current() (*group, [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest, l.newest.objects
}

// look returns the objects that g has now, the newest group, which may be g, and
// what is closed when there is more.
func (l *listing) look(g *group) (objects [][]byte, newest *group, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return g.objects, l.newest, l.changed
}
