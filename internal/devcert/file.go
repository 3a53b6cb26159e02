package devcert

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// checkEvery is how often the files may be looked at.
const checkEvery = 2 * time.Second

// FileSource serves the certificate chain and key of two PEM files and takes
// new ones when they change. Files that do not go together leave the old pair
// in use, are told once to the log, and are tried again: whoever renews a
// certificate writes two files, one after the other. It has no goroutine. Its
// methods may be called at once.
type FileSource struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex // guards all below
	cert    *tls.Certificate
	stamps  [2]stamp // of the files that cert came from
	checked time.Time
	err     error // of the last reload
}

type stamp struct {
	modified time.Time
	size     int64
}

// NewFileSource reads the files. A nil log discards.
func NewFileSource(certFile, keyFile string, log *slog.Logger) (*FileSource, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &FileSource{certFile: certFile, keyFile: keyFile, log: log}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reloadLocked()
	if s.err != nil {
		return nil, s.err
	}
	return s, nil
}

// GetCertificate returns the newest good certificate, after looking at the
// files if that was not done in the last two seconds. It is for the field of
// that name in [tls.Config].
func (s *FileSource) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reloadLocked()
	return s.cert, nil
}

// Fingerprints returns the SHA-256 of the certificate in use in lower case hex,
// as [Source.Fingerprints] does.
func (s *FileSource) Fingerprints() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reloadLocked()
	return []string{Fingerprint(s.cert.Certificate[0])}
}

// Err says why the files, as they are now, are not in use; nil if they are.
func (s *FileSource) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *FileSource) reloadLocked() {
	now := time.Now()
	if s.cert != nil && now.Sub(s.checked).Abs() < checkEvery {
		return
	}
	s.checked = now
	cert, stamps, err := s.load(now)
	if err != nil {
		if s.cert != nil && (s.err == nil || s.err.Error() != err.Error()) {
			s.log.Warn("certificate not reloaded", "err", err)
		}
		s.err = err
		return
	}
	s.err = nil
	if cert != nil {
		if s.cert != nil {
			s.log.Info("certificate reloaded", "file", s.certFile, "until", cert.Leaf.NotAfter)
		}
		s.cert, s.stamps = cert, stamps
	}
}

// load returns nil without an error where the files are those in use.
func (s *FileSource) load(now time.Time) (*tls.Certificate, [2]stamp, error) {
	var stamps [2]stamp
	for i, name := range []string{s.certFile, s.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return nil, stamps, fmt.Errorf("certificate: %w", err)
		}
		stamps[i] = stamp{info.ModTime(), info.Size()}
	}
	if s.cert != nil && stamps == s.stamps {
		return nil, stamps, nil
	}
	cert, err := tls.LoadX509KeyPair(s.certFile, s.keyFile)
	if err != nil {
		return nil, stamps, fmt.Errorf("certificate %s with key %s: %w", s.certFile, s.keyFile, err)
	}
	if cert.Leaf == nil {
		if cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return nil, stamps, fmt.Errorf("certificate %s: %w", s.certFile, err)
		}
	}
	if now.After(cert.Leaf.NotAfter) {
		return nil, stamps, fmt.Errorf("certificate %s has expired on %s", s.certFile, cert.Leaf.NotAfter.Format(time.DateTime))
	}
	return &cert, stamps, nil
}
