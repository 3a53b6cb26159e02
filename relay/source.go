package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tributary-live/tributary/relay/bonds"
	"github.com/tributary-live/tributary/relay/cache"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

const (
	// subscribeTimeout bounds how long a publisher may take to answer.
	subscribeTimeout = 10 * time.Second
	// fillTimeout bounds how long live objects wait for the head of their group.
	fillTimeout = 3 * time.Second
	// lastTimeout bounds how long the streams of a track that has ended are read
	// on.
	lastTimeout = 3 * time.Second
	// activeWithin is how recent the last object of a publisher that is alive
	// must be. A catalog is repeated every 2 s.
	activeWithin = 2500 * time.Millisecond
	// probationTime is how long a newcomer to a live track has to show that its
	// copy is the same, from when it begins to bring something.
	probationTime = 3 * time.Second
	// cutThrough is the size from which an object is passed on while it arrives.
	cutThrough = 16 << 10
)

// source is one publisher of a track: a subscription of ours on its session,
// read into the track's log.
//
// A newcomer to a track that another source keeps alive is on probation: until
// it has repeated an object that is held, nothing of it is taken. So nobody
// can put another broadcast under a name that is in use, whatever group ids
// the other broadcast has.
type source struct {
	t         *track
	p         *peer
	url       string        // of the relay it was dialled at, if it was
	hops      int           // redirects that led there
	announced *announcement // by which it was found, if it was
	probation bool          // set before the source is read
	trusted   atomic.Bool
	last      atomic.Int64                      // UnixNano of the last object
	deafUntil atomic.Int64                      // UnixNano until which it is not asked for the past
	bonded    atomic.Pointer[bonds.Publication] // nil if its session is no member of a bond
	judged    atomic.Int64                      // UnixNano since which it is on probation: it brought something; 0 if it has not
	toFill    chan *head                        // cap 1: heads that are to be fetched
	meter     bonds.Meter

	mu     sync.Mutex // guards what follows
	rd     *transport.TrackReader
	closed bool
	feed   *cache.Source
	finish func()                          // called at END_OF_TRACK
	heads  map[moqt.Location]*cache.Writer // by group and subgroup

	expected *head // the newest that is or was to be fetched
	ended    bool  // no more are
}

// active reports whether the source brought an object of late.
func (s *source) active() bool {
	return s.trusted.Load() && time.Since(time.Unix(0, s.last.Load())) < activeWithin
}

// hasActive reports whether another publisher keeps the track alive.
func (t *track) hasActive(s *source) bool {
	for _, o := range t.others(s) {
		if o.active() && !o.p.bondedWith(s.p) {
			return true
		}
	}
	return false
}

// anyActive reports whether any publisher keeps the track alive.
func (t *track) anyActive() bool {
	return slices.ContainsFunc(t.others(nil), (*source).active)
}

// subscribe asks the publisher for the track and reads it until it ends.
func (s *source) subscribe() {
	ctx, cancel := context.WithTimeout(s.t.ctx, subscribeTimeout)
	defer cancel()
	done, err := s.p.turns.take(ctx, s.t.name)
	if err != nil {
		s.t.lost(s, false, err)
		return
	}
	defer done()
	o := &transport.SubscribeOptions{}
	o.NewGroupValue, o.NewGroup = s.t.takeWanted()
	var rd *transport.TrackReader
	var fetch *transport.FetchReader
	if s.t.leads(s) {
		rd, fetch, err = s.p.sess.Join(ctx, s.t.name, 0, o)
	} else {
		rd, err = s.p.sess.Subscribe(ctx, s.t.name, o)
	}
	cancel()
	if err != nil {
		s.follow(err) // before the track can be without anybody to ask
		s.t.lost(s, false, err)
		return
	}
	if fetch != nil { // before anybody can see the track as live and ask for its head
		joined, _ := rd.Largest()
		s.set(s.expect(), joined.Group, func(context.Context) (*transport.FetchReader, error) { return fetch, nil })
	}
	s.run(rd)
}

// run reads an Established subscription.
func (s *source) run(rd *transport.TrackReader) {
	defer s.dropHeads()
	s.probation = s.t.hasActive(s)
	s.feed = s.t.log.Source(s.p.sess.ParseProperties) // before anybody fetches from a source that is trusted
	s.trusted.Store(!s.probation)
	s.heads = make(map[moqt.Location]*cache.Writer)
	s.mu.Lock()
	s.rd = rd
	closed := s.closed
	s.mu.Unlock()
	if closed {
		rd.Close()
	}
	if err := rd.CheckProperties(); err != nil {
		rd.CloseWith(moqt.StreamMalformedTrack)
		s.feed.Close()
		s.t.refuse(s.p)
		s.t.lost(s, false, &transport.RequestError{Code: moqt.RequestMalformedTrack, Reason: err.Error(), RetryAfter: -1})
		return
	}
	s.last.Store(time.Now().UnixNano())
	s.p.publishes(s)
	defer s.p.withdraws(s)
	s.t.established(s, rd)
	if value, ok := s.t.takeWanted(); ok { // it offered the track, or was asked for it before
		s.t.requestGroup(value)
	}
	s.t.r.log.Debug("source established", "session", s.p.id, "track", s.t.name)
	err := s.read(rd)
	s.drain(err)
	rd.Close()
	s.feed.Close()
	s.t.lost(s, true, err)
}

