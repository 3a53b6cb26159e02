package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/api"
)

// site is a server whose store can be lost and which can go away.
type site struct {
	t        *testing.T
	store    *api.MemStore
	server   atomic.Pointer[api.Server]
	down     atomic.Bool
	requests atomic.Int64
}

func newSite(t *testing.T) *site {
	s := &site{t: t}
	s.reset()
	return s
}

// reset gives the server an empty store.
func (s *site) reset() {
	s.store = new(api.MemStore)
	s.server.Store(newServer(s.t, api.ServerConfig{Store: s.store}))
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.server.Load().ServeHTTP(w, r) }

func (s *site) client() *api.Client {
	return newClient(s.t, wire{s, s.down.Load, func(*http.Request) { s.requests.Add(1) }}, api.ClientConfig{})
}

func (s *site) registrar(node string) *api.Registrar {
	s.t.Helper()
	r, err := api.NewRegistrar(api.RegistrarConfig{Client: s.client(), Node: node, URL: "moqt://" + node})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// after lets d pass and checks how many records there are.
func (s *site) after(d time.Duration, records int) {
	s.t.Helper()
	time.Sleep(d) // virtual
	synctest.Wait()
	if got := s.store.Len(); got != records {
		s.t.Errorf("%d records after %v, want %d", got, d, records)
	}
}

func TestRegistrarKeepsRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		r := s.registrar("r1")
		r.Register(ns("a"))
		s.after(0, 1) // the first is there at once
		r.Register(ns("b"))
		r.Register(ns("b")) // counted
		r.Register(ns())    // nothing
		s.after(20*time.Millisecond, 2)
		for range 600 {
			s.after(time.Second, 2) // ten minutes: forty leases
		}
		if n := s.requests.Load(); n > 140 {
			t.Errorf("%d requests in ten minutes, want about one each 5 s", n)
		}
		r.Unregister(ns("b"))
		s.after(20*time.Millisecond, 2)
		r.Unregister(ns("b"))
		r.Unregister(ns("never registered"))
		s.after(20*time.Millisecond, 1)
		if err := r.Close(); err != nil || s.store.Len() != 0 {
			t.Errorf("Close = %v, %d records left, want none", err, s.store.Len())
		}
	})
}

// A thousand namespaces take few requests, at no time more than 100 a second.
func TestRegistrarBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		r := s.registrar("r1")
		for i := range 1000 {
			r.Register(ns("n", fmt.Sprint(i)))
			if i%10 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		s.after(200*time.Millisecond, 1000)
		if n := s.requests.Swap(0); n > 30 {
			t.Errorf("%d requests to register 1000 in 0.1 s, want at most 30", n)
		}
		s.after(time.Minute, 1000)
		if n := s.requests.Swap(0); n > 15*8 {
			t.Errorf("%d requests to renew 1000 for a minute, want at most 8 each 5 s", n)
		}
		for i := range 1000 {
			r.Unregister(ns("n", fmt.Sprint(i)))
		}
		s.after(200*time.Millisecond, 0)
		if n := s.requests.Load(); n > 10 {
			t.Errorf("%d requests to remove 1000, want at most 10", n)
		}
		r.Close()
	})
}

// Namespaces as long as they may be do not make a request that is refused.
func TestRegistrarLongNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		r := s.registrar("r1")
		for i := range 300 {
			r.Register(ns(fmt.Sprintf("%04d", i) + strings.Repeat("\x00", 4092)))
		}
		s.after(200*time.Millisecond, 300)
		r.Close()
	})
}

// A store that was lost is whole again within five seconds.
func TestRegistrarAfterLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		r := s.registrar("r1")
		r.Register(ns("a"))
		r.Register(ns("b"))
		for range 20 {
			s.after(3500*time.Millisecond, 2)
			s.reset()
			s.after(5*time.Second, 2)
		}
		r.Close()
	})
}

