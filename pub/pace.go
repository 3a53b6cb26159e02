package pub

import (
	"context"
	"time"
)

// pace holds media back that comes faster than it plays: a file, or ffmpeg
// without -re. Media that comes late goes out at once.
type pace struct {
	ahead time.Duration // how far media may run before the clock
	begun bool
	start time.Time
	first time.Duration
}

// wait returns when media of time when may go out. It reports false if ctx ends
// before.
func (p *pace) wait(ctx context.Context, when time.Duration) bool {
	now := time.Now()
	due := p.start.Add(when - p.first - p.ahead)
	// Times that jump, as where one recording follows another, begin anew.
	if jump := due.Sub(now); !p.begun || jump > maxJump || jump < -maxJump {
		p.begun, p.start, p.first = true, now, when
		return ctx.Err() == nil
	}
	if !due.After(now) {
		return ctx.Err() == nil
	}
	t := time.NewTimer(due.Sub(now))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// maxJump is the distance between media time and the clock from which on they
// are taken to have nothing to do with each other.
const maxJump = 10 * time.Second
