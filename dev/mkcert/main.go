// Command mkcert writes a self-signed certificate for development, cert.pem and
// key.pem, into a directory and prints its SHA-256. It is valid for 13 days, so
// that browsers accept it by that.
package main

import (
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tributary-live/tributary/internal/devcert"
)

func main() {
	dir := flag.String("dir", "dev/tmp", "directory for the two files")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: mkcert [-dir DIR] [HOST...]\nHosts are named beside localhost and this machine's name and addresses.")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := run(*dir, flag.Args(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mkcert:", err)
		os.Exit(1)
	}
}

func run(dir string, hosts []string, out io.Writer) error {
	source, err := devcert.New(hosts...)
	if err != nil {
		return err
	}
	cert, err := source.GetCertificate(nil)
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	// The key goes first: a server that follows the files takes neither alone.
	if err := write(keyFile, "PRIVATE KEY", key, 0o600); err != nil {
		return err
	}
	if err := write(certFile, "CERTIFICATE", cert.Certificate[0], 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "--tls-cert %s --tls-key %s\nSHA-256 (--tls-fingerprint): %s\nvalid until %s\n",
		certFile, keyFile, devcert.Fingerprint(cert.Certificate[0]), cert.Leaf.NotAfter.Format("2006-01-02"))
	return err
}

// write replaces a file whole, with its mode from the start.
func write(name, typ string, der []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".mkcert-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = f.Chmod(mode)
	if err == nil {
		err = pem.Encode(f, &pem.Block{Type: typ, Bytes: der})
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
