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
	"github.com/tributary-live/tributary/internal/dialer"
	"github.com/tributary-live/tributary/internal/metrics"
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
			"   ffmpeg … -f mp4 -movflags cmaf+separate_moof+delay_moov+skip_trailer+frag_every_frame - | moq-pub --name room/camera moqt://relay.example:4443\n\n" +
			"The end of the input is the end of the broadcast, and so is a signal: viewers get what was published, for which there\n" +
			"are 5 s, and are told; a second signal ends moq-pub at once. If it is killed, they wait some seconds for a publisher that\n" +
			"goes on under the same name. A relay that goes away is dialled again for as long as it takes.\n\n" +
			"With --path it goes over several networks at once:\n\n" +
			"   … | moq-pub --name room/camera --path auto --path usb0,cost=backup moqt://relay.example:4443\n\n" +
			"moq-pub paths, in place of a URL, lists the networks and which of them would be used; flags go before it.",
		Version: app.Version(),
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the broadcast, fields separated by /; if absent, one is made up and printed"},
			&cli.StringFlag{Name: "loop", Usage: "publish this MP4 `FILE` again and again, with times that go on"},
			&cli.BoolFlag{Name: "test", Usage: "publish a built-in clip again and again"},
			&cli.Uint64Flag{Name: "first-group", Usage: "`ID` of the first group, equal for twin publishers", DefaultText: "wall clock in ms"},
			&cli.IntFlag{Name: "group-gops", Value: 1, Usage: "GOPs of a group"},
			&cli.DurationFlag{Name: "target-latency", Value: 300 * time.Millisecond, Usage: "what the catalog asks players to keep"},
			&cli.StringSliceFlag{Name: "path", Usage: "publish over `PATHS`: auto; interfaces as in wlan0,usb0; or NAME=IFACE; options of all are ,cost=primary, secondary, backup or never, ,cap=5Mbit and ,relay=URL; repeatable"},
			&cli.StringFlag{Name: "mode", Value: "hybrid", Usage: "what goes over more than one path: `MODE` hybrid, aggregate, redundant, standby, best-fps or auto"},
			&cli.DurationFlag{Name: "deadline", Value: 2 * time.Second, Usage: "give up what is older and has not arrived over any path"},
			&cli.BoolFlag{Name: "json", Usage: "with --path, tell how the paths fare in lines of JSON, on a terminal too; and list them so"},
			app.AdminFlag("", "/encoder"),
		}, dialer.Flags()...),
		Action: run,
	}
}

func run(c *cli.Context) error {
	if c.Args().First() == "paths" {
		return listPaths(c)
	}
	ns, madeUp, err := name(c)
	if err != nil {
		return err
	}
	d, err := dialer.Open(c)
	if err != nil {
		return err
	}
	defer d.Close()
	source, closeSource, err := openSource(c)
	if err != nil {
		return err
	}
	defer closeSource()
	url := c.Args().First()
	log := app.Logger(c)
	announce := func() { // a viewer has to be told a name that was made up
		if madeUp {
			madeUp = false
			fmt.Fprintf(os.Stderr, "moq-pub: publishing as %s\n", ns.Slashed())
		}
	}
	cfg := pub.PublisherConfig{
		Namespace: ns,
		Source:    source,
		Packager: pub.PackagerConfig{FirstGroup: c.Uint64("first-group"), GroupGOPs: c.Int("group-gops"),
			TargetLatency: c.Duration("target-latency")},
		Dial: func(ctx context.Context) (*transport.Session, error) {
			sess, err := d.Dial(ctx, url)
			if err == nil {
				announce()
			}
			return sess, err
		},
		DialTo: d.Dial,
		Logger: log,
	}
	if c.String("loop") == "" && !c.Bool("test") {
		cfg.Ahead = time.Second // a live encoder's bursts are its own affair
	}
	if len(c.StringSlice("path")) > 0 {
		err = runBonded(c, cfg, &d.Dialer, announce)
	} else if c.IsSet("mode") || c.IsSet("deadline") {
		err = app.Usagef("--mode and --deadline are for --path")
	} else if c.Bool("json") {
		err = app.Usagef("--json is for --path, and for moq-pub paths")
	} else {
		err = runSingle(c, cfg)
	}
	if errors.Is(err, pub.ErrNameTaken) {
		err = fmt.Errorf("%w; choose another with --name", err)
	}
	return err
}

// runSingle publishes over whatever way the system's routes choose.
func runSingle(c *cli.Context, cfg pub.PublisherConfig) error {
	admin, err := app.Admin{Addr: c.String("admin"), Registry: metrics.NewRegistry("moq-pub", app.Version()), Logger: cfg.Logger}.Start()
	if err != nil {
		return err
	}
	defer admin.Close()
	return untilSignal(c.Context, pub.NewPublisher(cfg))
}

// untilSignal runs p until a signal has ended ctx, at which viewers are told that
// the broadcast has ended.
func untilSignal(ctx context.Context, p *pub.Publisher) error {
	defer context.AfterFunc(ctx, p.End)()
	return p.Run(context.WithoutCancel(ctx))
}

// name returns the broadcast's namespace, and whether it was made up.
func name(c *cli.Context) (ns moqt.Namespace, madeUp bool, err error) {
	text := c.String("name")
	if text == "" {
		return moqt.NS("live", strings.ToLower(rand.Text()[:8])), true, nil
	}
	ns, err = moqt.SplitNamespace(text)
	switch {
	case err != nil:
		return ns, false, app.Usagef("--name %q: %w", text, err)
	case ns.Len() == 0:
		return ns, false, app.Usagef("--name %q has no field", text)
	case strings.HasPrefix(ns.Fields()[0], "."):
		return ns, false, app.Usagef("--name %q: names that begin with a period are reserved", text)
	}
	return ns, false, nil
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
	if info, err := os.Stdin.Stat(); err != nil || info.Mode()&os.ModeCharDevice != 0 { // closed, a terminal, or /dev/null
		return nil, nil, app.Usagef("no media: pipe fMP4 into stdin, or give --loop FILE or --test")
	}
	return fmp4.NewReader(os.Stdin, nil), func() {}, nil
}
