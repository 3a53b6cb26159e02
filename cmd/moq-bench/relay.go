package main

import (
	"regexp"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/bench"
	"github.com/tributary-live/tributary/internal/app"
)

func joinCommand() *cli.Command {
	return &cli.Command{
		Name:  "join",
		Usage: "how soon the first object comes from the cache",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "joins", Value: 1000, Usage: "how often somebody joins"},
			&cli.IntFlag{Name: "sessions", Value: 10, Usage: "that join by turns"},
			&cli.IntFlag{Name: "rate", Value: 30, Usage: "objects a second"},
			&cli.IntFlag{Name: "size", Value: 8192, Usage: "`BYTES` of an object"},
			relayFlag(),
		},
		Action: measured(func(c *cli.Context) error {
			r, err := bench.Join(c.Context, bench.JoinConfig{Relay: relayOf(c), Joins: c.Int("joins"), Sessions: c.Int("sessions"), Rate: c.Int("rate"), Size: c.Int("size")})
			if err == nil {
				r.Print(c.App.Writer)
			}
			return err
		}),
	}
}

func stormCommand() *cli.Command {
	return &cli.Command{
		Name:  "storm",
		Usage: "many subscribers that come to a new track at once",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "subs", Value: 1000, Usage: "subscribers"},
			&cli.DurationFlag{Name: "within", Value: time.Second, Usage: "time in which they come"},
			&cli.IntFlag{Name: "rate", Value: 20, Usage: "objects a second"},
			&cli.IntFlag{Name: "size", Value: 1024, Usage: "`BYTES` of an object"},
			relayFlag(),
		},
		Action: measured(func(c *cli.Context) error {
			r, err := bench.Storm(c.Context, bench.StormConfig{Relay: relayOf(c), Subscribers: c.Int("subs"), Within: c.Duration("within"), Rate: c.Int("rate"), Size: c.Int("size")})
			if err == nil {
				r.Print(c.App.Writer)
			}
			return err
		}),
	}
}

func handshakesCommand() *cli.Command {
	return &cli.Command{
		Name:  "handshakes",
		Usage: "sessions opened as fast as they can be, while others watch: all of them, then with the relay's bound",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "at-once", Value: 32, Usage: "dials at the same time"},
			&cli.IntFlag{Name: "inside", Value: 20, Usage: "subscribers that were there before"},
			&cli.DurationFlag{Name: "duration", Value: 10 * time.Second, Usage: "how long to dial, twice"},
			relayFlag(),
		},
		Action: measured(func(c *cli.Context) error {
			config := bench.HandshakeConfig{Relay: relayOf(c), AtOnce: c.Int("at-once"), Inside: c.Int("inside"), Duration: c.Duration("duration"), Rate: 30, Size: 8192}
			for _, config.Relay.Limited = range []bool{false, true} {
				r, err := bench.Handshakes(c.Context, config)
				if err != nil {
					return err
				}
				r.Print(c.App.Writer)
			}
			return nil
		}),
	}
}

func twinsCommand() *cli.Command {
	return &cli.Command{
		Name:  "twins",
		Usage: "tracks that lose one of two publishers in the middle of a group",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "kills", Value: 200, Usage: "how often"},
			&cli.IntFlag{Name: "at-once", Value: 10, Usage: "tracks at the same time"},
			&cli.IntFlag{Name: "objects", Value: 120, Usage: "of a track, 60 a second"},
			relayFlag(),
		},
		Action: measured(func(c *cli.Context) error {
			r, err := bench.Twins(c.Context, bench.TwinConfig{Relay: relayOf(c), Kills: c.Int("kills"), AtOnce: c.Int("at-once"), Objects: c.Int("objects"),
				Rate: 60, Size: 4096, GroupSize: 20, SubscribersEach: 2})
			if err == nil {
				r.Print(c.App.Writer)
			}
			return err
		}),
	}
}

