package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urfave/cli/v2"
)

// seen is what the Action of a test's App read from its flags.
type seen struct {
	bind    string
	roots   []string
	age     time.Duration
	dev     bool
	workers int
	args    []string
}

func testApp(got *seen) *cli.App {
	return &cli.App{
		Name: "moq-relay", ArgsUsage: "[URL]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "bind", Value: "[::]:4443"},
			&cli.StringSliceFlag{Name: "tls-root"},
			&cli.DurationFlag{Name: "cache-age", Value: 10 * time.Second},
			&cli.BoolFlag{Name: "dev"},
			&cli.IntFlag{Name: "workers"},
		},
		Action: func(c *cli.Context) error {
			*got = seen{c.String("bind"), c.StringSlice("tls-root"), c.Duration("cache-age"), c.Bool("dev"), c.Int("workers"), c.Args().Slice()}
			return nil
		},
	}
}

func run(t *testing.T, a *cli.App, args ...string) (code int, stderr string) {
	t.Helper()
	var out bytes.Buffer
	a.Writer = &out
	var errOut bytes.Buffer
	code = Run(t.Context(), a, append([]string{"/usr/bin/" + a.Name}, args...), &errOut)
	return code, errOut.String()
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "relay.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlagBeforeVariableBeforeFile(t *testing.T) {
	file := "bind: '127.0.0.1:1'\ncache-age: 1s\nworkers: 1\ntls-root: [f1, f2]\ndev: true # a comment\n"
	defaults := seen{bind: "[::]:4443", age: 10 * time.Second}
	fromFile := seen{bind: "127.0.0.1:1", roots: []string{"f1", "f2"}, age: time.Second, dev: true, workers: 1}
	for _, tt := range []struct {
		name string
		file string
		env  map[string]string
		args []string
		want seen
	}{
		{"defaults", "", nil, nil, defaults},
		{"file", file, nil, nil, fromFile},
		{"variable over file", file, map[string]string{"MOQ_RELAY_CACHE_AGE": "2s", "MOQ_RELAY_TLS_ROOT": "a,b"}, nil,
			seen{bind: "127.0.0.1:1", roots: []string{"a,b"}, age: 2 * time.Second, dev: true, workers: 1}},
		{"flag over both", file, map[string]string{"MOQ_RELAY_CACHE_AGE": "2s", "MOQ_RELAY_WORKERS": "2"},
			[]string{"--cache-age", "3s", "--tls-root", "x", "--tls-root", "y", "--dev=false", "moqt://h"},
			seen{bind: "127.0.0.1:1", roots: []string{"x", "y"}, age: 3 * time.Second, workers: 2, args: []string{"moqt://h"}}},
		{"file of comments", "# nothing\n", nil, nil, defaults},
		{"empty file", "\n", nil, nil, defaults},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			args := tt.args
			if tt.file != "" {
				args = append([]string{"--config", writeConfig(t, tt.file)}, args...)
			}
			var got seen
			if code, stderr := run(t, testApp(&got), args...); code != 0 || stderr != "" {
				t.Fatalf("Run = %d, stderr %q, want 0 and nothing", code, stderr)
			}
			if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", tt.want); g != w {
				t.Errorf("flags = %s, want %s", g, w)
			}
		})
	}
}

func TestConfigFileFromVariable(t *testing.T) {
	t.Setenv("MOQ_RELAY_CONFIG", writeConfig(t, "workers: 7"))
	var got seen
	if code, stderr := run(t, testApp(&got)); code != 0 || got.workers != 7 {
		t.Errorf("Run = %d %q, workers = %d, want 7", code, stderr, got.workers)
	}
}

