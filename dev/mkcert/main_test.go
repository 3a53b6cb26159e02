package main

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/internal/devcert"
)

func TestRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	var last string
	for range 2 { // the second replaces the first
		var out strings.Builder
		if err := run(dir, []string{"relay.example"}, &out); err != nil {
			t.Fatal(err)
		}
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		if err := pair.Leaf.VerifyHostname("relay.example"); err != nil {
			t.Error(err)
		}
		print := devcert.Fingerprint(pair.Certificate[0])
		if !strings.Contains(out.String(), print) || print == last {
			t.Errorf("printed %q, want the fingerprint %s, another than %s", out.String(), print, last)
		}
		last = print
	}
	for name, want := range map[string]os.FileMode{"cert.pem": 0o644, "key.pem": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want mode %v", name, info.Mode(), err, want)
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 2 {
		t.Errorf("%d files are left, want 2", len(files))
	}
}
