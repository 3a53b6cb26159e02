package transport_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Objects that are small, and worth nothing when late, go as datagrams: without
// a stream, and without being sent again when they are lost.
func ExampleTrackWriter_SendDatagram() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	sess, stop := connect(ctx, transport.HandlerFunc(measure))
	defer stop()
	track, err := sess.Subscribe(ctx, transport.NS("demo").Track("temperature"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer track.Close()
	obj, err := track.ReceiveDatagram(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", obj.Payload)
	// Output: 21.5 °C
}

// measure sends the temperature again and again: each replaces the one before.
func measure(ctx context.Context, s *transport.Session) error {
	req, err := s.Accept(ctx)
	if err != nil {
		return err
	}
	sub, ok := req.(*transport.SubscribeRequest)
	if !ok {
		return req.Reject(moqt.RequestNotSupported, "there is a thermometer, and no more")
	}
	track, err := sub.Accept(nil)
	if err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for group := uint64(0); ; group++ {
		o := moqt.Object{Location: moqt.Location{Group: group}, Priority: moqt.DefaultPriority, Payload: []byte("21.5 °C")}
		if err := track.SendDatagram(o); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-sub.Context().Done(): // the subscriber has left
			return nil
		}
	}
}
