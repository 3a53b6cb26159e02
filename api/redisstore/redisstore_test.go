package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/api/storetest"
	"github.com/tributary-live/tributary/transport/moqt"
)

var (
	ns  = moqt.NS
	key = api.Lease{Key: "lease-key-0123456789", TTL: 15 * time.Second}
)

func origin(n moqt.Namespace, node string) api.Origin {
	return api.Origin{Namespace: n, Node: node, URL: "moqt://" + node}
}

func TestMiniredis(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		m := miniredis.RunT(t)
		store, err := Open(Config{URL: "redis://" + m.Addr()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return storetest.Harness{Store: store, Advance: m.FastForward}
	}, nil)
}

func TestRedis(t *testing.T) {
	s := startServer(t)
	admin := s.admin()
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		if err := admin.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		return storetest.Harness{Store: s.open(), Advance: s.advance(admin)}
	}, nil)
}

// On a cluster every script and its keys are on one slot.
func TestRedisCluster(t *testing.T) {
	s := startServer(t, "--cluster-enabled", "yes", "--bind", ownAddress())
	admin := s.admin()
	if err := admin.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		if info := admin.ClusterInfo(t.Context()).Val(); !strings.Contains(info, "cluster_state:ok") {
			return errors.New(info)
		}
		return nil
	})
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		if err := admin.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		return storetest.Harness{Store: s.openCluster(), Advance: s.advance(admin)}
	}, nil)
}

// A full Redis renews what it has, takes nothing new, and recovers at once.
func TestFull(t *testing.T) {
	s := startServer(t)
	store, admin, ctx := s.open(), s.admin(), t.Context()
	for _, node := range []string{"r1", "r2"} {
		if err := store.Put(ctx, origin(ns("a"), node), key); err != nil {
			t.Fatal(err)
		}
	}
	setMax := func(bytes string) {
		t.Helper()
		if err := admin.ConfigSet(ctx, "maxmemory", bytes).Err(); err != nil {
			t.Fatal(err)
		}
	}
	setMax("1")
	long := api.Lease{Key: key.Key, TTL: time.Minute}
	if err := store.Put(ctx, origin(ns("a"), "r1"), long); err != nil {
		t.Errorf("renewal by Put in a full Redis = %v", err)
	}
	if err := store.Refresh(ctx, ns("a"), "r2", long); err != nil {
		t.Errorf("Refresh in a full Redis = %v", err)
	}
	found, err := store.Lookup(ctx, ns("a", "b"))
	if err != nil || len(found) != 2 || time.Until(found[0].Expires) < 50*time.Second || time.Until(found[1].Expires) < 50*time.Second {
		t.Errorf("Lookup in a full Redis = %v, %v, want both, renewed", found, err)
	}
	for _, o := range []api.Origin{origin(ns("b"), "r1"), origin(ns("a"), "r3")} {
		if err := store.Put(ctx, o, key); !errors.Is(err, api.ErrFull) {
			t.Errorf("new record in a full Redis = %v, want ErrFull", err)
		}
	}
	if err := store.Delete(ctx, ns("a"), "r2", key.Key); err != nil {
		t.Errorf("Delete in a full Redis = %v", err)
	}
	setMax("0")
	if err := store.Put(ctx, origin(ns("b"), "r1"), key); err != nil {
		t.Errorf("Put after there is room = %v", err)
	}
	if n := admin.Exists(ctx, "moq:{a}:r3").Val(); n != 0 {
		t.Error("a refused record was written in part")
	}
}

// A Redis that does not answer, and one that is not there, make errors within
// two seconds; when it is back so is the table.
func TestAway(t *testing.T) {
	s := startServer(t)
	store := s.open()
	if err := store.Put(t.Context(), origin(ns("a"), "r1"), key); err != nil {
		t.Fatal(err)
	}
	s.pause()
	storetest.Unavailable(t, store, 2*time.Second)
	s.resume()
	eventually(t, 5*time.Second, func() error {
		_, err := store.Lookup(t.Context(), ns("a"))
		return err
	})
	s.kill()
	storetest.Unavailable(t, store, 2*time.Second)
	s.start()
	eventually(t, 5*time.Second, func() error { return store.Ping(t.Context()) })
	if _, err := store.Lookup(t.Context(), ns("a")); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("Lookup in a new Redis = %v, want ErrNotFound", err)
	}
	// The new one has never seen the scripts.
	if err := store.Put(t.Context(), origin(ns("a"), "r1"), key); err != nil {
		t.Errorf("Put after a restart = %v", err)
	}
}

