package transport_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/quic-go/quic-go"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// A server that wants to hold more requests of a peer than streams are allowed
// by default says so by Server.QUIC.
func TestServerQUICConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := netsim.New(t).Link()
		serverTLS, clientTLS := transporttest.TLS(t)
		srv := &transport.Server{
			TLSConfig: serverTLS,
			QUIC:      &quic.Config{MaxIncomingStreams: 300},
			Handler: transport.HandlerFunc(func(ctx context.Context, sess *transport.Session) error {
				for {
					req, err := sess.Accept(ctx)
					if err != nil {
						return nil
					}
					req.(*transport.AnnounceRequest).Accept()
				}
			}),
		}
		pc := link.Network().Listen()
		served := make(chan error, 1)
		go func() { served <- srv.Serve(t.Context(), pc) }()
		d := &transport.Dialer{TLSConfig: clientTLS, ListenPacket: transporttest.ListenPacket(link)}
		sess, err := d.Dial(t.Context(), "moqt://"+pc.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		for i := range 300 {
			if _, err := sess.Announce(t.Context(), transport.NS(fmt.Sprint(i))); err != nil {
				t.Fatalf("announcement %d: %v", i, err)
			}
		}
		sess.Close()
		srv.Close()
		if err := <-served; !errors.Is(err, transport.ErrServerClosed) {
			t.Errorf("Serve = %v, want ErrServerClosed", err)
		}
	})
}
