// Package dialer gives commands that dial one server the flags for that, and the
// transport.Dialer they describe.
package dialer

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/internal/draft"
	"github.com/tributary-live/tributary/internal/trace"
	"github.com/tributary-live/tributary/internal/trust"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/qlog"
)

// Flags returns those of packages trace, draft (as --draft) and trust.
func Flags() []cli.Flag {
	return append(append(trace.Flags(), draft.Flag("draft")), trust.Flags()...)
}

// Dialer dials as the flags say.
type Dialer struct {
	transport.Dialer
	traces *qlog.Dir
}

// Open reads the flags, and checks that the first argument is the URL of a
// server. The caller must close the Dialer, after its sessions.
func Open(c *cli.Context) (*Dialer, error) {
	if err := transport.CheckURL(c.Args().First()); err != nil {
		return nil, app.Usagef("%q: %w", c.Args().First(), err)
	}
	tlsConf, err := trust.Config(c)
	if err != nil {
		return nil, err
	}
	versions, err := draft.Versions(c, "draft")
	if err != nil {
		return nil, err
	}
	traces, err := trace.Open(c)
	if err != nil {
		return nil, err
	}
	config := &transport.Config{Versions: versions, Logger: app.Logger(c), Tracer: traces.Trace}
	return &Dialer{transport.Dialer{TLSConfig: tlsConf, Config: config}, traces}, nil
}

// Dial opens a session with the server at url. Its errors say which flag would
// help.
func (d *Dialer) Dial(ctx context.Context, url string) (*transport.Session, error) {
	sess, err := d.Dialer.Dial(ctx, url)
	return sess, trust.Explain(err, url)
}

// Close writes out what is left of the traces.
func (d *Dialer) Close() error { return d.traces.Close() }
