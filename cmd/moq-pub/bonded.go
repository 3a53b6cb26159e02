package main

import (
	"context"
	"net/http"
	"os"
	"sync"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/internal/metrics"
	"github.com/tributary-live/tributary/internal/trust"
	"github.com/tributary-live/tributary/pub"
	"github.com/tributary-live/tributary/pub/bond"
	"github.com/tributary-live/tributary/transport"
)

// runBonded publishes over the paths that the flags name. reached is called when
// the first has led to the relay.
func runBonded(c *cli.Context, cfg pub.PublisherConfig, d *transport.Dialer, reached func()) error {
	p, err := parsePaths(c.StringSlice("path"))
	if err != nil {
		return app.Usagef("%w", err)
	}
	if err := p.lead(c.Args().First()); err != nil {
		return app.Usagef("--path: %w", err)
	}
	mode, err := bond.ParseMode(c.String("mode"))
	if err != nil {
		return app.Usagef("--%w", err)
	}
	if c.Duration("deadline") <= 0 {
		return app.Usagef("--deadline %v is no time", c.Duration("deadline"))
	}
	r := newReport(os.Stdout, c.Bool("json"))
	if level, err := app.Level(c.String("log-level")); err == nil && r.table && isTerminal(os.Stderr) {
		cfg.Logger = app.NewLogger(above{os.Stderr, r}, level)
	}
	registry := metrics.NewRegistry("moq-pub", app.Version())
	registry.MustRegister(r)
	admin, err := app.Admin{
		Addr: c.String("admin"), State: r.state, Registry: registry, Logger: cfg.Logger,
		Pages: map[string]http.HandlerFunc{"GET /encoder": r.encoder},
	}.Start()
	if err != nil {
		return err
	}
	defer admin.Close()
	url := c.Args().First()
	cfg.Bond = &bond.Config{URL: url, Dialer: d, Mode: mode, Deadline: c.Duration("deadline"), Report: r.show, Logger: cfg.Logger}
	publisher := pub.NewPublisher(cfg)
	ctx, cancel := context.WithCancel(context.WithoutCancel(c.Context)) // paths are kept until the end was told
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { p.follow(ctx, publisher.Bond(), cfg.Logger, r.waits) })
	wg.Go(func() {
		select {
		case <-publisher.Bond().Reached():
			reached()
		case <-ctx.Done():
		}
	})
	return trust.Explain(untilSignal(c.Context, publisher), url)
}
