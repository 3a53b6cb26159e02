package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/internal/devcert"
	"github.com/tributary-live/tributary/internal/draft"
	"github.com/tributary-live/tributary/internal/metrics"
	"github.com/tributary-live/tributary/internal/site"
	"github.com/tributary-live/tributary/internal/trace"
	"github.com/tributary-live/tributary/internal/trust"
	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/relay/bonds"
	"github.com/tributary-live/tributary/relay/cache"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/web"
)

func newApp() *cli.App {
	return &cli.App{
		Name:    "moq-relay",
		Usage:   "relay tracks from publishers to subscribers",
		Version: app.Version(),
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "bind", Value: "[::]:4443", Usage: "listen on UDP `ADDR` for QUIC and WebTransport, and on the same TCP port for the page"},
			&cli.StringFlag{Name: "tls-cert", Usage: "certificate chain, PEM `FILE`; read again when it changes"},
			&cli.StringFlag{Name: "tls-key", Usage: "private key of --tls-cert, PEM `FILE`"},
			&cli.BoolFlag{Name: "dev", Usage: "make a self-signed certificate in process, and serve the player and the certificate's fingerprint"},
			&cli.BoolFlag{Name: "web", Usage: "serve the player with the certificate of --tls-cert too"},
			&cli.StringFlag{Name: "api", Usage: "find and tell origins at the moq-api at `URL`"},
			&cli.StringFlag{Name: "api-token-file", Usage: "bearer token for --api, in `FILE`"},
			&cli.StringFlag{Name: "node", Usage: "`URL` at which other relays dial this one"},
			&cli.StringFlag{Name: "announce", Usage: "tell namespaces to the moq-dir at `URL`, and list what it knows"},
			app.AdminFlag("127.0.0.1:4480"),
			&cli.DurationFlag{Name: "cache-age", Value: 15 * time.Second, Usage: "keep groups this long after a newer one began"},
			&cli.Int64Flag{Name: "cache-bytes", Usage: "keep at most this many `BYTES` of all tracks; 0 is two fifths of the container's memory, or 1 GiB where that has no limit"},
			&cli.BoolFlag{Name: "strict-malformed", Usage: "end a track for everybody when two publishers contradict each other, as the letter of the draft has it, and not cut off the later one"},
			&cli.DurationFlag{Name: "linger", Value: 5 * time.Second, Usage: "keep a track this long without subscribers, and subscribers without a publisher"},
			&cli.BoolFlag{Name: "bond", Value: true, Usage: "let a publisher use several connections as one, by the bond extension; --bond=false to turn it off"},
			&cli.StringFlag{Name: "bond-url", Usage: "`URL` where all but the first connection of a bond are to go, where the address of this relay is that of several"},
			&cli.IntFlag{Name: "handshakes", Value: 300, Usage: "take at most this many new connections a second; more are refused and may try again; -1 is no bound"},
			&cli.IntFlag{Name: "handshakes-per-address", Value: 30, Usage: "take at most this many a second from one address, or /64 of IPv6; -1 is no bound"},
			&cli.DurationFlag{Name: "drain", Value: 2 * time.Second, Usage: "on SIGTERM, give sessions this long to go elsewhere"},
			&cli.StringFlag{Name: "drain-to", Usage: "tell sessions that have to go elsewhere to go to the relay at `URL`; cluster is another one that --api knows; if absent, they dial the same URL again"},
			&cli.StringSliceFlag{Name: "redirect", Usage: "send clients that ask for something under a namespace to another relay: a `RULE` is NAMESPACE=URL, with the fields of NAMESPACE separated by /; repeatable"},
		}, append(append(trace.Flags(), draft.Flag("upstream-draft")), trust.Flags()...)...),
		Action: func(c *cli.Context) error { return run(c) },
	}
}

// maxRequests is how many requests a session may have open. A subscription is
// one, and so is an announced namespace: other relays and publishers of many
// tracks have hundreds.
const maxRequests = 2048

// certificates is where TLS takes its certificate from.
type certificates interface {
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Fingerprints() []string
}

