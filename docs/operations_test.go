package docs

import (
	"bufio"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const operationsPage = "docs/operations.md"

// The tables of flags between <!-- flags X --> and <!-- end --> are what X --help
// tells. With -update they are written anew.
func TestFlagTables(t *testing.T) {
	text := readPage(t, operationsPage)
	fresh := text
	for _, command := range commands {
		begin, end := "<!-- flags "+command+" -->\n", "<!-- end -->"
		before, rest, ok := strings.Cut(fresh, begin)
		_, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Errorf("%s has no table of flags of %s", operationsPage, command)
			continue
		}
		fresh = before + begin + flagTable(options(t, command)) + end + after
	}
	if fresh == text {
		return
	}
	if !*update {
		t.Fatalf("the tables of flags are not those of --help; run: go test ./docs -run TestFlagTables -update")
	}
	if err := os.WriteFile(filepath.Join(root, operationsPage), []byte(fresh), 0o644); err != nil {
		t.Fatal(err)
	}
}

func flagTable(list []option) string {
	var b strings.Builder
	b.WriteString("| flag | default | meaning |\n| --- | --- | --- |\n")
	for _, o := range list {
		if o.name == "config" || o.name == "log-level" {
			continue // the same everywhere
		}
		name, def := "--"+o.name, o.def
		if o.value != "" && o.value != "value" {
			name += " " + o.value
		}
		if def == "false" {
			def = ""
		}
		if def != "" {
			def = "`" + strings.Trim(def, `"`) + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, def, strings.ReplaceAll(o.usage, "|", "\\|"))
	}
	return b.String()
}

// server is a command that runs, and where its admin pages are.
type server struct{ admin, bind string }

// listenFlags returns the flags of a server on a free port of the loopback with
// a certificate of its own.
func listenFlags(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command(filepath.Join(bin, "mkcert"), "-dir", dir).CombinedOutput(); err != nil {
		t.Fatalf("mkcert: %v\n%s", err, out)
	}
	return []string{"--bind", "127.0.0.1:0", "--tls-cert", filepath.Join(dir, "cert.pem"), "--tls-key", filepath.Join(dir, "key.pem")}
}

var logged = regexp.MustCompile(`msg="?([^="]+)"? (?:.*)?addr=(\S+)`)

// start runs a command on free ports of the loopback until the test ends. ready is
// the line that tells where it listens; "" if it does not.
func start(t *testing.T, ready string, args ...string) server {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, args[0]), append([]string{"--admin", "127.0.0.1:0"}, args[1:]...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	lines := make(chan string, 100)
	go func() {
		defer close(ended)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			select {
			case lines <- s.Text():
			default:
			}
		}
		close(lines)
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", args[0], err)
		}
	})
	var s server
	var all []string
	late := time.After(20 * time.Second)
	for s.admin == "" || s.bind == "" && ready != "" {
		select {
		case line, ok := <-lines:
			if !ok {
				t.Fatalf("%v ended:\n%s", args, strings.Join(all, "\n"))
			}
			all = append(all, line)
			if m := logged.FindStringSubmatch(line); m != nil {
				switch strings.TrimSpace(m[1]) {
				case "admin listening":
					s.admin = m[2]
				case ready:
					s.bind = m[2]
				}
			}
		case <-late:
			t.Fatalf("%v is not ready:\n%s", args, strings.Join(all, "\n"))
		}
	}
	return s
}

func get(t *testing.T, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", url, res.Status, err)
	}
	return string(body)
}

var metric = regexp.MustCompile(`(?m)^# TYPE (moq_\w+) (\w+)`)

// metrics returns the names and types of what servers show, and asks for their other
// admin pages.
func metrics(t *testing.T, servers ...server) []string {
	t.Helper()
	found := make(map[string]int) // and how many servers have it
	for _, s := range servers {
		for _, path := range []string{"/livez", "/readyz", "/state", "/debug/pprof/cmdline"} {
			get(t, "http://"+s.admin+path)
		}
		for _, m := range metric.FindAllStringSubmatch(get(t, "http://"+s.admin+"/metrics"), -1) {
			found[m[1]+" | "+m[2]]++
		}
	}
	if n := found[buildInfo]; n != len(servers) {
		t.Errorf("%d of %d programs tell what they are", n, len(servers))
	}
	return slices.Sorted(maps.Keys(found))
}

const buildInfo = "moq_build_info | gauge"

// The lists of metrics are those of the admin listeners.
func TestMetrics(t *testing.T) {
	servers, publisher, subscriber := programs(t)
	sameRows(t, "metrics", rows(t, readPage(t, operationsPage), "Metrics"), metrics(t, servers...))
	for _, p := range []struct {
		page, command string
		server        server
	}{{"docs/multipath.md", "moq-pub", publisher}, {"docs/guides/forward.md", "moq-sub", subscriber}} {
		begin := "\nMetrics of `" + p.command
		_, table, ok := strings.Cut(readPage(t, p.page), begin)
		if !ok {
			t.Fatalf("%s has no %q", p.page, begin)
		}
		of := slices.DeleteFunc(metrics(t, p.server), func(m string) bool { return m == buildInfo })
		sameRows(t, "metrics of "+p.command, rows(t, "\n## Metrics\n"+table, "Metrics"), of)
	}
}

// logKeys returns the keys of all log lines of the module's code.
func logKeys(t *testing.T) map[string]string {
	t.Helper()
	keys := make(map[string]string) // key → where
	methods := map[string]int{"Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "With": 0}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "docs" || d.Name() == "dev"):
			return fs.SkipDir
		case filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			first, ok := methods[sel.Sel.Name]
			if !ok || !isLog(sel.X) || call.Ellipsis.IsValid() {
				return true
			}
			for i := first; i < len(call.Args); i += 2 {
				if lit, ok := call.Args[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if key, err := strconv.Unquote(lit.Value); err == nil {
						keys[key] = name
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// isLog reports whether x is called like a logger: log, s.log, cfg.Logger.
func isLog(x ast.Expr) bool {
	name := ""
	switch x := x.(type) {
	case *ast.Ident:
		name = x.Name
	case *ast.SelectorExpr:
		name = x.Sel.Name
	}
	return strings.EqualFold(name, "log") || name == "Logger"
}

func TestLogKeys(t *testing.T) {
	keys := logKeys(t)
	listed := make(map[string]bool)
	for _, r := range rows(t, readPage(t, operationsPage), "Logs") {
		for _, k := range strings.Split(r[0], ", ") {
			listed[k] = true
		}
	}
	for k, where := range keys {
		if !listed[k] {
			t.Errorf("log key %q of %s is not listed", k, where)
		}
	}
	for k := range listed {
		if _, ok := keys[k]; !ok {
			t.Errorf("log key %q is not used", k)
		}
	}
}
