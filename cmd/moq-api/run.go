package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/api/redisstore"
	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/internal/metrics"
)

// run serves until ctx ends.
func run(ctx context.Context, cfg config, version string, log *slog.Logger) error {
	reg := metrics.NewRegistry("moq-api", version)
	cfg.server.Registry = reg
	cfg.server.Logger = log
	state := map[string]any{"version": version, "started": time.Now().UTC()}
	if cfg.redis == nil {
		store := new(api.MemStore)
		cfg.server.Store = store
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "moq_api_records", Help: "Records of origins in memory.",
		}, func() float64 { return float64(store.Len()) }))
		state["store"] = "memory"
	} else {
		store, err := redisstore.Open(*cfg.redis)
		switch {
		case errors.Is(err, redisstore.ErrNoPassword):
			return app.Usagef("--redis: %w: give it one, or use --redis-allow-open where the network is its own", err)
		case err != nil:
			return app.Usagef("--redis: %w", err)
		}
		defer store.Close()
		cfg.server.Store = store
		state["store"] = "redis"
		if err := store.Ping(ctx); err != nil {
			log.Warn("redis does not answer yet", "err", err)
		}
	}
	handler, err := api.NewServer(cfg.server)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", cfg.bind)
	if err != nil {
		return app.ListenError("bind", cfg.bind, err)
	}
	admin, err := app.Admin{
		Addr: cfg.admin, Registry: reg, Logger: log,
		Ready: func() error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			return cfg.server.Store.Ping(ctx)
		},
		State: func() any { return state },
	}.Start()
	if err != nil {
		ln.Close()
		return err
	}
	defer admin.Close()
	if ip := ln.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() && len(cfg.server.Tokens) == 0 {
		log.Warn("without --token-file everybody who reaches this address may change the table", "addr", ln.Addr().String())
	}
	log.Info("moq-api listening", "addr", ln.Addr().String(), "store", state["store"], "version", version)
	return serve(ctx, ln, handler, log)
}

// serve serves until ctx ends, then lets requests under way finish.
func serve(ctx context.Context, ln net.Listener, handler http.Handler, log *slog.Logger) error {
	srv := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }() // ends with srv
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		srv.Close()
	}
	<-failed
	return nil
}
