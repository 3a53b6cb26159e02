package main

import (
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/api/redisstore"
	"github.com/tributary-live/tributary/internal/app"
)

// config is what the flags ask for.
type config struct {
	bind   string
	admin  string
	server api.ServerConfig
	redis  *redisstore.Config // nil: memory
}

// newApp returns the command; args is its command line, in which no password is
// accepted.
func newApp(args []string) *cli.App {
	return &cli.App{
		Name:  "moq-api",
		Usage: "keep the table of which relay has which namespace",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "bind", Value: "127.0.0.1:4481", Usage: "serve HTTP on `ADDR`"},
			&cli.StringFlag{Name: "store", Usage: "keep the table in `WHERE`: memory or redis", DefaultText: "memory, or redis if --redis is given"},
			&cli.StringFlag{Name: "redis", Usage: "keep the table in the Redis at `URL`: redis://, rediss:// or unix://"},
			&cli.StringFlag{Name: "redis-password-file", Usage: "read the password of Redis from `FILE`"},
			&cli.BoolFlag{Name: "redis-allow-open", Usage: "use a Redis on another host although it has no password"},
			&cli.DurationFlag{Name: "lease", Value: 15 * time.Second, Usage: "let records that ask for no time of their own live for `TIME`"},
			&cli.StringFlag{Name: "token-file", Usage: "serve only requests with one of the bearer tokens in `FILE`, one a line"},
			&cli.StringSliceFlag{Name: "allow-relay", Usage: "accept origins at `HOST` or HOST:PORT only; repeatable"},
			app.AdminFlag("127.0.0.1:4482"),
		},
		Action: func(c *cli.Context) error {
			cfg, err := configOf(c, args)
			if err != nil {
				return err
			}
			return run(c.Context, cfg, c.App.Version, app.Logger(c))
		},
	}
}

func configOf(c *cli.Context, args []string) (config, error) {
	cfg := config{
		bind:  c.String("bind"),
		admin: c.String("admin"),
		server: api.ServerConfig{
			Lease:       c.Duration("lease"),
			AllowRelays: c.StringSlice("allow-relay"),
		},
	}
	if l := cfg.server.Lease; l < time.Second || l > 10*time.Minute {
		return cfg, app.Usagef("--lease %v: want 1s to 10m", l)
	}
	if path := c.String("token-file"); path != "" {
		tokens, err := api.ReadTokens(path)
		if err != nil {
			return cfg, app.Usagef("--token-file: %w", err)
		}
		cfg.server.Tokens = tokens
	}
	var err error
	cfg.redis, err = redisOf(c, args)
	return cfg, err
}

// redisOf returns nil if the table is to be in memory.
func redisOf(c *cli.Context, args []string) (*redisstore.Config, error) {
	cfg := &redisstore.Config{URL: c.String("redis"), AllowOpen: c.Bool("redis-allow-open")}
	store := c.String("store")
	switch {
	case store != "" && store != "memory" && store != "redis":
		return nil, app.Usagef("--store %q: want memory or redis", store)
	case store == "memory" && cfg.URL != "":
		return nil, app.Usagef("--store memory has no use for --redis: drop one of them")
	case store != "redis" && cfg.URL == "":
		return nil, nil
	case cfg.URL == "":
		cfg.URL = "redis://127.0.0.1:6379"
	}
	u, err := url.Parse(cfg.URL)
	if err == nil && u.User != nil {
		_, password := u.User.Password()
		if password && slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, cfg.URL) }) {
			return nil, app.Usagef("--redis: everybody on this machine can read a password on the command line; use %s, the file of --config or --redis-password-file", app.EnvVars("moq-api", "redis")[0])
		}
	}
	if path := c.String("redis-password-file"); path != "" {
		password, err := os.ReadFile(path)
		if err != nil {
			return nil, app.Usagef("--redis-password-file: %w", err)
		}
		if cfg.Password = strings.TrimSpace(string(password)); cfg.Password == "" {
			return nil, app.Usagef("--redis-password-file %s: it is empty", path)
		}
	}
	return cfg, nil
}
