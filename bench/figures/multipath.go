package figures

import "regexp"

// peers carry the load of a scenario with several links.
var peers = []struct{ peer, name string }{{"bond", "bond"}, {"single", "one session, first link"}, {"mptcp", "MPTCP"}}

// multipath has a label for each scenario that expr finds, by its group, and a
// series for each peer that has played one.
func (r *Results) multipath(title, unit, metric, on, scenarios string) *chart {
	c := &chart{title: title, unit: unit}
	of := func(peer string) *regexp.Regexp {
		return regexp.MustCompile(`^Multipath/scenario=` + scenarios + `/peer=` + peer + `/on=` + on + `$`)
	}
	_, c.labels = r.matching(of("bond"))
	for _, p := range peers {
		s := series{name: p.name}
		found := false
		names := r.byPart(of(p.peer))
		for _, label := range c.labels {
			v, ok := r.median(names[label], metric)
			found = found || ok
			s.values = append(s.values, orNone(v, ok))
		}
		if found {
			c.series = append(c.series, s)
		}
	}
	return c
}

// byPart returns the names of benchmarks by what the group of expr finds in them.
func (r *Results) byPart(expr *regexp.Regexp) map[string]string {
	names, parts := r.matching(expr)
	found := make(map[string]string, len(names))
	for i, part := range parts {
		found[part] = names[i]
	}
	return found
}
