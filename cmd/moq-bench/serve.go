package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime/pprof"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/bench"
	"github.com/tributary-live/tributary/internal/app"
)

// serveCommand is the other side of a comparison. The commands that compare
// start it themselves.
func serveCommand() *cli.Command {
	return &cli.Command{
		Name:   "serve",
		Usage:  "send objects without a relay, once a line comes on stdin",
		Hidden: true,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "kind", Usage: "bare, tcp, tls, bulk or bare-bulk"},
			&cli.IntFlag{Name: "size", Usage: "`BYTES` of an object"},
			&cli.IntFlag{Name: "rate", Usage: "objects a second"},
			&cli.IntFlag{Name: "group", Usage: "objects of a group"},
			&cli.IntFlag{Name: "objects", Usage: "objects in all"},
			&cli.IntFlag{Name: "streams", Usage: "streams that are written at once"},
			&cli.StringFlag{Name: "profile", Usage: "write a CPU profile to `FILE`"},
		},
		Action: func(c *cli.Context) error {
			if file := c.String("profile"); file != "" {
				stop, err := profile(file)
				if err != nil {
					return err
				}
				defer stop()
			}
			return serve(c.Context, c)
		},
	}
}

func serve(ctx context.Context, c *cli.Context) error {
	log := app.Logger(c)
	return bench.Serve(ctx, bench.ServeConfig{
		Kind: bench.Kind(c.String("kind")), Size: c.Int("size"), Rate: c.Int("rate"), GroupSize: c.Int("group"),
		Objects: c.Int("objects"), Streams: c.Int("streams"), Begin: os.Stdin,
		Ready: func(addr net.Addr) { log.Info("serving", "addr", addr.String()) },
	})
}

func profile(file string) (stop func(), err error) {
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		f.Close()
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "moq-bench:", err)
		}
	}, nil
}
