package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// toCluster, as the place to drain to, is another relay of the cluster.
const toCluster = "cluster"

// drainer moves sessions to another relay: at the end, or when an operator says
// so and the relay goes on running.
type drainer struct {
	r       *relay.Relay
	srv     *transport.Server
	origins *origins // nil without --api
	to      string   // of --drain-to
	log     *slog.Logger
	ctx     context.Context // ends what an operator has begun
	wg      sync.WaitGroup  // likewise
	begun   atomic.Bool
}

// check says what is wrong with a place to drain to.
func (d *drainer) check(to string) error {
	if to == "" || to == toCluster && d.origins != nil {
		return nil
	}
	if to == toCluster {
		return fmt.Errorf("%q needs --api", toCluster)
	}
	return checkURL(to)
}

// ready is what /readyz asks.
func (d *drainer) ready() error {
	if d.begun.Load() {
		return errors.New("draining")
	}
	return nil
}

// command is POST /drain?to=URL of the admin listener: new sessions are refused,
// and those that are there asked to go. The relay runs on.
func (d *drainer) command(query url.Values) (string, error) {
	to := query.Get("to")
	if to == "" {
		to = d.to
	}
	if err := d.check(to); err != nil {
		return "", fmt.Errorf("to: %w", err)
	}
	if d.begun.Swap(true) {
		return "", errors.New("sessions were asked to go before, which can be done once")
	}
	to = d.resolve(to)
	d.srv.Refuse()
	d.log.Info("draining", "uri", to)
	d.wg.Go(func() { d.r.Drain(d.ctx, to) })
	if to == "" {
		return "sessions are asked to go, and to dial the same URL again", nil
	}
	return "sessions are asked to go to " + to, nil
}

// shutdown drains the relay and closes it.
func (d *drainer) shutdown(ctx context.Context) {
	d.begun.Store(true)
	d.srv.Refuse()
	d.r.Shutdown(ctx, d.resolve(d.to))
}

// resolve returns the URL to drain to, or "" if there is none now.
func (d *drainer) resolve(to string) string {
	if to != toCluster {
		return to
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), 500*time.Millisecond)
	defer cancel()
	found, err := d.origins.another(ctx)
	if err != nil {
		d.log.Warn("no relay to drain to", "err", err)
	}
	return found
}

// another returns the URL of a relay of the cluster that has something and is not
// this one, chosen at random.
func (o *origins) another(ctx context.Context) (string, error) {
	all, err := o.client.List(ctx, moqt.Namespace{}, 0)
	if err != nil {
		return "", err
	}
	seen := make(map[string]bool)
	var urls []string
	for _, r := range all {
		if r.Node != o.node && r.URL != o.node && !seen[r.URL] {
			seen[r.URL] = true
			urls = append(urls, r.URL)
		}
	}
	if len(urls) == 0 {
		return "", errors.New("the cluster has no other relay with a publisher")
	}
	return urls[rand.IntN(len(urls))], nil
}

// checkURL says what is wrong with the URL of a relay.
func checkURL(url string) error {
	if err := transport.CheckURL(url); err != nil {
		return fmt.Errorf("%q: %w", url, err)
	}
	return nil
}

// redirects reads --redirect NAMESPACE=URL.
func redirects(c *cli.Context) ([]relay.Elsewhere, error) {
	var list []relay.Elsewhere
	for _, text := range c.StringSlice("redirect") {
		name, to, ok := strings.Cut(text, "=")
		if !ok {
			return nil, app.Usagef("--redirect %q: want NAMESPACE=URL", text)
		}
		ns, err := moqt.SplitNamespace(name)
		if err != nil {
			return nil, app.Usagef("--redirect %q: %w", text, err)
		}
		if err := checkURL(to); err != nil {
			return nil, app.Usagef("--redirect %q: %w", text, err)
		}
		list = append(list, relay.Elsewhere{Prefix: ns, URL: to})
	}
	return list, nil
}
