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
	// Tracks are the names of the tracks wanted. If empty, it is the first of
	// each role that the catalog lists.
	Tracks []string
	// Back is how many groups before the newest to begin with, as far as the
	// relay or publisher holds them. A broadcast that was not there when Open
	// began is received from its first object on, whatever Back says.
	Back uint64
	// Wait is how long to wait for the broadcast to begin. If zero, not at all.
	Wait time.Duration
	// Logger gets what there is to say. If nil, nothing is logged.
	Logger *slog.Logger
}

// Broadcast is a broadcast that is received.
type Broadcast struct {
	Tracks []catalog.Track // those received
	Inits  [][]byte        // CMAF header of each

	cfg  Config
	sess *transport.Session
	late time.Time // when waiting is over
	back uint64
}

// fromTheStart is more groups than anybody holds of what has just begun.
const fromTheStart = 1024

// Open waits for the broadcast's catalog and chooses the tracks. The session
// stays the caller's.
func Open(ctx context.Context, sess *transport.Session, c Config) (*Broadcast, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	b := &Broadcast{cfg: c, sess: sess, late: time.Now().Add(c.Wait), back: c.Back}
	cat, first, err := b.readCatalog(ctx)
	if err != nil {
		return nil, fmt.Errorf("catalog of %s: %w", c.Namespace.Slashed(), err)
	}
	if first {
		b.back = max(b.back, fromTheStart)
	}
	if b.Tracks, err = choose(cat, c.Tracks); err != nil {
		return nil, err
	}
	for _, t := range b.Tracks {
		init, err := cat.Init(t)
		if err != nil {
			return nil, fmt.Errorf("track %q: %w", t.Name, err)
		}
		b.Inits = append(b.Inits, init)
	}
	return b, nil
}

// readCatalog returns the newest catalog, and whether the broadcast was not
// there yet when it began to ask.
func (b *Broadcast) readCatalog(ctx context.Context) (c *catalog.Catalog, first bool, err error) {
	tr, f, waited, err := b.join(ctx, catalog.TrackName, 0)
	if err != nil {
		return nil, false, err
	}
	defer tr.Close()
	_, published := tr.Largest()
	first = waited || !published
	if f != nil {
		defer f.Close()
		if o, err := f.ReadObject(ctx); err == nil {
			c, err = catalog.Parse(o.Payload)
			return c, first, err
		}
	}
	for o, err := range tr.Objects(ctx) {
		if err != nil {
			return nil, first, err
		}
		if o.Object == 0 { // the others are changes
			c, err = catalog.Parse(o.Payload)
			return c, first, err
		}
	}
	return nil, first, errors.New("the track ended without one")
}

// retryEvery is how often a track that is not there is asked for again, where
// the relay does not hold the request until it is.
const retryEvery = 500 * time.Millisecond

// join subscribes to a track of the broadcast, from back groups before the
// newest on, and waits for it as long as Config.Wait allows. waited says that it
// was not there at once.
func (b *Broadcast) join(ctx context.Context, name string, back uint64) (tr *transport.TrackReader, f *transport.FetchReader, waited bool, err error) {
	var o transport.SubscribeOptions
	for {
		asked := time.Now()
		tr, f, err = b.sess.Join(ctx, b.cfg.Namespace.Track(name), back, &o)
		left := time.Until(b.late)
		var refused *transport.RequestError
		if !errors.As(err, &refused) || left <= 0 || refused.RetryAfter < 0 && refused.Code != moqt.RequestDoesNotExist {
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
