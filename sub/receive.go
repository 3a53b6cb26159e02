package sub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Object is an object of a track of the broadcast.
type Object struct {
	Track string
	moqt.Object
	Arrival time.Time // when its last byte was read
	// New says that it was published after the subscription began, and not one of
	// those that were held before.
	New bool
}

// Receive subscribes to the tracks and gives every object to take, one at a
// time: those of a track in order, each once. It returns nil when all tracks
// have ended, else the first error, take's included.
func (b *Broadcast) Receive(ctx context.Context, take func(Object) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, t := range b.Tracks {
		wg.Go(func() {
			err := b.receive(ctx, t.Name, func(o moqt.Object, new bool) error {
				arrival := time.Now()
				mu.Lock()
				defer mu.Unlock()
				return take(Object{t.Name, o, arrival, new})
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
func (b *Broadcast) receive(ctx context.Context, name string, take func(o moqt.Object, new bool) error) error {
	tr, f, _, err := b.join(ctx, name, b.back)
	if err != nil {
		return fmt.Errorf("track %q: %w", name, err)
	}
	defer tr.Close()
	o := order{take: func(o moqt.Object) error { return take(o, false) }}
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
	o.take = func(o moqt.Object) error { return take(o, true) }
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
