package netsim

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Trace is the capacity of a real link as it was measured: the moments at which
// it could send up to [TracePacket] bytes. It is immutable.
type Trace struct {
	chances []time.Duration // ascending, from the start; several may be equal
	length  time.Duration   // after which it begins anew
}

// TracePacket is how many bytes, headers of IP and UDP included, one chance of a
// [Trace] carries. What is not used of a chance is lost.
const TracePacket = 1500

// traceHeaders are those of IPv4 and UDP, which a trace counts and Rate does not.
const traceHeaders = 28

// maxTrace bounds the length of a trace, and of its lines together.
const maxTrace = 24 * time.Hour

// Mahimahi reads a trace in the format of mahimahi: a line for each chance, with
// the milliseconds from the start in ascending order. The trace is as long as
// its last line says.
func Mahimahi(r io.Reader) (*Trace, error) {
	t := &Trace{}
	err := eachLine(r, func(line string) error {
		ms, err := strconv.ParseUint(line, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is not a number of milliseconds", line)
		}
		at := time.Duration(ms) * time.Millisecond
		if n := len(t.chances); n > 0 && at < t.chances[n-1] {
			return fmt.Errorf("%d ms comes after %v", ms, t.chances[n-1])
		}
		t.chances = append(t.chances, at)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("netsim: mahimahi trace: %w", err)
	}
	return t.end(t.lastChance())
}

// RateCSV reads a trace that is a table with a heading and a line for each
// second: its number, the rate in Mbit/s, and columns that are not looked at.
// Within a second the rate is taken to be constant.
func RateCSV(r io.Reader) (*Trace, error) {
	t := &Trace{}
	const chance = TracePacket * 8
	seconds, carried := 0, 0.0 // bits of a chance that is not full yet
	heading := true
	err := eachLine(r, func(line string) error {
		if heading {
			heading = false
			return nil
		}
		fields := strings.Split(line, ",")
		if len(fields) < 2 {
			return fmt.Errorf("%q has no second column", line)
		}
		mbit, err := strconv.ParseFloat(fields[1], 64)
		if err != nil || !(mbit >= 0 && mbit <= 1e5) {
			return fmt.Errorf("%q is not a rate in Mbit/s", fields[1])
		}
		start, bits := time.Duration(seconds)*time.Second, mbit*1e6
		for at := chance - carried; at <= bits; at += chance {
			t.chances = append(t.chances, start+time.Duration(at/bits*float64(time.Second)))
		}
		carried = carried + bits - chance*float64(int((carried+bits)/chance))
		seconds++
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("netsim: rate trace: %w", err)
	}
	return t.end(time.Duration(seconds) * time.Second)
}

func eachLine(r io.Reader, f func(line string) error) error {
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		if err := f(line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return lines.Err()
}

func (t *Trace) lastChance() time.Duration {
	if len(t.chances) == 0 {
		return 0
	}
	return t.chances[len(t.chances)-1]
}

func (t *Trace) end(length time.Duration) (*Trace, error) {
	if length <= 0 || len(t.chances) == 0 {
		return nil, errors.New("netsim: the trace sends nothing")
	}
	if length > maxTrace {
		return nil, fmt.Errorf("netsim: the trace is longer than %v", maxTrace)
	}
	t.length = length
	return t, nil
}

// Length returns how long the trace lasts.
func (t *Trace) Length() time.Duration { return t.length }

// Mean returns the mean rate in bits per second, headers included.
func (t *Trace) Mean() int64 {
	return int64(float64(len(t.chances)*TracePacket*8) / t.length.Seconds())
}

// Bytes returns how many bytes, headers included, the link can send from from to
// to, both counted from the start of the first round of the trace.
func (t *Trace) Bytes(from, to time.Duration) int64 {
	return (t.chancesBefore(to) - t.chancesBefore(from)) * TracePacket
}

func (t *Trace) chancesBefore(at time.Duration) int64 {
	rounds := int64(at / t.length)
	rest := at % t.length
	return rounds*int64(len(t.chances)) + int64(sort.Search(len(t.chances), func(i int) bool { return t.chances[i] >= rest }))
}

// Chance returns when the n-th chance comes, from 0 and over all rounds, counted
// from the start of the first.
func (t *Trace) Chance(n int64) time.Duration {
	per := int64(len(t.chances))
	return time.Duration(n/per)*t.length + t.chances[n%per]
}

// Replay makes a link send as trace did, in place of at a rate: from from on, and
// from its start again when it ends. Without [Queue], what the trace sends in
// 100 ms on average may wait, at least 64 KiB.
func Replay(trace *Trace, from time.Duration) Option {
	return both(func(s *shape) { s.replay = &replay{trace: trace, start: time.Now().Add(-from)} })
}

// replay is a trace that began at start. It is a value of its direction.
type replay struct {
	trace *Trace
	start time.Time
}

// cursor is how far a direction has used its replay.
type cursor struct {
	of   *replay // that the rest is about
	next int64   // the chance after the one that is being filled
	at   time.Time
	left int // bytes of the chance at at
}

// place books size bytes, headers included, that come at now, and returns when the
// last of them is sent.
func (c *cursor) place(r *replay, now time.Time, size int) time.Time {
	if c.of != r {
		*c = cursor{of: r}
	}
	if c.at.Before(now) { // chances that have passed are lost
		c.left = 0
		c.next = max(c.next, r.trace.chancesBefore(now.Sub(r.start)))
	}
	for c.left < size {
		size -= c.left
		c.at, c.left = r.start.Add(r.trace.Chance(c.next)), TracePacket
		c.next++
	}
	c.left -= size
	return c.at
}

// DelayTrace is the one-way delay of a real link as it was measured, a value for
// each interval. It is immutable.
type DelayTrace struct {
	delays []time.Duration
	every  time.Duration
}

// ReadDelays reads a trace with a line for each interval, which holds the delay
// in milliseconds.
func ReadDelays(r io.Reader, every time.Duration) (*DelayTrace, error) {
	d := &DelayTrace{every: every}
	err := eachLine(r, func(line string) error {
		ms, err := strconv.ParseFloat(line, 64)
		if err != nil || !(ms >= 0 && ms <= 60_000) {
			return fmt.Errorf("%q is not a delay in milliseconds", line)
		}
		d.delays = append(d.delays, time.Duration(ms*float64(time.Millisecond)))
		return nil
	})
	if err == nil && (len(d.delays) == 0 || every <= 0) {
		err = errors.New("there is nothing in it")
	}
	if err != nil {
		return nil, fmt.Errorf("netsim: delay trace: %w", err)
	}
	return d, nil
}

// ReplayDelay makes a link as slow as trace was, in place of [Delay]: from from
// on, and from its start again when it ends.
func ReplayDelay(trace *DelayTrace, from time.Duration) Option {
	return both(func(s *shape) {
		start := time.Now().Add(-from)
		s.delayAt = func(t time.Time) time.Duration {
			return trace.delays[int(t.Sub(start)/trace.every)%len(trace.delays)]
		}
	})
}
