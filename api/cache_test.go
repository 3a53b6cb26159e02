package api_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/transport/moqt"
)

// oracle answers lookups and counts them.
type oracle struct {
	asked atomic.Int64
	took  atomic.Int64 // time.Duration that an answer takes
	mu    sync.Mutex
	url   string
	err   error
}

func (o *oracle) set(url string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.url, o.err = url, err
}

func (o *oracle) lookup(ctx context.Context, n moqt.Namespace) ([]api.Origin, error) {
	o.asked.Add(1)
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", api.ErrUnavailable, ctx.Err())
	case <-time.After(time.Duration(o.took.Load())):
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return nil, o.err
	}
	return []api.Origin{{Namespace: n, Node: "r", URL: o.url}}, nil
}

func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &oracle{url: "moqt://1"}
		c := api.NewCache(api.CacheConfig{Lookup: o.lookup})
		defer c.Close()
		// check looks up after wait; asked is how often the oracle was, since the
		// check before.
		check := func(what string, wait time.Duration, url string, want error, asked int64) {
			t.Helper()
			time.Sleep(wait)
			start := time.Now()
			found, err := c.Lookup(t.Context(), ns("a"))
			took := time.Since(start)
			synctest.Wait()
			switch {
			case !errors.Is(err, want), err == nil && (len(found) != 1 || found[0].URL != url):
				t.Errorf("%s: Lookup = %v, %v, want %s, %v", what, found, err, url, want)
			case o.asked.Load() != asked:
				t.Errorf("%s: asked %d times, want %d", what, o.asked.Load(), asked)
			case took > 3*time.Second:
				t.Errorf("%s: took %v", what, took)
			}
			o.asked.Store(0)
		}
		away := fmt.Errorf("%w: refused", api.ErrUnavailable)
		check("first", 0, "moqt://1", nil, 1)
		o.set("moqt://2", nil)
		check("within 5 s", 4900*time.Millisecond, "moqt://1", nil, 0)
		check("after", 200*time.Millisecond, "moqt://2", nil, 1)

		o.set("", api.ErrNotFound)
		check("gone", 6*time.Second, "", api.ErrNotFound, 1)
		check("still gone", 400*time.Millisecond, "", api.ErrNotFound, 0)
		o.set("moqt://3", nil)
		check("back within 500 ms", 200*time.Millisecond, "moqt://3", nil, 1)

		o.set("", away)
		check("server away", 6*time.Second, "moqt://3", nil, 1)
		check("not asked again at once", 100*time.Millisecond, "moqt://3", nil, 0)
		check("asked again later, served at once", 20*time.Second, "moqt://3", nil, 1)
		check("served up to a minute", 30*time.Second, "moqt://3", nil, 1)
		check("not after it", 10*time.Second, "", api.ErrUnavailable, 1)
		o.set("moqt://4", nil)
		check("server back", time.Second, "moqt://4", nil, 1)
	})
}

// With a server that hangs, the first lookup waits its two seconds, and those
// after it are served from what is known.
func TestCacheServerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &oracle{url: "moqt://1"}
		c := api.NewCache(api.CacheConfig{Lookup: o.lookup})
		defer c.Close()
		lookup := func(n moqt.Namespace) (time.Duration, error) {
			start := time.Now()
			_, err := c.Lookup(t.Context(), n)
			return time.Since(start), err
		}
		lookup(ns("known"))
		o.took.Store(int64(time.Hour))
		time.Sleep(6 * time.Second)
		if took, err := lookup(ns("known")); err != nil || took > 2*time.Second {
			t.Errorf("first: %v after %v, want the known answer within 2 s", err, took)
		}
		for range 5 {
			time.Sleep(time.Second)
			if took, err := lookup(ns("known")); err != nil || took > 0 {
				t.Errorf("later: %v after %v, want the known answer at once", err, took)
			}
		}
		if took, err := lookup(ns("new")); !errors.Is(err, api.ErrUnavailable) || took > 3*time.Second {
			t.Errorf("new name: %v after %v, want ErrUnavailable within 3 s", err, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := c.Lookup(ctx, ns("other")); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("impatient caller: %v after %v, want his own deadline", err, time.Since(start))
		}
	})
}

func TestCacheAsksOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &oracle{url: "moqt://1"}
		o.took.Store(int64(100 * time.Millisecond))
		c := api.NewCache(api.CacheConfig{Lookup: o.lookup})
		defer c.Close()
		var wg sync.WaitGroup
		gaveUp, cancel := context.WithCancel(t.Context())
		defer cancel()
		for i := range 100 {
			ctx := t.Context()
			if i == 0 {
				ctx = gaveUp // who started the question does not take it along
			}
			wg.Go(func() {
				if _, err := c.Lookup(ctx, ns("a")); err != nil && i != 0 {
					t.Errorf("Lookup = %v", err)
				}
			})
			if i == 0 {
				synctest.Wait()
				cancel()
			}
		}
		wg.Wait()
		if n := o.asked.Load(); n != 1 {
			t.Errorf("asked %d times for 100 callers, want once", n)
		}
	})
}

// Ten thousand names of a stranger are not ten thousand questions.
func TestCacheFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &oracle{err: api.ErrNotFound}
		c := api.NewCache(api.CacheConfig{Lookup: o.lookup, Entries: 500})
		defer c.Close()
		start := time.Now()
		var busy, missing atomic.Int64
		var wg sync.WaitGroup
		for i := range 10_000 {
			wg.Go(func() {
				switch _, err := c.Lookup(t.Context(), ns("flood", fmt.Sprint(i))); {
				case errors.Is(err, api.ErrBusy):
					busy.Add(1)
				case errors.Is(err, api.ErrNotFound):
					missing.Add(1)
				default:
					t.Errorf("Lookup = %v", err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("answered after %v, want within 2 s", took)
		}
		if n := o.asked.Load(); n > 201 || missing.Load() != n || busy.Load() != 10_000-n {
			t.Errorf("%d questions, %d missing, %d busy; want at most 100 at once and 100 in the second", n, missing.Load(), busy.Load())
		}
	})
}

func TestCacheIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &oracle{url: "moqt://1"}
		c := api.NewCache(api.CacheConfig{Lookup: o.lookup, Entries: 10, Rate: 1000})
		defer c.Close()
		for range 3 {
			for i := range 100 {
				if _, err := c.Lookup(t.Context(), ns(fmt.Sprint(i))); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := o.asked.Load(); n < 270 {
			t.Errorf("asked %d times for 100 names three times over, want most of 300: ten answers are kept", n)
		}
	})
}

func TestCacheClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &oracle{}
		o.took.Store(int64(time.Hour))
		c := api.NewCache(api.CacheConfig{Lookup: o.lookup})
		done := make(chan error)
		go func() { _, err := c.Lookup(t.Context(), ns("a")); done <- err }()
		synctest.Wait()
		c.Close()
		if err := <-done; !errors.Is(err, api.ErrUnavailable) {
			t.Errorf("Lookup while closing = %v, want ErrUnavailable", err)
		}
		if _, err := c.Lookup(t.Context(), ns("b")); !errors.Is(err, api.ErrUnavailable) {
			t.Errorf("Lookup after Close = %v, want ErrUnavailable", err)
		}
	})
}
