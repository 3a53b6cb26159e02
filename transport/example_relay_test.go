package transport_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// relay asks whoever has announced a namespace for the tracks that others
// subscribe to. Package relay adds what this one lacks: a cache, one subscription
// for many subscribers, several publishers, other relays.
type relay struct {
	publishers sync.Map // moqt.Namespace → *transport.Session
}

func (r *relay) ServeSession(ctx context.Context, s *transport.Session) error {
	for {
		req, err := s.Accept(ctx)
		if err != nil {
			return err
		}
		switch req := req.(type) {
		case *transport.AnnounceRequest:
			r.publishers.Store(req.Namespace, s)
			req.Accept()
		case *transport.SubscribeRequest:
			if pub, ok := r.publishers.Load(req.Track.Namespace); ok {
				go pass(ctx, pub.(*transport.Session), req)
			} else {
				req.Reject(moqt.RequestDoesNotExist, "nobody publishes this")
			}
		default:
			req.Reject(moqt.RequestNotSupported, "this relay knows subscriptions only")
		}
	}
}

// pass answers req with the track of pub, stream by stream.
func pass(ctx context.Context, pub *transport.Session, req *transport.SubscribeRequest) error {
	in, err := pub.Subscribe(ctx, req.Track, nil)
	if err != nil {
		return req.Reject(moqt.RequestDoesNotExist, err.Error())
	}
	defer in.Close()
	out, err := req.Accept(&transport.PublishOptions{Properties: in.Properties()})
	if err != nil {
		return err
	}
	defer out.Close()
	var streams sync.WaitGroup
	defer streams.Wait()
	for {
		from, err := in.AcceptSubgroup(ctx)
		if err != nil {
			return err // the track has ended, or one of the three has left
		}
		streams.Go(func() { passStream(ctx, from, out) })
	}
}

func passStream(ctx context.Context, from *transport.SubgroupReader, out *transport.TrackWriter) error {
	to, err := out.OpenSubgroup(ctx, from.Header())
	if err != nil {
		return err
	}
	for {
		obj, err := from.ReadObject()
		if err == io.EOF {
			return to.Close()
		}
		if err != nil {
			to.Cancel(moqt.StreamInternalError)
			return err
		}
		if err := to.WriteObject(obj); err != nil {
			from.Cancel(moqt.StreamCancelled)
			return err
		}
	}
}

// A relay in thirty lines, and the two dozen that copy a track's streams.
func Example_relay() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	dial, stop := listen(ctx, new(relay))
	defer stop()
	publisher, subscriber := dial(), dial()
	if _, err := publisher.Announce(ctx, transport.NS("demo")); err != nil {
		log.Fatal(err)
	}
	go greet(ctx, publisher) // of the server's example
	track, err := subscriber.Subscribe(ctx, transport.NS("demo").Track("greetings"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer track.Close()
	for obj, err := range track.Objects(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%v %s\n", obj.Location, obj.Payload)
	}
	// Output:
	// 0/0 hello
	// 0/1 and goodbye
}
