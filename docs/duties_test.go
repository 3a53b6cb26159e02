package docs

import (
	"go/ast"
	"path/filepath"
	"strings"
	"testing"
)

// testsOf returns the names of the tests of a package.
func testsOf(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("tests of %s: %v, %v", pkg, files, err)
	}
	names := make(map[string]bool)
	for _, name := range files {
		rel, err := filepath.Rel(root, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parseGo(t, rel).Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}

// Each duty of a relay names tests that exist, and each test that is named after
// a duty is in the tables.
func TestRelayDuties(t *testing.T) {
	page := readPage(t, "docs/relay-duties.md")
	packages := make(map[string]map[string]bool)
	for _, pkg := range []string{"relay", "relay/cache", "transport"} {
		packages[pkg] = testsOf(t, pkg)
	}
	listed := make(map[string]bool)
	for _, heading := range []string{"Subscriptions", "Publishers and namespaces", "Objects", "Fetches", "Sessions"} {
		for _, r := range rows(t, page, heading) {
			for entry := range strings.SplitSeq(r[1], ", ") {
				pkg, test, ok := strings.Cut(entry, " ")
				if !ok || !packages[pkg][test] {
					t.Errorf("%s: %q: there is no test %q", heading, r[0], entry)
				}
				listed[entry] = true
			}
		}
	}
	for test := range packages["relay"] {
		if strings.HasPrefix(test, "TestMust") && !listed["relay "+test] {
			t.Errorf("%s is in no table", test)
		}
	}
}
