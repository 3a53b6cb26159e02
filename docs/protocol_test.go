package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// The tables of protocol.md are compared with those of the code. What a peer
// does with a row, in its last columns, is prose and not tested here.

// rows returns the rows of the first table under a heading, cells trimmed and
// without backquotes.
func rows(t *testing.T, text, heading string) [][]string {
	t.Helper()
	_, section, ok := strings.Cut(text, "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("there is no heading %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var list [][]string
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "|"):
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.ReplaceAll(strings.TrimSpace(cells[i]), "`", "")
			}
			list = append(list, cells)
		case len(list) > 0:
			return list[2:] // the table is over; its head is two rows
		}
	}
	if len(list) < 3 {
		t.Fatalf("under %q is no table", heading)
	}
	return list[2:]
}

// sameRows compares the first columns of a table with what the code has.
func sameRows(t *testing.T, what string, table [][]string, want []string) {
	t.Helper()
	columns := strings.Count(want[0], " | ") + 1
	var got []string
	for _, r := range table {
		if len(r) < columns {
			t.Errorf("%s: row %q has too few cells", what, r)
			return
		}
		got = append(got, strings.Join(r[:columns], " | "))
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("%s: no row %q", what, w)
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) {
			t.Errorf("%s: row %q is not in the code", what, g)
		}
	}
}

func protocol(t *testing.T) string { return readPage(t, "docs/protocol.md") }

func parseGo(t *testing.T, name string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// profile returns the entries of a list of the draft-18 profile, each as its
// fields' expressions.
func profile(t *testing.T, list string) []map[string]ast.Expr {
	t.Helper()
	var entries []map[string]ast.Expr
	ast.Inspect(parseGo(t, "transport/wire/draft18.go"), func(n ast.Node) bool {
		kv, ok := n.(*ast.KeyValueExpr)
		if !ok || fmt.Sprint(kv.Key) != list {
			return true
		}
		for _, e := range kv.Value.(*ast.CompositeLit).Elts {
			fields := make(map[string]ast.Expr)
			for _, f := range e.(*ast.CompositeLit).Elts {
				fields[fmt.Sprint(f.(*ast.KeyValueExpr).Key)] = f.(*ast.KeyValueExpr).Value
			}
			entries = append(entries, fields)
		}
		return false
	})
	if len(entries) == 0 {
		t.Fatalf("the profile has no %s", list)
	}
	return entries
}

func number(t *testing.T, e ast.Expr) uint64 {
	t.Helper()
	switch e := e.(type) {
	case *ast.BasicLit:
		n, err := strconv.ParseUint(e.Value, 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	case *ast.Ident:
		if e.Name == "setupType" {
			return 0x2F00
		}
	}
	t.Fatalf("%v is no number", e)
	return 0
}

func TestMessages(t *testing.T) {
	names := make(map[string]string) // KindX → X_Y
	for k := wire.KindNone + 1; !strings.HasPrefix(k.String(), "message kind"); k++ {
		names["Kind"+camel(k.String())] = k.String()
	}
	var want []string
	seen := make(map[string]bool)
	for _, m := range profile(t, "messages") {
		kind := fmt.Sprint(m["kind"])
		name, ok := names[kind]
		if !ok {
			t.Fatalf("no name for %s", kind)
		}
		seen[kind] = true
		if m["answers"] != nil {
			name = "PUBLISH_OK"
		}
		if name == "PUBLISH_SKIPPED" {
			name = "PUBLISH_BLOCKED" // as draft-18 has it
		}
		want = append(want, fmt.Sprintf("0x%02X | %s", number(t, m["typ"]), name))
	}
	for kind := range names {
		if !seen[kind] {
			t.Errorf("the profile has no message of %s", kind)
		}
	}
	sameRows(t, "messages", rows(t, protocol(t), "Messages"), want)
}

// camel makes SubscribeOK of SUBSCRIBE_OK, as the constants are spelt.
func camel(name string) string {
	var out strings.Builder
	for _, w := range strings.Split(name, "_") {
		if w != "OK" {
			w = w[:1] + strings.ToLower(w[1:])
		}
		out.WriteString(w)
	}
	return out.String()
}

// paramNames are the names of the parameters by their fields in wire.Params.
var paramNames = map[string]string{
	"ObjectTimeout": "OBJECT_DELIVERY_TIMEOUT", "Tokens": "AUTHORIZATION_TOKEN", "RendezvousTimeout": "RENDEZVOUS_TIMEOUT",
	"SubgroupTimeout": "SUBGROUP_DELIVERY_TIMEOUT", "Expires": "EXPIRES", "Largest": "LARGEST_OBJECT", "FillTimeout": "FILL_TIMEOUT",
	"Forward": "FORWARD", "Priority": "SUBSCRIBER_PRIORITY", "Filter": "SUBSCRIPTION_FILTER", "Order": "GROUP_ORDER",
	"NewGroup": "NEW_GROUP_REQUEST", "Prefix": "TRACK_NAMESPACE_PREFIX",
}

func TestParameters(t *testing.T) {
	var want []string
	for _, p := range profile(t, "params") {
		field := ""
		ast.Inspect(p["field"], func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				field = s.Sel.Name
			}
			return true
		})
		name, ok := paramNames[field]
		if !ok {
			t.Fatalf("no name for parameter field %q", field)
		}
		want = append(want, fmt.Sprintf("0x%02X | %s", number(t, p["typ"]), name))
	}
	sameRows(t, "parameters", rows(t, protocol(t), "Message parameters"), want)
}

