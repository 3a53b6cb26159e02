package bonds

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Metrics are the counters of a [Registry]. Labels are of few values: what a
// publisher calls its paths is in [Registry.State] alone.
type Metrics struct {
	bonds            prometheus.Gauge
	members          *prometheus.GaugeVec // by cost
	joins            *prometheus.CounterVec
	chunks           prometheus.Counter
	fresh, duplicate prometheus.Counter
	faults           prometheus.Counter
	rtt              *prometheus.HistogramVec // by cost
	register         func(prometheus.Collector)
}

// NewMetrics makes the counters and registers them with reg, unless that is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	const ns, sub = "moq", "relay"
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help}
	}
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help}
	}
	bytes := prometheus.NewCounterVec(counter("bond_chunk_bytes_total", "Bytes of objects received in chunks, by whether they were there already."), []string{"result"})
	m := &Metrics{
		bonds:   prometheus.NewGauge(gauge("bonds", "Bonds that live.")),
		members: prometheus.NewGaugeVec(gauge("bond_members", "Connections that are members of bonds, by what their path costs."), []string{"cost"}),
		joins:   prometheus.NewCounterVec(counter("bond_joins_total", "Joins, by what became of them."), []string{"result"}),
		chunks:  prometheus.NewCounter(counter("bond_chunks_total", "Chunks received.")),
		fresh:   bytes.WithLabelValues("fresh"), duplicate: bytes.WithLabelValues("duplicate"),
		faults: prometheus.NewCounter(counter("bond_faults_total", "Members put out for what contradicts the others.")),
		rtt: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: ns, Subsystem: sub, Name: "bond_rtt_seconds", Help: "Round trips of members, looked at once a second while they send.",
			Buckets: []float64{.005, .01, .02, .04, .08, .16, .32, .64, 1.28},
		}, []string{"cost"}),
		register: func(prometheus.Collector) {},
	}
	if reg != nil {
		reg.MustRegister(m.bonds, m.members, m.joins, m.chunks, bytes, m.faults, m.rtt)
		m.register = func(c prometheus.Collector) { reg.MustRegister(c) }
	}
	for cost := bond.Primary; cost <= bond.Backup; cost++ {
		m.members.WithLabelValues(cost.String())
		m.rtt.WithLabelValues(cost.String())
	}
	for _, result := range []string{"joined", "unproven", "refused"} {
		m.joins.WithLabelValues(result)
	}
	return m
}

// watch adds the figures that r has by itself.
func (m *Metrics) watch(r *Registry) {
	for _, o := range []struct {
		name, help string
		get        func() int64
	}{
		{"bond_held_bytes", "Memory that objects which are not whole take.", r.budget.Held},
		{"bond_held_bytes_most", "The most memory that objects which were not whole ever took.", r.budget.Most},
	} {
		m.register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "moq", Subsystem: "relay", Name: o.name, Help: o.help},
			func() float64 { return float64(o.get()) }))
	}
	for _, o := range []struct {
		result string
		get    func(bond.Stats) int64
	}{
		{"whole", func(s bond.Stats) int64 { return s.Objects }},
		{"lost", func(s bond.Stats) int64 { return s.Lost }},
	} {
		m.register(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "moq", Subsystem: "relay", Name: "bond_objects_total",
			Help: "Objects that came in chunks, by what became of them.", ConstLabels: prometheus.Labels{"result": o.result}},
			func() float64 { return float64(o.get(r.stats())) }))
	}
}

func (m *Metrics) took(fresh, duplicate int64) {
	m.chunks.Inc()
	m.fresh.Add(float64(fresh))
	m.duplicate.Add(float64(duplicate))
}

// refused counts a join that was refused.
func (m *Metrics) refused(code moqt.RequestCode) {
	result := "refused"
	if code == moqt.RequestUnauthorized {
		result = "unproven"
	}
	m.joins.WithLabelValues(result).Inc()
}
