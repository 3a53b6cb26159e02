package devcert

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

type pair struct{ cert, key []byte }

func newPair(t *testing.T) (pair, string) {
	t.Helper()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(s.cur.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.cur.Certificate[0]}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	}, s.Fingerprints()[0]
}

func TestFileSourceFollowsFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
		// Files get the virtual time, so that every write is a change.
		write := func(name string, data []byte) {
			t.Helper()
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(name, time.Now(), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		one, onePrint := newPair(t)
		two, twoPrint := newPair(t)
		write(certFile, one.cert)
		write(keyFile, one.key)
		var log bytes.Buffer
		s, err := NewFileSource(certFile, keyFile, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		check := func(when, want string, broken bool) {
			t.Helper()
			cert, err := s.GetCertificate(nil)
			if err != nil || Fingerprint(cert.Certificate[0]) != want || s.Fingerprints()[0] != want {
				t.Errorf("%s: got %s (%v), want %s", when, s.Fingerprints(), err, want)
			}
			if (s.Err() != nil) != broken {
				t.Errorf("%s: Err() = %v, want one: %v", when, s.Err(), broken)
			}
		}
		check("at first", onePrint, false)

		time.Sleep(checkEvery)
		write(certFile, two.cert)
		check("certificate written, key not yet", onePrint, true)
		time.Sleep(checkEvery)
		check("still", onePrint, true)
		if n := strings.Count(log.String(), "certificate not reloaded"); n != 1 {
			t.Errorf("told %d times, want once:\n%s", n, log.String())
		}
		write(keyFile, two.key)
		check("not looked at again before its time", onePrint, true)
		time.Sleep(checkEvery)
		check("both written", twoPrint, false)

		write(certFile, []byte("garbage"))
		time.Sleep(checkEvery)
		check("garbage", twoPrint, true)
		os.Remove(certFile)
		time.Sleep(checkEvery)
		check("removed", twoPrint, true)
		write(certFile, one.cert)
		write(keyFile, one.key)
		time.Sleep(checkEvery)
		check("good again", onePrint, false)

		time.Sleep(lifetime)
		os.Chtimes(certFile, time.Now(), time.Now())
		check("touched, but expired", onePrint, true)
		if !strings.Contains(s.Err().Error(), "has expired") {
			t.Errorf("Err() = %v, want that it has expired", s.Err())
		}
	})
}

func TestFileSourceErrors(t *testing.T) {
	dir := t.TempDir()
	one, _ := newPair(t)
	two, _ := newPair(t)
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, key, other := write("cert", one.cert), write("key", one.key), write("other", two.key)
	for _, tt := range []struct{ name, cert, key, want string }{
		{"no certificate", filepath.Join(dir, "none"), key, "no such file"},
		{"no key", cert, filepath.Join(dir, "none"), "no such file"},
		{"key of another", cert, other, "does not match"},
		{"not PEM", write("junk", []byte("junk")), key, "failed to find any PEM data"},
		{"empty", write("empty", nil), key, "failed to find any PEM data"},
	} {
		if _, err := NewFileSource(tt.cert, tt.key, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: NewFileSource = %v, want %q", tt.name, err, tt.want)
		}
	}
}