// The whole way: kill -9 of Redis; the registrar brings the records back.
func TestRestartOverREST(t *testing.T) {
	s := startServer(t)
	handler, err := api.NewServer(api.ServerConfig{Store: s.open()})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(handler)
	defer srv.Close()
	client, err := api.NewClient(api.ClientConfig{URL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	reg, err := api.NewRegistrar(api.RegistrarConfig{Client: client, Node: "r1", URL: "moqt://r1", Lease: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	cache := api.NewCache(api.CacheConfig{Lookup: client.Lookup, Found: time.Nanosecond, NotFound: time.Nanosecond})
	defer cache.Close()
	const names = 300
	for i := range names {
		reg.Register(ns("a", fmt.Sprint(i)))
	}
	all := func() error {
		found, err := client.List(t.Context(), ns("a"), 0)
		if err == nil && len(found) != names {
			err = fmt.Errorf("%d records, want %d", len(found), names)
		}
		return err
	}
	eventually(t, 5*time.Second, all)
	if _, err := cache.Lookup(t.Context(), ns("a", "1", "cam")); err != nil {
		t.Fatal(err)
	}
	s.kill()
	if _, err := client.Lookup(t.Context(), ns("a", "1")); !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("Lookup while Redis is away = %v, want ErrUnavailable", err)
	}
	if _, err := cache.Lookup(t.Context(), ns("a", "1", "cam")); err != nil {
		t.Errorf("cached Lookup while Redis is away = %v, want the origin known before", err)
	}
	s.start()
	eventually(t, 6*time.Second, all)
}

// The rights in the package comment are enough, and no more is given.
func TestACL(t *testing.T) {
	s := startServer(t)
	admin, ctx := s.admin(), t.Context()
	rules := strings.Fields(`~moq:* +ping +get +pttl +set +pexpire +exists +del +smembers +sismember +scard +sadd +srem
		+zadd +zrem +zrangebylex +zrangebyscore +eval +evalsha`)
	args := []any{"ACL", "SETUSER", "moq", "on", ">s3cret"}
	for _, r := range rules {
		args = append(args, r)
	}
	if err := admin.Do(ctx, args...).Err(); err != nil {
		t.Fatal(err)
	}
	open := func(t *testing.T, password string) *Store {
		store, err := Open(Config{URL: "unix://moq:wrong@" + s.socket, Password: password})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return store
	}
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		if err := admin.FlushAll(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		return storetest.Harness{Store: open(t, "s3cret"), Advance: s.advance(admin)}
	}, nil)
	if err := open(t, "s3cret").client.Do(ctx, "FLUSHALL").Err(); !redis.HasErrorPrefix(err, "NOPERM") {
		t.Errorf("FLUSHALL = %v, want NOPERM", err)
	}
	err := open(t, "").Ping(ctx)
	if !errors.Is(err, api.ErrUnavailable) || !strings.Contains(err.Error(), "WRONGPASS") {
		t.Errorf("Ping with a wrong password = %v, want WRONGPASS", err)
	}
}

// The list of names forgets those that are gone, and List does not show them
// before.
func TestNamesAreForgotten(t *testing.T) {
	m := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: m.Addr()})
	defer client.Close()
	store := New(client)
	now := time.Now()
	store.now = func() time.Time { return now }
	for i := range 250 {
		if err := store.Put(t.Context(), origin(ns("old", fmt.Sprint(i)), "r1"), key); err != nil {
			t.Fatal(err)
		}
	}
	m.FastForward(time.Minute)
	now = now.Add(forgetAfter + time.Minute)
	if all, err := store.List(t.Context(), ns(), 1000); err != nil || len(all) != 0 {
		t.Errorf("List = %v, %v, want none", all, err)
	}
	for range 3 {
		if err := store.Put(t.Context(), origin(ns("new"), "r1"), key); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{lexKey, seenKey} {
		if names, err := m.ZMembers(key); err != nil || len(names) != 1 || names[0] != "new" {
			t.Errorf("%s has %d names (%v), want the new one alone", key, len(names), err)
		}
	}
	m.FastForward(time.Hour)
	for _, k := range m.Keys() {
		if k != lexKey && k != seenKey {
			t.Errorf("key %s has outlived its lease", k)
		}
	}
}

// A namespace without records has no key left.
func TestDeleteLeavesNothing(t *testing.T) {
	m := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: m.Addr()})
	defer client.Close()
	store := New(client)
	if err := store.Put(t.Context(), origin(ns("a"), "r1"), key); err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(t.Context(), ns("a"), "r1", key.Key); err != nil {
		t.Fatal(err)
	}
	for _, k := range m.Keys() {
		if k != lexKey && k != seenKey {
			t.Errorf("key %s is left", k)
		}
	}
}

