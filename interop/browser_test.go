package interop

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// TestMoqNet has @moq/net in Chromium at one relay and the other end at another,
// in each draft that both sides know, and compares every object byte for byte.
// See moqnet/moqnet.test.js.
func TestMoqNet(t *testing.T) {
	var drafts []string
	for _, v := range offered(t, moqt.Draft16, moqt.Draft18, moqt.Draft19, moqt.Draft20) {
		drafts = append(drafts, fmt.Sprint(int(v)))
	}
	inBrowser(t, "moqnet/moqnet.test.js", "MOQ_DRAFTS="+strings.Join(drafts, " "))
}

// offered returns those of the drafts that a relay offers.
func offered(t *testing.T, drafts ...moqt.Version) []moqt.Version {
	t.Helper()
	addr := newRelay(t)
	var list []moqt.Version
	for _, v := range drafts {
		d := &transport.Dialer{TLSConfig: &tls.Config{InsecureSkipVerify: true}, Config: &transport.Config{Versions: []moqt.Version{v}}}
		conn, err := d.DialConn(t.Context(), "moqt://"+addr)
		if err != nil {
			t.Logf("not offered: %v", err)
			continue
		}
		conn.CloseWithError(moqt.SessionNoError, "")
		list = append(list, v)
	}
	return list
}

// inBrowser runs a file of tests that open a browser.
func inBrowser(t *testing.T, file string, env ...string) {
	t.Helper()
	need(t, "chromium", "node", "npm")
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--test", file)
	cmd.Env = append(append(os.Environ(), "MOQ_BIN="+bin, "CHROMIUM="+chromium), env...)
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
	if len(offered(t, moqt.Draft16)) == 0 {
		t.Skip("draft-16 is not offered")
	}
	inBrowser(t, "shaka/shaka.test.js")
}
