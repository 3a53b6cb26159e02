// Package sub receives a broadcast: it reads the catalog, subscribes to the
// tracks, and gives their objects in order, or writes them as one fragmented
// MP4 that players take from a pipe.
package sub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
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
	// relay or publisher holds them.
	Back uint64
	// Wait is how long to wait for the broadcast to begin. If zero, not at all.
	Wait time.Duration
	// Logger gets what there is to say. If nil, nothing is logged.
	Logger *slog.Logger
}

// Object is an object of a track of the broadcast.
type Object struct {
	Track string
	moqt.Object
	Arrival time.Time // when its last byte was read
}

// Broadcast is a broadcast that is received.
type Broadcast struct {
	cfg    Config
	sess   *transport.Session
	Tracks []catalog.Track // those received
	Inits  [][]byte        // CMAF header of each
}

// Open waits for the broadcast's catalog and chooses the tracks.
func Open(ctx context.Context, sess *transport.Session, c Config) (*Broadcast, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	b := &Broadcast{cfg: c, sess: sess}
	cat, err := b.readCatalog(ctx)
	if err != nil {
		return nil, fmt.Errorf("catalog of %s: %w", c.Namespace.Slashed(), err)
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

// retryEvery is how often a broadcast that is not there is asked for again. A
// relay holds the request itself where it can.
const retryEvery = 500 * time.Millisecond

// readCatalog returns the newest catalog.
func (b *Broadcast) readCatalog(ctx context.Context) (*catalog.Catalog, error) {
	deadline := time.Now().Add(b.cfg.Wait)
	name := b.cfg.Namespace.Track(catalog.TrackName)
	for {
		left := max(0, time.Until(deadline))
		tr, f, err := b.sess.Join(ctx, name, 0, &transport.SubscribeOptions{Rendezvous: left})
		var refused *transport.RequestError
		if errors.As(err, &refused) && refused.RetryAfter >= 0 && time.Now().Before(deadline) {
			t := time.NewTimer(min(max(refused.RetryAfter, retryEvery), time.Until(deadline)))
			select {
			case <-t.C:
				continue
			case <-ctx.Done():
				t.Stop()
				return nil, ctx.Err()
			}
		}
		if err != nil {
			return nil, err
		}
		defer tr.Close()
		if f != nil {
			defer f.Close()
			if o, err := f.ReadObject(ctx); err == nil {
				return catalog.Parse(o.Payload)
			}
		}
		for o, err := range tr.Objects(ctx) {
			if err != nil {
				return nil, err
			}
			if o.Object == 0 {
				return catalog.Parse(o.Payload)
			}
		}
		return nil, errors.New("the track ended without one")
	}
}

// choose picks the tracks named, or the first of each role.
func choose(c *catalog.Catalog, names []string) ([]catalog.Track, error) {
	var chosen []catalog.Track
	var there []string
	roles := make(map[string]bool)
	for _, t := range c.Tracks {
		there = append(there, t.Name)
		if t.Packaging != catalog.PackagingCMAF {
			continue
		}
		if len(names) > 0 {
			if slices.Contains(names, t.Name) {
				chosen = append(chosen, t)
			}
			continue
		}
		if !roles[t.Role] {
			roles[t.Role] = true
			chosen = append(chosen, t)
		}
	}
	if len(names) > len(chosen) || len(chosen) == 0 {
		return nil, fmt.Errorf("the broadcast has tracks %q; not all of %q are among them as CMAF", there, names)
	}
	return chosen, nil
}

// Receive subscribes to the tracks and gives every object to take, one at a
// time: those of a track in order. It returns nil when all tracks have ended,
// else the first error, take's included.
func (b *Broadcast) Receive(ctx context.Context, take func(Object) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, t := range b.Tracks {
		wg.Go(func() {
			err := b.receive(ctx, t.Name, func(o moqt.Object) error {
				mu.Lock()
				defer mu.Unlock()
				return take(Object{t.Name, o, time.Now()})
			})
			if err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// receive gives one track's objects in order.
func (b *Broadcast) receive(ctx context.Context, name string, take func(moqt.Object) error) error {
	tr, f, err := b.sess.Join(ctx, b.cfg.Namespace.Track(name), b.cfg.Back, nil)
	if err != nil {
		return fmt.Errorf("track %q: %w", name, err)
	}
	defer tr.Close()
	o := order{take: take}
	if f != nil {
		defer f.Close()
		for {
			obj, err := f.ReadObject(ctx)
			if err == io.EOF {
				break
			}
			if err != nil {
				b.cfg.Logger.Warn("the past is incomplete", "track", name, "err", err)
				break
			}
			if err := o.give(obj); err != nil {
				return err
			}
		}
	}
	err = o.follow(ctx, tr)
	var done *transport.TrackDone
	if errors.As(err, &done) && done.Code == moqt.DoneTrackEnded {
		return nil
	}
	if err != nil {
		return fmt.Errorf("track %q: %w", name, err)
	}
	return nil
}

// patience is how long a stream is read on without progress once a newer
// group's is there.
const patience = 2 * time.Second

// order brings the objects of a track's streams into the order of their ids.
type order struct {
	take func(moqt.Object) error
	last moqt.Location
	any  bool
}

// give hands on o unless it is not after all that were.
func (r *order) give(o moqt.Object) error {
	if r.any && !r.last.Less(o.Location) {
		return nil
	}
	r.last, r.any = o.Location, true
	if o.Status != moqt.StatusNormal {
		return nil
	}
	return r.take(o)
}

// follow reads the subscription's streams one after another, until it ends.
func (r *order) follow(ctx context.Context, tr *transport.TrackReader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := make(chan *transport.SubgroupReader, 64)
	var ended error
	var mu sync.Mutex
	var current *transport.SubgroupReader
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		defer close(queue)
		for {
			sg, err := tr.AcceptSubgroup(ctx)
			if err != nil {
				ended = err
				return
			}
			mu.Lock()
			if old := current; old != nil && old.Header().Group < sg.Header().Group {
				time.AfterFunc(patience, func() { old.Cancel(moqt.StreamCancelled) })
			}
			mu.Unlock()
			select {
			case queue <- sg:
			case <-ctx.Done():
				ended = ctx.Err()
				return
			}
		}
	})
	for sg := range queue {
		mu.Lock()
		current = sg
		mu.Unlock()
		stop := context.AfterFunc(ctx, func() { sg.Cancel(moqt.StreamCancelled) })
		for {
			o, err := sg.ReadObject()
			if err != nil {
				break
			}
			if err := r.give(o); err != nil {
				stop()
				return err
			}
		}
		stop()
	}
	return ended
}