// read feeds the log from the subscription's streams and datagrams until it
// ends.
func (s *source) read(rd *transport.TrackReader) error {
	var wg, streams sync.WaitGroup
	defer wg.Wait()
	defer streams.Wait()
	ctx, cancel := context.WithCancelCause(s.t.ctx)
	defer cancel(nil)
	s.finish = sync.OnceFunc(func() { wg.Go(func() { s.endOfTrack(ctx, cancel) }) })
	wg.Go(func() { s.fillHeads(ctx) })
	wg.Go(func() { s.readDatagrams(ctx, rd) })
	wg.Go(func() { s.renew(ctx, rd) })
	for {
		sg, err := rd.AcceptSubgroup(ctx)
		if err != nil {
			if errors.As(err, new(*transport.TrackDone)) {
				wg.Go(func() {
					defer cancel(nil)
					streams.Wait()
					s.awaitHeads(ctx)
				})
				waitAtMost(ctx, lastTimeout) // for what was published last
			}
			if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
				return cause
			}
			return err
		}
		streams.Go(func() {
			stop := context.AfterFunc(ctx, func() { sg.Cancel(moqt.StreamCancelled) })
			defer stop()
			s.awaitHead(ctx, sg.Header().Group)
			if err := s.pump(ctx, sg); err != nil {
				s.fault(err)
				cancel(err)
			}
		})
	}
}

// renewAtMost is how often a subscription that expires is renewed at most.
const renewAtMost = time.Second

// renew asks a publisher whose subscription will expire for more time when a
// quarter of it is left, a bit earlier or later than others do.
func (s *source) renew(ctx context.Context, rd *transport.TrackReader) {
	for {
		left := rd.Expires()
		if left <= 0 {
			return
		}
		left = max(left/4*3, renewAtMost)
		waitAtMost(ctx, left-rand.N(left/8))
		if ctx.Err() != nil {
			return
		}
		uctx, cancel := context.WithTimeout(ctx, updateTimeout)
		err := rd.Update(uctx, transport.SubscribeUpdate{})
		cancel()
		if err != nil {
			s.t.r.log.Debug("subscription not renewed", "session", s.p.id, "track", s.t.name, "err", err)
			return
		}
	}
}

// endOfTrack ends the source some time after END_OF_TRACK, as PUBLISH_DONE would
// that the publisher has not sent: nothing can follow, but streams of before
// may still be on their way.
func (s *source) endOfTrack(ctx context.Context, end context.CancelCauseFunc) {
	waitAtMost(ctx, lastTimeout)
	end(&transport.TrackDone{Code: moqt.DoneTrackEnded})
}

