package app

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestLevels(t *testing.T) {
	words := []string{"trace", "debug", "info", "warn", "error", "off"}
	for i, word := range words {
		level, err := Level(word)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		log := NewLogger(&b, level)
		for _, l := range []slog.Level{LevelTrace, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
			log.Log(context.Background(), l, "x")
		}
		if got, want := strings.Count(b.String(), "\n"), len(words)-1-i; got != want {
			t.Errorf("%s: %d lines, want %d", word, got, want)
		}
		if got := strings.Contains(b.String(), "level=TRACE"); got != (word == "trace") {
			t.Errorf("%s: has TRACE = %v:\n%s", word, got, b.String())
		}
	}
}

func TestLogLevelSources(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  map[string]string
		args []string
		want int // lines of the five below
	}{
		{"default", nil, nil, 3},
		{"MOQ_LOG", map[string]string{"MOQ_LOG": "error"}, nil, 1},
		{"own variable goes first", map[string]string{"MOQ_LOG": "error", "MOQ_X_LOG_LEVEL": "warn"}, nil, 2},
		{"flag", map[string]string{"MOQ_LOG": "error"}, []string{"--log-level", "off"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			a := &cli.App{Name: "moq-x", Action: func(c *cli.Context) error {
				for _, l := range []slog.Level{LevelTrace, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
					Logger(c).Log(c.Context, l, "x")
				}
				return nil
			}}
			if _, stderr := run(t, a, tt.args...); strings.Count(stderr, "\n") != tt.want {
				t.Errorf("stderr = %q, want %d lines", stderr, tt.want)
			}
		})
	}
}

func TestConfigIsLoggedWithoutPasswords(t *testing.T) {
	var seen []string
	a := &cli.App{Name: "moq-x", Action: func(c *cli.Context) error { seen = c.StringSlice("node"); return nil },
		Flags: []cli.Flag{&cli.StringFlag{Name: "redis"}, &cli.StringSliceFlag{Name: "node"}, &cli.StringFlag{Name: "unset", Value: "d"}}}
	_, stderr := run(t, a, "--log-level", "debug", "--redis", "redis://u:secret@h/0", "--node", "n1", "--node", "rtmps://u:secret@h:443/app/secret?secret")
	for _, want := range []string{"msg=config", "redis=redis://u:xxxxx@h/0", `node="[n1 rtmps://h:443/***]"`} {
		if !strings.Contains(stderr, want) {
			t.Errorf("log = %q, want %q in it", stderr, want)
		}
	}
	if strings.Contains(stderr, "secret") || strings.Contains(stderr, "unset") {
		t.Errorf("log = %q, want neither the password nor an unset flag", stderr)
	}
	if len(seen) != 2 || !strings.Contains(seen[1], "secret") {
		t.Errorf("the command sees %q, want what was given", seen)
	}
}
