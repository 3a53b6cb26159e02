// Package trace gives commands the flags --qlog, --qlog-sample and --qlog-bytes,
// and the directory of traces they ask for.
package trace

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/transport/qlog"
)

// Flags returns the three flags. They may be given to several commands: each
// call makes new ones.
func Flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "qlog", Usage: "write a trace of each session to a file in `DIR`, for qvis and the like"},
		&cli.IntFlag{Name: "qlog-sample", Value: 1, Usage: "trace only one of this many connections"},
		&cli.Int64Flag{Name: "qlog-bytes", Value: 1 << 30, Usage: "take no more traces while those in --qlog DIR have this many `BYTES`"},
	}
}

// Open opens the directory that the flags name. It returns nil, which traces
// nothing, if they name none. So it does if the directory cannot be written to,
// and says so: what a trace would help to find is no reason to stand still.
func Open(c *cli.Context) (*qlog.Dir, error) {
	switch {
	case c.Int("qlog-sample") < 1:
		return nil, app.Usagef("--qlog-sample %d: want 1 for all connections, or more", c.Int("qlog-sample"))
	case c.Int64("qlog-bytes") < 1:
		return nil, app.Usagef("--qlog-bytes %d: want a number of bytes", c.Int64("qlog-bytes"))
	case c.String("qlog") == "":
		return nil, nil
	}
	log := app.Logger(c)
	d, err := qlog.Open(qlog.Config{Dir: c.String("qlog"), Sample: c.Int("qlog-sample"), MaxBytes: c.Int64("qlog-bytes"), Logger: log})
	if err != nil {
		log.Warn("no traces are taken", "file", c.String("qlog"), "err", err)
	}
	return d, nil
}

// Register adds the metrics of d, which may be nil, to r.
func Register(r prometheus.Registerer, d *qlog.Dir) {
	counter := func(name, help string, value func(qlog.Stats) uint64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "moq", Subsystem: "qlog", Name: name, Help: help},
			func() float64 { return float64(value(d.Stats())) }))
	}
	counter("traces_total", "Traces begun.", func(s qlog.Stats) uint64 { return s.Traces })
	counter("refused_total", "Traces that did not begin because of a limit.", func(s qlog.Stats) uint64 { return s.Refused })
	counter("dropped_total", "Events that are missing from traces.", func(s qlog.Stats) uint64 { return s.Dropped })
	counter("bytes_total", "Bytes of traces written.", func(s qlog.Stats) uint64 { return s.Bytes })
}
