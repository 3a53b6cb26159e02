// Package e2e runs the commands as their users do: real processes, real
// sockets on loopback, ffmpeg, Redis and Chromium.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tributary-live/tributary/internal/devcert"
)

// bin is the directory of the commands under test.
var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "moq-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Chmod(dir, 0o755) // for tests that run commands as another user
	bin = dir
	build := exec.Command("go", "build", "-o", dir+"/", "./cmd/...", "./dev/stamp")
	build.Dir = ".."
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the commands:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// need skips the test, or fails it where nothing may be skipped, if a program is
// missing.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if os.Getenv("TRIBUTARY_REQUIRE") == "1" {
			t.Fatalf("%s is missing and TRIBUTARY_REQUIRE=1", p)
		}
		t.Skipf("%s is missing", p)
	}
}

// proc is a process that a test has started.
type proc struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait; set when done is closed

	mu    sync.Mutex // guards what follows
	lines []string   // of stderr
	grew  chan struct{}
}

// start runs a program and ends it with the test. If stdout is nil, what it
// prints there is kept with its stderr.
func start(t *testing.T, stdin io.Reader, stdout io.Writer, name string, args ...string) *proc {
	t.Helper()
	return startWithin(t, func(start func() error) error { return start() }, stdin, stdout, name, args...)
}

// startWithin is start, where within calls what starts the process.
func startWithin(t *testing.T, within func(start func() error) error, stdin io.Reader, stdout io.Writer, name string, args ...string) *proc {
	t.Helper()
	path := name
	if p := filepath.Join(bin, name); exists(p) {
		path = p
	}
	p := &proc{t: t, name: name, cmd: exec.Command(path, args...), done: make(chan struct{}), grew: make(chan struct{})}
	p.cmd.Stdin = stdin
	p.cmd.Env = append(os.Environ(), "MOQ_LOG=debug")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr, p.cmd.Stdout = w, stdout
	if stdout == nil {
		p.cmd.Stdout = w
	}
	if err := within(p.cmd.Start); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	w.Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer r.Close()
		for b := bufio.NewReader(r); ; {
			line, err := b.ReadString('\n')
			if line != "" {
				p.said(strings.TrimSuffix(line, "\n"))
			}
			if err != nil {
				return
			}
		}
	}()
	go func() {
		p.err = p.cmd.Wait()
		<-read
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop()
		for _, bad := range []string{"panic: ", "fatal error: ", "DATA RACE"} { // the last with GOFLAGS=-race
			if strings.Contains(p.log(), bad) {
				t.Errorf("%s has said %q", name, bad)
			}
		}
		if t.Failed() {
			t.Logf("--- %s %s\n%s", name, strings.Join(args, " "), tail(p.log(), 40))
		}
	})
	return p
}

func (p *proc) said(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, line)
	close(p.grew)
	p.grew = make(chan struct{})
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func tail(s string, n int) string {
	lines := strings.Split(s, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// log returns what the process has said.
func (p *proc) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// await waits until a line matches and returns its submatches.
func (p *proc) await(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.After(20 * time.Second)
	from := 0
	for {
		p.mu.Lock()
		lines, grew := p.lines[from:], p.grew
		from = len(p.lines)
		p.mu.Unlock()
		for _, l := range lines {
			if m := re.FindStringSubmatch(l); m != nil {
				return m
			}
		}
		select {
		case <-grew:
		case <-p.done:
			if m := re.FindStringSubmatch(p.log()); m != nil {
				return m
			}
			p.t.Fatalf("%s ended (%v) before it said %q:\n%s", p.name, p.err, pattern, tail(p.log(), 20))
		case <-late:
			p.t.Fatalf("%s did not say %q:\n%s", p.name, pattern, tail(p.log(), 20))
		}
	}
}

// stop asks the process to end, and makes it end if it does not.
func (p *proc) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.t.Errorf("%s did not end within 10 s of SIGTERM", p.name)
		p.kill()
	}
}

func (p *proc) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// wait waits for the process to end and returns its exit code.
func (p *proc) wait(limit time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		p.t.Fatalf("%s still runs after %v:\n%s", p.name, limit, tail(p.log(), 20))
	}
	return p.cmd.ProcessState.ExitCode()
}

// tlsFiles is a self-signed certificate on disk.
type tlsFiles struct{ cert, key, fingerprint string }

