// Package trust decides which servers a program that dials believes: the flags
// --tls-root, --tls-fingerprint and --tls-disable-verify, the TLS configuration
// they ask for, and words for the errors that come of it.
package trust

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/internal/app"
)

// Options says whom to trust. The zero value trusts the system's roots.
type Options struct {
	// Roots are PEM files. Their certificates take the place of the system's
	// roots.
	Roots []string
	// Fingerprints are SHA-256 sums of server certificates (of the leaf's DER)
	// in hex, in either case, with or without colons. A certificate that has
	// one of them is trusted whatever its names, issuer and dates, and no other
	// is. They exclude Roots.
	Fingerprints []string
	// DisableVerify trusts everybody. It excludes the two others.
	DisableVerify bool
}

// TLS returns a client configuration for o. It names no server and no ALPN;
// those are the dialer's to add.
func (o Options) TLS() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	switch {
	case o.DisableVerify && len(o.Roots)+len(o.Fingerprints) > 0:
		return nil, app.Usagef("--tls-disable-verify leaves nothing for --tls-root and --tls-fingerprint to do: drop one of them")
	case len(o.Roots) > 0 && len(o.Fingerprints) > 0:
		return nil, app.Usagef("--tls-fingerprint takes the place of --tls-root: drop one of them")
	case o.DisableVerify:
		config.InsecureSkipVerify = true
	case len(o.Fingerprints) > 0:
		pins, err := parsePins(o.Fingerprints)
		if err != nil {
			return nil, err
		}
		config.InsecureSkipVerify = true // for the check below, which resumed sessions pass too
		config.VerifyConnection = pins.verify
	case len(o.Roots) > 0:
		pool, err := readRoots(o.Roots)
		if err != nil {
			return nil, err
		}
		config.RootCAs = pool
	}
	return config, nil
}

// Flags returns the three flags. They may be given to several commands: each
// call makes new ones.
func Flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "tls-root", Usage: "trust servers whose certificate leads to one in this PEM `FILE`, in place of the system's roots; repeatable"},
		&cli.StringSliceFlag{Name: "tls-fingerprint", Usage: "trust only servers whose certificate has this SHA-256 `HEX`; repeatable"},
		&cli.BoolFlag{Name: "tls-disable-verify", Usage: "trust every server, an attacker's too: for tests"},
	}
}

// Config returns the client configuration that the flags ask for.
func Config(c *cli.Context) (*tls.Config, error) {
	return Options{
		Roots:         c.StringSlice("tls-root"),
		Fingerprints:  c.StringSlice("tls-fingerprint"),
		DisableVerify: c.Bool("tls-disable-verify"),
	}.TLS()
}

func readRoots(files []string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	for _, name := range files {
		pem, err := os.ReadFile(name)
		if err != nil {
			return nil, app.Usagef("--tls-root: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, app.Usagef("--tls-root %s: no certificate in PEM form in it", name)
		}
	}
	return pool, nil
}

type pins [][sha256.Size]byte

func parsePins(list []string) (pins, error) {
	var p pins
	for _, s := range list {
		raw, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(s), ":", ""))
		if err != nil || len(raw) != sha256.Size {
			return nil, app.Usagef("--tls-fingerprint %q: want the %d hex digits of a SHA-256", s, 2*sha256.Size)
		}
		p = append(p, [sha256.Size]byte(raw))
	}
	return p, nil
}

func (p pins) verify(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return &PinError{}
	}
	sum := sha256.Sum256(state.PeerCertificates[0].Raw)
	if !slices.Contains(p, sum) {
		return &PinError{Fingerprint: hex.EncodeToString(sum[:])}
	}
	return nil
}

// PinError is the failure of a handshake with a server whose certificate has
// none of the fingerprints in [Options].
type PinError struct {
	Fingerprint string // that the server has, in lower case hex; "" if it sent no certificate
}

func (e *PinError) Error() string {
	if e.Fingerprint == "" {
		return "trust: the server sent no certificate"
	}
	return fmt.Sprintf("trust: fingerprint %s is not a trusted one", e.Fingerprint)
}
