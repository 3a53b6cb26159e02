package api

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

const (
	// requestPause keeps a registrar at no more than 100 requests a second, and
	// gathers what is registered meanwhile into one.
	requestPause = 10 * time.Millisecond
	// conflictPause is how often a record held under another key is tried
	// again: a relay that was killed and started again waits for its own lease.
	conflictPause = time.Second
	// While the server is away it is tried after backoffMin, then twice that, up
	// to backoffMax, each give or take a quarter: the relays of a cluster do not
	// come back all at once, and all are back within five seconds.
	backoffMin = time.Second
	backoffMax = 3200 * time.Millisecond
	// batchBytes keeps a batch of very long names below maxBatchBytes.
	batchBytes = maxBatchBytes / 2
)

// RegistrarConfig says for whom a [Registrar] registers.
type RegistrarConfig struct {
	Client *Client
	Node   string        // name of the relay
	URL    string        // where other relays dial it
	Lease  time.Duration // of each record; if zero, it is 15 seconds
	Logger *slog.Logger  // if nil, nothing is logged
}

// Registrar keeps the records of one relay in the table: it adds them, renews
// each after a third of its lease, adds them again to a table that lost them,
// and goes on while the server is away. It sends up to 256 records in one
// request, and never two requests at once.
//
// What is registered is bounded by the caller. Methods may be called
// concurrently.
type Registrar struct {
	cfg    RegistrarConfig
	wake   chan struct{} // has room for one
	cancel context.CancelFunc
	wg     sync.WaitGroup // run

	mu      sync.Mutex // guards all below
	entries map[moqt.Namespace]*registration
	err     error // of the last request as a whole

	// Of run alone.
	downUntil time.Time
	backoff   time.Duration
	lease     time.Duration // as granted
	sent      time.Time     // end of the last request
}

type registration struct {
	count int       // Register less Unregister; at 0 the record is to go
	due   time.Time // when it is sent next
	until time.Time // when a record that was sent ends at the latest; zero if none was
	told  string    // the failure that was logged last
}

// NewRegistrar starts a registrar. Close ends it.
func NewRegistrar(cfg RegistrarConfig) (*Registrar, error) {
	if cfg.Lease == 0 {
		cfg.Lease = 15 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := checkNode(cfg.Node); err != nil {
		return nil, err
	}
	if err := checkURL(cfg.URL); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Registrar{
		cfg: cfg, cancel: cancel, lease: cfg.Lease,
		wake:    make(chan struct{}, 1),
		entries: make(map[moqt.Namespace]*registration),
	}
	r.wg.Go(func() { r.run(ctx) })
	return r, nil
}

// Register keeps a record for ns until there were as many calls of Unregister.
// It returns at once. The empty namespace is ignored.
func (r *Registrar) Register(ns moqt.Namespace) {
	if ns.Len() == 0 {
		return
	}
	r.mu.Lock()
	e := r.entries[ns]
	if e == nil {
		e = &registration{}
		r.entries[ns] = e
	}
	e.count++
	first := e.count == 1
	if first {
		e.due = time.Time{}
	}
	r.mu.Unlock()
	if first {
		r.signal()
	}
}

// Unregister takes back one Register. It returns at once.
func (r *Registrar) Unregister(ns moqt.Namespace) {
	r.mu.Lock()
	e := r.entries[ns]
	last := e != nil && e.count == 1
	if e != nil && e.count > 0 {
		e.count--
	}
	r.mu.Unlock()
	if last {
		r.signal()
	}
}

// Err says why the last request failed, nil if it did not: whether the server
// is there.
func (r *Registrar) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Close stops renewing and removes the records, for which it waits at most 2
// seconds; what is left then ends with its lease.
func (r *Registrar) Close() error {
	r.cancel()
	r.wg.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	r.mu.Lock()
	for _, e := range r.entries {
		e.count = 0
	}
	r.mu.Unlock()
	for {
		gone := r.take(time.Now(), false)
		if len(gone) == 0 {
			return nil
		}
		if err := r.remove(ctx, gone); err != nil {
			return err
		}
	}
}

func (r *Registrar) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run sends what is due until ctx ends. NewRegistrar starts it, Close waits.
func (r *Registrar) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
			// A wake-up does not get round the pause after the last request.
			select {
			case <-ctx.Done():
				return
			case <-time.After(requestPause - time.Since(r.sent)):
			}
		case <-timer.C:
		}
		timer.Reset(r.step(ctx))
	}
}

