// Command moq-bench measures sessions and relays, and prints what it finds in
// the Go benchmark format.
package main

import (
	"errors"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/bench"
	"github.com/tributary-live/tributary/internal/app"
)

func main() { app.Main(newApp()) }

func newApp() *cli.App {
	return &cli.App{
		Name:    "moq-bench",
		Usage:   "measure sessions and relays",
		Version: app.Version(),
		Commands: []*cli.Command{
			barsCommand(),
			fanoutCommand("fanout", "one publisher and many subscribers of one track, over a relay and what it is compared with", "relay", false),
			fanoutCommand("bare", "fanout on quic-go alone", "bare", false),
			fanoutCommand("tcp", "fanout over TCP, and over TLS", "tcp,tls", false),
			fanoutCommand("slow", "fanout with one subscriber behind a link of half the rate", "relay", true),
			joinCommand(), stormCommand(), handshakesCommand(), twinsCommand(), srsCommand(), soakCommand(),
			sessionCommand(), urgentCommand(), multipathCommand(), plotCommand(), serveCommand(),
		},
	}
}

// measured is the Action of a command that measures: it runs on a core of its own
// and before all others, where it may.
func measured(action cli.ActionFunc) cli.ActionFunc { return isolated(false, action) }

// saturating is measured for what fills its core, and so is not before others.
func saturating(action cli.ActionFunc) cli.ActionFunc { return isolated(true, action) }

func isolated(fair bool, action cli.ActionFunc) cli.ActionFunc {
	return func(c *cli.Context) error {
		if done, err := bench.Isolate(c.Context, fair); done {
			if exit, ok := errors.AsType[bench.ExitError](err); ok {
				os.Exit(int(exit)) // it has said why
			}
			return err
		}
		bench.PrintMachine(c.App.Writer, c.App.Version)
		return action(c)
	}
}

// judged prints the bars and fails if one was crossed.
func judged(c *cli.Context, bars []bench.Bar, err error) error {
	good := bench.PrintBars(c.App.Writer, bars)
	if err == nil && !good {
		err = errors.New("a figure is beyond the bound at which it fails")
	}
	return err
}

func relayFlag() cli.Flag {
	return &cli.StringFlag{Name: "relay", Usage: "moq-relay to start, a `FILE`; else the one beside this program or in PATH"}
}

func relayOf(c *cli.Context) bench.Relay { return bench.Relay{Program: c.String("relay")} }
