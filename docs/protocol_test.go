package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
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

func number(t *testing.T, e ast.Expr) uint64 {
	t.Helper()
	switch e := e.(type) {
	case *ast.BasicLit:
		n, err := strconv.ParseUint(e.Value, 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	t.Fatalf("%v is no number", e)
	return 0
}

// features returns the rows of what the codec has of a group: number, name and
// the drafts that have it. A number that is another in older drafts comes after
// the newest.
func features(group string) []string {
	drafts := []moqt.Version{moqt.Draft16, moqt.Draft18, moqt.Draft19, moqt.Draft20, moqt.Draft21, moqt.Draft22}
	var rows []string
	for _, f := range wire.Support() {
		if f.Group != group {
			continue
		}
		var numbers []string
		var first, last moqt.Version
		for _, v := range slices.Backward(drafts) {
			n, has := f.Numbers[v]
			if !has {
				continue
			}
			first, last = v, max(v, last)
			if s := fmt.Sprintf("0x%02X", n); !slices.Contains(numbers, s) {
				numbers = append(numbers, s)
			}
		}
		span := fmt.Sprintf("%d–%d", first, last)
		switch {
		case first == last:
			span = fmt.Sprint(int(first))
		case first == drafts[0] && last == drafts[len(drafts)-1]:
			span = "all"
		}
		rows = append(rows, strings.Join([]string{strings.Join(numbers, ", "), f.Name, span}, " | "))
	}
	return rows
}

func TestMessages(t *testing.T) {
	sameRows(t, "messages", rows(t, protocol(t), "Messages"), features("message"))
}

func TestParameters(t *testing.T) {
	sameRows(t, "parameters", rows(t, protocol(t), "Message parameters"), features("parameter"))
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
	want := features("setup option")
	for _, v := range constants(t, "relay/relay.go", "OptionNode") {
		want = append(want, fmt.Sprintf("0x%02X | relay's name | all", number(t, v.Values[0])))
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
