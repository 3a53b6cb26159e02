package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/forward"
	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/internal/metrics"
	"github.com/tributary-live/tributary/rtmp"
)

// forwardTo sends what comes to targets and writes to out how each of them fares: a line of
// JSON a second.
func forwardTo(ctx context.Context, c *cli.Context, from forward.Source, targets []*rtmp.URL, out io.Writer) error {
	enc := json.NewEncoder(out)
	f, err := forward.New(forward.Config{Targets: targets, Logger: app.Logger(c), Report: func(list []forward.Status) {
		for _, s := range list {
			_ = enc.Encode(targetLine{time.Now(), s})
		}
	}})
	if err != nil {
		return err
	}
	registry := metrics.NewRegistry("moq-sub", app.Version())
	registry.MustRegister(collector{f})
	admin, err := app.Admin{
		Addr: c.String("admin"), State: func() any { return f.Status() }, Registry: registry, Logger: app.Logger(c),
	}.Start()
	if err != nil {
		return err
	}
	defer admin.Close()
	return f.Run(ctx, from)
}

// targetLine is what --rtmp prints of a target.
type targetLine struct {
	Time time.Time `json:"time"`
	forward.Status
}

// targets returns where --rtmp says to forward to.
func targets(c *cli.Context) ([]*rtmp.URL, error) {
	values := c.StringSlice("rtmp")
	if len(values) > 0 && (c.Bool("json") || c.IsSet("list")) {
		return nil, app.Usagef("--rtmp prints how its targets fare, and goes neither with --json nor with --list")
	}
	if len(values) == 0 && c.String("admin") != "" {
		return nil, app.Usagef("--admin shows how the targets of --rtmp fare, and there are none")
	}
	list, err := readTargets(values)
	if err == nil && keyInSight(os.Args, values) {
		app.Logger(c).Warn("stream key on the command line",
			"err", "everybody on this machine can read it there: use --rtmp @FILE, MOQ_SUB_RTMP or the file of --config")
	}
	return list, err
}

// readTargets reads the values of --rtmp: a URL, or @FILE that has URLs, one a
// line. Errors name the place and not what stands there, which has a key in it.
func readTargets(values []string) ([]*rtmp.URL, error) {
	var list []*rtmp.URL
	for i, v := range values {
		path, isFile := strings.CutPrefix(v, "@")
		if !isFile {
			u, err := rtmp.ParseURL(v)
			if err != nil {
				return nil, app.Usagef("--rtmp number %d: %w", i+1, err)
			}
			list = append(list, u)
			continue
		}
		in, err := readTargetFile(path)
		if err != nil {
			return nil, app.Usagef("--rtmp: %w", err)
		}
		list = append(list, in...)
	}
	if len(list) > maxTargets {
		return nil, app.Usagef("--rtmp names %d targets, at most %d are fed", len(list), maxTargets)
	}
	return list, nil
}

const (
	// maxTargets bounds the targets, each of which may hold some memory.
	maxTargets = 32
	// maxTargetFile bounds a file that has them.
	maxTargetFile = 1 << 20
)

func readTargetFile(path string) ([]*rtmp.URL, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []*rtmp.URL
	lines := bufio.NewScanner(io.LimitReader(f, maxTargetFile))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		u, err := rtmp.ParseURL(line)
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, n, err)
		}
		list = append(list, u)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: it has no URL", path)
	}
	return list, nil
}

// keyInSight reports whether the command line args, which everybody on the
// machine can read, has the key of a server elsewhere in it.
func keyInSight(args, values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool {
		u, err := rtmp.ParseURL(v)
		return err == nil && !u.Local() && slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, v) })
	})
}
