package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/internal/app"
)

func TestTargets(t *testing.T) {
	file := func(text string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "targets")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "@" + path
	}
	const a, b, c = "rtmp://a.example/app/secretkey", "rtmps://b.example/app/secretkey?sign=secret", "rtmp://localhost/app/secretkey"
	for _, tt := range []struct {
		name   string
		values []string
		want   string // targets, or a part of the error
		fails  bool
	}{
		{"none", nil, "[]", false},
		{"URLs", []string{a, b}, "[rtmp://a.example/app/*** rtmps://b.example/app/***]", false},
		{"a file", []string{c, file("# platforms\n\n  " + a + "\r\n" + b + "\n")}, "[rtmp://localhost/app/*** rtmp://a.example/app/*** rtmps://b.example/app/***]", false},
		{"not a URL", []string{a, "secretkey"}, "--rtmp number 2: want rtmp://HOST/APP/KEY", true},
		{"not a URL in a file", []string{file(a + "\n# x\nsecretkey\n")}, "line 3: want rtmp://HOST/APP/KEY", true},
		{"an empty file", []string{file("#\n")}, "it has no URL", true},
		{"no file", []string{"@/nonexistent/x"}, "/nonexistent/x: no such file", true},
		{"a long line", []string{file(strings.Repeat("secret", 20_000))}, "too long", true},
		{"too many", strings.Fields(strings.Repeat(a+" ", maxTargets+1)), "at most 32", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list, err := readTargets(tt.values)
			got := fmt.Sprint(list)
			if err != nil {
				got = err.Error()
			}
			if (err != nil) != tt.fails || !strings.Contains(got, tt.want) || strings.Contains(got, "secret") {
				t.Errorf("readTargets() = %s, want %q and no key", got, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		args, values []string
		want         bool
	}{
		{[]string{"--rtmp", a}, []string{a}, true},
		{[]string{"--rtmp=" + b}, []string{b}, true},
		{[]string{"--rtmp", c}, []string{c}, false},   // nobody else's
		{[]string{"--name", "x"}, []string{a}, false}, // of the environment
		{[]string{"--rtmp", "@f"}, []string{"@f"}, false},
	} {
		if got := keyInSight(tt.args, tt.values); got != tt.want {
			t.Errorf("keyInSight(%q, %q) = %v, want %v", tt.args, tt.values, got, tt.want)
		}
	}
}

// The command line is checked before anybody is dialled, and keys are not shown.
func TestForwardUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--name", "a", "--rtmp", "rtmp://h/secretkey"}, "--rtmp number 1: want rtmp://HOST/APP/KEY"},
		{[]string{"--name", "a", "--json", "--rtmp", "rtmp://h/app/secretkey"}, "neither with --json nor with --list"},
		{[]string{"--name", "a", "--admin", ":0"}, "--admin shows how the targets of --rtmp fare"},
		{[]string{"--list", "", "--rtmp", "rtmp://h/app/secretkey"}, "neither with --json nor with --list"},
	} {
		var stderr bytes.Buffer
		args := append(append([]string{"moq-sub", "--log-level", "debug"}, tt.args...), "moqt://127.0.0.1:1")
		code := app.Run(t.Context(), newApp(), args, &stderr)
		if code != 2 || !strings.Contains(stderr.String(), tt.want) || strings.Contains(stderr.String(), "secret") {
			t.Errorf("%q: %d, %s, want 2 and %q, and no key", tt.args, code, &stderr, tt.want)
		}
	}
}