// More names than a page, and names that have ended in between.
func TestListPages(t *testing.T) {
	m := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: m.Addr()})
	defer client.Close()
	store := New(client)
	for i := range 400 {
		l := key
		if i < 300 {
			l.TTL = time.Second
		}
		if err := store.Put(t.Context(), origin(ns("a", fmt.Sprintf("%03d", i)), "r1"), l); err != nil {
			t.Fatal(err)
		}
	}
	m.FastForward(2 * time.Second)
	all, err := store.List(t.Context(), ns("a"), 50)
	if err != nil || len(all) != 50 || all[0].Namespace != ns("a", "300") || all[49].Namespace != ns("a", "349") {
		t.Errorf("List = %d records, %v, want 300 to 349", len(all), err)
	}
}

// What others wrote under our keys is not handed to relays.
func TestForeignKeys(t *testing.T) {
	m := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: m.Addr()})
	defer client.Close()
	store := New(client)
	put := func(node, value string) {
		m.Set("moq:{a}:"+node, value)
		m.SetTTL("moq:{a}:"+node, time.Minute)
		m.SetAdd("moq:{a}", node)
	}
	sum := strings.Repeat("0", digestLen)
	put("good", sum+"moqt://good")
	put("scheme", sum+"file:///etc/passwd")
	put("empty", "")
	put("short", "moqt://x")
	put("un escaped", sum+"moqt://x")
	put("two-fields", sum+"moqt://x")
	m.Set("moq:{a}:forever", sum+"moqt://forever")
	m.SetAdd("moq:{a}", "forever")
	m.ZAdd(lexKey, 0, "a")
	m.ZAdd(lexKey, 0, "not a name")
	found, err := store.Lookup(t.Context(), ns("a"))
	if err != nil || len(found) != 1 || found[0].Node != "good" {
		t.Errorf("Lookup = %+v, %v, want the good one alone", found, err)
	}
	if all, err := store.List(t.Context(), ns(), 10); err != nil || len(all) != 1 {
		t.Errorf("List = %+v, %v, want the good one alone", all, err)
	}
	m.Set("moq:{b}", "a string where a set should be")
	if _, err := store.Lookup(t.Context(), ns("b")); !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("Lookup of a key of another type = %v, want ErrUnavailable", err)
	}
}

func TestCallerGivesUp(t *testing.T) {
	s := startServer(t)
	store := s.open()
	if err := store.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.pause()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := store.Lookup(ctx, ns("a")); !errors.Is(err, api.ErrUnavailable) || time.Since(start) > 300*time.Millisecond {
		t.Errorf("Lookup = %v after %v, want ErrUnavailable after 50 ms", err, time.Since(start))
	}
}

func TestOpen(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		want string // part of the error; "" for none
	}{
		{Config{URL: "redis://127.0.0.1:6379/3"}, ""},
		{Config{URL: "redis://localhost"}, ""},
		{Config{URL: "redis://[::1]:6379"}, ""},
		{Config{URL: "unix:///run/redis.sock"}, ""},
		{Config{URL: "rediss://:pw@redis.example:6380"}, ""},
		{Config{URL: "redis://redis:6379", Password: "pw"}, ""},
		{Config{URL: "redis://redis:6379", AllowOpen: true}, ""},
		{Config{URL: "redis://localhost:1?addr=localhost:2"}, ""},
		{Config{URL: "redis://localhost:1?master_name=m&addr=localhost:2"}, ""},
		{Config{URL: "redis://redis:6379"}, "redis at redis:6379: it has no password"},
		{Config{URL: "redis://127.0.0.1:1?addr=10.0.0.1:2"}, "has no password"},
		{Config{URL: "http://localhost"}, "redis URL: invalid URL scheme"},
		{Config{URL: ""}, "redis URL: "},
		{Config{URL: "redis://:s3cret@host:port"}, "redis URL: invalid port"},
		{Config{URL: "redis://u:s3cret@localhost/x"}, "redis URL: "},
		{Config{URL: "redis://u:s3cret@localhost?nonsense=1"}, "redis URL: "},
		{Config{URL: "redis://u:s3cret@localhost?addr=x&nonsense=1"}, "redis URL: "},
		{Config{URL: "redis://u:s3cret@localhost?master_name=x&nonsense=1"}, "redis URL: "},
	} {
		store, err := Open(tt.cfg)
		if err == nil {
			store.Close()
		}
		if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("Open(%+v) = %v, want %q", tt.cfg, err, tt.want)
		}
	}
}
