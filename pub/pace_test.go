package pub

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestPace(t *testing.T) {
	type step struct {
		clock time.Duration // when the chunk is there
		media time.Duration // its time
		out   time.Duration // when it may go out
	}
	const ms = time.Millisecond
	for _, tt := range []struct {
		name  string
		ahead time.Duration
		steps []step
	}{
		{"a file", 0, []step{{0, 5000 * ms, 0}, {0, 5100 * ms, 100 * ms}, {100 * ms, 5100 * ms, 100 * ms}, {100 * ms, 5900 * ms, 900 * ms}}},
		{"a burst of an encoder", time.Second, []step{{0, 0, 0}, {0, 900 * ms, 0}, {0, 1000 * ms, 0}, {0, 1300 * ms, 300 * ms}}},
		{"as live", 0, []step{{0, 0, 0}, {110 * ms, 100 * ms, 110 * ms}, {205 * ms, 200 * ms, 205 * ms}}},
		{"late, then catching up", 0, []step{{0, 0, 0}, {5000 * ms, 100 * ms, 5000 * ms}, {5000 * ms, 4000 * ms, 5000 * ms}, {5000 * ms, 5200 * ms, 5200 * ms}}},
		{"a jump of the clock of the media", 0, []step{{0, 0, 0}, {0, time.Hour, 0}, {0, time.Hour + 50*ms, 50 * ms}}},
		{"and back", 0, []step{{0, time.Hour, 0}, {40 * ms, 0, 40 * ms}, {40 * ms, 50 * ms, 90 * ms}}},
		{"a long silence of the input", 0, []step{{0, 0, 0}, {time.Minute, 40 * ms, time.Minute}, {time.Minute, 80 * ms, time.Minute + 40*ms}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := pace{ahead: tt.ahead}
				start := time.Now()
				for i, s := range tt.steps {
					time.Sleep(s.clock - time.Since(start))
					if !p.wait(t.Context(), s.media) {
						t.Fatal("wait() = false")
					}
					if out := time.Since(start); out != s.out {
						t.Errorf("chunk %d at %v goes out after %v, want %v", i, s.media, out, s.out)
					}
				}
			})
		})
	}
}

func TestPaceEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var p pace
		p.wait(ctx, 0)
		start := time.Now()
		if p.wait(ctx, 5*time.Second) || time.Since(start) != time.Second {
			t.Errorf("wait() went on for %v, want false after 1s", time.Since(start))
		}
		if p.wait(ctx, 0) {
			t.Error("wait() = true after the end of its context")
		}
	})
}
