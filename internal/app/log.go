package app

import (
	"context"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// LevelTrace is below [slog.LevelDebug]. It is the level of what happens many
// times per request.
const LevelTrace = slog.Level(-8)

// levelOff is above every level that is used.
const levelOff = slog.Level(1 << 10)

const logKey = "tributary.log" // in cli.App.Metadata

func logFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "log-level", Value: "info", EnvVars: []string{"MOQ_LOG"},
		Usage: "log to stderr from `LEVEL` up: trace, debug, info, warn, error or off",
	}
}

// Level returns the level that one of the six words trace, debug, info, warn,
// error and off stands for.
func Level(word string) (slog.Level, error) {
	switch word {
	case "trace":
		return LevelTrace, nil
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	case "off":
		return levelOff, nil
	}
	return 0, Usagef("--log-level %q: want trace, debug, info, warn, error or off", word)
}

// NewLogger returns a logger that writes lines of text to w from level up.
func NewLogger(w io.Writer, level slog.Level) *slog.Logger {
	if level >= levelOff {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.LevelKey && len(groups) == 0 && a.Value.Any() == LevelTrace {
				a.Value = slog.StringValue("TRACE")
			}
			return a
		},
	}))
}

// Logger returns the log that --log-level asks for. Before the Action runs, and
// in an App that [Run] did not start, it discards.
func Logger(c *cli.Context) *slog.Logger {
	if l, ok := c.App.Metadata[logKey].(*slog.Logger); ok {
		return l
	}
	return slog.New(slog.DiscardHandler)
}

func openLog(c *cli.Context, stderr io.Writer) error {
	level, err := Level(c.String("log-level"))
	if err != nil {
		return err
	}
	c.App.Metadata[logKey] = NewLogger(stderr, level)
	return nil
}

// logConfig tells once what the command was started with.
func logConfig(c *cli.Context, flags []cli.Flag) {
	log := Logger(c)
	if !log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	attrs := []any{"version", c.App.Version}
	for _, f := range flags {
		name := f.Names()[0]
		if !c.IsSet(name) {
			continue
		}
		if s, ok := c.Value(name).(string); ok {
			attrs = append(attrs, name, redact(s))
			continue
		}
		if s, ok := c.Value(name).(cli.StringSlice); ok {
			list := slices.Clone(s.Value())
			for i := range list {
				list[i] = redact(list[i])
			}
			attrs = append(attrs, name, list)
			continue
		}
		attrs = append(attrs, name, c.Value(name))
	}
	log.Debug("config", attrs...)
}

// redact hides the password of a URL, and of one of RTMP, which ends with a key,
// all but the server.
func redact(s string) string {
	if scheme, rest, ok := strings.Cut(s, "://"); ok && strings.HasPrefix(strings.ToLower(scheme), "rtmp") {
		host, _, _ := strings.Cut(rest, "/")
		return scheme + "://" + host[strings.LastIndexByte(host, '@')+1:] + "/***"
	}
	if u, err := url.Parse(s); err == nil && u.User != nil {
		return u.Redacted()
	}
	return s
}
