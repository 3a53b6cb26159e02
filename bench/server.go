package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
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
	"time"

	"github.com/tributary-live/tributary/internal/devcert"
)

// server is a process under load. It listens on loopback.
type server struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	addr  string // host:port of what it serves
	admin string // host:port of its admin pages; "" if it has none
	pages *http.Client
	dir   string // removed with it
	done  chan struct{}

	mu  sync.Mutex // guards what follows
	err error      // of Wait
}

// startSelf starts this program as one of the servers of [Serve].
func startSelf(ctx context.Context, kind Kind, args ...string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(ctx, exec.CommandContext(ctx, self, append([]string{"serve", "--kind", string(kind)}, args...)...), "", serverCore(), nil)
}

// Relay says which relay to start, and how.
type Relay struct {
	// Program is the path of moq-relay. If empty, it is beside this program, or
	// where the shell would find it.
	Program string
	// CacheBytes is its --cache-bytes. If zero, its default.
	CacheBytes int64
	// Bind is the host it listens at. If empty, it is 127.0.0.1.
	Bind string
	// Within, if not nil, calls what starts the process, to start it on another
	// host: in a network namespace.
	Within func(start func() error) error
	// Dial connects with its admin pages where those are on another host. If nil,
	// they are on this one.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Limited has it bound how many connections it takes in a second, as it does
	// by default, but not of one address: the load comes from one.
	Limited bool
	// SameCore puts it on the core of the load, for measurements in which
	// neither is busy: what else runs there disturbs both alike.
	SameCore bool
}

func (r Relay) program() (string, error) {
	if r.Program != "" {
		return r.Program, nil
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "moq-relay")
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	found, err := exec.LookPath("moq-relay")
	if err != nil {
		return "", errors.New("no moq-relay beside this program or in PATH: say where it is with --relay FILE")
	}
	return found, nil
}

// startRelay starts a relay that is on its own.
func startRelay(ctx context.Context, r Relay) (*server, error) {
	program, err := r.program()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "moq-bench-")
	if err != nil {
		return nil, err
	}
	cert, key, err := writeCertificate(dir)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	bind := "127.0.0.1"
	if r.Bind != "" {
		bind = r.Bind
	}
	args := []string{"--bind", bind + ":0", "--admin", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key, "--log-level", "info",
		"--handshakes-per-address", "-1"}
	if !r.Limited {
		args = append(args, "--handshakes", "-1")
	}
	if r.CacheBytes > 0 {
		args = append(args, "--cache-bytes", fmt.Sprint(r.CacheBytes))
	}
	core := serverCore()
	if r.SameCore {
		core = loadCore()
	}
	s, err := start(ctx, exec.CommandContext(ctx, program, args...), dir, core, r.Within)
	if err == nil && r.Dial != nil {
		s.pages = &http.Client{Transport: &http.Transport{DialContext: r.Dial}}
	}
	return s, err
}

var (
	readyLine = regexp.MustCompile(`(?:relay ready|serving).* addr=(\S+)`)
	adminLine = regexp.MustCompile(`admin listening.* addr=(\S+)`)
)

// start starts cmd on core, and within, and waits until its log tells where it
// listens.
func start(ctx context.Context, cmd *exec.Cmd, dir string, core int, within func(func() error) error) (*server, error) {
	s := &server{cmd: cmd, dir: dir, pages: http.DefaultClient, done: make(chan struct{})}
	var err error
	if s.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	log, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := launch(cmd, core, strings.HasSuffix(os.Getenv(isolated), isFair), within); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	ready := make(chan struct{})
	go s.follow(log, ready) // ends with the process
	select {
	case <-ready:
		return s, nil
	case <-s.done:
		return nil, fmt.Errorf("%s ended before it was ready: %w", filepath.Base(cmd.Path), s.failure())
	case <-time.After(10 * time.Second):
		s.close()
		return nil, fmt.Errorf("%s was not ready after 10 s", filepath.Base(cmd.Path))
	}
}

// follow reads the log of the process, passes warnings and errors on, and waits
// for its end.
func (s *server) follow(log io.Reader, ready chan<- struct{}) {
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		line := lines.Text()
		if m := adminLine.FindStringSubmatch(line); m != nil {
			s.admin = m[1]
		}
		if m := readyLine.FindStringSubmatch(line); m != nil && ready != nil {
			s.addr = m[1]
			close(ready)
			ready = nil
			continue
		}
		if !strings.Contains(line, "level=INFO") {
			fmt.Fprintln(os.Stderr, line)
		}
	}
	err := s.cmd.Wait()
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	os.RemoveAll(s.dir)
	close(s.done)
}

func (s *server) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return errors.New("it gave no reason")
	}
	return s.err
}

func (s *server) usage() usage { return usageOf(s.cmd.Process.Pid) }

// begin tells a server of [Serve] to send.
func (s *server) begin() error {
	_, err := io.WriteString(s.stdin, "go\n")
	return err
}

// close ends the process and waits for that.
func (s *server) close() {
	s.stdin.Close()
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(10 * time.Second):
		s.cmd.Process.Kill()
		<-s.done
	}
}

// writeCertificate writes a self-signed certificate and its key into dir.
func writeCertificate(dir string) (certFile, keyFile string, err error) {
	cert, err := certificate()
	if err != nil {
		return "", "", err
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return "", "", err
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: cert.Certificate[0]},
		keyFile:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			return "", "", err
		}
	}
	return certFile, keyFile, nil
}

func certificate() (*tls.Certificate, error) {
	source, err := devcert.New()
	if err != nil {
		return nil, err
	}
	return source.GetCertificate(nil)
}

// trusting is the TLS configuration of clients: they dial nobody but the servers
// of this program, on loopback.
func trusting(protocols ...string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: protocols, MinVersion: tls.VersionTLS13}
}

// Process is a server that measurements of other packages use.
type Process struct{ srv *server }

// StartRelay starts a relay that is on its own, and waits until it serves.
func StartRelay(ctx context.Context, r Relay) (*Process, error) {
	srv, err := startRelay(ctx, r)
	if err != nil {
		return nil, err
	}
	return &Process{srv}, nil
}

// Addr is where it serves, host:port.
func (p *Process) Addr() string { return p.srv.addr }

// CPU is what it has used so far.
func (p *Process) CPU() time.Duration { return p.srv.usage().CPU }

// Metrics returns those of its metrics that have no labels, by name.
func (p *Process) Metrics(ctx context.Context) (map[string]float64, error) { return p.srv.metrics(ctx) }

// Collect has it collect its garbage.
func (p *Process) Collect(ctx context.Context) error { return p.srv.collect(ctx) }

// Close ends the process and waits for that.
func (p *Process) Close() { p.srv.close() }
