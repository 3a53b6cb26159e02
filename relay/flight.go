package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/tributary-live/tributary/relay/cache"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

const (
	// flightAhead is how many bytes a flight brings before somebody has come to
	// wait for more: a fetch that nobody reads costs a publisher no more.
	flightAhead = 4 << 20
	// flightIdle is how long a flight waits for somebody who does.
	flightIdle = 10 * time.Second
	// flightPatience is the longest that a publisher may take for its answer,
	// and between two objects of it.
	flightPatience = 10 * time.Second
	// flightAgain is how long what no publisher could bring is not asked for
	// once more.
	flightAgain = 2 * time.Second
	// maxFlights and maxVain bound what a track remembers of its flights.
	maxFlights = 32
	maxVain    = 64
)

// flight is a FETCH of ours for a range that the cache lacks. All who want
// objects of it, whatever their number, wait for the same flight and read what
// it has written into the cache. ("FETCH", "Caching Relays")
type flight struct {
	from, to moqt.Location
	local    bool // for another relay: only publishers of this one are asked
	cancel   context.CancelFunc
	hungry   chan struct{} // cap 1: a token when somebody waits for what comes next
	waiters  int           // guarded by track.mu

	mu   sync.Mutex    // guards what follows
	at   moqt.Location // all before it was brought, or will not be
	done bool
	news chan struct{} // closed and replaced at each change
}

// vain is a range that no publisher could bring a moment ago.
type vain struct {
	from, to moqt.Location
	until    time.Time
	timedOut bool // a publisher said that it did not come there in time either
}

// board returns a flight that brings what is missing at from, and begins one if
// there is none; it may end before to. The caller gives it back by alight. It
// returns nil if nobody can be asked, or was asked just now.
func (t *track) board(from, to moqt.Location, local bool) *flight {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.vain = slices.DeleteFunc(t.vain, func(v vain) bool { return v.until.Before(now) })
	for _, v := range t.vain {
		if !from.Less(v.from) && !v.to.Less(from) {
			return nil
		}
	}
	var ahead *flight // brings the rest
	for _, f := range t.flights {
		if f.local != local {
			continue
		}
		switch at, done := f.progress(); {
		case done:
		case !from.Less(at) && !f.to.Less(from):
			f.waiters++
			return f
		case from.Less(at) && !to.Less(at):
			to, ahead = at.Prev(), f
		}
	}
	switch {
	case t.holds(from, to): // a flight has written all before it leaves the list
		if ahead != nil {
			ahead.waiters++
		}
		return ahead
	case t.over || len(t.flights) >= maxFlights:
		return nil
	}
	ctx, cancel := context.WithCancel(t.ctx)
	f := &flight{from: from, to: to, local: local, cancel: cancel, hungry: make(chan struct{}, 1), waiters: 1,
		at: from, news: make(chan struct{})}
	if !t.r.wg.Go(func() { t.fly(ctx, f) }) {
		cancel()
		return nil
	}
	t.flights = append(t.flights, f)
	return f
}

// alight gives a flight back. It is not flown for nobody.
func (t *track) alight(f *flight) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.waiters--; f.waiters == 0 {
		f.cancel()
	}
}

// fly asks one publisher after the other for what is left of f's range.
func (t *track) fly(ctx context.Context, f *flight) {
	defer f.cancel()
	for _, s := range t.others(nil) {
		at, _ := f.progress()
		if ctx.Err() != nil || f.to.Less(at) {
			break
		}
		if !s.trusted.Load() || f.local && s.url != "" || !s.answersFetch() {
			continue
		}
		t.r.m.via.Inc()
		if err := s.bring(ctx, f, at); err != nil && ctx.Err() == nil {
			t.r.log.Debug("publisher does not serve the fetch", "session", s.p.id, "track", t.name, "err", err)
		}
	}
	at, _ := f.progress()
	t.mu.Lock()
	t.flights = slices.DeleteFunc(t.flights, func(other *flight) bool { return other == f })
	if ctx.Err() == nil && !f.to.Less(at) {
		t.inVainLocked(at, f.to, false)
	}
	t.mu.Unlock()
	f.end()
}

// inVainLocked takes note of a range that nobody brings for now.
func (t *track) inVainLocked(from, to moqt.Location, timedOut bool) {
	if len(t.vain) == maxVain {
		t.vain = slices.Delete(t.vain, 0, 1)
	}
	t.vain = append(t.vain, vain{from, to, time.Now().Add(flightAgain), timedOut})
}

func (f *flight) progress() (at moqt.Location, done bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at, f.done
}

