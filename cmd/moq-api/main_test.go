package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/api/redisstore"
	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/transport/moqt"
)

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlags(t *testing.T) {
	const token = "0123456789abcdef"
	defaults := config{bind: "127.0.0.1:4481", admin: "127.0.0.1:4482", server: api.ServerConfig{Lease: 15 * time.Second}}
	with := func(f func(*config)) config {
		c := defaults
		f(&c)
		return c
	}
	for _, tt := range []struct {
		name string
		args []string
		env  map[string]string
		want config
		err  string
	}{
		{"none", nil, nil, defaults, ""},
		{"memory", []string{"--store", "memory"}, nil, defaults, ""},
		{"all", []string{"--bind", ":1", "--admin", "", "--lease", "1m", "--token-file", file(t, token), "--allow-relay", "a", "--allow-relay", "b:1"}, nil,
			config{bind: ":1", server: api.ServerConfig{Lease: time.Minute, Tokens: []string{token}, AllowRelays: []string{"a", "b:1"}}}, ""},
		{"redis", []string{"--store", "redis"}, nil,
			with(func(c *config) { c.redis = &redisstore.Config{URL: "redis://127.0.0.1:6379"} }), ""},
		{"redis URL", []string{"--redis", "redis://h:1/2", "--redis-allow-open"}, nil,
			with(func(c *config) { c.redis = &redisstore.Config{URL: "redis://h:1/2", AllowOpen: true} }), ""},
		{"redis password from a file", []string{"--redis", "redis://u@h", "--redis-password-file", file(t, "pw\n")}, nil,
			with(func(c *config) { c.redis = &redisstore.Config{URL: "redis://u@h", Password: "pw"} }), ""},
		{"redis password from a variable", nil, map[string]string{"MOQ_API_REDIS": "redis://:pw@h"},
			with(func(c *config) { c.redis = &redisstore.Config{URL: "redis://:pw@h"} }), ""},
		{"redis password from the configuration", []string{"--config", file(t, "redis: redis://:pw@h")}, nil,
			with(func(c *config) { c.redis = &redisstore.Config{URL: "redis://:pw@h"} }), ""},
		{"redis password on the command line", []string{"--redis=redis://:s3cret@h"}, nil, config{}, "command line"},
		{"both", []string{"--store", "memory", "--redis", "redis://h"}, nil, config{}, "drop one"},
		{"neither", []string{"--store", "disk"}, nil, config{}, "want memory or redis"},
		{"short lease", []string{"--lease", "1ms"}, nil, config{}, "--lease 1ms: want 1s to 10m"},
		{"no token", []string{"--token-file", file(t, "")}, nil, config{}, "--token-file: "},
		{"no password", []string{"--redis", "redis://h", "--redis-password-file", file(t, "\n")}, nil, config{}, "it is empty"},
		{"no password file", []string{"--redis", "redis://h", "--redis-password-file", "/nonexistent"}, nil, config{}, "no such file"},
		{"an argument", []string{"x"}, nil, config{}, `unexpected argument "x"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			args := append([]string{"moq-api"}, tt.args...)
			a := newApp(args)
			var got config
			a.Action = func(c *cli.Context) (err error) {
				got, err = configOf(c, args)
				return err
			}
			var stderr bytes.Buffer
			code := app.Run(t.Context(), a, args, &stderr)
			if tt.err != "" {
				if code != 2 || !strings.Contains(stderr.String(), tt.err) || strings.Contains(stderr.String(), "s3cret") {
					t.Errorf("Run = %d %q, want 2 and %q", code, stderr.String(), tt.err)
				}
				return
			}
			if len(got.server.AllowRelays) == 0 {
				got.server.AllowRelays = nil
			}
			if code != 0 || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Run = %d %q, config = %+v, want %+v", code, stderr.String(), got, tt.want)
			}
		})
	}
}

// started is a running command.
type started struct {
	t     *testing.T
	lines *bufio.Scanner // of its log
	stop  context.CancelFunc
	code  chan int
}

func start(t *testing.T, args ...string) *started {
	t.Helper()
	args = append([]string{"moq-api", "--bind", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	s := &started{t, bufio.NewScanner(r), cancel, make(chan int, 1)}
	go func() {
		s.code <- app.Run(ctx, newApp(args), args, w)
		w.Close()
	}()
	return s
}

// listening waits for the line of the log with message and returns its addr.
func (s *started) listening(message string) string {
	s.t.Helper()
	addr := regexp.MustCompile(` addr=(\S+)`)
	for s.lines.Scan() {
		if line := s.lines.Text(); strings.Contains(line, `msg="`+message+`"`) {
			return addr.FindStringSubmatch(line)[1]
		}
	}
	s.t.Fatalf("ended without saying %q: code %d", message, <-s.code)
	return ""
}

// drain reads the rest of the log, without which the command would block.
func (s *started) drain() {
	go func() { // ends with the command
		for s.lines.Scan() {
		}
	}()
}

func (s *started) end() {
	s.t.Helper()
	s.stop()
	if code := <-s.code; code != 0 {
		s.t.Errorf("exit code = %d, want 0", code)
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestServe(t *testing.T) {
	m := miniredis.RunT(t)
	for name, flags := range map[string][]string{
		"memory": nil,
		"redis":  {"--redis", "redis://" + m.Addr()},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, append(flags, "--token-file", file(t, "0123456789abcdef"))...)
			admin := "http://" + s.listening("admin listening")
			url := "http://" + s.listening("moq-api listening")
			s.drain()
			c, err := api.NewClient(api.ClientConfig{URL: url, Token: "0123456789abcdef"})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			ns := moqt.NS("live", "alice")
			if err := c.Put(t.Context(), api.Origin{Namespace: ns, Node: "r1", URL: "moqt://r1:4443"}, 0); err != nil {
				t.Fatal(err)
			}
			if found, err := c.Lookup(t.Context(), ns); err != nil || len(found) != 1 || found[0].URL != "moqt://r1:4443" {
				t.Errorf("Lookup = %v, %v, want the origin", found, err)
			}
			for _, page := range []struct {
				url  string
				code int
				want string
			}{
				{url + "/origin/live-alice", 401, "token"},
				{url + "/livez", 200, ""},
				{url + "/readyz", 200, ""},
				{url + "/metrics", 404, ""}, // for the admin listener alone
				{url + "/debug/pprof/", 404, ""},
				{admin + "/readyz", 200, "ok"},
				{admin + "/state", 200, fmt.Sprintf(`"store": %q`, name)},
				{admin + "/metrics", 200, `moq_api_requests_total{method="POST",status="200"} 1`},
				{admin + "/metrics", 200, `moq_build_info{program="moq-api"`},
			} {
				if code, body := get(t, page.url); code != page.code || !strings.Contains(body, page.want) {
					t.Errorf("GET %s = %d %.300s, want %d %s", page.url, code, body, page.code, page.want)
				}
			}
			if name == "memory" {
				if _, body := get(t, admin+"/metrics"); !strings.Contains(body, "moq_api_records 1") {
					t.Error("metrics have no moq_api_records 1")
				}
			} else {
				m.Close()
				if code, _ := get(t, admin+"/readyz"); code != 503 {
					t.Errorf("/readyz without Redis = %d, want 503", code)
				}
				if code, _ := get(t, url+"/livez"); code != 200 {
					t.Errorf("/livez without Redis = %d, want 200", code)
				}
			}
			http.DefaultClient.CloseIdleConnections()
			s.end()
		})
	}
}

// It starts without Redis, and works when that comes.
func TestRedisComesLater(t *testing.T) {
	m := miniredis.RunT(t)
	addr := m.Addr()
	m.Close()
	s := start(t, "--redis", "redis://"+addr)
	url := "http://" + s.listening("moq-api listening")
	s.drain()
	if code, body := get(t, url+"/origin/a"); code != 503 {
		t.Errorf("GET without Redis = %d %s, want 503", code, body)
	}
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	if code, body := get(t, url+"/origin/a"); code != 404 {
		t.Errorf("GET with Redis = %d %s, want 404", code, body)
	}
	http.DefaultClient.CloseIdleConnections()
	s.end()
}

func TestPortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().String()
	for _, flag := range []string{"bind", "admin"} {
		args := []string{"moq-api", "--log-level", "off", "--bind", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--" + flag, taken}
		var stderr bytes.Buffer
		code := app.Run(t.Context(), newApp(args), args, &stderr)
		want := "moq-api: address " + taken + " is already in use: stop the program that listens there, or choose another with --" + flag + "\n"
		if code != 1 || stderr.String() != want {
			t.Errorf("Run = %d %q, want 1 %q", code, stderr.String(), want)
		}
	}
}

func TestBadRedis(t *testing.T) {
	for url, want := range map[string]string{
		"redis://redis.example:6379": "--redis-allow-open",
		"http://127.0.0.1":           "redis URL: invalid URL scheme",
	} {
		args := []string{"moq-api", "--log-level", "off", "--redis", url}
		var stderr bytes.Buffer
		if code := app.Run(t.Context(), newApp(args), args, &stderr); code != 2 || !strings.Contains(stderr.String(), want) {
			t.Errorf("Run with %s = %d %q, want 2 and %q", url, code, stderr.String(), want)
		}
	}
}
