package redisstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// server is a redis-server of a test's own, on a Unix socket.
type server struct {
	t      *testing.T
	args   []string
	socket string
	cmd    *exec.Cmd
}

// startServer starts one. Without redis-server the test is skipped, or fails
// where TRIBUTARY_REQUIRE=1 says that nothing may be missing.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("TRIBUTARY_REQUIRE") == "1" {
			t.Fatalf("redis-server is required: %v", err)
		}
		t.Skipf("no redis-server: %v", err)
	}
	dir, err := os.MkdirTemp("", "redis") // t.TempDir is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &server{t: t, socket: filepath.Join(dir, "s")}
	s.args = append([]string{"--port", "0", "--unixsocket", s.socket, "--dir", dir, "--save", "", "--appendonly", "no"}, args...)
	s.start()
	t.Cleanup(s.kill)
	return s
}

// ownAddress returns an address of this process alone, where the system has more than
// one: a node of a cluster listens to others of it on a port that cannot be chosen.
func ownAddress() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	pid := os.Getpid() // 22 bits at most
	return fmt.Sprintf("127.%d.%d.%d", 64+pid>>16, pid>>8&255, pid&255)
}

// start starts the server and waits until it says that it is ready.
func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", s.args...)
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "ready to accept connections") {
			go func() { // ends with the server, which must not block on a full pipe
				for lines.Scan() {
				}
			}()
			return
		}
	}
	s.t.Fatalf("redis-server %v ended without being ready", s.args)
}

// kill is kill -9. It may be called again.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Signal(syscall.SIGCONT)
	s.cmd.Process.Kill()
	s.cmd.Wait()
	s.cmd = nil
	os.Remove(s.socket)
}

// pause stops the process where it is, as a partition would: connections stay
// open and nothing answers. resume has it go on.
func (s *server) pause()  { s.signal(syscall.SIGSTOP) }
func (s *server) resume() { s.signal(syscall.SIGCONT) }

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// admin returns a client to set the scene with.
func (s *server) admin() *redis.Client {
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: s.socket})
	s.t.Cleanup(func() { c.Close() })
	return c
}

func (s *server) open() *Store {
	s.t.Helper()
	store, err := Open(Config{URL: "unix://" + s.socket})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { store.Close() })
	return store
}

// openCluster opens the server as a cluster of one. A cluster's nodes are told
// by address; all lead to the socket.
func (s *server) openCluster() *Store {
	c := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{"127.0.0.1:1"},
		Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", s.socket)
		},
	})
	s.t.Cleanup(func() { c.Close() })
	return New(c)
}

// advance makes the leases d older, without waiting for it.
func (s *server) advance(c *redis.Client) func(d time.Duration) {
	return func(d time.Duration) {
		s.t.Helper()
		err := c.Eval(s.t.Context(), `
			for _, key in ipairs(redis.call('KEYS', 'moq:*')) do
				local left = redis.call('PTTL', key)
				if left >= 0 and left <= tonumber(ARGV[1]) then
					redis.call('DEL', key)
				elseif left >= 0 then
					redis.call('PEXPIRE', key, left - ARGV[1])
				end
			end`, nil, d.Milliseconds()).Err()
		if err != nil && !errors.Is(err, redis.Nil) {
			s.t.Fatal(err)
		}
	}
}

// eventually waits until f is nil, at most d.
func eventually(t *testing.T, d time.Duration, f func() error) {
	t.Helper()
	deadline := time.After(d)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %v: %v", d, err)
		}
	}
}
