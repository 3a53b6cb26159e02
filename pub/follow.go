package pub

import (
	"time"

	"github.com/tributary-live/tributary/pub/fmp4"
)

// What a track that does not drive may wait for the one that does, in its own
// media time and in chunks. ffmpeg and others write chunks in the order of
// their times, so that nothing waits at all.
const (
	maxWait    = time.Second
	maxWaiting = 1024
)

// silent is when the driver counts as gone: so much media of another track
// came without any of it.
const silent = 3 * time.Second

// follow takes a chunk of a track that does not drive. It waits until the
// driver has come past it, for only then no group can begin before it.
func (p *Packager) follow(t *track, c timed) {
	back := c.time < t.last
	if back {
		p.release(t, true)
	}
	t.last = c.time
	t.silence += c.duration
	if t == p.backup && t.silence >= silent {
		p.release(t, true)
		p.driveBySeconds(t, c)
		return
	}
	t.held = append(t.held, c)
	p.release(t, false)
}

// release publishes the chunks of t that need not wait any longer, or all.
func (p *Packager) release(t *track, all bool) {
	n := 0
	for _, c := range t.held {
		late := all || t.last-c.time > maxWait || len(t.held)-n > maxWaiting
		if p.timeline.empty() {
			if !late {
				break
			}
			p.stats.Dropped++
			n++
			continue
		}
		switch {
		case c.place < p.covered:
			p.emitFollower(t, c, p.timeline.at(c.place))
		case late || c.place-p.covered > apart || t.silence >= silent:
			p.emitFollower(t, c, p.timeline.newest())
		default:
			p.dropHeld(t, n)
			return
		}
		n++
	}
	p.dropHeld(t, n)
}

func (p *Packager) dropHeld(t *track, n int) {
	left := copy(t.held, t.held[n:])
	clear(t.held[left:])
	t.held = t.held[:left]
}

// emitFollower puts c into a group, or into the track's own if that is newer.
// Video changes groups at key frames only.
func (p *Packager) emitFollower(t *track, c timed, id uint64) {
	if t.info.Kind == fmp4.Video && !c.Key {
		if !t.started {
			p.stats.Dropped++
			return
		}
		id = t.group
	}
	p.emit(t, c, id)
}

// releaseAllReady releases what the driver has come past.
func (p *Packager) releaseAllReady() {
	for _, t := range p.order {
		if t != p.driver {
			p.release(t, false)
		}
	}
}

// releaseAll releases everything, into the newest group where a group is not
// known for sure.
func (p *Packager) releaseAll() {
	for _, t := range p.order {
		if t != p.driver {
			p.release(t, true)
		}
	}
}
