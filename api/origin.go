// Package api is the cluster's table of origins: which relay has which
// namespace. It has the types, the REST [Server] with its [Store], the [Client],
// and what a relay needs to take part: a [Registrar] that keeps its records
// alive and a [Cache] for what it asks.
//
// The table is a hint. A relay knows best what it has, and tells it again every
// few seconds; a record whose relay is gone ends with its lease. So the table
// may be lost at any time: running streams do not need it, and the records are
// back after one refresh.
package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Origin is the record that a relay has a namespace. A namespace may have many,
// one for each node.
type Origin struct {
	Namespace moqt.Namespace
	Node      string    // name of the relay, 1 to 255 printable ASCII characters without spaces
	URL       string    // where other relays dial it: moqt:// or https://
	Expires   time.Time // when it ends unless it is renewed; set by the store
}

// Lease is the claim under which a record is held.
type Lease struct {
	// Key proves that two requests come from the same registrant, who chose it
	// at random. Stores keep its SHA-256 only.
	Key string
	// TTL is how long the record lives from now.
	TTL time.Duration
}

// Limits of a record.
const (
	MaxURLBytes  = 2048
	MaxNodeBytes = 255
	MinKeyBytes  = 16
	MaxKeyBytes  = 128
	// MaxPerNamespace is how many nodes may hold one namespace.
	MaxPerNamespace = 64
)

// Errors of stores, of the server, and so of the client. Compare with
// [errors.Is].
var (
	// ErrInvalid: a request that no store could carry out.
	ErrInvalid = errors.New("invalid request")
	// ErrNotFound: no such record, or no origin for the namespace.
	ErrNotFound = errors.New("no such origin")
	// ErrConflict: the record is held under another lease key.
	ErrConflict = errors.New("the origin is held under another lease key")
	// ErrForbidden: the key is not that of the record's lease.
	ErrForbidden = errors.New("the lease key is not that of the origin")
	// ErrRefused: the origin's URL is not on the server's list of relays.
	ErrRefused = errors.New("the relay is not on the list of allowed ones")
	// ErrFull: the store has no room for a new record.
	ErrFull = errors.New("the store is full")
	// ErrBusy: more is asked than a [Cache] may ask of the server.
	ErrBusy = errors.New("too many lookups")
	// ErrUnavailable: the store or the server cannot be reached now.
	ErrUnavailable = errors.New("the origin store cannot be reached")
)

// Store keeps the origins. Its methods may be called concurrently; each is one
// step that others see done or not done. Arguments have passed [Origin.Check]
// and its like. A store that cannot answer returns [ErrUnavailable], at the
// latest when ctx ends.
type Store interface {
	// Put adds o or renews it, with o's URL. It returns ErrConflict if the
	// record of this namespace and node is held under another key, and ErrFull
	// if there is no room for a new one. To renew a record needs no room.
	Put(ctx context.Context, o Origin, l Lease) error
	// Refresh makes an existing record live for l.TTL from now. It returns
	// ErrNotFound or ErrForbidden.
	Refresh(ctx context.Context, ns moqt.Namespace, node string, l Lease) error
	// Delete removes a record. It returns ErrNotFound or ErrForbidden.
	Delete(ctx context.Context, ns moqt.Namespace, node, key string) error
	// Lookup returns the origins of ns or, if it has none, of the longest
	// prefix of ns that has any, in order of their nodes. The empty namespace
	// is no such prefix. It returns ErrNotFound if there are none.
	Lookup(ctx context.Context, ns moqt.Namespace) ([]Origin, error)
	// List returns at most limit origins of the namespaces that have prefix,
	// in order of the namespaces' printed form, then of the node.
	List(ctx context.Context, prefix moqt.Namespace, limit int) ([]Origin, error)
	// Ping reports whether the store can be used.
	Ping(ctx context.Context) error
}

// Check reports, as ErrInvalid, what makes o unfit to be a record.
func (o Origin) Check() error {
	if err := checkNamespace(o.Namespace); err != nil {
		return err
	}
	if err := checkNode(o.Node); err != nil {
		return err
	}
	return checkURL(o.URL)
}

// Check reports, as ErrInvalid, what makes l unfit to hold a record.
func (l Lease) Check() error {
	if l.TTL < 0 {
		return fmt.Errorf("%w: lease of %v", ErrInvalid, l.TTL)
	}
	return checkKey(l.Key)
}

func checkNamespace(ns moqt.Namespace) error {
	if ns.Len() == 0 {
		return fmt.Errorf("%w: the empty namespace would have every track as its own", ErrInvalid)
	}
	return nil
}

func checkNode(node string) error {
	if node == "" || len(node) > MaxNodeBytes || !graphic(node) {
		return fmt.Errorf("%w: node %.40q: want 1 to %d printable ASCII characters without spaces", ErrInvalid, node, MaxNodeBytes)
	}
	return nil
}

func checkKey(key string) error {
	if len(key) < MinKeyBytes || len(key) > MaxKeyBytes || !graphic(key) {
		return fmt.Errorf("%w: lease key: want %d to %d printable ASCII characters without spaces", ErrInvalid, MinKeyBytes, MaxKeyBytes)
	}
	return nil
}

func checkURL(raw string) error {
	if len(raw) > MaxURLBytes {
		return fmt.Errorf("%w: URL of %d bytes (at most %d)", ErrInvalid, len(raw), MaxURLBytes)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || !graphic(raw):
		return fmt.Errorf("%w: %.80q is no URL", ErrInvalid, raw)
	case u.Scheme != "moqt" && u.Scheme != "https":
		return fmt.Errorf("%w: URL %.80q: want moqt:// or https://", ErrInvalid, raw)
	case u.Hostname() == "":
		return fmt.Errorf("%w: URL %.80q has no host", ErrInvalid, raw)
	case u.User != nil || u.Fragment != "":
		return fmt.Errorf("%w: URL %.80q: want no user and no fragment in it", ErrInvalid, u.Redacted())
	}
	return nil
}

func graphic(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// hostAllowed reports whether the host of a checked URL is on list, whose
// entries are hosts, which allow every port, or host:port.
func hostAllowed(list []string, raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return slices.ContainsFunc(list, func(entry string) bool {
		return strings.EqualFold(entry, u.Hostname()) || strings.EqualFold(entry, net.JoinHostPort(u.Hostname(), port))
	})
}

// Digest is the SHA-256 of a lease key, which stores keep in its place: who
// reads a store cannot take over its records.
func Digest(key string) [sha256.Size]byte { return sha256.Sum256([]byte(key)) }
