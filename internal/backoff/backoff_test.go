package backoff

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := Backoff{First: time.Second, Most: 5 * time.Second}
		steps := func(wants ...time.Duration) {
			t.Helper()
			for i, want := range wants {
				before := time.Now()
				if !b.Wait(t.Context()) {
					t.Fatal("Wait() = false, want true")
				}
				if took := time.Since(before); took < want/2 || took > want {
					t.Errorf("step %d: %v, want between half and all of %v", i, took, want)
				}
			}
		}
		if !b.Fresh() {
			t.Error("Fresh() = false at the beginning")
		}
		steps(1e9, 2e9, 4e9, 5e9, 5e9)
		if b.Fresh() {
			t.Error("Fresh() = true after five steps")
		}
		b.Reset()
		b.Skip()
		steps(2e9)
		b.Reset()
		b.Longest()
		steps(5e9)

		hint := make(chan struct{}, 1)
		hint <- struct{}{}
		before := time.Now()
		if !b.WaitHint(t.Context(), hint) || time.Since(before) != 0 || !b.Fresh() {
			t.Errorf("a hint ended the step after %v, want at once and the steps short again", time.Since(before))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if b.Wait(ctx) || time.Since(before) != 0 {
			t.Error("Wait() = true though its context has ended")
		}
	})
}
