package interop

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bin is the directory of the commands under test.
var bin string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "moq-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	build := exec.Command("go", "build", "-o", dir+"/", "./cmd/moq-relay", "./cmd/moq-pub", "./cmd/moq-interop-client")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the commands: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// need skips the test, or fails it where nothing may be skipped, if a program is
// missing. It installs what the browser is to load.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if os.Getenv("TRIBUTARY_REQUIRE") == "1" {
			t.Fatalf("%s is missing and TRIBUTARY_REQUIRE=1", p)
		}
		t.Skipf("%s is missing", p)
	}
	for dir, module := range map[string]string{"../web": "playwright-core", ".": "shaka-player"} {
		if _, err := os.Stat(filepath.Join(dir, "node_modules", module)); err == nil {
			continue
		}
		install := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--silent")
		install.Dir = dir
		if out, err := install.CombinedOutput(); err != nil {
			t.Fatalf("install the browser's modules: %v\n%s", err, out)
		}
	}
}

// start runs a command until the test ends, and returns the first submatch of
// the first line of its log that matches.
func start(t *testing.T, ready string, cmd *exec.Cmd) string {
	t.Helper()
	name := filepath.Base(cmd.Path)
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found, over := make(chan string, 1), make(chan struct{})
	var log []string
	go func() {
		defer close(over)
		re := regexp.MustCompile(ready)
		for s := bufio.NewScanner(out); s.Scan(); {
			log = append(log, s.Text())
			if m := re.FindStringSubmatch(s.Text()); m != nil {
				select {
				case found <- m[len(m)-1]:
				default:
				}
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-over
		cmd.Wait()
		if t.Failed() {
			t.Logf("--- %s\n%s", name, strings.Join(log[max(0, len(log)-30):], "\n"))
		}
	})
	select {
	case s := <-found:
		return s
	case <-over:
		t.Fatalf("%s ended:\n%s", name, strings.Join(log, "\n"))
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not say %q", name, ready)
	}
	return ""
}
