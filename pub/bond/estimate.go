package bond

import "time"

// Figures of a connection are what its transport says of it.
type Figures struct {
	RTT, MinRTT, Deviation time.Duration // smoothed, least, mean deviation
	Window                 int64         // bytes the congestion controller allows in flight
}

// estimate is what one connection can do. It is fed with chunks that were sent
// and acknowledged.
//
// A rate is learnt only from chunks that were sent while there was as much on the
// way as the connection allows: what is measured while little is sent tells how
// little was sent, and a path that is believed to be slow is never asked again.
type estimate struct {
	figures   Figures
	inFlight  int64
	delivered int64 // bytes acknowledged since the beginning
	at        time.Time
	rate      float64   // bytes/s, of chunks that were not held back by us
	learnt    time.Time // when rate was
	mean      float64   // of rate, over meanTime
	limited   int64     // until so much is delivered, there are holes in what was sent
	free      time.Time // when what was given so far has left, if rate is right
	line      line
}

// line is how far what stands in line on the way has come. Where a chunk would have
// arrived before the one ahead of it if that had not been in its way, the time
// between the two is what it took to carry it.
type line struct {
	least    time.Duration // that a chunk has taken until its acknowledgement
	at       time.Time     // of the last acknowledgement
	received time.Duration // by the relay's clock: of the last chunk it told of
}

// lineTime is how long chunks in line teach until what was known before counts by
// 1/e.
const lineTime = 100 * time.Millisecond

// mark is taken when a chunk is sent, and tells what was true then.
type mark struct {
	sent      time.Time
	delivered int64
	at        time.Time // of the last acknowledgement, or of sending if nothing was on the way
	limited   bool      // less was on the way than could have been
}

// startRate is believed of a connection nothing is known about, bytes/s.
const startRate = 500_000 / 8

// relearn is by how much a path may have become faster in a second in which nothing
// was learnt.
const relearn = 0.25

// ackDelay is how long a relay may collect chunks before it acknowledges them.
const ackDelay = 2 * time.Millisecond

func (e *estimate) sent(n int64, now time.Time) mark {
	if e.inFlight == 0 {
		e.at = now
	}
	m := mark{sent: now, delivered: e.delivered, at: e.at}
	e.inFlight += n
	if e.inFlight < min(e.figures.Window, e.room(now))*3/4 {
		e.limited = e.delivered + e.inFlight
	}
	m.limited = e.delivered < e.limited
	e.free = now.Add(e.backlog(now) + e.timeFor(n, now))
	return m
}

// arrived counts a chunk of n bytes that has.
func (e *estimate) arrived(n int64, now time.Time) {
	e.inFlight -= n
	e.delivered += n
	e.at = now
}

// acked takes in that a chunk of n bytes has arrived.
func (e *estimate) acked(n int64, m mark, now time.Time) {
	e.arrived(n, now)
	took := now.Sub(m.at)
	if took <= 0 {
		return
	}
	sample := float64(e.delivered-m.delivered) / took.Seconds()
	queued := now.Sub(m.sent) > e.figures.MinRTT+ackDelay+queueAhead
	if m.limited && !queued && sample <= e.capable(now) {
		return
	}
	if e.rate > 0 {
		// Samples overlap; weigh each by how long ago the last one was, so that
		// the estimate follows within some 200 ms whatever the size of chunks.
		w := min(1, max(0.02, now.Sub(e.learnt).Seconds()/0.2))
		sample = e.rate + (sample-e.rate)*w
	}
	e.learn(sample, now)
}

// meanTime is how far back the mean of rates goes.
const meanTime = 500 * time.Millisecond

func (e *estimate) learn(rate float64, now time.Time) {
	share := min(1, float64(now.Sub(e.learnt))/float64(meanTime))
	e.mean += (rate - e.mean) * share
	e.rate, e.learnt = rate, now
}

// passed takes in that n bytes have arrived since the last acknowledgement, the
// newest of which were sent at sent and received at the relay's time received.
func (e *estimate) passed(n int64, sent time.Time, received time.Duration, now time.Time) {
	l := &e.line
	took := received - l.received
	if !l.at.IsZero() && took > 0 && !l.at.Before(sent.Add(l.least)) {
		rate := e.bytesPerSecond(now)
		share := min(1, float64(took)/float64(lineTime))
		e.learn(rate+(float64(n)/took.Seconds()-rate)*share, now)
	}
	if d := now.Sub(sent); l.least == 0 || d < l.least {
		l.least = d
	}
	l.at, l.received = now, received
}

// queueAhead is how long a chunk may wait behind others on its way. What is given
// to a path is lost to all others; where a path becomes slower, less is late. Queues
// of 100 ms are common, and are not to overflow.
const queueAhead = 90 * time.Millisecond

// room returns how many bytes may be on the way.
func (e *estimate) room(now time.Time) int64 {
	return max(2*maxChunk, int64(e.capable(now)*(e.figures.MinRTT+ackDelay+queueAhead).Seconds()))
}

// lost takes in that a chunk will not be acknowledged any more.
func (e *estimate) lost(n int64) { e.inFlight -= n }

// capable returns what the connection could carry if there were enough to send,
// bytes/s: for who asks whether other paths are needed. What is never tried would
// look needed for ever, so a lesson holds a second, and then the window counts.
func (e *estimate) capable(now time.Time) float64 {
	if window := e.window(); window > 0 && (e.rate == 0 || now.Sub(e.learnt) >= time.Second) {
		return window
	}
	return max(e.rate, startRate)
}

// bytesPerSecond returns what the connection is believed to carry, for who asks
// when a chunk would arrive.
func (e *estimate) bytesPerSecond(now time.Time) float64 {
	rate := e.capable(now)
	if age := now.Sub(e.learnt).Seconds(); e.rate > 0 && age >= 1 {
		// Nothing has taught more since. The window has grown with what little was
		// sent, so it says little; the path may have become faster all the same.
		return min(rate, e.rate*(1+relearn*(age-1)))
	}
	return rate
}

// steady returns what the connection is believed to carry over the next half second,
// bytes/s. A link that sends in bursts is faster and slower by turns; one that has
// become slower is.
func (e *estimate) steady(now time.Time) float64 {
	rate := e.bytesPerSecond(now)
	if now.Sub(e.learnt) < time.Second {
		rate = (rate + e.mean) / 2
	}
	return rate
}

// window returns what congestion control would let pass, bytes/s, or 0 if that is
// not known.
func (e *estimate) window() float64 {
	if e.figures.RTT == 0 {
		return 0
	}
	return float64(e.figures.Window) / e.figures.RTT.Seconds()
}

func (e *estimate) timeFor(n int64, now time.Time) time.Duration {
	return time.Duration(float64(n) / e.bytesPerSecond(now) * float64(time.Second))
}

// backlog returns how long what was given to the connection takes to leave: by
// what was booked, though no longer than what is unacknowledged would take if
// nothing of it had left; or by what is on its way beyond what a round trip holds.
func (e *estimate) backlog(now time.Time) time.Duration {
	rate := e.bytesPerSecond(now)
	all := time.Duration(float64(e.inFlight) / rate * float64(time.Second))
	return max(0, min(e.free.Sub(now), all), all-e.figures.MinRTT-ackDelay)
}

// eta returns how long n bytes that were given to the connection now would take
// to arrive: half a round trip, and what waits before them.
func (e *estimate) eta(n int64, now time.Time) time.Duration {
	return e.figures.MinRTT/2 + e.backlog(now) + e.timeFor(n, now)
}
