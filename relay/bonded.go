package relay

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tributary-live/tributary/relay/bonds"
	"github.com/tributary-live/tributary/relay/cache"
	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/moqt"
)

// bonded is a track as the members of a bond bring it in chunks: a source of the
// log beside those of their subscriptions, which does not end with one of them.
type bonded struct {
	t     *track
	since time.Time
	meter bonds.Meter

	mu      sync.Mutex // guards what follows
	feed    *cache.Source
	sources map[*source]struct{} // subscriptions of members
	trusted bool                 // one of them is, or was when there were some last
	refused bool
	closed  bool
}

func newBonded(t *track) *bonded {
	return &bonded{t: t, sources: make(map[*source]struct{})}
}

func (b *bonded) add(s *source) {
	b.mu.Lock()
	if len(b.sources) == 0 && b.t.hasActive(s) { // another has the name since
		b.trusted, b.since = false, time.Time{}
	}
	b.sources[s] = struct{}{}
	trusted := b.trusted || s.trusted.Load()
	b.trusted = trusted
	b.mu.Unlock()
	if trusted {
		s.trust()
	}
}

func (b *bonded) remove(s *source) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.sources, s)
}

// headWait bounds how long an object in chunks waits for the head of its group. It
// is less than such an object is held.
const headWait = 1500 * time.Millisecond

// Open is that of [bonds.Track].
func (b *bonded) Open(h *bond.Header) (bond.SubgroupWriter, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.sources {
		if s.holdsBack(h.Group, headWait) {
			return nil, bond.ErrNotYet // the head of the group goes first
		}
	}
	if b.closed || b.refused {
		return nil, nil
	}
	w := &bondedWriter{b: b, head: moqt.Subgroup{
		Group: h.Group, ID: h.Subgroup, Priority: h.Priority,
		First:      h.Previous == 0 && !h.Begins,
		EndOfGroup: true, // it is reset if that turns out otherwise
	}}
	if err := w.openLocked(); err != nil {
		return nil, b.judgeLocked(err)
	}
	return w, nil
}

// Has is that of [bonds.Track].
func (b *bonded) Has(group, object uint64) bool {
	return b.t.has(moqt.Location{Group: group}, moqt.Location{Group: group, Object: object})
}

// Close is that of [bonds.Track].
func (b *bonded) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.feed != nil {
		b.feed.Close()
	}
}

// judge returns err if a member is to be put out for it.
func (b *bonded) judge(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.judgeLocked(err)
}

func (b *bonded) judgeLocked(err error) error {
	if !errors.Is(err, cache.ErrContradiction) && !errors.Is(err, cache.ErrMalformed) {
		b.t.r.m.dropped.Inc()
		return nil // beyond a limit, or the track is over
	}
	b.t.r.m.malformed.Inc()
	b.feed = nil // is heard no more; the others go on with a new one
	if b.trusted {
		return err
	}
	b.refuseLocked(err)
	return nil
}

// admit reports whether an object may be taken: if the bond is who publishes the
// track, or may be shown to be, because the object is held and can be compared.
func (b *bonded) admit(at moqt.Location) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for s := range b.sources {
		b.trusted = b.trusted || s.trusted.Load()
	}
	if b.refused || b.closed {
		return false
	}
	overtaken := len(b.sources) == 0 && b.t.anyActive() // members that publish nothing are left
	if b.trusted && !overtaken || b.t.has(at, at) {
		b.touchLocked(now)
		return true
	}
	if overtaken {
		return false
	}
	for s := range b.sources {
		if !b.t.hasActive(s) {
			b.trustLocked()
			return true
		}
	}
	if b.since.IsZero() {
		b.since = now
	}
	if now.Sub(b.since) > probationTime {
		b.refuseLocked(fmt.Errorf("%w: another publisher has this name", cache.ErrContradiction))
	}
	return false
}

// touchLocked notes that the publisher is alive.
func (b *bonded) touchLocked(now time.Time) {
	for s := range b.sources {
		if s.trusted.Load() {
			s.last.Store(now.UnixNano())
		}
	}
}

func (b *bonded) trust() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trustLocked()
}

func (b *bonded) trustLocked() {
	b.trusted = true
	for s := range b.sources {
		s.trust()
	}
}

// refuseLocked deals with a bond that publishes something else under a name that
// is in use.
func (b *bonded) refuseLocked(err error) {
	b.refused = true
	for s := range b.sources {
		b.t.r.wg.Go(func() { s.fault(err) })
	}
}

