package rtmp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// Advice says what a person can do about an error of [Publish] or a
// [Publication].
func Advice(err error) string {
	var (
		refused *RefusedError
		dns     *net.DNSError
		header  tls.RecordHeaderError
		cert    *tls.CertificateVerificationError
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
	)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refused):
		return "check the stream key, that the platform expects the stream now, and that no other encoder sends with the key"
	case errors.As(err, &dns):
		return "check the name of the host"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: check host and port"
	case errors.As(err, &header):
		return "the server speaks no TLS there: take rtmp://, or the port for rtmps"
	case errors.As(err, &cert), errors.As(err, &unknown), errors.As(err, &host):
		return "the server's certificate is not trusted here: check the name of the host"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "the server or the way to it is too slow: check that a firewall lets the port through, and that the bitrate fits the uplink"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the server has hung up: check the stream key, and that it takes this codec and bitrate"
	}
	return "check host, port and stream key"
}
