package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/internal/trust"
	"github.com/tributary-live/tributary/pub"
	"github.com/tributary-live/tributary/pub/clip"
	"github.com/tributary-live/tributary/pub/fmp4"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

func newApp() *cli.App {
	return &cli.App{
		Name:      "moq-pub",
		Usage:     "publish fragmented MP4 to a relay",
		ArgsUsage: "URL",
		Description: "URL is that of the relay, moqt://host:port or https://host:port. The media is fMP4 on stdin:\n\n" +
			"   ffmpeg … -f mp4 -movflags cmaf+separate_moof+delay_moov+skip_trailer+frag_every_frame - | moq-pub --name room/camera moqt://relay.example:4443",
		Version: app.Version(),
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the broadcast, fields separated by /; if absent, one is made up and printed"},
			&cli.StringFlag{Name: "loop", Usage: "publish this MP4 `FILE` again and again, with times that go on"},
			&cli.BoolFlag{Name: "test", Usage: "publish a built-in clip again and again"},
			&cli.Uint64Flag{Name: "first-group", Usage: "`ID` of the first group, equal for twin publishers; if absent, the wall clock in ms"},
			&cli.IntFlag{Name: "group-gops", Value: 1, Usage: "GOPs of a group"},
			&cli.DurationFlag{Name: "target-latency", Value: 300 * time.Millisecond, Usage: "what the catalog asks players to keep"},
		}, trust.Flags()...),
		Action: run,
	}
}

func run(c *cli.Context) error {
	ns, err := name(c)
	if err != nil {
		return err
	}
	tlsConf, err := trust.Config(c)
	if err != nil {
		return err
	}
	source, closeSource, err := openSource(c)
	if err != nil {
		return err
	}
	defer closeSource()
	url := c.Args().First()
	log := app.Logger(c)
	dialer := &transport.Dialer{TLSConfig: tlsConf, Config: &transport.Config{Logger: log}}
	cfg := pub.PublisherConfig{
		Namespace: ns,
		Source:    source,
		Packager: pub.PackagerConfig{FirstGroup: c.Uint64("first-group"), GroupGOPs: c.Int("group-gops"),
			TargetLatency: c.Duration("target-latency")},
		Dial: func(ctx context.Context) (*transport.Session, error) {
			sess, err := dialer.Dial(ctx, url)
			return sess, trust.Explain(err, url)
		},
		Logger: log,
	}
	if c.String("loop") == "" && !c.Bool("test") {
		cfg.Ahead = time.Second // a live encoder's bursts are its own affair
	}
	return pub.NewPublisher(cfg).Run(c.Context)
}

// name returns the broadcast's namespace. One that is made up is printed, so
// that a viewer can be told.
func name(c *cli.Context) (moqt.Namespace, error) {
	text := c.String("name")
	if text == "" {
		text = "live/" + strings.ToLower(rand.Text()[:8])
		fmt.Fprintf(os.Stderr, "moq-pub: publishing as %s\n", text)
	}
	ns, err := moqt.SplitNamespace(text)
	if err != nil {
		return ns, app.Usagef("--name %q: %w", text, err)
	}
	if ns.Len() == 0 {
		return ns, app.Usagef("--name %q has no field", text)
	}
	if first := ns.Fields()[0]; strings.HasPrefix(first, ".") {
		return ns, app.Usagef("--name %q: names that begin with a period are reserved", text)
	}
	return ns, nil
}

func openSource(c *cli.Context) (pub.Source, func(), error) {
	file, test := c.String("loop"), c.Bool("test")
	switch {
	case file != "" && test:
		return nil, nil, app.Usagef("--loop and --test exclude each other")
	case test:
		l, err := clip.Open()
		return l, func() {}, err
	case file != "":
		f, err := os.Open(file)
		if err != nil {
			return nil, nil, app.Usagef("--loop: %w", err)
		}
		l, err := fmp4.NewLooper(f, nil)
		if err != nil {
			f.Close()
			return nil, nil, fmt.Errorf("--loop %s: %w", file, err)
		}
		return l, func() { f.Close() }, nil
	}
	if info, err := os.Stdin.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return nil, nil, app.Usagef("%w", errNoInput)
	}
	return fmp4.NewReader(os.Stdin, nil), func() {}, nil
}

var errNoInput = errors.New("no media: pipe fMP4 into stdin, or give --loop FILE or --test")
