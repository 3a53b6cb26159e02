package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/internal/trust"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// start runs the command with args until the test ends and returns where it
// listens, and the fingerprint that it prints.
func start(t *testing.T, args ...string) (addr, fingerprint string) {
	t.Helper()
	out, w := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	a := newApp()
	a.Writer = w
	go func() {
		defer w.Close()
		ended <- app.Run(ctx, a, append([]string{"moq-dir", "--bind", "127.0.0.1:0", "--admin", "", "--drain", "100ms"}, args...), w)
	}()
	found := make(chan [2]string, 1)
	lines := make(chan struct{})
	go func() {
		defer close(lines)
		var got [2]string
		print, ready := regexp.MustCompile(`^certificate SHA-256: ([0-9a-f]{64})$`), regexp.MustCompile(`directory ready.* addr=(\S+)`)
		for s := bufio.NewScanner(out); s.Scan(); {
			if m := print.FindStringSubmatch(s.Text()); m != nil {
				got[1] = m[1]
			}
			if m := ready.FindStringSubmatch(s.Text()); m != nil {
				got[0] = m[1]
				found <- got
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("moq-dir ended with %d", code)
		}
		<-lines
	})
	select {
	case got := <-found:
		return got[0], got[1]
	case code := <-ended:
		ended <- code
		t.Fatalf("moq-dir ended with %d before it was ready", code)
	}
	panic("unreachable")
}

func dial(t *testing.T, url, fingerprint string) *transport.Session {
	t.Helper()
	config, err := trust.Options{Fingerprints: []string{fingerprint}}.TLS()
	if err != nil {
		t.Fatal(err)
	}
	d := &transport.Dialer{TLSConfig: config}
	sess, err := d.Dial(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sess.Close() })
	return sess
}

// A relay announces as many namespaces as it may, over QUIC; a client reads the
// listing over WebTransport.
func TestDirectory(t *testing.T) {
	const names = 600
	addr, fingerprint := start(t, "--dev", "--namespace", "my/dir", "--session-namespaces", fmt.Sprint(names))
	relay := dial(t, "moqt://"+addr, fingerprint)
	for i := range names {
		if _, err := relay.Announce(t.Context(), moqt.NS("room", fmt.Sprintf("%03d", i))); err != nil {
			t.Fatalf("announcement %d: %v", i, err)
		}
	}
	if _, err := relay.Announce(t.Context(), moqt.NS("more")); err == nil {
		t.Error("one namespace more was not refused")
	}
	client := dial(t, "https://"+addr+"/", fingerprint)
	tr, err := client.Subscribe(t.Context(), moqt.NS("my", "dir").Track("room"), &transport.SubscribeOptions{Filter: moqt.Filter{Kind: moqt.FilterNone}})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	for o, err := range tr.Objects(t.Context()) {
		if err != nil || o.Object != 0 || strings.Count(string(o.Payload), "\n") != names || !strings.HasPrefix(string(o.Payload), "000\n001\n") {
			t.Errorf("first object is %v of %d bytes (%v), want a list of %d names", o.Location, len(o.Payload), err, names)
		}
		break
	}
}

func TestMistakes(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct {
		name, args string
		code       int
		want       string
	}{
		{"no certificate", "", 2, "no certificate: give --tls-cert and --tls-key, or --dev"},
		{"half a certificate", "--tls-cert x", 2, "go together"},
		{"no such file", "--tls-cert /nonexistent/c --tls-key /nonexistent/k", 1, "no such file"},
		{"reserved", "--dev --namespace .", 2, "reserved: its first field begins with a period"},
		{"empty field", "--dev --namespace a//b", 2, "--namespace: "},
		{"no names", "--dev --session-namespaces 0", 2, "want at least 1"},
		{"taken", "--dev --bind " + taken.LocalAddr().String(), 1, "is already in use"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp()
			a.Writer = io.Discard
			var stderr strings.Builder
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			code := app.Run(ctx, a, append([]string{"moq-dir", "--admin", "", "--log-level", "off"}, strings.Fields(tt.args)...), &stderr)
			if code != tt.code || !strings.Contains(stderr.String(), tt.want) || strings.Count(stderr.String(), "\n") != 1 {
				t.Errorf("Run = %d, stderr %q, want %d and one line with %q", code, stderr.String(), tt.code, tt.want)
			}
		})
	}
}
