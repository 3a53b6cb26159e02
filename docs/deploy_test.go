package docs

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/tributary-live/tributary/api/redisstore"
)

// compose is the part of a compose file that is looked at.
type compose struct {
	Services map[string]struct {
		Build     string   `yaml:"build"`
		Image     string   `yaml:"image"`
		Command   []string `yaml:"command"`
		Ports     []string `yaml:"ports"`
		Volumes   []string `yaml:"volumes"`
		DependsOn any      `yaml:"depends_on"`
	} `yaml:"services"`
}

func TestCompose(t *testing.T) {
	var c compose
	if err := yaml.Unmarshal([]byte(readPage(t, "docker-compose.yml")), &c); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"redis", "api", "dir", "relay1", "relay2", "pub"} {
		if _, ok := c.Services[name]; !ok {
			t.Errorf("there is no service %s", name)
		}
	}
	for name, s := range c.Services {
		for _, d := range dependencies(s.DependsOn) {
			if _, ok := c.Services[d]; !ok {
				t.Errorf("%s depends on %s, which there is not", name, d)
			}
		}
		for _, p := range s.Ports {
			number, protocol, ok := strings.Cut(p, "/")
			other := map[string]string{"udp": "tcp", "tcp": "udp"}[protocol]
			if !ok || !slices.Contains(s.Ports, number+"/"+other) {
				t.Errorf("%s: port %s is published without its twin: QUIC needs udp, the page tcp", name, p)
			}
		}
		if len(s.Command) == 0 || !strings.HasPrefix(s.Command[0], "moq-") {
			continue
		}
		if s.Build != "." {
			t.Errorf("%s runs %s but is not built here", name, s.Command[0])
		}
		args := slices.Clone(s.Command)
		for i, a := range args {
			if strings.HasPrefix(a, "${FINGERPRINT") {
				args[i] = strings.Repeat("0", 64)
			}
			// URLs of services name services.
			if u, err := url.Parse(a); err == nil && u.Host != "" {
				if _, ok := c.Services[u.Hostname()]; !ok {
					t.Errorf("%s: %s names no service", name, a)
				}
			}
		}
		checkArgs(t, "docker-compose.yml: "+name, args...)
		if i := slices.Index(args, "--redis"); i >= 0 {
			store, err := redisstore.Open(redisstore.Config{URL: args[i+1], AllowOpen: slices.Contains(args, "--redis-allow-open")})
			if err != nil {
				t.Errorf("%s would not start: %v", name, err)
			} else {
				store.Close()
			}
		}
	}
}

// dependencies reads both forms of depends_on.
func dependencies(v any) []string {
	var list []string
	switch v := v.(type) {
	case []any:
		for _, d := range v {
			list = append(list, d.(string))
		}
	case map[string]any:
		for d := range v {
			list = append(list, d)
		}
	}
	return list
}

var made = regexp.MustCompile(`(?m)^COMMANDS := (.*)$`)

// The image has the commands that make build makes, and nothing that the build
// needs is left out of its context.
func TestDockerfile(t *testing.T) {
	text := strings.ReplaceAll(readPage(t, "Dockerfile"), "\\\n", " ")
	m := made.FindStringSubmatch(readPage(t, "Makefile"))
	if m == nil {
		t.Fatal("the Makefile has no COMMANDS")
	}
	want := strings.Fields(m[1])
	var got []string
	for _, f := range strings.Fields(text) {
		if command, ok := strings.CutPrefix(f, "./cmd/"); ok {
			got = append(got, command)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the Dockerfile builds %v, make build %v", got, want)
	}
	mod := readPage(t, "go.mod")
	_, version, _ := strings.Cut(mod, "\ngo ")
	version, _, _ = strings.Cut(version, "\n")
	major := strings.Join(strings.SplitN(version, ".", 3)[:2], ".")
	if !strings.Contains(text, "FROM golang:"+major+" ") {
		t.Errorf("the Dockerfile is not built with Go %s of go.mod", major)
	}
	ignored := strings.Fields(readPage(t, ".dockerignore"))
	for _, dir := range []string{"web", "pub", "cmd", "internal", "go.mod", "go.sum"} {
		if slices.Contains(ignored, dir) {
			t.Errorf(".dockerignore leaves out %s, which the build needs", dir)
		}
	}
}
