// Package sub receives a broadcast: it reads the catalog, subscribes to the
// tracks, and gives their objects in order, or writes them as one fragmented
// MP4 that players take from a pipe.
package sub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Config says what to receive.
type Config struct {
	// Namespace is the broadcast's name. It is required.
	Namespace moqt.Namespace
	// Spares are the names of broadcasts to take instead while that one is not
	// there, the preferred first. Only NewCameras looks at them.
	Spares []moqt.Namespace
	// Tracks are the names of the tracks wanted. If empty, it is the first of
	// each role that the catalog lists.
	Tracks []string
	// Back is how many groups before the newest to begin with, as far as the
	// relay or publisher holds them. A broadcast that was not there when Open
	// began is received from its first object on, whatever Back says.
	Back uint64
	// Wait is how long to wait for the broadcast to begin. If zero, not at all.
	// Cameras wait as long when all of them are gone, and a Receiver when its relay is.
	Wait time.Duration
	// Logger gets what there is to say. If nil, nothing is logged.
	Logger *slog.Logger

	since time.Time // when Wait began; zero if it has not yet
}

// waiting returns when Wait began.
func (c *Config) waiting() time.Time {
	if c.since.IsZero() {
		return time.Now()
	}
	return c.since
}

// Broadcast is a broadcast that is received.
type Broadcast struct {
	Namespace moqt.Namespace
	Tracks    []catalog.Track // those received
	Inits     [][]byte        // CMAF header of each

	cfg  Config
	sess *transport.Session
	late time.Time // when waiting is over
	back uint64

	priority *moqt.Priority // of the subscriptions; nil for the default
}

// fromTheStart is more groups than anybody holds of what has just begun.
const fromTheStart = 1024

// Open waits for the broadcast's catalog and chooses the tracks. The session
// stays the caller's.
func Open(ctx context.Context, sess *transport.Session, c Config) (*Broadcast, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	b := &Broadcast{Namespace: c.Namespace, cfg: c, sess: sess, late: c.waiting().Add(c.Wait), back: c.Back}
	var cat *catalog.Catalog
	err := b.catalogs(ctx, func(newest *catalog.Catalog, first bool) bool {
		cat = newest
		if first {
			b.back = max(b.back, fromTheStart)
		}
		return false
	})
	if err != nil {
		return nil, fmt.Errorf("catalog of %s: %w", c.Namespace.Slashed(), err)
	}
	if err := b.take(cat); err != nil {
		return nil, err
	}
	return b, nil
}

// take chooses the tracks of a catalog.
func (b *Broadcast) take(cat *catalog.Catalog) (err error) {
	if b.Tracks, err = choose(cat, b.cfg.Tracks); err != nil {
		return err
	}
	b.Inits = nil
	for _, t := range b.Tracks {
		init, err := cat.Init(t)
		if err != nil {
			return fmt.Errorf("track %q: %w", t.Name, err)
		}
		b.Inits = append(b.Inits, init)
	}
	return nil
}

// catalogs gives the newest catalog to take, and those that come after it, until
// take returns false. first says that the broadcast was not there yet when it was
// asked for.
func (b *Broadcast) catalogs(ctx context.Context, take func(c *catalog.Catalog, first bool) bool) error {
	tr, f, waited, err := b.join(ctx, catalog.TrackName, 0)
	if err != nil {
		return err
	}
	defer tr.Close()
	_, published := tr.Largest()
	first := waited || !published
	if f != nil {
		defer f.Close()
		if o, err := f.ReadObject(ctx); err == nil {
			c, err := catalog.Parse(o.Payload)
			if err != nil || !take(c, first) {
				return err
			}
		}
	}
	for o, err := range tr.Objects(ctx) {
		if err != nil {
			return err
		}
		if o.Object != 0 { // the others are changes
			continue
		}
		c, err := catalog.Parse(o.Payload)
		if err != nil || !take(c, first) {
			return err
		}
	}
	return errors.New("the track ended without one")
}

// retryEvery is how often a track that is not there is asked for again, where
// the relay does not hold the request until it is.
const retryEvery = 500 * time.Millisecond

// join subscribes to a track of the broadcast, from back groups before the
// newest on, and waits for it as long as Config.Wait allows. waited says that it
// was not there at once.
func (b *Broadcast) join(ctx context.Context, name string, back uint64) (tr *transport.TrackReader, f *transport.FetchReader, waited bool, err error) {
	o := transport.SubscribeOptions{Priority: b.priority}
	for {
		asked := time.Now()
		tr, f, err = b.sess.Join(ctx, b.Namespace.Track(name), back, &o)
		left := time.Until(b.late)
		var refused *transport.RequestError
		if !errors.As(err, &refused) || left <= 0 || refusedForGood(err) {
			return tr, f, waited, err
		}
		// Asked for the first time, the relay is to say what is: only then is it
		// known whether the broadcast begins before our eyes.
		if waited {
			t := time.NewTimer(min(max(refused.RetryAfter, retryEvery-time.Since(asked)), left))
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return nil, nil, waited, ctx.Err()
			}
		}
		waited = true
		o.Rendezvous = time.Until(b.late)
	}
}

// refusedForGood reports whether asking again is no use.
func refusedForGood(err error) bool {
	var refused *transport.RequestError
	return errors.As(err, &refused) && refused.RetryAfter < 0 && refused.Code != moqt.RequestDoesNotExist
}

// choose picks the tracks named, or the first of each role.
func choose(c *catalog.Catalog, names []string) ([]catalog.Track, error) {
	var chosen []catalog.Track
	var there []string
	roles := make(map[string]bool)
	for _, t := range c.Tracks {
		if t.Packaging != catalog.PackagingCMAF {
			continue
		}
		there = append(there, t.Name)
		if len(names) > 0 && slices.Contains(names, t.Name) || len(names) == 0 && !roles[t.Role] {
			roles[t.Role] = true
			chosen = append(chosen, t)
		}
	}
	for _, n := range names {
		if !slices.Contains(there, n) {
			return nil, fmt.Errorf("the broadcast has no CMAF track %q; it has %q", n, there)
		}
	}
	if len(chosen) == 0 {
		return nil, errors.New("the broadcast has no CMAF track")
	}
	return chosen, nil
}
