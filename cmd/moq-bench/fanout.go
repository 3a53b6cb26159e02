package main

import (
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/bench"
	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/internal/trust"
	"github.com/tributary-live/tributary/transport"
)

// fanoutCommand is the fan-out, or one of those that are the same load with
// other defaults.
func fanoutCommand(name, usage, over string, slow bool) *cli.Command {
	return &cli.Command{
		Name:      name,
		Usage:     usage,
		ArgsUsage: "[URL]",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "over", Value: over, Usage: "measure these by turns, a `LIST` of relay, webtransport, bare, tcp, tls"},
			&cli.IntFlag{Name: "subs", Value: 50, Usage: "subscribers"},
			&cli.IntFlag{Name: "rate", Value: 30, Usage: "objects a second"},
			&cli.IntFlag{Name: "size", Value: 8192, Usage: "`BYTES` of an object"},
			&cli.IntFlag{Name: "group", Value: 30, Usage: "objects of a group"},
			&cli.DurationFlag{Name: "duration", Value: 10 * time.Second, Usage: "how long to publish"},
			&cli.IntFlag{Name: "runs", Value: 1, Usage: "how often to run each"},
			&cli.BoolFlag{Name: "slow", Value: slow, Usage: "put one subscriber behind a link of half the rate"},
			&cli.StringFlag{Name: "profile", Usage: "write a CPU profile of the relay to `FILE`"},
			relayFlag(),
		}, trust.Flags()...),
		Action: measured(fanout),
	}
}

func fanout(c *cli.Context) error {
	config := bench.FanoutConfig{
		Relay: relayOf(c), Subscribers: c.Int("subs"), Rate: c.Int("rate"), Size: c.Int("size"), GroupSize: c.Int("group"),
		Duration: c.Duration("duration"), Slow: c.Bool("slow"), Profile: c.String("profile"),
	}
	over := strings.Split(c.String("over"), ",")
	switch {
	case c.NArg() > 1:
		return app.Usagef("%s takes one argument at most, the URL of a relay", c.Command.Name)
	case c.NArg() == 1:
		if len(over) > 1 {
			return app.Usagef("--over names what is started here, and has no place beside a URL")
		}
		tlsConf, err := trust.Config(c)
		if err != nil {
			return err
		}
		config.URL = c.Args().First()
		config.Dialer = &transport.Dialer{TLSConfig: tlsConf, Config: &transport.Config{Logger: app.Logger(c)}}
	}
	for range c.Int("runs") {
		for _, kind := range over {
			config.Kind = bench.Kind(kind)
			r, err := bench.Fanout(c.Context, config)
			if err != nil {
				return trust.Explain(err, config.URL)
			}
			r.Print(c.App.Writer)
		}
	}
	return nil
}
