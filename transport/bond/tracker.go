package bond

import (
	"slices"
	"time"
)

// Tracker notes which chunks of one connection have arrived, and makes
// acknowledgements of it. Its zero value works. It is not for concurrent use.
type Tracker struct {
	ranges   []Range // in descending order, never adjacent
	received time.Duration
	unsent   int // chunks since the last acknowledgement
}

// Got notes a chunk that arrived at now, by the relay's clock, and reports
// whether it is new.
func (t *Tracker) Got(sequence uint64, now time.Duration) bool {
	i := 0
	for i < len(t.ranges) && t.ranges[i].First > sequence {
		i++
	}
	if i < len(t.ranges) && sequence <= t.ranges[i].Last {
		return false
	}
	t.unsent++
	if i == 0 {
		t.received = now
	}
	above := i > 0 && t.ranges[i-1].First == sequence+1
	below := i < len(t.ranges) && t.ranges[i].Last+1 == sequence
	switch {
	case above && below:
		t.ranges[i-1].First = t.ranges[i].First
		t.ranges = slices.Delete(t.ranges, i, i+1)
	case above:
		t.ranges[i-1].First = sequence
	case below:
		t.ranges[i].Last = sequence
	default:
		t.ranges = slices.Insert(t.ranges, i, Range{sequence, sequence})
	}
	// The oldest ranges have been told of many times.
	t.ranges = t.ranges[:min(len(t.ranges), maxAckRanges)]
	return true
}

// Forgot reports whether a sequence is so far back that [Tracker.Got] cannot tell
// whether it is new.
func (t *Tracker) Forgot(sequence uint64) bool {
	return len(t.ranges) == maxAckRanges && sequence < t.ranges[maxAckRanges-1].First
}

// Unsent returns how many chunks have arrived since the last [Tracker.Ack].
func (t *Tracker) Unsent() int { return t.unsent }

// Ack returns the acknowledgement of what has arrived, without member, bytes held
// and done, or nil if nothing has.
func (t *Tracker) Ack() *Ack {
	t.unsent = 0
	if len(t.ranges) == 0 {
		return nil
	}
	return &Ack{Received: t.received, Ranges: slices.Clone(t.ranges)}
}
