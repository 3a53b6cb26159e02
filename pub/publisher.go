package pub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tributary-live/tributary/internal/backoff"
	"github.com/tributary-live/tributary/pub/bond"
	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/pub/fmp4"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Source is where media comes from: a [*fmp4.Reader] or [*fmp4.Looper].
type Source interface {
	Init() (*fmp4.Init, error)
	Next() (*fmp4.Chunk, error)
}

// PublisherConfig says what a Publisher publishes and where.
type PublisherConfig struct {
	// Namespace is the broadcast's name. It is required.
	Namespace moqt.Namespace
	// Source is the media. It is required.
	Source Source
	// Packager says how it is cut into groups. A FirstGroup of 0 is replaced by
	// the wall clock in milliseconds.
	Packager PackagerConfig
	// Ahead is how far media may run before the clock: what comes faster than
	// it plays is held back beyond that.
	Ahead time.Duration
	// Dial opens a session with the relay. It is required unless there is a Bond.
	Dial func(ctx context.Context) (*transport.Session, error)
	// DialTo opens a session with the relay at uri, which the one before has named
	// when it went away. If it fails, or is nil, Dial is called.
	DialTo func(ctx context.Context, uri string) (*transport.Session, error)
	// Bond says how to reach the relay over several paths, which are added by
	// [Publisher.Bond]. Its Serve is the publisher's. Viewers are told how they
	// fare by the track [PathsTrack]; unless Packager.FirstGroup is set, because
	// twins would tell different things under one name.
	Bond *bond.Config
	// Logger gets what the publisher has to say. If nil, nothing is logged.
	Logger *slog.Logger
}

// Publisher publishes one broadcast to one relay, and goes on when the relay
// comes back.
type Publisher struct {
	cfg       PublisherConfig
	log       *slog.Logger
	broadcast *Broadcast
	bond      *bond.Bond  // or nil
	taken     atomic.Bool // a relay has taken the broadcast, of a bond

	going context.Context // until End
	end   context.CancelFunc
}

// NewPublisher returns a publisher; Run does the work.
func NewPublisher(c PublisherConfig) *Publisher {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Packager.Paths = c.Bond != nil && c.Packager.FirstGroup == 0
	if c.Packager.FirstGroup == 0 {
		c.Packager.FirstGroup = uint64(time.Now().UnixMilli())
	}
	p := &Publisher{cfg: c, log: c.Logger, broadcast: NewBroadcast(c.Namespace)}
	p.going, p.end = context.WithCancel(context.Background())
	if c.Bond != nil {
		bc := *c.Bond
		bc.Serve = p.serveBond
		p.bond = bond.New(bc)
		p.broadcast.stripes = p.bond.Stripes
	}
	// Those who wait for the broadcast subscribe to the catalog first. They are
	// to be there before the media is, so that they miss nothing of it.
	p.broadcast.Track(catalog.TrackName, PriorityCatalog)
	return p
}

// Bond returns the publisher's bond, to add paths and to see how they fare, or nil
// if it has none.
func (p *Publisher) Bond() *bond.Bond { return p.bond }

// End ends the broadcast before its source does: Run tells those who have
// subscribed that the tracks have ended, as at the end of the source, and returns
// nil when they have what was published, or after some seconds. If no relay was
// reached yet, Run returns at once. End may be called at any time, and again.
func (p *Publisher) End() { p.end() }

// drainTime bounds the wait for subscribers to read the end of a broadcast.
const drainTime = 5 * time.Second

// Run connects, publishes until the source ends, and waits until what was
// published last is delivered; see also [Publisher.End]. The first connection must succeed; after that a
// relay that goes away is dialled again for as long as it takes. An error of
// the source, or of a relay that refuses the broadcast for good, ends it.
//
// If ctx ends, the session is closed at once and nothing says that the tracks
// have ended: relays keep their subscribers for a while, for a publisher that
// goes on under the same name. A read of the source that blocks then is not
// waited for.
func (p *Publisher) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	if p.bond != nil {
		wg.Go(func() { cancel(p.bond.Run(ctx)) })
		select {
		case <-p.bond.Reached():
		case <-p.going.Done():
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	} else {
		sess, err := p.dialFirst(ctx)
		if p.going.Err() != nil && sess == nil {
			return nil
		}
		if err != nil {
			return err
		}
		wg.Go(func() { cancel(p.serve(ctx, sess)) })
	}
	var err error
	feeding, stopFeeding := context.WithCancel(ctx)
	defer stopFeeding()
	media := make(chan error, 1)
	go func() { media <- p.feed(feeding) }() // cannot be interrupted where the source is a pipe
	select {
	case err = <-media:
	case <-p.going.Done():
		stopFeeding()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p.broadcast.End()
	drain, stop := context.WithTimeout(ctx, drainTime)
	defer stop()
	p.broadcast.Drain(drain)
	return err
}

// dialFirst is Config.Dial, until End.
func (p *Publisher) dialFirst(ctx context.Context) (*transport.Session, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.going, cancel)()
	return p.cfg.Dial(ctx)
}

