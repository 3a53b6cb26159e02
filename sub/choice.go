package sub

import "time"

const (
	// silence is how long nothing of a camera may come before it has failed. A
	// camera whose objects come further apart is given twice their distance.
	silence = 700 * time.Millisecond
	// answer is how long a camera may take from being asked to its first new object,
	// and from one object to the next until it has come for as long as known: then
	// how far apart they are is known.
	answer = 1500 * time.Millisecond
	known  = 3 * time.Second
	// steady is how long a camera that is preferred must have come without a pause
	// to be cut back to.
	steady = 4 * time.Second
	// steadyMost is what steady grows to: it doubles each time that the camera fails
	// within calm of being cut back to.
	steadyMost = 64 * time.Second
	calm       = time.Minute
	// rest is how long a camera that did not answer, or has just ended, is left alone.
	rest = 3 * time.Second
	// grace is how long at the start the catalogs of preferred cameras are waited for.
	grace = 500 * time.Millisecond
	// distanceMost bounds what pauses and long chunks are believed to be normal.
	distanceMost = 2 * time.Second
	lengthMost   = 20 * time.Second
)

// choice decides which of several cameras is shown: the first in their order that
// is there, without going to and fro. It is told what happens and when, and has
// no clock.
type choice struct {
	cameras []facts
	shown   int // -1 if none
	began   time.Time
}

// facts are what is known of a camera.
type facts struct {
	known bool      // whether it is there has been answered once
	there bool      // its catalog is there
	asked bool      // its media is asked for
	new   bool      // and some has come that was published since
	heard time.Time // when the newest did, or when it was asked for
	since time.Time // since when it comes without a pause

	distance [2]time.Duration // longest between two objects: in the 5 s that run, and in those before
	turned   time.Time        // when the former began
	length   time.Duration    // that the newest object plays

	rest   time.Time     // it is left alone until then
	cutAt  time.Time     // when it was cut back to
	steady time.Duration // how long it must come without a pause to be cut back to
}

// plan is what to do.
type plan struct {
	pull []bool // whose media to have
	next int    // the camera to cut to as soon as it can begin, or -1
	// edge says to begin with a group that begins now: what is shown lives, so
	// there is no haste.
	edge bool
}

func newChoice(n int, now time.Time) *choice {
	c := &choice{cameras: make([]facts, n), shown: -1, began: now}
	for i := range c.cameras {
		c.cameras[i].steady = steady
	}
	return c
}

// catalog says whether a camera's catalog is there.
func (c *choice) catalog(i int, there bool) {
	c.cameras[i].known, c.cameras[i].there = true, there
}

// ask says that a camera's media is asked for from now on.
func (c *choice) ask(i int, now time.Time) {
	f := &c.cameras[i]
	f.asked, f.new, f.heard, f.distance, f.turned, f.length = true, false, now, [2]time.Duration{}, now, 0
}

// leave says that a camera's media is no longer asked for.
func (c *choice) leave(i int) { c.cameras[i].asked = false }

// end says that a camera's media has ended.
func (c *choice) end(i int, now time.Time) {
	c.leave(i)
	c.cameras[i].rest = now.Add(rest)
	if c.shown == i {
		c.failed(now)
		c.shown = -1
	}
}

// hear says that an object of a camera's first track has come, which plays for
// length. One that is not new was there when it was asked for.
func (c *choice) hear(i int, now time.Time, new bool, length time.Duration) {
	f := &c.cameras[i]
	f.length = min(length, lengthMost)
	if !new {
		return
	}
	gap := now.Sub(f.heard)
	switch {
	case !f.new || gap > f.patience():
		f.since, f.distance, f.turned = now, [2]time.Duration{}, now
	case now.Sub(f.turned) > 5*time.Second:
		f.distance, f.turned = [2]time.Duration{0, f.distance[0]}, now
		fallthrough
	default:
		f.distance[0] = min(max(f.distance[0], gap), distanceMost)
	}
	f.new, f.heard = true, now
}

// patience is how long nothing may come of the camera.
func (f *facts) patience() time.Duration {
	most := max(silence, 2*max(f.distance[0], f.distance[1]), f.length*3/2)
	if !f.new || f.heard.Sub(f.since) < known {
		return max(answer, most)
	}
	return most
}

func (f *facts) lives(now time.Time) bool { return f.asked && now.Sub(f.heard) <= f.patience() }

// decide returns what to do now.
func (c *choice) decide(now time.Time) plan {
	p := plan{pull: make([]bool, len(c.cameras)), next: -1}
	lives := c.shown >= 0 && c.cameras[c.shown].lives(now)
	for i := range c.cameras {
		f := &c.cameras[i]
		if f.asked && !f.new && !f.lives(now) && i != c.shown {
			f.rest, f.asked = now.Add(rest), false
		}
		free := f.there && !now.Before(f.rest)
		switch {
		case i == c.shown:
			p.pull[i] = true
		case i < c.shown && free: // watched until it is steady; costs nothing while it is silent
			p.pull[i] = true
			if lives && p.next < 0 && f.new && f.lives(now) && now.Sub(f.since) >= f.steady {
				p.next, p.edge = i, true
			}
		}
		if !lives && p.next < 0 && i != c.shown && free && (!f.asked || f.lives(now)) && !c.tooEarly(i, now) {
			p.next, p.pull[i] = i, true
		}
	}
	return p
}

// tooEarly reports whether one that is preferred to camera i may yet be there:
// nothing has been shown so far.
func (c *choice) tooEarly(i int, now time.Time) bool {
	if now.Sub(c.began) >= grace {
		return false
	}
	for _, f := range c.cameras[:i] {
		if !f.known {
			return true
		}
	}
	return false
}

// cut says that camera i is shown from now on.
func (c *choice) cut(i int, back bool, now time.Time) {
	if back {
		c.cameras[i].cutAt = now
	} else if c.shown >= 0 {
		c.failed(now)
	}
	c.shown = i
}

// failed sets how steady the camera that was shown must be the next time.
func (c *choice) failed(now time.Time) {
	f := &c.cameras[c.shown]
	if !f.cutAt.IsZero() && now.Sub(f.cutAt) < calm {
		f.steady = min(2*f.steady, steadyMost)
	} else {
		f.steady = steady
	}
}
