package devcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestThirtyDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New("relay.example")
		if err != nil {
			t.Fatal(err)
		}
		var changes int
		last := s.Fingerprints()
		for range 30 * 24 {
			cert, err := s.GetCertificate(nil)
			if err != nil {
				t.Fatal(err)
			}
			now, leaf := time.Now(), cert.Leaf
			if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
				t.Fatalf("at %v the certificate is valid from %v to %v", now, leaf.NotBefore, leaf.NotAfter)
			}
			if left := leaf.NotAfter.Sub(now); left < 6*24*time.Hour {
				t.Fatalf("at %v the certificate ends in %v, want more than 6 days", now, left)
			}
			if valid := leaf.NotAfter.Sub(leaf.NotBefore); valid > 13*24*time.Hour {
				t.Fatalf("valid for %v, want at most 13 days", valid)
			}
			prints := s.Fingerprints()
			if len(prints) != 2 || prints[0] != Fingerprint(leaf.Raw) || prints[0] == prints[1] {
				t.Fatalf("Fingerprints() = %v, want that of the certificate, %s, and another", prints, Fingerprint(leaf.Raw))
			}
			if prints[0] != last[0] {
				changes++
				if prints[0] != last[1] {
					t.Fatalf("changed to %s, which was not announced: %v", prints[0], last)
				}
			}
			last = prints
			time.Sleep(time.Hour) // virtual
		}
		if changes != 4 {
			t.Errorf("%d changes in 30 days, want 4", changes)
		}
	})
}

// A machine that slept longer than a lifetime, and one whose clock was set back.
func TestLongSleepAndClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * 24 * time.Hour)
		now := time.Now()
		cert, err := s.GetCertificate(nil)
		if err != nil || now.Before(cert.Leaf.NotBefore) || now.After(cert.Leaf.NotAfter) {
			t.Fatalf("after 100 days: valid from %v to %v (%v)", cert.Leaf.NotBefore, cert.Leaf.NotAfter, err)
		}
		past := now.Add(-50 * 24 * time.Hour)
		s.mu.Lock()
		err = s.renewLocked(past)
		leaf := s.cur.Leaf
		s.mu.Unlock()
		if err != nil || past.Before(leaf.NotBefore) || past.After(leaf.NotAfter) {
			t.Errorf("clock set back: valid from %v to %v (%v)", leaf.NotBefore, leaf.NotAfter, err)
		}
	})
}

func TestNames(t *testing.T) {
	s, err := New("relay.example", "192.0.2.7", "relay.example", "2001:db8::7")
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := s.GetCertificate(nil)
	leaf := cert.Leaf
	if key, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("key is %T, want ECDSA P-256 as WebTransport asks", leaf.PublicKey)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1", "relay.example", "192.0.2.7", "2001:db8::7"} {
		if err := leaf.VerifyHostname(host); err != nil {
			t.Errorf("VerifyHostname(%q) = %v", host, err)
		}
	}
	if err := leaf.VerifyHostname("other.example"); err == nil {
		t.Error("VerifyHostname(other.example) = nil, want an error")
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(leaf.DNSNames)))); n != len(leaf.DNSNames) {
		t.Errorf("DNSNames = %v, want each once", leaf.DNSNames)
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if ip := a.(*net.IPNet).IP; leaf.VerifyHostname(ip.String()) != nil {
			t.Errorf("own address %v is not named", ip)
		}
	}
}

func TestBadHost(t *testing.T) {
	if _, err := New("bad\x80name"); err == nil {
		t.Error("New with a name that no certificate can hold = nil error")
	}
}

// A TLS client that has the certificate as its root accepts it.
func TestHandshake(t *testing.T) {
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := s.GetCertificate(nil)
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	cc, sc := net.Pipe()
	defer cc.Close()
	defer sc.Close()
	var wg sync.WaitGroup
	wg.Go(func() { tls.Server(sc, &tls.Config{GetCertificate: s.GetCertificate}).Handshake() })
	client := tls.Client(cc, &tls.Config{RootCAs: roots, ServerName: "localhost"})
	if err := client.Handshake(); err != nil {
		t.Errorf("Handshake = %v", err)
	}
	wg.Wait()
}
