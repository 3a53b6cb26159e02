package docs

import (
	"encoding/json"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// programs starts one of each program that has metrics.
func programs(t *testing.T) (servers []server, publisher, subscriber server) {
	t.Helper()
	listen := listenFlags(t)
	api := start(t, "moq-api listening", "moq-api", "--bind", "127.0.0.1:0")
	get(t, "http://"+api.bind+"/origins") // counters of requests come with the first
	relay := start(t, "relay ready", append([]string{"moq-relay"}, listen...)...)
	dir := start(t, "directory ready", append([]string{"moq-dir"}, listen...)...)
	publisher = start(t, "", "moq-pub", "--test", "--name", "a/b", "--tls-disable-verify", "--path", loopback(t), "moqt://"+relay.bind)
	late, tick := time.After(20*time.Second), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(get(t, "http://"+publisher.admin+"/metrics"), "moq_bond_path_connections{") { // they come with the first second
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the publisher has no path")
		}
	}
	subscriber = start(t, "", "moq-sub", "--name", "a/b", "--tls-disable-verify", "--rtmp", "rtmp://127.0.0.1:1/app/key", "moqt://"+relay.bind)
	return []server{api, relay, dir}, publisher, subscriber
}

// loopback returns the name of the interface of the loopback.
func loopback(t *testing.T) string {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(i net.Interface) bool { return i.Flags&net.FlagLoopback != 0 })
	if i < 0 {
		t.Fatal("there is no loopback")
	}
	return all[i].Name
}

var (
	sample      = regexp.MustCompile(`(?m)^(\w+)(?:\{(.*)\})? \S+$`)
	sampleLabel = regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)
)

// series are the labels that a metric has, and the values that were seen of them.
type series map[string]map[string]bool

// exported returns what the programs show to Prometheus, and what that adds.
func exported(t *testing.T) map[string]series {
	t.Helper()
	servers, publisher, subscriber := programs(t)
	all := map[string]series{"up": {}}
	for _, s := range append(servers, publisher, subscriber) {
		for _, m := range sample.FindAllStringSubmatch(get(t, "http://"+s.admin+"/metrics"), -1) {
			if all[m[1]] == nil {
				all[m[1]] = make(series)
			}
			for _, l := range sampleLabel.FindAllStringSubmatch(m[2], -1) {
				if all[m[1]][l[1]] == nil {
					all[m[1]][l[1]] = make(map[string]bool)
				}
				all[m[1]][l[1]][l[2]] = true
			}
		}
	}
	return all
}

// ofPrometheus are the labels that Prometheus puts on everything.
var ofPrometheus = []string{"instance", "job"}

// checkQuery tells what an expression asks for that there is not. It returns the
// labels of its result.
func checkQuery(t *testing.T, where, expr string, have map[string]series) (labels []string) {
	t.Helper()
	expr = strings.ReplaceAll(expr, "$__rate_interval", "1m")
	q, err := parseQuery(expr)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return nil
	}
	labels = slices.Clone(ofPrometheus)
	for _, s := range q.selectors {
		of, ok := have[s.metric]
		if !ok {
			t.Errorf("%s: no program has the metric %s", where, s.metric)
			continue
		}
		labels = append(labels, slices.Collect(maps.Keys(of))...)
		for l, want := range s.labels {
			switch {
			case slices.Contains(ofPrometheus, l):
			case of[l] == nil:
				t.Errorf("%s: %s has no label %s", where, s.metric, l)
			case want[0] == '=' && want[1] != '~' && !of[l][want[1:]]:
				t.Errorf("%s: %s has no %s%q, but %v", where, s.metric, l, want, slices.Sorted(maps.Keys(of[l])))
			}
		}
	}
	for _, l := range q.by {
		if !slices.Contains(labels, l) {
			t.Errorf("%s: what is summed by %s has no such label", where, l)
		}
	}
	if q.by != nil {
		return q.by
	}
	return labels
}

var (
	legendLabel = regexp.MustCompile(`\{\{(\w+)\}\}`)
	alertLabel  = regexp.MustCompile(`\$labels\.(\w+)`)
)

