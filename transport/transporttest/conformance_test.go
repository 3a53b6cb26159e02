package transporttest

import (
	"testing"

	"github.com/tributary-live/tributary/transport"
)

func TestPipe(t *testing.T) {
	TestConn(t, func(t *testing.T) (client, server transport.Conn) { return Pipe(t, nil) })
}

func TestQUIC(t *testing.T) {
	TestConn(t, func(t *testing.T) (client, server transport.Conn) { return QUICPair(t, nil) })
}

func TestWebTransport(t *testing.T) {
	TestConn(t, func(t *testing.T) (client, server transport.Conn) { return WebTransportPair(t, nil) })
}
