package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/clock"
	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/internal/dialer"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

func newApp() *cli.App {
	return &cli.App{
		Name:      "moq-clock",
		Usage:     "publish the time of day as a track, or print it",
		ArgsUsage: "URL",
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "publish", Usage: "publish the clock, in place of printing it; goes on for ever, and connects again when the relay is lost"},
			&cli.StringFlag{Name: "namespace", Value: "clock", Usage: "`NAMESPACE` of the clock, fields split at /"},
			&cli.StringFlag{Name: "track", Value: "now", Usage: "`NAME` of its track"},
			&cli.BoolFlag{Name: "latency", Usage: "print beside each second how long after its beginning it arrived, by this machine's clock"},
		}, dialer.Flags()...),
		Action: run,
	}
}

// opener opens a session with the relay.
type opener func(context.Context) (*transport.Session, error)

func run(c *cli.Context) error {
	ctx, log := c.Context, app.Logger(c)
	namespace, err := moqt.SplitNamespace(c.String("namespace"))
	if err == nil && namespace.Len() == 0 {
		err = errors.New("a clock needs one")
	}
	if err != nil {
		return app.Usagef("--namespace: %w", err)
	}
	if c.String("track") == "" {
		return app.Usagef("--track: a clock needs a name")
	}
	d, err := dialer.Open(c)
	if err != nil {
		return err
	}
	defer d.Close()
	url := c.Args().First()
	open := func(ctx context.Context) (*transport.Session, error) { return d.Dial(ctx, url) }
	cfg := clock.Config{Namespace: namespace, Track: c.String("track")}
	if c.Bool("publish") {
		return publish(ctx, open, cfg, log)
	}
	sess, err := open(ctx)
	if err != nil {
		return err
	}
	defer sess.Close()
	err = clock.Subscribe(ctx, sess, cfg, func(t time.Time) error {
		line := t.Format(time.RFC3339)
		if c.Bool("latency") {
			line += fmt.Sprintf(" %.1f ms", float64(time.Since(t).Microseconds())/1000)
		}
		_, err := fmt.Fprintln(c.App.Writer, line)
		return err
	})
	if refused, ok := errors.AsType[*transport.RequestError](err); ok && refused.Code == moqt.RequestDoesNotExist {
		err = fmt.Errorf("%w; start a clock with moq-clock --publish %s", err, url)
	}
	return err
}

// publish keeps the clock on the relay. It gives up where the first dial fails,
// which tells of a wrong URL or certificate, and where the relay says that it
// does not want the clock.
func publish(ctx context.Context, open opener, cfg clock.Config, log *slog.Logger) error {
	var wait time.Duration
	for first := true; ; first = false {
		began := time.Now()
		sess, err := open(ctx)
		if err == nil {
			log.Info("clock published", "remote", sess.Info().RemoteAddr, "ns", cfg.Namespace)
			err = clock.Publish(ctx, sess, cfg)
			sess.Close()
		} else if first {
			return err
		}
		var refused *transport.RequestError
		if ctx.Err() != nil || errors.As(err, &refused) && refused.RetryAfter < 0 {
			return err
		}
		if time.Since(began) > maxWait {
			wait = 0
		}
		wait = min(max(2*wait, minWait), maxWait)
		log.Warn("relay lost", "err", err, "dur", wait)
		select {
		case <-time.After(wait/2 + rand.N(wait/2)): // not all clocks at once
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// The shortest and the longest wait before the relay is dialled again.
const (
	minWait = 250 * time.Millisecond
	maxWait = 5 * time.Second
)
