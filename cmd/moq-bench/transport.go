package main

import (
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/bench"
	"github.com/tributary-live/tributary/internal/app"
)

func sessionCommand() *cli.Command {
	return &cli.Command{
		Name:  "session",
		Usage: "what a session carries over loopback, against a bare QUIC connection",
		Flags: []cli.Flag{
			&cli.IntSliceFlag{Name: "size", Value: cli.NewIntSlice(1<<10, 8<<10, 64<<10), Usage: "`BYTES` of an object; may be given several times"},
			&cli.IntSliceFlag{Name: "streams", Value: cli.NewIntSlice(1, 100), Usage: "streams that are written at once; may be given several times"},
			&cli.IntFlag{Name: "runs", Value: 10, Usage: "how often to run each side"},
			&cli.DurationFlag{Name: "duration", Value: 1500 * time.Millisecond, Usage: "of a run"},
			&cli.DurationFlag{Name: "warm-up", Value: 500 * time.Millisecond, Usage: "before it"},
			&cli.StringFlag{Name: "profile", Usage: "write a CPU profile of the last sending session to `FILE`"},
		},
		Action: saturating(func(c *cli.Context) error {
			bars, err := bench.Session(c.Context, c.App.Writer, bench.SessionConfig{
				Sizes: c.IntSlice("size"), Streams: c.IntSlice("streams"), Runs: c.Int("runs"),
				Duration: c.Duration("duration"), WarmUp: c.Duration("warm-up"), Bar: 64 << 10, Profile: c.String("profile"),
			})
			return judged(c, bars, err)
		}),
	}
}

func urgentCommand() *cli.Command {
	return &cli.Command{
		Name:  "urgent",
		Usage: "small urgent objects beside a track that fills the link, against bare QUIC with priorities",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "way", Value: "all", Usage: "direct, relay or all"},
			&cli.IntFlag{Name: "size", Value: 8192, Usage: "`BYTES` of an urgent object"},
			&cli.DurationFlag{Name: "interval", Value: 200 * time.Millisecond, Usage: "between two"},
			&cli.Int64Flag{Name: "rate", Value: 10_000_000, Usage: "of the link, in `BITS` a second"},
			&cli.DurationFlag{Name: "rtt", Value: 40 * time.Millisecond, Usage: "of the link"},
			&cli.IntFlag{Name: "queue", Value: 25_000, Usage: "`BYTES` that wait before it"},
			&cli.DurationFlag{Name: "duration", Value: 5 * time.Minute, Usage: "of a run"},
			&cli.DurationFlag{Name: "warm-up", Value: 5 * time.Second, Usage: "before it"},
			&cli.IntFlag{Name: "runs", Value: 3, Usage: "how often to run; figures are of all runs together"},
			relayFlag(),
		},
		Action: measured(func(c *cli.Context) error {
			way := c.String("way")
			if way != "direct" && way != "relay" && way != "all" {
				return app.Usagef("--way %q: want direct, relay or all", way)
			}
			bars, err := bench.Urgent(c.Context, c.App.Writer, bench.UrgentConfig{
				Size: c.Int("size"), Interval: c.Duration("interval"), Rate: c.Int64("rate"), RTT: c.Duration("rtt"), Queue: c.Int("queue"),
				Duration: c.Duration("duration"), WarmUp: c.Duration("warm-up"), Runs: c.Int("runs"),
				Direct: way != "relay", Through: way != "direct", Relay: relayOf(c),
			})
			return judged(c, bars, err)
		}),
	}
}
