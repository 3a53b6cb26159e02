package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/internal/dialer"
	"github.com/tributary-live/tributary/rtmp"
	"github.com/tributary-live/tributary/sub"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

func newApp() *cli.App {
	return &cli.App{
		Name:      "moq-sub",
		Usage:     "receive a broadcast",
		ArgsUsage: "URL ...",
		Description: "URL is that of the relay, moqt://host:port or https://host:port. What is received goes to stdout:\n\n" +
			"   moq-sub --name room/camera moqt://relay.example:4443 | ffplay -\n\n" +
			"or, with the broadcast in the URL (and a track other than catalog for that alone):\n\n" +
			"   moq-sub \"moqt://relay.example:4443/#msf:room-camera--catalog\" | ffplay -\n\n" +
			"A broadcast that begins while moq-sub waits for it is received from its first frame on, one that runs already\n" +
			"from its newest group. A publisher that is gone for a few seconds is waited for; if it stays away, moq-sub ends with an error.\n" +
			"A relay that goes away is dialled again, or of several URLs the next, and the output goes on; if nothing comes for --wait,\n" +
			"moq-sub ends with an error.\n\n" +
			"Of several names, such as cameras that look at the same thing, the first that is there is received:\n\n" +
			"   moq-sub --name room/cam-a --name room/cam-b moqt://relay.example:4443 | ffplay -\n\n" +
			"When nothing comes of it for 0.7 s, or it ends, the next takes its place from a key frame on, and the output's time\n" +
			"goes on. One that is preferred is cut back to when it has been back for 4 s.\n\n" +
			"To video platforms, with the stream keys in a file that others cannot read, one URL a line:\n\n" +
			"   moq-sub --name room/camera --rtmp @platforms.txt moqt://relay.example:4443",
		Version: app.Version(),
		Flags: append([]cli.Flag{
			&cli.StringSliceFlag{Name: "name", Usage: "`NAME` of the broadcast, fields separated by /; repeatable: the next is taken while those before are not there"},
			&cli.StringFlag{Name: "list", Usage: "print the namespaces that are live under `PREFIX` (\"\" for all) and end"},
			&cli.BoolFlag{Name: "json", Usage: "print a JSON line for each object, not the media; with --list, for each namespace"},
			&cli.StringSliceFlag{Name: "track", Usage: "receive the track of this `NAME`; repeatable; if absent, the first video and the first sound"},
			&cli.Uint64Flag{Name: "back", Usage: "begin this many groups before the newest, as far as they are held"},
			&cli.DurationFlag{Name: "wait", Value: 30 * time.Second, Usage: "wait this long for the broadcast to begin, and for it to go on when the relay has gone away"},
			&cli.StringSliceFlag{Name: "rtmp", Usage: "forward to the RTMP server at `URL`, rtmp:// or rtmps://HOST/APP/KEY, or to those in a file, @FILE; repeatable; prints a JSON line a second for each"},
			app.AdminFlag(""),
			&cli.DurationFlag{Name: "duration", Usage: "end after this time; if absent, with the broadcast"},
		}, dialer.Flags()...),
		Action: run,
	}
}

