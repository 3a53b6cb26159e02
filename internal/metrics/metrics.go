// Package metrics makes the registry that a command shows on its admin
// listener. The rooms register their own metrics in it, named
// moq_<room>_<what>_<unit>[_total], in seconds and bytes, with labels of few
// values.
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry returns a registry with the metrics of the Go runtime and of the
// process, and moq_build_info{program,version}, which is always 1.
func NewRegistry(program, version string) *prometheus.Registry {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "moq_build_info", Help: "Which program this is.",
		ConstLabels: prometheus.Labels{"program": program, "version": version},
	})
	info.Set(1)
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), info)
	return reg
}