func TestCodes(t *testing.T) {
	for _, space := range []struct {
		heading string
		name    func(c uint64) string
	}{
		{"Session codes", func(c uint64) string { return moqt.SessionCode(c).String() }},
		{"Request codes", func(c uint64) string { return moqt.RequestCode(c).String() }},
		{"PUBLISH_DONE codes", func(c uint64) string { return moqt.DoneCode(c).String() }},
		{"Stream codes", func(c uint64) string { return moqt.StreamCode(c).String() }},
	} {
		var want []string
		for c := range uint64(0x100) {
			if name := space.name(c); !strings.HasPrefix(name, "0x") {
				want = append(want, fmt.Sprintf("0x%X | %s", c, name))
			}
		}
		sameRows(t, space.heading, rows(t, protocol(t), space.heading), want)
	}
}

// constants returns the constants of a file whose names begin with prefix.
func constants(t *testing.T, file, prefix string) map[string]*ast.ValueSpec {
	t.Helper()
	found := make(map[string]*ast.ValueSpec)
	ast.Inspect(parseGo(t, file), func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(v.Names[0].Name, prefix) && len(v.Values) == 1 {
			found[v.Names[0].Name] = v
		}
		return true
	})
	return found
}

func TestSetupOptions(t *testing.T) {
	names := map[string]string{"optionPath": "PATH", "optionToken": "AUTHORIZATION_TOKEN", "optionTokenCacheSize": "MAX_AUTH_TOKEN_CACHE_SIZE",
		"optionAuthority": "AUTHORITY", "optionImplementation": "MOQT_IMPLEMENTATION", "OptionNode": "relay's name"}
	var want []string
	found := constants(t, "transport/wire/setup.go", "option")
	maps.Copy(found, constants(t, "relay/relay.go", "OptionNode"))
	for name, v := range found {
		if names[name] == "" {
			t.Fatalf("no name for %s", name)
		}
		want = append(want, fmt.Sprintf("0x%02X | %s", number(t, v.Values[0]), names[name]))
	}
	sameRows(t, "setup options", rows(t, protocol(t), "Setup options"), want)
}

var upper = regexp.MustCompile(`[A-Z_]{4,}`)

func TestProperties(t *testing.T) {
	var want []string
	for name, v := range constants(t, "transport/moqt/object.go", "Prop") {
		if strings.HasPrefix(name, "PropMandatory") {
			continue
		}
		want = append(want, fmt.Sprintf("0x%02X | %s", number(t, v.Values[0]), upper.FindString(v.Comment.Text())))
	}
	first := constants(t, "transport/moqt/object.go", "PropMandatory")
	want = append(want, fmt.Sprintf("0x%X–0x%X | mandatory track properties",
		number(t, first["PropMandatoryFirst"].Values[0]), number(t, first["PropMandatoryLast"].Values[0])))
	sameRows(t, "properties", rows(t, protocol(t), "Properties"), want)
}

// The table of drafts tells exactly the drafts that a session speaks as such.
func TestDrafts(t *testing.T) {
	for _, name := range []string{"docs/protocol.md", "README.md"} {
		table := rows(t, readPage(t, name), "Drafts")
		if len(table) != 6 {
			t.Errorf("%s: %d drafts, want 6", name, len(table))
		}
		for _, r := range table {
			n, err := strconv.Atoi(r[0])
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			_, spoken := wire.ProfileFor(moqt.Version(n))
			if says := r[1] == "yes"; says != spoken {
				t.Errorf("%s: draft %d: %q, but spoken: %v", name, n, r[1], spoken)
			}
		}
	}
}
