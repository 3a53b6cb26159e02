package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/internal/trust"
	"github.com/tributary-live/tributary/sub"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

func newApp() *cli.App {
	return &cli.App{
		Name:        "moq-sub",
		Usage:       "receive a broadcast",
		ArgsUsage:   "URL",
		Description: "URL is that of the relay. What is received goes to stdout:\n\n   moq-sub --name room/camera moqt://relay.example:4443 | ffplay -",
		Version:     app.Version(),
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the broadcast, fields separated by /"},
			&cli.StringFlag{Name: "list", Usage: "print the namespaces that are live under `PREFIX` (\"\" for all) and end"},
			&cli.BoolFlag{Name: "json", Usage: "print a JSON line for each object, not the media; with --list, for each namespace"},
			&cli.StringSliceFlag{Name: "track", Usage: "receive the track of this `NAME`; repeatable; if absent, the first video and the first sound"},
			&cli.Uint64Flag{Name: "back", Usage: "begin this many groups before the newest, as far as they are held"},
			&cli.DurationFlag{Name: "wait", Value: 30 * time.Second, Usage: "wait this long for the broadcast to begin"},
			&cli.DurationFlag{Name: "duration", Usage: "end after this time; if absent, with the broadcast"},
		}, trust.Flags()...),
		Action: run,
	}
}

func run(c *cli.Context) error {
	if c.IsSet("name") == c.IsSet("list") {
		return app.Usagef("give either --name NAME or --list PREFIX")
	}
	tlsConf, err := trust.Config(c)
	if err != nil {
		return err
	}
	ctx, url := c.Context, c.Args().First()
	if d := c.Duration("duration"); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, d, errEnough)
		defer cancel()
	}
	dialer := &transport.Dialer{TLSConfig: tlsConf, Config: &transport.Config{Logger: app.Logger(c)}}
	sess, err := dialer.Dial(ctx, url)
	if err != nil {
		return trust.Explain(err, url)
	}
	defer sess.Close()
	out := bufio.NewWriterSize(os.Stdout, 256<<10)
	if c.IsSet("list") {
		err = list(ctx, c, sess, out)
	} else {
		err = receive(ctx, c, sess, out)
	}
	if ferr := out.Flush(); err == nil {
		err = ferr
	}
	if errors.Is(context.Cause(ctx), errEnough) || errors.Is(err, syscall.EPIPE) {
		return nil // the time is over, or who reads has seen enough
	}
	return err
}

var errEnough = errors.New("the time is over")

func receive(ctx context.Context, c *cli.Context, sess *transport.Session, out *bufio.Writer) error {
	ns, err := moqt.SplitNamespace(c.String("name"))
	if err != nil || ns.Len() == 0 {
		return app.Usagef("--name %q is no namespace: %v", c.String("name"), err)
	}
	b, err := sub.Open(ctx, sess, sub.Config{Namespace: ns, Tracks: c.StringSlice("track"), Back: c.Uint64("back"),
		Wait: c.Duration("wait"), Logger: app.Logger(c)})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		enc := json.NewEncoder(out)
		return b.Receive(ctx, func(o sub.Object) error {
			hash := sha256.Sum256(o.Payload)
			line := objectLine{o.Track, o.Group, o.Object.Object, len(o.Payload), o.Arrival.UnixMicro(), hex.EncodeToString(hash[:])}
			if err := enc.Encode(line); err != nil {
				return err
			}
			return out.Flush()
		})
	}
	return b.WriteMP4(ctx, flusher{out})
}

// objectLine is what --json prints of an object.
type objectLine struct {
	Track   string `json:"track"`
	Group   uint64 `json:"group"`
	Object  uint64 `json:"object"`
	Size    int    `json:"size"`
	Arrival int64  `json:"arrival_us"` // since 1970
	SHA256  string `json:"sha256"`     // of the payload
}

// flusher hands each chunk on at once: who plays from the pipe plays live.
type flusher struct{ w *bufio.Writer }

func (f flusher) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err != nil {
		return n, err
	}
	return n, f.w.Flush()
}

// quiet is how long the relay must say nothing new for the list to be whole.
const quiet = 300 * time.Millisecond

func list(ctx context.Context, c *cli.Context, sess *transport.Session, out io.Writer) error {
	prefix, err := moqt.SplitNamespace(c.String("list"))
	if err != nil {
		return app.Usagef("--list %q: %w", c.String("list"), err)
	}
	names, err := sess.WatchNamespaces(ctx, prefix)
	if err != nil {
		return fmt.Errorf("list %q: %w", c.String("list"), err)
	}
	defer names.Close()
	live := make(map[moqt.Namespace]bool)
	for {
		wait, cancel := context.WithTimeout(ctx, quiet)
		e, err := names.Next(wait)
		timeout := wait.Err() != nil
		cancel()
		if timeout {
			break
		}
		if err != nil {
			return err
		}
		if e.Gone {
			delete(live, e.Namespace)
		} else {
			live[e.Namespace] = true
		}
	}
	var lines []string
	for ns := range live {
		line := ns.Slashed()
		if c.Bool("json") {
			b, err := json.Marshal(map[string]any{"namespace": ns.Slashed(), "fields": ns.Fields()})
			if err != nil {
				return err
			}
			line = string(b)
		}
		lines = append(lines, line)
	}
	sort.Strings(lines)
	for _, l := range lines {
		fmt.Fprintln(out, l)
	}
	return nil
}