func waitAtMost(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// pump copies one subgroup stream into the log.
func (s *source) pump(ctx context.Context, sg *transport.SubgroupReader) error {
	w, err := s.feed.Open(sg.Header())
	if err != nil {
		sg.Cancel(moqt.StreamCancelled)
		return s.judge(false, err)
	}
	defer w.Abort() // nothing, after Close
	relieved := false
	prev, had := uint64(0), false
	var chunk []byte
	for {
		o, size, err := sg.Next()
		if err == io.EOF {
			return s.judge(false, w.Close())
		}
		if err != nil {
			return nil // reset, or the session's end: another source may go on
		}
		if !s.admit(ctx, o.Location) {
			return nil
		}
		s.arrived(size)
		var fresh bool
		if size < cutThrough {
			buf := make([]byte, headRoom(&o)+int(size))
			o.Payload = buf[len(buf)-int(size):]
			if _, err := io.ReadFull(sg, o.Payload); err != nil {
				return nil
			}
			fresh, err = w.AppendBehind(o, buf)
		} else {
			if chunk == nil {
				chunk = make([]byte, cutThrough)
			}
			fresh, err = s.extend(w, o, size, sg, chunk)
			if err == errStream {
				return nil
			}
		}
		if err := s.judge(fresh, err); err != nil {
			return err
		}
		if o.Status == moqt.StatusEndOfTrack {
			s.finish()
		}
		if o.Status == moqt.StatusNormal {
			s.t.arrived(&s.meter, o.Location, size)
		}
		s.whole(&o, prev, had)
		prev, had = o.Location.Object, true
		if !relieved { // not before this stream has gone on where the head ends
			relieved = true
			s.relieve(sg.Header())
		}
	}
}

// headRoom is how many bytes to leave before the payload of o for the header with
// which it goes to subscribers: distance to the object before, size of the
// properties, the properties, size of the payload. Where they do not fit, each
// subscriber copies the payload, so what is rare or large gets no room.
func headRoom(o *moqt.Object) int {
	room := 8
	for i := range o.Properties {
		room += 18 + len(o.Properties[i].Bytes)
	}
	if room > 256 {
		return 0
	}
	return room
}

var errStream = errors.New("relay: the stream broke off")

// extend copies one large object while it arrives.
func (s *source) extend(w *cache.Writer, o moqt.Object, size int64, r io.Reader, chunk []byte) (bool, error) {
	if err := w.Start(o, size); err != nil {
		return false, err
	}
	any := false
	for left := size; left > 0; {
		n, err := io.ReadAtLeast(r, chunk[:min(left, int64(len(chunk)))], 1)
		left -= int64(n)
		fresh, werr := w.Extend(chunk[:n])
		any = any || fresh > 0
		if werr != nil {
			return any, werr
		}
		if err != nil && left > 0 {
			return any, errStream
		}
	}
	return any, nil
}

func (s *source) readDatagrams(ctx context.Context, rd *transport.TrackReader) {
	for {
		o, err := rd.ReceiveDatagram(ctx)
		if err != nil {
			return
		}
		if s.trusted.Load() {
			s.arrived(int64(len(o.Payload)))
			if o.Status == moqt.StatusNormal {
				s.t.arrived(&s.meter, o.Location, int64(len(o.Payload)))
			}
			fresh, err := s.feed.Datagram(o)
			if err := s.judge(fresh, err); err != nil {
				s.fault(err)
				return
			}
			if o.Status == moqt.StatusEndOfTrack {
				s.finish()
			}
		}
	}
}

func (s *source) arrived(size int64) {
	s.t.r.m.ingest.Add(float64(size))
	if s.trusted.Load() {
		s.last.Store(time.Now().UnixNano())
	}
}

// admit holds a source on probation until an object that it is about to bring
// is held, so that the copies can be compared; it is trusted then. It reports
// false if the source is not to be read on.
func (s *source) admit(ctx context.Context, at moqt.Location) bool {
	if s.trusted.Load() {
		return true
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	s.judged.CompareAndSwap(0, time.Now().UnixNano())
	late := time.Unix(0, s.judged.Load()).Add(probationTime)
	for {
		if s.trusted.Load() || s.t.has(at, at) {
			return true
		}
		if s.t.vouchedFor(s) {
			s.trust()
			return true
		}
		if !s.t.hasActive(s) {
			s.trust()
			return true
		}
		if time.Now().After(late) {
			s.fault(fmt.Errorf("%w: another publisher has this name", cache.ErrContradiction))
			return false
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}

func (s *source) trust() {
	if !s.trusted.Swap(true) {
		s.last.Store(time.Now().UnixNano())
		s.t.r.log.Debug("source trusted", "session", s.p.id, "track", s.t.name)
	}
}

// judge counts what became of an object and returns an error that ends the
// source.
func (s *source) judge(fresh bool, err error) error {
	m := s.t.r.m
	switch {
	case err == nil && fresh:
		m.fresh.Inc()
	case err == nil:
		m.duplicate.Inc()
		s.trust()
	case errors.Is(err, cache.ErrContradiction), errors.Is(err, cache.ErrMalformed):
		m.malformed.Inc()
		return err
	default:
		m.dropped.Inc()
	}
	return nil
}

// fault deals with a source whose copy of the track is wrong. A source that
// contradicts another is cut off and the track goes on; a track whose only
// source is malformed ends. ("Malformed Tracks")
func (s *source) fault(err error) {
	if s.t.ctx.Err() != nil {
		return
	}
	if s.t.refuse(s.p) {
		return
	}
	s.t.r.log.Warn("publisher cut off", "session", s.p.id, "track", s.t.name, "err", err)
	contradicts := errors.Is(err, cache.ErrContradiction) && s.trusted.Load()
	if s.t.r.cfg.StrictMalformed && contradicts || errors.Is(err, cache.ErrMalformed) && len(s.t.others(s)) == 0 {
		s.t.end(moqt.DoneMalformedTrack, err.Error())
	}
	if pub := s.bonded.Load(); pub != nil && contradicts {
		pub.PutOut(err) // the other members go on
	}
	if s.announced != nil {
		s.announced.revoke()
	}
	s.closeWith(moqt.StreamMalformedTrack)
}

// reader returns the subscription, or nil if it is not Established yet.
func (s *source) reader() *transport.TrackReader {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rd
}

// refuse has p asked for the track no more, and reports whether that was so
// before.
func (t *track) refuse(p *peer) (before bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before = t.refused[p]
	t.refused[p] = true
	return before
}

func (s *source) close() { s.closeWith(moqt.StreamCancelled) }

func (s *source) closeWith(code moqt.StreamCode) {
	s.mu.Lock()
	s.closed = true
	rd := s.rd
	s.mu.Unlock()
	if rd != nil {
		rd.CloseWith(code)
	}
}
