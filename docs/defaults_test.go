package docs

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The table of what is bounded names fields as package.Type.Field. Their
// defaults are read from the functions that fill them in.
var defaultsOf = []struct {
	typ, file, fn string
}{
	{typ: "transport.Limits", file: "transport/config.go", fn: "withDefaults"},
	{typ: "transport.Admission", file: "transport/admission.go", fn: "newDoor"},
	{typ: "relay.Config", file: "relay/relay.go", fn: "withDefaults"},
	{typ: "bonds.Config", file: "relay/bonds/registry.go", fn: "withDefaults"},
	{typ: "bond.Limits", file: "transport/bond/assembler.go", fn: "withDefaults"},
	{typ: "cache.Options", file: "relay/cache/options.go", fn: "withDefaults"},
	{typ: "api.ServerConfig", file: "api/server.go", fn: "NewServer"},
	{typ: "api.CacheConfig", file: "api/cache.go", fn: "NewCache"},
	{typ: "dir.Config", file: "dir/directory.go", fn: "withDefaults"},
	{typ: "forward.Config", file: "forward/forward.go", fn: "New"},
	{typ: "rtmp.Config", file: "rtmp/conn.go", fn: "withDefaults"},
	{typ: "qlog.Config", file: "transport/qlog/dir.go", fn: "Open"},
	{typ: "quic.Config", file: "transport/conn_quic.go", fn: "quicConfig"},
}

// constantsOf are packages whose constants the table may name, as "package
// constant".
var constantsOf = []string{"api", "transport", "transport/bond", "relay", "relay/bonds", "forward", "rtmp", "cmd/moq-sub", "internal/app", "internal/site"}

func TestDefaults(t *testing.T) {
	known := make(map[string]constant.Value)
	for _, d := range defaultsOf {
		for field, v := range readDefaults(t, d.file, d.fn) {
			known[d.typ+"."+field] = v
		}
	}
	for _, pkg := range constantsOf {
		for name, v := range readConstants(t, pkg) {
			known[pkg+" "+name] = v
		}
	}
	seen := make(map[string]bool)
	for _, r := range rows(t, readPage(t, "docs/security.md"), "What is bounded") {
		name := r[2]
		seen[name] = true
		v, ok := known[name]
		if !ok {
			t.Errorf("row %q: the code has no default of %s", r[0], name)
			continue
		}
		if want, err := amount(r[1]); err != nil {
			t.Errorf("row %q: %v", r[0], err)
		} else if got, _ := constant.Int64Val(v); got != want {
			t.Errorf("row %q says %s = %s, the code has %d", r[0], name, r[1], got)
		}
	}
	// All that bounds a peer is in the table.
	for name := range known {
		typ, _, _ := strings.Cut(name, " ")
		if typ == name && !seen[name] && !strings.HasPrefix(name, "quic.") {
			t.Errorf("%s is not in the table", name)
		}
	}
}

// The list of limits in the documentation of package transport is that of its
// code.
func TestPackageLimits(t *testing.T) {
	known := readDefaults(t, "transport/config.go", "withDefaults")
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "transport/doc.go"), nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	listed := 0
	for line := range strings.Lines(f.Doc.Text()) {
		row, ok := strings.CutPrefix(line, "\t")
		if !ok {
			continue
		}
		words := strings.Fields(row)
		v, ok := known[words[0]]
		if !ok {
			t.Errorf("row %q: there is no such limit", row)
			continue
		}
		listed++
		value := words[1]
		if strings.Contains(" s ms min KiB MiB GiB ", " "+words[2]+" ") {
			value += " " + words[2]
		}
		want, err := amount(value)
		if got, _ := constant.Int64Val(v); err != nil || got != want {
			t.Errorf("row %q: the code has %d, %v", row, got, err)
		}
	}
	if listed != len(known) {
		t.Errorf("%d limits are listed, the code has %d", listed, len(known))
	}
}

// amount reads "10 s", "32 MiB" or "1024", in nanoseconds and bytes.
func amount(s string) (int64, error) {
	number, unit, _ := strings.Cut(s, " ")
	n, err := strconv.ParseInt(strings.ReplaceAll(number, ",", ""), 10, 64)
	if err != nil {
		return 0, err
	}
	units := map[string]int64{"": 1, "ms": int64(time.Millisecond), "s": int64(time.Second), "min": int64(time.Minute),
		"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
	u, ok := units[unit]
	if !ok {
		return 0, fmt.Errorf("unknown unit %q", unit)
	}
	return n * u, nil
}

// readDefaults finds in a function what is put where there was zero: by
// or(x.F, v), by def(&x.F, v), and by "if x.F == 0 { x.F = v }".
func readDefaults(t *testing.T, file, fn string) map[string]constant.Value {
	t.Helper()
	found := make(map[string]constant.Value)
	put := func(field, value ast.Expr) {
		if u, ok := field.(*ast.UnaryExpr); ok {
			field = u.X
		}
		if s, ok := field.(*ast.SelectorExpr); ok {
			if v, ok := eval(value); ok {
				found[s.Sel.Name] = v
			}
		}
	}
	for _, d := range parseGo(t, file).Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != fn {
			continue
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "or" || id.Name == "def") && len(n.Args) == 2 {
					put(n.Args[0], n.Args[1])
				}
			case *ast.IfStmt:
				cond, ok := n.Cond.(*ast.BinaryExpr)
				if !ok || len(n.Body.List) != 1 {
					return true
				}
				set, ok := n.Body.List[0].(*ast.AssignStmt)
				if lit, zero := cond.Y.(*ast.BasicLit); ok && zero && lit.Value == "0" {
					put(set.Lhs[0], set.Rhs[0])
				}
			}
			return true
		})
	}
	if len(found) == 0 {
		t.Fatalf("%s: no defaults in %s", file, fn)
	}
	return found
}

// readConstants returns the constants of a package that eval can read.
func readConstants(t *testing.T, dir string) map[string]constant.Value {
	t.Helper()
	found := make(map[string]constant.Value)
	entries, err := os.ReadDir(filepath.Join(root, dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".go" || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, dir, e.Name()), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				for i, name := range v.Names {
					if i < len(v.Values) {
						if val, ok := eval(v.Values[i]); ok {
							found[name.Name] = val
						}
					}
				}
			}
		}
	}
	return found
}

var durations = map[string]time.Duration{"Millisecond": time.Millisecond, "Second": time.Second, "Minute": time.Minute, "Hour": time.Hour}

// eval computes an expression of integers and units of time.
func eval(e ast.Expr) (constant.Value, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.INT {
			return constant.MakeFromLiteral(e.Value, e.Kind, 0), true
		}
	case *ast.SelectorExpr:
		if d, ok := durations[e.Sel.Name]; ok {
			return constant.MakeInt64(int64(d)), true
		}
	case *ast.BinaryExpr:
		x, ok := eval(e.X)
		y, ok2 := eval(e.Y)
		if !ok || !ok2 {
			return nil, false
		}
		if e.Op == token.SHL {
			n, _ := constant.Uint64Val(y)
			return constant.Shift(x, token.SHL, uint(n)), true
		}
		return constant.BinaryOp(x, e.Op, y), true
	}
	return nil, false
}
