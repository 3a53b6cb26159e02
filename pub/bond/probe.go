package bond

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Treatment is what a relay does with two publishers of one track.
type Treatment uint8

const (
	Unknown    Treatment = iota
	Merges               // it passes on each object once, whoever brings it
	Doubles              // it passes on what both bring twice
	NewestWins           // it listens to the one that came last
	OldestWins           // it listens to the one that came first
	Refuses              // it refuses the second
)

func (t Treatment) String() string {
	return [...]string{"unknown", "merges", "doubles", "newest wins", "oldest wins", "refuses"}[t]
}

const (
	probeTime = 15 * time.Second // for all of a probe
	probeWait = 2 * time.Second  // for a subscription, and for objects
)

// Probe finds out what the relay of three sessions does with two publishers: first
// and second publish a track of a name that nobody else has, and watcher subscribes
// to it. Nothing else may be served on the sessions, which are closed if it takes too
// long, and nothing that others publish or watch is touched.
func Probe(ctx context.Context, first, second, watcher *transport.Session) (Treatment, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	for _, sess := range []*transport.Session{first, second, watcher} {
		defer context.AfterFunc(ctx, func() { sess.Close() })() // ends writes that wait
	}
	name := moqt.NS("probe", strings.ToLower(rand.Text())).Track("probe")
	a, err := publishProbe(ctx, first, name)
	if err != nil {
		return Unknown, err
	}
	b, err := publishProbe(ctx, second, name)
	if errors.As(err, new(*transport.RequestError)) {
		return Refuses, nil
	}
	if err != nil {
		return Unknown, err
	}
	rd, err := watcher.Subscribe(ctx, name, nil)
	if err != nil {
		return Unknown, fmt.Errorf("subscribe to the probe: %w", err)
	}
	defer rd.Close()
	wa, wb := a.writer(ctx), b.writer(ctx)
	switch {
	case wa == nil && wb == nil:
		return Unknown, errors.New("the relay answered a subscription and asked nobody")
	case wb == nil:
		return OldestWins, nil
	case wa == nil || a.ctx.Err() != nil:
		return NewestWins, nil
	}
	// What both bring comes first: a relay may want to see that they are the same.
	for group, writers := range [][]*transport.TrackWriter{{wa, wb}, {wa}, {wb}, {wa, wb}} {
		for _, w := range writers {
			writeProbe(ctx, w, uint64(group))
		}
		if group == 0 {
			pause(ctx, probeWait/10)
		}
	}
	seen := make(map[moqt.Location]int)
	reading, stop := context.WithTimeout(ctx, probeWait)
	defer stop()
	for o, err := range rd.Objects(reading) {
		if err != nil {
			break
		}
		if o.Group < probeGroups && o.Location.Object < probeObjects {
			seen[o.Location]++
		}
	}
	return judgeProbe(seen)
}

// A probe has so many groups of so many objects.
const (
	probeGroups  = 4
	probeObjects = 2
)

// judgeProbe says what the relay did by how often each object came.
func judgeProbe(seen map[moqt.Location]int) (Treatment, error) {
	var have [probeGroups]bool // that are whole
	doubled := false
	for group := range have {
		have[group] = true
		for id := range uint64(probeObjects) {
			n := seen[moqt.Location{Group: uint64(group), Object: id}]
			have[group] = have[group] && n > 0
			doubled = doubled || n > 1
		}
	}
	switch {
	case have == [probeGroups]bool{true, true, true, true} && doubled:
		return Doubles, nil
	case have == [probeGroups]bool{true, true, true, true}:
		return Merges, nil
	case have[1] && !have[2]:
		return OldestWins, nil
	case have[2] && !have[1]:
		return NewestWins, nil
	}
	return Unknown, fmt.Errorf("of a probe's groups these came whole: %v", have)
}

// probing is a publisher of a probe.
type probing struct {
	ctx  context.Context // of the announcement
	subs chan *transport.TrackWriter
}

// publishProbe announces the probe on a session and accepts the first subscription
// to it, until ctx ends.
func publishProbe(ctx context.Context, sess *transport.Session, name moqt.TrackName) (*probing, error) {
	announced, err := sess.Announce(ctx, name.Namespace)
	if err != nil {
		return nil, fmt.Errorf("announce the probe: %w", err)
	}
	p := &probing{announced.Context(), make(chan *transport.TrackWriter, 1)}
	go func() { // ends with ctx
		for {
			req, err := sess.Accept(ctx)
			if err != nil {
				return
			}
			sub, ok := req.(*transport.SubscribeRequest)
			if !ok || sub.Track != name {
				req.Reject(moqt.RequestNotSupported, "a probe has one track and no past")
				continue
			}
			if w, err := sub.Accept(nil); err == nil {
				select {
				case p.subs <- w:
				default:
				}
			}
		}
	}()
	return p, nil
}

// writer waits for the relay's subscription. It returns nil if there is none.
func (p *probing) writer(ctx context.Context) *transport.TrackWriter {
	late := time.NewTimer(probeWait)
	defer late.Stop()
	select {
	case w := <-p.subs:
		return w
	case <-late.C:
	case <-ctx.Done():
	}
	return nil
}

// writeProbe sends a group. A relay that has left shows by what comes.
func writeProbe(ctx context.Context, w *transport.TrackWriter, group uint64) {
	sg, err := w.OpenGroup(ctx, group)
	for id := uint64(0); err == nil && id < probeObjects; id++ {
		err = sg.WriteObject(moqt.Object{Location: moqt.Location{Group: group, Object: id}, Payload: fmt.Appendf(nil, "probe %d/%d", group, id)})
	}
	if err == nil {
		sg.Close()
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// probeAgain is how long after one probe that told nothing the next may be.
const probeAgain = time.Minute

// askLocked probes a relay that does not know bonds once two paths lead there.
func (b *Bond) askLocked(now time.Time) {
	var alone []*route
	for _, r := range b.paths {
		if r.alone != nil && r.URL == "" {
			alone = append(alone, r)
		}
	}
	if len(alone) < 2 || b.ctx == nil || b.treatment != Unknown || now.Sub(b.asked) < probeAgain {
		return
	}
	b.asked = now
	ctx := b.ctx
	b.wg.Go(func() { b.ask(ctx, alone[0], alone[1]) })
}

// ask probes on sessions of its own. If the relay merges, all paths publish.
func (b *Bond) ask(ctx context.Context, first, second *route) {
	var sessions []*transport.Session
	for _, r := range []*route{first, second, first} {
		sess, err := b.dial(ctx, r, &connection{b: b, route: r})
		if err != nil {
			b.log.Debug("relay not probed", "path", r.Name, "err", err)
			return
		}
		defer sess.Close()
		sessions = append(sessions, sess)
	}
	t, err := Probe(ctx, sessions[0], sessions[1], sessions[2])
	if err != nil {
		b.log.Debug("relay not probed", "err", err)
		return
	}
	b.log.Info("relay probed", "implementation", sessions[0].PeerImplementation(), "status", t.String())
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.treatment != Unknown {
		return // another was sooner
	}
	if b.treatment = t; t == Merges {
		b.stripes.Store(b.cfg.Mode == Aggregate)
		close(b.merging)
	}
}
