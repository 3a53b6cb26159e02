// Package dev_test runs the scripts beside it.
package dev_test

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

func script(t *testing.T, name string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	cmd := exec.CommandContext(t.Context(), "./"+name, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestTrust(t *testing.T) {
	_, noCurl := exec.LookPath("curl")
	_, noWget := exec.LookPath("wget")
	if noCurl != nil && noWget != nil {
		t.Skip("neither curl nor wget is installed")
	}
	one, two := strings.Repeat("1a", 32), strings.Repeat("2b", 32)
	page := one + "\n" + two + "\n"
	relay := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/certificate.sha256" {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte(page))
	}))
	defer relay.Close()
	addr := relay.Listener.Addr().String()
	want := "--tls-fingerprint " + one + " --tls-fingerprint " + two
	for _, url := range []string{"moqt://" + addr, "https://" + addr + "/path?query"} {
		if code, out, errs := script(t, "trust", url); code != 0 || strings.TrimSpace(out) != want {
			t.Errorf("dev/trust %s = %d, %q, %q, want %q", url, code, out, errs, want)
		}
	}
	if code, out, errs := script(t, "trust", "moqt://relay.example:4443/x"); code != 0 || out != "" {
		t.Errorf("dev/trust of a relay elsewhere = %d, %q, %q, want nothing", code, out, errs)
	}
	relay.Close()
	if code, out, errs := script(t, "trust", "moqt://"+addr); code != 1 || out != "" || !strings.HasPrefix(errs, "dev/trust: no relay answers at http://"+addr) {
		t.Errorf("dev/trust without a relay = %d, %q, %q", code, out, errs)
	}
}

func TestTrustWithoutSelfSigned(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed; wget does not tell a 404 from no answer")
	}
	relay := httptest.NewServer(http.NotFoundHandler())
	defer relay.Close()
	if code, out, errs := script(t, "trust", "moqt://"+relay.Listener.Addr().String()); code != 0 || out != "" {
		t.Errorf("dev/trust = %d, %q, %q, want nothing", code, out, errs)
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"sub", nil, 2, "usage: dev/sub NAME"},
		{"pub", nil, 2, "usage: dev/pub FILE"},
		{"pub", []string{"/nonexistent/clip.mp4"}, 1, "there is no file /nonexistent/clip.mp4"},
	} {
		if code, out, errs := script(t, tt.name, tt.args...); code != tt.code || out != "" || !strings.Contains(errs, tt.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("dev/%s %q = %d, %q, %q, want %d and one line with %q", tt.name, tt.args, code, out, errs, tt.code, tt.want)
		}
	}
}
