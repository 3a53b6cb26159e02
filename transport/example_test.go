package transport_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/tributary-live/tributary/transport"
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
