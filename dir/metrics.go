package dir

import "github.com/prometheus/client_golang/prometheus"

// Register adds the directory's figures to r.
func (d *Directory) Register(r prometheus.Registerer) error {
	for _, m := range []struct {
		name, help string
		value      func() float64
	}{
		{"sessions", "Sessions open.", func() float64 { return float64(d.count().Sessions) }},
		{"announcements", "Namespaces announced, counted for each session that does.", func() float64 { return float64(d.count().Announced) }},
		{"namespaces", "Namespaces live.", func() float64 { return float64(d.names.Len()) }},
		{"listings", "Listing tracks that are read.", func() float64 { return float64(d.count().Listings) }},
		{"listing_bytes", "Memory that the newest groups of listings hold.", func() float64 { return float64(d.listingBytes.Load()) }},
	} {
		opts := prometheus.GaugeOpts{Namespace: "moq", Subsystem: "dir", Name: m.name, Help: m.help}
		if err := r.Register(prometheus.NewGaugeFunc(opts, m.value)); err != nil {
			return err
		}
	}
	return nil
}
