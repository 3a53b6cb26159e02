package redisstore

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Config says which Redis to use.
type Config struct {
	// URL is redis://[user[:password]@]host[:port][/db], rediss:// for TLS, or
	// unix://path. Further servers of a cluster are in "?addr=host:port", and
	// of Sentinel in "?master_name=name&addr=host:port".
	URL string
	// Password goes before one in URL. Prefer it: URLs end up where others
	// read them.
	Password string
	// AllowOpen allows a server that is not on this machine and has no
	// password, as is good enough on a network of its own.
	AllowOpen bool
}

// Timeouts of a client: a table of hints is better away than slow.
const (
	ioTimeout  = 500 * time.Millisecond
	maxRetries = 1 // for a connection that died idle
)

// ErrNoPassword is what [Open] returns for a server on another host that has no
// password, unless AllowOpen is set: who reaches it can rewrite the table.
var ErrNoPassword = errors.New("it has no password, and whoever reaches it can rewrite the table of origins")

// Open returns a store on the Redis that cfg names. It does not connect: a
// Redis that is away makes the calls fail until it comes.
func Open(cfg Config) (*Store, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, urlError(err)
	}
	opts, err := options(u, cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Password != "" {
		opts.Password = cfg.Password
	}
	if opts.Password == "" && !cfg.AllowOpen && u.Scheme != "unix" {
		for _, addr := range opts.Addrs {
			if !loopback(addr) {
				return nil, fmt.Errorf("redis at %s: %w", addr, ErrNoPassword)
			}
		}
	}
	logging.Disable() // package redis writes to stderr what the calls return anyway
	opts.DialTimeout = ioTimeout
	opts.ReadTimeout = ioTimeout
	opts.WriteTimeout = ioTimeout
	opts.PoolTimeout = ioTimeout
	opts.MaxRetries = maxRetries
	opts.DialerRetries = 1
	opts.ContextTimeoutEnabled = true
	opts.DisableIdentity = true // CLIENT SETINFO is a right that nobody needs to give
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return New(redis.NewUniversalClient(opts)), nil
}

// options reads the three kinds of URL that package redis knows.
func options(u *url.URL, cfg Config) (*redis.UniversalOptions, error) {
	query := u.Query()
	switch {
	case query.Has("master_name"):
		o, err := redis.ParseFailoverURL(cfg.URL)
		if err != nil {
			return nil, urlError(err)
		}
		return &redis.UniversalOptions{Addrs: o.SentinelAddrs, MasterName: o.MasterName, DB: o.DB,
			Username: o.Username, Password: o.Password, SentinelUsername: o.SentinelUsername,
			SentinelPassword: o.SentinelPassword, TLSConfig: o.TLSConfig}, nil
	case query.Has("addr"):
		o, err := redis.ParseClusterURL(cfg.URL)
		if err != nil {
			return nil, urlError(err)
		}
		return &redis.UniversalOptions{Addrs: o.Addrs, IsClusterMode: true,
			Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig}, nil
	}
	o, err := redis.ParseURL(cfg.URL)
	if err != nil {
		return nil, urlError(err)
	}
	return &redis.UniversalOptions{Addrs: []string{o.Addr}, DB: o.DB,
		Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig}, nil
}

// urlError leaves the URL out, which may hold a password.
func urlError(err error) error {
	var parse *url.Error
	if errors.As(err, &parse) {
		err = parse.Err
	}
	return fmt.Errorf("redis URL: %s", strings.TrimPrefix(err.Error(), "redis: "))
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
