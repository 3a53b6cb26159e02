package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/internal/trace"
	"github.com/tributary-live/tributary/internal/trust"
	"github.com/tributary-live/tributary/interop"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// unsupported is the exit code for a test that this client does not have.
const unsupported = 127

func newApp() *cli.App {
	a := &cli.App{
		Name:        "moq-interop-client",
		Usage:       "test a relay, and print the results as TAP",
		HideVersion: true, // -v is --verbose here
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "relay", Aliases: []string{"r"}, Value: "https://localhost:4443", EnvVars: []string{"RELAY_URL"},
				Usage: "`URL` of the relay: moqt:// for raw QUIC, https:// for WebTransport"},
			&cli.StringFlag{Name: "test", Aliases: []string{"t"}, EnvVars: []string{"TESTCASE"}, Usage: "run the test case `NAME` alone"},
			&cli.BoolFlag{Name: "list", Aliases: []string{"l"}, Usage: "list the test cases, and run none"},
			&cli.StringFlag{Name: "draft", EnvVars: []string{"MOQT_DRAFT"}, Usage: "offer draft `N` alone, such as 18 or draft-18; without it all that are implemented"},
			&cli.StringFlag{Name: "publisher-draft", EnvVars: []string{"MOQT_PUBLISHER_DRAFT"}, Usage: "have publishers offer draft `N` alone"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, EnvVars: []string{"VERBOSE"}, Usage: "log what the sessions do"},
		},
		Action: run,
	}
	for _, f := range append(trust.Flags(), trace.Flags()...) {
		if b, ok := f.(*cli.BoolFlag); ok && b.Name == "tls-disable-verify" {
			b.EnvVars = append(b.EnvVars, "TLS_DISABLE_VERIFY")
		}
		a.Flags = append(a.Flags, f)
	}
	return a
}

func run(c *cli.Context) error {
	if c.Bool("list") {
		_, err := fmt.Fprintln(c.App.Writer, strings.Join(interop.Cases(), "\n"))
		return err
	}
	tlsConfig, err := trust.Config(c)
	if err != nil {
		return err
	}
	traces, err := trace.Open(c)
	if err != nil {
		return err
	}
	defer traces.Close()
	cfg := interop.Config{URL: c.String("relay"), TLSConfig: tlsConfig, Tracer: traces.Trace, Logger: app.Logger(c)}
	if c.Bool("verbose") {
		cfg.Logger = app.NewLogger(c.App.ErrWriter, slog.LevelDebug)
	}
	if name := c.String("test"); name != "" {
		cfg.Cases = []string{name}
	}
	if cfg.Versions, err = versions("draft", c); err != nil {
		return err
	}
	if cfg.PublisherVersions, err = versions("publisher-draft", c); err != nil {
		return err
	}
	results, err := interop.Run(c.Context, c.App.Writer, cfg)
	if errors.Is(err, interop.ErrUnknownCase) {
		return cli.Exit(fmt.Errorf("%w; --list lists them", err), unsupported)
	}
	if err != nil {
		return err
	}
	return failures(results)
}

// versions returns the draft that a flag names, or nil if it names none.
func versions(flag string, c *cli.Context) ([]moqt.Version, error) {
	s := c.String(flag)
	if s == "" {
		return nil, nil
	}
	name := strings.TrimPrefix(strings.TrimPrefix(s, "draft-"), "moqt-")
	v, err := moqt.VersionOfALPN("moqt-" + name)
	if err != nil {
		return nil, app.Usagef("--%s %q: want the number of a draft, such as 18 or draft-18", flag, s)
	}
	if _, ok := wire.ProfileFor(v); !ok {
		return nil, cli.Exit(fmt.Sprintf("--%s: %v is not implemented here", flag, v), unsupported)
	}
	return []moqt.Version{v}, nil
}

// failures returns an error that says how many cases failed, or nil.
func failures(results []interop.Result) error {
	var failed []string
	for _, r := range results {
		if r.Err != nil {
			failed = append(failed, r.Name)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d test cases failed: %s", len(failed), len(results), strings.Join(failed, ", "))
}
