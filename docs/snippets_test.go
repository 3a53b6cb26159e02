package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSnippets compares each Go block that is marked "from FILE FUNC" with the
// body of that function, which is compiled with its package.
func TestSnippets(t *testing.T) {
	count := 0
	for _, p := range pages(t) {
		for _, b := range blocks(p) {
			if b.lang != "go" {
				continue
			}
			from, ok := strings.CutPrefix(b.mark, "from ")
			if !ok {
				t.Errorf("%s: a Go block without <!-- from FILE FUNC --> before it", b.where())
				continue
			}
			count++
			file, name, _ := strings.Cut(from, " ")
			body, err := body(filepath.Join(root, file), name)
			if err != nil {
				t.Errorf("%s: %v", b.where(), err)
			} else if b.text != body {
				t.Errorf("%s: differs from %s; it should be\n%s", b.where(), from, body)
			}
		}
	}
	if count < 5 {
		t.Errorf("found %d Go blocks, want at least 5", count)
	}
}

// body returns the source of a function's body, one tab less indented.
func body(file, name string) (string, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, src, 0)
	if err != nil {
		return "", err
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Name.Name != name {
			continue
		}
		text := string(src[fset.Position(fn.Body.Lbrace).Offset+2 : fset.Position(fn.Body.Rbrace).Offset])
		var out strings.Builder
		for line := range strings.Lines(text) {
			out.WriteString(strings.TrimPrefix(line, "\t"))
		}
		return out.String(), nil
	}
	return "", &os.PathError{Op: "find func " + name, Path: file, Err: os.ErrNotExist}
}
