package multipath

import (
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/pub/bond"
	wire "github.com/tributary-live/tributary/transport/bond"
)

// Scenario is a load over some links, and what happens to them.
type Scenario struct {
	Name   string
	Number string // in the table of what is to be shown
	Links  []Link
	Load   Load
	Mode   bond.Mode
	// Deadline is how old something may become before nobody wants it: --deadline
	// of moq-pub. 0 is what that is by itself.
	Deadline time.Duration
	Steps    []Step
	Length   time.Duration // of the load
	// What is made from From on counts; before, connections find their rates.
	From time.Duration
	// Gap, if not 0, is when the silence that matters begins: within a second of
	// it.
	Gap time.Duration
	// Real scenarios say nothing on simulated links, and Simulated ones are not for
	// real links.
	Real, Simulated bool
	// Long ones are not in the quick form.
	Long bool
	// Rival puts somebody else's connection, which has more to send than fits, on
	// the first link.
	Rival bool
	// Settle, if not 0, is how long to wait after the load until what is left of it
	// is counted.
	Settle time.Duration
	// Attack, if not nil, is done to the bond and its relay beside the load.
	Attack attack
	// judge makes bars of the outcomes.
	judge func(*judgement) []row
}

// Link is one of the publisher's.
type Link struct {
	Name  string
	Rate  float64 // Mbit/s, whole packets
	RTT   time.Duration
	Loss  float64 // share of the packets that go up
	Burst float64 // packets that are lost at once, on average; 0 is one by itself
	// Jitter is how much longer a packet may take that goes up, by chance.
	Jitter time.Duration
	Trace  string // file of a trace, in place of Rate
	Queue  time.Duration
	Cost   wire.Cost
	Later  bool // it is not there at the beginning
}

// Load is what is published.
type Load struct {
	// Bitrate is that of all tracks together, Mbit/s; 0 is bulk, as much as goes.
	Bitrate float64
	// Adaptive is an encoder that begins with Bitrate, and makes from the next
	// picture on what the publisher is advised to, at least leastBitrate.
	Adaptive bool
	// Audio is a second track, part of the bitrate.
	Audio bool
}

// Step is something that happens to a link.
type Step struct {
	At   time.Duration
	Link int
	Do   Action
}

// Action is what happens to a link.
type Action uint8

// The actions. A link that is cut loses everything and says nothing; one that is
// unplugged is known to be gone.
const (
	Cut Action = iota
	Restore
	Unplug
	Plug
)

// defaultQueue is how much waits on a link at most, as a time at its rate.
const defaultQueue = 100 * time.Millisecond

// leastQueue is that in bytes, ten packets.
const leastQueue = 15_000

// options returns what shapes the link. The way down loses nothing and has the
// rate of the way up.
func (l *Link) options(t Traces) ([]netsim.Option, error) {
	opts := []netsim.Option{netsim.Delay(l.RTT / 2)}
	rate := l.Rate * 1e6
	if l.Trace != "" {
		trace, err := t.load(l.Trace)
		if err != nil {
			return nil, err
		}
		rate = float64(trace.Mean())
		opts = append(opts, netsim.Up(netsim.Replay(trace, 0)), netsim.Down(netsim.Rate(int64(rate))))
	} else {
		opts = append(opts, netsim.Rate(int64(rate)))
	}
	queue := l.Queue
	if queue == 0 {
		queue = defaultQueue
	}
	opts = append(opts, netsim.Queue(max(leastQueue, int(rate/8*queue.Seconds()))))
	switch {
	case l.Burst > 0:
		opts = append(opts, netsim.Up(netsim.BurstLoss(l.Loss, l.Burst)))
	case l.Loss > 0:
		opts = append(opts, netsim.Up(netsim.Loss(l.Loss)))
	}
	if l.Jitter > 0 {
		opts = append(opts, netsim.Up(netsim.Jitter(l.Jitter)))
	}
	return opts, nil
}

// sum returns what all links that are there at the beginning carry, Mbit/s.
func (s *Scenario) sum() (mbit float64) {
	for _, l := range s.Links {
		if !l.Later {
			mbit += l.Rate
		}
	}
	return mbit
}

// bulkAhead returns how many bytes of bulk may be on the way or waiting: what the
// links hold, and a little more.
func (s *Scenario) bulkAhead() (bytes int) {
	for _, l := range s.Links {
		bytes += int(l.Rate * 1e6 / 8 * (l.RTT + defaultQueue + 150*time.Millisecond).Seconds())
	}
	return bytes
}
