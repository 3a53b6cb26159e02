// Package devcert gives a TLS server its certificate: [Source] makes
// self-signed ones for development, in process and never older than a browser
// accepts by fingerprint; [FileSource] reads files and follows their changes.
package devcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// lifetime is below the 14 days that WebTransport allows a certificate
	// named in serverCertificateHashes.
	lifetime = 13 * 24 * time.Hour
	// backdated is for clients whose clock is behind.
	backdated = time.Hour
)

// Source makes self-signed ECDSA P-256 certificates for localhost, this
// machine's name and addresses and the hosts it was given. It changes to a new
// one at half of a lifetime of 13 days. The change happens in the call that
// finds it due, by the wall clock, so it also holds on a machine that slept; a
// Source has no goroutine and needs no Close. Its methods may be called at once.
type Source struct {
	hosts []string

	mu   sync.Mutex // guards all below
	cur  *tls.Certificate
	next *tls.Certificate // valid when cur has had half of its life
}

// New returns a Source whose certificates also name hosts, each a DNS name or
// an IP address.
func New(hosts ...string) (*Source, error) {
	s := &Source{hosts: slices.Clone(hosts)}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s, s.renewLocked(time.Now())
}

// GetCertificate returns the certificate of this moment. It is for the field of
// that name in [tls.Config].
func (s *Source) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.renewLocked(time.Now()); err != nil {
		return nil, err
	}
	return s.cur, nil
}

// Fingerprints returns the SHA-256 of the certificate of this moment in lower
// case hex, then that of the one that follows it. A client that accepts both
// can connect for at least six days without asking again.
func (s *Source) Fingerprints() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renewLocked(time.Now()) // on error those that are there remain the right ones
	return []string{Fingerprint(s.cur.Leaf.Raw), Fingerprint(s.next.Leaf.Raw)}
}

// Fingerprint returns the SHA-256 of a certificate's DER in lower case hex.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// renewLocked makes cur the certificate for now, and next the one after it.
func (s *Source) renewLocked(now time.Time) error {
	if s.next != nil && !now.Before(halfLife(s.cur)) {
		s.cur, s.next = s.next, nil
	}
	if s.cur == nil || now.Before(s.cur.Leaf.NotBefore) || !now.Before(halfLife(s.cur)) {
		cert, err := s.generate(now)
		if err != nil {
			return err
		}
		s.cur, s.next = cert, nil
	}
	if s.next == nil {
		cert, err := s.generate(halfLife(s.cur))
		if err != nil {
			return err
		}
		s.next = cert
	}
	return nil
}

func halfLife(c *tls.Certificate) time.Time { return c.Leaf.NotBefore.Add(lifetime / 2) }

func (s *Source) generate(from time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("devcert: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("devcert: %w", err)
	}
	notBefore := from.Add(-backdated).Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Tributary development"},
		NotBefore:             notBefore,
		NotAfter:              notBefore.Add(lifetime),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	template.DNSNames, template.IPAddresses = names(s.hosts)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("devcert: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("devcert: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// maxAddresses bounds the certificate on a machine with very many interfaces.
const maxAddresses = 64

func names(hosts []string) (dns []string, ips []net.IP) {
	all := append([]string{"localhost", "127.0.0.1", "::1"}, hosts...)
	notASCII := func(r rune) bool { return r >= 0x80 } // a certificate cannot hold it
	if name, err := os.Hostname(); err == nil && !strings.ContainsFunc(name, notASCII) {
		all = append(all, name)
	}
	addrs, _ := net.InterfaceAddrs() // a machine that hides them is served under the other names
	for _, a := range addrs[:min(len(addrs), maxAddresses)] {
		if n, ok := a.(*net.IPNet); ok {
			all = append(all, n.IP.String())
		}
	}
	for _, h := range all {
		if ip := net.ParseIP(h); ip != nil {
			if !slices.ContainsFunc(ips, ip.Equal) {
				ips = append(ips, ip)
			}
		} else if h != "" && !slices.Contains(dns, h) {
			dns = append(dns, h)
		}
	}
	return dns, ips
}
