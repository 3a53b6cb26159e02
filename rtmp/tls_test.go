package rtmp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/tributary-live/tributary/internal/devcert"
	"github.com/tributary-live/tributary/rtmp/rtmptest"
)

func TestPublishOverTLS(t *testing.T) {
	source, err := devcert.New()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := source.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*cert}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer ln.Close()
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if s, err := rtmptest.Accept(conn); err == nil {
				_, _ = s.Next()
			}
			conn.Close()
		}
	})
	video, audio := formats(t)
	u := parse(t, "rtmps://"+ln.Addr().String()+"/app/secretkey")
	_, err = Publish(t.Context(), u, nil, video, audio)
	if a := Advice(err); !strings.Contains(a, "certificate is not trusted") {
		t.Errorf("Publish() = %v, advice %q, want one about the certificate", err, a)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	p, err := Publish(t.Context(), u, &Config{TLS: &tls.Config{RootCAs: roots}}, video, audio)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	_, err = Publish(t.Context(), parse(t, "rtmp://"+ln.Addr().String()+"/app/secretkey"), nil, video, audio)
	if err == nil {
		t.Error("Publish() without TLS at a server that wants it succeeded")
	}
}

func TestAdvice(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	video, audio := formats(t)
	_, err = Publish(t.Context(), parse(t, "rtmp://"+addr+"/app/secretkey"), nil, video, audio)
	if a := Advice(err); !strings.Contains(a, "nothing listens there") {
		t.Errorf("Advice(%v) = %q", err, a)
	}
	for err, want := range map[error]string{
		nil:                          "",
		&net.DNSError{Name: "x"}:     "name of the host",
		tls.RecordHeaderError{}:      "speaks no TLS",
		errors.New("something else"): "check host, port and stream key",
	} {
		if got := Advice(err); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("Advice(%v) = %q, want %q in it", err, got, want)
		}
	}
}
