package deps

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pkg is what go list says of a package.
type pkg struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Standard     bool
	Module       *struct {
		Path string
		Main bool
	}
}

// graph is this module and all that it is linked with.
type graph struct {
	root string // path of this module
	pkgs map[string]*pkg
}

func load(t *testing.T) graph {
	t.Helper()
	lookAtSources(t)
	g := graph{pkgs: make(map[string]*pkg)}
	// -test is not given, which would list a package once for each of its
	// tests; the imports of tests are listed once more by themselves below.
	out, err := goList("-deps", "./...")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.add(out); err != nil {
		t.Fatal(err)
	}
	var missing []string
	for _, p := range g.pkgs {
		if p.Module == nil || !p.Module.Main {
			continue
		}
		for _, i := range slices.Concat(p.TestImports, p.XTestImports) {
			if g.pkgs[i] == nil {
				missing = append(missing, i)
			}
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		if out, err = goList(slices.Compact(missing)...); err != nil {
			t.Fatal(err)
		}
		if err := g.add(out); err != nil {
			t.Fatal(err)
		}
	}
	if g.root == "" {
		t.Fatal("go list names no main module")
	}
	return g
}

// lookAtSources stats every source file. The go command caches a test's result
// and knows of the files that the test itself looked at, not of those that its
// go list reads.
func lookAtSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("../..", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // gone meanwhile
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git"):
			return fs.SkipDir
		case path.Ext(name) == ".go", d.Name() == "go.mod":
			os.Stat(name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func goList(args ...string) (string, error) {
	// -e lists what does not compile too: that is for the compiler to say.
	cmd := exec.Command("go", append([]string{"list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports,Standard,Module"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%v: %w\n%s", cmd.Args, err, stderr(err))
	}
	return string(out), nil
}

func stderr(err error) string {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(exit.Stderr)
	}
	return ""
}

func (g *graph) add(list string) error {
	for dec := json.NewDecoder(strings.NewReader(list)); ; {
		p := new(pkg)
		if err := dec.Decode(p); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		g.pkgs[p.ImportPath] = p
		if p.Module != nil && p.Module.Main {
			g.root = p.Module.Path
		}
	}
}

var version = regexp.MustCompile(`^v[0-9]+$`)

// word returns how the table calls the package at an import path: "" if it is
// of the standard library.
func (g graph) word(importPath string) string {
	p := g.pkgs[importPath]
	switch {
	case p == nil:
		return importPath // nothing go list knows; no rule allows it
	case p.Standard:
		return ""
	case p.Module == nil:
		return importPath
	case p.Module.Main:
		return strings.TrimPrefix(strings.TrimPrefix(importPath, g.root), "/")
	}
	name := path.Base(p.Module.Path)
	if version.MatchString(name) {
		name = path.Base(path.Dir(p.Module.Path))
	}
	return name
}

type rule struct{ imports, tests []string }

func parseRules(text string) (map[string]rule, error) {
	rules := make(map[string]rule)
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		room, rest, ok := strings.Cut(line, ":")
		imports, tests, ok2 := strings.Cut(rest, "|")
		room = strings.TrimSpace(room)
		if _, twice := rules[room]; twice || !ok || !ok2 {
			return nil, fmt.Errorf("line %q: want one line of `room : imports | imports of tests` for each room", line)
		}
		rules[room] = rule{strings.Fields(imports), strings.Fields(tests)}
	}
	return rules, nil
}

// check returns what is wrong with g by rules, a sentence each.
func check(g graph, rules map[string]rule) (wrong []string) {
	for _, p := range g.pkgs {
		if p.Module == nil || !p.Module.Main {
			continue
		}
		room := g.word(p.ImportPath)
		r, ok := rules[room]
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s is not in the table: add a line for it to internal/deps/rules_test.go", room))
			continue
		}
		for _, i := range p.Imports {
			if w := g.word(i); w != "" && !slices.Contains(r.imports, w) {
				wrong = append(wrong, fmt.Sprintf("%s imports %s, which the table does not allow", room, w))
			}
		}
		for _, i := range slices.Concat(p.TestImports, p.XTestImports) {
			if w := g.word(i); w != "" && w != room && !slices.Contains(r.imports, w) && !slices.Contains(r.tests, w) {
				wrong = append(wrong, fmt.Sprintf("a test of %s imports %s, which the table does not allow", room, w))
			}
		}
	}
	slices.Sort(wrong)
	return slices.Compact(wrong)
}

// linked returns the words of all that room is linked with, each with the way
// to it.
func (g graph) linked(room string) map[string][]string {
	ways := map[string][]string{}
	var walk func(importPath string, way []string)
	visited := make(map[string]bool)
	walk = func(importPath string, way []string) {
		if visited[importPath] || g.pkgs[importPath] == nil {
			return
		}
		visited[importPath] = true
		w := g.word(importPath)
		if w == "" {
			return
		}
		way = append(slices.Clone(way), w)
		if _, ok := ways[w]; !ok {
			ways[w] = way
		}
		for _, i := range g.pkgs[importPath].Imports {
			walk(i, way)
		}
	}
	walk(g.root+"/"+room, nil)
	return ways
}

func TestImports(t *testing.T) {
	table, err := parseRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range check(load(t), table) {
		t.Error(w)
	}
}

func TestNever(t *testing.T) {
	g := load(t)
	for _, n := range never {
		ways := g.linked(n.room)
		if len(ways) == 0 {
			t.Errorf("there is no %s: take it out of never", n.room)
		}
		for _, w := range slices.Sorted(maps.Keys(ways)) {
			if w == n.dep || strings.HasPrefix(w, n.dep+"/") {
				t.Errorf("%s is linked with %s, but %s: %s", n.room, w, n.why, strings.Join(ways[w], " → "))
			}
		}
	}
}

// The checks find what they are for.
func TestChecksFind(t *testing.T) {
	const root = "example.org/m"
	mod := func(path string, main bool) *struct {
		Path string
		Main bool
	} {
		return &struct {
			Path string
			Main bool
		}{path, main}
	}
	g := graph{root: root, pkgs: map[string]*pkg{
		"fmt":                {ImportPath: "fmt", Standard: true},
		root + "/a":          {ImportPath: root + "/a", Module: mod(root, true), Imports: []string{"fmt", root + "/b"}, TestImports: []string{"x.org/lib/v2/sub"}, XTestImports: []string{root + "/a"}},
		root + "/b":          {ImportPath: root + "/b", Module: mod(root, true), Imports: []string{"x.org/lib/v2/sub"}},
		root + "/new":        {ImportPath: root + "/new", Module: mod(root, true)},
		"x.org/lib/v2/sub":   {ImportPath: "x.org/lib/v2/sub", Module: mod("x.org/lib/v2", false), Imports: []string{"x.org/quic"}},
		"x.org/quic":         {ImportPath: "x.org/quic", Module: mod("x.org/quic", false)},
		root + "/unused/pkg": {ImportPath: root + "/unused/pkg", Module: mod(root, true), Imports: []string{"not.known/x"}},
	}}
	table, err := parseRules("a : | \n b : lib |\n planned : |\n unused/pkg : |")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"a imports b, which the table does not allow",
		"a test of a imports lib, which the table does not allow",
		"new is not in the table: add a line for it to internal/deps/rules_test.go",
		"unused/pkg imports not.known/x, which the table does not allow",
	}
	if got := check(g, table); !slices.Equal(got, want) {
		t.Errorf("check = %q, want %q", got, want)
	}
	if got := strings.Join(g.linked("a")["quic"], " "); got != "a b lib quic" {
		t.Errorf("way from a to quic = %q, want through b and lib", got)
	}
	for _, bad := range []string{"a", "a : b", "a : |\na : |"} {
		if _, err := parseRules(bad); err == nil {
			t.Errorf("parseRules(%q) = nil error", bad)
		}
	}
}
