package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/dir"
	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/internal/devcert"
	"github.com/tributary-live/tributary/internal/metrics"
	"github.com/tributary-live/tributary/internal/trace"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

func newApp() *cli.App {
	return &cli.App{
		Name:  "moq-dir",
		Usage: "tell relays and clients which namespaces are announced anywhere",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "bind", Value: "[::]:4482", Usage: "listen on UDP `ADDR` for QUIC and WebTransport"},
			&cli.StringFlag{Name: "tls-cert", Usage: "certificate chain, PEM `FILE`; read again when it changes"},
			&cli.StringFlag{Name: "tls-key", Usage: "private key of --tls-cert, PEM `FILE`"},
			&cli.BoolFlag{Name: "dev", Usage: "make a self-signed certificate in process, and print its SHA-256"},
			&cli.StringFlag{Name: "namespace", Value: "directory", Usage: "`NAMESPACE` of the listing tracks, fields split at /"},
			&cli.IntFlag{Name: "session-namespaces", Value: 1000, Usage: "let one session announce at most this many `NAMESPACES`"},
			app.AdminFlag("127.0.0.1:4492"),
			&cli.DurationFlag{Name: "drain", Value: 2 * time.Second, Usage: "on SIGTERM, give sessions this long to go elsewhere"},
		}, trace.Flags()...),
		Action: run,
	}
}

// otherRequests is how many requests a session may have beside its namespaces.
const otherRequests = 256

func run(c *cli.Context) error {
	ctx, log := c.Context, app.Logger(c)
	namespace, err := moqt.SplitNamespace(c.String("namespace"))
	if err != nil {
		return app.Usagef("--namespace: %w", err)
	}
	names := c.Int("session-namespaces")
	if names < 1 {
		return app.Usagef("--session-namespaces %d: want at least 1", names)
	}
	d, err := dir.New(dir.Config{Namespace: namespace, MaxSessionNamespaces: names, Logger: log})
	if err != nil {
		return app.Usagef("--namespace: %w", err)
	}
	getCertificate, err := openCertificate(c)
	if err != nil {
		return err
	}
	traces, err := trace.Open(c)
	if err != nil {
		return err
	}
	defer traces.Close()
	registry := metrics.NewRegistry("moq-dir", app.Version())
	if err := d.Register(registry); err != nil {
		return err
	}
	trace.Register(registry, traces)

	bind := c.String("bind")
	pc, err := transport.ListenUDP(ctx, bind)
	if err != nil {
		return app.ListenError("bind", bind, err)
	}
	defer pc.Close()
	admin, err := app.Admin{Addr: c.String("admin"), State: func() any { return d.State() }, Registry: registry, Logger: log}.Start()
	if err != nil {
		return err
	}
	defer admin.Close()

	srv := &transport.Server{
		TLSConfig: &tls.Config{GetCertificate: getCertificate, MinVersion: tls.VersionTLS13},
		// Each namespace is a request that stays, and a stream.
		Config:  transport.Config{Logger: log, Tracer: traces.Trace, Limits: transport.Limits{MaxRequests: names + otherRequests}},
		QUIC:    &quic.Config{MaxIncomingStreams: int64(names + otherRequests)},
		Handler: d,
	}
	serveCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(serveCtx, pc) }()
	log.Info("directory ready", "addr", pc.LocalAddr().String(), "ns", namespace)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(serveCtx, c.Duration("drain"))
	defer cancel()
	srv.Shutdown(drain)
	if err := <-served; !errors.Is(err, transport.ErrServerClosed) {
		return err
	}
	return nil
}

// openCertificate returns where TLS takes the certificate from.
func openCertificate(c *cli.Context) (func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	cert, key := c.String("tls-cert"), c.String("tls-key")
	switch {
	case (cert == "") != (key == ""):
		return nil, app.Usagef("--tls-cert and --tls-key go together")
	case cert != "":
		s, err := devcert.NewFileSource(cert, key, app.Logger(c))
		if err != nil {
			return nil, err
		}
		return s.GetCertificate, nil
	case c.Bool("dev"):
		s, err := devcert.New()
		if err != nil {
			return nil, err
		}
		prints := s.Fingerprints()
		fmt.Fprintf(c.App.Writer, "certificate SHA-256: %s\nand in a week:       %s\n", prints[0], prints[1])
		return s.GetCertificate, nil
	}
	return nil, app.Usagef("no certificate: give --tls-cert and --tls-key, or --dev for a self-signed one")
}