// What a YAML decoder would turn into numbers and booleans stays as written.
func TestConfigKeepsText(t *testing.T) {
	for in, want := range map[string]string{
		"bind: 12e4":           "12e4",
		"bind: 0123":           "0123",
		"bind: off":            "off",
		"bind: 4443":           "4443",
		"bind: \"a: b\"":       "a: b",
		"bind: |\n  two words": "two words",
	} {
		var got seen
		if code, stderr := run(t, testApp(&got), "--config", writeConfig(t, in+"\n")); code != 0 || strings.TrimSpace(got.bind) != want {
			t.Errorf("%q: Run = %d %q, bind = %q, want %q", in, code, stderr, got.bind, want)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		args       []string
		want       string // part of the sentence
	}{
		{"unknown flag", "", []string{"--bnd", "x"}, "unknown flag --bnd (did you mean --bind?)"},
		{"flag like no other", "", []string{"--zzz", "x"}, "unknown flag --zzz (moq-relay --help lists them)"},
		{"bad duration", "", []string{"--cache-age", "10"}, `invalid value "10" for --cache-age: want a number and its unit`},
		{"no value", "", []string{"--bind"}, "--bind needs a value"},
		{"too many arguments", "", []string{"a", "b"}, `unexpected argument "b"`},
		{"flag after argument", "", []string{"a", "--dev"}, "--dev stands after a: flags go first"},
		{"help is an argument too", "", []string{"help", "b"}, `unexpected argument "b"`},
		{"log level", "", []string{"--log-level", "loud"}, "want trace, debug, info, warn, error or off"},
		{"no file", "", []string{"--config", "/nonexistent/x.yaml"}, "/nonexistent/x.yaml: no such file"},
		{"unknown key", "bnd: x", nil, `line 1: unknown key "bnd"`},
		{"nested config", "config: x", nil, `unknown key "config"`},
		{"help in file", "help: true", nil, `unknown key "help"`},
		{"key twice", "bind: a\nworkers: 1\nbind: b", nil, `line 3: mapping key "bind" already defined`},
		{"value of wrong type", "cache-age: soon", nil, `value "soon" of "cache-age": want a number and its unit`},
		{"list for one value", "bind: [a, b]", nil, `"bind" takes one value, not a list`},
		{"mapping", "bind:\n  host: a", nil, `"bind" is a mapping`},
		{"null", "bind:", nil, `"bind" is a null`},
		{"list at the top", "- bind", nil, "found a sequence"},
		{"text at the top", "bind", nil, "found a string"},
		{"two documents", "bind: a\n---\nbind: b", nil, "more than one document"},
		{"not YAML", "bind: [::]:4443", nil, "line 1: "},
		{"not YAML either", "\x00{[:", nil, "--config"},
		{"too large", strings.Repeat("#", maxConfigBytes+1), nil, "larger than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := tt.args
			if tt.file != "" {
				args = []string{"--config", writeConfig(t, tt.file)}
			}
			code, stderr := run(t, testApp(new(seen)), args...)
			if code != 2 || !strings.HasPrefix(stderr, "moq-relay: ") || !strings.Contains(stderr, tt.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("Run = %d, stderr %q, want 2 and one line with %q", code, stderr, tt.want)
			}
		})
	}
}

func TestBadVariableIsUsageError(t *testing.T) {
	t.Setenv("MOQ_RELAY_WORKERS", "many")
	code, stderr := run(t, testApp(new(seen)))
	if code != 2 || !strings.Contains(stderr, "MOQ_RELAY_WORKERS") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("Run = %d, stderr %q, want 2 and one line with the variable", code, stderr)
	}
}

func TestRequired(t *testing.T) {
	newApp := func() *cli.App {
		return &cli.App{Name: "moq-pub", ArgsUsage: "URL", Action: func(*cli.Context) error { return nil },
			Flags: []cli.Flag{&cli.StringFlag{Name: "name", Required: true}}}
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"u"}, 2, "--name is missing (or MOQ_PUB_NAME"},
		{[]string{"--name", "a"}, 2, "URL is missing"},
		{[]string{"--name", "a", "u"}, 0, ""},
		{[]string{"--config", writeConfig(t, "name: a"), "u"}, 0, ""},
		{[]string{"--help"}, 0, ""},
		{[]string{"--version"}, 0, ""},
	} {
		if code, stderr := run(t, newApp(), tt.args...); code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("%v: Run = %d %q, want %d %q", tt.args, code, stderr, tt.code, tt.want)
		}
	}
}

func TestErrorsAreOneLine(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().String()
	_, inUse := net.Listen("tcp", taken)
	_, tooLow := net.Listen("tcp", "203.0.113.1:80") // TEST-NET-3: nobody's address
	for _, tt := range []struct {
		name string
		err  error
		code int
		want string
	}{
		{"plain", errors.New("no\n  luck"), 1, "moq-relay: no luck\n"},
		{"usage", fmt.Errorf("wrapped: %w", Usagef("--a needs --b")), 2, "moq-relay: wrapped: --a needs --b\n"},
		{"in use", ListenError("bind", taken, inUse), 1,
			"moq-relay: address " + taken + " is already in use: stop the program that listens there, or choose another with --bind\n"},
		{"in use, bare", fmt.Errorf("serve: %w", inUse), 1,
			"moq-relay: address " + taken + " (tcp) is already in use: stop the program that listens there, or choose another\n"},
		{"not ours", ListenError("bind", "203.0.113.1:80", tooLow), 1,
			"moq-relay: this machine does not have the address 203.0.113.1:80: give one of its own with --bind\n"},
		{"not allowed", ListenError("bind", ":80", &net.OpError{Op: "listen", Err: syscall.EACCES}), 1,
			"moq-relay: not allowed to listen on :80: ports below 1024 need the right CAP_NET_BIND_SERVICE, or choose a higher one with --bind\n"},
		{"cancelled by somebody else", context.Canceled, 1, "moq-relay: context canceled\n"},
		{"none", ListenError("bind", ":80", nil), 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := &cli.App{Name: "moq-relay", Action: func(*cli.Context) error { return tt.err }}
			if code, stderr := run(t, a); code != tt.code || stderr != tt.want {
				t.Errorf("Run = %d, %q, want %d, %q", code, stderr, tt.code, tt.want)
			}
		})
	}
}

