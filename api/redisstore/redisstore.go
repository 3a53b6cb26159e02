// Package redisstore keeps the table of origins in Redis, for several moq-api
// processes and for one that may be started again.
//
// Keys, all under "moq:"; names are in the draft's printed form, which has
// nothing in it that Redis or a pattern would take for its own:
//
//	moq:{<namespace>}:<node>  string  SHA-256 of the lease key in hex, then the URL; ends with the lease
//	moq:{<namespace>}         set     nodes that may have a record
//	moq:{.names}:lex, :seen   zsets   namespaces there may be, by name and by time
//
// A Redis user needs no more than
//
//	~moq:* +ping +get +pttl +set +pexpire +exists +del +smembers +sismember +scard +sadd +srem
//	+zadd +zrem +zrangebylex +zrangebyscore +eval +evalsha
package redisstore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/transport/moqt"
)

const (
	// opTimeout bounds one call, with its retry.
	opTimeout = time.Second
	// forgetAfter is how long a name that is not written stays in the list of
	// all. It is above every lease and every difference of clocks.
	forgetAfter = time.Hour

	lexKey  = "moq:{.names}:lex" // no namespace is printed with a "." before two letters that are no hex digits
	seenKey = "moq:{.names}:seen"

	digestLen = 64
)

// Store is an [api.Store] in Redis. Close it when it came from [Open].
type Store struct {
	client redis.UniversalClient
	now    func() time.Time
}

var _ api.Store = (*Store)(nil)

// New returns a store on client, which the caller closes. [Open] makes a client
// with timeouts that suit.
func New(client redis.UniversalClient) *Store { return &Store{client, time.Now} }

// Close closes the client.
func (s *Store) Close() error { return s.client.Close() }

func indexKey(ns moqt.Namespace) string { return "moq:{" + ns.String() + "}" }

func recordKey(ns moqt.Namespace, node string) string { return indexKey(ns) + ":" + printNode(node) }

// printNode prints a checked node name, which is not empty, as a field.
func printNode(node string) string { return moqt.NS(node).String() }

func digest(key string) string {
	sum := api.Digest(key)
	return hex.EncodeToString(sum[:])
}

// Put implements [api.Store].
func (s *Store) Put(ctx context.Context, o api.Origin, l api.Lease) error {
	return s.change(ctx, o.Namespace, call{putScript,
		[]string{recordKey(o.Namespace, o.Node), indexKey(o.Namespace)},
		[]any{digest(l.Key), o.URL, l.TTL.Milliseconds(), printNode(o.Node), api.MaxPerNamespace}})
}

// Refresh implements [api.Store].
func (s *Store) Refresh(ctx context.Context, ns moqt.Namespace, node string, l api.Lease) error {
	return s.change(ctx, ns, call{refreshScript,
		[]string{recordKey(ns, node), indexKey(ns)},
		[]any{digest(l.Key), "", l.TTL.Milliseconds(), printNode(node)}})
}

// Delete implements [api.Store].
func (s *Store) Delete(ctx context.Context, ns moqt.Namespace, node, key string) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	return s.run(ctx, call{deleteScript,
		[]string{recordKey(ns, node), indexKey(ns)}, []any{digest(key), printNode(node)}})[0]
}

// call is one script with its arguments.
type call struct {
	script *redis.Script
	keys   []string
	args   []any
}

// change runs c and, in the same round trip, notes ns in the list of all. What
// the latter says does not matter: the list is for [Store.List] alone, and the
// next renewal notes it again.
func (s *Store) change(ctx context.Context, ns moqt.Namespace, c call) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	now := s.now()
	seen := call{seenScript, []string{lexKey, seenKey},
		[]any{ns.String(), now.UnixMilli(), now.Add(-forgetAfter).UnixMilli()}}
	return s.run(ctx, c, seen)[0]
}

// run runs the calls in one round trip, and again with their text where Redis
// does not know them by their sums.
func (s *Store) run(ctx context.Context, calls ...call) []error {
	errs, unknown := s.pipeline(ctx, calls, func(p redis.Pipeliner, c call) *redis.Cmd {
		return p.EvalSha(ctx, c.script.Hash(), c.keys, c.args...)
	})
	if unknown {
		errs, _ = s.pipeline(ctx, calls, func(p redis.Pipeliner, c call) *redis.Cmd {
			return c.script.Eval(ctx, p, c.keys, c.args...)
		})
	}
	return errs
}

func (s *Store) pipeline(ctx context.Context, calls []call, add func(redis.Pipeliner, call) *redis.Cmd) (errs []error, unknown bool) {
	var cmds []*redis.Cmd
	s.client.Pipelined(ctx, func(p redis.Pipeliner) error { // its error is that of one of cmds
		for _, c := range calls {
			cmds = append(cmds, add(p, c))
		}
		return nil
	})
	for _, cmd := range cmds {
		word, err := cmd.Text()
		unknown = unknown || redis.HasErrorPrefix(err, "NOSCRIPT")
		errs = append(errs, result(word, err))
	}
	return errs, unknown
}

