package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	beside, path := t.TempDir(), t.TempDir()
	write := func(dir, name string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	write(beside, "moq-relay", 0o755)
	write(beside, "moq-notes", 0o644)
	write(path, "moq-relay", 0o755)
	write(path, "moq-pub", 0o755)
	write(path, "other", 0o755)
	if err := os.Mkdir(filepath.Join(path, "moq-dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	places := []string{filepath.Join(path, "none"), beside, path}
	const commands = "commands: pub relay\n"
	for _, tt := range []struct {
		name           string
		args           string
		code           int
		ran            string // path and arguments
		stdout, stderr string // parts; "" is nothing
	}{
		{"nothing", "", 2, "", "", commands},
		{"help", "help", 0, "", commands, ""},
		{"version", "--version", 0, "", "moq version ", ""},
		{"beside goes first", "relay --dev x", 1, beside + "/moq-relay: moq-relay --dev x", "", "cannot run " + beside},
		{"in PATH", "pub", 1, path + "/moq-pub: moq-pub", "", "cannot run " + path},
		{"help of a command", "help pub", 1, path + "/moq-pub: moq-pub --help", "", "cannot run"},
		{"unknown", "sub --list", 2, "", "", "moq: there is no command moq-sub; " + commands},
		{"not executable", "notes", 2, "", "", "no command moq-notes"},
		{"directory", "dir", 2, "", "", "no command moq-dir"},
		{"elsewhere", "x/../../moq-pub", 2, "", "", "no command"},
		{"not printable", "\x1b[31m", 2, "", "", "no command moq-?[31m;"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ran := ""
			exec := func(path string, argv, env []string) error {
				ran = path + ": " + strings.Join(argv, " ")
				return errors.New("not in a test")
			}
			var stdout, stderr strings.Builder
			code := run(strings.Fields(tt.args), places, &stdout, &stderr, exec)
			if code != tt.code || ran != tt.ran {
				t.Errorf("run = %d, ran %q, want %d, %q", code, ran, tt.code, tt.ran)
			}
			for _, out := range []struct{ name, got, want string }{{"stdout", stdout.String(), tt.stdout}, {"stderr", stderr.String(), tt.stderr}} {
				if (out.want == "") != (out.got == "") || !strings.Contains(out.got, out.want) {
					t.Errorf("%s = %q, want %q", out.name, out.got, out.want)
				}
			}
		})
	}
}
