package app

import (
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

func TestCollectAt(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name       string
		live, bulk int64
		want       int
	}{
		{"nothing measured yet", 0, 0, growLive},
		{"sessions alone", 100 * mib, 0, growLive},
		{"a cache alone", 1000 * mib, 1000 * mib, growBulk},
		{"half and half", 100 * mib, 50 * mib, (growLive + growBulk) / 2},
		{"a cache that has grown since", 50 * mib, 80 * mib, growBulk},
		{"a cache that says nonsense", 50 * mib, -1, growLive},
	} {
		if got := collectAt(c.live, c.bulk); got != c.want {
			t.Errorf("%s: collectAt(%d, %d) = %d, want %d", c.name, c.live, c.bulk, got, c.want)
		}
	}
}

func TestPaceCollector(t *testing.T) {
	runtime.GC() // what lives is not known before the first
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	percent := func() int {
		p := debug.SetGCPercent(100)
		debug.SetGCPercent(p)
		return p
	}
	t.Run("of a heap that is all cache", func(t *testing.T) {
		t.Setenv("GOGC", "")
		synctest.Test(t, func(t *testing.T) {
			go PaceCollector(t.Context(), func() int64 { return 1 << 40 })
			synctest.Wait()
			if got := percent(); got != growLive {
				t.Errorf("at first: %d %%, want %d", got, growLive)
			}
			time.Sleep(collectEvery)
			synctest.Wait()
			if got := percent(); got != growBulk {
				t.Errorf("after a look: %d %%, want %d", got, growBulk)
			}
		})
	})
	t.Run("where GOGC says what to do", func(t *testing.T) {
		debug.SetGCPercent(77)
		t.Setenv("GOGC", "77")
		PaceCollector(t.Context(), func() int64 { return 0 })
		if got := percent(); got != 77 {
			t.Errorf("%d %%, want 77", got)
		}
	})
}
