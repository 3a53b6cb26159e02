package api

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tributary-live/tributary/transport/moqt"
)

// CacheConfig bounds what a [Cache] keeps.
type CacheConfig struct {
	// Lookup asks the server; the method of [*Client] by that name fits. It
	// must be set.
	Lookup func(context.Context, moqt.Namespace) ([]Origin, error)
	// Found and NotFound are how long an answer is used. If zero, they are 5
	// seconds and 500 ms.
	Found, NotFound time.Duration
	// Stale is how long after it was got an answer is used while the server
	// cannot be reached. If zero, it is 60 seconds.
	Stale time.Duration
	// Entries is how many answers are kept. If zero, it is 10,000.
	Entries int
	// Rate is how many questions a second may be asked, and as many at once:
	// names come from strangers. If zero, it is 100.
	Rate int
}

const (
	askTimeout = 2 * time.Second // bounds one question to the server
	maxAskWait = time.Second     // bounds the wait for one's turn to ask
)

// Cache answers lookups from what it asked before, and asks once for all who
// want the same. Methods may be called concurrently.
type Cache struct {
	cfg    CacheConfig
	ctx    context.Context // of the questions; ended by Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // one for each question under way
	limit  *rate.Limiter

	mu      sync.Mutex // guards all below
	entries map[moqt.Namespace]*cached
}

type cached struct {
	origins []Origin
	err     error     // of the last question; origins may still be those before it
	got     time.Time // when origins were right
	fresh   time.Time // until when there is nothing to ask
	asking  chan struct{}
}

// NewCache returns an empty cache. Close ends it.
func NewCache(cfg CacheConfig) *Cache {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&cfg.Found, 5*time.Second)
	def(&cfg.NotFound, 500*time.Millisecond)
	def(&cfg.Stale, time.Minute)
	cfg.Stale = max(cfg.Stale, cfg.Found)
	if cfg.Entries == 0 {
		cfg.Entries = 10_000
	}
	if cfg.Rate == 0 {
		cfg.Rate = 100
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Cache{
		cfg: cfg, ctx: ctx, cancel: cancel,
		limit:   rate.NewLimiter(rate.Limit(cfg.Rate), cfg.Rate),
		entries: make(map[moqt.Namespace]*cached),
	}
}

// Lookup returns the origins of ns or of its longest prefix that has any; the
// slice must not be changed. It returns [ErrNotFound] if there are none,
// [ErrUnavailable] if the server cannot be reached and nothing is known from
// before, and [ErrBusy] if too much is asked. An answer of before is used without
// waiting once the server was found to be away.
func (c *Cache) Lookup(ctx context.Context, ns moqt.Namespace) ([]Origin, error) {
	c.mu.Lock()
	e := c.entryLocked(ns)
	asking, err := c.askLocked(ns, e)
	origins, known := e.knownLocked(c.cfg.Stale)
	switch {
	case asking == nil && err == nil, e.err != nil && known: // fresh, or stale with the server away
		defer c.mu.Unlock()
		return e.answerLocked(origins)
	case err != nil && known:
		c.mu.Unlock()
		return origins, nil
	case err != nil:
		c.mu.Unlock()
		return nil, err
	}
	c.mu.Unlock()
	select {
	case <-asking:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	origins, _ = e.knownLocked(c.cfg.Stale)
	return e.answerLocked(origins)
}

// askLocked returns nil if e is fresh, else what is closed when a question about
// it, which it starts if need be, has its answer.
func (c *Cache) askLocked(ns moqt.Namespace, e *cached) (<-chan struct{}, error) {
	now := time.Now()
	if e.asking != nil || now.Before(e.fresh) {
		return e.asking, nil
	}
	if c.ctx.Err() != nil {
		return nil, fmt.Errorf("%w: closed", ErrUnavailable)
	}
	turn := c.limit.ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait > maxAskWait {
		turn.CancelAt(now)
		return nil, ErrBusy
	}
	e.asking = make(chan struct{})
	c.wg.Go(func() { c.ask(ns, e, wait) })
	return e.asking, nil
}

// Close ends the questions under way and waits for them. Lookups then fail.
func (c *Cache) Close() {
	c.mu.Lock()
	c.cancel()
	c.mu.Unlock()
	c.wg.Wait()
}

// ask asks after wait and tells those who wait for the answer.
func (c *Cache) ask(ns moqt.Namespace, e *cached, wait time.Duration) {
	ctx, cancel := context.WithTimeout(c.ctx, wait+askTimeout)
	defer cancel()
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
	origins, err := c.cfg.Lookup(ctx, ns)
	if err == nil && len(origins) == 0 {
		err = ErrNotFound
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	e.err = err
	switch {
	case err == nil:
		e.origins, e.got, e.fresh = origins, now, now.Add(c.cfg.Found)
	case errors.Is(err, ErrNotFound):
		e.origins, e.fresh = nil, now.Add(c.cfg.NotFound)
	default: // not to be asked again by each of many callers
		e.fresh = now.Add(c.cfg.NotFound)
	}
	close(e.asking)
	e.asking = nil
}

// knownLocked returns the origins of the last good answer, unless they are
// older than stale.
func (e *cached) knownLocked(stale time.Duration) ([]Origin, bool) {
	if len(e.origins) == 0 || time.Since(e.got) > stale {
		return nil, false
	}
	return e.origins, true
}

func (e *cached) answerLocked(known []Origin) ([]Origin, error) {
	if len(known) > 0 {
		return known, nil
	}
	return nil, e.err
}

// entryLocked returns the entry of ns, after making room for it.
func (c *Cache) entryLocked(ns moqt.Namespace) *cached {
	if e := c.entries[ns]; e != nil {
		return e
	}
	if len(c.entries) >= c.cfg.Entries {
		c.evictLocked()
	}
	e := &cached{}
	c.entries[ns] = e
	return e
}

// evictLocked drops an entry that is out of date, of the few that it looks at,
// else any of them: the next one who asks pays one question. Entries that are
// being asked about stay; their number is bounded by the rate.
func (c *Cache) evictLocked() {
	now := time.Now()
	var victim moqt.Namespace
	looked := 0
	for ns, e := range c.entries {
		if e.asking != nil {
			continue
		}
		victim = ns
		if looked++; looked == 8 || now.After(e.fresh) {
			break
		}
	}
	delete(c.entries, victim)
}
