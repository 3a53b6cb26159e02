package trust

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/internal/devcert"
)

const url = "moqt://relay.example:4443"

func certificate(t *testing.T) (tls.Certificate, string, string) {
	t.Helper()
	s, err := devcert.New("relay.example")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := s.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "root.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return *cert, file, s.Fingerprints()[0]
}

// overTCP and overQUIC return the error of a client's handshake.
func overTCP(t *testing.T, server, client *tls.Config) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // a net.Pipe has no buffer, and each end would wait in a write
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer ln.Close()
	wg.Go(func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		s := tls.Server(conn, server)
		if s.Handshake() == nil {
			s.Write([]byte("x")) // a client learns only now that its certificate was refused
		}
		s.CloseWrite()
		io.Copy(io.Discard, conn) // else the close resets what the client has not read yet
	})
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, err = tls.Client(conn, client).Read(make([]byte, 1))
	return err
}

func overQUIC(t *testing.T, server, client *tls.Config) error {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ln, err := quic.ListenAddr("127.0.0.1:0", server, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, done := context.WithCancel(ctx)
	defer done()
	wg.Go(func() {
		if conn, err := ln.Accept(ctx); err == nil {
			if s, err := conn.OpenUniStream(); err == nil {
				s.Write([]byte("x"))
			}
		}
	})
	conn, err := quic.DialAddr(ctx, ln.Addr().String(), client, nil)
	if err != nil {
		return err
	}
	defer conn.CloseWithError(0, "")
	s, err := conn.AcceptUniStream(ctx)
	if err != nil {
		return err
	}
	_, err = s.Read(make([]byte, 1))
	return err
}

func TestHandshakes(t *testing.T) {
	cert, rootFile, print := certificate(t)
	_, otherFile, otherPrint := certificate(t)
	var colons strings.Builder
	for i := 0; i < len(print); i += 2 {
		if i > 0 {
			colons.WriteByte(':')
		}
		colons.WriteString(strings.ToUpper(print[i : i+2]))
	}
	for _, tt := range []struct {
		name   string
		opts   Options
		host   string
		server func(*tls.Config)
		want   []string // parts of the sentence, over QUIC|over TCP; none: no error
	}{
		{"root", Options{Roots: []string{otherFile, rootFile}}, "localhost", nil, nil},
		{"fingerprint", Options{Fingerprints: []string{otherPrint, print}}, "any.example", nil, nil},
		{"fingerprint with colons", Options{Fingerprints: []string{" " + colons.String() + "\n"}}, "localhost", nil, nil},
		{"nothing verified", Options{DisableVerify: true}, "any.example", nil, nil},
		{"unknown root", Options{}, "localhost", nil, []string{"signed by nobody this machine knows", "--tls-root", "--tls-fingerprint " + print}},
		{"other root", Options{Roots: []string{otherFile}}, "localhost", nil, []string{"signed by nobody", "--tls-root"}},
		{"other fingerprint", Options{Fingerprints: []string{otherPrint}}, "localhost", nil, []string{"another fingerprint", "--tls-fingerprint " + print}},
		{"other name", Options{Roots: []string{rootFile}}, "other.example", nil, []string{`"relay.example"`, "not for other.example"}},
		{"certificate wanted", Options{DisableVerify: true}, "localhost",
			func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }, []string{"asks for a certificate|refused the TLS handshake (tls: certificate required)"}},
		{"no common protocol", Options{DisableVerify: true}, "localhost",
			func(c *tls.Config) { c.NextProtos = []string{"moqt-99"} }, []string{"no draft of MOQT that was offered|refused the TLS handshake (tls: no application protocol)"}},
	} {
		for transport, dial := range map[string]func(*testing.T, *tls.Config, *tls.Config) error{"TCP": overTCP, "QUIC": overQUIC} {
			t.Run(tt.name+"/"+transport, func(t *testing.T) {
				client, err := tt.opts.TLS()
				if err != nil {
					t.Fatal(err)
				}
				client.ServerName = tt.host
				client.NextProtos = []string{"moqt-18"}
				server := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"moqt-18"}}
				if tt.server != nil {
					tt.server(server)
				}
				err = dial(t, server, client)
				if len(tt.want) == 0 {
					if err != nil {
						t.Errorf("handshake = %v, want none", err)
					}
					return
				}
				got := Explain(err, url)
				for _, want := range append(tt.want, url) {
					if q, t, ok := strings.Cut(want, "|"); ok {
						want = map[string]string{"QUIC": q, "TCP": t}[transport]
					}
					if got == nil || !strings.Contains(got.Error(), want) {
						t.Errorf("Explain(%v) = %v, want %q in it", err, got, want)
					}
				}
				if !errors.Is(got, err) {
					t.Error("the explanation does not wrap the error")
				}
			})
		}
	}
}

