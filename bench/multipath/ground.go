package multipath

import (
	"context"
	"net"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
)

// ground is where a scenario takes place: a publisher's host, a relay on another,
// and links between them.
type ground interface {
	// plug puts a link in place.
	plug(ctx context.Context, name string, opts []netsim.Option) (link, error)
	// url is the relay's address for who comes over a link.
	url() string
	// near opens a session with the relay from its own host.
	near(ctx context.Context) (*transport.Session, error)
	// used tells what the relay has used.
	used(ctx context.Context) usage
	close()
}

// link is one of the publisher's interfaces, and the way from there to the relay.
type link interface {
	Set(...netsim.Option)
	Cut()
	Restore()
	// sent returns how many bytes have gone up, headers included.
	sent() int64
	// listen opens a socket that uses the link alone.
	listen(ctx context.Context) (net.PacketConn, error)
	// unplug takes the interface away.
	unplug()
}

// dialer returns what opens sessions with the relay over l.
func dialer(l link, c *transport.Config) *transport.Dialer {
	return &transport.Dialer{TLSConfig: trusting(), ListenPacket: l.listen, Config: c}
}