// Waits between two attempts to reach the relay.
const (
	redialFirst = 250 * time.Millisecond
	redialMost  = 5 * time.Second
)

// serve keeps a session with the relay, of which sess is the first. It returns
// why there can be none.
func (p *Publisher) serve(ctx context.Context, sess *transport.Session) error {
	retry := backoff.Backoff{First: redialFirst, Most: redialMost}
	for {
		if sess != nil {
			began := time.Now()
			p.log.Info("publishing", "ns", p.cfg.Namespace, "remote", sess.Info().RemoteAddr)
			err := p.broadcast.Serve(ctx, sess)
			sess.Close()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if final := p.final(err); final != nil {
				return final
			}
			p.log.Warn("relay lost", "err", err)
			if time.Since(began) > redialMost {
				retry.Reset()
			}
			if retry.Fresh() { // not again and again: relays may send it in circles
				if next := p.move(ctx, sess); next != nil {
					sess = next
					retry.Skip()
					continue
				}
			}
		}
		if !retry.Wait(ctx) {
			return context.Cause(ctx)
		}
		var err error
		if sess, err = p.cfg.Dial(ctx); err != nil {
			p.log.Warn("relay not reached", "err", err)
			sess = nil
		}
	}
}

// final returns err if another session would end with it as well, and otherwise
// nil.
func (p *Publisher) final(err error) error {
	var refused *transport.RequestError
	switch {
	case errors.Is(err, ErrNameTaken):
		return fmt.Errorf("the relay refuses %s: %w", p.cfg.Namespace.Slashed(), err)
	case errors.As(err, &refused) && refused.RetryAfter < 0 && refused.Code != moqt.RequestGoingAway:
		return err
	}
	return nil
}

// serveBond publishes on a session of the bond, or on one of those that take its
// place at a relay that does not know bonds.
func (p *Publisher) serveBond(ctx context.Context, sess *transport.Session, joined bool) error {
	began := time.Now()
	var err error
	if joined {
		err = p.broadcast.ServeBond(ctx, sess, p.bond)
	} else {
		err = p.broadcast.serveLane(ctx, sess)
	}
	if final := p.final(err); final != nil && ctx.Err() == nil && (!p.taken.Load() || errors.Is(err, ErrNameTaken)) {
		return &bond.Permanent{Err: final}
	}
	if time.Since(began) > takenAfter {
		p.taken.Store(true)
	}
	return err
}

// takenAfter is how long a session was served whose broadcast the relay has taken. A
// refusal later on is no more than that it has not noticed yet that the session is
// gone.
const takenAfter = 2 * time.Second

// move opens a session where the relay of the old one has said to go, if it has.
func (p *Publisher) move(ctx context.Context, old *transport.Session) *transport.Session {
	g, ok := old.PeerGoaway()
	if !ok || g.URI == "" || p.cfg.DialTo == nil {
		return nil
	}
	sess, err := p.cfg.DialTo(ctx, g.URI)
	if err != nil {
		p.log.Warn("relay not reached", "err", err)
		return nil
	}
	return sess
}

// feed reads the source to its end.
func (p *Publisher) feed(ctx context.Context) error {
	in, err := p.cfg.Source.Init()
	if err != nil {
		return err
	}
	pk, err := NewPackager(in, p.cfg.Packager)
	if err != nil {
		return err
	}
	tracks := make(map[string]*Track) // by name; no track of the input is called as PathsTrack
	for _, t := range pk.Tracks() {
		tracks[t.Name] = p.broadcast.Track(t.Name, t.Priority)
	}
	p.broadcast.Complete()
	if t := tracks[PathsTrack]; t != nil {
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		wg.Go(func() { tellPaths(ctx, t, p.cfg.Packager.FirstGroup, p.bond.Status) })
	}
	scale := make(map[uint32]uint32)
	for _, t := range in.Tracks {
		scale[t.ID] = t.Timescale
		p.log.Info("input", "track", t.Kind.String(), "codec", t.Codec)
	}
	pace := pace{ahead: p.cfg.Ahead}
	advisor := newAdvisor(p.log, in)
	for {
		c, err := p.cfg.Source.Next()
		if err != nil {
			publish(tracks, pk.Flush())
			if err == io.EOF {
				p.log.Info("input ended", "objects", pk.Stats().Objects, "dropped", pk.Stats().Dropped)
				return nil
			}
			return err
		}
		if !pace.wait(ctx, fmp4.Duration(c.DTS, scale[c.Track])) {
			return context.Cause(ctx)
		}
		advisor.look(c)
		publish(tracks, pk.Add(c))
		advisor.judge(pk.Stats())
	}
}

func publish(tracks map[string]*Track, items []Item) {
	for _, i := range items {
		t := tracks[i.Track]
		t.add(i.Group, i.Data, i.Key)
		if i.Last {
			t.CloseGroup()
		}
	}
}
