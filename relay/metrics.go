package relay

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tributary-live/tributary/relay/bonds"
)

// Metrics are a relay's counters.
type Metrics struct {
	sessions, subscriptions, tracks       prometheus.Gauge
	fresh, duplicate, malformed, dropped  prometheus.Counter
	ingest, egress, skipped, fetches, via prometheus.Counter
	redirects, datagramsDropped           prometheus.Counter
	migrations                            prometheus.Counter

	lateness, gaps, groups prometheus.Histogram

	bonds *bonds.Metrics
}

// NewMetrics makes the counters and registers them with reg, unless that is
// nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "moq", Subsystem: "relay", Name: name, Help: help})
		if reg != nil {
			reg.MustRegister(g)
		}
		return g
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "moq", Subsystem: "relay", Name: name, Help: help})
		if reg != nil {
			reg.MustRegister(c)
		}
		return c
	}
	objects := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "moq", Subsystem: "relay", Name: "objects_total",
		Help: "Objects received from publishers, by what became of them."}, []string{"result"})
	if reg != nil {
		reg.MustRegister(objects)
	}
	histogram := func(name, help string, buckets ...float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "moq", Subsystem: "relay", Name: name, Help: help, Buckets: buckets})
		if reg != nil {
			reg.MustRegister(h)
		}
		return h
	}
	return &Metrics{
		lateness:         histogram("copy_lateness_seconds", "How long copies of objects came after the first.", .001, .005, .02, .05, .1, .2, .5, 1, 2, 5),
		gaps:             histogram("copy_gap_seconds", "Times of 0.2 s or more without an object, in copies of 10 objects a second or more.", .3, .5, 1, 2, 5, 10),
		groups:           histogram("copy_group_seconds", "Times between the beginnings of groups, by copy: the distance of key frames.", .25, .5, 1, 2, 3, 5, 10, 20),
		sessions:         gauge("sessions", "Sessions that are open."),
		subscriptions:    gauge("subscriptions", "Subscriptions that are served."),
		tracks:           gauge("tracks", "Tracks that are held."),
		fresh:            objects.WithLabelValues("fresh"),
		duplicate:        objects.WithLabelValues("duplicate"),
		malformed:        objects.WithLabelValues("malformed"),
		dropped:          objects.WithLabelValues("dropped"),
		ingest:           counter("ingest_bytes_total", "Payload bytes received from publishers, copies included."),
		egress:           counter("egress_bytes_total", "Payload bytes handed to subscriptions."),
		skipped:          counter("groups_skipped_total", "Groups given up because their subscriber was too slow."),
		fetches:          counter("fetches_total", "Fetches answered."),
		migrations:       counter("migrations_total", "Moves of clients to another address in the middle of their session."),
		redirects:        counter("redirects_total", "Requests of clients that were sent to another relay."),
		datagramsDropped: counter("datagrams_dropped_total", "Datagrams given up because their subscriber was too slow, or too large for its path."),
		via:              counter("fetches_upstream_total", "Fetches sent to publishers for what the cache lacked."),
		bonds:            bonds.NewMetrics(reg),
	}
}
