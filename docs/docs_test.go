// Package docs tests what the pages of this directory, the README and the
// files for containers say: that links lead somewhere, that commands have the
// flags they are shown with, that code compiles, that tables are complete and
// that defaults are those of the code.
package docs

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated tables of operations.md anew")

const root = ".."

// bin is where TestMain has built the commands.
var bin string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "docs-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	build := exec.Command("go", "build", "-o", dir+"/", "./cmd/...", "./dev/mkcert")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %v\n%s", build.Args, err, out)
		return 1
	}
	return m.Run()
}

// page is a Markdown file. Its name is relative to the root.
type page struct{ name, text string }

func pages(t *testing.T) []page {
	t.Helper()
	var list []page
	for _, name := range []string{"README.md", "CHANGELOG.md"} {
		list = append(list, page{name, readPage(t, name)})
	}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(name) == ".md" {
			name = filepath.Join("docs", name)
			list = append(list, page{name, readPage(t, name)})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func readPage(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// block is a fenced block. mark is the HTML comment on the line before it.
type block struct {
	page, lang, mark, text string
	line                   int
}

func (b block) where() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

func blocks(p page) []block {
	var list []block
	var b *block
	before := ""
	for i, line := range strings.Split(p.text, "\n") {
		fence := strings.TrimSpace(line)
		switch {
		case b != nil && fence == "```":
			list = append(list, *b)
			b = nil
		case b != nil:
			b.text += line + "\n"
		case strings.HasPrefix(fence, "```"):
			b = &block{page: p.name, lang: strings.TrimPrefix(fence, "```"), line: i + 1}
			if mark, ok := strings.CutPrefix(before, "<!-- "); ok {
				b.mark = strings.TrimSuffix(mark, " -->")
			}
		case fence != "":
			before = fence
		}
	}
	return list
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	notSlug = regexp.MustCompile("[^a-z0-9 _-]")
	fenced  = regexp.MustCompile("(?s)```.*?```")
)

// anchors returns the names by which the headings of a page are linked to.
func anchors(text string) map[string]bool {
	found := make(map[string]bool)
	for _, h := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		slug := notSlug.ReplaceAllString(strings.ToLower(h[1]), "")
		found[strings.ReplaceAll(slug, " ", "-")] = true
	}
	return found
}

func TestLinks(t *testing.T) {
	count := 0
	for _, p := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(p.text, ""), -1) {
			target := m[1]
			if strings.Contains(target, "://") {
				continue
			}
			count++
			file, anchor, _ := strings.Cut(target, "#")
			text := p.text
			if file != "" {
				name := filepath.Join(filepath.Dir(p.name), file)
				info, err := os.Stat(filepath.Join(root, name))
				if err != nil {
					t.Errorf("%s: link to %s leads nowhere", p.name, target)
					continue
				}
				if info.IsDir() || filepath.Ext(name) != ".md" {
					continue
				}
				text = readPage(t, name)
			}
			if anchor != "" && !anchors(text)[anchor] {
				t.Errorf("%s: link to %s: no such heading", p.name, target)
			}
		}
	}
	if count < 20 {
		t.Errorf("found %d relative links, want at least 20: does the pattern still match?", count)
	}
}