// bondedWriter writes one subgroup to the log.
type bondedWriter struct {
	b    *bonded
	head moqt.Subgroup
	w    *cache.Writer
	feed *cache.Source // that w is of

	object  moqt.Object // that is being written
	size    int64       // that is missing
	whole   int64       // of all of it
	in      bool        // it has begun in the log
	dropped bool        // the rest of it is not wanted
	fresh   bool        // something of it was new
	last    uint64
	any     bool   // passed is one
	passed  uint64 // the last object that is whole
}

func (w *bondedWriter) openLocked() error {
	b := w.b
	if b.feed == nil {
		b.feed = b.t.log.Source(bond.ParseProperties)
	}
	sub, err := b.feed.Open(w.head)
	if err != nil {
		return err
	}
	w.w, w.feed = sub, b.feed
	return nil
}

// renew goes on in a new source, behind the last object that is whole, if that which
// w was of is heard no more: for what a member has sent in another subgroup. It
// reports whether that was so.
func (w *bondedWriter) renew() (bool, error) {
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	if w.feed == w.b.feed || w.b.closed || w.b.refused {
		return false, nil
	}
	w.head.First = w.head.First && !w.any
	if err := w.openLocked(); err != nil {
		return true, w.b.judgeLocked(err)
	}
	if w.any {
		w.w.Pass(w.passed)
	}
	return true, nil
}

// Begin is that of [bond.SubgroupWriter].
func (w *bondedWriter) Begin(h *bond.Header) error {
	props, err := bond.ParseProperties(h.Properties)
	if err != nil {
		w.w.Abort()
		return err
	}
	if _, err := w.renew(); err != nil {
		return err
	}
	at := moqt.Location{Group: h.Group, Object: h.Object.Object}
	w.object, w.size = moqt.Object{Location: at, Properties: props}, h.Size
	w.whole = h.Size
	w.in, w.fresh = false, false
	w.b.t.r.m.ingest.Add(float64(h.Size))
	if w.dropped = !w.b.admit(at); !w.dropped && h.Size == 0 {
		return w.append(nil)
	}
	return nil
}

// Extend is that of [bond.SubgroupWriter].
func (w *bondedWriter) Extend(p []byte) error {
	if renewed, err := w.renew(); err != nil {
		return err
	} else if renewed && w.in {
		return bond.ErrAgain
	}
	switch {
	case w.dropped:
		return nil
	case !w.in && int64(len(p)) == w.size:
		return w.append(bytes.Clone(p))
	case !w.in:
		if err := w.w.Start(w.object, w.size); err != nil {
			w.dropped = true
			return w.b.judge(err)
		}
		w.in, w.last = true, w.object.Location.Object
	}
	n, err := w.w.Extend(p)
	w.fresh = w.fresh || n > 0
	w.size -= int64(len(p))
	if err != nil {
		w.dropped = true
		return w.b.judge(err)
	}
	if w.size == 0 {
		w.count()
	}
	return nil
}

// append writes an object that is there at once.
func (w *bondedWriter) append(payload []byte) error {
	w.object.Payload = payload
	fresh, err := w.w.Append(w.object)
	w.fresh = fresh
	if err != nil {
		return w.b.judge(err)
	}
	w.last = w.object.Location.Object
	w.count()
	return nil
}

// count notes what became of an object that is whole.
func (w *bondedWriter) count() {
	w.passed, w.any = w.last, true
	m := w.b.t.r.m
	w.b.t.arrived(&w.b.meter, w.object.Location, w.whole)
	if w.fresh {
		m.fresh.Inc()
		return
	}
	m.duplicate.Inc()
	w.b.trust()
}

// Skip is that of [bond.SubgroupWriter].
func (w *bondedWriter) Skip(h *bond.Header) {
	renewed, err := w.renew()
	if err != nil {
		return // what comes next has the same fault
	}
	switch id := h.Object.Object; {
	case w.in && id == w.last && !renewed: // what of it came in chunks is a part
		w.w.Skip()
	case w.w.Pass(id):
		w.last, w.passed, w.any = id, id, true
	}
	w.in = false
}

// Close is that of [bond.SubgroupWriter].
func (w *bondedWriter) Close(h *bond.Header) error {
	if h.Object.Object != w.last+1 { // objects were there that are not
		w.w.Abort()
		return nil
	}
	if _, err := w.renew(); err != nil {
		return err
	}
	if err := w.w.Close(); err != nil {
		return w.b.judge(err)
	}
	return nil
}

// Abort is that of [bond.SubgroupWriter].
func (w *bondedWriter) Abort() { w.w.Abort() }
