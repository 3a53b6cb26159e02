package interop

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestMoqNetAcrossCluster has @moq/net at one relay and the other end at
// another, and compares every object byte for byte: see
// moqnet/cluster.test.js.
func TestMoqNetAcrossCluster(t *testing.T) {
	need(t, "chromium", "node", "npm")
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--test", "moqnet/cluster.test.js")
	cmd.Env = append(os.Environ(), "MOQ_BIN="+bin, "CHROMIUM="+chromium)
	// Told to end, it ends what it has started.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("%v: %v", cmd, err)
	}
}