// step sends at most one batch and returns how long to wait for the next.
func (r *Registrar) step(ctx context.Context) time.Duration {
	now := time.Now()
	if wait := r.downUntil.Sub(now); wait > 0 {
		return wait
	}
	var err error
	if gone := r.take(now, false); len(gone) > 0 {
		err = r.remove(ctx, gone)
	} else if due := r.take(now, true); len(due) > 0 {
		err = r.renew(ctx, due)
	} else {
		return r.idle(now)
	}
	if ctx.Err() != nil {
		return 0
	}
	r.note(err)
	r.sent = time.Now()
	return requestPause
}

// note keeps what the last request says of the server.
func (r *Registrar) note(err error) {
	r.mu.Lock()
	was := r.err
	r.err = err
	r.mu.Unlock()
	if err == nil {
		if was != nil {
			r.cfg.Logger.Info("origin api is back")
		}
		r.backoff = 0
		return
	}
	if was == nil {
		r.cfg.Logger.Warn("origin api fails, retrying", "err", err)
	}
	r.backoff = min(max(2*r.backoff, backoffMin), backoffMax)
	jitter := 0.75 + rand.Float64()/2
	r.downUntil = time.Now().Add(time.Duration(float64(r.backoff) * jitter))
}

// take returns a batch of what is to be put, or to be deleted. Of the former it
// takes along what falls due soon, so that records registered one by one come
// to be renewed together.
func (r *Registrar) take(now time.Time, put bool) []moqt.Namespace {
	r.mu.Lock()
	defer r.mu.Unlock()
	var due, soon []moqt.Namespace
	for ns, e := range r.entries {
		switch {
		case e.count == 0 && !now.Before(e.until): // never sent, or ended by itself
			delete(r.entries, ns)
		case put != (e.count > 0):
		case !put || !now.Before(e.due):
			due = append(due, ns)
		case now.Add(r.lease/6).After(e.due) && e.told == "":
			soon = append(soon, ns)
		}
	}
	if len(due) == 0 {
		return nil
	}
	due = append(due, soon...)
	size := 0
	for i, ns := range due {
		if size += len(ns.String()); i == maxBatch || size > batchBytes {
			return due[:i]
		}
	}
	return due
}

// idle returns the time until the next entry falls due.
func (r *Registrar) idle(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := time.Hour // a wake-up comes before
	for _, e := range r.entries {
		if e.count > 0 {
			wait = min(wait, e.due.Sub(now))
		}
	}
	return max(wait, requestPause)
}

func (r *Registrar) renew(ctx context.Context, due []moqt.Namespace) error {
	start := time.Now()
	r.mu.Lock()
	for _, ns := range due {
		if e := r.entries[ns]; e != nil {
			e.until = start.Add(2 * r.cfg.Lease) // even if the answer gets lost
		}
	}
	r.mu.Unlock()
	granted, failed, err := r.cfg.Client.putAll(ctx, r.cfg.Node, r.cfg.URL, r.cfg.Lease, due)
	if err != nil {
		return err
	}
	if granted > 0 {
		r.lease = min(granted, r.cfg.Lease)
	}
	next := time.Duration(float64(r.lease) / 3 * (0.9 + rand.Float64()/10))
	var tell []failureToTell
	r.mu.Lock()
	for _, ns := range due {
		e := r.entries[ns]
		if e == nil {
			continue
		}
		wait := next
		err := failed[ns]
		switch {
		case err == nil:
		case errors.Is(err, ErrConflict), errors.Is(err, ErrFull):
			wait = conflictPause
		default:
			wait = r.cfg.Lease // our request is wrong for this server: do not insist
		}
		e.due = start.Add(wait)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != e.told {
			e.told = text
			tell = append(tell, failureToTell{ns, err})
		}
	}
	r.mu.Unlock()
	for _, f := range tell {
		if f.err != nil {
			r.cfg.Logger.Warn("origin not registered", "ns", f.ns, "err", f.err)
		} else {
			r.cfg.Logger.Info("origin registered at last", "ns", f.ns)
		}
	}
	return nil
}

type failureToTell struct {
	ns  moqt.Namespace
	err error
}

func (r *Registrar) remove(ctx context.Context, gone []moqt.Namespace) error {
	// What fails by itself was not there or is another's: in either case there
	// is nothing left to do.
	if _, err := r.cfg.Client.deleteAll(ctx, r.cfg.Node, gone); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, ns := range gone {
		// What was registered again meanwhile is due, and is put next.
		if e := r.entries[ns]; e != nil && e.count == 0 {
			delete(r.entries, ns)
		}
	}
	return nil
}
