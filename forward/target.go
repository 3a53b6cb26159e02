package forward

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tributary-live/tributary/rtmp"
)

// State is what a target is doing.
type State string

const (
	Waiting    State = "waiting"    // for the broadcast's next key frame
	Connecting State = "connecting" // or shaking hands
	Sending    State = "sending"
	Retrying   State = "retrying" // after a failure, in a while
	Ended      State = "ended"
)

// Status is how a target fares. Its counts are since the beginning, over all
// connections.
type Status struct {
	Target     string `json:"target"` // URL without the key
	State      State  `json:"state"`
	Bytes      uint64 `json:"bytes"`      // sent, RTMP's own included
	Frames     uint64 `json:"frames"`     // sent
	Dropped    uint64 `json:"dropped"`    // frames that were not sent
	Reconnects uint64 `json:"reconnects"` // connections that took the stream after the first
	QueueBytes int    `json:"queue_bytes"`
	Err        string `json:"err,omitempty"` // why it is not sending, or of the last failure
}

// target is one server that the broadcast goes to.
type target struct {
	url   *rtmp.URL
	cfg   *Config
	queue *queue

	mu          sync.Mutex // guards what follows
	state       State
	err         error
	pub         *rtmp.Publication // while sending
	bytes       uint64            // of connections that have ended
	frames      uint64
	connections uint64
	strays      uint64 // frames without a place on the connection's time line
}

func newTarget(u *rtmp.URL, c *Config) *target {
	return &target{url: u, cfg: c, queue: newQueue(c.QueueBytes, c.QueueTime), state: Waiting}
}

func (t *target) status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Status{Target: t.url.String(), State: t.state, Bytes: t.bytes, Frames: t.frames, Dropped: t.strays, Reconnects: max(t.connections, 1) - 1}
	if t.pub != nil {
		s.Bytes += t.pub.BytesSent()
	}
	if t.err != nil {
		s.Err = t.err.Error()
	}
	t.queue.mu.Lock()
	defer t.queue.mu.Unlock()
	s.Dropped += t.queue.dropped
	s.QueueBytes = t.queue.bytes
	return s
}

func (t *target) set(s State, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state, t.err = s, err
}

// Waits between connections. A server may still hold the stream of the connection
// before, and refuse another until it has noticed.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
	// wellAfter is how long a connection must have lasted for the next wait to be
	// the first again.
	wellAfter = 30 * time.Second
)

// run keeps the target fed until the queue is closed and empty, or ctx ends.
func (t *target) run(ctx context.Context) {
	log := t.cfg.Logger.With("remote", t.url.String())
	defer t.set(Ended, nil)
	retry := firstRetry
	// A platform ends streams that say nothing. So one is begun with a frame at hand.
	for t.queue.wait(ctx, nil) {
		h := t.queue.head()
		if h == nil {
			continue // dropped meanwhile
		}
		began := time.Now()
		t.set(Connecting, nil)
		pub, err := rtmp.Publish(ctx, t.url, t.cfg.RTMP, h.formats...)
		if err == nil {
			log.Info("target takes the stream")
			began = time.Now()
			err = t.send(ctx, pub, h, log)
		}
		if ctx.Err() != nil || err == nil {
			return
		}
		if errors.Is(err, errOtherCodec) {
			continue
		}
		t.queue.lose()
		if time.Since(began) >= wellAfter {
			retry = firstRetry
		}
		wait := retry + rand.N(retry/4) // not all at once, where one server has several
		retry = min(2*retry, lastRetry)
		err = fmt.Errorf("%w; %s", err, rtmp.Advice(err))
		log.Warn("target failed, will be tried again", "err", err, "dur", wait.Round(time.Millisecond))
		t.set(Retrying, err)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-t.queue.end:
			timer.Stop()
			return
		case <-ctx.Done():
			timer.Stop()
			return
		}
		t.set(Waiting, err)
	}
}

// sayAgain is how often the log tells that a target is too slow.
const sayAgain = 30 * time.Second

// errOtherCodec ends a connection on which the next frame has no place.
var errOtherCodec = errors.New("the codec has changed")

var errHungUp = errors.New("the server has ended the connection")

// send publishes frames until it fails, or nothing more comes: then it says
// goodbye and returns nil. h is what the connection was made for.
func (t *target) send(ctx context.Context, pub *rtmp.Publication, h *head, log *slog.Logger) error {
	t.mu.Lock()
	t.state, t.pub = Sending, pub
	t.connections++
	t.mu.Unlock()
	t.queue.found()
	stop := context.AfterFunc(ctx, pub.Abort)
	defer func() {
		stop()
		t.mu.Lock()
		t.bytes, t.pub = t.bytes+pub.BytesSent(), nil
		t.mu.Unlock()
		pub.Abort()
	}()
	var line timeline
	var told *head
	late, said := t.late(), time.Time{}
	for {
		if !t.queue.wait(ctx, pub.Done()) {
			break
		}
		if next := t.queue.head(); next != nil && !next.fits(h) {
			log.Info("target gets another codec on a new connection")
			pub.Close()
			return errOtherCodec
		}
		f, ok := t.queue.next()
		if !ok {
			continue
		}
		at, ok := line.place(f)
		if !ok {
			t.count(&t.strays)
			continue
		}
		if f.head != told {
			if err := announce(pub, f.head, at); err != nil {
				return err
			}
			told = f.head
		}
		if err := pub.Write(f.kind, at, f.body); err != nil {
			return err
		}
		t.count(&t.frames)
		if n := t.late(); n > late && time.Since(said) >= sayAgain {
			log.Warn("target is too slow", "err", fmt.Errorf("%d frames were dropped up to a key frame; check that the bitrate fits the way there", n-late))
			late, said = n, time.Now()
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case t.queue.over():
		pub.Close()
		return nil
	case errors.As(pub.Err(), new(*rtmp.RefusedError)):
		return pub.Err()
	}
	return fmt.Errorf("%w: %w", errHungUp, pub.Err())
}

// announce sends what goes before the frames of h.
func announce(pub *rtmp.Publication, h *head, at time.Duration) error {
	meta, err := rtmp.Metadata("Tributary", h.formats...)
	if err != nil {
		return err
	}
	if err := pub.Write(rtmp.Data, at, meta); err != nil {
		return err
	}
	for _, f := range h.formats {
		if err := pub.Write(f.Kind, at, f.Header()); err != nil {
			return err
		}
	}
	return nil
}

func (t *target) count(n *uint64) {
	t.mu.Lock()
	*n++
	t.mu.Unlock()
}

func (t *target) late() uint64 {
	t.queue.mu.Lock()
	defer t.queue.mu.Unlock()
	return t.queue.late
}
