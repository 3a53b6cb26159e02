package interop

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport"
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
// missing.
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
	if _, err := os.Stat("../web/node_modules/@moq/net"); err != nil {
		install := exec.Command("npm", "install", "--no-audit", "--no-fund", "--silent")
		install.Dir = "../web"
		if out, err := install.CombinedOutput(); err != nil {
			t.Fatalf("install the browser's modules: %v\n%s", err, out)
		}
	}
}

// start runs one of our commands until the test ends, and returns the first
// submatch of the first line of its log that matches.
func start(t *testing.T, ready string, name string, args ...string) string {
	t.Helper()
	return startCommand(t, ready, exec.Command(filepath.Join(bin, name), args...))
}

func startCommand(t *testing.T, ready string, cmd *exec.Cmd) string {
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

// newRelay starts a relay and returns where it is and its fingerprint.
func newRelay(t *testing.T) (addr, fingerprint string) {
	t.Helper()
	addr = start(t, `msg="relay ready" addr=(\S+)`, "moq-relay", "--dev", "--bind", "127.0.0.1:0", "--admin", "", "--log-level", "debug")
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return addr, sha256Hex(conn.ConnectionState().PeerCertificates[0].Raw)
}

// moqNet runs @moq/net in Chromium and returns what it printed.
func moqNet(t *testing.T, args ...string) (result struct {
	Protocol, Version string
	Groups            []struct {
		ID     uint64
		Frames []int
	}
}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", append([]string{"moqnet.mjs"}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &result)
	}
	if err != nil {
		t.Errorf("@moq/net: %v\n%s%s", err, out, stderr.String())
	}
	return result
}

// @moq/net drops every subgroup stream without FIRST_OBJECT, subgroups other
// than 0, and gaps in the object ids, so whole groups in sequence show that
// none of these happens.
func TestMoqNetSubscribes(t *testing.T) {
	need(t, "chromium", "node", "npm")
	addr, fingerprint := newRelay(t)
	start(t, `msg=publishing`, "moq-pub", "--test", "--name", "demo/x", "--tls-fingerprint", fingerprint, "moqt://"+addr)
	got := moqNet(t, "https://"+addr+"/", fingerprint, "moqt-18", "subscribe", "demo/x", "video", "3")
	if got.Protocol != "moqt-18" {
		t.Errorf("protocol = %q, want moqt-18", got.Protocol)
	}
	if len(got.Groups) != 3 {
		t.Fatalf("%d groups, want 3", len(got.Groups))
	}
	for i, g := range got.Groups {
		if g.ID != got.Groups[0].ID+uint64(i) {
			t.Errorf("group %d has id %d, want %d", i, g.ID, got.Groups[0].ID+uint64(i))
		}
		if len(g.Frames) != 30 { // a second of the test clip
			t.Errorf("group %d has %d frames, want 30", g.ID, len(g.Frames))
		}
	}
}

func TestMoqNetPublishes(t *testing.T) {
	need(t, "chromium", "node", "npm")
	addr, fingerprint := newRelay(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		moqNet(t, "https://"+addr+"/", fingerprint, "moqt-18", "publish", "web/cam", "data", "12")
	}()
	defer func() { <-done }()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	d := &transport.Dialer{TLSConfig: &tls.Config{InsecureSkipVerify: true}}
	sess, err := d.Dial(ctx, "moqt://"+addr)
	if err != nil {
		t.Fatal(err)
	}
	defer sess.Close()
	began := time.Now()
	tr, err := sess.Subscribe(ctx, transport.NS("web", "cam").Track("data"), &transport.SubscribeOptions{Rendezvous: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	t.Logf("subscribed after %v, the start of Chromium included", time.Since(began).Round(time.Millisecond))
	groups := make(map[uint64]int)
	whole := 0
	for o, err := range tr.Objects(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("frame %d of group ", o.Object); !strings.Contains(string(o.Payload), want) {
			t.Fatalf("object %v is %q, want it to contain %q", o.Location, o.Payload, want)
		}
		if groups[o.Group]++; groups[o.Group] == 3 {
			if whole++; whole == 5 {
				return
			}
		}
	}
	t.Errorf("the track ended after %d whole groups, want 5", whole)
}

func sha256Hex(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }
