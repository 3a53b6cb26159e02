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

	mu     sync.Mutex // guards what follows
	shape  shape
	rand   *rand.Rand
	bad    bool // state of the loss model
	dark   bool
	free   time.Time // when what waits has been sent
	last   time.Time // when the newest of flight arrives
	flight []flight  // by time of arrival
	stats  Stats
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
		shape:   shape{mtu: 1472},
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
	if s.rate > 0 {
		if waiting := bytesIn(d.free.Sub(now), s.rate); waiting+size > s.queueBytes() {
			d.dropLocked(p, &d.stats.Overflowed)
			return
		}
		d.free = d.free.Add(timeFor(size, s.rate))
	}
	arrival := d.free.Add(s.delay)
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
	return max(64<<10, int(s.rate/8/10))
}

func timeFor(bytes int, rate int64) time.Duration {
	return time.Duration(float64(bytes) * 8 / float64(rate) * float64(time.Second))
}

func bytesIn(d time.Duration, rate int64) int {
	return int(d.Seconds() * float64(rate) / 8)
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