func run(c *cli.Context) error {
	ctx, log := c.Context, app.Logger(c)
	if err := check(c); err != nil {
		return err
	}
	certs, err := openCertificates(c)
	if err != nil {
		return err
	}
	elsewhere, err := redirects(c)
	if err != nil {
		return err
	}
	clientTLS, err := trust.Config(c)
	if err != nil {
		return err
	}
	node := c.String("node")
	if c.String("api") != "" && node == "" {
		return app.Usagef("--api needs --node, the URL at which other relays dial this one")
	}
	traces, err := trace.Open(c)
	if err != nil {
		return err
	}
	defer traces.Close()
	config := &transport.Config{Logger: log, Tracer: traces.Trace, Limits: transport.Limits{MaxRequests: maxRequests}}
	upstream, err := draft.Versions(c, "upstream-draft")
	if err != nil {
		return err
	}
	dialConfig := &transport.Config{Versions: upstream, Logger: log, Tracer: traces.Trace}
	if node != "" {
		dialConfig.Options = moqt.Properties{{Type: relay.OptionNode, Bytes: []byte(node)}}
	}
	dialer := &transport.Dialer{TLSConfig: clientTLS, Config: dialConfig}

	registry := metrics.NewRegistry("moq-relay", app.Version())
	trace.Register(registry, traces)
	budget := cache.NewBudget(sizeMemory(c.Int64("cache-bytes"), log))
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "moq", Subsystem: "relay", Name: "cache_bytes",
		Help: "Memory that cached groups hold."}, func() float64 { return float64(budget.Used()) }))

	origins, err := openOrigins(c, node)
	if err != nil {
		return err
	}
	if origins != nil {
		defer origins.Close()
	}
	cfg := relay.Config{
		Node:  node,
		Cache: cache.Options{MaxAge: c.Duration("cache-age"), Budget: budget},
		Dial: func(ctx context.Context, url string) (*transport.Session, error) {
			sess, err := dialer.Dial(ctx, url)
			return sess, trust.Explain(err, url)
		},
		Directory: c.String("announce"),
		Linger:    c.Duration("linger"),
		Redirects: elsewhere,

		StrictMalformed: c.Bool("strict-malformed"),
		Bonds:           bonds.Config{URI: c.String("bond-url")},
		Logger:          log,
		Metrics:         relay.NewMetrics(registry),
	}
	if origins != nil {
		cfg.Origins = origins
	}

	bind := c.String("bind")
	pc, err := transport.ListenUDP(ctx, bind)
	if err != nil {
		return app.ListenError("bind", bind, err)
	}
	defer pc.Close()
	tlsConf := &tls.Config{GetCertificate: certs.GetCertificate, MinVersion: tls.VersionTLS13}
	var page http.Handler
	if c.Bool("dev") || c.Bool("web") {
		fingerprints := certs.Fingerprints
		if !c.Bool("dev") {
			fingerprints = nil
		}
		page = site.Handler(web.Files, fingerprints)
		// The page is on the TCP port of the same number, whatever UDP got.
		host, _, _ := net.SplitHostPort(bind)
		addr := net.JoinHostPort(host, fmt.Sprint(pc.LocalAddr().(*net.UDPAddr).Port))
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			return app.ListenError("bind", addr, err)
		}
		s := site.Serve(ln, tlsConf, page, log)
		defer s.Close()
		log.Info("page ready", "addr", ln.Addr().String())
	}

	r := relay.New(cfg)
	defer r.Close()
	if c.Bool("bond") {
		config.Extensions = r.Extensions()
	}
	srv := &transport.Server{TLSConfig: tlsConf, Config: *config, Handler: r, HTTP: page,
		Admission: transport.Admission{Rate: c.Int("handshakes"), AddressRate: c.Int("handshakes-per-address")}}
	registerAdmission(registry, srv)
	serveCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	d := &drainer{r: r, srv: srv, origins: origins, to: c.String("drain-to"), log: log, ctx: serveCtx}
	if err := d.check(d.to); err != nil {
		return app.Usagef("--drain-to: %w", err)
	}
	admin, err := app.Admin{Addr: c.String("admin"), Ready: d.ready, State: func() any { return r.State() }, Registry: registry, Logger: log,
		Commands: map[string]func(url.Values) (string, error){"drain": d.command}}.Start()
	if err != nil {
		return err
	}
	var background sync.WaitGroup
	defer background.Wait()
	defer d.wg.Wait()
	defer stop()
	defer admin.Close()
	background.Go(func() { app.PaceCollector(serveCtx, budget.Used) })
	served := make(chan error, 1)
	go func() { served <- srv.Serve(serveCtx, pc) }()
	log.Info("relay ready", "addr", pc.LocalAddr().String(), "node", node)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(serveCtx, c.Duration("drain"))
	defer cancel()
	d.shutdown(drain)
	srv.Close()
	if err := <-served; !errors.Is(err, transport.ErrServerClosed) {
		return err
	}
	return nil
}

// check says what is wrong with flags that nothing else looks at before the relay
// runs.
func check(c *cli.Context) error {
	for _, name := range []string{"announce", "bond-url"} {
		if url := c.String(name); url != "" {
			if err := checkURL(url); err != nil {
				return app.Usagef("--%s: %w", name, err)
			}
		}
	}
	for _, name := range []string{"cache-age", "linger", "drain"} {
		if d := c.Duration(name); d < 0 {
			return app.Usagef("--%s %v: want no less than 0s", name, d)
		}
	}
	if n := c.Int64("cache-bytes"); n < 0 {
		return app.Usagef("--cache-bytes %d: want no less than 0", n)
	}
	return nil
}

func openCertificates(c *cli.Context) (certificates, error) {
	cert, key := c.String("tls-cert"), c.String("tls-key")
	switch {
	case (cert == "") != (key == ""):
		return nil, app.Usagef("--tls-cert and --tls-key go together")
	case cert != "":
		return devcert.NewFileSource(cert, key, app.Logger(c))
	case c.Bool("dev"):
		return devcert.New()
	}
	return nil, app.Usagef("no certificate: give --tls-cert and --tls-key, or --dev for a self-signed one")
}
