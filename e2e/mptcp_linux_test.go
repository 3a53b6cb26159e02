package e2e

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// needMPTCP skips the test, or fails it where nothing may be skipped, if the kernel
// has no Multipath TCP.
func needMPTCP(t *testing.T) {
	t.Helper()
	const setting = "/proc/sys/net/mptcp/enabled"
	on, err := os.ReadFile(setting)
	if err == nil && strings.TrimSpace(string(on)) == "1" {
		return
	}
	if os.Getenv("TRIBUTARY_REQUIRE") == "1" {
		t.Fatalf("%s is %q, %v, and TRIBUTARY_REQUIRE=1", setting, on, err)
	}
	t.Skipf("the kernel has no Multipath TCP: %s is %q, %v", setting, on, err)
}

// isMPTCP reports whether both ends of conn use Multipath TCP.
func isMPTCP(t *testing.T, conn net.Conn) bool {
	t.Helper()
	using, err := conn.(*net.TCPConn).MultipathTCP()
	if err != nil {
		t.Fatal(err)
	}
	return using
}

// Whoever connects to a TCP port of ours by Multipath TCP gets it.
func TestListenersTakeMPTCP(t *testing.T) {
	needMPTCP(t)
	cert := newTLS(t)
	relay := start(t, nil, nil, "moq-relay", "--dev", "--bind", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--tls-cert", cert.cert, "--tls-key", cert.key)
	table := start(t, nil, nil, "moq-api", "--bind", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	for name, addr := range map[string]string{
		"the relay's page":        relay.await(`msg="page ready" .*addr=(\S+)`)[1],
		"the relay's admin pages": relay.await(`msg="admin listening" .*addr=(\S+)`)[1],
		"the API":                 table.await(`msg="moq-api listening" .*addr=(\S+)`)[1],
	} {
		var d net.Dialer
		d.SetMultipathTCP(true)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		conn, err := d.DialContext(ctx, "tcp", addr)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if !isMPTCP(t, conn) {
			t.Errorf("%s at %s answers in plain TCP", name, addr)
		}
		conn.Close()
	}
}

// accepted starts connect with the address of a listener and returns whether the
// first connection uses Multipath TCP.
func accepted(t *testing.T, connect func(addr string)) bool {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	connect(ln.Addr().String())
	ln.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second))
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return isMPTCP(t, conn)
}

// What our commands connect to by TCP they connect to by Multipath TCP: the relay
// to the API, that to Redis.
func TestDialersOfferMPTCP(t *testing.T) {
	needMPTCP(t)
	cert := newTLS(t)
	if !accepted(t, func(addr string) {
		relay := start(t, nil, nil, "moq-relay", "--bind", "127.0.0.1:0", "--admin", "", "--tls-cert", cert.cert, "--tls-key", cert.key,
			"--node", "moqt://127.0.0.1:4443", "--api", "http://"+addr)
		at := relay.await(`msg="relay ready" .*addr=(\S+)`)[1]
		start(t, nil, nil, "moq-clock", "--publish", "--tls-fingerprint", cert.fingerprint, "moqt://"+at) // a namespace that the API is told
	}) {
		t.Error("the relay connects to the API by plain TCP")
	}
	if !accepted(t, func(addr string) {
		start(t, nil, nil, "moq-api", "--bind", "127.0.0.1:0", "--admin", "", "--redis", "redis://"+addr)
	}) {
		t.Error("the API connects to Redis by plain TCP")
	}
}
