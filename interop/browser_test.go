package interop

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestMoqNet has @moq/net in Chromium at one relay and the other end at another,
// in each draft that it knows, and compares every object byte for byte.
// See moqnet/moqnet.test.js.
func TestMoqNet(t *testing.T) {
	inBrowser(t, "moqnet/moqnet.test.js")
}

// inBrowser runs a file of tests that open a browser.
func inBrowser(t *testing.T, file string) {
	t.Helper()
	need(t, "chromium", "node", "npm")
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--test", file)
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

// TestShaka has Shaka Player in Chromium play what is published at another relay.
// See shaka/shaka.test.js.
func TestShaka(t *testing.T) {
	inBrowser(t, "shaka/shaka.test.js")
}