func checkLabels(t *testing.T, where, text string, use *regexp.Regexp, have []string) {
	t.Helper()
	for _, m := range use.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(have, m[1]) {
			t.Errorf("%s: %q names a label that the result has not: it has %v", where, text, have)
		}
	}
}

// panel is the part of one of Grafana's that is looked at.
type panel struct {
	ID      int
	Title   string
	GridPos struct{ X, Y, W, H int }
	Targets []struct{ Expr, LegendFormat string }
}

// The dashboard and the alerts ask for what the programs show, in the words of
// Prometheus, and the alerts are those that are explained.
func TestDashboardAndAlerts(t *testing.T) {
	var board struct {
		Templating struct {
			List []struct {
				Name  string
				Query any
			}
		}
		Panels []panel
	}
	if err := json.Unmarshal([]byte(readPage(t, "deploy/grafana/tributary.json")), &board); err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Expr        string            `yaml:"expr"`
				Labels      map[string]string `yaml:"labels"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal([]byte(readPage(t, "deploy/prometheus/alerts.yml")), &rules); err != nil {
		t.Fatal(err)
	}
	have := exported(t)

	variable := regexp.MustCompile(`\$(\w+)`)
	known := []string{"__rate_interval"}
	for _, v := range board.Templating.List {
		known = append(known, v.Name)
		if q, ok := v.Query.(map[string]any); ok {
			text, _ := q["query"].(string)
			m := regexp.MustCompile(`^label_values\((\w+), instance\)$`).FindStringSubmatch(text)
			if m == nil || have[m[1]] == nil {
				t.Errorf("the variable %s asks for %q, which there is not", v.Name, text)
			}
		}
	}
	seen := make(map[int]bool)
	taken := make(map[[2]int]string)
	queries := 0
	for _, p := range board.Panels {
		if seen[p.ID] {
			t.Errorf("panel %q has the number of another", p.Title)
		}
		seen[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q lies on %q, or beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			queries++
			where := "panel " + p.Title
			for _, m := range variable.FindAllStringSubmatch(target.Expr, -1) {
				if !slices.Contains(known, m[1]) {
					t.Errorf("%s: there is no variable %s", where, m[0])
				}
			}
			checkLabels(t, where, target.LegendFormat, legendLabel, checkQuery(t, where, target.Expr, have))
		}
	}
	if queries < 20 {
		t.Errorf("the dashboard asks %d questions: is it read?", queries)
	}

	var alerts []string
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			severity := r.Labels["severity"]
			alerts = append(alerts, r.Alert+" | "+severity)
			if severity != "page" && severity != "ticket" {
				t.Errorf("alert %s is of severity %q", r.Alert, severity)
			}
			checkLabels(t, "alert "+r.Alert, r.Annotations["summary"], alertLabel, checkQuery(t, "alert "+r.Alert, r.Expr, have))
		}
	}
	sameRows(t, "alerts", rows(t, readPage(t, operationsPage), "Dashboard and alerts"), alerts)
}

// Prometheus is told where the admin pages are by default.
func TestPrometheusConfig(t *testing.T) {
	var c struct {
		ScrapeConfigs []struct {
			Job    string                       `yaml:"job_name"`
			Static []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(readPage(t, "deploy/prometheus/prometheus.yml")), &c); err != nil {
		t.Fatal(err)
	}
	if len(c.ScrapeConfigs) == 0 {
		t.Fatal("there are no scrape_configs")
	}
	for _, job := range c.ScrapeConfigs {
		i := slices.IndexFunc(options(t, job.Job), func(o option) bool { return o.name == "admin" })
		if i < 0 {
			t.Errorf("%s has no --admin", job.Job)
			continue
		}
		def := strings.Trim(options(t, job.Job)[i].def, `"`)
		if got := job.Static[0].Targets[0]; def != "" && got != def {
			t.Errorf("%s is looked for at %s, but is at %s", job.Job, got, def)
		}
	}
}