// reach tells the waiters that all before at has been dealt with.
func (f *flight) reach(at moqt.Location) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = at
	close(f.news)
	f.news = make(chan struct{})
}

func (f *flight) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done = true
	close(f.news)
}

// wait waits until more than what is before from has been dealt with, and
// returns how far. It returns from itself if the flight has ended short of that.
func (f *flight) wait(ctx context.Context, from moqt.Location) (moqt.Location, error) {
	for {
		f.mu.Lock()
		at, done, news := f.at, f.done, f.news
		f.mu.Unlock()
		switch {
		case from.Less(at):
			return at, nil
		case done:
			return from, nil
		}
		select {
		case f.hungry <- struct{}{}:
		default:
		}
		select {
		case <-news:
		case <-ctx.Done():
			return from, ctx.Err()
		}
	}
}

// bring fetches the range of f from at on from this publisher, into the cache.
func (s *source) bring(ctx context.Context, f *flight, at moqt.Location) error {
	fctx, cancel := context.WithTimeout(ctx, flightPatience)
	fetch, err := s.p.sess.Fetch(fctx, s.t.name, transport.Range{Start: at, End: f.to}, nil)
	cancel()
	if err != nil {
		var refused *transport.RequestError
		if ctx.Err() == nil && (!errors.As(err, &refused) || refused.Code == moqt.RequestNotSupported) {
			s.deafUntil.Store(time.Now().Add(flightAgain).UnixNano())
		}
		return err
	}
	defer fetch.Close()
	end, _ := fetch.End()
	if f.to.Less(end) {
		end = f.to
	}
	gaps, ahead := 0, 0
	for {
		rctx, cancel := context.WithTimeout(ctx, flightPatience)
		o, err := fetch.ReadObject(rctx)
		cancel()
		for _, g := range fetch.Gaps()[gaps:] {
			if gaps++; g.Unknown && !g.End.Less(at) && !end.Less(g.End) {
				s.know(at, g.Start)
				at = g.End.Next()
				s.t.unknown(g)
			}
		}
		switch {
		case err == io.EOF:
			if !end.Less(at) {
				s.feed.Know(at, end)
				at = end.Next()
			}
			f.reach(at)
			return nil
		case err != nil:
			f.reach(at)
			return err
		case o.Less(at) || end.Less(o.Location):
			return fmt.Errorf("object %v in the answer to a fetch of %v to %v", o.Location, at, end)
		}
		s.t.r.m.ingest.Add(float64(len(o.Payload)))
		fresh, err := s.feed.Fill(o)
		if ended := s.judge(fresh, err); ended != nil {
			s.fault(ended)
			return ended
		}
		switch {
		case errors.Is(err, cache.ErrClosed):
			return err
		case err != nil:
			s.know(at, o.Location)
		default:
			s.know(at, o.Next())
		}
		at = o.Next()
		f.reach(at)
		if ahead == 0 { // only who comes to wait from here on has read what was before
			select {
			case <-f.hungry:
			default:
			}
		}
		if ahead += len(o.Payload); ahead >= flightAhead {
			if !f.wanted(ctx) {
				return errors.New("nobody reads what is fetched")
			}
			ahead = 0
		}
	}
}

// know says that from from on all that there is before to is in the cache.
func (s *source) know(from, to moqt.Location) {
	if from.Less(to) {
		s.feed.Know(from, to.Prev())
	}
}

// unknown takes note that a publisher does not know a range.
func (t *track) unknown(g transport.FetchGap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inVainLocked(g.Start, g.End, g.TimedOut)
}

// timedOut reports whether what nobody brings at l is so because it came in time
// nowhere, and up to which location, of those up to to, that is told.
func (t *track) timedOut(l, to moqt.Location) (upto moqt.Location, timedOut bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, v := range t.vain {
		switch {
		case !v.timedOut || v.to.Less(l):
		case !l.Less(v.from):
			if v.to.Less(to) {
				to = v.to
			}
			return to, true
		case !to.Less(v.from):
			to = v.from.Prev()
		}
	}
	return to, false
}

// wanted waits until somebody waits for more than was brought.
func (f *flight) wanted(ctx context.Context) bool {
	idle := time.NewTimer(flightIdle)
	defer idle.Stop()
	select {
	case <-f.hungry:
		return true
	case <-idle.C:
	case <-ctx.Done():
	}
	return false
}

// answersFetch reports whether the publisher is worth asking.
func (s *source) answersFetch() bool { return time.Now().UnixNano() >= s.deafUntil.Load() }
