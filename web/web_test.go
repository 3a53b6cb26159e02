package web

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

var (
	reference = regexp.MustCompile(`(?:src|href)="([^"#]+)"`)
	imported  = regexp.MustCompile(`(?m)^(?:import|\} from|import \S.* from) ?.*?'(\.[^']+)';`)
	external  = regexp.MustCompile(`(?i)(?:src|href|url\(|from|import)\s*=?\(?\s*["']?https?://`)
	comment   = regexp.MustCompile(`(?m)^\s*(?://|\*|/\*).*$`)
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := fs.ReadFile(Files, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestComplete follows the page to every module it loads: all are embedded,
// all are preloaded, none comes from elsewhere.
func TestComplete(t *testing.T) {
	page := read(t, "index.html")
	preloaded := map[string]bool{}
	for _, m := range reference.FindAllStringSubmatch(page, -1) {
		read(t, m[1])
		preloaded[m[1]] = true
	}
	seen := map[string]bool{}
	queue := []string{"app.js"}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		if !preloaded[name] {
			t.Errorf("%s is not preloaded by index.html: it costs the viewer a round trip", name)
		}
		for _, m := range imported.FindAllStringSubmatch(read(t, name), -1) {
			queue = append(queue, path.Join(path.Dir(name), m[1]))
		}
	}
	if len(seen) < 20 {
		t.Errorf("%d modules found from app.js, want all of them", len(seen))
	}
	err := fs.WalkDir(Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if strings.HasSuffix(name, ".js") && !seen[name] {
			t.Errorf("%s is embedded, but nothing loads it", name)
		}
		if m := external.FindString(comment.ReplaceAllString(read(t, name), "")); m != "" {
			t.Errorf("%s loads something from elsewhere: %s", name, m)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
