package multipath

import (
	"context"
	"errors"
	"sync"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// single is a plain session over the first link that is plugged in: what a
// publisher is without a bond. It sends everything, however late.
type single struct {
	load   Load
	url    string
	ctx    context.Context
	cancel context.CancelFunc
	sess   *transport.Session
	queues [tracks]*queue
	tracks [tracks]*transport.TrackWriter
	wg     sync.WaitGroup
}

func newSingle(s *Scenario, url string) *single {
	ctx, cancel := context.WithCancel(context.Background())
	p := &single{load: s.Load, url: url, ctx: ctx, cancel: cancel}
	for i := range p.queues {
		p.queues[i] = newQueue()
	}
	return p
}

func (p *single) plug(ctx context.Context, _ string, _ *Link, l link) error {
	if p.sess != nil {
		return nil
	}
	var err error
	if p.sess, err = dialer(l, &transport.Config{}).Dial(ctx, p.url); err != nil {
		return err
	}
	for i := range p.load.tracks() {
		if p.tracks[i], err = p.sess.Publish(ctx, names[i], nil); err != nil {
			return err
		}
		p.wg.Go(func() { p.write(p.tracks[i], p.queues[i]) })
	}
	return nil
}

func (p *single) unplug(string) {}

func (p *single) ready(ctx context.Context) error {
	for _, t := range p.tracks {
		for t != nil && !t.State().Forward {
			select {
			case <-t.Changed():
			case <-t.Context().Done():
				return errors.New("the relay has ended the track")
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

func (p *single) send(u *unit) { p.queues[u.track].put(u) }

// write sends the units of a track one after another, each group on a stream.
func (p *single) write(t *transport.TrackWriter, q *queue) {
	var g *transport.SubgroupWriter
	for {
		u, err := q.take(p.ctx)
		if err != nil {
			return
		}
		if u.object == 0 {
			if g, err = t.OpenGroup(p.ctx, u.group); err != nil {
				return
			}
		}
		if g == nil {
			continue
		}
		if err := g.WriteObject(moqt.Object{Location: moqt.Location{Group: u.group, Object: u.object}, Payload: u.payload}); err != nil {
			g = nil
			continue
		}
		if u.last {
			g.Close()
		}
	}
}

func (p *single) advice() int64 { return 0 }

func (p *single) copied() (first, again int64) { return 0, 0 }

func (p *single) close() {
	p.cancel()
	if p.sess != nil {
		p.sess.Close()
	}
	p.wg.Wait()
}

// queue holds units that wait to be sent. It has no bound: what is late is what is
// measured.
type queue struct {
	wake chan struct{} // with room for one

	mu    sync.Mutex // guards units
	units []*unit
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

func (q *queue) put(u *unit) {
	q.mu.Lock()
	q.units = append(q.units, u)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take waits for the next unit. It has one caller.
func (q *queue) take(ctx context.Context) (*unit, error) {
	for {
		q.mu.Lock()
		if len(q.units) > 0 {
			u := q.units[0]
			q.units = q.units[1:]
			q.mu.Unlock()
			return u, nil
		}
		q.mu.Unlock()
		select {
		case <-q.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
