package multipath

import (
	"context"
	"net"
	"time"

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
	// cpu is what the relay has used, 0 where nobody can tell.
	cpu() time.Duration
	// held tells how many bytes the relay holds of objects of bonds that are not
	// whole, and the most that it ever held.
	held(ctx context.Context) (now, most int64, err error)
	// count counts what lives where the relay runs, when the garbage is gone.
	count(ctx context.Context) (census, error)
	// rival puts a connection of somebody else on a link.
	rival(ctx context.Context, l link) (rival, error)
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
