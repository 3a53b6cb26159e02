package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tributary-live/tributary/transport"
)

// registerAdmission shows what became of those who wanted to connect.
func registerAdmission(reg prometheus.Registerer, srv *transport.Server) {
	for _, c := range []struct {
		name, help string
		labels     prometheus.Labels
		of         func(transport.AdmissionStats) uint64
	}{
		{"handshakes_total", "Handshakes begun with those who connect.", nil, func(s transport.AdmissionStats) uint64 { return s.Taken }},
		{"handshakes_proven_total", "First packets of clients that were told to show that they receive at their address.", nil, func(s transport.AdmissionStats) uint64 { return s.Proven }},
		{"rate_limited_total", "What was refused because there was too much of it at once; connections by their first packets.", prometheus.Labels{"limit": "handshakes"},
			func(s transport.AdmissionStats) uint64 { return s.Refused }},
		{"rate_limited_total", "What was refused because there was too much of it at once; connections by their first packets.", prometheus.Labels{"limit": "handshakes_per_address"},
			func(s transport.AdmissionStats) uint64 { return s.RefusedAddress }},
	} {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "moq", Subsystem: "relay", Name: c.name, Help: c.help, ConstLabels: c.labels},
			func() float64 { return float64(c.of(srv.Admitted())) }))
	}
}
