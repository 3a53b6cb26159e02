package netsim

import (
	"crypto/tls"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/tributary-live/tributary/internal/devcert"
)

// transferTime has QUIC carry size bytes from a client behind a link to a server
// and returns how long that took, handshake not counted.
func transferTime(t *testing.T, seed uint64, size int, opts ...Option) (took time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		n := New(t, Seed(seed))
		link := n.Link(opts...)
		serverTLS, clientTLS := tlsConfigs(t)
		serverTr := &quic.Transport{Conn: n.Listen()}
		defer serverTr.Close()
		ln, err := serverTr.Listen(serverTLS, nil)
		if err != nil {
			t.Fatal(err)
		}
		clientTr := &quic.Transport{Conn: link.Listen()}
		defer clientTr.Close()
		ctx := t.Context()
		received := make(chan int64, 1)
		go func() {
			conn, err := ln.Accept(ctx)
			if err != nil {
				received <- 0
				return
			}
			s, err := conn.AcceptUniStream(ctx)
			if err != nil {
				received <- 0
				return
			}
			m, _ := io.Copy(io.Discard, s)
			received <- m
		}()
		conn, err := clientTr.Dial(ctx, serverTr.Conn.LocalAddr(), clientTLS, nil)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		s, err := conn.OpenUniStream()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		s.Close()
		if m := <-received; m != int64(size) {
			t.Fatalf("received %d bytes, want %d", m, size)
		}
		took = time.Since(start)
		conn.CloseWithError(0, "")
	})
	return took
}

func TestQUICTransferTakesItsTime(t *testing.T) {
	const size = 8e6
	link := []Option{Rate(10 * Mbit), Delay(20 * time.Millisecond)}
	expected := time.Duration(size * 8 / 10e6 * float64(time.Second))
	took := transferTime(t, 1, size, link...)
	if f := took.Seconds() / expected.Seconds(); f < 0.8 || f > 1.1 {
		t.Errorf("8 MB at 10 Mbit/s took %v, %.2f times the %v expected; want 0.8 to 1.1", took, f, expected)
	}
}

func TestQUICRunsOfOneSeedAreAlike(t *testing.T) {
	opts := []Option{Rate(10 * Mbit), Delay(20 * time.Millisecond), Jitter(2 * time.Millisecond), Loss(0.001)}
	a := transferTime(t, 4, 4e6, opts...)
	b := transferTime(t, 4, 4e6, opts...)
	if f := a.Seconds() / b.Seconds(); f < 0.85 || f > 1.18 {
		t.Errorf("one seed took %v, then %v; want about the same", a, b)
	}
}

// tlsConfigs returns the two ends of a TLS connection.
func tlsConfigs(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	cert, err := devcert.New()
	if err != nil {
		t.Fatal(err)
	}
	server = &tls.Config{GetCertificate: cert.GetCertificate, NextProtos: []string{"netsim"}}
	client = &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"netsim"}}
	return server, client
}
