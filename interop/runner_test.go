package interop

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/transport"
)

// TestRunner starts relay and client as the MoQT interop runner does: by
// variables, with the certificate of a directory.
func TestRunner(t *testing.T) {
	dir := t.TempDir()
	mkcert := exec.Command("go", "run", "./dev/mkcert", "-dir", dir)
	mkcert.Dir = ".."
	if out, err := mkcert.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", mkcert, err, out)
	}
	var told strings.Builder
	t.Run("all cases", func(t *testing.T) { // at whose end the relay does
		relay := exec.Command("sh", "runner/relay.sh")
		relay.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "MOQT_ROLE=relay", "MOQT_BIND=127.0.0.1", "MOQT_PORT=0",
			"MOQT_CERT="+filepath.Join(dir, "cert.pem"), "MOQT_KEY="+filepath.Join(dir, "key.pem"), "MOQT_MLOG_DIR="+filepath.Join(dir, "relay"))
		addr := start(t, `msg="relay ready" addr=(\S+)`, relay)
		for _, scheme := range schemes {
			client := exec.Command(filepath.Join(bin, "moq-interop-client"))
			client.Env = append(os.Environ(), "RELAY_URL="+scheme+"://"+addr+"/", "TLS_DISABLE_VERIFY=1", "MOQ_INTEROP_CLIENT_QLOG="+filepath.Join(dir, "client"))
			out, err := client.Output()
			points := regexp.MustCompile(`(?m)^(not )?ok `).FindAll(out, -1)
			if err != nil || len(points) != len(cases) {
				t.Errorf("%s: the client ended with %v after %d of %d points\n%s", scheme, err, len(points), len(cases), out)
			}
			told.Write(out)
		}
	})
	checkTraces(t, told.String(), filepath.Join(dir, "client"), filepath.Join(dir, "relay"))
	norole := exec.Command("sh", "runner/relay.sh")
	norole.Env = append(os.Environ(), "MOQT_ROLE=publisher")
	if err := norole.Run(); norole.ProcessState.ExitCode() != 127 {
		t.Errorf("relay.sh as publisher ended with %v, want 127", err)
	}
}

// checkTraces looks for a trace of each connection that is told, at both ends:
// the runner finds them by these ids.
func checkTraces(t *testing.T, out string, dirs ...string) {
	t.Helper()
	ids := regexp.MustCompile(`connection_id: "([0-9a-f]+)"`).FindAllStringSubmatch(out, -1)
	if len(ids) == 0 {
		t.Error("no connection id is told")
	}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if !slices.ContainsFunc(files, func(f string) bool { return strings.Contains(filepath.Base(f), id[1]) }) {
				t.Errorf("no trace of connection %s among the %d files in %s", id[1], len(files), dir)
			}
		}
	}
}

// TestRegistration holds what the runner is told of us against what there is:
// the drafts, and what its schema asks for.
func TestRegistration(t *testing.T) {
	text, err := os.ReadFile("runner/tributary.json")
	if err != nil {
		t.Fatal(err)
	}
	var entries map[string]struct {
		Name   string
		Drafts []string `json:"draft_versions"`
		Roles  map[string]struct{ Docker struct{ Image, URL string } }
	}
	if err := json.Unmarshal(text, &entries); err != nil {
		t.Fatal(err)
	}
	e := entries["tributary"]
	var want []string
	for _, v := range slices.Backward(slices.Sorted(slices.Values(transport.Versions()))) {
		want = append(want, v.String())
	}
	if !slices.Equal(e.Drafts, want) {
		t.Errorf("draft_versions = %q, want %q", e.Drafts, want)
	}
	docker, err := os.ReadFile("runner/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"relay", "client"} {
		if e.Roles[role].Docker.Image == "" || !strings.Contains(string(docker), " AS "+role+"\n") {
			t.Errorf("the role %s has no image", role)
		}
	}
	if url := e.Roles["relay"].Docker.URL; !regexp.MustCompile(`^(https://|moqt://)[a-zA-Z0-9][a-zA-Z0-9.-]*(:[0-9]+)?(/.*)?$`).MatchString(url) {
		t.Errorf("the relay's URL is %q", url)
	}
}
