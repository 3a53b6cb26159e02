package bond

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tributary-live/tributary/internal/backoff"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
)

// Waits between two attempts to connect over a path.
const (
	redialFirst = 250 * time.Millisecond
	redialMost  = 4 * time.Second
)

// tellAgain is how often a path is said to be lost that does not come back: its error
// is in [PathStatus] all the time.
const tellAgain = time.Minute

// keep keeps one connection over r, the slot-th, until ctx ends.
func (b *Bond) keep(ctx context.Context, r *route, slot int) {
	defer b.leave(r)
	retry := backoff.Backoff{First: redialFirst, Most: redialMost}
	var told time.Time
	for ctx.Err() == nil && b.wanted(r, slot) {
		began := time.Now()
		err := b.connect(ctx, r, slot)
		var permanent *Permanent
		switch {
		case ctx.Err() != nil, err == errMoved:
			return
		case errors.As(err, &permanent):
			b.fail(permanent)
			return
		case errors.Is(err, errUnwanted), errors.Is(err, errSpared):
			continue
		case errors.Is(err, transport.ErrGoaway) && time.Since(began) > redialMost: // otherwise it would be asked without end
			retry.Reset()
			continue
		}
		level := slog.LevelDebug
		if b.wasUp(r) || time.Since(told) >= tellAgain {
			level, told = slog.LevelWarn, time.Now()
		}
		b.log.Log(ctx, level, "path lost", "path", r.Name, "err", err)
		if time.Since(began) > redialMost {
			retry.Reset()
		}
		retry.WaitHint(ctx, r.retry)
	}
}

// errMoved ends a connection that another has taken the place of.
var errMoved = errors.New("the session had moved to another path")

// errUnwanted ends a connection that its path has too many of.
var errUnwanted = errors.New("the path needs fewer connections")

// wanted reports whether r still needs its slot-th connection.
func (b *Bond) wanted(r *route, slot int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slot < r.want
}

// wasUp reports whether the last connection over r had come about.
func (b *Bond) wasUp(r *route) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return r.err == nil
}

// leave notes that a goroutine of [Bond.keep] ends.
func (b *Bond) leave(r *route) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.slots--
}

// connect opens a connection over r and publishes on it until it ends.
func (b *Bond) connect(ctx context.Context, r *route, slot int) error {
	c := &connection{b: b, route: r, slot: slot, id: b.number(), answer: make(chan bond.Message, 1), open: make(map[bond.Object]*chunkStream)}
	sess, err := b.dial(ctx, r, c)
	if err != nil {
		b.failed(r, err)
		return err
	}
	defer sess.Close()
	c.sess = sess
	joined, err := c.join(ctx)
	if err != nil {
		b.failed(r, err)
		return err
	}
	b.mu.Lock()
	if !b.reached {
		close(b.ok)
	}
	b.reached, r.err, r.tried = true, nil, true
	b.mu.Unlock()
	if !joined {
		err := c.alone(ctx)
		b.mu.Lock()
		defer b.mu.Unlock()
		if permanent := (*Permanent)(nil); c.moved && !errors.As(err, &permanent) {
			return errMoved
		}
		return err
	}
	return c.run(ctx)
}

// number returns the number of a new connection.
func (b *Bond) number() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	return b.last - 1
}
