package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestBrowser runs the player in Chromium: alone over a relay in memory, and at
// the end of ffmpeg, moq-pub and two relays, with one camera and with two. The
// tests are in web/e2e; what they measure is shown by go test -v, and by npm run
// measure in web.
func TestBrowser(t *testing.T) {
	need(t, "node", "npm", "chromium", "ffmpeg")
	nodeModules(t)
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"page", "player", "live", "cameras"} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "node", "--test", "e2e/"+name+".e2e.js")
			cmd.Dir = "../web"
			cmd.Env = append(os.Environ(), "MOQ_BIN="+bin, "CHROMIUM="+chromium)
			// Told to end, it ends what it has started.
			cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
			cmd.WaitDelay = 10 * time.Second
			out, err := cmd.CombinedOutput()
			t.Logf("%s", out)
			if err != nil {
				t.Errorf("%v: %v", cmd, err)
			}
		})
	}
}

// nodeModules installs what the browser tests need, where it is missing.
func nodeModules(t *testing.T) {
	t.Helper()
	if exists(filepath.Join("..", "web", "node_modules", "playwright-core")) {
		return
	}
	cmd := exec.Command("npm", "ci", "--no-audit", "--no-fund")
	cmd.Dir = "../web"
	if out, err := cmd.CombinedOutput(); err != nil {
		if os.Getenv("TRIBUTARY_REQUIRE") == "1" {
			t.Fatalf("npm ci: %v\n%s", err, out)
		}
		t.Skipf("npm ci: %v\n%s", err, out)
	}
}
