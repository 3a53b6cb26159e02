package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/forward"
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
		ArgsUsage: "URL",
		Description: "URL is that of the relay, moqt://host:port or https://host:port. What is received goes to stdout:\n\n" +
			"   moq-sub --name room/camera moqt://relay.example:4443 | ffplay -\n\n" +
			"or, with the broadcast in the URL (and a track other than catalog for that alone):\n\n" +
			"   moq-sub \"moqt://relay.example:4443/#msf:room-camera--catalog\" | ffplay -\n\n" +
			"A broadcast that begins while moq-sub waits for it is received from its first frame on, one that runs already\n" +
			"from its newest group. A publisher that is gone for a few seconds is waited for; if it stays away, moq-sub ends with an error.\n\n" +
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
			&cli.DurationFlag{Name: "wait", Value: 30 * time.Second, Usage: "wait this long for the broadcast to begin"},
			&cli.StringSliceFlag{Name: "rtmp", Usage: "forward to the RTMP server at `URL`, rtmp:// or rtmps://HOST/APP/KEY, or to those in a file, @FILE; repeatable; prints a JSON line a second for each"},
			app.AdminFlag(""),
			&cli.DurationFlag{Name: "duration", Usage: "end after this time; if absent, with the broadcast"},
		}, dialer.Flags()...),
		Action: run,
	}
}

func run(c *cli.Context) error {
	uri, err := transport.ParseURI(c.Args().First())
	if err != nil {
		return app.Usagef("%w", err)
	}
	targets, err := targets(c)
	if err != nil {
		return err
	}
	receive := func(ctx context.Context, c *cli.Context, sess *transport.Session, names []moqt.Namespace, out io.Writer) error {
		return receive(ctx, c, sess, names, targets, out)
	}
	if uri.Track.Namespace.Len() > 0 && !c.IsSet("name") && !c.IsSet("list") {
		return receiveFrom(c, receive, []moqt.Namespace{uri.Track.Namespace}, uri)
	}
	if c.IsSet("name") == c.IsSet("list") {
		return app.Usagef("give either --name NAME or --list PREFIX, or a URL that ends with #msf:room-camera--catalog")
	}
	if c.IsSet("list") {
		ns, err := moqt.SplitNamespace(c.String("list"))
		if err != nil {
			return app.Usagef("--list %q: %w", c.String("list"), err)
		}
		return receiveFrom(c, list, []moqt.Namespace{ns}, uri)
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
	return receiveFrom(c, receive, names, uri)
}

// receiveFrom dials what uri names and has do talk to it about names.
func receiveFrom(c *cli.Context, do func(context.Context, *cli.Context, *transport.Session, []moqt.Namespace, io.Writer) error, names []moqt.Namespace, uri transport.URI) error {
	d, err := dialer.Open(c)
	if err != nil {
		return err
	}
	defer d.Close()
	// A reader of stdout that leaves makes writes fail, and the session is closed
	// as at any other end.
	signal.Ignore(syscall.SIGPIPE)
	ctx, url := c.Context, uri.Server
	if uri.Token != nil {
		ctx = transport.WithTokens(ctx, transport.Token{Type: tokenC4M, Value: uri.Token})
	}
	if most := c.Duration("duration"); most > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, most, errEnough)
		defer cancel()
	}
	sess, err := d.Dial(ctx, url)
	if err != nil {
		return err
	}
	defer sess.Close()
	err = do(ctx, c, sess, names, os.Stdout)
	if errors.Is(context.Cause(ctx), errEnough) || errors.Is(err, syscall.EPIPE) {
		return nil // the time is over, or who reads has seen enough
	}
	return err
}

const (
	// tokenC4M is the type of a token that a URL's c4m parameter holds.
	tokenC4M = 1
	// catalogTrack is the track that stands for the whole broadcast in a URL.
	catalogTrack = "catalog"
)

var errEnough = errors.New("the time is over")

// receive writes the broadcast, or of several the one that is there, to out, or
// forwards it to targets if there are some. Each chunk, or line, is one Write, so
// who plays from the pipe plays live.
func receive(ctx context.Context, c *cli.Context, sess *transport.Session, names []moqt.Namespace, targets []*rtmp.URL, out io.Writer) error {
	tracks := c.StringSlice("track")
	if uri, err := transport.ParseURI(c.Args().First()); err == nil && len(tracks) == 0 && uri.Track.Name != "" && uri.Track.Name != catalogTrack {
		tracks = []string{uri.Track.Name}
	}
	cfg := sub.Config{Namespace: names[0], Spares: names[1:], Tracks: tracks, Back: c.Uint64("back"),
		Wait: c.Duration("wait"), Logger: app.Logger(c)}
	enc := json.NewEncoder(out)
	line := func(name string, o sub.Object) error {
		hash := sha256.Sum256(o.Payload)
		return enc.Encode(objectLine{name, o.Track, o.Group, o.Object.Object, len(o.Payload), o.Arrival.UnixMicro(), hex.EncodeToString(hash[:])})
	}
	if len(names) > 1 {
		cameras := sub.NewCameras(sess, cfg)
		if len(targets) > 0 {
			return forwardTo(ctx, c, cameras, targets, out)
		}
		if !c.Bool("json") {
			return cameras.WriteMP4(ctx, out)
		}
		return cameras.Receive(ctx, func(b *sub.Broadcast, o sub.Object) error { return line(b.Namespace.Slashed(), o) })
	}
	b, err := sub.Open(ctx, sess, cfg)
	if err != nil {
		return err
	}
	if len(targets) > 0 {
		return forwardTo(ctx, c, forward.Only(b), targets, out)
	}
	if !c.Bool("json") {
		return b.WriteMP4(ctx, out)
	}
	return b.Receive(ctx, func(o sub.Object) error { return line("", o) })
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
