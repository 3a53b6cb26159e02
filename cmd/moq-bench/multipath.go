package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/bench"
	"github.com/tributary-live/tributary/bench/multipath"
	"github.com/tributary-live/tributary/internal/app"
)

var tracesFlag = &cli.StringFlag{Name: "traces", EnvVars: []string{"TRIBUTARY_TRACES"}, Usage: "`DIRECTORY` of the traces of real links"}

func multipathCommand() *cli.Command {
	return &cli.Command{
		Name:  "multipath",
		Usage: "what a publisher gets to a relay over several links",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "scenario", Usage: "scenarios whose name or number matches this regular `EXPRESSION`; without it, they are listed"},
			&cli.IntFlag{Name: "runs", Value: 3, Usage: "how often to run each"},
			&cli.StringFlag{Name: "peer", Value: "bond", Usage: "measure these by turns, a `LIST` of bond, single, mptcp"},
			&cli.StringFlag{Name: "backend", Value: "netsim", Usage: "netsim: simulated links in virtual time; lab: real sockets in network namespaces, which needs root"},
			tracesFlag, relayFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.String("scenario") == "" {
				for _, s := range multipath.Scenarios() {
					fmt.Fprintf(c.App.Writer, "%-4s %s\n", s.Number, s.Name)
				}
				return nil
			}
			config := multipath.Config{Backend: multipath.Backend(c.String("backend")), Runs: c.Int("runs"), Traces: multipath.Traces(c.String("traces")), Relay: relayOf(c)}
			for _, p := range strings.Split(c.String("peer"), ",") {
				config.Peers = append(config.Peers, multipath.Peer(p))
			}
			var err error
			if config.Only, err = regexp.Compile("^(?:" + c.String("scenario") + ")$"); err != nil {
				return app.Usagef("--scenario: %w", err)
			}
			switch {
			case config.Backend != multipath.Virtual && config.Backend != multipath.Real:
				return app.Usagef("--backend is netsim or lab, not %q", config.Backend)
			case config.Backend == multipath.Virtual && slices.Contains(config.Peers, multipath.MPTCP):
				return app.Usagef("MPTCP is the kernel's and has no simulated links: use --backend lab")
			case !config.Any():
				return app.Usagef("--backend %s has no scenario whose whole name or number matches %q; without --scenario, all are listed", config.Backend, c.String("scenario"))
			}
			return playScenarios(c, config)
		},
	}
}

func playScenarios(c *cli.Context, config multipath.Config) error {
	action := func(c *cli.Context) error {
		bars, err := multipath.Bars(c.Context, c.App.Writer, config)
		return judged(c, bars, err)
	}
	if config.Backend == multipath.Real {
		return measured(action)(c)
	}
	bench.PrintMachine(c.App.Writer, c.App.Version)
	return action(c)
}

func multipathBarsCommand() *cli.Command {
	return &cli.Command{
		Name:  "multipath",
		Usage: "all figures of a bonded publisher; exit code 1 if one is beyond its bound",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "quick", Usage: "in less than a minute, each once, on simulated links alone: without most traces, the flood of half objects, and a rival on a link with losses"},
			&cli.StringFlag{Name: "only", Usage: "scenarios whose name or number matches this regular `EXPRESSION`"},
			&cli.IntFlag{Name: "runs", Value: 10, Usage: "how often to run each on simulated links"},
			&cli.IntFlag{Name: "lab-runs", Value: 3, Usage: "how often to run each on real links, beside MPTCP and one session; 0 leaves them out"},
			tracesFlag, relayFlag(),
		},
		Action: func(c *cli.Context) error {
			config := multipath.Config{Backend: multipath.Virtual, Peers: []multipath.Peer{multipath.Bond, multipath.Single}, Runs: c.Int("runs"),
				Traces: multipath.Traces(c.String("traces")), Relay: relayOf(c)}
			if only := c.String("only"); only != "" {
				var err error
				if config.Only, err = regexp.Compile("^(?:" + only + ")$"); err != nil {
					return app.Usagef("--only: %w", err)
				}
			}
			if c.Bool("quick") {
				config.Quick, config.Runs = true, 1
				return playScenarios(c, config)
			}
			return measured(func(c *cli.Context) error {
				bars, err := multipath.Bars(c.Context, c.App.Writer, config)
				if n := c.Int("lab-runs"); err == nil && n > 0 {
					real := config
					real.Backend, real.Runs, real.Peers = multipath.Real, n, append(real.Peers, multipath.MPTCP)
					var more []bench.Bar
					more, err = multipath.Bars(c.Context, c.App.Writer, real)
					bars = append(bars, more...)
				}
				return judged(c, bars, err)
			})(c)
		},
	}
}