// While the server is away a registrar goes on trying, seldom, and what changes
// meanwhile is true once the server is back, within five seconds.
func TestRegistrarServerAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		relays := make([]*api.Registrar, 20)
		for i := range relays {
			relays[i] = s.registrar(fmt.Sprintf("r%d", i))
			relays[i].Register(ns("a"))
			relays[i].Register(ns("gone"))
		}
		s.after(time.Second, 40)
		if err := relays[0].Err(); err != nil {
			t.Errorf("Err() = %v, want nil", err)
		}
		s.down.Store(true)
		s.requests.Store(0)
		time.Sleep(time.Second)
		for _, r := range relays {
			r.Register(ns("new"))
			r.Unregister(ns("gone"))
			r.Register(ns("short"))
			r.Unregister(ns("short"))
		}
		s.after(time.Minute, 0) // all leases ended
		if n := s.requests.Swap(0); n > int64(len(relays))*61 {
			t.Errorf("%d requests of %d relays in a minute, want at most one a second each", n, len(relays))
		}
		if err := relays[0].Err(); err == nil {
			t.Error("Err() = nil with the server away")
		}
		s.down.Store(false)
		time.Sleep(time.Second)
		early := s.requests.Load()
		s.after(4*time.Second, 40)
		if n := s.requests.Load(); early > n*2/3 {
			t.Errorf("%d of %d requests came in the first second, want them spread", early, n)
		}
		if err := relays[0].Err(); err != nil {
			t.Errorf("Err() = %v after the server came back", err)
		}
		for _, r := range relays {
			r.Close()
		}
	})
}

// A relay that was killed and starts again under its name gets its records as
// soon as its old lease ends.
func TestRegistrarAfterCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		if err := s.client().Put(t.Context(), api.Origin{Namespace: ns("a"), Node: "r1", URL: "moqt://old"}, 15*time.Second); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		r := s.registrar("r1")
		r.Register(ns("a"))
		url := func() string {
			found, err := s.store.Lookup(t.Context(), ns("a"))
			if err != nil {
				return err.Error()
			}
			return found[0].URL
		}
		s.after(9*time.Second, 1)
		if got := url(); got != "moqt://old" {
			t.Errorf("URL = %s, want that of the old lease", got)
		}
		s.after(2*time.Second, 1)
		if got := url(); got != "moqt://r1" {
			t.Errorf("URL = %s a second after the old lease, want the new one", got)
		}
		r.Close()
	})
}

// Close does not wait for a server that is away.
func TestRegistrarCloseWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		r := s.registrar("r1")
		r.Register(ns("a"))
		s.after(time.Second, 1)
		s.down.Store(true)
		start := time.Now()
		if err := r.Close(); err == nil || time.Since(start) > 2*time.Second {
			t.Errorf("Close = %v after %v, want an error within 2 s", err, time.Since(start))
		}
	})
}

// A registrar that is told to come and go all the time ends in the right state.
func TestRegistrarFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		r := s.registrar("r1")
		for i := range 500 {
			r.Register(ns("a"))
			time.Sleep(time.Duration(i%7) * time.Millisecond)
			r.Unregister(ns("a"))
			time.Sleep(time.Duration(i%11) * time.Millisecond)
		}
		s.after(50*time.Millisecond, 0)
		r.Register(ns("a"))
		s.after(50*time.Millisecond, 1)
		r.Close()
	})
}

// What is registered while its removal is under way is there afterwards.
func TestRegistrarRegistersWhileRemoving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		var r *api.Registrar
		removals := 0
		client := newClient(t, wire{handler: s, seen: func(req *http.Request) {
			if req.Method == http.MethodDelete {
				removals++
				r.Register(ns("a"))
			}
		}}, api.ClientConfig{})
		r, err := api.NewRegistrar(api.RegistrarConfig{Client: client, Node: "r1", URL: "moqt://r1"})
		if err != nil {
			t.Fatal(err)
		}
		r.Register(ns("a"))
		s.after(20*time.Millisecond, 1)
		r.Unregister(ns("a"))
		s.after(50*time.Millisecond, 1)
		if removals != 1 {
			t.Errorf("%d removals, want 1", removals)
		}
		r.Close()
	})
}

func TestNewRegistrar(t *testing.T) {
	for _, cfg := range []api.RegistrarConfig{
		{Node: "", URL: "moqt://r"}, {Node: "r", URL: "r:4443"}, {Node: "a b", URL: "moqt://r"},
	} {
		if _, err := api.NewRegistrar(cfg); err == nil {
			t.Errorf("NewRegistrar(%+v) = nil error", cfg)
		}
	}
}