// A program of commands says which it has not.
func TestNoSuchCommand(t *testing.T) {
	for _, tt := range []struct {
		args []string
		code int
		want string // of stderr
	}{
		{[]string{"quick"}, 0, ""},
		{[]string{"bars", "relay"}, 0, ""},
		{nil, 0, ""},
		{[]string{"bars"}, 0, ""},
		{[]string{"slow"}, 2, "moq-bench: there is no command \"slow\": moq-bench --help lists them\n"},
		{[]string{"bars", "api"}, 2, "moq-bench: there is no command \"api\": moq-bench bars --help lists them\n"},
	} {
		ok := func(*cli.Context) error { return nil }
		a := &cli.App{Name: "moq-bench", Writer: io.Discard, Commands: []*cli.Command{
			{Name: "quick", Action: ok}, {Name: "bars", Subcommands: []*cli.Command{{Name: "relay", Action: ok}}}}}
		var stderr bytes.Buffer
		if code := Run(t.Context(), a, append([]string{"moq-bench"}, tt.args...), &stderr); code != tt.code || stderr.String() != tt.want {
			t.Errorf("Run(%q) = %d, stderr %q, want %d and %q", tt.args, code, stderr.String(), tt.code, tt.want)
		}
	}
}

// Ending because one was told to is a success.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	a := &cli.App{Name: "moq-relay", Action: func(c *cli.Context) error {
		cancel()
		<-c.Context.Done()
		return fmt.Errorf("serve: %w", c.Context.Err())
	}}
	var stderr bytes.Buffer
	if code := Run(ctx, a, []string{"moq-relay"}, &stderr); code != 0 || stderr.Len() > 0 {
		t.Errorf("Run = %d, stderr %q, want 0 and nothing", code, stderr.String())
	}
}

// Signals at one moment are one wish.
func TestInsist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals := make(chan os.Signal, 2)
		begun, ended := false, false
		go func() {
			insist(signals, func() { begun = true })
			ended = true
		}()
		synctest.Wait()
		for _, tt := range []struct {
			after        time.Duration
			begun, ended bool
		}{{0, true, false}, {0, true, false}, {sameWish - 1, true, false}, {1, true, true}} {
			time.Sleep(tt.after)
			signals <- syscall.SIGTERM
			synctest.Wait()
			if begun != tt.begun || ended != tt.ended {
				t.Errorf("%v later: begun %v, ended %v, want %v and %v", tt.after, begun, ended, tt.begun, tt.ended)
			}
		}
	})
}

// TestSignals runs this test binary again as a program whose Action says
// "ready", waits for its context, says "stopping" and, told so, never returns.
func TestSignals(t *testing.T) {
	if mode := os.Getenv("APP_TEST_SIGNALS"); mode != "" {
		os.Args = os.Args[:1]
		Main(&cli.App{Name: "child", Action: func(c *cli.Context) error {
			fmt.Println("ready")
			<-c.Context.Done()
			fmt.Println("stopping")
			if mode == "hang" {
				select {}
			}
			return c.Context.Err()
		}})
	}
	for _, tt := range []struct {
		mode string
		sig  os.Signal
		code int
	}{{"end", syscall.SIGTERM, 0}, {"end", syscall.SIGINT, 0}, {"hang", syscall.SIGINT, 130}} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSignals$")
		cmd.Env = append(os.Environ(), "APP_TEST_SIGNALS="+tt.mode)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var word string
		for _, want := range []string{"ready", "stopping"} {
			if _, err := fmt.Fscanln(out, &word); err != nil || word != want {
				t.Errorf("%s: child said %q (%v), want %q", tt.mode, word, err, want)
			}
			switch {
			case want == "ready": // twice, as timeout does
				cmd.Process.Signal(tt.sig)
				cmd.Process.Signal(tt.sig)
			case tt.mode == "hang":
				go func() {
					for range time.Tick(50 * time.Millisecond) {
						if cmd.Process.Signal(tt.sig) != nil {
							return
						}
					}
				}()
			}
		}
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != tt.code {
			t.Errorf("%s after %v: exit code = %d, want %d", tt.mode, tt.sig, code, tt.code)
		}
	}
}