func result(word string, err error) error {
	if err != nil {
		return storeError(err)
	}
	switch word {
	case "ok":
		return nil
	case "conflict":
		return api.ErrConflict
	case "full":
		return api.ErrFull
	case "none":
		return api.ErrNotFound
	case "forbidden":
		return api.ErrForbidden
	}
	return fmt.Errorf("redis: a script answered %q", word)
}

func storeError(err error) error {
	if redis.HasErrorPrefix(err, "OOM") {
		return fmt.Errorf("%w: %w", api.ErrFull, err)
	}
	return fmt.Errorf("%w: %w", api.ErrUnavailable, err)
}

// Lookup implements [api.Store]. It takes two round trips: the indexes of ns and
// its prefixes, at most 32, then the records of the longest one.
func (s *Store) Lookup(ctx context.Context, ns moqt.Namespace) ([]api.Origin, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	var names []moqt.Namespace
	for n := ns; n.Len() > 0; n = n.Parent() {
		names = append(names, n)
	}
	nodes, err := s.nodes(ctx, names)
	if err != nil {
		return nil, err
	}
	for i, n := range names {
		if len(nodes[i]) == 0 {
			continue
		}
		found, err := s.records(ctx, []moqt.Namespace{n}, nodes[i:i+1])
		if err != nil || len(found) > 0 {
			return found, err
		}
	}
	return nil, api.ErrNotFound
}

// List implements [api.Store].
func (s *Store) List(ctx context.Context, prefix moqt.Namespace, limit int) ([]api.Origin, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	const page = 128
	// Of the characters of a printed name "-" comes first and "." next: from
	// "a" to below "a." there are "a" and what begins with "a-".
	by := &redis.ZRangeBy{Min: "-", Max: "+", Count: page}
	if prefix.Len() > 0 {
		by.Min, by.Max = "["+prefix.String(), "("+prefix.String()+"."
	}
	var found []api.Origin
	for len(found) < limit {
		printed, err := s.client.ZRangeByLex(ctx, lexKey, by).Result()
		if err != nil {
			return nil, storeError(err)
		}
		var names []moqt.Namespace
		for _, p := range printed {
			if ns, err := moqt.ParseNamespace(p); err == nil { // else not ours
				names = append(names, ns)
			}
		}
		nodes, err := s.nodes(ctx, names)
		if err != nil {
			return nil, err
		}
		more, err := s.records(ctx, names, nodes)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
		if len(printed) < page {
			break
		}
		by.Min = "(" + printed[len(printed)-1]
	}
	return found[:min(limit, len(found))], nil
}

// Ping implements [api.Store].
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if err := s.client.Ping(ctx).Err(); err != nil {
		return storeError(err)
	}
	return nil
}

// nodes returns for each name the printed nodes in its index.
func (s *Store) nodes(ctx context.Context, names []moqt.Namespace) ([][]string, error) {
	cmds := make([]*redis.StringSliceCmd, 0, len(names))
	if len(names) == 0 {
		return nil, nil
	}
	if _, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, n := range names {
			cmds = append(cmds, p.SMembers(ctx, indexKey(n)))
		}
		return nil
	}); err != nil {
		return nil, storeError(err)
	}
	nodes := make([][]string, len(names))
	for i, cmd := range cmds {
		nodes[i] = cmd.Val()
	}
	return nodes, nil
}

// records returns the records of nodes[i] for names[i] that have not ended, in
// order of the names, then of the nodes.
func (s *Store) records(ctx context.Context, names []moqt.Namespace, nodes [][]string) ([]api.Origin, error) {
	type query struct {
		origin api.Origin
		value  *redis.StringCmd
		ttl    *redis.DurationCmd
	}
	var queries []query
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, n := range names {
			first := len(queries)
			for _, printed := range nodes[i] {
				field, err := moqt.ParseNamespace(printed)
				if err != nil || field.Len() != 1 {
					continue // not ours
				}
				key := indexKey(n) + ":" + printed
				queries = append(queries, query{
					api.Origin{Namespace: n, Node: field.Fields()[0]}, p.Get(ctx, key), p.PTTL(ctx, key),
				})
			}
			slices.SortFunc(queries[first:], func(a, b query) int { return strings.Compare(a.origin.Node, b.origin.Node) })
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, storeError(err)
	}
	now := s.now()
	var found []api.Origin
	for _, q := range queries {
		value, ttl := q.value.Val(), q.ttl.Val()
		if len(value) <= digestLen || ttl <= 0 {
			continue // ended, if only between the two commands
		}
		q.origin.URL = value[digestLen:]
		q.origin.Expires = now.Add(ttl)
		if q.origin.Check() == nil { // else not ours: a relay is about to dial it
			found = append(found, q.origin)
		}
	}
	return found, nil
}