func srsCommand() *cli.Command {
	return &cli.Command{
		Name:  "srs",
		Usage: "the table that SRS has published of itself: CPU and memory for 300 to 1800 viewers of 500 kbit/s",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "points", Value: 6, Usage: "rows of the table, of 300 viewers more each"},
			&cli.DurationFlag{Name: "duration", Value: 10 * time.Second, Usage: "of each"},
			relayFlag(),
		},
		Action: measured(func(c *cli.Context) error {
			bars, err := bench.SRS(c.Context, c.App.Writer, bench.SRSConfig{Relay: relayOf(c), Points: c.Int("points"), Duration: c.Duration("duration")})
			return judged(c, bars, err)
		}),
	}
}

func soakCommand() *cli.Command {
	return &cli.Command{
		Name:    "soak",
		Aliases: []string{"churn", "cache"},
		Usage:   "tracks and subscribers that come, go and die: whether the relay grows, and what is left of it at the end",
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "duration", Value: 30 * time.Minute, Usage: "of all"},
			&cli.DurationFlag{Name: "mark", Usage: "when the relay is to have its size; if absent, after a third of --duration"},
			&cli.DurationFlag{Name: "every", Value: 10 * time.Second, Usage: "between two samples"},
			&cli.Int64Flag{Name: "cache-bytes", Value: 256 << 20, Usage: "what the relay may cache, in `BYTES`"},
			&cli.IntFlag{Name: "tracks", Value: 40, Usage: "tracks at the same time"},
			&cli.Int64Flag{Name: "rate", Value: 24 << 20, Usage: "of all tracks, in `BYTES` a second"},
			&cli.Float64Flag{Name: "kill", Value: 0.1, Usage: "share of publishers and subscribers that die without a word"},
			&cli.DurationFlag{Name: "drain", Value: 40 * time.Second, Usage: "longest wait at the end until all is as it was before"},
			relayFlag(),
		},
		Action: measured(func(c *cli.Context) error {
			relay := relayOf(c)
			relay.CacheBytes = c.Int64("cache-bytes")
			duration, mark, every := c.Duration("duration"), c.Duration("mark"), c.Duration("every")
			if mark == 0 {
				mark = duration / 3
			}
			switch {
			case mark >= duration:
				return app.Usagef("--mark %v is not before the end of --duration %v", mark, duration)
			case every <= 0:
				return app.Usagef("--every %v is no time between two samples", every)
			}
			r, err := bench.Churn(c.Context, c.App.Writer, bench.ChurnConfig{Relay: relay, Tracks: c.Int("tracks"), Rate: c.Int64("rate"), Duration: duration,
				Mark: mark, Every: every, Kill: c.Float64("kill"), Drain: c.Duration("drain")})
			if err != nil {
				return err
			}
			r.Print(c.App.Writer)
			return judged(c, r.Bars(), nil)
		}),
	}
}

func barsCommand() *cli.Command {
	return &cli.Command{
		Name:  "bars",
		Usage: "what the project is held to, with a verdict for each figure",
		Subcommands: []*cli.Command{{
			Name:  "relay",
			Usage: "all figures of the relay; exit code 1 if one is beyond its bound",
			Flags: []cli.Flag{
				&cli.BoolFlag{Name: "quick", Usage: "in less than a minute, with fewer subscribers; figures are rougher"},
				&cli.StringFlag{Name: "only", Usage: "sections whose name matches this regular `EXPRESSION`: " + strings.Join(bench.RelaySections(), ", ")},
				relayFlag(),
			},
			Action: measured(func(c *cli.Context) error {
				config := bench.RelayBarsConfig{Relay: relayOf(c), Quick: c.Bool("quick")}
				if only := c.String("only"); only != "" {
					var err error
					if config.Only, err = regexp.Compile(only); err != nil {
						return app.Usagef("--only: %w", err)
					}
				}
				bars, err := bench.RelayBars(c.Context, c.App.Writer, config)
				return judged(c, bars, err)
			}),
		}, multipathBarsCommand()},
	}
}
