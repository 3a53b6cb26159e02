package netsim

import (
	"math/rand/v2"
	"time"
)

// Kbit and Mbit are rates in bits per second.
const (
	Kbit int64 = 1000
	Mbit int64 = 1000 * Kbit
)

// Link is an access line between the backbone and the endpoints behind it, which
// share it. Its two directions are independent. Its methods may be called
// concurrently.
type Link struct {
	net      *Network
	id       int
	up, down *direction
}

// shape is what a direction does to packets.
type shape struct {
	rate    int64   // bits/s of UDP payload; 0 is no limit
	replay  *replay // in place of rate, if not nil
	delay   time.Duration
	delayAt func(time.Time) time.Duration // in place of delay, if not nil
	jitter  time.Duration
	queue   int // bytes; 0 is the default for the rate
	mtu     int // bytes of UDP payload
	loss    lossModel
}

// Option shapes a link, both directions unless it is inside [Up] or [Down].
type Option func(up, down *shape)

// Rate limits a link to so many bits of UDP payload per second. Without it there
// is no limit, and so no queue.
func Rate(bitsPerSecond int64) Option {
	return both(func(s *shape) { s.rate, s.replay = bitsPerSecond, nil })
}

// Delay is how long a packet is under way after it has been sent, one way.
func Delay(d time.Duration) Option {
	return both(func(s *shape) { s.delay, s.delayAt = d, nil })
}

// Jitter adds a random delay from 0 to d to each packet. Packets stay in order,
// so a packet may also have to wait for the one before.
func Jitter(d time.Duration) Option {
	return both(func(s *shape) { s.jitter = d })
}

// Queue is how many bytes may wait to be sent; a packet that finds no room is
// dropped. Without it, it is what the rate sends in 100 ms, at least 64 KiB.
func Queue(bytes int) Option {
	return both(func(s *shape) { s.queue = bytes })
}

// MTU is the largest UDP payload that passes, in bytes; larger ones are dropped
// without a word. Without it, it is 1472, that of Ethernet with IPv4.
func MTU(bytes int) Option {
	return both(func(s *shape) { s.mtu = bytes })
}

// Loss drops each packet with probability p, whatever happened to the others.
func Loss(p float64) Option {
	return both(func(s *shape) { s.loss = lossModel{enter: p, leave: 1 - p} })
}

// BurstLoss drops the fraction p of all packets in bursts that are mean packets
// long on average (a Gilbert model: a bad state in which all is lost).
func BurstLoss(p float64, mean float64) Option {
	leave := 1 / max(mean, 1)
	return both(func(s *shape) { s.loss = lossModel{enter: min(1, leave*p/(1-p)), leave: leave} })
}

// Up applies opts only to what endpoints behind the link send.
func Up(opts ...Option) Option {
	return func(up, _ *shape) {
		var unused shape
		for _, o := range opts {
			o(up, &unused)
		}
	}
}

// Down applies opts only to what endpoints behind the link receive.
func Down(opts ...Option) Option {
	return func(_, down *shape) {
		var unused shape
		for _, o := range opts {
			o(&unused, down)
		}
	}
}

func both(f func(*shape)) Option {
	return func(up, down *shape) { f(up); f(down) }
}

// Link adds a link to the network. Without options it passes everything at once.
func (n *Network) Link(opts ...Option) *Link {
	n.mu.Lock()
	n.links++
	id := n.links
	n.mu.Unlock()
	if id > 255 {
		n.t.Fatal("netsim: more than 255 links")
	}
	l := &Link{net: n, id: id}
	l.up = newDirection(rand.New(rand.NewPCG(n.seed, uint64(2*id))), n.forward)
	l.down = newDirection(rand.New(rand.NewPCG(n.seed, uint64(2*id+1))), n.arrive)
	l.Set(opts...)
	n.wg.Go(func() { l.up.run(n.done) })
	n.wg.Go(func() { l.down.run(n.done) })
	return l
}

// Network returns the network the link is part of.
func (l *Link) Network() *Network { return l.net }

// Listen returns a new endpoint behind the link, at an address of its own.
func (l *Link) Listen() *Conn { return l.net.listen(l) }

// Set changes the link from now on. What opts do not name stays as it was, and
// packets on their way keep the times they have been given.
func (l *Link) Set(opts ...Option) {
	up, down := l.up.currentShape(), l.down.currentShape()
	for _, o := range opts {
		o(&up, &down)
	}
	l.up.setShape(up)
	l.down.setShape(down)
}

// Cut breaks the link in both directions: what is sent, and what would arrive,
// is lost until [Link.Restore].
func (l *Link) Cut() {
	l.up.setDark(true)
	l.down.setDark(true)
}

// Restore ends what [Link.Cut] began.
func (l *Link) Restore() {
	l.up.setDark(false)
	l.down.setDark(false)
}

// Blackout cuts the link now and restores it after d. It does not wait for that.
func (l *Link) Blackout(d time.Duration) {
	l.Cut()
	l.net.wg.Go(func() {
		after := time.NewTimer(d)
		defer after.Stop()
		select {
		case <-after.C:
			l.Restore()
		case <-l.net.done:
		}
	})
}

// Stats counts the packets of one direction of a link. Bytes are UDP payload.
// What is neither delivered nor dropped is on its way.
type Stats struct {
	SentPackets, SentBytes           int64 // offered to the link
	DeliveredPackets, DeliveredBytes int64
	DroppedPackets, DroppedBytes     int64 // the sum of those below
	Lost                             int64 // packets dropped by [Loss] or [BurstLoss]
	Overflowed                       int64 // packets that found the queue full
	TooLarge                         int64 // packets larger than the MTU
	Dark                             int64 // packets in a blackout
}

// Stats returns what the link has done so far to packets of the endpoints behind
// it (up) and to those for them (down).
func (l *Link) Stats() (up, down Stats) { return l.up.currentStats(), l.down.currentStats() }
