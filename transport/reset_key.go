package transport

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"

	"github.com/quic-go/quic-go"
)

// resetKey returns the key for the stateless resets of a server: the same after
// a restart with the same certificate, so that connections of before end at
// once. It is derived from the certificate's private key and tells nothing of
// that. It is nil if the private key cannot be read, as in hardware; peers of a
// server that was killed then wait for their idle timeout.
//
// Servers that share a certificate share the key. That is no harm as long as the
// packets of a connection do not go astray between them.
func resetKey(c *tls.Config) *quic.StatelessResetKey {
	var cert *tls.Certificate
	switch {
	case len(c.Certificates) > 0:
		cert = &c.Certificates[0]
	case c.GetCertificate != nil:
		got, err := c.GetCertificate(&tls.ClientHelloInfo{})
		if err != nil {
			return nil
		}
		cert = got
	}
	if cert == nil {
		return nil
	}
	private, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return nil
	}
	b, err := hkdf.Key(sha256.New, private, nil, "tributary stateless reset", len(quic.StatelessResetKey{}))
	if err != nil {
		return nil
	}
	key := quic.StatelessResetKey(b)
	return &key
}
