package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/relay/cache"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// track is a track that somebody asks for or publishes. It lives while it has
// users (subscriptions, fetches, publishers by PUBLISH) and a while longer.
type track struct {
	r    *Relay
	name moqt.TrackName
	log  *cache.Track
	ctx  context.Context // ends with the track
	stop context.CancelFunc
	hint chan struct{} // cap 1: a token when a relay may have come to have it
	// maxCache is MAX_CACHE_DURATION in ns, 0 if there is none.
	maxCache atomic.Int64

	mu       sync.Mutex // guards what follows
	users    int
	linger   *time.Timer // runs while users is 0
	sources  map[*peer]*source
	refused  map[*peer]bool // publishers that contradicted; not asked again
	pending  int            // attempts to get a source that have not ended
	lookups  int            // lookups under way, or done without a source
	failed   error          // the last attempt's
	props    moqt.Properties
	told     moqt.Location // the largest that a publisher told
	hasTold  bool
	live     bool                // a source is, or was, Established
	filling  int                 // sources that are fetching the head of the running group
	changed  chan struct{}       // closed and replaced at each change of the above
	orphan   *time.Timer         // runs while there are subscribers and no source
	tried    map[*peer]time.Time // when each publisher was last asked
	again    *time.Timer         // runs while publishers are to be asked anew
	sinks    map[*sink]struct{}
	flights  []*flight
	vain     []vain
	dynamic  bool          // its publisher begins groups on request
	wants    *uint64       // NEW_GROUP_REQUEST for the first SUBSCRIBE to a publisher
	asked    *groupRequest // the last that was sent
	waiting  map[*peer]int // subscribers that wait for a publisher to come
	seeking  bool          // seek runs
	over     bool
	overCode moqt.DoneCode
	overWhy  string
}

// hold returns the track of a name and counts a user; release must follow.
func (r *Relay) hold(name moqt.TrackName) (*track, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, &transport.RequestError{Code: moqt.RequestGoingAway, Reason: "the relay is shutting down", RetryAfter: -1}
	}
	t := r.tracks[name]
	if t == nil {
		t = &track{
			r: r, name: name, log: cache.NewTrack(r.cfg.Cache),
			sources: make(map[*peer]*source), refused: make(map[*peer]bool), tried: make(map[*peer]time.Time),
			sinks: make(map[*sink]struct{}), waiting: make(map[*peer]int), changed: make(chan struct{}), hint: make(chan struct{}, 1),
		}
		t.ctx, t.stop = context.WithCancel(r.ctx)
		r.tracks[name] = t
		r.m.tracks.Inc()
	}
	t.mu.Lock()
	t.users++
	if t.linger != nil {
		t.linger.Stop()
		t.linger = nil
	}
	t.mu.Unlock()
	return t, nil
}

// release gives a track back. The last user's starts its linger.
func (t *track) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.users--; t.users > 0 || t.over {
		return
	}
	linger := t.r.cfg.Linger
	if !t.live {
		linger = 0 // nobody has it: a name that was asked for costs nothing
	}
	t.linger = time.AfterFunc(linger, func() {
		t.r.mu.Lock()
		t.mu.Lock()
		unused := t.users == 0 && !t.over
		t.mu.Unlock()
		if unused && t.r.tracks[t.name] == t {
			delete(t.r.tracks, t.name)
		}
		t.r.mu.Unlock()
		if unused {
			t.end(moqt.DoneTrackEnded, "")
		}
	})
}

// end ends the track for all its subscribers and lets its publishers go.
func (t *track) end(code moqt.DoneCode, why string) {
	t.r.mu.Lock()
	if t.r.tracks[t.name] == t {
		delete(t.r.tracks, t.name)
	}
	t.r.mu.Unlock()
	t.mu.Lock()
	if t.over {
		t.mu.Unlock()
		return
	}
	t.over, t.overCode, t.overWhy = true, code, why
	for _, timer := range []*time.Timer{t.orphan, t.linger, t.again} {
		if timer != nil {
			timer.Stop()
		}
	}
	sources := make([]*source, 0, len(t.sources))
	for _, s := range t.sources {
		sources = append(sources, s)
	}
	sinks := make([]*sink, 0, len(t.sinks))
	for k := range t.sinks {
		sinks = append(sinks, k)
	}
	t.changedLocked()
	t.mu.Unlock()
	for _, s := range sources {
		s.close()
	}
	// A track that ended well is delivered to its end; any other is cut.
	if code == moqt.DoneTrackEnded {
		t.log.End()
	}
	for _, k := range sinks {
		k.end(code, why)
	}
	t.stop()
	t.r.m.tracks.Dec()
	if code != moqt.DoneTrackEnded || len(sinks) == 0 {
		t.log.Close()
		return
	}
	waits := t.r.wg.Go(func() { // the sinks still read what they have not sent
		for _, k := range sinks {
			<-k.done
		}
		t.log.Close()
	})
	if !waits {
		t.log.Close()
	}
}

