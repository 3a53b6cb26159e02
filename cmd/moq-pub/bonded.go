package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/internal/metrics"
	"github.com/tributary-live/tributary/internal/netif"
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
	mode, err := bond.ParseMode(c.String("mode"))
	if err != nil {
		return app.Usagef("--%w", err)
	}
	if c.Duration("deadline") <= 0 {
		return app.Usagef("--deadline %v is no time", c.Duration("deadline"))
	}
	r := newReport(os.Stdout)
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
	ctx, cancel := context.WithCancel(c.Context)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { p.follow(ctx, publisher.Bond(), cfg.Logger) })
	wg.Go(func() {
		select {
		case <-publisher.Bond().Reached():
			reached()
		case <-ctx.Done():
		}
	})
	return trust.Explain(publisher.Run(ctx), url)
}

// follow gives b the paths whose interfaces can be used, as they come and go,
// until ctx ends.
func (p paths) follow(ctx context.Context, b *bond.Bond, log *slog.Logger) {
	var have []use
	netif.Watch(ctx, func(list []netif.Interface) {
		want, _ := p.choose(list)
		if len(want) == 0 {
			log.Warn("no interface can be used; waiting for one")
		}
		for _, u := range have {
			if !slices.ContainsFunc(want, u.stays) {
				log.Info("interface gone", "path", u.name)
				b.RemovePath(u.name)
			}
		}
		for _, u := range want {
			b.AddPath(bond.Path{Name: u.name, Cost: u.cost, Cap: u.cap, ListenPacket: func(ctx context.Context) (net.PacketConn, error) {
				return netif.ListenPacket(ctx, u.iface)
			}})
		}
		have = want
	})
}

// stays reports whether sockets of u are as good in what became of it: it is the
// same interface and has lost no address.
func (u use) stays(now use) bool {
	if u.name != now.name || u.netif.Index != now.netif.Index {
		return false
	}
	for _, a := range u.netif.Addrs {
		if !slices.Contains(now.netif.Addrs, a) {
			return false
		}
	}
	return true
}
