package tasks

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaitEndsTheGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group
		var ran atomic.Int32
		for range 3 {
			if !g.Go(func() { time.Sleep(time.Second); ran.Add(1) }) {
				t.Fatal("Go() = false before Wait")
			}
		}
		go func() {
			synctest.Wait()
			if g.Go(func() { ran.Add(100) }) {
				t.Error("Go() = true while Wait waits")
			}
		}()
		g.Wait()
		if n := ran.Load(); n != 3 {
			t.Errorf("%d goroutines ran, want 3", n)
		}
	})
}
