// Command moq-bench loads a relay and prints what its subscribers get, in the
// Go benchmark format.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/bench"
	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/internal/trust"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

func main() { app.Main(newApp()) }

func newApp() *cli.App {
	return &cli.App{
		Name:    "moq-bench",
		Usage:   "load a relay and measure it",
		Version: app.Version(),
		Commands: []*cli.Command{{
			Name:      "fanout",
			Usage:     "one publisher and many subscribers of one track",
			ArgsUsage: "URL",
			Flags: append([]cli.Flag{
				&cli.IntFlag{Name: "subs", Value: 50, Usage: "subscribers"},
				&cli.IntFlag{Name: "rate", Value: 30, Usage: "objects a second"},
				&cli.IntFlag{Name: "size", Value: 8192, Usage: "`BYTES` of an object"},
				&cli.IntFlag{Name: "group", Value: 30, Usage: "objects of a group"},
				&cli.DurationFlag{Name: "duration", Value: 10 * time.Second, Usage: "how long to publish"},
				&cli.IntFlag{Name: "runs", Value: 1, Usage: "how often to run"},
			}, trust.Flags()...),
			Action: fanout,
		}},
	}
}

func fanout(c *cli.Context) error {
	tlsConf, err := trust.Config(c)
	if err != nil {
		return err
	}
	if c.NArg() != 1 {
		return app.Usagef("fanout takes one argument, the relay's URL")
	}
	url := c.Args().First()
	dialer := &transport.Dialer{TLSConfig: tlsConf, Config: &transport.Config{Logger: app.Logger(c)}}
	for range c.Int("runs") {
		r, err := bench.Fanout(c.Context, bench.FanoutConfig{
			Dial: func(ctx context.Context) (*transport.Session, error) {
				sess, err := dialer.Dial(ctx, url)
				return sess, trust.Explain(err, url)
			},
			Namespace:   moqt.NS("bench", strings.ToLower(rand.Text()[:8])),
			Subscribers: c.Int("subs"), Rate: c.Int("rate"), Size: c.Int("size"), GroupSize: c.Int("group"),
			Duration: c.Duration("duration"),
		})
		if err != nil {
			return err
		}
		fmt.Fprintln(c.App.Writer, r.Line())
	}
	return nil
}
