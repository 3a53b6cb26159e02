package transport_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
)

// lateUni holds the peer's unidirectional streams back, once from is set: one
// passes for each token in hold.
type lateUni struct {
	transport.Conn
	from atomic.Bool
	hold chan struct{}
}

func (c *lateUni) AcceptUniStream(ctx context.Context) (transport.ReceiveStream, error) {
	st, err := c.Conn.AcceptUniStream(ctx)
	if err == nil && c.from.Load() {
		select {
		case <-c.hold:
		case <-ctx.Done():
		}
	}
	return st, err
}

// contextAfter returns a context that ends after d.
func contextAfter(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// swapRequests gives the peer's first two request streams in reverse order.
type swapRequests struct {
	transport.Conn
	held    transport.Stream
	swapped bool
}

func (c *swapRequests) AcceptStream(ctx context.Context) (transport.Stream, error) {
	if c.swapped {
		if st := c.held; st != nil {
			c.held = nil
			return st, nil
		}
		return c.Conn.AcceptStream(ctx)
	}
	first, err := c.Conn.AcceptStream(ctx)
	if err != nil {
		return nil, err
	}
	second, err := c.Conn.AcceptStream(ctx)
	if err != nil {
		return nil, err
	}
	c.held, c.swapped = first, true
	return second, nil
}

func newLink(t *testing.T, opts ...netsim.Option) *netsim.Link {
	t.Helper()
	return netsim.New(t).Link(append([]netsim.Option{netsim.Delay(time.Millisecond)}, opts...)...)
}
