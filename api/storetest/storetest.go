// Package storetest has the tests that every api.Store must pass.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Harness is one empty store under test.
type Harness struct {
	Store api.Store
	// Advance makes d pass for the store's leases.
	Advance func(d time.Duration)
}

// Run runs the tests, each with a harness of its own. Run it outside a synctest
// bubble; newHarness may be called inside one, which wrap makes. A nil wrap
// calls the test directly.
func Run(t *testing.T, newHarness func(*testing.T) Harness, wrap func(*testing.T, func(*testing.T))) {
	if wrap == nil {
		wrap = func(t *testing.T, f func(*testing.T)) { f(t) }
	}
	for _, tt := range []struct {
		name string
		test func(*testing.T, suite)
	}{
		{"PutAndLookup", testPutAndLookup},
		{"LongestPrefix", testLongestPrefix},
		{"Ownership", testOwnership},
		{"Expiry", testExpiry},
		{"Renew", testRenew},
		{"Delete", testDelete},
		{"List", testList},
		{"OddNames", testOddNames},
		{"OneWinner", testOneWinner},
		{"ManyNodesAtOnce", testManyNodesAtOnce},
		{"PerNamespaceLimit", testPerNamespaceLimit},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wrap(t, func(t *testing.T) { tt.test(t, suite{t, newHarness(t)}) })
		})
	}
}

const (
	keyA = "lease-key-of-A-0123456789"
	keyB = "lease-key-of-B-0123456789"
	ttl  = 15 * time.Second
)

var ns = moqt.NS

type suite struct {
	t *testing.T
	Harness
}

func origin(n moqt.Namespace, node string) api.Origin {
	return api.Origin{Namespace: n, Node: node, URL: "moqt://" + node + ":4443"}
}

func (s suite) put(o api.Origin, key string, ttl time.Duration, want error) {
	s.t.Helper()
	if err := s.Store.Put(s.t.Context(), o, api.Lease{Key: key, TTL: ttl}); !errors.Is(err, want) {
		s.t.Errorf("Put(%v, %s) = %v, want %v", o.Namespace, o.Node, err, want)
	}
}

// lookup checks that n leads to the nodes of the namespace at.
func (s suite) lookup(n, at moqt.Namespace, nodes ...string) {
	s.t.Helper()
	found, err := s.Store.Lookup(s.t.Context(), n)
	if len(nodes) == 0 {
		if !errors.Is(err, api.ErrNotFound) || len(found) != 0 {
			s.t.Errorf("Lookup(%v) = %v, %v, want ErrNotFound", n, found, err)
		}
		return
	}
	var got []string
	for _, o := range found {
		got = append(got, o.Node)
		if o.Namespace != at || o.URL != "moqt://"+o.Node+":4443" {
			s.t.Errorf("Lookup(%v) has %+v, want namespace %v and the URL of its node", n, o, at)
		}
	}
	if err != nil || !slices.Equal(got, nodes) {
		s.t.Errorf("Lookup(%v) = %v, %v, want %v", n, got, err, nodes)
	}
}

