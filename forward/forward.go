// Package forward sends a broadcast that is received on to RTMP servers: video
// platforms, or other people's media servers.
//
// The way of a frame: an object of the subscription is taken apart into frames,
// which are put into decode order over both tracks and then into the queue of
// each target. A target has its own connection and never waits for another; one
// that is slow loses its oldest frames up to a key frame.
package forward

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tributary-live/tributary/pub/fmp4"
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

// Forwarder forwards one broadcast.
type Forwarder struct {
	cfg     Config
	from    *sub.Broadcast
	media   *media
	targets []*target
}

// New prepares to forward b. It fails with a sentence if RTMP cannot carry the
// tracks: one of video and one of sound at most, in codecs that it has.
func New(b *sub.Broadcast, c Config) (*Forwarder, error) {
	if len(c.Targets) == 0 {
		return nil, errors.New("no target to forward to")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.QueueBytes = cmp.Or(c.QueueBytes, 16<<20)
	c.QueueTime = cmp.Or(c.QueueTime, 5*time.Second)
	f := &Forwarder{cfg: c, from: b}
	tracks := make(map[string]*source)
	var formats []*rtmp.Format
	kinds := make(map[rtmp.Kind]string)
	for i, t := range b.Tracks {
		u, err := fmp4.NewUnpacker(b.Inits[i])
		if err != nil {
			return nil, fmt.Errorf("track %q: %w", t.Name, err)
		}
		if u.Track.Kind != fmp4.Video && u.Track.Kind != fmp4.Audio {
			c.Logger.Info("track is not forwarded: RTMP carries video and sound", "track", t.Name)
			continue
		}
		format, err := rtmp.NewFormat(u)
		if err != nil {
			return nil, fmt.Errorf("track %q: %w", t.Name, err)
		}
		if first, taken := kinds[format.Kind]; taken {
			return nil, fmt.Errorf("tracks %q and %q are both %s, and RTMP carries one of each kind: choose one with --track", first, t.Name, u.Track.Kind)
		}
		kinds[format.Kind] = t.Name
		formats = append(formats, format)
		tracks[t.Name] = &source{unpack: u, format: format, lane: len(tracks)}
	}
	if len(formats) == 0 {
		return nil, errors.New("the broadcast has neither video nor sound to forward")
	}
	f.media = newMedia(tracks, f.give)
	for _, u := range c.Targets {
		f.targets = append(f.targets, newTarget(u, &f.cfg, formats))
	}
	return f, nil
}

// give puts a frame into all queues.
func (f *Forwarder) give(x frame) {
	now := time.Now()
	for _, t := range f.targets {
		t.queue.push(x, now)
	}
}

// How long targets have for what is queued, and for saying goodbye, when the
// broadcast has ended, or when the caller has had enough.
const (
	drain = 5 * time.Second
	leave = 2 * time.Second
)

// Run receives the broadcast and forwards it until it ends, which is no error, or
// ctx does, or the subscription fails. Targets that cannot be reached are none:
// they are tried again and again, at longer and longer intervals.
func (f *Forwarder) Run(ctx context.Context) error {
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
	err := f.from.Receive(ctx, f.media.take)
	f.media.flush()
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