// fills counts the sources that are fetching the head of the running group.
func (t *track) fills(n int) {
	t.mu.Lock()
	t.filling += n
	t.changedLocked()
	t.mu.Unlock()
}

func (t *track) changedLocked() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// largest returns the largest location known: what the publishers told, or what
// came since. ("LARGEST OBJECT Parameter")
func (t *track) largest() (moqt.Location, bool) {
	seen, any := t.log.Largest()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.sources {
		if rd := s.reader(); rd != nil && s.trusted.Load() {
			t.tellLocked(rd)
		}
	}
	if t.hasTold && (!any || seen.Less(t.told)) {
		return t.told, true
	}
	return seen, any
}

func (t *track) properties() moqt.Properties {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.props
}

// isPublished reports whether somebody other than p publishes the track here.
func (t *track) isPublished(p *peer) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for other := range t.sources {
		if other != p {
			return true
		}
	}
	return false
}

// await waits until the track has an Established publisher. If there is nobody
// to ask, or all refuse, it waits up to rendezvous for somebody to come. p is who
// asks: for another relay only publishers of this one are asked.
func (t *track) await(ctx context.Context, p *peer, rendezvous time.Duration) error {
	var late <-chan time.Time
	if rendezvous = min(rendezvous, t.r.cfg.MaxRendezvous); rendezvous > 0 {
		timer := time.NewTimer(rendezvous)
		defer timer.Stop()
		late = timer.C
		t.wait(p, +1)
		defer t.wait(p, -1)
	}
	t.acquire(p.node != "")
	for {
		t.mu.Lock()
		live, over, idle, failed, changed := t.live, t.over, t.pending == 0, t.failed, t.changed
		t.mu.Unlock()
		switch {
		case over:
			return &transport.RequestError{Code: moqt.RequestDoesNotExist, Reason: "the track has ended", RetryAfter: retryAfter}
		case live:
			return nil
		case idle && late == nil:
			return t.noPublisher(failed)
		}
		select {
		case <-changed:
		case <-late:
			return &transport.RequestError{Code: moqt.RequestTimeout, Reason: "no publisher came in time", RetryAfter: 0}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *track) wait(p *peer, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting[p] += n; t.waiting[p] == 0 {
		delete(t.waiting, p)
	}
}

// subscribedBy reports whether p is subscribed, or waits to be.
func (t *track) subscribedBy(p *peer) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range t.sinks {
		if k.p == p {
			return true
		}
	}
	return t.waiting[p] > 0
}

func (t *track) noPublisher(failed error) error {
	var re *transport.RequestError
	if errors.As(failed, &re) {
		return &transport.RequestError{Code: re.Code, Reason: re.Reason, RetryAfter: max(re.RetryAfter, 0), Redirect: re.Redirect}
	}
	if failed != nil {
		return &transport.RequestError{Code: moqt.RequestDoesNotExist, Reason: fmt.Sprintf("no publisher of the track answers: %v", failed), RetryAfter: retryAfter}
	}
	return &transport.RequestError{Code: moqt.RequestDoesNotExist, Reason: "nobody publishes the track", RetryAfter: retryAfter}
}

// acquire asks everybody who may have the track: the publishers here, and if
// there are none the relays that the cluster knows to have it.
func (t *track) acquire(local bool) {
	t.r.mu.Lock()
	found := t.r.publishersLocked(t.name.Namespace)
	t.r.mu.Unlock()
	for _, a := range found {
		t.attach(a.p, a)
	}
	t.mu.Lock()
	seek := len(found) == 0 && !local && !t.live && !t.seeking && !t.over && t.r.cfg.Origins != nil
	if seek {
		t.seeking = true
		t.pending++
	}
	t.mu.Unlock()
	if seek {
		t.startSeek()
	}
}

func (t *track) startSeek() {
	if t.r.wg.Go(t.seek) {
		return
	}
	t.mu.Lock() // the relay is closing
	t.seeking = false
	t.pending--
	t.changedLocked()
	t.mu.Unlock()
}

// reseek is how often a track that comes from other relays, or has lost its
// publishers, looks again who has it.
const reseek = 5 * time.Second

// seek finds the track at other relays, and keeps looking while somebody waits
// for it or is sent it, so that a publisher that comes late, moves or comes back
// is found.
func (t *track) seek() {
	retry := backoff{first: 250 * time.Millisecond, most: reseek}
	first := true
	defer func() {
		t.mu.Lock()
		t.seeking = false
		if first {
			t.pending--
		}
		t.changedLocked()
		t.mu.Unlock()
	}()
	for {
		origins, err := t.r.lookup(t.ctx, t.name.Namespace)
		if err != nil && t.ctx.Err() == nil {
			t.r.log.Warn("origins not asked", "track", t.name, "err", err)
		}
		for _, o := range origins {
			t.attachRelay(o, 0)
		}
		t.mu.Lock()
		if err != nil && t.failed == nil {
			t.failed = fmt.Errorf("the table of origins does not answer: %w", err)
		}
		if first {
			first = false
			t.pending--
			t.changedLocked()
		}
		wanted := (len(t.sinks) > 0 || len(t.waiting) > 0) && !t.over
		if len(t.sources) > 0 {
			retry.step = reseek // nothing is missing: now and then is enough
		}
		t.mu.Unlock()
		if !wanted || !retry.waitHint(t.ctx, t.hint) {
			return
		}
	}
}

// attachRelay subscribes at another relay, to which hops redirects have led.
func (t *track) attachRelay(o api.Origin, hops int) {
	t.mu.Lock()
	for _, s := range t.sources {
		if s.url == o.URL {
			t.mu.Unlock()
			return
		}
	}
	t.pending++
	t.mu.Unlock()
	began := t.r.wg.Go(func() {
		up, err := t.r.up.get(t.ctx, o.URL)
		if err == nil && up.peer.node == t.r.cfg.Node && t.r.cfg.Node != "" {
			t.r.up.put(up)
			err = errors.New("the origin is this relay itself")
		}
		t.mu.Lock()
		t.pending--
		if err != nil {
			t.failed = err
			t.changedLocked()
			t.mu.Unlock()
			return
		}
		s := t.addSourceLocked(up.peer, false)
		if s != nil {
			s.url, s.hops = o.URL, hops
		}
		t.mu.Unlock()
		if s == nil {
			t.r.up.put(up)
			return
		}
		s.subscribe()
		t.r.up.put(up)
	})
	if !began {
		t.mu.Lock()
		t.pending--
		t.mu.Unlock()
	}
}

var errGone = errors.New("the publisher's session has ended")

// attach subscribes at a publisher of this relay.
func (t *track) attach(p *peer, a *announcement) {
	t.mu.Lock()
	s := t.addSourceLocked(p, false)
	if s != nil {
		s.announced = a
	}
	t.mu.Unlock()
	if s != nil && !p.wg.Go(s.subscribe) {
		t.lost(s, false, errGone)
	}
}

// addSourceLocked makes a place for p among the sources, or returns nil if it
// has one, is not wanted, or there are enough. One that offers the track by
// itself may do so again at once.
func (t *track) addSourceLocked(p *peer, offered bool) *source {
	if t.over || t.refused[p] || t.sources[p] != nil || t.fullLocked(p) {
		return nil
	}
	if last, asked := t.tried[p]; asked && !offered && time.Since(last) < askAgain {
		t.askAgainLocked()
		return nil
	}
	t.tried[p] = time.Now()
	s := &source{t: t, p: p, toFill: make(chan *head, 1)}
	t.sources[p] = s
	t.pending++
	return s
}

// askAgain is how long a publisher that gave no track, or gave it up, is left
// alone.
const askAgain = time.Second

// askAgainLocked has the publishers asked once more in a while, as long as
// somebody wants the track.
func (t *track) askAgainLocked() {
	if t.again != nil {
		return
	}
	t.again = time.AfterFunc(askAgain, func() {
		t.mu.Lock()
		t.again = nil
		for p, last := range t.tried { // forget sessions that are gone
			if t.sources[p] == nil && time.Since(last) >= askAgain {
				delete(t.tried, p)
			}
		}
		t.mu.Unlock()
		t.reacquire()
	})
}

// established takes note of a publisher's answer.
func (t *track) established(s *source, rd *transport.TrackReader) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending--
	t.failed = nil
	if !s.probation {
		t.props = rd.Properties()
		v, _ := rd.TrackValue(moqt.PropDynamicGroups)
		t.dynamic = v == 1
		t.setMaxCache(rd)
		t.tellLocked(rd)
	}
	t.live = true
	if t.orphan != nil {
		t.orphan.Stop()
		t.orphan = nil
	}
	t.changedLocked()
}

