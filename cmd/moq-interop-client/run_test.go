package main

import (
	"context"
	"crypto/tls"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/internal/devcert"
	"github.com/tributary-live/tributary/interop"
	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
)

// newRelay runs a relay for the test, and returns its address and its
// certificate's fingerprint.
func newRelay(t *testing.T) (addr, fingerprint string) {
	t.Helper()
	certs, err := devcert.New()
	if err != nil {
		t.Fatal(err)
	}
	pc, err := transport.ListenUDP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := relay.New(relay.Config{})
	srv := &transport.Server{TLSConfig: &tls.Config{GetCertificate: certs.GetCertificate}, Handler: r}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(context.WithoutCancel(t.Context()), pc) }()
	t.Cleanup(func() {
		r.Close()
		srv.Close()
		<-served
	})
	return pc.LocalAddr().String(), certs.Fingerprints()[0]
}

// command runs moq-interop-client and returns what it prints.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	a := newApp()
	a.Writer = &out
	code = app.Run(t.Context(), a, append([]string{"moq-interop-client", "--log-level", "off"}, args...), &errs)
	return code, out.String(), errs.String()
}

func TestList(t *testing.T) {
	for _, flag := range []string{"-l", "--list"} {
		code, stdout, stderr := command(t, flag)
		if code != 0 || stderr != "" || !slices.Equal(strings.Fields(stdout), interop.Cases()) {
			t.Errorf("moq-interop-client %s = %d, %q, %q, want the cases", flag, code, stdout, stderr)
		}
	}
}

// The runner starts the client with variables in place of flags.
func TestByVariables(t *testing.T) {
	addr, _ := newRelay(t)
	t.Setenv("RELAY_URL", "https://"+addr+"/moq")
	t.Setenv("TESTCASE", "announce-subscribe")
	t.Setenv("TLS_DISABLE_VERIFY", "1")
	t.Setenv("MOQT_DRAFT", "draft-18")
	t.Setenv("VERBOSE", "0")
	code, stdout, stderr := command(t)
	if code != 0 || stderr != "" || !strings.Contains(stdout, "\n1..1\nok 1 - announce-subscribe\n") || !strings.Contains(stdout, "\n  subscriber_draft: draft-18\n") {
		t.Errorf("moq-interop-client = %d\n%s%s", code, stdout, stderr)
	}
	// A flag goes before the variable.
	t.Setenv("VERBOSE", "1")
	code, stdout, stderr = command(t, "-t", "setup-only", "-r", "moqt://"+addr)
	if code != 0 || !strings.Contains(stdout, "\nok 1 - setup-only\n") || !strings.Contains(stderr, "session open") {
		t.Errorf("moq-interop-client -t setup-only = %d\n%s%s", code, stdout, stderr)
	}
	t.Setenv("TESTCASE", "")
	code, stdout, _ = command(t)
	if code != 0 || strings.Count(stdout, "\nok ") != len(interop.Cases()) {
		t.Errorf("moq-interop-client = %d, want all cases\n%s", code, stdout)
	}
}

func TestExitCodes(t *testing.T) {
	addr, fingerprint := newRelay(t)
	for _, tt := range []struct {
		name, args     string
		code           int
		stdout, stderr string
	}{
		{"passed", "--tls-fingerprint " + fingerprint + " -t setup-only -r moqt://" + addr, 0, "\nok 1 - setup-only\n", ""},
		{"failed", "-t setup-only -r moqt://" + addr, 1, "\nnot ok 1 - setup-only\n", "1 of 1 test cases failed: setup-only"},
		{"no relay", "--tls-disable-verify -r http://" + addr, 1, "\nBail out! ", "1 of 1 test cases failed: setup-only"},
		{"unknown test", "-t nonsense", 127, "", `unknown test case: "nonsense"; --list lists them`},
		{"unknown draft", "--draft 15", 127, "", "--draft: draft-15 is not implemented here"},
		{"no draft", "--draft newest", 2, "", `--draft "newest": want the number of a draft`},
		{"no fingerprint", "--tls-fingerprint x", 2, "", "--tls-fingerprint"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := command(t, strings.Fields(tt.args)...)
			if code != tt.code || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) || tt.stdout == "" && stdout != "" {
				t.Errorf("moq-interop-client = %d\nstdout %s\nstderr %s\nwant %d, %q and %q", code, stdout, stderr, tt.code, tt.stdout, tt.stderr)
			}
		})
	}
}