func testPutAndLookup(t *testing.T, s suite) {
	n := ns("live", "alice")
	s.lookup(n, n)
	s.put(origin(n, "r2"), keyA, ttl, nil)
	s.put(origin(n, "r1"), keyB, ttl, nil)
	s.lookup(n, n, "r1", "r2")
	found, err := s.Store.Lookup(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range found {
		if left := time.Until(o.Expires); left < ttl-2*time.Second || left > ttl+2*time.Second {
			t.Errorf("%s ends in %v, want about %v", o.Node, left, ttl)
		}
	}
	if err := s.Store.Ping(t.Context()); err != nil {
		t.Errorf("Ping = %v", err)
	}
}

func testLongestPrefix(t *testing.T, s suite) {
	s.put(origin(ns("a"), "r1"), keyA, ttl, nil)
	s.put(origin(ns("a", "b", "c"), "r3"), keyA, ttl/3, nil)
	s.lookup(ns("a"), ns("a"), "r1")
	s.lookup(ns("a", "b"), ns("a"), "r1")
	s.lookup(ns("a", "b", "c"), ns("a", "b", "c"), "r3")
	s.lookup(ns("a", "b", "c", "d", "e"), ns("a", "b", "c"), "r3")
	s.lookup(ns("ab"), ns()) // a prefix is of whole fields
	s.lookup(ns("b"), ns())
	s.lookup(ns(), ns())
	deep := make([]string, moqt.MaxNamespaceFields)
	for i := range deep {
		deep[i] = "a"
	}
	s.lookup(ns(deep...), ns("a"), "r1")
	s.Advance(ttl / 2) // the longer one ends, the shorter is found again
	s.lookup(ns("a", "b", "c"), ns("a"), "r1")
}

func testOwnership(t *testing.T, s suite) {
	n, ctx := ns("live"), t.Context()
	s.put(origin(n, "r1"), keyA, ttl, nil)
	evil := origin(n, "r1")
	evil.URL = "moqt://evil:4443"
	s.put(evil, keyB, ttl, api.ErrConflict)
	if err := s.Store.Refresh(ctx, n, "r1", api.Lease{Key: keyB, TTL: ttl}); !errors.Is(err, api.ErrForbidden) {
		t.Errorf("Refresh with another key = %v, want ErrForbidden", err)
	}
	if err := s.Store.Delete(ctx, n, "r1", keyB); !errors.Is(err, api.ErrForbidden) {
		t.Errorf("Delete with another key = %v, want ErrForbidden", err)
	}
	s.lookup(n, n, "r1")
	s.put(origin(n, "r2"), keyB, ttl, nil) // another node is another record
	s.lookup(n, n, "r1", "r2")
	s.Advance(ttl + time.Second)
	s.put(origin(n, "r1"), keyB, ttl, nil) // the lease has ended
	s.put(origin(n, "r1"), keyA, ttl, api.ErrConflict)
}

func testExpiry(t *testing.T, s suite) {
	n := ns("live")
	s.put(origin(n, "r1"), keyA, ttl, nil)
	s.put(origin(n, "r2"), keyA, 3*ttl, nil)
	s.Advance(ttl - time.Second)
	s.lookup(n, n, "r1", "r2")
	s.Advance(2 * time.Second)
	s.lookup(n, n, "r2")
	if err := s.Store.Refresh(t.Context(), n, "r1", api.Lease{Key: keyA, TTL: ttl}); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("Refresh of an ended record = %v, want ErrNotFound", err)
	}
	if err := s.Store.Delete(t.Context(), n, "r1", keyA); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("Delete of an ended record = %v, want ErrNotFound", err)
	}
	s.put(origin(n, "r3"), keyA, ttl/3, nil) // a short lease does not take a longer one along
	s.Advance(ttl / 2)
	s.lookup(n, n, "r2")
	s.Advance(3 * ttl)
	s.lookup(n, n)
	if all, err := s.Store.List(t.Context(), ns(), 10); err != nil || len(all) != 0 {
		t.Errorf("List = %v, %v, want none", all, err)
	}
	s.put(origin(n, "r1"), keyB, ttl, nil)
	s.lookup(n, n, "r1")
}

func testRenew(t *testing.T, s suite) {
	n := ns("live")
	s.put(origin(n, "r1"), keyA, ttl, nil)
	s.put(origin(n, "r2"), keyA, ttl, nil)
	for i := range 6 {
		s.Advance(ttl / 3)
		if i%2 == 0 {
			s.put(origin(n, "r1"), keyA, ttl, nil)
		} else if err := s.Store.Refresh(t.Context(), n, "r1", api.Lease{Key: keyA, TTL: ttl}); err != nil {
			t.Errorf("Refresh = %v", err)
		}
	}
	s.lookup(n, n, "r1")
	// A renewal may shorten the lease, and may change the URL.
	moved := origin(n, "r1")
	moved.URL = "https://elsewhere:4444"
	s.put(moved, keyA, ttl/3, nil)
	if found, err := s.Store.Lookup(t.Context(), n); err != nil || len(found) != 1 || found[0].URL != moved.URL {
		t.Errorf("after a change of URL: Lookup = %v, %v, want %s", found, err, moved.URL)
	}
	s.Advance(ttl / 2)
	s.lookup(n, n)
}

