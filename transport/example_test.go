package transport_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net/http/httptest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// A publisher: the time, a group a second.
func Example_publish() {
	ctx := context.Background()
	sess, err := transport.Dial(ctx, "moqt://relay.example:4443", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer sess.Close()
	track, err := sess.Publish(ctx, transport.NS("clock").Track("now"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer track.Close()
	for now := range time.Tick(time.Second) {
		g, err := track.OpenGroup(ctx, uint64(now.Unix())) // a stream of its own, a place to join
		if err != nil {
			log.Fatal(err)
		}
		fmt.Fprint(g, now.Format(time.RFC3339)) // one Write, one object; Close reports a failed one
		if err := g.Close(); err != nil {
			log.Fatal(err)
		}
	}
}

// A subscriber.
func Example_subscribe() {
	ctx := context.Background()
	sess, err := transport.Dial(ctx, "moqt://relay.example:4443", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer sess.Close()
	track, err := sess.Subscribe(ctx, transport.NS("clock").Track("now"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer track.Close()
	for obj, err := range track.Objects(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d/%d %s\n", obj.Group, obj.Object, obj.Payload)
	}
}

// A server that greets whoever subscribes, and a subscriber that reads all of
// it.
func ExampleServer() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	serverTLS, clientTLS := testTLS()
	pc, err := transport.ListenUDP(ctx, "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	srv := &transport.Server{TLSConfig: serverTLS, Handler: transport.HandlerFunc(greet)}
	defer srv.Close()
	go srv.Serve(ctx, pc)

	d := transport.Dialer{TLSConfig: clientTLS}
	sess, err := d.Dial(ctx, "moqt://"+pc.LocalAddr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer sess.Close()
	track, err := sess.Subscribe(ctx, transport.NS("demo").Track("greetings"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer track.Close()
	for obj, err := range track.Objects(ctx) { // ends with the track
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%v %s\n", obj.Location, obj.Payload)
	}
	// Output:
	// 0/0 hello
	// 0/1 and goodbye
}

func greet(ctx context.Context, s *transport.Session) error {
	for {
		req, err := s.Accept(ctx)
		if err != nil {
			return err
		}
		sub, ok := req.(*transport.SubscribeRequest)
		if !ok {
			req.Reject(moqt.RequestNotSupported, "there is a track to subscribe to, and no more")
			continue
		}
		track, err := sub.Accept(nil)
		if err != nil {
			return err
		}
		g, err := track.OpenGroup(ctx, 0)
		if err != nil {
			return err
		}
		fmt.Fprint(g, "hello")
		fmt.Fprint(g, "and goodbye")
		if err := g.Close(); err != nil {
			return err
		}
		track.Close()
	}
}

// A publisher offers a track to a server, over WebTransport, and waits until it
// has been read.
func ExampleSession_Publish() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	serverTLS, clientTLS := testTLS()
	pc, err := transport.ListenUDP(ctx, "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	srv := &transport.Server{TLSConfig: serverTLS, Handler: transport.HandlerFunc(printTracks)}
	defer srv.Close()
	go srv.Serve(ctx, pc)

	d := transport.Dialer{TLSConfig: clientTLS}
	sess, err := d.Dial(ctx, "https://"+pc.LocalAddr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer sess.Close()
	track, err := sess.Publish(ctx, transport.NS("demo").Track("numbers"), nil)
	if err != nil {
		log.Fatal(err)
	}
	g, err := track.OpenGroup(ctx, 7)
	if err != nil {
		log.Fatal(err)
	}
	for _, n := range []string{"one", "two", "three"} {
		fmt.Fprint(g, n)
	}
	if err := g.Close(); err != nil {
		log.Fatal(err)
	}
	track.Close()
	<-track.Drained()
	// Output:
	// demo--numbers 7/0 one
	// demo--numbers 7/1 two
	// demo--numbers 7/2 three
}

func printTracks(ctx context.Context, s *transport.Session) error {
	for {
		req, err := s.Accept(ctx)
		if err != nil {
			return err
		}
		pub, ok := req.(*transport.PublishRequest)
		if !ok {
			req.Reject(moqt.RequestNotSupported, "tracks are taken by PUBLISH only")
			continue
		}
		track, err := pub.Accept(nil)
		if err != nil {
			return err
		}
		for obj, err := range track.Objects(ctx) {
			if err != nil {
				return err
			}
			fmt.Printf("%v %v %s\n", track.Name(), obj.Location, obj.Payload)
		}
		track.Close()
	}
}

// connect opens a session with a server that has the handler h.
func connect(ctx context.Context, h transport.Handler) (sess *transport.Session, stop func()) {
	dial, stop := listen(ctx, h)
	return dial(), stop
}

// listen serves h on the loopback until stop is called, and returns what opens
// sessions with it.
func listen(ctx context.Context, h transport.Handler) (dial func() *transport.Session, stop func()) {
	serverTLS, clientTLS := testTLS()
	pc, err := transport.ListenUDP(ctx, "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	srv := &transport.Server{TLSConfig: serverTLS, Handler: h}
	go srv.Serve(ctx, pc)
	d := transport.Dialer{TLSConfig: clientTLS}
	return func() *transport.Session {
		sess, err := d.Dial(ctx, "moqt://"+pc.LocalAddr().String())
		if err != nil {
			log.Fatal(err)
		}
		return sess
	}, func() { srv.Close() }
}

// testTLS borrows a certificate for 127.0.0.1.
func testTLS() (server, client *tls.Config) {
	borrowed := httptest.NewTLSServer(nil)
	defer borrowed.Close()
	roots := x509.NewCertPool()
	roots.AddCert(borrowed.Certificate())
	return &tls.Config{Certificates: borrowed.TLS.Certificates}, &tls.Config{RootCAs: roots}
}
