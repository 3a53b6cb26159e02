package transporttest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// QUICPair returns the two ends of a raw QUIC connection whose client is behind
// link and whose server is on the backbone of link's network. If link is nil, it
// is one with a delay of 1 ms in a network of its own. Both ends list the
// versions named; if there are none, those of a nil [transport.Config].
func QUICPair(t testing.TB, link *netsim.Link, versions ...moqt.Version) (client, server transport.Conn) {
	t.Helper()
	return pair(t, link, "moqt", "/pair?over=quic", versions)
}

// WebTransportPair is [QUICPair] with WebTransport.
func WebTransportPair(t testing.TB, link *netsim.Link, versions ...moqt.Version) (client, server transport.Conn) {
	t.Helper()
	return pair(t, link, "https", "/pair?over=webtransport", versions)
}

func pair(t testing.TB, link *netsim.Link, scheme, path string, versions []moqt.Version) (client, server transport.Conn) {
	t.Helper()
	config := transport.Config{Versions: versions}
	if link == nil {
		link = netsim.New(t).Link(netsim.Delay(time.Millisecond))
	}
	serverTLS, clientTLS := TLS(t)
	l, err := transport.Listen(link.Network().Listen(), serverTLS, &transport.ListenConfig{Config: &config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	d := &transport.Dialer{TLSConfig: clientTLS, ListenPacket: ListenPacket(link), Config: &config}
	client, err = d.DialConn(t.Context(), scheme+"://"+l.Addr().String()+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.CloseWithError(moqt.SessionNoError, "end of the test") })
	server, err = l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

// ListenPacket returns a function for [transport.Dialer] that opens sockets
// behind link.
func ListenPacket(link *netsim.Link) func(context.Context) (net.PacketConn, error) {
	return func(context.Context) (net.PacketConn, error) { return link.Listen(), nil }
}

// TLS returns configurations for a server and for clients that trust it, by
// whatever name they call it. The certificate is made anew, and is valid for a
// day from the time at which it is made, in a bubble that of the bubble.
func TLS(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		DNSNames:     []string{"transporttest"},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}}}
	client = &tls.Config{RootCAs: roots, ServerName: "transporttest"}
	return server, client
}
