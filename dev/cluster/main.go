// Command cluster runs a whole cluster on this machine: moq-api, moq-dir, two
// relays and a test broadcast on the first. It needs no root, no Docker and no
// ffmpeg. Ctrl-C ends everything.
package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tributary-live/tributary/internal/devcert"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	bin := flag.String("bin", "bin", "directory of the commands, made by make build")
	name := flag.String("name", "demo", "namespace of the test broadcast")
	level := flag.String("log-level", "warn", "log level of all parts")
	redis := flag.String("redis", "", "keep origins in the Redis at this URL; by default moq-api keeps them in memory")
	flag.Parse()

	dir, err := os.MkdirTemp("", "moq-cluster-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fingerprint, err := writeCertificate(dir)
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	c := &cluster{bin: *bin, ended: make(chan error, 8)}
	defer c.stop()
	log := []string{"--log-level", *level}
	serve := []string{"--tls-cert", filepath.Join(dir, "cert.pem"), "--tls-key", filepath.Join(dir, "key.pem")}
	trust := []string{"--tls-fingerprint", fingerprint}

	api := []string{"--bind", "127.0.0.1:4481", "--admin", "127.0.0.1:4491"}
	if *redis != "" {
		api = append(api, "--redis", *redis)
	}
	c.start("moq-api", api, log)
	c.start("moq-dir", []string{"--bind", "127.0.0.1:4482", "--admin", "127.0.0.1:4492"}, serve, log)
	if err := c.ready(ctx, "http://127.0.0.1:4491/readyz", "http://127.0.0.1:4492/readyz"); err != nil {
		return err
	}
	for i, port := range []string{"4443", "4444"} {
		c.start("moq-relay", []string{"--dev", "--bind", "[::]:" + port, "--admin", fmt.Sprintf("127.0.0.1:%d", 4480-i*10),
			"--node", "moqt://localhost:" + port, "--api", "http://127.0.0.1:4481", "--announce", "moqt://127.0.0.1:4482"}, serve, trust, log)
	}
	pages := []string{"http://localhost:4443/", "http://localhost:4444/"}
	if err := c.ready(ctx, pages...); err != nil {
		return err
	}
	c.start("moq-pub", []string{"--test", "--name", *name}, trust, log, []string{"moqt://localhost:4443"})
	fmt.Printf(`
Tributary runs on this machine. Open one of these in Chrome or Edge:

  %s   relay 1, where the test broadcast %q comes in
  %s   relay 2, which gets it from relay 1

Who reaches this machine reaches them too: docs/security.md says what that means.

To publish a file of yours:  dev/pub FILE
What to try next:            docs/guides/first-broadcast.md
Over several networks:       docs/multipath.md
Ctrl-C ends everything.
`, pages[0], *name, pages[1])
	select {
	case <-ctx.Done():
		return nil
	case err := <-c.ended:
		return err
	}
}

// writeCertificate makes a self-signed certificate that all parts serve, and
// returns its fingerprint, by which they trust each other.
func writeCertificate(dir string) (string, error) {
	source, err := devcert.New()
	if err != nil {
		return "", err
	}
	cert, err := source.GetCertificate(nil)
	if err != nil {
		return "", err
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return "", err
	}
	write := func(name, typ string, der []byte) error {
		return os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}), 0o600)
	}
	return devcert.Fingerprint(cert.Certificate[0]), errors.Join(
		write("cert.pem", "CERTIFICATE", cert.Certificate[0]), write("key.pem", "PRIVATE KEY", key))
}

// cluster is a set of processes that live and die together.
type cluster struct {
	bin   string
	procs []process
	wg    sync.WaitGroup
	ended chan error // a process that ended by itself
}

type process struct {
	name string
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended
}

func (c *cluster) start(name string, args ...[]string) {
	var all []string
	for _, a := range args {
		all = append(all, a...)
	}
	cmd := exec.Command(filepath.Join(c.bin, name), all...)
	// Ctrl-C goes to us alone, so that the parts end in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		c.ended <- fmt.Errorf("start %s: %w (make build makes the commands)", name, err)
		return
	}
	p := process{name, cmd, make(chan struct{})}
	c.procs = append(c.procs, p)
	last := make(chan string, 1)
	c.wg.Go(func() {
		line := ""
		for s := bufio.NewScanner(out); s.Scan(); {
			line = s.Text()
			fmt.Fprintf(os.Stderr, "%-9s | %s\n", strings.TrimPrefix(name, "moq-"), line)
		}
		last <- line
	})
	c.wg.Go(func() {
		err := cmd.Wait()
		close(p.gone)
		w.Close()
		line := <-last
		select {
		case c.ended <- fmt.Errorf("%s has ended (%v): %s", name, err, line):
		default:
		}
	})
}

// stop ends the processes, the last started first, so that none misses another
// that it needs. Those of one kind end together.
func (c *cluster) stop() {
	for n := len(c.procs); n > 0; {
		first := n - 1
		for first > 0 && c.procs[first-1].name == c.procs[n-1].name {
			first--
		}
		for _, p := range c.procs[first:n] {
			p.cmd.Process.Signal(syscall.SIGTERM)
		}
		for _, p := range c.procs[first:n] {
			<-p.gone
		}
		n = first
	}
	c.wg.Wait()
}

// ready waits until every page answers.
func (c *cluster) ready(ctx context.Context, pages ...string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 15*time.Second, errors.New("it does not answer after 15 s"))
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for _, page := range pages {
		for !answers(ctx, page) {
			select {
			case err := <-c.ended:
				return err
			case <-ctx.Done():
				return fmt.Errorf("%s: %w", page, context.Cause(ctx))
			case <-tick.C:
			}
		}
	}
	return nil
}

func answers(ctx context.Context, page string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}
