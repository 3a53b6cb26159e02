// Package forward sends a broadcast that is received on to RTMP servers: video
// platforms, or other people's media servers.
//
// The way of a frame: an object of the subscription is taken apart into frames,
// which are put into decode order over both tracks and then into the queue of
// each target. A target has its own connection and never waits for another; one
// that is slow loses its oldest frames up to a key frame.
package forward

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tributary-live/tributary/rtmp"
	"github.com/tributary-live/tributary/sub"
)

// Config says where a broadcast goes.
type Config struct {
	// Targets are where to publish. At least one is required.
	Targets []*rtmp.URL
	// RTMP is how they are reached. If nil, its zero value.
	RTMP *rtmp.Config
	// QueueBytes bounds what waits for one target. If zero, it is 16 MiB.
	QueueBytes int
	// QueueTime bounds how long a frame waits for a target that takes others. If
	// zero, it is 5 s.
	QueueTime time.Duration
	// Report, if not nil, gets the state of all targets each second and at the end,
	// in the order of Targets. It must not block.
	Report func([]Status)
	// Logger gets what there is to say. If nil, nothing is logged.
	Logger *slog.Logger
}

// Source is what is forwarded: a [*sub.Cameras], or the [Only] broadcast. One
// broadcast may follow another, from the first object of a group on.
type Source interface {
	Receive(ctx context.Context, take func(*sub.Broadcast, sub.Object) error) error
}

// Only makes a Source of one broadcast.
func Only(b *sub.Broadcast) Source { return only{b} }

type only struct{ b *sub.Broadcast }

func (o only) Receive(ctx context.Context, take func(*sub.Broadcast, sub.Object) error) error {
	return o.b.Receive(ctx, func(x sub.Object) error { return take(o.b, x) })
}

// Forwarder forwards to a set of targets.
type Forwarder struct {
	cfg     Config
	targets []*target
}

// New returns a forwarder; Run does the work.
func New(c Config) (*Forwarder, error) {
	if len(c.Targets) == 0 {
		return nil, errors.New("no target to forward to")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.QueueBytes == 0 {
		c.QueueBytes = 16 << 20
	}
	if c.QueueTime == 0 {
		c.QueueTime = 5 * time.Second
	}
	f := &Forwarder{cfg: c}
	for _, u := range c.Targets {
		f.targets = append(f.targets, newTarget(u, &f.cfg))
	}
	return f, nil
}

// How long targets have for what is queued, and for saying goodbye, when the
// broadcast has ended, or when the caller has had enough.
const (
	drain = 5 * time.Second
	leave = 2 * time.Second
)

// Run receives from and forwards it until it ends, which is no error, or ctx does,
// or the subscription fails, or RTMP cannot carry the tracks: one of video and one
// of sound at most, in codecs that it has. Targets that cannot be reached are no
// error: they are tried again and again, at longer and longer intervals. Run is
// called once.
func (f *Forwarder) Run(ctx context.Context, from Source) error {
	feeding, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var targets, report sync.WaitGroup
	for _, t := range f.targets {
		targets.Go(func() { t.run(feeding) })
	}
	over := make(chan struct{})
	if f.cfg.Report != nil {
		report.Go(func() { f.report(over) })
	}
	m := newMedia(f.cfg.Logger, f.give)
	err := from.Receive(ctx, m.take)
	m.flush()
	for _, t := range f.targets {
		t.queue.close()
	}
	most := drain
	if ctx.Err() != nil {
		most = leave
	}
	defer time.AfterFunc(most, cancel).Stop()
	targets.Wait()
	close(over)
	report.Wait()
	return err
}

// give puts a frame into all queues.
func (f *Forwarder) give(x frame) {
	now := time.Now()
	for _, t := range f.targets {
		t.queue.push(x, now)
	}
}

// report reports until over.
func (f *Forwarder) report(over <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.cfg.Report(f.Status())
		case <-over:
			f.cfg.Report(f.Status())
			return
		}
	}
}

// Status returns the state of all targets, in the order of [Config.Targets]. It
// may be called at any time.
func (f *Forwarder) Status() []Status {
	var list []Status
	for _, t := range f.targets {
		list = append(list, t.status())
	}
	return list
}