func newTLS(t *testing.T) tlsFiles {
	t.Helper()
	source, err := devcert.New()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := source.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f := tlsFiles{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), devcert.Fingerprint(cert.Certificate[0])}
	err = errors.Join(
		os.WriteFile(f.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o600),
		os.WriteFile(f.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// cluster is api, dir and two relays.
type cluster struct {
	t      *testing.T
	tls    tlsFiles
	api    *proc
	dir    *proc
	relays [2]*proc
	args   [2][]string // of each relay, to start it again
	ports  [2]string
	admin  [2]string
}

// newCluster starts a cluster. apiArgs go to moq-api.
func newCluster(t *testing.T, apiArgs ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, tls: newTLS(t)}
	c.api = start(t, nil, nil, "moq-api", append([]string{"--bind", "127.0.0.1:0", "--admin", ""}, apiArgs...)...)
	apiAddr := c.api.await(`msg="(?:api ready|moq-api listening)" .*addr=(\S+)`)[1]
	c.dir = start(t, nil, nil, "moq-dir", "--bind", "127.0.0.1:0", "--admin", "", "--tls-cert", c.tls.cert, "--tls-key", c.tls.key)
	dirAddr := c.dir.await(`msg="directory ready" .*addr=(\S+)`)[1]
	for i := range c.relays {
		// The port is in the node's name, so it must be known before.
		c.ports[i] = freePort(t)
		c.args[i] = []string{"--dev", "--bind", "127.0.0.1:" + c.ports[i], "--admin", "127.0.0.1:0",
			"--tls-cert", c.tls.cert, "--tls-key", c.tls.key, "--tls-fingerprint", c.tls.fingerprint,
			"--drain", "300ms", "--node", c.url(i), "--api", "http://" + apiAddr, "--announce", "moqt://" + dirAddr}
		c.startRelay(i)
	}
	return c
}

// startRelay starts relay i, also once more after it has ended.
func (c *cluster) startRelay(i int) {
	c.t.Helper()
	c.relays[i] = start(c.t, nil, nil, "moq-relay", c.args[i]...)
	c.admin[i] = c.relays[i].await(`msg="admin listening" .*addr=(\S+)`)[1]
	c.relays[i].await(`msg="relay ready"`)
	c.relays[i].await(`msg="directory joined"`)
}

// freePort returns a UDP and TCP port of loopback that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		pc, err := net.ListenPacket("udp", addr)
		l.Close()
		if err != nil {
			continue
		}
		pc.Close()
		_, port, _ := net.SplitHostPort(addr)
		return port
	}
	t.Fatal("no port is free for both UDP and TCP")
	return ""
}

// url returns the URL of relay i (0 or 1).
func (c *cluster) url(i int) string { return "moqt://127.0.0.1:" + c.ports[i] }

// trust returns the flags by which a client trusts the cluster.
func (c *cluster) trust() []string { return []string{"--tls-fingerprint", c.tls.fingerprint} }

// client runs a command against relay i with args before the URL. The test t is
// that which the process belongs to.
func (c *cluster) client(t *testing.T, stdin io.Reader, stdout io.Writer, name string, relay int, args ...string) *proc {
	t.Helper()
	args = append(append(args, c.trust()...), c.url(relay))
	return start(t, stdin, stdout, name, args...)
}

// state is what a test reads of a relay's /state.
type state struct {
	Sessions []struct {
		ID            uint64 `json:"id"`
		Namespaces    int    `json:"namespaces"`
		Subscriptions int    `json:"subscriptions"`
		Relay         string `json:"relay"`
		BytesReceived uint64 `json:"bytes_received"`
	} `json:"sessions"`
	Tracks []struct {
		Name        string `json:"name"`
		Sources     int    `json:"sources"`
		Subscribers int    `json:"subscribers"`
	} `json:"tracks"`
}

// state asks relay i for its state.
func (c *cluster) state(t *testing.T, i int) state {
	t.Helper()
	return stateAt(t, c.admin[i])
}

// stateAt asks the relay whose admin address it is for its state.
func stateAt(t *testing.T, admin string) state {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/state", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var s state
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil {
		t.Fatalf("state of the relay at %s: %v", admin, err)
	}
	return s
}

// eventually waits until ok is true, which it asks often.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	late := time.After(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("after %v still not: %s", limit, what)
		}
	}
}

// buffer is a bytes.Buffer that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.b.Bytes())
}

func (b *buffer) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Len()
}

// output runs a program to its end and returns its stdout.
func output(t *testing.T, stdin io.Reader, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = stdin
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, tail(stderr.String(), 20))
	}
	return out
}
