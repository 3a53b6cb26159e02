package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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
	copies   copies

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
	t.forgetLocked()
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
	if established && !ended { // who has ended it has no more
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