// tellLocked takes note of the largest location that a publisher has told.
func (t *track) tellLocked(rd *transport.TrackReader) {
	if l, ok := rd.Largest(); ok && (!t.hasTold || t.told.Less(l)) {
		t.told, t.hasTold = l, true
	}
}

// setMaxCache takes over the publisher's MAX_CACHE_DURATION.
func (t *track) setMaxCache(rd *transport.TrackReader) {
	ms, ok := rd.TrackValue(moqt.PropMaxCacheDuration)
	most := time.Duration(0)
	if ok {
		// What has been held for less than a millisecond more is within it, so
		// that 0 lets live objects pass.
		most = time.Duration(min(ms, uint64(maxCacheable/time.Millisecond)))*time.Millisecond + time.Millisecond
		t.log.LimitAge(most)
	}
	t.maxCache.Store(int64(most))
}

// maxCacheable is the longest MAX_CACHE_DURATION that is told from none.
const maxCacheable = 365 * 24 * time.Hour

// lost takes a source out. If it was the last, the subscribers are kept for a
// while: a publisher that comes back in time goes on where it ended.
func (t *track) lost(s *source, established bool, err error) {
	t.mu.Lock()
	if t.sources[s.p] != s {
		t.mu.Unlock()
		return
	}
	delete(t.sources, s.p)
	if rd := s.reader(); rd != nil && s.trusted.Load() {
		t.tellLocked(rd)
	}
	if !established {
		t.pending--
		t.failed = err
	}
	t.changedLocked()
	var done *transport.TrackDone
	ended := errors.As(err, &done) && done.Code == moqt.DoneTrackEnded
	last := len(t.sources) == 0 && t.live && t.pending == 0 && !t.over
	if ended && established && !last && s.trusted.Load() {
		time.AfterFunc(activeWithin, t.endUnlessActive)
	}
	if last && !ended && t.orphan == nil {
		t.orphan = time.AfterFunc(s.linger(), func() {
			t.mu.Lock()
			gone := len(t.sources) == 0 && !t.over
			t.mu.Unlock()
			if gone {
				t.end(moqt.DoneInternalError, "the publisher is gone")
			}
		})
	}
	t.mu.Unlock()
	switch {
	case last && ended:
		t.end(done.Code, done.Reason)
		return
	case last:
		t.r.log.Info("track lost its publisher", "track", t.name, "err", err)
	}
	if established {
		t.reacquire()
	}
}

// endUnlessActive ends a track that one of its publishers has ended, if the
// others have fallen silent: the session of a twin that was killed is noticed
// much later.
func (t *track) endUnlessActive() {
	for _, s := range t.others(nil) {
		if s.active() {
			return
		}
	}
	t.end(moqt.DoneTrackEnded, "")
}

// reacquire asks the publishers that there are, and if that leaves none looks
// for one elsewhere, while the track has subscribers.
func (t *track) reacquire() {
	t.mu.Lock()
	wanted := len(t.sinks) > 0 && !t.over
	seek := wanted && len(t.sources) == 0 && !t.seeking && t.r.cfg.Origins != nil
	if seek {
		t.seeking = true
		t.pending++
	}
	t.mu.Unlock()
	if !wanted {
		return
	}
	t.r.mu.Lock()
	found := t.r.publishersLocked(t.name.Namespace)
	t.r.mu.Unlock()
	for _, a := range found {
		t.attach(a.p, a)
	}
	if seek {
		t.startSeek()
	}
}

// others returns the sources of the track but s.
func (t *track) others(s *source) []*source {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []*source
	for _, o := range t.sources {
		if o != s {
			list = append(list, o)
		}
	}
	return slices.Clip(list)
}