func testDelete(t *testing.T, s suite) {
	n := ns("live")
	s.put(origin(n, "r1"), keyA, ttl, nil)
	s.put(origin(n, "r2"), keyA, ttl, nil)
	if err := s.Store.Delete(t.Context(), n, "r1", keyA); err != nil {
		t.Errorf("Delete = %v", err)
	}
	s.lookup(n, n, "r2")
	if err := s.Store.Delete(t.Context(), n, "r1", keyA); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("second Delete = %v, want ErrNotFound", err)
	}
	if err := s.Store.Delete(t.Context(), ns("none"), "r1", keyA); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("Delete of nothing = %v, want ErrNotFound", err)
	}
	s.put(origin(n, "r1"), keyB, ttl, nil) // anybody's again
	s.lookup(n, n, "r1", "r2")
}

func testList(t *testing.T, s suite) {
	for _, n := range []moqt.Namespace{ns("a"), ns("a", "b"), ns("a", "c"), ns("a", "b", "x"), ns("ab"), ns("a."), ns("a-b"), ns("b")} {
		s.put(origin(n, "r2"), keyA, ttl, nil)
		s.put(origin(n, "r1"), keyA, ttl, nil)
	}
	list := func(prefix moqt.Namespace, limit int) (got []string) {
		t.Helper()
		all, err := s.Store.List(t.Context(), prefix, limit)
		if err != nil {
			t.Errorf("List(%v) = %v", prefix, err)
		}
		for _, o := range all {
			got = append(got, o.Namespace.String()+":"+o.Node)
		}
		return got
	}
	for _, tt := range []struct {
		prefix moqt.Namespace
		limit  int
		want   string
	}{
		{ns("a"), 100, "a:r1 a:r2 a-b:r1 a-b:r2 a-b-x:r1 a-b-x:r2 a-c:r1 a-c:r2"},
		{ns("a", "b"), 100, "a-b:r1 a-b:r2 a-b-x:r1 a-b-x:r2"},
		{ns("a"), 3, "a:r1 a:r2 a-b:r1"},
		{ns("none"), 100, ""},
		{ns(), 100, "a:r1 a:r2 a-b:r1 a-b:r2 a-b-x:r1 a-b-x:r2 a-c:r1 a-c:r2 a.2db:r1 a.2db:r2 a.2e:r1 a.2e:r2 ab:r1 ab:r2 b:r1 b:r2"},
	} {
		if got := strings.Join(list(tt.prefix, tt.limit), " "); got != tt.want {
			t.Errorf("List(%v, %d) = %s, want %s", tt.prefix, tt.limit, got, tt.want)
		}
	}
	if err := s.Store.Delete(t.Context(), ns("a"), "r1", keyA); err != nil {
		t.Error(err)
	}
	if got, want := strings.Join(list(ns("a"), 2), " "), "a:r2 a-b:r1"; got != want {
		t.Errorf("List after Delete = %s, want %s", got, want)
	}
}

// Names may hold any byte, and URLs and nodes what keys and scripts might take
// for their own.
func testOddNames(t *testing.T, s suite) {
	nodes := []string{"https://relay-1:4443", `{"a":'b'}`, "%s%d*?[a]", "moq:{x}:y"}
	slices.Sort(nodes)
	var names []moqt.Namespace
	for _, f := range []string{"\x00", "\xff\xfe", "{tag}", "a b\r\nDEL x", "*", "-", "--", ".", "ä", strings.Repeat("x", 4000)} {
		names = append(names, ns(f), ns("p", f))
	}
	for _, n := range names {
		for _, node := range nodes {
			o := api.Origin{Namespace: n, Node: node, URL: "moqt://h/?q={}|'\""}
			s.put(o, keyA, ttl, nil)
		}
	}
	for _, n := range names {
		found, err := s.Store.Lookup(t.Context(), n)
		if err != nil || len(found) != len(nodes) {
			t.Fatalf("Lookup(%.40v) = %d origins, %v, want %d", n, len(found), err, len(nodes))
		}
		for i, o := range found {
			if o.Namespace != n || o.Node != nodes[i] || o.URL != "moqt://h/?q={}|'\"" {
				t.Errorf("Lookup(%.40v) has %+v, want node %q", n, o, nodes[i])
			}
		}
	}
	if all, err := s.Store.List(t.Context(), ns("p"), 1000); err != nil || len(all) != len(names)/2*len(nodes) {
		t.Errorf("List(p) = %d origins, %v, want %d", len(all), err, len(names)/2*len(nodes))
	}
}

