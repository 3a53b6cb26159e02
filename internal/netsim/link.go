package netsim

import "time"

// Kbit and Mbit are rates in bits per second.
const (
	Kbit int64 = 1000
	Mbit int64 = 1000 * Kbit
)

// Link is an access line between the backbone and the endpoints behind it, which
// share it. Its two directions are independent. Its methods may be called
// concurrently.
type Link struct {
	duplex
	net *Network
	id  int
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
	headers int // bytes a packet costs beside its payload; unset is the default
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

// Headers is how many bytes each packet takes of the rate beside its payload.
// Without it, they are none with [Rate], which counts payload, and the 28 of IPv4
// and UDP with [Replay], as traces count whole packets.
func Headers(bytes int) Option {
	return both(func(s *shape) { s.headers = bytes })
}

// unset is the value of headers that nobody has named.
const unset = -1

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
	l.duplex = newDuplex(n.seed, id, n.forward, n.arrive, opts)
	n.wg.Go(func() { l.up.run(n.done) })
	n.wg.Go(func() { l.down.run(n.done) })
	return l
}

// Network returns the network the link is part of.
func (l *Link) Network() *Network { return l.net }

// Listen returns a new endpoint behind the link, at an address of its own.
func (l *Link) Listen() *Conn { return l.net.listen(l) }

// Rebind has others see all endpoints behind the link at other ports from now on, as
// a NAT does that has forgotten what it knew. What is sent to the old ports is lost.
// The endpoints do not notice: their LocalAddr stays.
func (l *Link) Rebind() { l.net.rebind(l) }

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
