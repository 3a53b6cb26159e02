package trust

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/quic-go/quic-go"
)

// Explain returns err, which came of dialling url, as a sentence that says what
// is wrong with the server's certificate, or with ours, and which flag would
// help. It wraps err. An err that is about no certificate is returned as it is.
func Explain(err error, url string) error {
	if text := explain(err); text != "" {
		return &explained{url + ": " + text, err}
	}
	return err
}

type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }

func explain(err error) string {
	var pin *PinError
	if errors.As(err, &pin) {
		if pin.Fingerprint == "" {
			return "the server sent no certificate"
		}
		return fmt.Sprintf("the server's certificate has another fingerprint than --tls-fingerprint says; if it is the right server, use --tls-fingerprint %s", pin.Fingerprint)
	}
	var host x509.HostnameError
	if errors.As(err, &host) {
		return fmt.Sprintf("the server's certificate is for %s, not for %s; use one of those names%s", names(host.Certificate), host.Host, orPin(err))
	}
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) {
		return explainInvalid(invalid) + orPin(err)
	}
	if errors.As(err, new(x509.UnknownAuthorityError)) {
		return "the server's certificate is signed by nobody this machine knows; name its root with --tls-root FILE" + orPin(err)
	}
	if errors.As(err, new(x509.SystemRootsError)) {
		return "this machine has no list of trusted roots; name one with --tls-root FILE"
	}
	var verify *tls.CertificateVerificationError
	if errors.As(err, &verify) {
		return fmt.Sprintf("the server's certificate is not trusted (%v)%s", verify.Err, orPin(err))
	}
	if errors.As(err, new(tls.RecordHeaderError)) {
		return "the server does not speak TLS on this port"
	}
	return explainAlert(err)
}

func explainInvalid(e x509.CertificateInvalidError) string {
	if e.Reason == x509.Expired {
		if now := time.Now(); now.Before(e.Cert.NotBefore) {
			return fmt.Sprintf("the server's certificate is not valid before %s; check the clocks", e.Cert.NotBefore.UTC().Format(time.DateTime))
		}
		return fmt.Sprintf("the server's certificate has expired on %s", e.Cert.NotAfter.UTC().Format(time.DateTime))
	}
	return fmt.Sprintf("the server's certificate is not valid (%s)", strings.TrimPrefix(e.Error(), "x509: "))
}

// explainAlert tells what a TLS alert, sent or received in QUIC's CRYPTO_ERROR
// or over TCP, says about certificates and the protocol.
func explainAlert(err error) string {
	var alert tls.AlertError
	var transport *quic.TransportError
	var remote *net.OpError
	switch {
	case errors.As(err, &transport) && transport.ErrorCode.IsCryptoError():
		alert = tls.AlertError(transport.ErrorCode - 0x100)
	case errors.As(err, &alert):
	case errors.As(err, &remote) && remote.Op == "remote error": // over TCP, where the alert's type is hidden
		return fmt.Sprintf("the server refused the TLS handshake (%v)", remote.Err)
	default:
		return ""
	}
	switch alert {
	case 42, 43, 44, 45, 46, 48, 49: // bad_certificate … certificate_unknown, unknown_ca, access_denied
		if transport != nil && !transport.Remote {
			return fmt.Sprintf("the server's certificate is not trusted (%v); name its root with --tls-root FILE", err)
		}
		return fmt.Sprintf("the server refuses our certificate (%v)", alert)
	case 116: // certificate_required
		return "the server asks for a certificate, and we have none"
	case 112: // unrecognized_name
		return "the server does not know itself by this name"
	case 120: // no_application_protocol
		return "the server speaks no draft of MOQT that was offered; offer others with --draft, or all by leaving it out, and see whether it is a relay at all"
	}
	return fmt.Sprintf("the TLS handshake failed (%v)", alert)
}

// orPin ends a sentence with the fingerprint that would make the server
// trusted, where the error brings its certificate along.
func orPin(err error) string {
	var verify *tls.CertificateVerificationError
	if !errors.As(err, &verify) || len(verify.UnverifiedCertificates) == 0 {
		return ""
	}
	sum := sha256.Sum256(verify.UnverifiedCertificates[0].Raw)
	return ", or trust this one certificate with --tls-fingerprint " + hex.EncodeToString(sum[:])
}

// names lists what a certificate is for. A peer chose them, so they are quoted
// and not without end.
func names(c *x509.Certificate) string {
	const most = 8
	var list []string
	for _, n := range c.DNSNames {
		list = append(list, fmt.Sprintf("%.64q", n))
	}
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	switch {
	case len(list) == 0:
		return "no host"
	case len(list) > most:
		return fmt.Sprintf("%s and %d others", strings.Join(list[:most], ", "), len(list)-most)
	}
	return strings.Join(list, ", ")
}
