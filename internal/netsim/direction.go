package netsim

import (
	"math/rand/v2"
	"sync"
	"time"
)

// direction carries packets one way. A packet gets its time of arrival when it
// is sent, since all that decides it is known then; one goroutine hands packets
// over when their time has come.
type direction struct {
	deliver func(packet)
	wake    chan struct{} // holds a token when flight was empty and is no more

	mu      sync.Mutex // guards what follows
	shape   shape
	rand    *rand.Rand
	bad     bool // state of the loss model
	dark    bool
	free    time.Time // when what waits has been sent
	cursor  cursor    // of the shape's replay
	queue   []queued  // what waits to be sent, by time
	waiting int       // bytes in queue
	last    time.Time // when the newest of flight arrives
	flight  []flight  // by time of arrival
	stats   Stats
}

// queued is a packet that the line has been booked for.
type queued struct {
	sent time.Time
	size int
}

type flight struct {
	packet
	arrival time.Time
}

func newDirection(r *rand.Rand, deliver func(packet)) *direction {
	return &direction{
		deliver: deliver,
		wake:    make(chan struct{}, 1),
		rand:    r,
		shape:   shape{mtu: 1472, headers: unset},
	}
}

// send puts p on its way or drops it. It never blocks.
func (d *direction) send(p packet) {
	now := time.Now()
	size := len(p.data)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.SentPackets++
	d.stats.SentBytes += int64(size)
	s := &d.shape
	if d.dark {
		d.dropLocked(p, &d.stats.Dark)
		return
	}
	if size > s.mtu {
		d.dropLocked(p, &d.stats.TooLarge)
		return
	}
	if s.loss.drop(d.rand, &d.bad) {
		d.dropLocked(p, &d.stats.Lost)
		return
	}
	if d.free.Before(now) {
		d.free = now
	}
	if s.replay != nil || s.rate > 0 {
		if d.waitingLocked(now)+size > s.queueBytes() {
			d.dropLocked(p, &d.stats.Overflowed)
			return
		}
		if s.replay != nil {
			d.free = d.cursor.place(s.replay, now, size+s.overhead())
		} else {
			d.free = d.free.Add(timeFor(size+s.overhead(), s.rate))
		}
		d.queue = append(d.queue, queued{d.free, size})
		d.waiting += size
	}
	delay := s.delay
	if s.delayAt != nil {
		delay = s.delayAt(d.free)
	}
	arrival := d.free.Add(delay)
	if s.jitter > 0 {
		arrival = arrival.Add(time.Duration(d.rand.Int64N(int64(s.jitter))))
	}
	if arrival.Before(d.last) {
		arrival = d.last // no overtaking
	}
	d.last = arrival
	d.flight = append(d.flight, flight{p, arrival})
	if len(d.flight) == 1 {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

// waitingLocked returns how many bytes wait to be sent.
func (d *direction) waitingLocked(now time.Time) int {
	n := 0
	for n < len(d.queue) && !d.queue[n].sent.After(now) {
		d.waiting -= d.queue[n].size
		n++
	}
	d.queue = d.queue[n:]
	return d.waiting
}

// run delivers packets until done is closed. It is the direction's only
// goroutine, started by [Network.Link] and waited for at the end of the test.
func (d *direction) run(done <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		due, next := d.takeDue(time.Now())
		for _, p := range due {
			d.deliver(p)
		}
		if len(due) > 0 {
			continue // time may have passed
		}
		var expired <-chan time.Time
		if !next.IsZero() {
			timer.Reset(time.Until(next))
			expired = timer.C
		}
		select {
		case <-done:
			return
		case <-d.wake:
		case <-expired:
		}
	}
}

// takeDue removes and returns the packets that have arrived by now, and tells
// when the next one does, zero if none is under way.
func (d *direction) takeDue(now time.Time) (due []packet, next time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for n < len(d.flight) && !d.flight[n].arrival.After(now) {
		p := d.flight[n].packet
		n++
		if d.dark {
			d.dropLocked(p, &d.stats.Dark)
			continue
		}
		d.stats.DeliveredPackets++
		d.stats.DeliveredBytes += int64(len(p.data))
		due = append(due, p)
	}
	d.flight = d.flight[n:]
	if len(d.flight) == 0 {
		d.flight = nil
		return due, time.Time{}
	}
	return due, d.flight[0].arrival
}

func (d *direction) dropLocked(p packet, why *int64) {
	*why++
	d.stats.DroppedPackets++
	d.stats.DroppedBytes += int64(len(p.data))
}

func (d *direction) currentShape() shape {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shape
}

func (d *direction) setShape(s shape) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shape = s
}

func (d *direction) setDark(dark bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dark = dark
}

func (d *direction) currentStats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

// queueBytes returns the room for waiting packets.
func (s *shape) queueBytes() int {
	if s.queue > 0 {
		return s.queue
	}
	rate := s.rate
	if s.replay != nil {
		rate = s.replay.trace.Mean()
	}
	return max(64<<10, int(rate/8/10))
}

// overhead returns how many bytes a packet costs beside its payload.
func (s *shape) overhead() int {
	switch {
	case s.headers != unset:
		return s.headers
	case s.replay != nil:
		return traceHeaders
	}
	return 0
}

func timeFor(bytes int, rate int64) time.Duration {
	return time.Duration(float64(bytes) * 8 / float64(rate) * float64(time.Second))
}

// lossModel is a chain of two states, seen once per packet. In the bad one every
// packet is lost. The zero value loses nothing.
type lossModel struct {
	enter float64 // probability of going from good to bad
	leave float64 // probability of going from bad to good
}

// drop moves the chain by a packet and reports whether that packet is lost.
func (m lossModel) drop(r *rand.Rand, bad *bool) bool {
	if *bad {
		*bad = r.Float64() >= m.leave
	} else {
		*bad = r.Float64() < m.enter
	}
	return *bad
}