// Of many who claim one record at once, one gets it.
func testOneWinner(t *testing.T, s suite) {
	const rivals = 100
	n := ns("live")
	for round := range 3 {
		errs := race(rivals, func(i int) error {
			o := origin(n, "r1")
			return s.Store.Put(t.Context(), o, api.Lease{Key: fmt.Sprintf("key-of-rival-%d-%08d", round, i), TTL: ttl})
		})
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner < 0:
				winner = i
			case err == nil:
				t.Fatalf("rivals %d and %d both won", winner, i)
			case !errors.Is(err, api.ErrConflict):
				t.Errorf("rival %d: %v, want ErrConflict", i, err)
			}
		}
		if winner < 0 {
			t.Fatal("nobody won")
		}
		// Of as many who delete it, only the winner does.
		errs = race(rivals, func(i int) error {
			return s.Store.Delete(t.Context(), n, "r1", fmt.Sprintf("key-of-rival-%d-%08d", round, i))
		})
		for i, err := range errs {
			if (err == nil) != (i == winner) {
				t.Errorf("Delete by rival %d = %v; the winner was %d", i, err, winner)
			}
		}
	}
}

// Nodes that come to one namespace at once are all found.
func testManyNodesAtOnce(t *testing.T, s suite) {
	n := ns("live")
	errs := race(api.MaxPerNamespace, func(i int) error {
		return s.Store.Put(t.Context(), origin(n, fmt.Sprintf("r%02d", i)), api.Lease{Key: keyA, TTL: ttl})
	})
	var nodes []string
	for i, err := range errs {
		if err != nil {
			t.Errorf("Put of r%02d = %v", i, err)
		}
		nodes = append(nodes, fmt.Sprintf("r%02d", i))
	}
	s.lookup(n, n, nodes...)
}

func testPerNamespaceLimit(t *testing.T, s suite) {
	n := ns("live")
	for i := range api.MaxPerNamespace {
		s.put(origin(n, fmt.Sprintf("r%02d", i)), keyA, ttl+time.Duration(i)*ttl, nil)
	}
	s.put(origin(n, "more"), keyA, ttl, api.ErrFull)
	s.put(origin(n, "r01"), keyA, 2*ttl, nil)
	s.Advance(ttl + time.Second) // r00 ends and leaves its place
	s.put(origin(n, "more"), keyA, ttl, nil)
	s.put(origin(n, "again"), keyA, ttl, api.ErrFull)
}

func race(n int, f func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// Unavailable checks that every method of a store that cannot work says so, and
// does not take longer than within.
func Unavailable(t *testing.T, store api.Store, within time.Duration) {
	t.Helper()
	n, l := ns("live"), api.Lease{Key: keyA, TTL: ttl}
	for name, call := range map[string]func(context.Context) error{
		"Put":     func(ctx context.Context) error { return store.Put(ctx, origin(n, "r1"), l) },
		"Refresh": func(ctx context.Context) error { return store.Refresh(ctx, n, "r1", l) },
		"Delete":  func(ctx context.Context) error { return store.Delete(ctx, n, "r1", keyA) },
		"Lookup":  func(ctx context.Context) error { _, err := store.Lookup(ctx, n); return err },
		"List":    func(ctx context.Context) error { _, err := store.List(ctx, n, 10); return err },
		"Ping":    func(ctx context.Context) error { return store.Ping(ctx) },
	} {
		start := time.Now()
		err := call(t.Context())
		if took := time.Since(start); !errors.Is(err, api.ErrUnavailable) || took > within {
			t.Errorf("%s of a store that is away = %v after %v, want ErrUnavailable within %v", name, err, took, within)
		}
	}
}