func run(c *cli.Context) error {
	relays, track, err := parseRelays(c.Args().Slice())
	if err != nil {
		return err
	}
	targets, err := targets(c)
	if err != nil {
		return err
	}
	tracks := c.StringSlice("track")
	if len(tracks) == 0 && track.Name != "" && track.Name != catalogTrack {
		tracks = []string{track.Name}
	}
	receiveNamed := func(names ...moqt.Namespace) error {
		cfg := sub.Config{Namespace: names[0], Spares: names[1:], Tracks: tracks, Back: c.Uint64("back"),
			Wait: c.Duration("wait"), Logger: app.Logger(c)}
		return from(c, relays, func(ctx context.Context, out io.Writer) error {
			return receive(ctx, c, sub.ReceiverConfig{Config: cfg, Dial: relays.dial, DialTo: relays.dialTo}, targets, out)
		})
	}
	if track.Namespace.Len() > 0 && !c.IsSet("name") && !c.IsSet("list") {
		return receiveNamed(track.Namespace)
	}
	if c.IsSet("name") == c.IsSet("list") {
		return app.Usagef("give either --name NAME or --list PREFIX, or a URL that ends with #msf:room-camera--catalog")
	}
	if c.IsSet("list") {
		ns, err := moqt.SplitNamespace(c.String("list"))
		if err != nil {
			return app.Usagef("--list %q: %w", c.String("list"), err)
		}
		return from(c, relays, func(ctx context.Context, out io.Writer) error { return list(ctx, c, relays, ns, out) })
	}
	var names []moqt.Namespace
	for _, name := range c.StringSlice("name") {
		ns, err := moqt.SplitNamespace(name)
		switch {
		case err != nil:
			return app.Usagef("--name %q: %w", name, err)
		case ns.Len() == 0:
			return app.Usagef("--name %q has no field", name)
		case slices.Contains(names, ns):
			return app.Usagef("--name %q is given twice", name)
		}
		names = append(names, ns)
	}
	return receiveNamed(names...)
}

// from has do ask relays for what goes to stdout.
func from(c *cli.Context, relays *relays, do func(ctx context.Context, out io.Writer) error) error {
	d, err := dialer.Open(c)
	if err != nil {
		return err
	}
	defer d.Close()
	relays.open = d.Dial
	// A reader of stdout that leaves makes writes fail, and the session is closed
	// as at any other end.
	signal.Ignore(syscall.SIGPIPE)
	ctx := c.Context
	if most := c.Duration("duration"); most > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, most, errEnough)
		defer cancel()
	}
	err = do(ctx, os.Stdout)
	if refused, ok := errors.AsType[*transport.RequestError](err); ok && (refused.Code == moqt.RequestDoesNotExist || refused.Code == moqt.RequestTimeout) {
		err = fmt.Errorf("%w; moq-sub --list \"\" %s tells what is live", err, relays.list[0].Server)
	}
	if errors.Is(context.Cause(ctx), errEnough) || errors.Is(err, syscall.EPIPE) {
		return nil // the time is over, or who reads has seen enough
	}
	return err
}

// catalogTrack is the track that stands for the whole broadcast in a URL.
const catalogTrack = "catalog"

var errEnough = errors.New("the time is over")

// receive writes the broadcast, or of several the one that is there, to out, or
// forwards it to targets if there are some. Each chunk, or line, is one Write, so
// who plays from the pipe plays live.
func receive(ctx context.Context, c *cli.Context, cfg sub.ReceiverConfig, targets []*rtmp.URL, out io.Writer) error {
	r := sub.NewReceiver(cfg)
	if len(targets) > 0 {
		return forwardTo(ctx, c, r, targets, out)
	}
	if !c.Bool("json") {
		return r.WriteMP4(ctx, out)
	}
	enc := json.NewEncoder(out)
	return r.Receive(ctx, func(b *sub.Broadcast, o sub.Object) error {
		hash := sha256.Sum256(o.Payload)
		line := objectLine{"", o.Track, o.Group, o.Object.Object, len(o.Payload), o.Arrival.UnixMicro(), hex.EncodeToString(hash[:])}
		if len(cfg.Spares) > 0 {
			line.Name = b.Namespace.Slashed()
		}
		return enc.Encode(line)
	})
}

// objectLine is what --json prints of an object.
type objectLine struct {
	Name    string `json:"name,omitempty"` // of the broadcast, if several were asked for
	Track   string `json:"track"`
	Group   uint64 `json:"group"`
	Object  uint64 `json:"object"`
	Size    int    `json:"size"`       // bytes of payload
	Arrival int64  `json:"arrival_us"` // of its last byte, µs since 1970
	SHA256  string `json:"sha256"`     // of the payload
}
