package qlog_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/transport/qlog"
)

// record is an event as a reader of the file sees it.
type record struct {
	Time float64
	Name string
	Data map[string]any
}

// readTrace reads a file and fails the test if anything in it is not as qlog and
// JSON-SEQ want it.
func readTrace(t *testing.T, path string) (header map[string]any, events []record) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) == 0 || b[0] != 0x1e || b[len(b)-1] != '\n' {
		t.Fatalf("%s does not go from a record separator to a line feed", path)
	}
	for i, text := range bytes.Split(b[1:], []byte{0x1e}) {
		if bytes.Count(text, []byte{'\n'}) != 1 || text[len(text)-1] != '\n' {
			t.Fatalf("record %d of %s is not one line: %q", i, path, text)
		}
		if i == 0 {
			if err := json.Unmarshal(text, &header); err != nil {
				t.Fatalf("header of %s: %v", path, err)
			}
			continue
		}
		var r record
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatalf("record %d of %s: %v: %s", i, path, err, text)
		}
		if len(events) > 0 && r.Time < events[len(events)-1].Time {
			t.Errorf("record %d of %s is earlier than the one before", i, path)
		}
		if r.Name == "" || r.Data == nil {
			t.Errorf("record %d of %s has no name or no data: %s", i, path, text)
		}
		events = append(events, r)
	}
	if header["file_schema"] != "urn:ietf:params:qlog:file:sequential" || header["serialization_format"] != "application/qlog+json-seq" {
		t.Errorf("header of %s: %v", path, header)
	}
	return header, events
}

// traces returns the files in dir.
func traces(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f, ".sqlog") {
			t.Errorf("%s is no trace", f)
		}
	}
	return files
}

// open opens c.Dir, or a new directory if it is "".
func open(t *testing.T, c qlog.Config) (*qlog.Dir, string) {
	t.Helper()
	if c.Dir == "" {
		c.Dir = filepath.Join(t.TempDir(), "traces")
	}
	d, err := qlog.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, c.Dir
}