func TestExplainByKind(t *testing.T) {
	now := time.Now()
	old := &x509.Certificate{NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)}
	young := &x509.Certificate{NotBefore: now.Add(time.Hour), NotAfter: now.Add(2 * time.Hour)}
	evil := &x509.Certificate{DNSNames: []string{"a\nb"}}
	for range 100 {
		evil.DNSNames = append(evil.DNSNames, strings.Repeat("x", 1000))
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{x509.CertificateInvalidError{Cert: old, Reason: x509.Expired}, "has expired on " + old.NotAfter.UTC().Format(time.DateTime)},
		{x509.CertificateInvalidError{Cert: young, Reason: x509.Expired}, "not valid before"},
		{x509.CertificateInvalidError{Cert: old, Reason: x509.IncompatibleUsage}, "not valid ("},
		{x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"}, "is for no host, not for h"},
		{x509.HostnameError{Certificate: evil, Host: "h"}, `"a\nb"`},
		{x509.HostnameError{Certificate: evil, Host: "h"}, "and 93 others"},
		{x509.SystemRootsError{}, "no list of trusted roots"},
		{&tls.CertificateVerificationError{Err: errors.New("odd")}, "not trusted (odd)"},
		{tls.RecordHeaderError{}, "does not speak TLS"},
		{&quic.TransportError{Remote: true, ErrorCode: 0x100 + 42}, "refuses our certificate"},
		{&quic.TransportError{ErrorCode: 0x100 + 48}, "not trusted"},
		{&quic.TransportError{Remote: true, ErrorCode: 0x100 + 112}, "does not know itself"},
		{&quic.TransportError{Remote: true, ErrorCode: 0x100 + 80}, "handshake failed"},
		{&PinError{}, "sent no certificate"},
		{(pins{}).verify(tls.ConnectionState{}), "sent no certificate"},
	} {
		got := Explain(fmt.Errorf("dial: %w", tt.err), url).Error()
		if !strings.Contains(got, tt.want) || !strings.HasPrefix(got, url+": ") || len(got) > 1000 || strings.Contains(got, "\n") {
			t.Errorf("Explain(%#v) = %q, want one short line with %q", tt.err, got, tt.want)
		}
	}
	for _, err := range []error{nil, errors.New("other"), &quic.TransportError{ErrorCode: quic.ProtocolViolation}, &quic.IdleTimeoutError{}} {
		if got := Explain(err, url); got != err {
			t.Errorf("Explain(%v) = %v, want it unchanged", err, got)
		}
	}
}

func TestBadOptions(t *testing.T) {
	_, root, print := certificate(t)
	junk := filepath.Join(t.TempDir(), "junk")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--tls-root", "/nonexistent"}, "--tls-root: open /nonexistent"},
		{[]string{"--tls-root", junk}, "no certificate in PEM form"},
		{[]string{"--tls-root", root, "--tls-root", junk}, "no certificate in PEM form"},
		{[]string{"--tls-fingerprint", "abcd"}, "64 hex digits"},
		{[]string{"--tls-fingerprint", print + "00"}, "64 hex digits"},
		{[]string{"--tls-fingerprint", "g" + print[1:]}, "64 hex digits"},
		{[]string{"--tls-fingerprint", ""}, "64 hex digits"},
		{[]string{"--tls-root", root, "--tls-fingerprint", print}, "drop one of them"},
		{[]string{"--tls-disable-verify", "--tls-fingerprint", print}, "drop one of them"},
	} {
		a := &cli.App{Name: "moq-x", Flags: Flags(), Action: func(c *cli.Context) error { _, err := Config(c); return err }}
		var stderr bytes.Buffer
		if code := app.Run(t.Context(), a, append([]string{"moq-x"}, tt.args...), &stderr); code != 2 || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%v: Run = %d %q, want 2 and %q", tt.args, code, stderr.String(), tt.want)
		}
	}
}
