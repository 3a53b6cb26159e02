package sub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/tributary-live/tributary/internal/backoff"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// ReceiverConfig says what a Receiver receives and where.
type ReceiverConfig struct {
	// Config says what to receive. Its Wait bounds also how long nothing may be
	// received when the relay has gone: until that is there again, or another, and
	// the broadcast is. If zero, the first session is the only one.
	Config
	// Dial opens a session with the relay, or with one of several. It is required.
	Dial func(ctx context.Context) (*transport.Session, error)
	// DialTo opens a session with the relay at uri, which the one before has named
	// when it went away. If it fails, or is nil, Dial is called.
	DialTo func(ctx context.Context, uri string) (*transport.Session, error)
}

// Receiver receives a broadcast, or of several cameras the one that is there, and
// goes on when the relay comes back or another takes its place.
type Receiver struct{ cfg ReceiverConfig }

// NewReceiver returns a receiver; Receive or WriteMP4 does the work.
func NewReceiver(c ReceiverConfig) *Receiver {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Receiver{c}
}

// Waits between two attempts to reach the relay.
const (
	redialFirst = 250 * time.Millisecond
	redialMost  = 5 * time.Second
)

// backAgain is how many groups before the newest are asked for at the sessions
// after the first: the running group may have begun on the way from one to the other.
const backAgain = 1

// Receive gives the objects of the broadcast to take, one at a time: those of a
// track in order, each once, over one session after another. Where the broadcast
// goes on at the next session, it does so behind what was given, with what is
// missing of the newest two groups. If it began anew meanwhile, or another camera is
// shown, a Broadcast that is not the one before says so, and the first object is
// the first of a group of its first video track.
//
// The first session must come about. After that the relay is dialled again when
// the session ends, and left for the one that it names, if it can be reached,
// when it sends GOAWAY. Receive returns nil when the broadcast has ended, an error
// if nothing was received for Config.Wait, and take's. Sessions are closed.
func (r *Receiver) Receive(ctx context.Context, take func(*Broadcast, Object) error) error {
	sess, err := r.cfg.Dial(ctx)
	if err != nil {
		return err
	}
	s := &seam{take: take}
	retry := backoff.Backoff{First: redialFirst, Most: redialMost}
	since := time.Now() // since when nothing is received
	for first := true; ; first = false {
		began := time.Now()
		cfg := r.cfg.Config
		cfg.since = since
		if !first {
			cfg.Back = backAgain
			r.cfg.Logger.Info("relay reached", "remote", sess.Info().RemoteAddr)
		}
		next, gone, err := r.session(ctx, sess, cfg, s, func() bool { return retry.Fresh() || time.Since(began) > redialMost })
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case s.failed != nil || !gone:
			return err
		}
		if s.moved() {
			since = time.Now()
		}
		if time.Since(began) > redialMost {
			retry.Reset()
		}
		if next == nil {
			r.cfg.Logger.Warn("relay lost", "err", err)
			if next, err = r.redial(ctx, &retry, since, err); err != nil {
				return err
			}
		} else {
			retry.Skip()
		}
		sess = next
	}
}

// lost reports whether what ended a reception is that its relay went away: not that
// it refused, or that we did not like what it has. A stream may tell of that before
// the session does.
func lost(sess *transport.Session, err error) bool {
	_, ended := errors.AsType[*transport.SessionError](err)
	return err != nil && (ended || errors.Is(err, net.ErrClosed) || sess.Context().Err() != nil || errors.Is(err, transport.ErrGoaway) ||
		errors.Is(err, &transport.TrackDone{Code: moqt.DoneGoingAway}))
}

// redial dials until a session is there, at longer and longer intervals. It gives
// up, and tells why, when nothing has been received for Config.Wait.
func (r *Receiver) redial(ctx context.Context, retry *backoff.Backoff, since time.Time, why error) (*transport.Session, error) {
	limited, cancel := context.WithDeadline(ctx, since.Add(r.cfg.Wait))
	defer cancel()
	for retry.Wait(limited) {
		sess, err := r.cfg.Dial(limited)
		if err == nil {
			return sess, nil
		}
		if limited.Err() == nil {
			r.cfg.Logger.Warn("relay not reached", "err", err)
			why = err
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case r.cfg.Wait == 0:
		return nil, why
	}
	return nil, fmt.Errorf("the relay was lost, and nothing received for %v: %w", r.cfg.Wait, why)
}

// session receives over one session until it ends or the broadcast does, or until
// there is another because the peer has sent GOAWAY, which is returned. The session
// is not left for another before it has settled: relays may send it in circles. gone
// is whether it was the relay that ended it.
func (r *Receiver) session(ctx context.Context, sess *transport.Session, c Config, s *seam, settled func() bool) (next *transport.Session, gone bool, err error) {
	defer sess.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	wg.Go(func() {
		select {
		case <-sess.GoawayReceived():
		case <-ctx.Done():
			return
		}
		if !settled() {
			return
		}
		if next = r.move(ctx, sess); next != nil {
			cancel(transport.ErrGoaway)
		}
	})
	if len(c.Spares) > 0 {
		err = NewCameras(sess, c).Receive(ctx, s.give)
	} else {
		err = receiveOne(ctx, sess, c, s)
	}
	if err != nil && context.Cause(ctx) == transport.ErrGoaway {
		err = transport.ErrGoaway
	}
	cancel(nil)
	wg.Wait()
	if next != nil && (s.failed != nil || !errors.Is(err, transport.ErrGoaway)) {
		next.Close()
		next = nil
	}
	return next, lost(sess, err), err
}

// move opens a session where the relay of the old one has said to go, or where
// Dial leads. It returns nil if there is none.
func (r *Receiver) move(ctx context.Context, old *transport.Session) *transport.Session {
	if g, ok := old.PeerGoaway(); ok && g.URI != "" && r.cfg.DialTo != nil {
		sess, err := r.cfg.DialTo(ctx, g.URI)
		if err == nil {
			return sess
		}
		r.cfg.Logger.Warn("relay not reached", "err", err)
	}
	sess, err := r.cfg.Dial(ctx)
	if err != nil && ctx.Err() == nil {
		r.cfg.Logger.Warn("relay not reached", "err", err)
	}
	if err != nil {
		return nil
	}
	return sess
}

// receiveOne receives the broadcast of c over one session.
func receiveOne(ctx context.Context, sess *transport.Session, c Config, s *seam) error {
	b, err := Open(ctx, sess, c)
	if err != nil {
		return err
	}
	if s.from == nil {
		return b.Receive(ctx, func(o Object) error { return s.give(b, o) })
	}
	reel, begun := newReel(b, nil), false
	return b.Receive(ctx, func(o Object) error {
		if begun {
			return reel.give(o, s.give)
		}
		if reel.hold(o, true); !reel.ready() {
			return nil
		}
		begun = true
		return reel.release(s.give)
	})
}

// WriteMP4 receives and writes to w as fragmented MP4 whose time goes on, over
// whatever sessions it comes, as [Cameras.WriteMP4] does.
func (r *Receiver) WriteMP4(ctx context.Context, w io.Writer) error {
	s := splice{w: w, log: r.cfg.Logger}
	return r.Receive(ctx, s.write)
}
